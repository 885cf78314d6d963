"""``slotproof chaos`` without its command line: from options to observed outages."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from slotproof.chaos import outage, render
from slotproof.chaos.outage import Conditions, Observed, Void
from slotproof.chaos.scenarios import SCENARIOS
from slotproof.chaos.subjects import Ready, Subject, ready
from slotproof.chaos.summary import Block
from slotproof.errors import EnvironmentProblem, SlotproofError
from slotproof.fetch import cache
from slotproof.servers import embedded, spec
from slotproof.servers.embedded import ServerBinary

ATTEMPTS = 4
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ChaosOptions:
    """What was asked for; every name in here exists. ``runs``: outages a scenario and server."""

    subjects: tuple[str, ...]
    scenarios: tuple[str, ...]
    servers: tuple[str, ...]
    runs: int
    conditions: Conditions


@dataclass(frozen=True, slots=True)
class Prepared:
    """What lies ready: subjects in their environments, server programs by the server's name.

    ``failed``: subjects whose environment cannot be made, with the problem.
    """

    subjects: Sequence[Ready]
    binaries: Mapping[str, ServerBinary]
    failed: Mapping[str, SlotproofError]


def prepare(options: ChaosOptions, subjects: Mapping[str, Subject]) -> Prepared:
    """Make environments and fetch servers, cached. Raises EnvironmentProblem without a server."""
    found: list[Ready] = []
    failed: dict[str, SlotproofError] = {}
    with ThreadPoolExecutor(4, thread_name_prefix="prepare") as pool:
        programs = {n: pool.submit(embedded.binary, spec.find(n)) for n in options.servers}
        made = {n: pool.submit(ready, subjects[n]) for n in options.subjects}
        for name, job in made.items():
            try:
                found.append(job.result())
            except SlotproofError as problem:
                failed[name] = problem
        binaries = {name: job.result() for name, job in programs.items()}
    return Prepared(found, binaries, failed)


def run(
    options: ChaosOptions,
    prepared: Prepared,
    *,
    keep: Path | None = None,
    say: Tell,
    on_progress: Tell,
) -> Iterator[Block]:
    """Yield each server's scenarios as they are through, one that was cut short too.

    ``keep``: a folder that gets what writers and probe told and the servers' logs, one folder an
    outage. ``say``: lines worth keeping; ``on_progress``: what is going on right now. Raises
    EnvironmentProblem.
    """
    runner = _Runner(options, prepared, keep, say, on_progress)
    for server in options.servers:
        for scenario in options.scenarios:
            observed: list[Observed] = []
            try:
                for number in range(1, options.runs + 1):
                    observed.append(runner.outage(server, scenario, number))
            except BaseException:
                # Interrupted, or the environment failed: what has been seen was seen.
                if observed:
                    yield Block(server, scenario, tuple(observed))
                raise
            yield Block(server, scenario, tuple(observed))


@dataclass(frozen=True, slots=True)
class _Runner:
    options: ChaosOptions
    prepared: Prepared
    keep: Path | None
    say: Tell
    on_progress: Tell

    def outage(self, server: str, scenario: str, number: int) -> Observed:
        """Observe one outage, however often the servers spoil it."""
        head = f"{server} {scenario} {number}/{self.options.runs}"
        last = ""
        for attempt in range(ATTEMPTS):
            with cache.staging() as folder:
                try:
                    observed = outage.observe(
                        SCENARIOS[scenario],
                        self.prepared.subjects,
                        self.prepared.binaries[server],
                        self.options.conditions,
                        folder,
                        on_progress=lambda text: self.on_progress(f"{head}: {text}"),
                    )
                except Void as void:
                    last = str(void)
                    self.say(f"{head}: void, trying again: {void}")
                else:
                    self.say(f"{head}: {render.one_line(observed)}")
                    return observed
                finally:
                    _keep(folder, self.keep, f"{server}-{scenario}-{number}", attempt)
        raise EnvironmentProblem(
            f"observing {scenario} on {server}",
            f"{ATTEMPTS} attempts were void; the last: {last}",
            "try again on a quieter machine, or with a longer --node-timeout",
        )


def _keep(folder: Path, keep: Path | None, name: str, attempt: int) -> None:
    """Copy what writers and probe told, and the servers' logs."""
    if keep is None:
        return
    target = keep / (f"{name}.{attempt}" if attempt else name)
    try:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix in {".jsonl", ".log"}:
                copy = target / path.relative_to(folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
    except OSError as error:
        raise cache.disk_problem(f"keeping the timelines in {target}", error) from error


def held_by_default(options: ChaosOptions, subjects: Mapping[str, Subject]) -> Sequence[str]:
    """Return the subjects of a run that a gate holds to the bars unless told otherwise."""
    return [name for name in options.subjects if not subjects[name].reference]
