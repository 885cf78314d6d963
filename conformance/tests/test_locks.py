"""The locks in requirements/ hold everything, with hashes, and fit what the projects declare."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("run", "docker", "dev")
Pins = dict[str, str]


def pins(name: str) -> Pins:
    """Project to version of a lock."""
    text = (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
    found = re.findall(r"^([a-z0-9-]+)==([^ \\]+)", text, re.MULTILINE)
    return dict(found)


def declared(pyproject: str, *extras: str) -> list[Requirement]:
    """The run-time requirements, those of the extras, and the build back end."""
    data = tomllib.loads((ROOT / pyproject).read_text(encoding="utf-8"))
    lines = [*data["project"]["dependencies"], *data["build-system"]["requires"]]
    for extra in extras:
        lines += data["project"]["optional-dependencies"][extra]
    return [Requirement(line) for line in lines]


def unmet(requirements: list[Requirement], lock: Pins) -> list[str]:
    return [
        str(r)
        for r in requirements
        if (version := lock.get(canonicalize_name(r.name))) is None or version not in r.specifier
    ]


def test_the_run_lock_holds_what_slotproof_needs_to_build_and_run() -> None:
    assert unmet(declared("pyproject.toml"), pins("run")) == []


def test_the_docker_lock_adds_the_docker_extra() -> None:
    assert unmet(declared("pyproject.toml", "docker"), pins("docker")) == []


def test_the_dev_lock_holds_both_distributions_and_the_tools() -> None:
    lock = pins("dev")
    assert unmet(declared("pyproject.toml", "docker"), lock) == []
    assert unmet(declared("adapter/pyproject.toml"), lock) == []
    tools = (ROOT / "requirements" / "dev.in").read_text(encoding="utf-8").splitlines()
    wanted = [Requirement(line) for line in tools if line and not line.startswith("#")]
    assert unmet(wanted, lock) == []


@pytest.mark.parametrize(("small", "large"), [("run", "docker"), ("docker", "dev")])
def test_one_lock_is_a_part_of_the_next(small: str, large: str) -> None:
    assert pins(small).items() <= pins(large).items()


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_hashes_and_no_lock_names_an_address(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
    assert "://" not in text
    entries = re.split(r"\n(?=[a-z0-9])", text.split("\n", 2)[2])
    assert len(entries) == len(pins(name))
    assert [
        e.splitlines()[0] for e in entries if not re.search(r"--hash=sha256:[0-9a-f]{64}", e)
    ] == []
