"""``slotproof bench`` as its users meet it: a small real benchmark, its gate, its interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.command import Cli
from support.running import MARK, processes, until

from slotproof.bench import bars
from slotproof.bench.performance import Verdict, summarize
from slotproof.bench.scenarios import TIMED, choose
from slotproof.results.reader import read, read_benchmark

pytestmark = pytest.mark.servers

HELD, REGRESSION, USAGE, INTERRUPTED = 0, 1, 2, 130
QUICK = ("--rounds", "1", "--seconds", "0.002")
OTHERS = ("valkey-py", "glide-typed", "glide-ffi", "raw-socket")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--scenario", "pipelines"], ["pipelines", "did you mean", "pipeline"]),
        (["--subject", "glide-tiped"], ["glide-tiped", "did you mean", "glide-typed"]),
        (["--server", "valkey-8.2"], ["did you mean", "valkey-8.1"]),
        (["--rounds", "0"], ["--rounds"]),
        (["--seconds", "0"], ["--seconds"]),
        (["--add-to", "nowhere"], ["nowhere", "no such file"]),
        (["--add-to", "a", "--output", "b"], ["--output and --add-to at once"]),
        (["--gate", "--scenario", "pubsub"], ["no bar is about"]),
        (["--gate", "--subject", "valkey-py"], ["no bar is about"]),
    ],
)
def test_a_wrong_word_is_answered_with_what_there_is(
    cli: Cli, args: list[str], words: list[str], tmp_path: Path
) -> None:
    done = cli("bench", *args)
    assert done.code == USAGE
    assert "Traceback" not in done.text
    for word in words:
        assert word in done.text
    assert not (tmp_path / "reports").exists()


def test_a_small_benchmark_of_real_clients(cli: Cli, tmp_path: Path) -> None:
    subjects = [word for name in OTHERS for word in ("--subject", name)]
    done = cli("bench", *QUICK, *subjects, "--output", "out", COLUMNS="200")
    assert done.code == HELD, done.text
    path = tmp_path / "out" / "results.jsonl"
    assert done.out.splitlines()[-1] == "report: out/report.html"
    assert read(path, strict=True).header["profile"] == "bench"
    benchmark = read_benchmark(path)
    assert benchmark.voids == (), done.text
    facts = {f.of: f.facts for f in benchmark.facts}
    assert facts["redis-py"]["parser"] == "hiredis"
    assert facts["redis-py"]["class"] == "redis.cluster.RedisCluster"
    assert facts["valkey-py"]["class"] == "valkey.cluster.ValkeyCluster"
    assert "hiredis" in facts["redis-py"]["installed"]
    assert "valkey-glide-sync" in facts["glide-ffi"]["installed"]
    timed = {s.name for s in choose([]) if s.family in TIMED} - {"pubsub"}
    for client in ("redis-py", *OTHERS):
        speeds = [b for b in benchmark.benches if (b.client, b.measure) == (client, "throughput")]
        assert {b.parameters["scenario"] for b in speeds} == timed
        assert all(b.value > 0 for b in speeds)
    connections = {
        (b.client, b.parameters["state"]): b.value
        for b in benchmark.benches
        if b.measure == "connections"
    }
    # GLIDE keeps two connections to each of the six nodes, however many threads there are.
    assert {connections["glide-typed", s] for s in ("idle", "1 thread", "16 threads")} == {12}
    assert connections["redis-py", "1 thread"] >= 3
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert 'id="plot-speed-title"' in html
    assert "raw socket, the limit" in html


def test_a_bar_that_is_not_held_fails_the_gate_and_no_other_call(
    cli: Cli, fixtures: Path, tmp_path: Path
) -> None:
    (fixtures / "bench.toml").unlink()
    (fixtures / "bench.toml").write_text(
        'rounds = 1\n[[bar]]\ntitle = "the moon"\nclient = "raw-socket"\ncases = ["get-10B"]\n'
        'against = ["redis-py"]\nat_least = 100000.0\n',
        encoding="utf-8",
    )
    args = ["bench", *QUICK, "--scenario", "get-10B", "--subject", "raw-socket"]
    gated = cli(*args, "--gate", "--output", "gated")
    assert gated.code == REGRESSION, gated.text
    assert "the moon" in gated.out
    assert "bars: 1 missed" in gated.out
    performance = summarize(
        read_benchmark(tmp_path / "gated" / "results.jsonl"), bars.load(fixtures / "bench.toml")
    )
    assert performance is not None
    assert [j.verdict for j in performance.judged] == [Verdict.MISSED]
    again = cli("report", "gated", "--output", "elsewhere")
    assert "the moon" in again.out
    assert "the moon" in (tmp_path / "elsewhere" / "report.html").read_text(encoding="utf-8")


def alive(mark: str) -> list[int]:
    """Processes of the benchmark by its mark; servers overwrite it, but their warden has it."""
    found = []
    for pid in processes():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if command and f"{MARK}={mark}".encode() in environment:
            found.append(pid)
    return found


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, INTERRUPTED), (signal.SIGTERM, INTERRUPTED), (signal.SIGKILL, -9)],
)
def test_an_interrupted_benchmark_keeps_its_figures_and_leaves_nobody_behind(
    number: int, code: int, tmp_path: Path
) -> None:
    mark = f"bench-{tmp_path.name}-{os.getpid()}"
    argv = ["bench", "--seconds", "0.01", "--rounds", "1000", "--output", "out"]
    argv += ["--scenario", "get-10B", "--subject", "raw-socket"]
    path = tmp_path / "out" / "results.jsonl"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "slotproof", *argv],
            cwd=tmp_path,
            env=os.environ | {MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        # Somebody else's benchmark on this machine is waited for.
        assert until(lambda: path.exists() and b'"round":2' in path.read_bytes(), 500)
        assert len(alive(mark)) > 2
        process.send_signal(number)
        assert process.wait(60) == code
        assert until(lambda: alive(mark) == [], 20)
    finally:
        process.kill()
        process.wait()
        for pid in alive(mark):
            os.kill(pid, signal.SIGKILL)
    said = (tmp_path / "log").read_text(encoding="utf-8")
    assert "Traceback" not in said
    assert read_benchmark(path).benches
    assert not read(path).complete
    if code == INTERRUPTED:
        assert "interrupted: the figures so far are kept" in said
        assert json.loads(path.read_bytes().splitlines()[-1])["complete"] is False
        assert (tmp_path / "out" / "report.html").exists()
