"""Whatever is replaced of redis-py's way is not gone past."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
import redis
import redis.client
import redis.cluster
import redis.connection

import glide_redis

SINGLE = [
    (redis.client.Redis, "execute_command"),
    (redis.client.Redis, "_execute_command"),
    (redis.client.Redis, "_send_command_parse_response"),
    (redis.client.Redis, "parse_response"),
    (redis.client.Redis, "_close_connection"),
    (redis.connection.ConnectionPool, "get_connection"),
    (redis.connection.ConnectionPool, "release"),
    (redis.connection.ConnectionPool, "make_connection"),
    (redis.connection.AbstractConnection, "connect"),
    (redis.connection.AbstractConnection, "send_command"),
    (redis.connection.AbstractConnection, "send_packed_command"),
    (redis.connection.AbstractConnection, "read_response"),
    (redis.connection.Connection, "send_command"),
    (redis.connection.Connection, "read_response"),
    (glide_redis.Redis, "_execute_command"),
    (glide_redis.Redis, "parse_response"),
    (glide_redis.ConnectionPool, "get_connection"),
    (glide_redis.ConnectionPool, "release"),
    (glide_redis.Connection, "_connect"),
    (glide_redis.Connection, "send_command"),
    (glide_redis.Connection, "read_response"),
]
"""What redis-py calls for a command of a client of one server."""

CLUSTER = [
    (redis.cluster.RedisCluster, "execute_command"),
    (redis.cluster.RedisCluster, "_internal_execute_command"),
    (redis.cluster.RedisCluster, "_execute_command"),
    (redis.cluster.RedisCluster, "_determine_nodes"),
    (redis.cluster.RedisCluster, "_process_result"),
    (redis.cluster.RedisCluster, "determine_slot"),
    (redis.cluster.RedisCluster, "get_redis_connection"),
    (redis.cluster.NodesManager, "get_node_from_slot"),
    (redis.cluster, "get_connection"),
    (glide_redis.RedisCluster, "_execute_command"),
    (glide_redis.RedisCluster, "determine_slot"),
]


def named(place: Any) -> str:
    owner, name = place
    return f"{owner.__module__ if isinstance(owner, type) else ''}.{owner.__name__}.{name}"


@pytest.fixture
def standalone(server: Any, control: Any) -> Iterator[Any]:
    """The adapter's client, whose multiplexed client is open already."""
    del control
    with glide_redis.Redis(server.host, server.port) as client:
        client.set("key", "value")
        client.ping()
        yield client


@pytest.fixture
def clustered(cluster: Any, cluster_control: Any) -> Iterator[Any]:
    """The same for the cluster."""
    del cluster_control
    with glide_redis.RedisCluster(host=cluster.host, port=cluster.port) as client:
        client.set("key", "value")
        yield client


def seen(patched: Any, what: Callable[[], Any], sent: Any) -> Any:
    """Do something; it must go past what was patched, and not by the fast path."""
    sent.taken()
    result = what()
    assert patched.called
    assert sent.taken() == (0, 0)
    return result


@pytest.mark.parametrize("place", SINGLE, ids=named)
def test_a_class_of_a_client_of_one_server(place: Any, standalone: Any, sent: Any) -> None:
    owner, name = place
    standalone.connection_pool.disconnect()
    with mock.patch.object(owner, name, autospec=True, side_effect=getattr(owner, name)) as patched:
        sent.taken()
        assert standalone.get("key") == b"value"
        assert patched.called or name in {"_close_connection", "make_connection"}
        assert standalone.pipeline().get("key").execute() == [b"value"]
        assert sent.taken() == (0, 0)
    assert standalone.get("key") == b"value"
    assert sent.taken() == (1, 0)


@pytest.mark.parametrize("place", CLUSTER, ids=named)
def test_a_class_of_a_cluster_client(place: Any, clustered: Any, sent: Any) -> None:
    owner, name = place
    with mock.patch.object(owner, name, autospec=True, side_effect=getattr(owner, name)) as patched:
        assert seen(patched, lambda: clustered.get("key"), sent) == b"value"
    assert clustered.get("key") == b"value"
    assert sent.taken() == (1, 0)


@pytest.mark.parametrize(
    "name", ["execute_command", "_execute_command", "parse_response", "_close_connection"]
)
def test_a_client_of_one_server(name: str, standalone: Any, sent: Any) -> None:
    original = getattr(standalone, name)
    with mock.patch.object(standalone, name, side_effect=original) as patched:
        if name == "execute_command":
            # The mock stands before everything; behind it the command takes its usual way.
            assert standalone.get("key") == b"value"
            assert patched.called
        elif name == "_close_connection":
            sent.taken()
            assert standalone.get("key") == b"value"
            assert sent.taken() == (0, 0)
        else:
            assert seen(patched, lambda: standalone.get("key"), sent) == b"value"
    sent.taken()
    assert standalone.get("key") == b"value"
    assert sent.taken() == (1, 0)


@pytest.mark.parametrize("name", ["get_connection", "release"])
def test_a_pool(name: str, standalone: Any, sent: Any) -> None:
    pool = standalone.connection_pool
    with mock.patch.object(pool, name, side_effect=getattr(pool, name)) as patched:
        assert seen(patched, lambda: standalone.get("key"), sent) == b"value"


def test_another_pool(standalone: Any, sent: Any) -> None:
    pool = mock.Mock(wraps=standalone.connection_pool)
    pool.get_connection.side_effect = standalone.connection_pool.get_connection
    with mock.patch.object(standalone, "connection_pool", pool):
        assert seen(pool.get_connection, lambda: standalone.get("key"), sent) == b"value"


@pytest.mark.parametrize("name", ["_execute_command", "determine_slot", "get_redis_connection"])
def test_a_cluster_client(name: str, clustered: Any, sent: Any) -> None:
    with mock.patch.object(clustered, name, side_effect=getattr(clustered, name)) as patched:
        assert seen(patched, lambda: clustered.get("key"), sent) == b"value"


@pytest.mark.parametrize("name", ["get_node_from_slot", "initialize"])
def test_a_nodes_manager(name: str, clustered: Any, sent: Any) -> None:
    manager = clustered.nodes_manager
    with mock.patch.object(manager, name, side_effect=getattr(manager, name)):
        sent.taken()
        assert clustered.get("key") == b"value"
        assert sent.taken() == (0, 0)


@pytest.mark.parametrize("asked_before", [False, True])
@pytest.mark.parametrize("what", ["client", "pool", "pool method", "connection"])
def test_a_node_of_a_cluster(what: str, asked_before: bool, clustered: Any, sent: Any) -> None:
    if asked_before:
        clustered.get("key")
    node = clustered.get_node_from_key("key").redis_connection
    pool = node.connection_pool
    connection = pool.get_connection()
    patches = {
        "client": lambda: mock.patch.object(
            node, "parse_response", side_effect=node.parse_response
        ),
        "pool": lambda: mock.patch.object(
            node, "connection_pool", mock.Mock(wraps=pool, get_connection=pool.get_connection)
        ),
        "pool method": lambda: mock.patch.object(
            pool, "get_connection", side_effect=pool.get_connection
        ),
        "connection": lambda: mock.patch.object(node, "connection", connection),
    }
    with patches[what]():
        sent.taken()
        assert clustered.get("key") == b"value"
        assert sent.taken() == (0, 0)
    pool.release(connection)
    assert clustered.get("key") == b"value"
    assert sent.taken() == (1, 0)


def test_replies_can_be_faked(standalone: Any, clustered: Any) -> None:
    with mock.patch.object(redis.client.Redis, "parse_response", return_value=b"faked"):
        assert standalone.get("key") == b"faked"
        assert clustered.get("key") == b"faked"
    with mock.patch.object(
        redis.connection.AbstractConnection, "read_response", return_value=b"faked"
    ):
        assert standalone.get("key") == b"faked"
    clustered.nodes_manager.reset()


def test_subclasses_that_do_it_their_own_way(server: Any, control: Any, sent: Any) -> None:
    control.set("key", "value")

    class Parsing(glide_redis.Redis):
        def parse_response(self, *args: Any, **kwargs: Any) -> Any:
            return ("mine", super().parse_response(*args, **kwargs))

    class Counting(glide_redis.Redis):
        asked = 0

        def execute_command(self, *args: Any, **kwargs: Any) -> Any:
            self.asked += 1
            return super().execute_command(*args, **kwargs)

    class Closing(glide_redis.ConnectionPool):
        pass

    with Parsing(server.host, server.port) as parsing:
        assert parsing.get("key") == ("mine", b"value")
    assert sent.taken() == (0, 0)
    with Counting(server.host, server.port) as counting:
        assert counting.get("key") == b"value"
        assert counting.asked == 1
    assert sent.taken() == (1, 0)
    with glide_redis.Redis(connection_pool=Closing(host=server.host, port=server.port)) as pooled:
        assert pooled.get("key") == b"value"
        pooled.connection_pool.disconnect()
    assert sent.taken() == (0, 0)


def test_a_subclass_of_the_cluster_client(cluster: Any, cluster_control: Any, sent: Any) -> None:
    del cluster_control

    class Slots(glide_redis.RedisCluster):
        asked = 0

        def determine_slot(self, *args: Any) -> Any:
            self.asked += 1
            return super().determine_slot(*args)

    with Slots(host=cluster.host, port=cluster.port) as client:
        client.set("key", "value")
        assert client.asked
    assert sent.taken() == (0, 0)


def test_response_callbacks_are_the_clients_own(standalone: Any, clustered: Any, sent: Any) -> None:
    for client in (standalone, clustered):
        client.set_response_callback("GET", lambda reply: (reply, "mine"))
        sent.taken()
        assert client.get("key") == (b"value", "mine")


def test_options_that_only_redis_pys_own_way_honours(
    standalone: Any, clustered: Any, sent: Any
) -> None:
    sent.taken()
    assert standalone.execute_command("GET", "key", NEVER_DECODE=[]) == b"value"
    node = clustered.get_node_from_key("key")
    assert clustered.execute_command("GET", "key", target_nodes=node) == b"value"
    assert sent.taken() == (0, 0)


def test_metrics_are_recorded_on_redis_pys_own_way(standalone: Any, sent: Any) -> None:
    from redis.observability import recorder

    with mock.patch.object(recorder, "_metrics_collector", mock.Mock()):
        sent.taken()
        standalone.get("key")
        assert sent.taken() == (0, 0)
