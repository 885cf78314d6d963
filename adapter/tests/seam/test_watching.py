"""WATCH, MULTI and EXEC through redis-py's pipelines: never a commit on a connection that is gone.

On a standalone server and on the cluster, whose transactions redis-py carries out by other code.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

import glide_redis

KEY = "{watched}key"
OTHER = "{watched}other"
ROUNDS = 50


@pytest.fixture(params=["standalone", "cluster"])
def topology(request: pytest.FixtureRequest) -> Any:
    """One topology after the other."""
    return request.param


@pytest.fixture
def plain(request: pytest.FixtureRequest, topology: str) -> Any:
    """redis-py's own client of the same server or cluster."""
    return request.getfixturevalue("control" if topology == "standalone" else "cluster_control")


@pytest.fixture
def client(
    request: pytest.FixtureRequest, topology: str, plain: Any, protocol: int
) -> Iterator[Any]:
    """The adapter's client, which tries again at once."""
    del plain
    if topology == "standalone":
        running = request.getfixturevalue("server")
        kind: Any = glide_redis.Redis
    else:
        running = request.getfixturevalue("cluster")
        kind = glide_redis.RedisCluster
    with kind(
        host=running.host, port=running.port, protocol=protocol, retry=Retry(NoBackoff(), 3)
    ) as made:
        yield made


@pytest.fixture
def same(request: pytest.FixtureRequest, topology: str, protocol: int) -> Iterator[Any]:
    """redis-py's own client, in the same protocol as the adapter's."""
    running = request.getfixturevalue("server" if topology == "standalone" else "cluster")
    kind: Any = redis.Redis if topology == "standalone" else redis.RedisCluster
    with kind(host=running.host, port=running.port, protocol=protocol) as made:
        yield made


def transaction(client: Any) -> Any:
    return client.pipeline(transaction=True)


def kill_everybody(plain: Any) -> None:
    """End all connections but those of ``plain``."""
    if isinstance(plain, redis.RedisCluster):
        for node in plain.get_primaries():
            plain.client_kill_filter(_type="normal", skipme=True, target_nodes=node)
    else:
        plain.client_kill_filter(_type="normal", skipme=True)


def test_nothing_changed(client: Any, same: Any, plain: Any) -> None:
    found = []
    for one in (same, client):
        plain.flushall()
        plain.set(KEY, 1)
        with transaction(one) as pipe:
            pipe.watch(KEY)
            assert pipe.get(KEY) == b"1"
            pipe.multi()
            pipe.incr(KEY)
            pipe.hset("{watched}hash", "f", "v")
            pipe.hgetall("{watched}hash")
            pipe.zadd("{watched}zset", {"m": 1.5})
            pipe.zscore("{watched}zset", "m")
            found.append(pipe.execute())
        assert plain.get(KEY) == b"2"
    assert found[0] == found[1]


def test_a_change_by_somebody_else(client: Any, plain: Any) -> None:
    with transaction(client) as pipe:
        pipe.watch(KEY)
        plain.set(KEY, "theirs")
        pipe.multi()
        pipe.set(KEY, "ours")
        with pytest.raises(redis.WatchError):
            pipe.execute()
    assert plain.get(KEY) == b"theirs"


def test_a_change_of_ones_own(client: Any, plain: Any) -> None:
    with transaction(client) as pipe:
        pipe.watch(KEY)
        pipe.set(KEY, "before")
        pipe.multi()
        pipe.set(KEY, "ours")
        with pytest.raises(redis.WatchError):
            pipe.execute()
    assert plain.get(KEY) == b"before"


def test_unwatch(client: Any, plain: Any) -> None:
    with transaction(client) as pipe:
        pipe.watch(KEY)
        plain.set(KEY, "theirs")
        pipe.unwatch()
        pipe.set(KEY, "ours")
        pipe.execute()
    assert plain.get(KEY) == b"ours"


def test_leaving_without_executing_ends_the_watch(client: Any, plain: Any) -> None:
    for _ in range(3):
        with transaction(client) as pipe:
            pipe.watch(KEY)
            plain.incr(KEY)
        with transaction(client) as pipe:
            pipe.watch(OTHER)
            pipe.multi()
            pipe.incr(OTHER)
            pipe.execute()
    assert plain.get(OTHER) == b"3"


def test_errors_inside(client: Any, plain: Any) -> None:
    plain.set(KEY, "text")
    with transaction(client) as pipe:
        pipe.watch(KEY)
        pipe.multi()
        pipe.set(OTHER, 1)
        pipe.lpush(KEY, "x")
        pipe.incr(OTHER)
        done = pipe.execute(raise_on_error=False)
    assert done[2] == 2
    assert isinstance(done[1], redis.ResponseError)
    with transaction(client) as pipe:
        pipe.watch(KEY)
        pipe.multi()
        pipe.incr(OTHER)
        pipe.lpush(KEY, "x")
        with pytest.raises(redis.ResponseError, match=r"Command # 2 \(LPUSH .*WRONGTYPE"):
            pipe.execute()
    assert plain.get(OTHER) == b"3"


def test_a_command_that_is_refused_aborts_it(client: Any, plain: Any) -> None:
    plain.set(OTHER, 0)
    with transaction(client) as pipe:
        pipe.watch(KEY)
        pipe.multi()
        pipe.incr(OTHER)
        pipe.execute_command("SET", KEY)
        with pytest.raises(redis.ResponseError, match="wrong number of arguments"):
            pipe.execute()
    assert plain.get(OTHER) == b"0"


def test_scripts_and_maps_in_one_transaction(client: Any, same: Any, plain: Any) -> None:
    plain.hset("{watched}hash", "f", "v")
    plain.zadd("{watched}zset", {"m": 1.5})
    plain.sadd("{watched}set", "m")
    script = ("EVAL", "return {1, ARGV[1], false}", 1, KEY, "argument")
    for watched in (False, True):
        found = []
        for one in (same, client):
            with transaction(one) as pipe:
                if watched:
                    pipe.watch(KEY)
                    pipe.multi()
                pipe.execute_command(*script)
                pipe.hgetall("{watched}hash")
                pipe.execute_command(*script)
                pipe.execute_command(*script)
                pipe.smembers("{watched}set")
                pipe.zscore("{watched}zset", "m")
                pipe.zrange("{watched}zset", 0, -1, withscores=True)
                found.append(pipe.execute())
        assert found[0] == found[1]


def test_the_transaction_helper(client: Any, plain: Any) -> None:
    plain.set(KEY, 1)
    tries: list[int] = []

    def double(pipe: Any) -> None:
        value = int(pipe.get(KEY))
        tries.append(value)
        if len(tries) == 1:
            plain.set(KEY, 5)
        pipe.multi()
        pipe.set(KEY, 2 * value)

    client.transaction(double, KEY)
    assert tries == [1, 5]
    assert plain.get(KEY) == b"10"


@pytest.mark.parametrize("moment", ["after WATCH", "after a read", "after MULTI"])
def test_a_connection_lost_while_watching_raises(client: Any, plain: Any, moment: str) -> None:
    plain.set(KEY, "before")
    with transaction(client) as pipe:
        pipe.watch(KEY)
        if moment == "after WATCH":
            kill_everybody(plain)
        with pytest.raises((redis.WatchError, redis.ConnectionError)):
            pipe.get(KEY)
            if moment == "after a read":
                kill_everybody(plain)
            pipe.multi()
            pipe.set(KEY, "ours")
            if moment == "after MULTI":
                kill_everybody(plain)
            pipe.execute()
    assert plain.get(KEY) == b"before"
    assert client.get(KEY) == b"before"


def test_it_never_commits_blindly(client: Any, plain: Any) -> None:
    """The key changes in every round, and all connections are killed at a random moment."""
    chance = random.Random(0)
    committed = []
    for number in range(ROUNDS):
        plain.set(KEY, number)
        killer = threading.Timer(chance.uniform(0, 0.004), kill_everybody, [plain])
        try:
            with transaction(client) as pipe:
                pipe.watch(KEY)
                if chance.random() < 0.5:
                    killer.start()
                value = pipe.get(KEY)
                plain.set(KEY, "theirs")  # Not reached where the read has failed.
                if killer.ident is None:
                    killer.start()
                pipe.multi()
                pipe.set(KEY, b"ours over " + value)
                pipe.get(KEY)
                pipe.execute()
                committed.append(number)
        except (redis.WatchError, redis.ConnectionError):
            pass
        finally:
            killer.join()
        assert plain.get(KEY) in {b"theirs", b"%d" % number}
    assert committed == []
    assert client.get(KEY) == plain.get(KEY)


def test_transactions_without_a_watch_are_whole_after_lost_connections(
    client: Any, plain: Any
) -> None:
    for _ in range(5):
        kill_everybody(plain)
        # A loss that is noticed in the middle is told, since nobody knows what became of it.
        with suppress(redis.ConnectionError), transaction(client) as pipe:
            pipe.incr(KEY)
            pipe.incr(OTHER)
            first, second = pipe.execute()
            assert first == second
    with transaction(client) as pipe:
        pipe.incr(KEY)
        pipe.incr(OTHER)
        first, second = pipe.execute()
    assert first == second == int(plain.get(KEY)) == int(plain.get(OTHER))
