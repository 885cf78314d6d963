"""Transactions: WATCH, MULTI and EXEC on a connection that reconnects in silence, without risk.

A link loses all replies of a transaction but the first error among them, so transactions are sent
to a dedicated client, in bundles. It may reconnect at any time, and what was watched is forgotten
then. So what is watched is bound to the connection's id, and a transaction after a WATCH is sent in
two steps: first the id and MULTI with the commands, and EXEC only when the id is still the one of
the WATCH. A connection lost in between has no transaction to execute; nothing is committed blindly.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from glide_redis.native.values import Lost, NativeError, Refusal, Value, is_array
from glide_redis.wire.encode import encode, encode_error
from glide_redis.wire.errors import server_line
from glide_redis.wire.restore import may_return_big_number, restore

Command: TypeAlias = Sequence[bytes]

_ID = (b"CLIENT", b"ID")


@dataclass(frozen=True)
class Bundle:
    """Commands to send in one go to the dedicated client of that protocol."""

    commands: Sequence[Command]
    protocol: int


Step: TypeAlias = "Command | Bundle"
Plan: TypeAlias = "Generator[Step, Value | NativeError, bytes]"


class Transactions:
    """What a connection watches, and the plans of its transactions."""

    def __init__(self) -> None:
        self._watched_on: Value = None

    @property
    def watching(self) -> bool:
        """True between WATCH and what ends it: such commands belong on the dedicated client."""
        return self._watched_on is not None

    def watch(self, args: Command, protocol: int) -> Plan:
        """Plan a WATCH. Raises Lost when an earlier one was for a connection that is gone."""
        identity, answer = _pair((yield Bundle([_ID, args], protocol)))
        if self.watching and identity != self._watched_on:
            raise Lost("the connection was lost while keys were watched")
        if not isinstance(answer, Refusal | NativeError):
            self._watched_on = identity
        return written(args, answer, protocol)

    def single(self, args: Command, protocol: int) -> Plan:
        """Plan a command on the connection that watches."""
        if args[0].upper() in {b"UNWATCH", b"RESET"}:
            self._watched_on = None
        commands, (place,) = _shielded([args], protocol)
        answers = _list((yield Bundle(commands, protocol)), len(commands))
        return written(args, answers[place], protocol)

    def whole(self, body: Sequence[Command], protocol: int) -> Plan:
        """Plan MULTI, the commands of ``body`` and EXEC, which arrived together."""
        return self._checked(body, protocol) if self.watching else self._plain(body, protocol)

    def _plain(self, body: Sequence[Command], protocol: int) -> Plan:
        sent, places = _shielded(body, protocol)
        commands: list[Command] = [(b"MULTI",), *sent, (b"EXEC",)]
        begun, *queued, executed = _list((yield Bundle(commands, protocol)), len(commands))
        return _answered(begun, queued, executed, places, protocol)

    def _checked(self, body: Sequence[Command], protocol: int) -> Plan:
        sent, places = _shielded(body, protocol)
        first: list[Command] = [_ID, (b"MULTI",), *sent]
        identity, begun, *queued = _list((yield Bundle(first, protocol)), len(first))
        watched_on, self._watched_on = self._watched_on, None
        if identity != watched_on:
            yield Bundle([(b"DISCARD",)], protocol)
            raise Lost("the connection was lost while keys were watched")
        (executed,) = _list((yield Bundle([(b"EXEC",)], protocol)), 1)
        if isinstance(executed, Refusal) and "EXEC without MULTI" in executed.text:
            raise Lost("the connection was lost before EXEC")
        return _answered(begun, queued, executed, places, protocol)


def _shielded(body: Sequence[Command], protocol: int) -> tuple[list[Command], list[int]]:
    """Return what to send for the commands of a transaction, and where they are in it.

    Those that could answer with a big number are put between two HELLO: what EXEC brings of them
    is in RESP2.
    """
    sent: list[Command] = []
    places: list[int] = []
    spoken = protocol
    for args in body:
        wanted = 2 if may_return_big_number(args) else protocol
        if wanted != spoken:
            sent.append(_hello(wanted))
            spoken = wanted
        places.append(len(sent))
        sent.append(args)
    if spoken != protocol:
        sent.append(_hello(protocol))
    return sent, places


def _hello(protocol: int) -> Command:
    return (b"HELLO", b"%d" % protocol)


def _answered(
    begun: Value, queued: Sequence[Value], executed: Value, places: Sequence[int], protocol: int
) -> bytes:
    """Return what the server would have written for MULTI, the commands themselves and EXEC."""
    if is_array(executed) and len(executed) == len(queued):
        executed = [executed[place] for place in places]
    answers = [begun, *(queued[place] for place in places), executed]
    return b"".join(encode(answer, protocol) for answer in answers)


def written(args: Command, answer: Value | NativeError, protocol: int) -> bytes:
    """Return what the server would have written for a reply in GLIDE's shape, or for an error.

    ``args``: the command; one with an empty name when GLIDE has left the reply alone.
    """
    if isinstance(answer, NativeError):
        return encode_error(server_line(str(answer)))
    return encode(restore(args, answer, protocol), protocol)


def _pair(answers: Value | NativeError) -> tuple[Value, Value]:
    first, second = _list(answers, 2)
    return first, second


def _list(answers: Value | NativeError, count: int) -> list[Value]:
    if isinstance(answers, NativeError):
        raise answers
    if not is_array(answers) or len(answers) != count:
        raise Lost(f"{count} replies were expected, not {answers!r:.100}")
    return answers
