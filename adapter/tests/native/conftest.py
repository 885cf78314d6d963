"""Both engines, in turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from glide_redis.native.engine import Engine, choose
from glide_redis.native.request import Options

ENGINES = ("accelerated", "portable")


@pytest.fixture(params=ENGINES)
def native(request: pytest.FixtureRequest) -> Engine:
    """One engine after the other; one that cannot be had fails its tests."""
    return choose(request.param)


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
