"""Ports that nobody listens on: picked, or given and checked."""

from __future__ import annotations

import random
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from slotproof.errors import EnvironmentProblem
from slotproof.servers.formation import BUS_OFFSET

# Ports and bus ports (port + 10000) never overlap, and both stay below the range that systems hand
# out to outgoing connections (Linux: 32768 and up), so nobody's can take one in between.
_FIRST, _LAST = 10300, 20299
_HIGHEST = 65535


@dataclass(frozen=True, slots=True)
class Ports:
    """One port and one cluster bus port a node (bus ports are empty-handed for standalone: 0)."""

    ports: tuple[int, ...]
    buses: tuple[int, ...]


def is_free(host: str, port: int) -> bool:
    """True when nobody listens on the port; connections in TIME_WAIT do not count."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free(count: int, host: str, *, bus: bool) -> Ports:
    """Pick ``count`` free ports, each with port + 10000 free as well when ``bus``.

    Raises EnvironmentProblem when the machine has not that many.
    """
    candidates = random.sample(range(_FIRST, _LAST + 1), _LAST - _FIRST + 1)
    chosen: list[int] = []
    for port in candidates:
        if is_free(host, port) and (not bus or is_free(host, port + BUS_OFFSET)):
            chosen.append(port)
            if len(chosen) == count:
                return Ports(tuple(chosen), tuple(p + BUS_OFFSET if bus else 0 for p in chosen))
    raise EnvironmentProblem(
        f"picking {count} free ports on {host}",
        f"only {len(chosen)} between {_FIRST} and {_LAST}",
        "give the address of a local interface as host, or end some servers",
    )


def given(ports: Sequence[int], host: str, *, bus: bool) -> Ports:
    """Check that the given ports are free and find a bus port for each.

    The bus port is port + 10000 where possible, else any free one. Raises EnvironmentProblem
    naming the occupied port.
    """
    for port in ports:
        if not is_free(host, port):
            raise EnvironmentProblem(
                f"starting a server on {host}:{port}",
                "something listens on this port already, or it may not be used",
                "end what listens there, or use other ports (slotproof up --port N)",
            )
    if not bus:
        return Ports(tuple(ports), (0,) * len(ports))
    taken = set(ports)
    buses = []
    for port in ports:
        wanted = port + BUS_OFFSET
        if wanted > _HIGHEST or wanted in taken or not is_free(host, wanted):
            wanted = next(p for p in free(len(taken) + 1, host, bus=False).ports if p not in taken)
        taken.add(wanted)
        buses.append(wanted)
    return Ports(tuple(ports), tuple(buses))


def private_buses(ports: Sequence[int]) -> tuple[int, ...]:
    """Return a bus port for each port, in a network where nothing else listens."""
    taken = set(ports)
    buses = []
    for port in ports:
        candidates = chain(range(port + BUS_OFFSET, _HIGHEST + 1), range(BUS_OFFSET, _HIGHEST))
        bus = next(p for p in candidates if p not in taken)
        taken.add(bus)
        buses.append(bus)
    return tuple(buses)
