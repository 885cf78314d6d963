"""Both engines in turn, and programs in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest

from glide_redis.native.engine import Engine, choose
from glide_redis.native.request import Options

Program: TypeAlias = Callable[..., str]

ENGINES = ("accelerated", "portable")
PATIENCE_S = 120
PRELUDE = """
import os, signal, sys, threading, time
from glide_redis.native import library
from glide_redis.native.engine import choose
from glide_redis.native.request import Options
from glide_redis.native.values import Closed, Lost, NativeError, TimedOut
native = choose(sys.argv[1])
address = (("127.0.0.1", int(sys.argv[2])),)
request = Options(addresses=address, request_timeout_ms=20_000).serialize()
lazy = Options(addresses=address, lazy=True, request_timeout_ms=2**31 - 1).serialize()
"""


@pytest.fixture(params=ENGINES)
def engine_name(request: pytest.FixtureRequest) -> str:
    """One engine after the other."""
    return str(request.param)


@pytest.fixture
def native(engine_name: str) -> Engine:
    """The engine; one that cannot be had fails its tests."""
    return choose(engine_name)


@pytest.fixture
def options(server: Any) -> Options:
    """What reaches the standalone server."""
    return Options(addresses=((server.host, server.port),), request_timeout_ms=20_000)


@pytest.fixture
def client(native: Engine, options: Options) -> Iterator[int]:
    """A client of an empty standalone server."""
    handle = native.open(options.serialize(), None)
    native.execute(handle, ("FLUSHALL",), 10)
    yield handle
    native.close(handle)


@pytest.fixture
def scope(native: Engine, options: Options) -> Iterator[int]:
    """A connection of its own to the standalone server."""
    request = Options(
        addresses=options.addresses, lazy=True, request_timeout_ms=2**31 - 1
    ).serialize()
    parent = native.open(request, None)
    yield native.acquire(parent, request, 5)
    native.close(parent)


@pytest.fixture
def program(engine_name: str, server: Any) -> Program:
    """Run a program after PRELUDE; it must end well and say nothing on stderr.

    Forks, signals and ends of the interpreter must not happen to pytest itself.
    """

    def run(text: str, **environment: str) -> str:
        command = [sys.executable, "-X", "faulthandler"]
        # Python warns of what is tested here.
        command += ["-W", "ignore:This process:DeprecationWarning"]
        command += ["-c", PRELUDE + textwrap.dedent(text), engine_name, str(server.port)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            env=os.environ | environment,
            check=False,
        )
        assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert done.stderr == ""
        return done.stdout

    return run
