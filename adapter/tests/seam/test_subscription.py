"""Pub/sub through redis-py's own PubSub: all kinds of channels, topologies and protocols."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

import glide_redis

PATIENCE = 20.0
QUICK = Retry(NoBackoff(), 3)


def messages(pubsub: Any, count: int, **options: Any) -> list[Any]:
    """Take messages until there are ``count``."""
    found: list[Any] = []
    deadline = time.monotonic() + PATIENCE
    while len(found) < count and time.monotonic() < deadline:
        message = pubsub.get_message(timeout=0.5, **options)
        if message is not None:
            found.append(message)
    return found


def eventually(what: Callable[[], Any]) -> Any:
    """Wait until something is true; return it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("it did not come true")


def made(kind: str, channel: Any, data: Any, pattern: Any = None) -> dict[str, Any]:
    return {"type": kind, "pattern": pattern, "channel": channel, "data": data}


@pytest.fixture
def client(server: Any, control: Any, protocol: int) -> Iterator[Any]:
    """The adapter's client of the standalone server."""
    del control
    with glide_redis.Redis(server.host, server.port, protocol=protocol, retry=QUICK) as opened:
        yield opened


@pytest.fixture
def cluster_client(cluster: Any, cluster_control: Any, protocol: int) -> Iterator[Any]:
    """The adapter's client of the cluster."""
    del cluster_control
    with glide_redis.RedisCluster(
        host=cluster.host, port=cluster.port, protocol=protocol, retry=QUICK
    ) as opened:
        yield opened


@pytest.fixture
def pubsub(client: Any) -> Iterator[Any]:
    with client.pubsub() as opened:
        yield opened


def test_channels(pubsub: Any, control: redis.Redis) -> None:
    pubsub.subscribe("one", "two")
    assert messages(pubsub, 2) == [made("subscribe", b"one", 1), made("subscribe", b"two", 2)]
    assert control.publish("one", b"\x00\xff") == 1
    assert control.publish("two", "") == 1
    assert control.publish("three", "x") == 0
    assert messages(pubsub, 2) == [
        made("message", b"one", b"\x00\xff"),
        made("message", b"two", b""),
    ]
    pubsub.unsubscribe("one")
    assert messages(pubsub, 1) == [made("unsubscribe", b"one", 1)]
    pubsub.unsubscribe()
    assert messages(pubsub, 1) == [made("unsubscribe", b"two", 0)]
    assert not pubsub.subscribed
    assert control.publish("two", "x") == 0


def test_patterns(pubsub: Any, control: redis.Redis) -> None:
    pubsub.psubscribe("n*", "[ab]?")
    assert messages(pubsub, 2) == [made("psubscribe", b"n*", 1), made("psubscribe", b"[ab]?", 2)]
    control.publish("news", "1")
    control.publish("a1", "2")
    assert messages(pubsub, 2) == [
        made("pmessage", b"news", b"1", b"n*"),
        made("pmessage", b"a1", b"2", b"[ab]?"),
    ]
    pubsub.punsubscribe()
    assert messages(pubsub, 2) == [
        made("punsubscribe", b"n*", 1),
        made("punsubscribe", b"[ab]?", 0),
    ]


def test_sharded_channels_on_one_server(pubsub: Any, control: redis.Redis) -> None:
    pubsub.ssubscribe("shard", "other")
    assert messages(pubsub, 2) == [
        made("ssubscribe", b"shard", 1),
        made("ssubscribe", b"other", 2),
    ]
    assert control.spublish("shard", "x") == 1
    assert messages(pubsub, 1) == [made("smessage", b"shard", b"x")]
    pubsub.sunsubscribe("shard")
    assert messages(pubsub, 1) == [made("sunsubscribe", b"shard", 1)]
    assert control.spublish("shard", "y") == 0
    assert control.spublish("other", "z") == 1
    assert messages(pubsub, 1) == [made("smessage", b"other", b"z")]
    pubsub.sunsubscribe()
    assert messages(pubsub, 1) == [made("sunsubscribe", b"other", 0)]


def test_all_kinds_on_one_connection(pubsub: Any, control: redis.Redis) -> None:
    pubsub.subscribe("x")
    pubsub.psubscribe("x*")
    pubsub.ssubscribe("x")
    assert [message["data"] for message in messages(pubsub, 3)] == [1, 2, 1]
    control.publish("x", "1")
    control.spublish("x", "2")
    found = messages(pubsub, 3)
    assert sorted(message["type"] for message in found) == ["message", "pmessage", "smessage"]
    pubsub.unsubscribe()
    pubsub.sunsubscribe()
    assert [message["data"] for message in messages(pubsub, 2)] == [1, 0]
    control.publish("x", "3")
    assert messages(pubsub, 1) == [made("pmessage", b"x", b"3", b"x*")]


def test_the_counts_are_those_of_redis_py(server: Any, pubsub: Any, control: redis.Redis) -> None:
    with redis.Redis(server.host, server.port).pubsub() as theirs:
        found = []
        for one in (pubsub, theirs):
            one.subscribe("a", "b", "a")
            one.psubscribe("p")
            one.ssubscribe("s")
            one.unsubscribe("a", "none")
            one.sunsubscribe()
            one.unsubscribe()
            one.punsubscribe()
            found.append(messages(one, 9))
            assert len(found[-1]) == 9
        assert found[0] == found[1]
    del control


def test_binary_channels(pubsub: Any, control: redis.Redis) -> None:
    name = b"\xff\x00\r\n"
    pubsub.subscribe(name)
    pubsub.psubscribe(name + b"*")
    messages(pubsub, 2)
    control.publish(name, name)
    assert {(m["type"], m["channel"], m["data"]) for m in messages(pubsub, 2)} == {
        ("message", name, name),
        ("pmessage", name, name),
    }


def test_decoding(server: Any, control: redis.Redis, protocol: int) -> None:
    with (
        glide_redis.Redis(
            server.host, server.port, protocol=protocol, decode_responses=True
        ) as client,
        client.pubsub() as pubsub,
    ):
        pubsub.subscribe("käse")
        pubsub.psubscribe("*")
        messages(pubsub, 2)
        control.publish("käse", "brot")
        found = messages(pubsub, 2)
        assert made("message", "käse", "brot") in found
        assert made("pmessage", "käse", "brot", "*") in found


def test_confirmations_can_be_ignored(client: Any, control: redis.Redis) -> None:
    with client.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe("x")
        assert pubsub.get_message(timeout=0.5) is None
        eventually(lambda: control.publish("x", "1"))
        assert messages(pubsub, 1) == [made("message", b"x", b"1")]
        assert pubsub.get_message() is None


def test_handlers(pubsub: Any, control: redis.Redis) -> None:
    seen: list[Any] = []
    pubsub.subscribe(x=seen.append)
    pubsub.psubscribe(**{"y*": seen.append})
    pubsub.ssubscribe(z=seen.append)
    messages(pubsub, 3)
    control.publish("x", "1")
    control.publish("yy", "2")
    control.spublish("z", "3")
    eventually(lambda: pubsub.get_message(timeout=0.1) is None and len(seen) == 3)
    assert sorted(message["data"] for message in seen) == [b"1", b"2", b"3"]


def test_a_thread_of_its_own(client: Any, control: redis.Redis) -> None:
    seen: list[Any] = []
    pubsub = client.pubsub(ignore_subscribe_messages=True)
    pubsub.subscribe(x=seen.append)
    thread = pubsub.run_in_thread(sleep_time=0.01, daemon=True)
    try:
        eventually(lambda: control.publish("x", "1"))
        eventually(lambda: seen)
    finally:
        thread.stop()
        thread.join(PATIENCE)
    assert not thread.is_alive()
    assert seen[0] == made("message", b"x", b"1")
    eventually(lambda: control.publish("x", "2") == 0)


def test_listening_without_end(pubsub: Any, control: redis.Redis) -> None:
    pubsub.subscribe("x")
    found: list[Any] = []

    def listen() -> None:
        for message in pubsub.listen():
            found.append(message)
            if message["data"] == b"end":
                pubsub.unsubscribe()

    listening = threading.Thread(target=listen)
    listening.start()
    eventually(lambda: found)
    for number in range(200):
        control.publish("x", number)
    control.publish("x", "end")
    listening.join(PATIENCE)
    assert not listening.is_alive()
    assert [message["data"] for message in found] == [
        1,
        *(b"%d" % number for number in range(200)),
        b"end",
        0,
    ]


def test_ping(pubsub: Any) -> None:
    pubsub.subscribe("x")
    messages(pubsub, 1)
    pubsub.ping()
    assert messages(pubsub, 1) == [made("pong", None, b"")]
    pubsub.ping("hello")
    assert messages(pubsub, 1) == [made("pong", None, b"hello")]


def test_health_checks(server: Any, control: redis.Redis, protocol: int) -> None:
    with (
        glide_redis.Redis(
            server.host, server.port, protocol=protocol, health_check_interval=1
        ) as client,
        client.pubsub() as pubsub,
    ):
        pubsub.subscribe("x")
        messages(pubsub, 1)
        pubsub.connection.next_health_check = 0
        assert pubsub.get_message(timeout=0.1) is None
        control.publish("x", "1")
        assert messages(pubsub, 1) == [made("message", b"x", b"1")]


def test_other_commands_are_refused_in_resp2_alone(client: Any, protocol: int) -> None:
    connection = client.connection_pool.get_connection()
    connection.send_command("SUBSCRIBE", "x")
    connection.read_response(push_request=True)
    connection.send_command("GET", "x")
    if protocol == 2:
        with pytest.raises(redis.ResponseError, match="Can't execute 'get': only"):
            connection.read_response()
    else:
        assert connection.read_response() is None
    connection.disconnect()


@pytest.mark.parametrize("waiting", [False, True])
def test_a_lost_connection_is_noticed_and_restored(
    pubsub: Any, control: redis.Redis, waiting: bool
) -> None:
    """redis-py's PubSub connects and subscribes again; the loss may show as an error first."""
    pubsub.subscribe("x")
    pubsub.psubscribe("p*")
    pubsub.ssubscribe("s")
    messages(pubsub, 3)
    if not waiting:
        pubsub.get_message()
    control.client_kill_filter(_type="pubsub")
    received: list[Any] = []

    def arrived() -> bool:
        control.publish("x", "1")
        control.publish("p1", "2")
        control.spublish("s", "3")
        try:
            received.extend(messages(pubsub, 1))
        except redis.ConnectionError:
            received.append({"type": "error"})
        return {"message", "pmessage", "smessage"} <= {found["type"] for found in received}

    eventually(arrived)


def test_a_lost_connection_is_noticed_by_one_who_listens(client: Any, control: redis.Redis) -> None:
    pubsub = client.pubsub()
    pubsub.subscribe("x")
    messages(pubsub, 1)
    outcome: list[Any] = []

    def listen() -> None:
        try:
            outcome.append(next(pubsub.listen()))
        except redis.ConnectionError as error:
            outcome.append(error)

    listening = threading.Thread(target=listen)
    listening.start()
    time.sleep(0.05)
    control.client_kill_filter(_type="pubsub")
    listening.join(PATIENCE)
    assert not listening.is_alive()
    assert isinstance(outcome[0], redis.ConnectionError) or outcome[0]["type"] == "subscribe"
    pubsub.close()


def test_closing_ends_the_subscription(pubsub: Any, control: redis.Redis) -> None:
    pubsub.subscribe("x")
    messages(pubsub, 1)
    assert control.pubsub_numsub("x") == [(b"x", 1)]
    pubsub.close()
    eventually(lambda: control.pubsub_numsub("x") == [(b"x", 0)])


def test_dropping_ends_the_subscription(client: Any, control: redis.Redis) -> None:
    pubsub = client.pubsub()
    pubsub.subscribe("x")
    messages(pubsub, 1)
    del pubsub
    gc.collect()  # redis-py's objects refer to each other.
    eventually(lambda: control.pubsub_numsub("x") == [(b"x", 0)])


def test_the_subscriber_is_the_same_user(server: Any, control: redis.Redis, protocol: int) -> None:
    control.acl_setuser(
        "reader", enabled=True, passwords=["+secret"], categories=["+@all"], channels=["mine*"]
    )
    with (
        glide_redis.Redis(
            server.host,
            server.port,
            protocol=protocol,
            username="reader",
            password="secret",
            client_name="listener",
        ) as client,
        client.pubsub() as pubsub,
    ):
        pubsub.subscribe("mine")
        assert messages(pubsub, 1) == [made("subscribe", b"mine", 1)]
        (listed,) = [entry for entry in control.client_list() if entry["sub"] == "1"]
        assert (listed["user"], listed["name"]) == ("reader", "listener")
        pubsub.subscribe("theirs")
        with pytest.raises(redis.exceptions.NoPermissionError):
            messages(pubsub, 1)
    control.acl_deluser("reader")


def test_channels_of_a_cluster(cluster_client: Any, cluster_control: redis.RedisCluster) -> None:
    with cluster_client.pubsub() as pubsub:
        pubsub.subscribe("x")
        pubsub.psubscribe("p*")
        assert [message["type"] for message in messages(pubsub, 2)] == ["subscribe", "psubscribe"]
        eventually(lambda: cluster_control.publish("x", "1") or True)
        cluster_control.publish("p1", "2")
        assert messages(pubsub, 2) == [
            made("message", b"x", b"1"),
            made("pmessage", b"p1", b"2", b"p*"),
        ]


def test_sharded_channels_of_a_cluster(
    cluster_client: Any, cluster_control: redis.RedisCluster
) -> None:
    names = [f"channel-{number}" for number in range(9)]
    with cluster_client.pubsub() as pubsub:
        for name in names:
            pubsub.ssubscribe(name)
        confirmed: list[Any] = []
        eventually(lambda: _sharded(pubsub, confirmed) and len(confirmed) >= len(names))
        assert {message["type"] for message in confirmed} == {"ssubscribe"}
        for name in names:
            assert cluster_control.spublish(name, name.upper()) == 1
        received: list[Any] = []
        eventually(lambda: _sharded(pubsub, received) and len(received) >= len(names))
        assert {(m["type"], m["channel"], m["data"]) for m in received} == {
            ("smessage", name.encode(), name.upper().encode()) for name in names
        }
        pubsub.sunsubscribe(names[0])
        eventually(lambda: cluster_control.spublish(names[0], "x") == 0)
        assert cluster_control.spublish(names[1], "x") == 1


def _sharded(pubsub: Any, found: list[Any]) -> bool:
    message = pubsub.get_sharded_message(timeout=0.1)
    if message is not None:
        found.append(message)
    return True


def test_publishing(client: Any, control: redis.Redis) -> None:
    with control.pubsub() as pubsub:
        pubsub.subscribe("x")
        pubsub.ssubscribe("s")
        messages(pubsub, 2)
        assert client.publish("x", "1") == 1
        assert client.spublish("s", "2") == 1
        assert [message["data"] for message in messages(pubsub, 2)] == [b"1", b"2"]
        assert client.pubsub_channels() == [b"x"]
        assert client.pubsub_numsub("x", "y") == [(b"x", 1), (b"y", 0)]
        assert client.pubsub_shardnumsub("s") == [(b"s", 1)]
        assert client.pubsub_numpat() == 0
