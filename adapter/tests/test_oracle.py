"""The adapter and redis-py do the same on the same server: each reply and each error is equal.

``HYPOTHESIS_PROFILE=full`` runs 5,000 examples, by default there are 200.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from oracle.commands import HISTORY, Batch, Step

import glide_redis
from glide_redis.native import engine as engines

EXAMPLES = {"default": 200, "full": 5_000}[os.environ.get("HYPOTHESIS_PROFILE", "default")]
FLAVOURS: list[dict[str, Any]] = [
    {"protocol": 2},
    {"protocol": 3},
    {},
    {"legacy_responses": False},
    {"protocol": 2, "legacy_responses": False},
    {"protocol": 3, "decode_responses": True, "encoding_errors": "replace"},
    {"decode_responses": True, "encoding_errors": "surrogateescape"},
]
"""Options that all clients of an example have."""

ENGINES = ("accelerated", "portable")
UNREADABLE = "GLIDE does not hand out the server's error, which is not UTF-8"
"""A known difference: what the adapter says instead of such an error."""

THEIRS, MULTIPLEXED, CONNECTED = 1, 2, 3
"""The databases of redis-py's own client, of the fast path, and of one connection of GLIDE's."""


class Clients:
    """One client a flavour, engine and database, opened when it is first asked for."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._opened: dict[tuple[int, int, str], Any] = {}
        self.control = redis.Redis(host, port)

    def get(self, database: int, flavour: int, engine: str) -> Any:
        name = (database, flavour, "" if database == THEIRS else engine)
        if name not in self._opened:
            self._opened[name] = self._open(database, FLAVOURS[flavour], engine)
        return self._opened[name]

    def _open(self, database: int, flavour: dict[str, Any], engine: str) -> Any:
        options = {**flavour, "db": database}
        if database == THEIRS:
            return redis.Redis(*self._address, **options)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(engines, "_chosen", engines.choose(engine))
            client = glide_redis.Redis(
                *self._address, single_connection_client=database == CONNECTED, **options
            )
            client.get("key")  # The engine is chosen with the first connection.
            return client

    def empty(self) -> None:
        pipe = self.control.pipeline(transaction=False)
        for database in (THEIRS, MULTIPLEXED, CONNECTED):
            pipe.execute_command("SELECT", database)
            pipe.flushdb()
        pipe.execute()

    def close(self) -> None:
        for client in [*self._opened.values(), self.control]:
            client.close()


@pytest.fixture(scope="module")
def clients(server: Any) -> Iterator[Clients]:
    """Clients of databases of the standalone server that nobody else uses."""
    made = Clients(server.host, server.port)
    yield made
    made.close()


def outcome(client: Any, item: Step | Batch) -> Any:
    """Return the reply, or the exception."""
    try:
        if isinstance(item, Step):
            return getattr(client, item.method)(*item.args, **item.kwargs)
        with client.pipeline(transaction=item.atomic) as pipe:
            if item.watched is not None and item.atomic:
                pipe.watch(item.watched)
                pipe.multi()
            for step in item.steps:
                getattr(pipe, step.method)(*step.args, **step.kwargs)
            return pipe.execute(raise_on_error=item.raising)
    except Exception as error:
        return error


def comparable(value: Any) -> Any:  # noqa: PLR0911 (one for each kind)
    """Return something that is equal for what an application cannot tell apart."""
    if isinstance(value, BaseException):
        if UNREADABLE in str(value) or "\ufffd" in str(value):
            return ("ResponseError", UNREADABLE)
        return (type(value).__qualname__, str(value), comparable(value.args))
    if isinstance(value, float):
        return ("float", "nan") if math.isnan(value) else ("float", value)
    if isinstance(value, dict):
        return ("dict", [(comparable(key), comparable(item)) for key, item in value.items()])
    if isinstance(value, set | frozenset):
        return (type(value).__name__, sorted(map(repr, map(comparable, value))))
    if isinstance(value, list | tuple):
        return (type(value).__name__, [comparable(item) for item in value])
    return (type(value).__name__, value)


def test_comparing() -> None:
    for one, other in (
        (1, True),
        (1, 1.0),
        (b"a", "a"),
        ((1,), [1]),
        ({"a": 1}, {"a": 1.0}),
        (redis.ResponseError("a"), redis.ResponseError("b")),
        (redis.ResponseError("a"), redis.RedisError("a")),
        ({1}, [1]),
    ):
        assert comparable(one) != comparable(other)
        assert comparable(one) == comparable(one)
    assert comparable(math.nan) == comparable(math.nan)


@pytest.mark.parametrize("engine", ENGINES)
@settings(
    max_examples=EXAMPLES // len(ENGINES),
    deadline=None,
    database=None,
    derandomize=os.environ.get("HYPOTHESIS_PROFILE") is None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)
@given(history=HISTORY, flavour=st.sampled_from(range(len(FLAVOURS))))
def test_the_same(clients: Clients, engine: str, history: list[Step | Batch], flavour: int) -> None:
    clients.empty()
    note(f"options: {FLAVOURS[flavour]}")
    for item in history:
        theirs = outcome(clients.get(THEIRS, flavour, engine), item)
        for database in (MULTIPLEXED, CONNECTED):
            ours = outcome(clients.get(database, flavour, engine), item)
            assert comparable(ours) == comparable(theirs), (database, item)
