"""What is measured: installed client plug-ins, GLIDE itself, and a raw socket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from slotproof import names
from slotproof.bench.cases import CONTROL
from slotproof.bench.scenarios import Family, Scenario
from slotproof.clients import plugin
from slotproof.clients.plugin import Client, shipped_lock
from slotproof.environments import Environment, environment
from slotproof.errors import SlotproofError
from slotproof.model import Topology

GLIDE_TYPED = "glide-typed"
GLIDE_FFI = "glide-ffi"
RAW_SOCKET = "raw-socket"

_DRIVERS = "slotproof_bench_worker"
_CALLS = frozenset({Family.SINGLE, Family.THREADS, Family.PIPELINE})


@dataclass(frozen=True, slots=True)
class Subject:
    """One participant of the benchmark; its worker imports ``driver`` and nothing else of ours.

    ``name``: the ``client`` of its figures, whose parameters get ``parameters`` as well.
    ``requirements``, ``projects``, ``build_lock``: as ``environments.environment`` takes them.
    ``requires``: facts that its worker must find on a live connection, or nothing is measured.
    ``path``: a folder in which the worker finds the driver, if that is not one of ours.
    ``missing``: why it cannot run here.
    """

    name: str
    title: str
    driver: str
    requirements: tuple[str, ...] = ()
    projects: tuple[Path, ...] = ()
    build_lock: str = ""
    bootstrap: str | None = None
    bootstrap_dir: Path | None = None
    path: Path | None = None
    missing: SlotproofError | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    requires: Mapping[str, str] = field(default_factory=dict)
    families: frozenset[Family] = frozenset(Family)

    def environment(self) -> Environment:
        """Return its environment, made when it is not cached.

        Raises as ``environments.environment`` does, and what is ``missing``.
        """
        if self.missing is not None:
            raise self.missing
        return environment(
            self.requirements,
            label=f"the benchmark of {self.name}",
            projects=self.projects,
            build_lock=self.build_lock,
        )

    def measures(self, scenario: Scenario) -> bool:
        """Whether the scenario means anything for it."""
        return scenario.family in self.families


def load_all() -> Mapping[str, Subject]:
    """Return every subject there is, by name: the control first, the raw socket last.

    Every client plug-in for clusters is one. Raises UsageProblem for a broken plug-in.
    """
    clients = [c for c in plugin.load_all().values() if Topology.CLUSTER in c.topologies]
    control = next(c for c in clients if c.name == CONTROL)
    found = [_control(control)]
    found += [_client(client) for client in clients if client is not control]
    glide = (shipped_lock("glide-redis"),)
    found += [
        Subject(GLIDE_TYPED, "plain GLIDE, typed", f"{_DRIVERS}.glide_typed", glide),
        Subject(
            GLIDE_FFI,
            "GLIDE, cheapest FFI",
            f"{_DRIVERS}.glide_ffi",
            glide,
            families=_CALLS,
        ),
        Subject(
            RAW_SOCKET,
            "raw socket, the limit",
            f"{_DRIVERS}.raw_socket",
            found[0].requirements,  # it needs none of them, but an environment holds something
            families=_CALLS | {Family.PUBSUB},
        ),
    ]
    return {subject.name: subject for subject in found}


def choose(words: Iterable[str], known: Mapping[str, Subject]) -> tuple[Subject, ...]:
    """Return the subjects called by name, all for no word; the control is always among them.

    Raises UsageProblem with a suggestion for an unknown word.
    """
    wanted = set(words)
    names.check("subject", sorted(wanted), known)
    return tuple(s for s in known.values() if not wanted or s.name in {*wanted, CONTROL})


def _control(client: Client) -> Subject:
    # The parser that redis-py's users install for speed; its own Python parser is half as fast.
    return Subject(
        client.name,
        "redis-py + hiredis",
        f"{_DRIVERS}.redis_api",
        (client.lock, shipped_lock("hiredis")),
        parameters={"parser": "hiredis"},
        requires={"parser": "hiredis"},
    )


def _client(client: Client) -> Subject:
    return Subject(
        client.name,
        client.title,
        f"{_DRIVERS}.redis_api",
        (client.lock,),
        projects=client.projects,
        build_lock=client.build_lock,
        missing=client.missing,
        bootstrap=client.bootstrap,
        bootstrap_dir=client.bootstrap_dir,
    )
