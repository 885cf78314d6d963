"""Inside the cell: start the servers, run pytest until every test has its outcome, stop all.

Speaks JSON lines on standard output, one event a line (see ``Supervisor``); the runner writes
them down. Usage: ``python -m slotproof.cells.supervisor PLAN``.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from slotproof.cells import strays
from slotproof.cells.ledger import RETRIED, Ledger
from slotproof.cells.plan import CellPlan
from slotproof.cells.servers import CellServers
from slotproof.cells.session import Ended, Event, Session
from slotproof.errors import SlotproofError
from slotproof.inject import __file__ as inject_init
from slotproof.model import Outcome
from slotproof.servers import canary

WATCH_SECONDS = 0.25


class Stop(Exception):
    """The runner wants the cell to end."""


class Supervisor:
    """Runs one plan. Events on standard output:

    ``up`` (servers run: product, version), ``start`` (id, attempt), ``test`` (an observation
    without its cell), ``again`` (tests: how many get another attempt), ``collected`` (ids, in
    collect mode), ``problem`` (tried, found, next_step: the cell could not run), ``end``
    (complete, canary, log).
    """

    def __init__(self, plan: CellPlan) -> None:
        self.plan = plan
        self.work = Path(plan.workdir)
        self.suite = self.work / "suite"
        done = {test: [Outcome(o) for o in outcomes] for test, outcomes in plan.done.items()}
        self.ledger = Ledger(plan.ids or (), plan.reruns, outcomes=done)
        self.servers = CellServers(plan, self.work)
        self._watched = 0.0

    def run(self) -> None:
        """Run the plan to its end and report it."""
        # Times of files are kept: compiled test files are valid only for the same time.
        shutil.copytree(self.plan.suite_root, self.suite, symlinks=True)
        sick: tuple[str, ...] = ()
        with self.servers as servers:
            self._say("up", product=servers.main.product, version=servers.main.version)
            if self.plan.mode == "collect":
                self._collect()
            else:
                self._rounds()
                sick = canary.check(servers.main.nodes)
        self._say("end", complete=True, canary=list(sick), log=servers.log)

    def _excused(self, event: Event) -> Event:
        """A failure beside a server that is gone is the server's, whoever notices it first."""
        if Outcome(event["outcome"]) in RETRIED and self.servers.lost():
            return event | {"outcome": str(Outcome.SERVER_LOST)}
        return event

    def _servers_lost(self) -> bool:
        now = time.monotonic()
        if now - self._watched < WATCH_SECONDS:
            return False
        self._watched = now
        return self.servers.lost()

    # -- rounds of tests

    def _rounds(self) -> None:
        more = bool(self.ledger.remaining())
        while more:
            while remaining := self.ledger.remaining():
                if self._pytest(remaining) is Ended.SERVERS:
                    if not self.servers.revive():
                        self._give_up("the servers died and were not brought back")
                        return
                elif self.ledger.remaining() == remaining:
                    self._give_up("pytest ended again and again without reaching it")
                    return
            more = self.ledger.next_round()
            if more:
                self._say("again", tests=len(self.ledger.remaining()))

    def _pytest(self, ids: tuple[str, ...]) -> Ended:
        session = self._start_pytest(ids)
        ended = Ended.ITSELF
        try:
            for event in session.follow(self._servers_lost):
                if isinstance(event, Ended):
                    ended = event
                elif event["e"] == "start":
                    self._say("start", id=event["id"], attempt=self.ledger.attempt)
                elif event["e"] == "test":
                    self._observe(self._excused(event))
        except BaseException:
            session.kill()
            raise
        self._account_for_the_rest(session, ended, ids)
        return ended

    def _account_for_the_rest(self, session: Session, ended: Ended, ids: tuple[str, ...]) -> None:
        for test in session.missing:
            self._verdict(test, Outcome.NOT_COLLECTED, *_why_missing(test, session))
        current = session.current
        if ended is Ended.HUNG and current:
            text = f"no result within {self.plan.timeout:g} s"
            self._verdict(current, Outcome.HUNG, text, session.stacks(), self.plan.timeout)
        elif ended is Ended.CRASHED and current:
            self._verdict(current, Outcome.CRASHED, session.how_it_died(), session.tail())
        elif ended is Ended.SERVERS and current:
            log = self.servers.log
            self._verdict(current, Outcome.SERVER_LOST, log.partition("\n")[0], log)
        elif ended is not Ended.SERVERS and not session.finished:
            # It never got as far as a test: nothing was collected, so nothing will be.
            why = "pytest was silent for too long" if ended is Ended.HUNG else session.how_it_died()
            for test in ids:
                if test not in session.missing:
                    self._verdict(test, Outcome.NOT_COLLECTED, why, session.tail())

    def _give_up(self, why: str) -> None:
        for test in self.ledger.remaining():
            self._verdict(test, Outcome.NOT_RUN, why, self.servers.log)

    def _observe(self, event: Event) -> None:
        # Where the cell keeps its copy of the suite differs from run to run and helps nobody.
        here = f"{self.suite}{os.sep}"
        for text in ("message", "traceback"):
            event[text] = event[text].replace(here, "")
        for connect in event["connects"]:
            connect["file"] = connect["file"].removeprefix(here)
        attempt = self.ledger.record(event["id"], Outcome(event["outcome"]))
        self._say("test", **{k: v for k, v in event.items() if k != "e"}, attempt=attempt)

    def _verdict(
        self, test: str, outcome: Outcome, message: str, traceback: str = "", seconds: float = 0.0
    ) -> None:
        self._observe(
            {
                "e": "test",
                "id": test,
                "outcome": str(outcome),
                "seconds": seconds,
                "message": message,
                "traceback": traceback,
                "touches": {},
                "nodes": {},
                "connects": [],
                "stats_reset": False,
            }
        )

    # -- pytest

    def _collect(self) -> None:
        session = self._start_pytest(None)
        for event in session.follow(self._servers_lost):
            if isinstance(event, Ended):
                if event is not Ended.ITSELF or session.collect_errors:
                    broken = "".join(f"{p}: {m}\n" for p, m in session.collect_errors.items())
                    self._say(
                        "problem",
                        tried=f"collecting the tests of {self.plan.cell.suite}",
                        found=broken or session.tail(),
                        next_step="make the suite's test files importable, then lock again",
                    )
            elif event["e"] == "collected":
                self._say("collected", ids=event["ids"])

    def _start_pytest(self, ids: tuple[str, ...] | None) -> Session:
        plan = self.plan
        deployment = self.servers.main
        primary = deployment.nodes[0]
        # Test ids of foreign suites may hold braces; only the manifest's own words are filled in.
        words = {
            "{url}": deployment.url,
            "{host}": primary.host,
            "{port}": str(primary.port),
            "{nodes}": str(len(deployment.nodes)),
        }
        events = self.work / "events.jsonl"
        wanted = self.work / "ids.json"
        wanted.write_text(json.dumps(ids), encoding="utf-8")
        cell = self.work / "cell.json"
        cell.write_text(
            json.dumps(
                {
                    "nodes": [[n.host, n.port] for n in self.servers.nodes],
                    "username": deployment.username,
                    "password": deployment.password,
                    "events": str(events),
                    "connects": str(self.work / "connects.jsonl"),
                    "bootstrap": plan.client.bootstrap,
                    "connects_from": list(plan.client.connects_from),
                    "leash": plan.leash,
                    "ids": None if ids is None else str(wanted),
                    "mode": plan.mode,
                    "topology": str(plan.topology),
                }
            ),
            encoding="utf-8",
        )
        # Some plugins need pytest's cache; nothing in it may be of an earlier session.
        cache = self.work / "pytest-cache"
        shutil.rmtree(cache, ignore_errors=True)
        files = plan.files
        if ids is not None:
            needed = {test.partition("::")[0] for test in ids}
            files = tuple(f for f in files if f in needed) or files
        return Session.start(
            [
                plan.python,
                "-m",
                "pytest",
                *("-p", "slotproof_recorder", "-o", f"cache_dir={cache}"),
                "--continue-on-collection-errors",
                *(_fill(arg, words) for arg in plan.pytest_args),
                *files,
            ],
            cwd=self.suite,
            env=self._environment(cell, words),
            events=events,
            output=self.work / "pytest.log",
            timeout=plan.timeout,
        )

    def _environment(self, cell: Path, words: Mapping[str, str]) -> dict[str, str]:
        plan = self.plan
        env = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("PYTHON", "PYTEST", "VIRTUAL_ENV", "COVERAGE", "TMP", "TEMP"))
        }
        folders = [str(Path(inject_init).parent)]
        if plan.client.bootstrap_dir:
            folders.append(plan.client.bootstrap_dir)
        env |= {k: _fill(v, words) for k, v in plan.env.items()}
        env |= {
            "PATH": f"{Path(plan.python).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONPATH": os.pathsep.join(folders),
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            strays.VARIABLE: str(cell),
        }
        return env

    def _say(self, kind: str, **fields: Any) -> None:
        # A raw write: one line is one write, whatever signal comes in between.
        data = (json.dumps({"e": kind, **fields}) + "\n").encode()
        while data:
            data = data[os.write(1, data) :]


def _fill(text: str, words: Mapping[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def _why_missing(test: str, session: Session) -> tuple[str, str]:
    path = test.partition("::")[0]
    message = session.collect_errors.get(path)
    if message is None:
        return "pytest no longer collects a test of this id", ""
    return message.strip().rpartition("\n")[2][:2000], message


def main(argv: list[str]) -> int:
    """Run the plan named by ``argv[0]``; 0 when it came to its end, 1 on a problem, 143 stopped."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise Stop

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    supervisor = Supervisor(CellPlan.load(Path(argv[0])))
    try:
        supervisor.run()
    except Stop:
        return 143
    except SlotproofError as error:
        supervisor._say("problem", tried=error.tried, found=error.found, next_step=error.next_step)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
