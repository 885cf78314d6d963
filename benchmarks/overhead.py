"""What the harness costs: ``python benchmarks/overhead.py``.

Alternately runs the same tests as a cell of the harness (recorder, proof of path, supervision) and
under bare pytest, in the same environment, in the same kind of namespaces, on servers started in
the same way. Counted is the time from ready servers to the end of pytest; what a cell does after
that (the script canary, stopping its servers) counts against the harness. No re-runs on either
side. Exits 1 when the median under the harness is over the bar, as a multiple of bare pytest's.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import click
from figures import Figures

from slotproof import names
from slotproof.cells.isolation import Isolation, probe, wrap
from slotproof.cells.plan import CellPlan
from slotproof.cells.private import hide_shared_folders, raise_loopback
from slotproof.cells.servers import CellServers
from slotproof.clients import plugin
from slotproof.errors import EnvironmentProblem, SlotproofError
from slotproof.model import CellId, Topology
from slotproof.runner.backends import Embedded
from slotproof.runner.lane import LaneProcess
from slotproof.runner.planning import lane_plan, wanted_servers
from slotproof.runner.prepare import prepare
from slotproof.servers import spec
from slotproof.suites import collected, library


@click.command(help=__doc__)
@click.option("--suite", default="redis-py", show_default=True)
@click.option("--topology", type=click.Choice([str(t) for t in Topology]), default="cluster")
@click.option("--file", "files", multiple=True, help="Only these files of the suite.")
@click.option("--pairs", type=click.IntRange(1), default=3, show_default=True)
@click.option("--bar", default=1.25, show_default=True)
def main(suite: str, topology: str, files: tuple[str, ...], pairs: int, bar: float) -> None:
    try:
        isolation = probe()
        plan = _plan(suite, Topology(topology), files, isolation)
        assert plan.ids is not None
        print(f"{len(plan.ids)} tests of {suite}, {topology}, {isolation}, {pairs} pairs")
        bare: list[float] = []
        harness: list[float] = []
        for number in range(pairs):
            for under in (harness, bare) if number % 2 else (bare, harness):
                name, measure = ("harness", _harness) if under is harness else ("bare", _bare)
                seconds, tests = measure(plan, isolation)
                under.append(seconds)
                print(f"  {name:<8}{seconds:7.2f} s {tests:6d} tests", flush=True)
                # pytest counts a test that fails and errs in its tear-down twice.
                if abs(tests - len(plan.ids)) > 1 + len(plan.ids) // 100:
                    raise EnvironmentProblem(
                        f"running {len(plan.ids)} tests ({name})",
                        f"{tests} came to an end",
                        "choose --file so that all of its tests are locked and none crashes",
                    )
    except SlotproofError as error:
        click.echo(error.render(), err=True)
        sys.exit(error.exit_code)
    ratio = Figures(harness).median / Figures(bare).median
    print(f"bare     {Figures(bare)} s\nharness  {Figures(harness)} s")
    pairwise = Figures([h / b for h, b in zip(harness, bare, strict=True)])
    print(f"ratio    {ratio:.3f}; pair by pair {pairwise}")
    print(f"bar      {bar:g}")
    sys.exit(ratio > bar)


def _plan(name: str, topology: Topology, files: tuple[str, ...], isolation: Isolation) -> CellPlan:
    """A lane with all locked tests of the files, without what changes from run to run."""
    known = library.load_all()
    names.check("suite", [name], known)
    suite = known[name]
    client = next(c for c in plugin.load_all().values() if c.control)
    prepared = prepare({name: suite}, {client.name: client}, spec.find(spec.DEFAULT), print)
    for problem in prepared.failed.values():
        raise problem
    assert prepared.binary is not None
    chosen = files or suite.files
    ids = [
        test.id
        for test in collected.read(suite.collected_lock)
        if topology in test.topologies and test.id.partition("::")[0] in chosen
    ]
    cell = CellId(name, client.name, topology, spec.DEFAULT)
    private = isolation.private
    wanted = wanted_servers(suite, cell, private=private)
    with Embedded(prepared.binary).lease(wanted, topology) as servers:
        plan = lane_plan(
            suite, client, cell, prepared, servers.plan, Path(), private=private, ids=ids
        )
    here = str(Path(__file__).resolve().parent)
    return replace(plan, files=chosen, expose=(*plan.expose, here))


def _harness(plan: CellPlan, isolation: Isolation) -> tuple[float, int]:
    with tempfile.TemporaryDirectory(prefix="slotproof-") as name:
        folder = Path(name)
        here = replace(plan, workdir=name, expose=(*plan.expose, name))
        lane = LaneProcess(here, isolation, folder)
        began = ended = 0.0
        tests = 0
        try:
            for event in lane.events():
                if event["e"] == "up":
                    began = time.perf_counter()
                elif event["e"] == "test":
                    tests += 1
                elif event["e"] == "end":
                    ended = time.perf_counter()
        finally:
            lane.stop()
        if not ended:
            raise EnvironmentProblem("running a cell", lane.stderr_tail(), "see its messages")
        return ended - began, tests


def _bare(plan: CellPlan, isolation: Isolation) -> tuple[float, int]:
    with tempfile.TemporaryDirectory(prefix="slotproof-") as name:
        folder = Path(name)
        path = folder / "plan.json"
        replace(plan, workdir=name, expose=(*plan.expose, name)).dump(path)
        mode = "private" if isolation.private else "leash"
        done = subprocess.run(
            wrap(isolation, [sys.executable, __file__, _INSIDE, str(path), mode]),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            found = (done.stderr or done.stdout)[-2000:]
            raise EnvironmentProblem("running bare pytest", found, "see its messages")
        seconds, tests = json.loads(done.stdout.splitlines()[-1])
        return seconds, tests


_INSIDE = "inside"


def _inside(path: Path, mode: str) -> None:
    """In the namespaces of a cell: start the servers, run bare pytest, print what it took."""
    plan = CellPlan.load(path)
    if mode == "private":
        raise_loopback()
        hide_shared_folders(plan.expose)
    work = Path(plan.workdir)
    suite = work / "suite"
    shutil.copytree(plan.suite_root, suite, symlinks=True)
    with CellServers(plan, work) as servers:
        deployment = servers.main
        node = deployment.nodes[0]
        words = {
            "{url}": deployment.url,
            "{host}": node.host,
            "{port}": str(node.port),
            "{nodes}": str(len(deployment.nodes)),
        }
        arguments = [_fill(argument, words) for argument in plan.pytest_args]
        hidden = ("PYTHON", "PYTEST", "VIRTUAL_ENV", "TMP", "TEMP")
        env = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
        env |= {name: _fill(value, words) for name, value in plan.env.items()}
        env["PATH"] = f"{Path(plan.python).parent}{os.pathsep}{os.environ['PATH']}"
        began = time.perf_counter()
        done = subprocess.run(
            [plan.python, "-m", "pytest", *arguments, *plan.files],
            cwd=suite,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - began
    last = done.stdout.strip().rpartition("\n")[2]
    counts = re.findall(r"(\d+) (passed|failed|skipped|error|errors|xfailed|xpassed)\b", last)
    if not counts:
        sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
    print(json.dumps([seconds, sum(int(count) for count, _ in counts)]))


def _fill(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text


if __name__ == "__main__":
    if sys.argv[1:2] == [_INSIDE]:
        _inside(Path(sys.argv[2]), sys.argv[3])
    else:
        main()
