"""``import redis`` gives valkey-py: the very module objects, with redis-py for what it lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from slotproof import environments
from slotproof.clients.valkey_py import CLIENT
from slotproof.inject.slotproof_resp import RespConnection

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Project, Ran, Server


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter of an environment with both libraries."""
    return environments.environment([CLIENT.lock], label="valkey-py").python


@pytest.fixture
def valkey_project(project: Project, python: Path) -> Project:
    """A project whose programs run with valkey-py under the name of redis."""
    project.python = str(python)
    return project


def run(project: Project, code: str, nodes: tuple[tuple[str, int], ...] = ()) -> Ran:
    """Run a program as a process of a cell of valkey-py."""
    ran = project.python_run(
        code, nodes=nodes, bootstrap=CLIENT.bootstrap, connects_from=list(CLIENT.connects_from)
    )
    assert ran.code == 0, ran.output
    return ran


def test_modules_are_valkey_pys_own_objects(valkey_project: Project) -> None:
    run(
        valkey_project,
        """
        import redis, redis.asyncio.cluster, redis.connection, sys
        from redis.commands.redismodules import RedisModuleCommands
        from redis._parsers import _HiredisParser
        import valkey, valkey._parsers.libvalkey, valkey.asyncio.cluster
        import valkey.commands.valkeymodules as modules
        assert redis is valkey is sys.modules["redis"]
        assert redis.connection is valkey.connection is sys.modules["redis.connection"]
        assert redis.asyncio.cluster is valkey.asyncio.cluster
        assert sys.modules["redis._parsers.hiredis"] is valkey._parsers.libvalkey
        assert RedisModuleCommands is modules.ValkeyModuleCommands
        assert redis.Redis is redis.client.Redis is valkey.Valkey
        assert redis.RedisError is redis.exceptions.RedisError is valkey.ValkeyError
        assert redis.RedisClusterException is valkey.exceptions.ValkeyClusterException
        assert valkey.__name__ == valkey.__spec__.name == "valkey"
        """,
    )


def test_a_patch_under_either_name_patches_what_runs(valkey_project: Project) -> None:
    run(
        valkey_project,
        """
        from unittest import mock
        import redis, valkey
        before = valkey.utils.LIBVALKEY_AVAILABLE
        with mock.patch("redis.utils.HIREDIS_AVAILABLE", "patched"):
            assert valkey.utils.LIBVALKEY_AVAILABLE == "patched"
        assert valkey.utils.LIBVALKEY_AVAILABLE is redis.utils.HIREDIS_AVAILABLE is before
        with mock.patch("redis.cluster.get_connection", "patched", create=True):
            assert valkey.cluster.get_connection == "patched"
        with mock.patch.object(redis.Redis, "ping", lambda self: "patched"):
            assert valkey.Valkey().ping() == "patched"
        """,
    )


def test_what_valkey_py_lacks_is_redis_pys(valkey_project: Project) -> None:
    run(
        valkey_project,
        """
        import pickle, sys
        import redis, redis.event, redis.auth.token
        from redis.commands.search.hybrid_query import HybridQuery
        from redis.connection import ConnectionInterface
        assert redis.event.__name__ == "redis.event"
        assert redis.DriverInfo.__module__ == "redis.driver_info"
        assert pickle.loads(pickle.dumps(ConnectionInterface)) is ConnectionInterface
        assert not hasattr(redis, "no_such_name")
        for absent in ("redis.no_such_module", "redis.commands.graph"):
            try:
                __import__(absent)
            except ModuleNotFoundError as error:
                assert error.name == absent
            else:
                raise AssertionError(absent)
        """,
    )


def test_a_program_without_redis_pays_nothing(valkey_project: Project) -> None:
    run(
        valkey_project,
        """
        import sys
        assert not [name for name in sys.modules if name.startswith(("redis", "valkey."))]
        """,
    )


BOTH = """
import asyncio, {name} as client, {name}.asyncio, wire

async def main():
    async with client.asyncio.{cls}(port=wire.PORT) as plain:
        await plain.incr("n")
    many = [client.asyncio.{cls}(port=wire.PORT, socket_connect_timeout=5) for _ in range(3)]
    await asyncio.gather(*(one.incr("n") for one in many))
    await asyncio.wait_for(client.asyncio.{cls}(port=wire.PORT).incr("n"), 5)

client.{cls}(port=wire.PORT).incr("n")
asyncio.run(main())
assert client.{cls}(port=wire.PORT).get("n") == b"6"
"""


@pytest.mark.servers
@pytest.mark.parametrize(("name", "cls"), [("redis", "Redis"), ("valkey", "Valkey")])
def test_both_clients_connections_are_recognised_sync_and_async(
    valkey_project: Project, server: Server, name: str, cls: str
) -> None:
    code = BOTH.format(name=name, cls=cls)
    own = valkey_project.python_run(code, nodes=[server.node], connects_from=[name])
    assert own.code == 0, own.output
    assert own.connects == ()
    with RespConnection(*server.node) as connection:
        connection.call("DEL", "n")
    foreign = valkey_project.python_run(code, nodes=[server.node], connects_from=[])
    assert {line["module"].partition(".")[0] for line in foreign.connects} == {name}
    assert any("asyncio" in line["module"] for line in foreign.connects)


@pytest.mark.servers
def test_connections_are_valkey_pys_and_redis_pys_are_foreign(
    valkey_project: Project, server: Server
) -> None:
    ran = run(
        valkey_project,
        """
        import asyncio, multiprocessing, redis, redis.asyncio, wire

        def child():
            redis.Redis(port=wire.PORT).incr("n")

        async def main():
            async with redis.asyncio.Redis(port=wire.PORT) as client:
                await client.incr("n")

        redis.Redis(port=wire.PORT).incr("n")
        asyncio.run(main())
        process = multiprocessing.get_context("fork").Process(target=child)
        process.start(); process.join()
        assert redis.Redis(port=wire.PORT).get("n") == b"3"
        """,
        nodes=(server.node,),
    )
    assert ran.connects == ()
    ran = run(
        valkey_project,
        """
        import redis, sys, slotproof_client_valkey_py as bridge, wire
        bridge._REDIS_PY["valkey.client"].Redis(port=wire.PORT).ping()
        """,
        nodes=(server.node,),
    )
    assert [(line["module"], line["reached"]) for line in ran.connects] == [
        ("redis.connection", True)
    ]
