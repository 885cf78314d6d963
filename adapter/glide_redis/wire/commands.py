"""What is known of commands beforehand: which replies GLIDE must not convert, nor see in RESP3.

All functions take a command's arguments, its name among them, in any letter case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

CORE = frozenset(
    b"""
    ACL APPEND ASKING AUTH BGREWRITEAOF BGSAVE BITCOUNT BITFIELD BITFIELD_RO BITOP BITPOS BLMOVE
    BLMPOP BLPOP BRPOP BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN CLIENT CLUSTER CLUSTERSCAN COMMAND
    COMMANDLOG CONFIG COPY DBSIZE DEBUG DECR DECRBY DEL DELIFEQ DISCARD DUMP ECHO EVAL EVALSHA
    EVALSHA_RO EVAL_RO EXEC EXISTS EXPIRE EXPIREAT EXPIRETIME FAILOVER FCALL FCALL_RO FLUSHALL
    FLUSHDB FUNCTION GEOADD GEODIST GEOHASH GEOPOS GEORADIUS GEORADIUSBYMEMBER
    GEORADIUSBYMEMBER_RO GEORADIUS_RO GEOSEARCH GEOSEARCHSTORE GET GETBIT GETDEL GETEX GETRANGE
    GETSET HDEL HELLO HEXISTS HEXPIRE HEXPIREAT HEXPIRETIME HGET HGETALL HGETDEL HGETEX HINCRBY
    HINCRBYFLOAT HKEYS HLEN HMGET HMSET HPERSIST HPEXPIRE HPEXPIREAT HPEXPIRETIME HPTTL HRANDFIELD
    HSCAN HSET HSETEX HSETNX HSTRLEN HTTL HVALS INCR INCRBY INCRBYFLOAT INFO KEYS LASTSAVE LATENCY
    LCS LINDEX LINSERT LLEN LMOVE LMPOP LOLWUT LPOP LPOS LPUSH LPUSHX LRANGE LREM LSET LTRIM
    MEMORY MGET MIGRATE MODULE MONITOR MOVE MSET MSETEX MSETNX MULTI OBJECT PERSIST PEXPIRE
    PEXPIREAT PEXPIRETIME PFADD PFCOUNT PFDEBUG PFMERGE PFSELFTEST PING PSETEX PSUBSCRIBE PSYNC
    PTTL PUBLISH PUBSUB PUNSUBSCRIBE QUIT RANDOMKEY READONLY READWRITE RENAME RENAMENX REPLCONF
    REPLICAOF RESET RESTORE RESTORE-ASKING ROLE RPOP RPOPLPUSH RPUSH RPUSHX SADD SAVE SCAN SCARD
    SCRIPT SDIFF SDIFFSTORE SELECT SET SETBIT SETEX SETNX SETRANGE SHUTDOWN SINTER SINTERCARD
    SINTERSTORE SISMEMBER SLAVEOF SLOWLOG SMEMBERS SMISMEMBER SMOVE SORT SORT_RO SPOP SPUBLISH
    SRANDMEMBER SREM SSCAN SSUBSCRIBE STRLEN SUBSCRIBE SUBSTR SUNION SUNIONSTORE SUNSUBSCRIBE
    SWAPDB SYNC TIME TOUCH TTL TYPE UNLINK UNSUBSCRIBE UNWATCH VADD VCARD VDIM VEMB VGETATTR VINFO
    VISMEMBER VLINKS VRANDMEMBER VREM VSETATTR VSIM WAIT WAITAOF WATCH XACK XACKDEL XADD
    XAUTOCLAIM XCLAIM XDEL XDELEX XGROUP XINFO XLEN XPENDING XRANGE XREAD XREADGROUP XREVRANGE
    XSETID XTRIM ZADD ZCARD ZCOUNT ZDIFF ZDIFFSTORE ZINCRBY ZINTER ZINTERCARD ZINTERSTORE
    ZLEXCOUNT ZMPOP ZMSCORE ZPOPMAX ZPOPMIN ZRANDMEMBER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE
    ZRANGESTORE ZRANK ZREM ZREMRANGEBYLEX ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREVRANGE
    ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE ZUNION ZUNIONSTORE
    """.split()
)
"""The commands (containers without their subcommands) of Valkey 8.1 and 9.1 and Redis 8.2."""

_ANYTHING = frozenset({b"EVAL", b"EVALSHA", b"EVAL_RO", b"EVALSHA_RO", b"FCALL", b"FCALL_RO"})
"""Commands whose reply a script decides."""

_NESTING = _ANYTHING | {b"EXEC"}
"""Commands whose reply may hold errors among other values."""


def may_return_big_number(args: Sequence[bytes]) -> bool:
    """Whether the reply may be one that aborts the process if it is sent in RESP3.

    GLIDE 2.6.0 has no value for RESP3's big numbers and attributes; it panics, which ends the
    process. Scripts, functions, DEBUG PROTOCOL and commands of modules can send them, so such
    commands belong on a RESP2 connection. EXEC answers for the commands before it: ask for each.
    """
    name = args[0].upper()
    return name in _ANYTHING or name == b"DEBUG" or name not in CORE


def may_hold_errors(args: Sequence[bytes]) -> bool:
    """Whether the reply may be an array (or map, or set) with errors in it.

    GLIDE reports the first of them as the error of the whole command, and the other replies are
    lost, unless the command is sent in a batch that does not raise.
    """
    return args[0].upper() in _NESTING


def needs_raw(args: Sequence[bytes]) -> bool:
    """Whether GLIDE would spoil the reply so that nothing restores it, or fail, or abort.

    Above all, GLIDE looks for options anywhere among the arguments, so that a key called
    ``withscores`` makes it expect scores. A transaction of one command helps, since GLIDE hands
    out EXEC's array as it came; it must not be sent on a connection that watches keys, because
    EXEC ends the watching. In a batch without it, such a command makes the whole batch fail. None
    of these commands blocks. ``differences.DIFFERENCES`` says what GLIDE does with each.
    """
    check = _SPOILED.get(args[0].upper())
    return check is not None and check(args)


def _always(args: Sequence[bytes]) -> bool:  # noqa: ARG001
    return True


def _mistaken(option: bytes, at: int) -> Callable[[Sequence[bytes]], bool]:
    """Check whether a word occurs among the arguments, but not where options stand.

    ``at``: the index from which on they do.
    """

    def check(args: Sequence[bytes]) -> bool:
        upper = [arg.upper() for arg in args]
        return option in upper and option not in upper[at:]

    return check


def _mistaken_after_keys(option: bytes) -> Callable[[Sequence[bytes]], bool]:
    """The same for ``ZUNION numkeys key ... [options]``."""

    def check(args: Sequence[bytes]) -> bool:
        upper = [arg.upper() for arg in args]
        if option not in upper:
            return False
        keys = args[1]
        return not keys.isdigit() or option not in upper[2 + int(keys) :]

    return check


def _mistaken_place(args: Sequence[bytes]) -> bool:
    """The same for ``GEOSEARCH key FROMMEMBER member ... [options]``."""
    upper = [arg.upper() for arg in args]
    options = upper[2:]
    if b"FROMMEMBER" in options:
        member = options.index(b"FROMMEMBER") + 1
        options[member : member + 1] = []
    return _PLACE.isdisjoint(options) and not _PLACE.isdisjoint(upper)


def _full(args: Sequence[bytes]) -> bool:
    """Check ``XINFO STREAM full``; XINFO's other subcommands have no such option."""
    return [arg.upper() for arg in args[1:]] == [b"STREAM", b"FULL"]


def _claims(args: Sequence[bytes]) -> bool:
    """Check ``XREADGROUP GROUP group consumer ... CLAIM ... STREAMS``, unless it blocks."""
    options = [arg.upper() for arg in args[4:]]
    if b"STREAMS" in options:
        del options[options.index(b"STREAMS") :]
    return b"CLAIM" in options and b"BLOCK" not in options


_PLACE = frozenset({b"WITHCOORD", b"WITHDIST", b"WITHHASH"})
_SPOILED: dict[bytes, Callable[[Sequence[bytes]], bool]] = {
    b"FT.AGGREGATE": _always,
    b"FT.CURSOR": _always,
    b"FT.HYBRID": _always,
    b"FT.INFO": _always,
    b"FT.PROFILE": _always,
    b"FT.SEARCH": _always,
    b"FT._ALIASLIST": _always,
    b"GEOSEARCH": _mistaken_place,
    b"HRANDFIELD": _mistaken(b"WITHVALUES", at=3),
    b"LCS": _mistaken(b"IDX", at=3),
    b"LOLWUT": _always,
    b"XCLAIM": _mistaken(b"JUSTID", at=5),
    b"XINFO": _full,
    b"XREADGROUP": _claims,
    b"ZDIFF": _mistaken_after_keys(b"WITHSCORES"),
    b"ZINTER": _mistaken_after_keys(b"WITHSCORES"),
    b"ZRANDMEMBER": _mistaken(b"WITHSCORES", at=3),
    b"ZRANGE": _mistaken(b"WITHSCORES", at=4),
    b"ZRANK": _mistaken(b"WITHSCORE", at=3),
    b"ZREVRANK": _mistaken(b"WITHSCORE", at=3),
    b"ZUNION": _mistaken_after_keys(b"WITHSCORES"),
}
