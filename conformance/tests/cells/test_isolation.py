"""The commands that isolate, and that probing tells the truth."""

from __future__ import annotations

import subprocess

import pytest

from slotproof.cells.isolation import Isolation, probe, wrap


def test_what_the_probe_names_really_starts_a_process_of_its_own() -> None:
    mode = probe()
    done = subprocess.run(
        wrap(mode, ["sh", "-c", "echo $$"]), capture_output=True, text=True, check=True
    )
    # In a PID namespace of its own the first process is process 1.
    assert (done.stdout.strip() == "1") is mode.private


def test_entering_a_container_keeps_everything_private_but_the_network() -> None:
    argv = wrap(Isolation.ROOT, ["true"], enter_pid=42)
    assert argv[:4] == ["nsenter", "--target", "42", "--net"]
    assert "--net" not in argv[4:]
    assert {"--pid", "--mount"} <= set(argv)


def test_entering_a_container_without_rights_is_refused() -> None:
    with pytest.raises(ValueError, match="root or sudo"):
        wrap(Isolation.LEASH, ["true"], enter_pid=42)
