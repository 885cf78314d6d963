"""Clients that are closed, disconnected, dropped, and servers that go away and come back."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from redis.backoff import ConstantBackoff, NoBackoff
from redis.retry import Retry

import glide_redis

PATIENCE = 20.0


def eventually(what: Callable[[], Any]) -> Any:
    """Wait until something is true; return it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come true")


def test_a_closed_client_opens_again(connect: Callable[..., Any], sent: Any) -> None:
    client = connect()
    for number in range(3):
        assert client.incr("n") == number + 1
        client.close()
    if isinstance(client, redis.RedisCluster):
        client.disconnect_connection_pools()
    else:
        client.connection_pool.disconnect()
    assert client.incr("n") == 4
    assert client.pipeline().incr("n").execute() == [5]
    assert sent.taken() == (4, 1)


def test_clients_of_one_pool_share(server: Any, control: redis.Redis, sent: Any) -> None:
    pool = glide_redis.ConnectionPool(host=server.host, port=server.port, client_name="shared")
    first, second = (glide_redis.Redis(connection_pool=pool) for _ in range(2))
    first.set("key", "value")
    assert second.get("key") == b"value"
    assert sent.taken() == (2, 0)
    assert len([entry for entry in control.client_list() if entry["name"] == "shared"]) == 1
    first.close()  # The pool is not its own.
    assert second.get("key") == b"value"
    pool.disconnect()
    eventually(lambda: not [entry for entry in control.client_list() if entry["name"] == "shared"])


def test_a_dropped_client_leaves_nothing(server: Any, control: redis.Redis) -> None:
    client = glide_redis.Redis(server.host, server.port, client_name="dropped")
    client.get("key")
    client.ping()
    del client
    gc.collect()
    eventually(lambda: not [entry for entry in control.client_list() if entry["name"] == "dropped"])


def test_a_dropped_cluster_client_leaves_nothing(
    cluster: Any, cluster_control: redis.RedisCluster
) -> None:
    def connected() -> int:
        return sum(
            entry["name"] == "dropped"
            for node in cluster_control.get_nodes()
            for entry in cluster_control.client_list(target_nodes=node)
        )

    client = glide_redis.RedisCluster(host=cluster.host, port=cluster.port, client_name="dropped")
    for number in range(50):
        client.get(f"key{number}")
    assert connected()
    del client
    gc.collect()
    eventually(lambda: not connected())


def test_connections_that_are_killed(connect: Callable[..., Any], plain: Any) -> None:
    client = connect(retry=Retry(NoBackoff(), 3))
    nodes = (
        [{"target_nodes": node} for node in plain.get_primaries()]
        if hasattr(plain, "get_primaries")
        else [{}]
    )
    client.set("key", "value")
    for _ in range(5):
        for node in nodes:
            plain.client_kill_filter(_type="normal", skipme=True, **node)
        assert client.get("key") == b"value"
        assert client.pipeline(transaction=False).get("key").get("key").execute() == [
            b"value",
            b"value",
        ]


def test_a_server_that_restarts(start_server: Callable[..., Any]) -> None:
    own = start_server(enable_debug_command="yes")
    client = glide_redis.Redis(own.host, own.port, retry=Retry(ConstantBackoff(0.05), 100))
    with redis.Redis(own.host, own.port, retry=Retry(NoBackoff(), 0)) as control:
        for number in range(3):
            client.set("key", number)
            identity = control.info("server")["run_id"]
            with pytest.raises(redis.ConnectionError):
                control.execute_command("DEBUG", "RESTART")
            assert client.get("key") is None  # It has nothing on disk.
            assert control.info("server")["run_id"] != identity
            assert client.incr("n") == 1
    client.close()


@pytest.mark.parametrize("limit", [None, 5.0])
def test_a_server_that_is_gone(start_server: Callable[..., Any], limit: float | None) -> None:
    own = start_server()
    options: dict[str, Any] = {"retry": Retry(NoBackoff(), 1), "socket_timeout": limit}
    client = glide_redis.Redis(own.host, own.port, **options)
    client.set("key", "value")
    own.deployment.stop()
    for command in (
        lambda: client.get("key"),
        lambda: client.incr("n"),
        lambda: client.pipeline().incr("n").execute(),
        lambda: client.pipeline(transaction=False).get("n").execute(),
        lambda: client.eval("return 1", 1, "n"),
        client.ping,
    ):
        with pytest.raises(redis.ConnectionError):
            command()
    client.close()


@pytest.mark.parametrize("command", ["incr", "pipeline", "get"])
def test_a_server_that_goes_while_a_command_waits(
    start_server: Callable[..., Any], command: str
) -> None:
    own = start_server(enable_debug_command="yes")
    client = glide_redis.Redis(own.host, own.port, retry=Retry(NoBackoff(), 1), socket_timeout=None)
    client.set("n", 1)
    blocker = redis.Redis(own.host, own.port).connection_pool.get_connection()
    blocker.send_command("DEBUG", "SLEEP", "30")
    outcome: list[Any] = []

    def wait() -> None:
        try:
            if command == "pipeline":
                client.pipeline().incr("n").execute()
            else:
                getattr(client, command)("n")
        except redis.RedisError as error:
            outcome.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.05)
    (node,) = own.deployment.nodes
    os.kill(node.pid, signal.SIGKILL)
    waiting.join(PATIENCE)
    assert not waiting.is_alive()
    assert isinstance(outcome[0], redis.ConnectionError)
    blocker.disconnect()
    client.close()


def test_a_command_that_takes_too_long(start_server: Callable[..., Any]) -> None:
    own = start_server(enable_debug_command="yes")
    client = glide_redis.Redis(own.host, own.port, socket_timeout=0.1, retry=Retry(NoBackoff(), 0))
    client.set("n", 1)
    with redis.Redis(own.host, own.port) as control:
        pipe = control.pipeline(transaction=False)
        pipe.execute_command("DEBUG", "SLEEP", "0.5")
        connection = control.connection_pool.get_connection()
        connection.send_command("DEBUG", "SLEEP", "0.5")
        with pytest.raises(redis.TimeoutError):
            client.incr("n")
        connection.read_response()
        control.connection_pool.release(connection)
    eventually(lambda: client.get("n") == b"2")
    client.close()
