"""``import redis`` gives the adapter's classes, whichever module they are taken from, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from slotproof import environments
from slotproof.clients.plugin import shipped_lock

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Project, Ran, Server

BOOTSTRAP = "slotproof_client_glide_redis"

# An adapter in miniature. Its connection opens a socket of its own, at the Python level or not.
ADAPTER = """
import redis
import redis.cluster
import redis.connection
from redis.connection import BlockingConnectionPool as OldBlockingPool

class Connection(redis.connection.Connection):
    adapter = True

class ConnectionPool(redis.ConnectionPool):
    def __init__(self, connection_class=Connection, **options):
        super().__init__(connection_class=connection_class, **options)

class BlockingConnectionPool(OldBlockingPool):
    pass

class Redis(redis.Redis):
    adapter = True

class RedisCluster(redis.RedisCluster):
    pass

REPLACEMENTS = {
    redis.Redis: Redis,
    redis.RedisCluster: RedisCluster,
    redis.connection.Connection: Connection,
    redis.ConnectionPool: ConnectionPool,
    OldBlockingPool: BlockingConnectionPool,
}
"""


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter of an environment with redis-py."""
    return environments.environment([shipped_lock("redis-py")], label="redis-py").python


@pytest.fixture
def adapted(project: Project, python: Path) -> Project:
    """A project whose programs run with the miniature adapter."""
    project.python = str(python)
    return project.file(glide_redis=ADAPTER)


def run(project: Project, code: str, nodes: tuple[tuple[str, int], ...] = ()) -> Ran:
    """Run a program as a process of a cell of glide-redis."""
    return project.python_run(code, nodes=nodes, bootstrap=BOOTSTRAP, connects_from=[])


FIRST = ("import redis", "import redis.cluster", "import redis.asyncio", "import glide_redis")


@pytest.mark.parametrize("first", FIRST)
def test_every_module_holds_the_adapters_classes(adapted: Project, first: str) -> None:
    ran = run(
        adapted,
        f"""
        {first}
        import glide_redis, redis, redis.client, redis.cluster, redis.connection, redis.sentinel
        from redis import Redis, StrictRedis
        assert Redis is StrictRedis is redis.client.Redis is glide_redis.Redis
        assert redis.client.Connection is redis.sentinel.Connection is glide_redis.Connection
        assert redis.connection.ConnectionPool is redis.cluster.ConnectionPool
        assert redis.ConnectionPool is redis.client.ConnectionPool is glide_redis.ConnectionPool
        assert redis.RedisCluster is redis.cluster.RedisCluster is glide_redis.RedisCluster
        assert issubclass(redis.Redis, glide_redis.redis.commands.CoreCommands)
        """,
    )
    assert ran.code == 0, ran.output


def test_default_values_are_the_adapters(adapted: Project) -> None:
    ran = run(
        adapted,
        """
        import inspect, glide_redis, redis, redis.sentinel
        from redis.cluster import NodesManager

        def default(function, name):
            return inspect.signature(function).parameters[name].default

        original = redis.connection.ConnectionPool.__mro__[1]
        assert default(original.__init__, "connection_class") is glide_redis.Connection
        assert default(NodesManager.__init__, "connection_pool_class") is glide_redis.ConnectionPool
        assert default(redis.sentinel.Sentinel.master_for, "redis_class") is glide_redis.Redis
        pool = redis.BlockingConnectionPool(port=1)
        assert pool.connection_class is glide_redis.Connection
        assert type(redis.Redis.from_url("redis://h").connection_pool) is glide_redis.ConnectionPool
        """,
    )
    assert ran.code == 0, ran.output


def test_what_is_imported_later_holds_them_too(adapted: Project) -> None:
    ran = run(
        adapted,
        """
        import sys, redis
        del sys.modules["redis.keyspace_notifications"]
        import glide_redis, redis.keyspace_notifications as keyspace_notifications
        assert keyspace_notifications.Redis is glide_redis.Redis
        assert keyspace_notifications.RedisCluster is glide_redis.RedisCluster
        import importlib
        importlib.reload(redis.sentinel)
        assert redis.sentinel.Connection is glide_redis.Connection
        import inspect
        assert "class Redis" in inspect.getsource(redis.client)
        assert redis.client.__spec__.loader is redis.client.__loader__
        """,
    )
    assert ran.code == 0, ran.output


def test_a_program_without_redis_pays_nothing(adapted: Project) -> None:
    code = "import sys; assert not {'redis', 'glide_redis'} & set(sys.modules)"
    ran = run(adapted, code)
    assert ran.code == 0, ran.output


@pytest.mark.parametrize(
    ("adapter", "said"),
    [
        ("import redis", "glide_redis has no table REPLACEMENTS"),
        ("import redis\nREPLACEMENTS = {redis.Redis: 3}", "or 3 is no class"),
        ("1/0", "ZeroDivisionError"),
    ],
)
def test_without_a_whole_adapter_there_is_no_redis(
    adapted: Project, adapter: str, said: str
) -> None:
    """Never plain redis-py in its place, whoever swallows the error."""
    adapted.file(glide_redis=adapter)
    ran = run(
        adapted,
        """
        import traceback
        for _ in range(2):
            for name in ("redis", "redis.client"):
                try:
                    __import__(name)
                except Exception:
                    traceback.print_exc()
                else:
                    raise SystemExit("plain redis-py was imported")
        """,
    )
    assert ran.code == 0, ran.output
    assert ran.output.count(said) == 4


def test_no_adapter_at_all(project: Project, python: Path) -> None:
    project.python = str(python)
    ran = run(project, "import redis")
    assert ran.code == 1
    assert "No module named 'glide_redis'" in ran.output


@pytest.mark.servers
def test_children_are_swapped_and_python_connections_are_foreign(
    adapted: Project, server: Server
) -> None:
    ran = run(
        adapted,
        """
        import subprocess, sys, redis, wire
        assert redis.Redis(port=wire.PORT).ping()
        code = "import redis; assert redis.Redis.adapter"
        subprocess.run([sys.executable, "-c", code], check=True)
        """,
        nodes=(server.node,),
    )
    assert ran.code == 0, ran.output
    # The miniature inherits redis-py's way to connect, which a native core would not use.
    assert [(c["module"], c["reached"]) for c in ran.connects] == [("redis.connection", True)]
