"""Random commands over few keys of all types: as calls of redis-py's methods."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

KEYS: dict[str, list[Any]] = {
    "string": ["string", b"bytes\x00\xff\r\n"],
    "bits": ["bits"],
    "number": ["number", "float"],
    "list": ["list", "count"],
    "set": ["set", "members"],
    "zset": ["zset", "withscores"],
    "hash": ["hash", "withvalues"],
    "stream": ["stream", "block"],
    "hll": ["hll", "pf"],
    "geo": ["geo", "withcoord"],
}
"""By the type that most commands give them. Some are spelled like options of commands."""

_ANY_KEY = st.sampled_from([key for keys in KEYS.values() for key in keys])


@dataclass(frozen=True)
class Step:
    """A call of a method of the client's or the pipeline's."""

    method: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        words = [
            *map(repr, self.args),
            *(f"{name}={value!r}" for name, value in self.kwargs.items()),
        ]
        return f"{self.method}({', '.join(words)})"


@dataclass(frozen=True)
class Batch:
    """A pipeline of calls. ``watched``: a key that is watched before, if it is a transaction."""

    steps: tuple[Step, ...]
    atomic: bool
    raising: bool
    watched: Any = None


def _key(kind: str) -> st.SearchStrategy[Any]:
    """Return a key that is likely to hold a value of that type."""
    own = st.sampled_from(KEYS[kind])
    return st.one_of(own, own, own, own, own, _ANY_KEY)


_WORDS = [b"", "text", "withscores", "NX", "incr", "k\u00e4se", "1", "-5", "3.25", "inf", "*", "a"]
VALUE = st.one_of(
    st.sampled_from(_WORDS),
    st.integers(-300, 300),
    st.floats(allow_nan=False, width=32),
    st.binary(max_size=9),
    st.just(b"x" * 3000),
)
MEMBER = st.sampled_from(["a", "b", "c", "withscores", "1", b"\xff\x00", "", "incr"])
FIELD = st.sampled_from(["f", "g", "withvalues", b"\xfe", "", "7"])
SCORE = st.one_of(
    st.integers(-5, 5),
    st.sampled_from([0.1, -2.5, 1e30, 1e-9, float("inf"), float("-inf"), 3.0000000001, 1 / 3]),
    st.floats(allow_nan=False),
)
INDEX = st.integers(-4, 4)
SMALL = st.integers(0, 4)
FLAG = st.booleans()
LATER = st.sampled_from([4_000_000_000, 4_000_000_001, 5_000_000_000])
EARLIER = st.sampled_from([1, 1_000_000_000])
BOUND = st.sampled_from(["-inf", "+inf", "(1", "0", 2, "x", "-", "+", "[b", "(c"])
LEX = st.sampled_from(["-", "+", "[a", "(b", "[c", "x"])
ID = st.sampled_from(["1-1", "1-2", "2-0", "5-5", "0-0", "x", "1"])
GROUP = st.sampled_from(["g", "h", "justid"])
CONSUMER = st.sampled_from(["c", "justid"])
LONGITUDE, LATITUDE = st.floats(-180, 180), st.floats(-85, 85)
PLACE = st.sampled_from(["Palermo", "Catania", "withdist"])


def call(method: str, *args: st.SearchStrategy[Any], **kwargs: Any) -> st.SearchStrategy[Step]:
    """Return calls of a method; keyword arguments are left out at times."""
    return st.builds(
        Step,
        st.just(method),
        st.tuples(*args),
        st.fixed_dictionaries({}, optional=kwargs) if kwargs else st.just({}),
    )


def spread(method: str, *args: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    """Return calls of a method whose last argument is a list to be spread."""
    return st.builds(lambda drawn: Step(method, (*drawn[:-1], *drawn[-1])), st.tuples(*args))


def some(strategy: st.SearchStrategy[Any], least: int = 1) -> st.SearchStrategy[list[Any]]:
    return st.lists(strategy, min_size=least, max_size=3)


def pairs(keys: st.SearchStrategy[Any], values: st.SearchStrategy[Any]) -> Any:
    return st.dictionaries(keys, values, min_size=1, max_size=3)


string, bits, number = _key("string"), _key("bits"), _key("number")
list_, set_, zset, hash_ = _key("list"), _key("set"), _key("zset"), _key("hash")
stream, hll, geo = _key("stream"), _key("hll"), _key("geo")

STRINGS = [
    call("set", string, VALUE),
    call("set", string, VALUE, nx=FLAG, xx=FLAG, get=FLAG, keepttl=FLAG),
    call("set", string, VALUE, exat=LATER),
    call("get", string),
    call("get", _ANY_KEY),
    call("getdel", string),
    call("getex", string, exat=LATER, persist=FLAG),
    call("getset", string, VALUE),
    call("setnx", string, VALUE),
    call("setrange", string, st.integers(-1, 9), VALUE),
    call("getrange", string, INDEX, INDEX),
    call("substr", string, INDEX, INDEX),
    call("append", string, VALUE),
    call("strlen", string),
    call("incr", number),
    call("incrby", number, st.integers(-9, 9)),
    call("decr", number),
    call("decrby", number, SMALL),
    call("incrbyfloat", number, st.sampled_from([0.5, -1.25, 1e10, 3, 0.1])),
    call("mget", some(string)),
    call("mset", pairs(string, VALUE)),
    call("msetnx", pairs(string, VALUE)),
    call("lcs", string, string, len=FLAG, idx=FLAG, withmatchlen=FLAG),
    call("setbit", bits, st.integers(0, 40), st.integers(0, 1)),
    call("getbit", bits, st.integers(0, 40)),
    call("bitcount", bits),
    call("bitcount", bits, INDEX, INDEX, mode=st.sampled_from(["BIT", "BYTE"])),
    call("bitpos", bits, st.integers(0, 1), start=INDEX),
    call("bitop", st.sampled_from(["AND", "OR", "XOR"]), bits, bits, bits),
    call("bitfield_ro", bits, st.just("u4"), st.integers(0, 8)),
]
LISTS = [
    spread("rpush", list_, some(VALUE)),
    spread("lpush", list_, some(VALUE)),
    spread("rpushx", list_, some(VALUE)),
    spread("lpushx", list_, some(VALUE)),
    call("lpop", list_),
    call("rpop", list_),
    call("lpop", list_, count=SMALL),
    call("rpop", list_, count=SMALL),
    call("lrange", list_, INDEX, INDEX),
    call("lrange", list_, st.just(0), st.just(-1)),
    call("llen", list_),
    call("lindex", list_, INDEX),
    call("lset", list_, INDEX, VALUE),
    call("lrem", list_, INDEX, VALUE),
    call("ltrim", list_, INDEX, INDEX),
    call("linsert", list_, st.sampled_from(["BEFORE", "after", "x"]), VALUE, VALUE),
    call("lpos", list_, VALUE, count=SMALL, rank=INDEX),
    call("lmove", list_, list_, st.sampled_from(["LEFT", "RIGHT"])),
    call("rpoplpush", list_, list_),
    call("lmpop", st.just(2), list_, list_, direction=st.just("LEFT"), count=SMALL),
    call("blpop", some(list_), st.just(0.001)),
    call("brpop", some(list_), st.just(0.001)),
    call("sort", list_, alpha=st.just(True), desc=FLAG),
    call("sort", list_, start=SMALL, num=SMALL),
]
SETS = [
    spread("sadd", set_, some(MEMBER)),
    spread("srem", set_, some(MEMBER)),
    call("smembers", set_),
    call("scard", set_),
    call("sismember", set_, MEMBER),
    call("smismember", set_, some(MEMBER)),
    call("smove", set_, set_, MEMBER),
    call("spop", set_, st.just(99)),
    call("srandmember", set_, st.just(99)),
    call("sinter", set_, set_),
    call("sunion", some(set_)),
    call("sdiff", set_, set_),
    call("sinterstore", set_, set_, set_),
    call("sintercard", st.just(2), st.lists(set_, min_size=2, max_size=2), limit=SMALL),
    call("sscan", set_, count=st.just(999)),
]
SORTED_SETS = [
    call("zadd", zset, pairs(MEMBER, SCORE)),
    call("zadd", zset, pairs(MEMBER, SCORE), nx=FLAG, ch=FLAG),
    call("zadd", zset, pairs(MEMBER, SCORE), xx=FLAG, gt=FLAG, lt=FLAG, ch=FLAG),
    call("zadd", zset, st.dictionaries(MEMBER, SCORE, min_size=1, max_size=1), incr=FLAG),
    spread("zrem", zset, some(MEMBER)),
    call("zscore", zset, MEMBER),
    call("zmscore", zset, some(MEMBER)),
    call("zincrby", zset, st.sampled_from([1, 0.1, -2.5, 1e20]), MEMBER),
    call("zcard", zset),
    call("zcount", zset, BOUND, BOUND),
    call("zlexcount", zset, LEX, LEX),
    call("zrank", zset, MEMBER),
    call("zrank", zset, MEMBER, withscore=FLAG),
    call("zrevrank", zset, MEMBER, withscore=FLAG),
    call("zrange", zset, INDEX, INDEX, withscores=FLAG, desc=FLAG),
    call("zrange", zset, st.just(0), st.just(-1), withscores=FLAG),
    call("zrange", zset, BOUND, BOUND, byscore=st.just(True), withscores=FLAG),
    call("zrange", zset, LEX, LEX, bylex=st.just(True)),
    call("zrangebyscore", zset, BOUND, BOUND, withscores=FLAG),
    call("zrevrange", zset, INDEX, INDEX, withscores=FLAG),
    call("zrevrangebyscore", zset, BOUND, BOUND, withscores=FLAG),
    call("zrangebylex", zset, LEX, LEX),
    call("zrangestore", zset, zset, INDEX, INDEX),
    call("zpopmin", zset),
    call("zpopmin", zset, count=SMALL),
    call("zpopmax", zset, count=SMALL),
    call("zmpop", st.just(2), st.lists(zset, min_size=2, max_size=2), min=st.just(True)),
    call("bzpopmin", some(zset), st.just(0.001)),
    call("zunion", some(zset), withscores=FLAG),
    call("zinter", st.lists(zset, min_size=2, max_size=2), withscores=FLAG),
    call("zdiff", st.lists(zset, min_size=2, max_size=2), withscores=FLAG),
    call("zunionstore", zset, some(zset), aggregate=st.sampled_from(["MIN", "MAX", "SUM"])),
    call("zintercard", st.just(2), st.lists(zset, min_size=2, max_size=2)),
    call("zremrangebyrank", zset, INDEX, INDEX),
    call("zremrangebyscore", zset, BOUND, BOUND),
    call("zremrangebylex", zset, LEX, LEX),
    call("zrandmember", zset, st.just(99), withscores=FLAG),
    call("zscan", zset, count=st.just(999)),
]
HASHES = [
    call("hset", hash_, FIELD, VALUE),
    call("hset", hash_, mapping=pairs(FIELD, VALUE)),
    call("hsetnx", hash_, FIELD, VALUE),
    call("hget", hash_, FIELD),
    call("hmget", hash_, some(FIELD)),
    call("hgetall", hash_),
    spread("hdel", hash_, some(FIELD)),
    call("hexists", hash_, FIELD),
    call("hincrby", hash_, FIELD, st.integers(-9, 9)),
    call("hincrbyfloat", hash_, FIELD, st.sampled_from([0.5, -1.25, 1e10, 0.1])),
    call("hkeys", hash_),
    call("hvals", hash_),
    call("hlen", hash_),
    call("hstrlen", hash_, FIELD),
    call("hrandfield", hash_, st.just(99), withvalues=FLAG),
    call("hscan", hash_, count=st.just(999), no_values=FLAG),
]
STREAMS = [
    call("xadd", stream, pairs(FIELD, VALUE), ID),
    call("xadd", stream, pairs(FIELD, VALUE), ID, maxlen=SMALL, approximate=FLAG),
    call("xlen", stream),
    call("xrange", stream, count=SMALL),
    call("xrevrange", stream),
    call("xrange", stream, ID, ID),
    spread("xdel", stream, some(ID)),
    call("xtrim", stream, maxlen=SMALL, approximate=FLAG),
    call("xread", st.dictionaries(stream, ID, min_size=1, max_size=2), count=SMALL),
    call("xgroup_create", stream, GROUP, id=ID, mkstream=FLAG),
    call("xgroup_destroy", stream, GROUP),
    call("xgroup_createconsumer", stream, GROUP, CONSUMER),
    call("xgroup_delconsumer", stream, GROUP, CONSUMER),
    call("xgroup_setid", stream, GROUP, ID),
    call(
        "xreadgroup", GROUP, CONSUMER, st.dictionaries(stream, st.just(">"), min_size=1, max_size=2)
    ),
    call("xreadgroup", GROUP, CONSUMER, st.dictionaries(stream, ID, min_size=1, max_size=1)),
    spread("xack", stream, st.builds(lambda group, ids: [group, *ids], GROUP, some(ID))),
    call("xclaim", stream, GROUP, CONSUMER, st.just(0), some(ID), justid=FLAG, force=FLAG),
    call("xautoclaim", stream, GROUP, CONSUMER, st.just(0), start_id=ID, justid=FLAG),
    call("xpending", stream, GROUP),
    call("xinfo_groups", stream),
]
OTHERS = [
    spread("pfadd", hll, some(VALUE)),
    call("pfcount", hll),
    call("pfmerge", hll, hll, hll),
    call("geoadd", geo, st.tuples(LONGITUDE, LATITUDE, PLACE)),
    call("geopos", geo, PLACE, PLACE),
    call("geodist", geo, PLACE, PLACE, unit=st.sampled_from(["m", "km", "mi"])),
    call("geohash", geo, PLACE),
    call(
        "geosearch",
        geo,
        member=PLACE,
        radius=st.just(30_000),
        unit=st.just("km"),
        withcoord=FLAG,
        withdist=FLAG,
        withhash=FLAG,
        sort=st.just("ASC"),
    ),
    call("geosearchstore", geo, geo, member=PLACE, radius=st.just(99), unit=st.just("km")),
    spread("delete", st.lists(_ANY_KEY, max_size=3)),
    spread("unlink", some(_ANY_KEY)),
    spread("exists", some(_ANY_KEY)),
    spread("touch", some(_ANY_KEY)),
    call("type", _ANY_KEY),
    call("expireat", _ANY_KEY, LATER, nx=FLAG, gt=FLAG),
    call("expireat", _ANY_KEY, EARLIER),
    call("pexpireat", _ANY_KEY, LATER.map(lambda seconds: seconds * 1000)),
    call("expiretime", _ANY_KEY),
    call("pexpiretime", _ANY_KEY),
    call("persist", _ANY_KEY),
    call("rename", _ANY_KEY, _ANY_KEY),
    call("renamenx", _ANY_KEY, _ANY_KEY),
    call("copy", _ANY_KEY, _ANY_KEY, replace=FLAG),
    call("object", st.just("ENCODING"), _ANY_KEY),
    call("keys"),
    call("dbsize"),
    call("eval", st.just("return {KEYS, ARGV}"), st.just(1), _ANY_KEY, VALUE),
    call("eval", st.just("return redis.call('GET', KEYS[1])"), st.just(1), _ANY_KEY),
    call(
        "eval",
        st.just("return {1, redis.pcall('INCR', KEYS[1]), redis.pcall('LLEN', KEYS[2])}"),
        st.just(2),
        _ANY_KEY,
        _ANY_KEY,
    ),
    call("eval", st.just("return redis.error_reply('MY own')"), st.just(0)),
    call("evalsha", st.just("f" * 40), st.just(1), _ANY_KEY),
    call("echo", VALUE),
    call("publish", _ANY_KEY, VALUE),
]
_NAMES = """
APPEND BITCOUNT BITFIELD BITOP BITPOS COPY DECR DECRBY DEL DUMP ECHO EVAL EVALSHA EXISTS EXPIREAT
EXPIRETIME GEOADD GEODIST GEOHASH GEOPOS GEOSEARCH GET GETBIT GETDEL GETEX GETRANGE GETSET HDEL
HEXISTS HGET HGETALL HINCRBY HINCRBYFLOAT HKEYS HLEN HMGET HMSET HSCAN HSET HSETNX HSTRLEN HVALS
INCR INCRBY INCRBYFLOAT LCS LINDEX LINSERT LLEN LMOVE LMPOP LPOP LPOS LPUSH LPUSHX LRANGE LREM LSET
LTRIM MGET MSET MSETNX OBJECT PERSIST PEXPIREAT PFADD PFCOUNT PFMERGE PSETEX RENAME RENAMENX RPOP
RPOPLPUSH RPUSH RPUSHX SADD SCARD SDIFF SDIFFSTORE SET SETBIT SETEX SETNX SETRANGE SINTER
SINTERCARD SINTERSTORE SISMEMBER SMEMBERS SMISMEMBER SMOVE SORT SREM SSCAN STRLEN SUBSTR SUNION
SUNIONSTORE TOUCH TYPE UNLINK XACK XADD XDEL XGROUP XLEN XRANGE XREAD XREADGROUP XREVRANGE XTRIM
ZADD ZCARD ZCOUNT ZDIFF ZINCRBY ZINTER ZINTERCARD ZLEXCOUNT ZMPOP ZMSCORE ZPOPMAX ZPOPMIN ZRANGE
ZRANGEBYLEX ZRANGEBYSCORE ZRANK ZREM ZREMRANGEBYLEX ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREVRANGE
ZREVRANK ZSCAN ZSCORE ZUNION ZUNIONSTORE NOSUCHCOMMAND get lpush hgetall
"""
ANYTHING = st.builds(
    lambda name, args: Step("execute_command", (name, *args)),
    st.sampled_from(_NAMES.split()),
    st.lists(st.one_of(_ANY_KEY, VALUE, SMALL), max_size=4),
)
"""Commands with any arguments, most of which are wrong."""

STEP = st.one_of(
    *(st.one_of(*group) for group in (STRINGS, LISTS, SETS, SORTED_SETS, HASHES, STREAMS, OTHERS)),
    ANYTHING,
)
BATCH = st.builds(
    Batch,
    st.lists(STEP, min_size=1, max_size=5).map(tuple),
    st.booleans(),
    st.booleans(),
    st.one_of(st.none(), st.none(), _ANY_KEY),
)
HISTORY = st.lists(st.one_of(STEP, STEP, STEP, STEP, STEP, BATCH), min_size=1, max_size=14)
"""What is done in one example."""
