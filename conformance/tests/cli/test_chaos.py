"""``slotproof chaos``: what it prints, what it leaves, and that it leaves no process behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from rich.console import Console
from support.command import Cli
from support.outages import FINE, errors, observed
from support.running import GONE_WITHIN_SECONDS, processes, until

from slotproof.chaos import render, summary
from slotproof.chaos.scenarios import SCENARIOS
from slotproof.chaos.summary import Block
from slotproof.data import fixtures_dir
from slotproof.errors import Exit
from slotproof.results.reader import read, read_benches


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--subject", "redispy"], "did you mean 'redis-py'?"),
        (["--server", "valkey-8"], "did you mean 'valkey-8.1'?"),
        (["--scenario", "flood"], "'flood'"),
        (["--runs", "0"], "1<=x<=1000"),
        (["--subject", "valkey-py", "--hold", "glide-redis"], "no such subject of this run"),
        (["--subject", "redis-py", "--gate"], "name one with --hold"),
        (["--add-to", "nowhere"], "there is no such file"),
        (["--add-to", "a", "--output", "b"], "give one of them"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(cli: Cli, args: list[str], said: str) -> None:
    done = cli("chaos", *args)
    assert done.code == Exit.USAGE
    assert said in done.text
    assert "Traceback" not in done.text


def test_the_help_names_every_scenario(cli: Cli) -> None:
    text = cli("chaos", "--help").out
    assert [name for name in SCENARIOS if f"  {name} " not in text] == []


@pytest.mark.servers
def test_a_small_run_leaves_tables_results_and_a_report(cli: Cli, tmp_path: Path) -> None:
    options = ["--scenario", "migrate", "--runs", "1", "--node-timeout", "1000"]
    done = cli("chaos", "--subject", "redis-py", *options, "--output", "out", "--keep")
    assert done.code == Exit.HELD, done.text
    assert "valkey-8.1 migrate 1/1: served again after" in done.out
    assert SCENARIOS["migrate"].title in done.out
    assert done.out.splitlines()[-1] == "report: out/report.html"
    path = tmp_path / "out" / "results.jsonl"
    assert read(path, strict=True).header["profile"] == "chaos"
    measures = {(bench.measure, bench.client) for bench in read_benches(path)}
    assert {("failover-gap", "redis-py"), ("acknowledged-lost", "redis-py")} <= measures
    schema = json.loads((fixtures_dir() / "schema" / "results.schema.json").read_text())
    for line in path.read_text(encoding="utf-8").splitlines():
        jsonschema.validate(json.loads(line), schema)
    kept = {p.name for p in (tmp_path / "out" / "outages" / "valkey-8.1-migrate-1").iterdir()}
    assert {"redis-py.jsonl", "probe.jsonl"} <= kept
    assert "Success criteria" in (tmp_path / "out" / "STATUS.md").read_text(encoding="utf-8")


def command_of(pid: int) -> str:
    """A process's command line."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")


def descendants(pid: int) -> dict[int, str]:
    """Every process below one, by its command line, whatever session it is in."""
    parents, commands = {}, {}
    for other in processes():
        with suppress(OSError):
            stat = Path(f"/proc/{other}/stat").read_text(encoding="utf-8")
            commands[other] = command_of(other)  # First: it may be gone by now.
            parents[other] = int(stat.rpartition(")")[2].split()[1])
    found: dict[int, str] = {}
    pending = [pid]
    while pending:
        children = [child for child, parent in parents.items() if parent == pending[0]]
        found |= {child: commands[child] for child in children}
        pending = [*pending[1:], *children]
    return found


def state(pid: int) -> str:
    """One letter: T for a process that is stopped; nothing for one that is gone."""
    with suppress(OSError):
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        return text.rpartition(")")[2].split()[0]
    return ""


def left(started: Mapping[int, str]) -> dict[int, str]:
    """Those that are still there."""
    found = {}
    for pid, command in started.items():
        with suppress(OSError):
            if command_of(pid) == command:
                found[pid] = command
    return found


@pytest.mark.servers
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_process_behind(
    fixtures: Path, tmp_path: Path, number: signal.Signals
) -> None:
    words = ["chaos", "--subject", "redis-py", "--scenario", "freeze", "--runs", "9"]
    with subprocess.Popen(
        [sys.executable, "-m", "slotproof", *words, "--output", "out"],
        cwd=tmp_path,
        env=os.environ | {"SLOTPROOF_FIXTURES": str(fixtures)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as run:
        started: dict[int, str] = {}

        def frozen() -> bool:
            started.update(descendants(run.pid))
            return any(state(pid) == "T" for pid in started)

        try:
            assert until(frozen, 120)
            assert any("chaos/worker.py" in command for command in started.values())
            run.send_signal(number)
            out = run.communicate(timeout=60)[0].decode()
            assert until(lambda: not left(started), GONE_WITHIN_SECONDS), left(started)
        finally:
            run.kill()
            for pid, command in started.items():
                with suppress(OSError):
                    # Numbers of processes come again: only what is still the same process.
                    if command_of(pid) == command:
                        os.kill(pid, signal.SIGKILL)
    if number is not signal.SIGKILL:
        assert run.returncode == 130
        assert "interrupted: figures so far are in out/results.jsonl" in out
        assert not read(tmp_path / "out" / "results.jsonl").complete


def printed(*blocks: Block, gated: tuple[str, ...] = ()) -> str:
    """The tables of blocks, as they go into a pipe."""
    out = Console(width=80, no_color=True, highlight=False)
    with out.capture() as capture:
        for block in blocks:
            render.table(block, out)
        held = summary.hold(blocks, ["subject", "other"], "redis-py")
        render.bars(held, gated, out)
    return capture.get()


def test_tables_are_whole_in_a_narrow_pipe() -> None:
    bad = replace(FINE, gap=123.456, delay=101.5, errors=errors(1000), lost=12345, back=False)
    outages = [observed(redis_py=FINE, subject=one, other=bad) for one in [FINE] * 19 + [bad]]
    text = printed(Block("valkey-9.1", "kill", tuple(outages)), gated=("subject",))
    rows = [line.split() for line in text.splitlines()]
    assert [
        "subject", "0.80", "0.80", "123.46", "0.10", "0.10", "101.50", "0", "to", "1000", "1000",
        "12345", "0", "1",
    ] in rows  # fmt: skip
    assert "subject: 1000 of redis.exceptions.ConnectionError: lost NODE" in text.splitlines()
    assert "…" not in text
    verdicts = [line for line in text.splitlines() if line.startswith(("held", "missed"))]
    assert len(verdicts) == 6
    assert verdicts[0] == (
        "held         subject kill valkey-9.1: acknowledges again after the promotion, 19 of 20:"
        " 0.1 (bar: ≤ 0.2 s)"
    )
    assert all("other" in line for line in text.splitlines() if line.startswith("would miss"))
