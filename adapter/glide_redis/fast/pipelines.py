"""Pipelines as one batch of GLIDE's. Upstream: ``redis.client`` and ``redis.cluster`` 8.1.0."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import redis.client
import redis.cluster
from redis.client import EMPTY_RESPONSE
from redis.exceptions import RedisError, WatchError

from glide_redis.fast import clustered, guard, single
from glide_redis.fast.failures import Fallback, failed
from glide_redis.fast.guard import plain
from glide_redis.fast.path import FastPath, called_back
from glide_redis.fast.repeat import repeatable
from glide_redis.fast.table import taken
from glide_redis.native.values import NativeError, Refusal, Refused, Value, is_array

_UNUSABLE = single.UNUSABLE | {EMPTY_RESPONSE}
_GUARDED = frozenset(
    ["execute", "_execute_pipeline", "_execute_transaction", "parse_response", "raise_first_error"]
)
_STRATEGY_GUARDED = frozenset({"execute", "send_cluster_commands", "_send_cluster_commands"})


class Pipeline(redis.client.Pipeline):
    """redis-py's pipeline of one server; plain commands go as one batch."""

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Execute the commands; return their replies, or exceptions where not to be raised."""
        fast = self._fast()
        if fast is not None:
            try:
                responses = self._execute_batch(fast)
            except Fallback:
                pass
            else:
                try:
                    if raise_on_error:
                        self.raise_first_error(self.command_stack, responses)
                    return responses
                finally:
                    self.reset()
        return super().execute(raise_on_error)

    def _fast(self) -> FastPath | None:
        if (
            self.watching
            or self.scripts
            or not self.command_stack
            or not plain(self, _GUARDED)
            or not guard.pipelines.untouched()
            or not all(_batched(args, options) for args, options in self.command_stack)
        ):
            return None
        return single.ready(self, {})

    def _execute_batch(self, fast: FastPath) -> list[Any]:
        wanted: Any = self.transaction  # An attribute that hides a method of the same name.
        atomic = bool(wanted or self.explicit_transaction)
        commands = [args for args, _ in self.command_stack]
        try:
            with fast.awaited.under_way(commands[0]):
                values = sent(fast, commands, atomic)
        except Refused as error:
            if atomic:
                # One was refused before EXEC, so none was executed: redis-py's own way finds it.
                raise Fallback(str(error)) from None
            raise fast.values.error(str(error)) from None
        except NativeError as error:
            raise failed(fast, error, ("EXEC",) if atomic else _worst(commands)) from None
        return [
            _reply(fast, self.response_callbacks, args, options, value)
            for (args, options), value in zip(self.command_stack, values, strict=True)
        ]


class PipelineStrategy(redis.cluster.PipelineStrategy):
    """How a cluster pipeline executes: plain commands in one batch, which GLIDE splits by node."""

    def __init__(self, pipe: Any, client: Any) -> None:
        super().__init__(pipe)
        self._client = client

    def send_cluster_commands(
        self, stack: Any, raise_on_error: bool = True, allow_redirections: bool = True
    ) -> Any:
        """Execute the commands of ``stack``; return their replies in its order."""
        fast = self._fast(stack) if allow_redirections else None
        if fast is None:
            return super().send_cluster_commands(stack, raise_on_error, allow_redirections)
        started = time.monotonic()
        commands = [command.args for command in stack]
        try:
            values = sent(fast, commands, atomic=False)
        except NativeError as error:
            values = [Refusal(str(error))] * len(stack)
        callbacks = self._client.node_callbacks()
        for command, value in zip(stack, values, strict=True):
            command.result = self._result(fast, callbacks, command, value)
        if raise_on_error:
            self._raise_first_error(stack, started)
        return [command.result for command in stack]

    def _fast(self, stack: Any) -> FastPath | None:
        if (
            not plain(self, _STRATEGY_GUARDED)
            or not guard.pipelines.untouched()
            or not all(_batched(command.args, command.options) for command in stack)
            or any(command.args[0] in self._pipe.cluster_response_callbacks for command in stack)
        ):
            return None
        return clustered.ready(self._client, {})

    def _result(self, fast: FastPath, callbacks: Any, command: Any, value: Value) -> Any:
        if isinstance(value, Refusal):
            try:
                raise failed(fast, Refused(value.text), command.args)
            except Fallback:
                try:
                    return self._client.execute_command(*command.args, **command.options)
                except RedisError as error:
                    return error
            except RedisError as error:
                return error
        return called_back(
            callbacks, command.args, command.options, fast.shaped(command.args, value)
        )


class TransactionStrategy(redis.cluster.TransactionStrategy):
    """How a cluster transaction executes: as upstream, but never blindly.

    Upstream carries on over a new connection when it loses the one that watches keys, and commits
    without knowing whether they changed. Here that raises WatchError, as on a standalone server.
    """

    def __init__(self, pipe: Any) -> None:
        super().__init__(pipe)
        self._holds = False

    def _send_command_parse_response(
        self, conn: Any, redis_node: Any, command_name: Any, *args: Any, **options: Any
    ) -> Any:
        reply = super()._send_command_parse_response(
            conn, redis_node, command_name, *args, **options
        )
        # Before the first reply to WATCH nothing is lost with a connection.
        self._holds = self._watching
        return reply

    def _reinitialize_on_error(self, error: Any, failure_count: int) -> None:
        held = self._watching and self._holds
        super()._reinitialize_on_error(error, failure_count)
        if held:
            self._watching = False
            self.reset()
            raise WatchError(f"A {type(error).__name__} occurred while watching one or more keys")

    def reset(self) -> None:
        """Forget the commands and what is watched."""
        super().reset()
        self._holds = False


def sent(fast: FastPath, commands: Sequence[Sequence[Any]], atomic: bool) -> list[Value]:
    """Send commands as one batch and return their values, with a Refusal for each error."""
    encoded = [fast.encoded(args) for args in commands]
    values = fast.multiplexer.batch(encoded, atomic).wait(fast.timeout)
    if not is_array(values) or len(values) != len(commands):
        raise Refused(f"{len(commands)} replies were expected, not {values!r:.100}")
    return values


def _batched(args: Sequence[Any], options: Mapping[str, Any]) -> bool:
    return taken(args) and (not options or _UNUSABLE.isdisjoint(options))


def _worst(commands: Sequence[Sequence[Any]]) -> Sequence[Any]:
    """Return a command that may not be repeated, if there is one."""
    return next((args for args in commands if not repeatable(args)), commands[0])


def _reply(
    fast: FastPath,
    callbacks: Mapping[str, Any],
    args: Sequence[Any],
    options: Mapping[str, Any],
    value: Value,
) -> Any:
    if isinstance(value, Refusal):
        return fast.values.error(value.text)
    return called_back(callbacks, args, options, fast.shaped(args, value))
