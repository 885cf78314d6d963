"""A client as data, and the entry points by which clients are found.

A distribution offers a client with an entry point of the group ``slotproof.clients`` whose value is
a ``Client``, or a function without arguments that returns one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from slotproof.data import fixtures_dir
from slotproof.errors import EnvironmentProblem, SlotproofError, UsageProblem
from slotproof.model import Topology
from slotproof.names import check

GROUP = "slotproof.clients"


@dataclass(frozen=True, slots=True)
class Client:
    """How to make ``import redis`` give this client, and what it may do.

    ``lock``: text of a hashed requirements file that installs it. ``bootstrap``: name of a module
    imported in every Python process of the tree before anything else, found in ``bootstrap_dir``
    or, when that is None, among slotproof's own; None for a client that is ``redis`` itself.
    ``connects_from``: top-level packages whose code may open connections at the Python level; empty
    for a client with a native core, for which every such connection is foreign. ``control``: the
    column that others are compared with. ``projects``: folders of projects on this disk that are
    built and installed beside the lock, as they are when the run begins, and ``build_lock``: text
    of a hashed requirements file that pins what their build back ends need. ``names``: the projects
    of the lock whose versions name the client's, all when empty. ``missing``: why it cannot run
    here; its cells then are "not run" for that reason.
    """

    name: str
    title: str
    lock: str
    bootstrap: str | None
    bootstrap_dir: Path | None
    connects_from: tuple[str, ...]
    topologies: frozenset[Topology] = frozenset(Topology)
    control: bool = False
    projects: tuple[Path, ...] = ()
    build_lock: str = ""
    names: tuple[str, ...] = ()
    missing: SlotproofError | None = None


def load_all() -> Mapping[str, Client]:
    """Return every installed client by name, controls first.

    Raises UsageProblem naming the entry point that cannot be loaded or is no client.
    """
    found: dict[str, Client] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda p: p.name):
        origin = f"{point.name} = {point.value}"
        try:
            value = point.load()
            client = value if isinstance(value, Client) else value()
        except SlotproofError:
            raise
        except Exception as error:
            raise _broken(origin, repr(error)) from error
        if not isinstance(client, Client):
            raise _broken(origin, f"it gives {type(client).__name__}, not a Client")
        if client.name != point.name:
            raise _broken(origin, f"the client calls itself {client.name!r}")
        found[client.name] = client
    return dict(sorted(found.items(), key=lambda item: (not item[1].control, item[0])))


def get(name: str) -> Client:
    """Return one client. Raises UsageProblem with a suggestion for an unknown name."""
    clients = load_all()
    check("client", [name], clients)
    return clients[name]


def shipped_lock(name: str) -> str:
    """Return the text of one of slotproof's own client locks."""
    path = fixtures_dir() / "clients" / f"{name}.lock"
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise EnvironmentProblem(
            f"reading the requirements of the client {name}", str(error), "reinstall slotproof"
        ) from error


def _broken(origin: str, found: str) -> UsageProblem:
    return UsageProblem(
        f"loading the client of the entry point {origin}",
        found,
        "correct or uninstall the distribution that declares it",
    )
