"""Bad input gets one clear message and the documented exit code, and destroys nothing."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from support.command import Cli, Finished
from support.miniatures import own_suite

from slotproof.cells.isolation import Isolation, probe
from slotproof.results.reader import read

USAGE, ENVIRONMENT = 2, 3


def clear(done: Finished, code: int, *words: str) -> None:
    """One message with all ``words``, no traceback, the right exit code."""
    assert done.code == code, done.text
    assert "Traceback" not in done.text
    for word in words:
        assert word in done.text, done.text


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["run", "stedy"], ["steady", "did you mean"]),
        (["run", "--client", "redis-pi"], ["redis-py", "did you mean"]),
        (["run", "--server", "valkey-8.2"], ["valkey-8.1", "did you mean"]),
        (["run", "steady", "--variant", "resp2"], ["default"]),
        (["rum"], ["run", "did you mean"]),
        (["run", "--topology", "ring"], ["ring", "cluster"]),
        (["run", "--shard", "5/4"], ["no shard 5 of 4"]),
        (["run", "--shard", "half"], ["i/n"]),
        (["run", "--backend", "dokcer"], ["dokcer", "docker"]),
        (["run", "--resume", "nowhere"], ["nowhere", "results.jsonl"]),
        (["run", "--resume"], ["none below reports/"]),
        (["run", "--only", "tests/test_no.py::test_such"], ["no locked test is left"]),
        (["run", "--backend", "redis://127.0.0.1:1"], ["--allow-flush"]),
        (["report", "nowhere"], ["nowhere"]),
        (["up", "--server", "walkey"], ["walkey"]),
    ],
)
def test_a_mistyped_word_is_answered_with_what_there_is(
    cli: Cli, args: list[str], words: list[str]
) -> None:
    clear(cli(*args), USAGE, *words)


def test_a_forced_isolation_that_does_not_exist(cli: Cli) -> None:
    clear(cli("run", "steady", SLOTPROOF_ISOLATION="leesh"), USAGE, "leesh", "leash")


def test_a_run_never_overwrites_another_ones_results(cli: Cli, tmp_path: Path) -> None:
    results = tmp_path / "mine" / "results.jsonl"
    results.parent.mkdir()
    results.write_text("precious", encoding="utf-8")
    clear(cli("run", "--client", "redis-py", "--output", "mine"), USAGE, "--output", "--resume")
    assert results.read_text(encoding="utf-8") == "precious"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("timeout = 10", 'timeout = "soon"'), ["suite.toml", "timeout", "line 5"]),
        (("timeout = 10", "timeuot = 10"), ["suite.toml", "timeout"]),
        (('kind = "path"', 'kind = "path'), ["suite.toml", "line"]),
        (('kind = "path"', 'kind = "ftp"'), ["suite.toml", "kind", "ftp"]),
        (('"{port}"', '"{prot}"'), ["suite.toml", "{prot}", "{port}"]),
    ],
)
def test_an_unreadable_manifest_names_file_key_and_line(
    cli: Cli, fixtures: Path, change: tuple[str, str], words: list[str]
) -> None:
    own_suite(fixtures, change)
    clear(cli("run", "steady"), USAGE, *words)


def test_a_cut_off_lock_is_no_smaller_suite(cli: Cli, fixtures: Path) -> None:
    lock = own_suite(fixtures) / "collected.lock"
    lock.write_bytes(lock.read_bytes()[:-10])
    clear(cli("run", "steady"), USAGE, "collected.lock", "cut off")


def test_a_wrong_sha256_of_the_server_is_refused(cli: Cli, fixtures: Path, tmp_path: Path) -> None:
    servers = fixtures / "servers"
    real = servers.resolve()
    servers.unlink()
    shutil.copytree(real, servers)
    spec = servers / "valkey-8.1.toml"
    lines = spec.read_text(encoding="utf-8").splitlines()
    forged = [f'sha256 = "{"0" * 64}"' if li.startswith("sha256") else li for li in lines]
    spec.write_text("\n".join(forged) + "\n", encoding="utf-8")
    done = cli(
        "run", "steady", "--client", "redis-py", "--topology", "standalone",
        SLOTPROOF_CACHE=str(tmp_path / "cache"),
    )  # fmt: skip
    clear(done, ENVIRONMENT, "0" * 64)
    assert not list((tmp_path / "cache").glob("files/*/*.whl"))


def test_no_server_binary_at_all(cli: Cli, tmp_path: Path) -> None:
    done = cli("up", "--server", "path", PATH=str(tmp_path))
    clear(done, ENVIRONMENT, "PATH")


def test_a_url_that_is_no_cluster(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    done = cli(
        "run", "steady", "--backend", f"redis://127.0.0.1:{port}", "--allow-flush",
        "--client", "redis-py", "--topology", "standalone",
    )  # fmt: skip
    clear(done, ENVIRONMENT, f"127.0.0.1:{port}")


def test_truncated_results_are_reported_as_far_as_they_go(cli: Cli, tmp_path: Path) -> None:
    done = cli("run", "steady", "--topology", "standalone", "--client", "redis-py",
               "--output", "whole")  # fmt: skip
    assert done.code == 0, done.text
    assert done.out.splitlines()[-1].endswith("report.html")
    whole = (tmp_path / "whole" / "results.jsonl").read_bytes()
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "results.jsonl").write_bytes(whole[: len(whole) // 2])
    clear(cli("report", "cut"), ENVIRONMENT, "not whole", "results.jsonl")
    clear(cli("gate", "cut"), ENVIRONMENT, "not judged")
    (tmp_path / "cut" / "results.jsonl").write_bytes(b"\x00garbage")
    clear(cli("report", "cut"), USAGE, "results.jsonl")


@pytest.mark.namespaces
def test_a_full_disk_keeps_what_was_written(cli: Cli, tmp_path: Path) -> None:
    if probe() is not Isolation.ROOT:
        pytest.skip("mounting a small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12k", "tmpfs", str(disk)], check=True)
    try:
        done = cli(
            "run", "steady", "--topology", "standalone", "--client", "redis-py",
            "--output", str(disk / "run"),
        )  # fmt: skip
        clear(done, ENVIRONMENT, "results so far are kept", "--resume")
        kept = read(disk / "run" / "results.jsonl")
        assert kept.observations
        assert kept.problems
    finally:
        subprocess.run(["umount", str(disk)], check=True)
