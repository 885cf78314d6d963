"""Reads a server's own view of itself and of its cluster (INFO, CLUSTER NODES)."""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Mapping
from dataclasses import dataclass

from slotproof.inject.slotproof_resp import RespConnection

SLOTS = 16384


@dataclass(frozen=True, slots=True)
class Peer:
    """One line of CLUSTER NODES (https://valkey.io/commands/cluster-nodes/).

    ``slots`` counts the slots the node owns and ``first_slot`` is the lowest of them, or None.
    ``linked`` is the state of the cluster-bus link from the node that was asked.
    """

    id: str
    host: str
    port: int
    flags: frozenset[str]
    primary_id: str | None
    linked: bool
    slots: int
    first_slot: int | None

    @property
    def is_primary(self) -> bool:
        """True for a node that the asked node takes for a primary."""
        return "master" in self.flags


def slot_of(key: str) -> int:
    """Return the slot of a key: CRC16 (XMODEM) of its hash tag, or of all of it, modulo 16384."""
    start = key.find("{")
    end = key.find("}", start + 1) if start >= 0 else -1
    tagged = key[start + 1 : end] if end > start + 1 else key
    return crc_hqx(tagged.encode(), 0) % SLOTS


def key_in(slot: int) -> str:
    """Return a key that hashes to ``slot``, under a name no suite uses."""
    number = 0
    while slot_of(key := f"slotproof-canary-{number}") != slot:
        number += 1
    return key


def parse_info(text: str) -> Mapping[str, str]:
    """Parse ``field:value`` lines, as INFO and CLUSTER INFO send them."""
    lines = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
    return {name: value.strip() for name, colon, value in lines if colon}


def parse_nodes(text: str) -> tuple[Peer, ...]:
    """Parse the reply of CLUSTER NODES; slots in migration (``[93-<-id]``) are not counted."""
    peers = []
    for line in text.splitlines():
        id_, where, flags, primary, _ping, _pong, _epoch, link, *owned = line.split()
        host, _, port = where.split("@")[0].rpartition(":")
        ranges = [r.split("-") for r in owned if not r.startswith("[")]
        peers.append(
            Peer(
                id=id_,
                host=host,
                port=int(port),
                flags=frozenset(flags.split(",")),
                primary_id=None if primary == "-" else primary,
                linked=link == "connected",
                slots=sum(int(r[-1]) - int(r[0]) + 1 for r in ranges),
                first_slot=min((int(r[0]) for r in ranges), default=None),
            )
        )
    return tuple(peers)


def info(connection: RespConnection, section: str) -> Mapping[str, str]:
    """Return one section of INFO. Raises OSError and RespError."""
    return parse_info(connection.text("INFO", section))


def product_and_version(server: Mapping[str, str]) -> tuple[str, str]:
    """Return ``("valkey", "8.1.8")`` from INFO's server section.

    Valkey reports ``redis_version`` 7.2.4 for old clients' sake, so its own field comes first.
    """
    if "valkey_version" in server:
        return "valkey", server["valkey_version"]
    return server.get("server_name", "redis"), server.get("redis_version", "unknown")


def mode(server: Mapping[str, str]) -> str:
    """Return ``standalone``, ``cluster`` or ``sentinel`` from INFO's server section.

    Valkey calls the field ``server_mode`` unless it is told to pose as Redis.
    """
    return server.get("server_mode") or server.get("redis_mode") or "standalone"
