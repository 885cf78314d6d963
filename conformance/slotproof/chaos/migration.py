"""Moves slots from one primary to another while others write to them.

The steps are those that any tool takes (https://valkey.io/commands/cluster-setslot/): the slot is
marked on both ends, keys move with MIGRATE until none is left, then both ends and everybody else
are told the new owner.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from slotproof.inject.slotproof_resp import RespConnection

KEYS_AT_A_TIME = 10
PAUSE_SECONDS = 0.001
MOVE_MILLISECONDS = 5000


def fill(primary: RespConnection, tags: Sequence[str], keys: int = 200, size: int = 256) -> None:
    """Put ``keys`` keys into each tag's slot, so that moving it takes a while."""
    for tag in tags:
        for number in range(keys):
            primary.call("SET", f"{{{tag}}}:filler:{number}", "x" * size)


def migrate(
    slots: Sequence[int],
    source: RespConnection,
    target: RespConnection,
    others: Sequence[RespConnection] = (),
) -> int:
    """Move ``slots`` one after the other; return the number of keys moved.

    ``others``: further primaries, told at once who owns a slot (replicas hear it from theirs).
    Raises OSError and RespError.
    """
    source_id, target_id = source.text("CLUSTER", "MYID"), target.text("CLUSTER", "MYID")
    moved = 0
    for slot in slots:
        target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        moved += _move_keys(slot, source, target)
        # The target first: while nobody owned the slot, clients would be sent in circles.
        for node in (target, source, *others):
            node.call("CLUSTER", "SETSLOT", slot, "NODE", target_id)
    return moved


def _move_keys(slot: int, source: RespConnection, target: RespConnection) -> int:
    moved = 0
    while True:
        keys = source.call("CLUSTER", "GETKEYSINSLOT", slot, KEYS_AT_A_TIME)
        if not isinstance(keys, list) or not keys:
            return moved
        names = [key for key in keys if isinstance(key, bytes)]
        source.call("MIGRATE", *target.address, "", 0, MOVE_MILLISECONDS, "KEYS", *names)
        moved += len(names)
        # MIGRATE stops the whole server while it runs: real tools leave it time for others.
        time.sleep(PAUSE_SECONDS)
