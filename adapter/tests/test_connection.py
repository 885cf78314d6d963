"""Connections: who they are for the server, which way they take, and what is refused."""

from __future__ import annotations

import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.cache import CacheConfig
from redis.retry import Retry

import glide_redis
from glide_redis import UnsupportedOption, options

PATIENCE = 20.0
ONCE = Retry(NoBackoff(), 0)
STRICT = "VERIFY_X509_STRICT"


@pytest.fixture(params=["multiplexed", "connection"])
def way(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Options by which commands take the fast path, or a connection of their own."""
    return {"single_connection_client": request.param == "connection"}


@pytest.fixture
def user(control: redis.Redis) -> Iterator[tuple[str, str]]:
    """An ACL user and its password."""
    control.acl_setuser(
        "me", enabled=True, passwords=["+sécret word"], keys=["mine:*"], commands=["+@all"]
    )
    yield "me", "sécret word"
    control.acl_deluser("me")


def test_a_user(server: Any, user: Any, way: Any, protocol: int) -> None:
    name, password = user
    with glide_redis.Redis(
        server.host, server.port, username=name, password=password, protocol=protocol, **way
    ) as client:
        assert client.acl_whoami() in {b"me", "me"}
        assert client.set("mine:key", "value")
        assert client.get("mine:key") == b"value"
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.get("yours:key")
        with client.pipeline() as pipe:
            pipe.watch("mine:key")
            pipe.multi()
            pipe.get("mine:key")
            pipe.eval("return redis.call('GET', KEYS[1])", 1, "mine:key")
            assert pipe.execute() == [b"value", b"value"]
        assert client.eval("return redis.call('GET', KEYS[1])", 1, "mine:key") == b"value"


def test_a_wrong_password(server: Any, user: Any, way: Any, protocol: int) -> None:
    del user
    with pytest.raises(redis.AuthenticationError) as caught:
        glide_redis.Redis(
            server.host,
            server.port,
            username="me",
            password="wrong",
            protocol=protocol,
            retry=ONCE,
            **way,
        ).get("mine:key")
    assert "WRONGPASS" in str(caught.value) or "invalid username-password" in str(caught.value)


def test_the_servers_password(server: Any, control: redis.Redis, way: Any, protocol: int) -> None:
    control.config_set("requirepass", "password")
    try:
        with glide_redis.Redis(
            server.host, server.port, password="password", protocol=protocol, **way
        ) as client:
            assert client.set("key", "value")
            assert client.get("key") == b"value"
        with pytest.raises(redis.AuthenticationError):
            glide_redis.Redis(server.host, server.port, protocol=protocol, retry=ONCE, **way).get(
                "key"
            )
    finally:
        control.execute_command("AUTH", "password")
        control.config_set("requirepass", "")


class Provider(redis.CredentialProvider):
    """Hands out the credentials of a user."""

    def __init__(self, *credentials: str) -> None:
        self.credentials = credentials
        self.asked = 0

    def get_credentials(self) -> Any:
        self.asked += 1
        return self.credentials


def test_a_credential_provider(server: Any, user: Any, way: Any, protocol: int) -> None:
    provider = Provider(*user)
    with glide_redis.Redis(
        server.host, server.port, credential_provider=provider, protocol=protocol, **way
    ) as client:
        assert client.set("mine:key", "value")
        assert provider.asked
        client.close()
        asked = provider.asked
        assert client.get("mine:key") == b"value"
        assert client.acl_whoami() in {b"me", "me"}
        assert provider.asked > asked


def test_names_and_databases(server: Any, control: redis.Redis, way: Any, protocol: int) -> None:
    with glide_redis.Redis(
        server.host, server.port, db=3, client_name="it", protocol=protocol, **way
    ) as client:
        assert client.client_getname() in {b"it", "it"}
        client.set("key", "three")
        with client.pipeline() as pipe:
            pipe.watch("key")
            pipe.multi()
            pipe.get("key")
            assert pipe.execute() == [b"three"]
        assert client.eval("return redis.call('GET', KEYS[1])", 1, "key") == b"three"
        named = [entry for entry in control.client_list() if entry["name"] == "it"]
        assert named
        assert {entry["db"] for entry in named} == {"3"}
    assert control.get("key") is None
    control.select(3)
    assert control.get("key") == b"three"
    control.select(0)


def test_closing_leaves_no_connection(server: Any, control: redis.Redis, protocol: int) -> None:
    client = glide_redis.Redis(server.host, server.port, client_name="closing", protocol=protocol)
    client.get("key")
    client.ping()
    with client.pipeline() as pipe:
        pipe.watch("key")
        pipe.multi()
        pipe.get("key")
        pipe.execute()
    client.eval("return 1", 0)
    assert [entry for entry in control.client_list() if entry["name"] == "closing"]
    client.close()
    for _ in range(1000):
        if not [entry for entry in control.client_list() if entry["name"] == "closing"]:
            break
    else:
        raise AssertionError("connections are left")


def test_urls(server: Any, control: redis.Redis) -> None:
    control.acl_setuser("url", enabled=True, passwords=["+p w"], categories=["+@all"], keys=["*"])
    url = f"redis://url:p%20w@{server.host}:{server.port}/4?client_name=named&decode_responses=True"
    with glide_redis.Redis.from_url(url) as client:
        assert client.set("key", "value")
        assert client.get("key") == "value"
        assert client.acl_whoami() == "url"
        assert client.client_getname() == "named"
    control.acl_deluser("url")
    control.select(4)
    assert control.get("key") == b"value"
    control.select(0)


@pytest.fixture
def unix_socket(start_server: Any) -> Iterator[str]:
    """The path of a unix socket where a server of the test's own listens."""
    with tempfile.TemporaryDirectory() as folder:  # Such paths have a short limit.
        path = str(Path(folder) / "server.sock")
        start_server(unixsocket=path)
        yield path


def test_a_unix_socket(unix_socket: str, way: Any, protocol: int) -> None:
    with glide_redis.Redis(
        unix_socket_path=unix_socket, db=1, client_name="local", protocol=protocol, **way
    ) as client:
        assert client.set("key", "value")
        assert client.get("key") == b"value"
        assert unix_socket in str(client.client_info()["laddr"]) or client.client_info()["db"] == 1
        with client.pipeline() as pipe:
            pipe.watch("key")
            pipe.multi()
            pipe.get("key")
            assert pipe.execute() == [b"value"]
        pubsub = client.pubsub()
        pubsub.subscribe("channel")
        assert pubsub.get_message(timeout=PATIENCE)["type"] == "subscribe"
        pubsub.close()
    url = f"unix://{unix_socket}?db=1"
    with glide_redis.Redis.from_url(url, protocol=protocol) as client:
        assert client.get("key") == b"value"


def test_a_unix_socket_that_is_not_there(tmp_path: Path) -> None:
    client = glide_redis.Redis(unix_socket_path=str(tmp_path / "none.sock"), retry=ONCE)
    with pytest.raises(redis.ConnectionError, match="No such file"):
        client.get("key")


def test_nobody_listens(way: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(redis.ConnectionError, match="refused"):
        glide_redis.Redis("127.0.0.1", port, retry=ONCE, **way).get("key")


def test_nobody_answers(way: Any) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises((redis.TimeoutError, redis.ConnectionError)):
            glide_redis.Redis(
                "127.0.0.1", silent.getsockname()[1], retry=ONCE, socket_connect_timeout=0.3, **way
            ).get("key")


def test_an_unknown_host(way: Any) -> None:
    with pytest.raises(redis.ConnectionError, match=r"Error -\d"):
        glide_redis.Redis("no.such.host.invalid", retry=ONCE, **way).get("key")


@pytest.mark.parametrize(
    ("option", "given"),
    [
        ("socket_keepalive", {"socket_keepalive": False}),
        ("socket_keepalive_options", {"socket_keepalive_options": {1: 2}}),
        ("cache", {"cache_config": CacheConfig(), "protocol": 3}),
        ("ssl_check_hostname", {"ssl": True, "ssl_check_hostname": False}),
        ("ssl_password", {"ssl": True, "ssl_password": "secret"}),
        ("ssl_include_verify_flags", {"ssl": True, "ssl_include_verify_flags": [STRICT]}),
        ("ssl_exclude_verify_flags", {"ssl": True, "ssl_exclude_verify_flags": [STRICT]}),
        ("ssl_validate_ocsp", {"ssl": True, "ssl_validate_ocsp": True}),
        ("ssl_validate_ocsp_stapled", {"ssl": True, "ssl_validate_ocsp_stapled": True}),
        ("ssl_min_version", {"ssl": True, "ssl_min_version": ssl.TLSVersion.TLSv1_3}),
        ("ssl_ciphers", {"ssl": True, "ssl_ciphers": "ECDHE+AESGCM"}),
    ],
)
@pytest.mark.parametrize("kind", ["Redis", "RedisCluster"])
def test_options_that_are_refused(server: Any, kind: str, option: str, given: Any) -> None:
    with pytest.raises(UnsupportedOption, match="glide-redis cannot honour") as caught:
        getattr(glide_redis, kind)(host=server.host, port=server.port, **given)
    assert option in caught.value.option
    assert isinstance(caught.value, ValueError)


def test_options_of_a_pool_are_refused_at_the_first_connection(server: Any) -> None:
    pool = glide_redis.ConnectionPool(host=server.host, port=server.port, socket_keepalive=False)
    with pytest.raises(UnsupportedOption, match="socket_keepalive"):
        glide_redis.Redis(connection_pool=pool).ping()
    with pytest.raises(UnsupportedOption, match="socket_keepalive"):
        glide_redis.Redis(connection_pool=pool).get("key")


def test_socket_types_are_refused(server: Any) -> None:
    pool = glide_redis.ConnectionPool(
        host=server.host, port=server.port, socket_type=socket.AF_INET
    )
    with pytest.raises(UnsupportedOption, match="socket_type"):
        glide_redis.Redis(connection_pool=pool).ping()


def test_other_options_are_honoured_as_redis_py_does(server: Any) -> None:
    with glide_redis.Redis(
        server.host,
        server.port,
        socket_keepalive=True,
        socket_timeout=3,
        socket_connect_timeout=2,
        health_check_interval=1,
        max_connections=3,
        encoding="latin-1",
        decode_responses=True,
    ) as client:
        client.set("key", "é")
        assert client.get("key") == "é"
    with glide_redis.Redis(server.host, server.port) as client:
        assert client.get("key") == b"\xe9"


def test_a_lower_tls_version_is_fine() -> None:
    options.refuse_tls_options({"ssl_min_version": ssl.TLSVersion.TLSv1_2})


def test_the_pools_limit_counts_connections(server: Any, protocol: int) -> None:
    with glide_redis.Redis(
        server.host, server.port, max_connections=1, protocol=protocol
    ) as client:
        held = client.connection_pool.get_connection()
        with pytest.raises(redis.exceptions.MaxConnectionsError):
            client.ping()
        client.connection_pool.release(held)
        assert client.ping()


def test_a_blocking_pool_waits(server: Any) -> None:
    pool = glide_redis.BlockingConnectionPool(
        host=server.host, port=server.port, max_connections=1, timeout=PATIENCE
    )
    with glide_redis.Redis.from_pool(pool) as client:
        held = pool.get_connection()
        threading.Timer(0.05, pool.release, [held]).start()
        assert client.ping()


def test_a_foreign_pool_stays_what_it_is(server: Any) -> None:
    pool = redis.ConnectionPool(host=server.host, port=server.port)
    client = glide_redis.Redis(connection_pool=pool)
    assert client.ping()
    assert client.set("key", "value")
    assert type(pool) is redis.ConnectionPool
    assert pool.connection_class is redis.Connection
    pool.disconnect()


def test_a_connect_function_of_the_applications(server: Any, protocol: int) -> None:
    seen: list[Any] = []

    def connected(connection: Any) -> None:
        seen.append(connection)
        connection.on_connect()

    with glide_redis.Redis(
        server.host, server.port, redis_connect_func=connected, protocol=protocol
    ) as client:
        assert client.set("key", "value")
        assert client.get("key") == b"value"
    assert isinstance(seen[0], glide_redis.Connection)
