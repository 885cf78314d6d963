"""GLIDE's conversion of replies, undone.

GLIDE reshapes the replies of some commands, by their names and options and whatever the protocol
(``expected_type_for_cmd`` and ``convert_to_expected_type`` in glide-core 2.6.0). Most of that needs
no undoing here, since a map, a set or a double is written in RESP2 as the server would have sent
it: HGETALL, CONFIG GET, SMEMBERS, ZSCORE, XINFO, FUNCTION LIST and others. The table has the rest.

Only direct replies of one node belong here. GLIDE does not convert what is in the array of EXEC,
unless the transaction is one of its own (an atomic batch).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeGuard

from glide_redis.native.values import Pairs, Value
from glide_redis.wire.commands import may_hold_errors, may_return_big_number, needs_raw
from glide_redis.wire.numbers import coordinate, distance, plain

__all__ = [
    "Restorer",
    "may_hold_errors",
    "may_return_big_number",
    "needs_raw",
    "restore",
    "restorer",
]

Restorer: TypeAlias = Callable[[Sequence[bytes], Value, int], Value]
"""Arguments (name included), GLIDE's value, protocol (2 or 3) → the value as the server sent it."""


def restore(args: Sequence[bytes], value: Value, protocol: int) -> Value:
    """The reply to one command, as one node sent it in that protocol, in the generic terms of
    ``encode``: Pairs are maps, Members sets and floats doubles, as far as the protocol has them.

    A reply of another shape than the command's own, such as QUEUED, is returned as it is.
    """
    found = _RESTORERS.get(args[0].upper())
    return value if found is None else found(args, value, protocol)


def restorer(name: bytes, args: Sequence[bytes]) -> Restorer | None:
    """What ``restore`` would call for the command, or None if its replies are as the server's.

    ``args`` are the command's arguments, ``name`` among them.
    """
    found = _RESTORERS.get(name.upper())
    if found is _script and not _is(args, b"EXISTS"):
        return None
    return found


def _is_array(value: Value) -> TypeGuard[list[Value]]:
    """Whether it is an array and no map or set."""
    return type(value) is list


def _is(args: Sequence[bytes], subcommand: bytes) -> bool:
    return len(args) > 1 and args[1].upper() == subcommand


def _integer(args: Sequence[bytes], value: Value, protocol: int) -> Value:  # noqa: ARG001
    """GLIDE: 0 and 1 → boolean."""
    return int(value) if isinstance(value, bool) else value


def _integers(args: Sequence[bytes], value: Value, protocol: int) -> Value:  # noqa: ARG001
    """GLIDE: zeros and ones → booleans."""
    if not _is_array(value):
        return value
    return [int(item) if isinstance(item, bool) else item for item in value]


def _script(args: Sequence[bytes], value: Value, protocol: int) -> Value:
    """GLIDE: EXISTS → booleans."""
    return _integers(args, value, protocol) if _is(args, b"EXISTS") else value


def _plain(args: Sequence[bytes], value: Value, protocol: int) -> Value:  # noqa: ARG001
    """GLIDE: bulk string → double. Digits beyond a double's 15 to 17 are gone."""
    return plain(value) if isinstance(value, float) else value


def _distance(args: Sequence[bytes], value: Value, protocol: int) -> Value:  # noqa: ARG001
    """GLIDE: bulk string → double."""
    return distance(value) if isinstance(value, float) else value


def _coordinates(args: Sequence[bytes], value: Value, protocol: int) -> Value:  # noqa: ARG001
    """GLIDE: bulk strings → doubles."""
    if protocol == 3 or not _is_array(value):
        return value
    return [_place(item) for item in value]


def _place(value: Value) -> Value:
    if not _is_array(value):
        return value
    return [coordinate(item) if isinstance(item, float) else item for item in value]


def _geosearch(args: Sequence[bytes], value: Value, protocol: int) -> Value:  # noqa: ARG001
    """GLIDE: [name, distance, hash, place] → [name, [distance, hash, place]], numbers as doubles.

    The distance is a bulk string in both protocols.
    """
    if not _is_array(value):
        return value
    found: list[Value] = []
    for item in value:
        if not _is_array(item) or len(item) != 2 or not _is_array(item[1]):
            return value
        entry: list[Value] = [item[0]]
        for detail in item[1]:
            if isinstance(detail, float):
                entry.append(distance(detail))
            else:
                entry.append(detail if protocol == 3 else _place(detail))
        found.append(entry)
    return found


def _zadd(args: Sequence[bytes], value: Value, protocol: int) -> Value:  # noqa: ARG001
    """GLIDE: bulk string → double with INCR; but a key or member of that name will do for it,
    and then the reply is an integer."""
    if not isinstance(value, float):
        return value
    for arg in args[2:]:
        option = arg.upper()
        if option == b"INCR":
            return value
        if option not in {b"NX", b"XX", b"GT", b"LT", b"CH"}:
            break
    return int(value)


def _scores(args: Sequence[bytes], value: Value, protocol: int) -> Value:  # noqa: ARG001
    """GLIDE: array of members and scores → map. In RESP3 it was an array of pairs."""
    return _two_column(value) if protocol == 3 and isinstance(value, Pairs) else value


def _zpop(args: Sequence[bytes], value: Value, protocol: int) -> Value:
    """GLIDE: as for ZRANGE. Without a count even RESP3 has one flat array."""
    if protocol == 3 and isinstance(value, Pairs):
        return _two_column(value) if len(args) > 2 else _flat(value)
    return value


def _zmpop(args: Sequence[bytes], value: Value, protocol: int) -> Value:  # noqa: ARG001
    """GLIDE: [key, array of pairs] → [key, map]."""
    if _is_array(value) and len(value) == 2 and isinstance(value[1], Pairs):
        return [value[0], _two_column(value[1])]
    return value


def _lmpop(args: Sequence[bytes], value: Value, protocol: int) -> Value:  # noqa: ARG001
    """GLIDE: [key, array] → map."""
    return _flat(value) if isinstance(value, Pairs) else value


def _numsub(args: Sequence[bytes], value: Value, protocol: int) -> Value:  # noqa: ARG001
    """GLIDE: NUMSUB and SHARDNUMSUB, array → map. It is a flat array in RESP3 too."""
    return _flat(value) if isinstance(value, Pairs) else value


def _random_pairs(args: Sequence[bytes], value: Value, protocol: int) -> Value:  # noqa: ARG001
    """GLIDE: flat array → array of pairs."""
    if protocol == 3 or not _is_array(value):
        return value
    return _joined(value)


def _entries(args: Sequence[bytes], value: Value, protocol: int) -> Value:  # noqa: ARG001
    """GLIDE: array of [id, fields and values] → map of id to array of pairs."""
    return _stream(value) if isinstance(value, Pairs) else value


def _claimed(args: Sequence[bytes], value: Value, protocol: int) -> Value:  # noqa: ARG001
    """GLIDE: entries as for XRANGE, between the next id and the deleted ids."""
    if _is_array(value) and len(value) > 1 and isinstance(value[1], Pairs):
        return [value[0], _stream(value[1]), *value[2:]]
    return value


def _streams(args: Sequence[bytes], value: Value, protocol: int) -> Value:  # noqa: ARG001
    """GLIDE: entries as for XRANGE, in a map by stream, which in RESP2 is an array of pairs."""
    if not isinstance(value, Pairs):
        return value
    streams = Pairs(
        (name, _stream(entries) if isinstance(entries, Pairs) else entries)
        for name, entries in value
    )
    return streams if protocol == 3 else _two_column(streams)


def _toggled(args: Sequence[bytes], value: Value, protocol: int) -> Value:
    """GLIDE: zeros, ones and nulls, or "true" and "false" for an old-style path → booleans."""
    if isinstance(value, bool):
        return b"true" if value else b"false"
    return _integers(args, value, protocol)


def _two_column(pairs: Pairs) -> list[Value]:
    return [[key, item] for key, item in pairs]


def _flat(pairs: Pairs) -> list[Value]:
    return [part for pair in pairs for part in pair]


def _stream(entries: Pairs) -> list[Value]:
    """Entries of a stream; a deleted one has null in place of its fields."""
    return [[number, _joined(pairs)] for number, pairs in entries]


def _joined(pairs: Value) -> Value:
    """The pairs of an array, one behind the other."""
    if not _is_array(pairs):
        return pairs
    flat: list[Value] = []
    for pair in pairs:
        if not _is_array(pair):
            return pairs
        flat += pair
    return flat


_RESTORERS: dict[bytes, Restorer] = {
    **dict.fromkeys(
        b"""
        COPY DELIFEQ EXPIRE EXPIREAT HEXISTS HSETNX MOVE MSETNX PERSIST PEXPIRE PEXPIREAT PFADD
        RENAMENX SISMEMBER SMOVE
        """.split(),
        _integer,
    ),
    b"BLMPOP": _lmpop,
    b"BZMPOP": _zmpop,
    b"GEODIST": _distance,
    b"GEOPOS": _coordinates,
    b"GEOSEARCH": _geosearch,
    b"HINCRBYFLOAT": _plain,
    b"HRANDFIELD": _random_pairs,
    b"INCRBYFLOAT": _plain,
    b"JSON.TOGGLE": _toggled,
    b"LMPOP": _lmpop,
    b"PUBSUB": _numsub,
    b"SCRIPT": _script,
    b"SMISMEMBER": _integers,
    b"XAUTOCLAIM": _claimed,
    b"XCLAIM": _entries,
    b"XGROUP": _integer,  # DESTROY and CREATECONSUMER
    b"XRANGE": _entries,
    b"XREAD": _streams,
    b"XREADGROUP": _streams,
    b"XREVRANGE": _entries,
    b"ZADD": _zadd,
    b"ZDIFF": _scores,
    b"ZINTER": _scores,
    b"ZMPOP": _zmpop,
    b"ZPOPMAX": _zpop,
    b"ZPOPMIN": _zpop,
    b"ZRANDMEMBER": _random_pairs,
    b"ZRANGE": _scores,
    b"ZUNION": _scores,
}
