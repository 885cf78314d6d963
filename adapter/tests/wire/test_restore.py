"""Each command that GLIDE converts, and its neighbours: a raw socket and GLIDE say the same."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from glide_redis.native.values import Pairs, Refusal, Refused, Value
from glide_redis.wire.encode import encode
from glide_redis.wire.restore import _RESTORERS, restore, restorer

HASH = "HSET h f 1 g 2 \xff \x00"
SETS = "SADD s a b \xff 1|SADD t a c"
SCORES = "ZADD z 1 a 1.5 b 1e30 c -inf d 0.1 e 3 f|ZADD y 2 a 1e-7 x"
PLACES = "GEOADD g 13.361389 38.115556 a 15.087269 37.502669 b 0 0 c"
STREAM = "XADD s 1-1 f v g w|XADD s 1-2 f v f v|XADD s 2-0 \xff \x00"
PENDING = (
    STREAM + "|XGROUP CREATE s gr 0|XREADGROUP GROUP gr al COUNT 2 STREAMS s >"
    "|XREADGROUP GROUP gr bo STREAMS s >"
)
JUSTID = STREAM + "|XGROUP CREATE s justid 0|XREADGROUP GROUP justid a STREAMS s >"
LIBRARY = (
    "#!lua name=lib\nredis.register_function('f1', function() return 1 end)\n"
    "redis.register_function{function_name='f2', callback=function() return 1 end, "
    "flags={'no-writes'}, description='d'}"
)

# Commands before (separated by a bar) → commands, each of which is asked in that state.
CASES = {
    "": """
        SETNX k 1 | EXISTS k | TTL k | PING | ECHO \xff | NOPE | NOPE a b | SELECT 1 | GET n
        PFADD p a | PFADD p | MSETNX a 1 b 2 | HSETNX h f 1 | ZADD incr 1 a | ZADD k 1 incr
        ZADD incr INCR 1 a | INCRBYFLOAT f -1e-5 | INCRBYFLOAT f 1e20 | INCRBYFLOAT f x
        SCRIPT EXISTS abc def | script exists abc | SCRIPT FLUSH | SCRIPT
        PUBSUB NUMSUB a b | PUBSUB NUMSUB | PUBSUB SHARDNUMSUB a | PUBSUB CHANNELS | PUBSUB NUMPAT
        CONFIG GET maxmemory* | CONFIG GET nonesuch | CONFIG GET save | CONFIG
        CLIENT TRACKINGINFO | CLIENT GETNAME | FUNCTION STATS | FUNCTION LIST | MODULE LIST
        LOLWUT | LOLWUT VERSION 6 1 1 | ACL GETUSER default | ACL LOG
        COMMAND INFO get nonesuch | COMMAND DOCS get | COMMAND GETKEYSANDFLAGS SET a b
        MEMORY DOCTOR | MEMORY STATS | MEMORY USAGE n | LATENCY LATEST | LATENCY DOCTOR
        XREAD STREAMS n 0 | XREAD BLOCK 10 STREAMS n 0 | XINFO STREAM n | XINFO GROUPS n
        BLPOP n 0.01 | BLMPOP 0.01 1 n LEFT | BZMPOP 0.01 1 n MIN | BZPOPMIN n 0.01
        LMPOP 1 n LEFT | LPOP n 2 | GEOPOS n a | GEODIST n a b | LCS n m | LCS n m IDX
        GEOSEARCH n FROMLONLAT 15 37 BYRADIUS 200 km WITHDIST | SPOP n | SPOP n 2 | SMEMBERS n
        ZRANGE n 0 -1 WITHSCORES | ZPOPMAX n | ZPOPMIN n 3 | ZMPOP 1 n MIN | ZSCORE n n
        ZMSCORE n a | ZRANK n n WITHSCORE | ZRANDMEMBER n 10 WITHSCORES | ZRANDMEMBER withscores
        HGETALL n | HRANDFIELD n | HRANDFIELD n 3 WITHVALUES | HRANDFIELD withvalues | XRANGE n - +
        MULTI | EXEC | DISCARD | ZRANGE | ZUNION | ZDIFF x withscores | XCLAIM justid | XINFO
        """,
    "SET k v|SET l v": """
        EXPIRE k 10 | EXPIRE n 10 | EXPIRE k 10 NX | EXPIREAT k 9999999999 | PEXPIRE k 10000
        PEXPIREAT k 9999999999999 | PERSIST k | RENAMENX k m | RENAMENX k l | MOVE k 1 | MOVE n 1
        COPY k c | COPY n c | COPY k l | MSETNX a 1 k 2 | EXPIRE k a | EXPIRE k | HGETALL k
        SMEMBERS k | ZADD k 1 a | ZADD k INCR 1 a | XRANGE k - + | SISMEMBER k a | LPUSH k a
        """,
    "SET k v EX 100": "PERSIST k",
    "PFADD p a": "PFADD p a | PFADD p b | PFCOUNT p",
    "SCRIPT LOAD return": "SCRIPT EXISTS 63143b6f8007b98c53ca2149822777b3566f9241 x",
    "SET a ohmytext|SET b mynewtext": """
        LCS a b | LCS a b LEN | LCS a b IDX | LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN
        """,
    "SET a ohmytext|SET idx mynewtext": "LCS a idx | LCS a idx idx | LCS idx a LEN",
    "SET f 10.50": "INCRBYFLOAT f 0.1",
    "SET f 3.0e3": "INCRBYFLOAT f 200",
    HASH: """
        HEXISTS h f | HEXISTS h n | HSETNX h f 1 | HSETNX h n 1 | HGETALL h | HRANDFIELD h 3
        HRANDFIELD h 3 WITHVALUES | HRANDFIELD h -3 withvalues | HRANDFIELD h 0 WITHVALUES
        HINCRBYFLOAT h f 1.5 | HINCRBYFLOAT h f 1 | HINCRBYFLOAT h n 1e-5 | HKEYS h | HMGET h f n
        HSCAN h 0
        """,
    "HSET withvalues f 1 g 02": """
        HRANDFIELD withvalues | HRANDFIELD withvalues 2 | HRANDFIELD withvalues 5 withvalues
        """,
    SETS: """
        SISMEMBER s a | SISMEMBER s n | SMISMEMBER s a n | SMOVE s t a | SMOVE s t n | SMEMBERS s
        SINTER s t | SDIFF s t | SUNION s t | SINTER n t | SPOP s 10 | SPOP s 0 | SRANDMEMBER s 10
        SINTERCARD 2 s t | SSCAN s 0
        """,
    "FUNCTION STATS|FUNCTION LOAD " + LIBRARY: """
        FUNCTION LIST | FUNCTION LIST WITHCODE | FUNCTION LIST LIBRARYNAME nope | FUNCTION STATS
        FCALL f1 0
        """,
    SCORES: """
        ZADD z 5 a | ZADD z INCR 5 a | ZADD z NX INCR 1 a | ZADD z XX CH INCR 1 a | ZADD z CH 7 a
        ZADD z 1 incr | ZADD z gt ch 1 INCR 2 m | ZINCRBY z 0.1 a | ZINCRBY z 1 n | ZSCORE z a
        ZSCORE z d | ZSCORE z c | ZSCORE z n | ZMSCORE z a n d e | ZRANGE z 0 -1
        ZRANGE z 0 -1 WITHSCORES | ZRANGE z 0 -1 REV withscores | ZREVRANGE z 0 -1 WITHSCORES
        ZRANGE z -inf +inf BYSCORE LIMIT 0 2 WITHSCORES | ZRANGEBYSCORE z -inf +inf WITHSCORES
        ZPOPMIN z | ZPOPMAX z | ZPOPMIN z 2 | ZPOPMIN z 0 | ZPOPMAX z 1 | ZMPOP 2 n z MIN
        ZMPOP 2 n z MAX COUNT 3 | BZMPOP 0 1 z MIN COUNT 2 | BZPOPMIN z 0 | BZPOPMAX n z 0
        ZRANDMEMBER z | ZRANDMEMBER z 10 | ZRANDMEMBER z 10 WITHSCORES | ZRANDMEMBER z 0 WITHSCORES
        ZDIFF 2 z y | ZDIFF 2 z y WITHSCORES | ZUNION 2 z y | ZINTER 2 z y | ZINTER 2 z n WITHSCORES
        ZUNION 2 z y WEIGHTS 2 3 AGGREGATE MAX WITHSCORES | ZINTER 2 z y WITHSCORES | ZRANK z b
        ZRANK z b WITHSCORE | ZREVRANK z b withscore | ZRANK z n WITHSCORE | ZRANK z withscore
        ZINTERCARD 2 z y | ZSCAN z 0 | ZUNION 2 z withscores WITHSCORES
        """,
    "ZADD withscores 1 1 2 02": """
        ZRANGE withscores 0 -1 | ZRANDMEMBER withscores 2 | ZUNION 1 withscores
        ZINTER 1 withscores | ZDIFF 1 withscores | ZDIFF 1 withscores withscores
        ZRANGE withscores 0 -1 WITHSCORES
        """,
    "ZADD withscore 1 1 2 02|ZADD z 1 withscore": """
        ZRANK withscore 1 | ZREVRANK z withscore | ZREVRANK z withscore withscore
        """,
    "RPUSH l a b \xff d": """
        LMPOP 1 l LEFT | LMPOP 2 n l RIGHT COUNT 3 | BLMPOP 0 1 l LEFT COUNT 5 | BLPOP l 0
        LRANGE l 0 -1 | LPOS l a COUNT 0 | LPOP l 2
        """,
    PLACES: """
        GEOPOS g a b n c | GEOPOS g | GEODIST g a b | GEODIST g a b km | GEODIST g a a
        GEODIST g a n | GEOHASH g a n | GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 2000 km ASC
        GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km ASC WITHDIST
        GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 20000 km ASC WITHCOORD
        GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km ASC withhash
        GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHCOORD WITHDIST WITHHASH
        GEOSEARCH g FROMLONLAT 100 37 BYRADIUS 200 m WITHDIST
        GEORADIUS g 15 37 200 km WITHDIST WITHCOORD WITHHASH | GEORADIUSBYMEMBER g a 200 km WITHDIST
        GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 200 km
        """,
    "GEOADD withdist 13.3 38.1 a 13.4 38.1 withcoord": """
        GEOSEARCH withdist FROMMEMBER a BYRADIUS 200 km
        GEOSEARCH withdist FROMMEMBER withcoord BYRADIUS 200 km DESC
        GEOSEARCH withdist FROMMEMBER withcoord BYRADIUS 200 km ASC WITHDIST
        """,
    STREAM: """
        XRANGE s - + | XRANGE s 1-2 + | XREVRANGE s + - COUNT 1 | XREAD STREAMS s 0
        XREAD COUNT 1 STREAMS s n 0 0 | XREAD STREAMS s 9 | XREAD BLOCK 0 STREAMS s 0
        XINFO STREAM s | XINFO STREAM s FULL | XINFO GROUPS s | XADD n NOMKSTREAM * a b
        XGROUP CREATE s g 0 | XGROUP CREATECONSUMER s g c | XGROUP DESTROY s g | XDEL s 1-1
        """,
    "XADD s 1-1 f v|XDEL s 1-1": "XINFO STREAM s | XINFO STREAM s FULL | XRANGE s - +",
    "XADD full 1-1 a b|XGROUP CREATE full full 0": """
        XINFO STREAM full | XINFO STREAM full FULL | XINFO GROUPS full | XINFO CONSUMERS full full
        """,
    PENDING: """
        XGROUP CREATECONSUMER s gr new | XGROUP CREATECONSUMER s gr al | XGROUP DESTROY s gr
        XGROUP DESTROY s no | XGROUP SETID s gr 0 | XGROUP DELCONSUMER s gr al | XINFO GROUPS s
        XINFO CONSUMERS s gr | XINFO STREAM s FULL | XINFO STREAM s FULL COUNT 1 | XPENDING s gr
        XPENDING s gr - + 10 | XCLAIM s gr al 0 1-1 1-2 | XCLAIM s gr bo 0 1-1 JUSTID
        XCLAIM s gr bo 99999999 1-1 | XAUTOCLAIM s gr bo 0 0 | XAUTOCLAIM s gr bo 0 0 COUNT 1
        XAUTOCLAIM s gr bo 0 0 JUSTID | XAUTOCLAIM s gr bo 9999999 0
        XREADGROUP GROUP gr al STREAMS s 0 | XREADGROUP GROUP gr al STREAMS s >
        XREADGROUP GROUP gr new STREAMS s 0 | XREADGROUP GROUP no al STREAMS s >
        """,
    PENDING + "|XDEL s 1-1": """
        XREADGROUP GROUP gr al STREAMS s 0 | XAUTOCLAIM s gr bo 0 0 | XCLAIM s gr bo 0 1-1 1-2
        XAUTOCLAIM s gr bo 0 0 JUSTID | XCLAIM s gr bo 0 1-1 JUSTID | XINFO STREAM s FULL
        """,
    JUSTID: """
        XCLAIM s justid b 0 1-1 | XCLAIM s justid b 0 1-1 JUSTID | XAUTOCLAIM s justid b 0 0
        XGROUP CREATECONSUMER s justid x
        """,
    "SET a 1|SELECT 1|SET b 1|SELECT 0": "MEMORY STATS | MEMORY USAGE a",
    "MULTI": """
        HGETALL h | ZADD z INCR 1 a | EXPIRE a 1 | ZRANGE z 0 -1 WITHSCORES | XRANGE z - +
        INCRBYFLOAT f 1 | SMEMBERS f | SMISMEMBER f a | FUNCTION STATS | HRANDFIELD h 2 WITHVALUES
        XCLAIM s gr bo 0 1-1 JUSTID | LMPOP 1 l LEFT | ZMSCORE z a | MEMORY STATS | GEOPOS g a
        """,
}
CASES_OF_ONE = [
    (before, command.strip())
    for before, block in CASES.items()
    for line in block.strip().splitlines()
    for command in line.split(" | ")
]

# Whose replies name times, sizes or a choice of the server's.
LOOSE = {
    "LOLWUT",
    "XINFO",
    "XPENDING",
    "MEMORY",
    "ACL",
    "ZRANDMEMBER",
    "HRANDFIELD",
    "SPOP",
    "SRANDMEMBER",
}
CLEAN = ("DISCARD", "SELECT 0", "FLUSHALL")
CODE = ("SCRIPT FLUSH", "FUNCTION FLUSH")


def words(line: str) -> list[bytes]:
    """The arguments of a command; code of a library is one of them."""
    limit = 2 if line.startswith("FUNCTION LOAD") else -1
    return [word.encode("latin-1") for word in line.split(" ", limit)]


def prepare(ask: Callable[..., object], before: str) -> None:
    clean = (*CLEAN, *CODE) if "SCRIPT" in before or "FUNCTION" in before else CLEAN
    for line in (*clean, *filter(None, before.split("|"))):
        try:
            ask(*words(line))
        except Refused:
            assert line == "DISCARD"


@pytest.mark.parametrize(
    ("before", "command"), CASES_OF_ONE, ids=[command for _, command in CASES_OF_ONE]
)
def test_the_reply_is_the_servers(
    sides: SimpleNamespace,
    tree: Callable[..., Any],
    parse: Callable[..., Any],
    before: str,
    command: str,
) -> None:
    args = words(command)
    loose = command.split(" ", maxsplit=1)[0] in LOOSE and not before.startswith("MULTI")

    prepare(sides.wire, before)
    expected = sides.wire(*args)
    prepare(sides.glide.value, before)
    found = sides.glide(*args)

    assert tree(found, loose) == tree(expected, loose)
    if not loose:
        assert parse(found, sides.protocol) == parse(expected, sides.protocol)


def test_what_exec_answers_needs_no_restoring(
    sides: SimpleNamespace, tree: Callable[..., Any]
) -> None:
    queued = """
        HSET h a b | ZADD z 1.5 a | ZRANGE z 0 -1 WITHSCORES | HGETALL h | EXPIRE h 9 | SADD s a
        SMEMBERS s | XADD x 1-1 a b | XRANGE x - + | INCRBYFLOAT f 1 | ZADD withscore 1 a
        ZRANK withscore a | GEOADD g 1 1 a | GEODIST g a a
        """
    replies = []
    for ask in (sides.wire, sides.glide.value):
        prepare(ask, "MULTI")
        for line in queued.strip().splitlines():
            for command in line.strip().split(" | "):
                ask(*words(command))
        replies.append(ask(b"EXEC"))

    expected, value = replies

    assert tree(encode(restore([b"EXEC"], value, sides.protocol), sides.protocol)) == tree(expected)


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize(
    ("command", "value", "restored"),
    [
        # No server of the tests has these commands: shapes from GLIDE's own source.
        ("DELIFEQ k v", True, 1),
        ("JSON.TOGGLE k $.a", [True, False, None], [1, 0, None]),
        ("JSON.TOGGLE k .a", True, b"true"),
        ("JSON.TOGGLE k .a", False, b"false"),
        ("PUBSUB SHARDNUMSUB c", Pairs([(b"c", 1)]), [b"c", 1]),
    ],
)
def test_commands_that_the_server_of_the_tests_lacks(
    command: str, value: Value, restored: Value, protocol: int
) -> None:
    assert restore(words(command), value, protocol) == restored


@pytest.mark.parametrize("value", [b"QUEUED", Refusal("ERR: x"), None, 7, [b"a"]])
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("name", sorted(_RESTORERS))
def test_another_shape_than_the_commands_own_is_left_alone(
    name: bytes, protocol: int, value: Value
) -> None:
    assert restore([name, b"EXISTS", b"x"], value, protocol) == value


def test_a_restorer_is_known_before_the_reply() -> None:
    args = [b"expire", b"k", b"1"]
    found = restorer(args[0], args)

    assert found is not None
    assert found(args, True, 3) == 1


@pytest.mark.parametrize("command", ["GET k", "HGETALL h", "SCRIPT LOAD x", "NOPE", "SCRIPT"])
def test_no_restorer_for_replies_that_need_none(command: str) -> None:
    assert restorer(words(command)[0], words(command)) is None
