"""The configuration file of a server, and the last lines of its log."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from slotproof.errors import UsageProblem
from slotproof.model import Topology

_LOG_LINES = 12

# What makes a server quick to start, quick to stop and leave nothing on disk; `config` overrides.
_DEFAULTS: Mapping[str, str] = {
    "save": "",
    "appendonly": "no",
    "daemonize": "no",
    "protected-mode": "no",
    "logfile": "",
    "shutdown-timeout": "0",
    "repl-diskless-sync": "yes",
    "repl-diskless-sync-delay": "0",
}
_CLUSTER_DEFAULTS: Mapping[str, str] = {
    "cluster-enabled": "yes",
    "cluster-config-file": "nodes.conf",
    # Long enough for a busy machine not to take a slow node for a dead one.
    "cluster-node-timeout": "5000",
    "cluster-allow-replica-migration": "no",
}


def render(
    topology: Topology, *, host: str, port: int, bus_port: int, config: Mapping[str, str]
) -> str:
    """Return the text of a configuration file; ``config`` overrides whatever it names.

    ``bus_port`` counts for a cluster only.
    """
    settings = {"bind": host, "port": str(port), **_DEFAULTS}
    if topology is Topology.CLUSTER:
        settings |= {**_CLUSTER_DEFAULTS, "cluster-port": str(bus_port)}
    lines = (f"{key} {value or chr(34) * 2}\n" for key, value in {**settings, **config}.items())
    return "".join(lines)


def check(config: Mapping[str, str]) -> None:
    """Raise UsageProblem unless every entry is one directive on one line."""
    for key, value in config.items():
        if not re.fullmatch(r"[a-z][a-z0-9-]*", key) or "\n" in value or "\r" in value:
            raise UsageProblem(
                "reading the servers' configuration",
                f"{key!r} = {value!r} is not one directive of a configuration file",
                "give a directive's name and its value on one line",
            )


def check_ports(ports: Sequence[int] | None, count: int) -> None:
    """Raise UsageProblem unless ``ports`` is None or ``count`` different ports."""
    if ports is not None and (len(ports) != count or len(set(ports)) != count):
        raise UsageProblem(
            "choosing the servers' ports",
            f"{len(ports)} ports ({', '.join(map(str, ports))}) for {count} servers",
            f"give {count} different ports, or none to have them picked",
        )


def tail(log: str) -> str:
    """Return the last lines of a log, indented to stand in a message."""
    lines = [f"    {line}" for line in log.splitlines()[-_LOG_LINES:]]
    return "\n".join(lines) or "    (empty log)"
