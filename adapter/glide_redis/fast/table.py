"""Which commands may take the fast path, and what must be undone in their replies.

A command is here when its reply, once restored, is the same in RESP2 and RESP3, when it holds no
state in the connection and does not block, when all its keys are known at a glance, and when GLIDE
cannot take one of them for an option and spoil the reply (ZRANK).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

from glide_redis.wire.restore import restorer


class Keys(Enum):
    """Where the keys of a command are."""

    FIRST = "the first argument and no other"
    ALL = "all arguments: taken when there is one"
    SCRIPT = "behind their number, the second argument: taken when there is one"


_FIRST = """
APPEND BITCOUNT BITPOS DECR DECRBY GET GETBIT GETDEL GETEX GETRANGE GETSET INCR INCRBY
INCRBYFLOAT PSETEX SET SETBIT SETEX SETNX SETRANGE STRLEN SUBSTR EXPIRE EXPIREAT EXPIRETIME
PERSIST PEXPIRE PEXPIREAT PEXPIRETIME PTTL TTL TYPE DUMP HDEL HEXISTS HGET HGETALL HINCRBY
HINCRBYFLOAT HKEYS HLEN HMGET HMSET HSET HSETNX HSTRLEN HVALS LINDEX LINSERT LLEN LPOP LPOS
LPUSH LPUSHX LRANGE LREM LSET LTRIM RPOP RPUSH RPUSHX SADD SCARD SISMEMBER SMEMBERS SMISMEMBER
SPOP SRANDMEMBER SREM ZADD ZCARD ZCOUNT ZINCRBY ZLEXCOUNT ZREM ZREMRANGEBYLEX
ZREMRANGEBYRANK ZREMRANGEBYSCORE ZSCORE PFADD XACK XADD XDEL XLEN XTRIM
"""
_ALL = """
DEL EXISTS TOUCH UNLINK PFCOUNT
"""
_SCRIPT = """
EVAL EVALSHA EVAL_RO EVALSHA_RO
"""

FAST: Mapping[str, Keys] = (
    dict.fromkeys(_FIRST.split(), Keys.FIRST)
    | dict.fromkeys(_ALL.split(), Keys.ALL)
    | dict.fromkeys(_SCRIPT.split(), Keys.SCRIPT)
)
"""Commands by name, as redis-py writes it: in upper case."""

SCRIPTS = frozenset(_SCRIPT.split())
"""Those whose replies may hold errors: GLIDE reports the first of them as the whole reply."""

RESTORED = frozenset(name for name in FAST if restorer(name.encode(), ()) is not None)
"""Those whose replies GLIDE reshapes in a way that the generic rules do not undo."""


def taken(args: Sequence[object]) -> bool:
    """True when the command may take the fast path with these arguments (name included)."""
    keys = FAST.get(args[0])  # type: ignore[call-overload]
    if keys is Keys.FIRST:
        return len(args) > 1
    if keys is Keys.ALL:
        return len(args) == 2
    return keys is Keys.SCRIPT and len(args) > 3 and args[2] in {1, "1", b"1"}
