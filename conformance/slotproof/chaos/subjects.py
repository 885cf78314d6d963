"""Who writes: every installed client that knows clusters, and GLIDE without an adapter.

Each gets an environment of its own, made from its lock alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slotproof.clients import plugin
from slotproof.clients.plugin import Client
from slotproof.environments import environment
from slotproof.inject import __file__ as inject_init
from slotproof.model import Topology
from slotproof.runner.prepare import client_version

GLIDE = "glide-typed"
REFERENCES = frozenset({"valkey-py"})


@dataclass(frozen=True, slots=True)
class Subject:
    """A client to write through.

    ``driver``: as ``chaos.worker`` takes it. ``client``: how it is installed, and what makes
    ``import redis`` give it. ``reference``: reported for comparison; a gate does not hold it to
    the bars unless it is asked to.
    """

    client: Client
    driver: str = "redis"
    reference: bool = False

    @property
    def name(self) -> str:
        """The client's name."""
        return self.client.name

    @property
    def path(self) -> tuple[str, ...]:
        """Folders that the bootstrap needs on its module path."""
        if self.client.bootstrap is None:
            return ()
        return (str(self.client.bootstrap_dir or Path(inject_init).parent),)


@dataclass(frozen=True, slots=True)
class Ready:
    """A subject with the interpreter of its environment. ``version``: names what it runs."""

    subject: Subject
    python: Path
    version: str


def load_all() -> Mapping[str, Subject]:
    """Return every subject by name, the control first."""
    found = {
        client.name: Subject(client, reference=client.control or client.name in REFERENCES)
        for client in plugin.load_all().values()
        if Topology.CLUSTER in client.topologies
    }
    plain = Client(
        name=GLIDE,
        title="GLIDE's own synchronous API",
        # The very GLIDE that the adapter is built on: what differs is the adapter's doing.
        lock=plugin.shipped_lock("glide-redis"),
        bootstrap=None,
        bootstrap_dir=None,
        connects_from=(),
        names=("valkey-glide-sync",),
    )
    return {**found, GLIDE: Subject(plain, driver="glide", reference=True)}


def control_of(subjects: Mapping[str, Subject]) -> str:
    """Return the name of the subject that others are compared with."""
    return next(name for name, subject in subjects.items() if subject.client.control)


def ready(subject: Subject) -> Ready:
    """Return the subject with its environment, made when it is not cached.

    Raises EnvironmentProblem, UsageProblem (see ``environments.environment``).
    """
    client = subject.client
    if client.missing is not None:
        raise client.missing
    made = environment(
        [client.lock],
        label=client.name,
        projects=client.projects,
        build_lock=client.build_lock,
    )
    return Ready(subject, made.python, client_version(client, made))
