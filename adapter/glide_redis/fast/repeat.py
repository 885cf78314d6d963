"""Which commands may be sent again when nobody knows whether they were executed."""

from __future__ import annotations

from collections.abc import Sequence

_READS = """
BITCOUNT BITPOS EXISTS EXPIRETIME GET GETBIT GETRANGE DUMP HEXISTS HGET HGETALL HKEYS HLEN HMGET
HSTRLEN HVALS LINDEX LLEN LPOS LRANGE PEXPIRETIME PFCOUNT PTTL SCARD SISMEMBER SMEMBERS
SMISMEMBER SRANDMEMBER STRLEN SUBSTR TOUCH TTL TYPE XLEN ZCARD ZCOUNT ZLEXCOUNT ZRANK ZREVRANK
ZSCORE EVAL_RO EVALSHA_RO
"""
_SETTING = """
DEL HDEL HMSET HSET LSET PERSIST PFADD PSETEX SADD SETBIT SETEX SETRANGE SREM UNLINK XACK XDEL ZREM
ZREMRANGEBYLEX ZREMRANGEBYSCORE
"""
_REPEATABLE = frozenset(f"{_READS} {_SETTING}".split())
_CONDITIONAL = frozenset({"SET", "ZADD", "EXPIRE", "EXPIREAT", "PEXPIRE", "PEXPIREAT"})
_CONDITIONS = frozenset({"NX", "XX", "GET", "IFEQ", "GT", "LT", "INCR", "CH"})


def repeatable(args: Sequence[object]) -> bool:
    """True when executing the command twice leaves the data as executing it once does.

    The reply may tell of the second time (DEL answers 0 for what the first one deleted); conditions
    are excluded, since they would be judged on what the first one left.
    """
    name = args[0]
    if name in _REPEATABLE:
        return True
    return name in _CONDITIONAL and not any(map(_is_condition, args[2:]))


def _is_condition(arg: object) -> bool:
    if isinstance(arg, bytes):
        return arg.upper().decode("latin-1") in _CONDITIONS
    return isinstance(arg, str) and arg.upper() in _CONDITIONS
