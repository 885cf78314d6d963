"""Reads back from the settled cluster how often each write was applied."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence

from slotproof.chaos.worker import increments, key_of
from slotproof.errors import EnvironmentProblem
from slotproof.inject.slotproof_resp import RespConnection, RespError
from slotproof.servers.state import slot_of

_AT_A_TIME = 500
_POLL_SECONDS = 0.1
_REPLY_SECONDS = 5.0


def applied(write: str, number: int, value: bytes | None) -> int:
    """Return how often write ``number`` was applied, by what its key holds now."""
    if value is None:
        return 0
    if increments(write, number):
        return int(value) if value.isdigit() else 0
    return int(value == str(number).encode())


def owners(witness: RespConnection) -> list[tuple[int, int, tuple[str, int]]]:
    """Return (first slot, last slot, address of the primary) as ``witness`` sees it."""
    shards = witness.call("CLUSTER", "SLOTS")
    found = []
    for shard in shards if isinstance(shards, list) else ():
        match shard:
            case [int(first), int(last), [bytes(host), int(port), *_], *_]:
                found.append((first, last, (host.decode(), port)))
    return found


def read_back(
    witness: tuple[str, int],
    subject: str,
    tags: Sequence[str],
    write: str,
    numbers: int,
    *,
    seconds: float = 20.0,
) -> Mapping[int, int]:
    """Return how often each of the writes 0 to ``numbers`` - 1 was applied.

    ``witness``: a primary that the fault left alone, asked where the slots are now. Raises
    EnvironmentProblem when the slots cannot be read within ``seconds``.
    """
    by_tag: dict[str, list[int]] = defaultdict(list)
    for number in range(numbers):
        by_tag[key_of("", list(tags), number).partition("}")[0][1:]].append(number)
    deadline = time.monotonic() + seconds
    while True:
        try:
            return _read(witness, subject, tags, write, by_tag)
        except (OSError, RespError) as error:
            # A node that was frozen learns what happened to it, a new owner gets around.
            if time.monotonic() > deadline:
                raise EnvironmentProblem(
                    "reading back what was written",
                    f"the slots cannot be read {seconds:g} s after the fault: {error}",
                    "try again on a quieter machine, or with a longer --node-timeout",
                ) from error
        time.sleep(_POLL_SECONDS)


def _read(
    witness: tuple[str, int],
    subject: str,
    tags: Sequence[str],
    write: str,
    by_tag: Mapping[str, Sequence[int]],
) -> Mapping[int, int]:
    with RespConnection(*witness, timeout=_REPLY_SECONDS) as connection:
        shards = owners(connection)
    stored: dict[int, int] = {}
    for tag, numbers in by_tag.items():
        slot = slot_of(f"{{{tag}}}")
        owner = next((at for first, last, at in shards if first <= slot <= last), None)
        if owner is None:
            raise RespError(f"ERR slot {slot} has no owner")
        with RespConnection(*owner, timeout=_REPLY_SECONDS) as connection:
            for start in range(0, len(numbers), _AT_A_TIME):
                part = numbers[start : start + _AT_A_TIME]
                values = connection.call("MGET", *(key_of(subject, list(tags), n) for n in part))
                if not isinstance(values, list):
                    raise RespError(f"ERR MGET gave {values!r}")
                for number, value in zip(part, values, strict=True):
                    held = value if isinstance(value, bytes) else None
                    stored[number] = applied(write, number, held)
    return stored
