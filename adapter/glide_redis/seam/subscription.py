"""Pub/sub on a wire socket: commands to a subscriber, confirmations and messages from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from glide_redis.native.engine import Call
from glide_redis.native.request import Options
from glide_redis.native.subscriber import MESSAGE, PATTERN_MESSAGE, Message, Subscriber
from glide_redis.native.values import NativeError, Pairs, Refusal, Value, is_array
from glide_redis.seam.session import Session
from glide_redis.seam.signal_fd import Signal
from glide_redis.seam.transaction import Command, Plan, written
from glide_redis.wire.encode import encode, encode_push

_SUBSCRIBE = {b"SUBSCRIBE", b"PSUBSCRIBE", b"SSUBSCRIBE"}
_UNSUBSCRIBE = {b"UNSUBSCRIBE", b"PUNSUBSCRIBE", b"SUNSUBSCRIBE"}
COMMANDS = _SUBSCRIBE | _UNSUBSCRIBE
"""Commands that need a subscriber."""

_WHILE_SUBSCRIBED = COMMANDS | {b"PING", b"QUIT", b"RESET"}
_SETINFO_WAIT = 5.0


class Subscription:
    """The subscriber of a connection, and what the server would write to that connection.

    ``wake`` is called in another thread when a message has come or the connection is lost.
    """

    def __init__(self, options: Options, session: Session, wake: Callable[[], None]) -> None:
        self._session = session
        self._channels: dict[bytes, dict[bytes, None]] = {name: {} for name in _SUBSCRIBE}
        self._count = 0
        self._subscriber = Subscriber(options, wake)
        for attribute, value in session.identity.library.items():
            command = (b"CLIENT", b"SETINFO", attribute.encode(), value)
            self._subscriber.submit(command).wait(_SETINFO_WAIT)

    @property
    def lost(self) -> bool:
        """True once the connection is gone; messages that came before can still be taken."""
        return self._subscriber.lost

    def submit(self, args: Sequence[bytes], fd: int = -1) -> Call:
        """Send one command of a plan."""
        return self._subscriber.submit(args, fd)

    def plan(self, args: Command) -> Plan:
        """Return the plan of a command on this connection."""
        name = args[0].upper()
        if name in COMMANDS:
            return self._each(name, args[1:])
        return self._other(name, args)

    def take(self) -> list[bytes]:
        """Return what the server would have written for the messages that have come."""
        frames = []
        while self._subscriber.messages:
            items = _items(self._subscriber.messages.popleft())
            frames.append(encode_push(items, self._session.protocol))
        return frames

    @property
    def waiting(self) -> bool:
        """True when ``take`` would bring something, or the connection is gone."""
        return bool(self._subscriber.messages) or self._subscriber.lost

    def attend(self, answered: Signal | None) -> None:
        """Make sure that the connection is alive; ``answered`` is set when there is an answer."""
        self._subscriber.attend(-1 if answered is None else answered.writing, answered)

    def close(self) -> None:
        """Close the connection."""
        self._subscriber.close()

    def _each(self, name: bytes, names: Sequence[bytes]) -> Plan:
        """One command a channel: GLIDE hands out one confirmation a command."""
        known = self._channels[name.replace(b"UNSUB", b"SUB")]
        chosen = list(names) or (list(known) if name in _UNSUBSCRIBE else [])
        commands: list[Command] = [(name, channel) for channel in chosen] or [(name,)]
        frames = []
        for command in commands:
            reply = _only((yield command))
            items = _confirmation(reply)
            if items is None:
                frames.append(written(command, reply, self._session.protocol))
                continue
            if len(command) > 1:
                if name in _SUBSCRIBE:
                    known[command[1]] = None
                else:
                    known.pop(command[1], None)
            self._count = sum(map(len, self._channels.values()))
            frames.append(encode_push(items, self._session.protocol))
        return b"".join(frames)

    def _other(self, name: bytes, args: Command) -> Plan:
        protocol = self._session.protocol
        if protocol == 2 and self._count:
            if name not in _WHILE_SUBSCRIBED:
                return (
                    b"-ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / "
                    b"QUIT / RESET are allowed in this context\r\n" % name.lower()
                )
            if name == b"PING":
                reply = _only((yield args))
                if not isinstance(reply, NativeError | Refusal):
                    return encode([b"pong", args[1] if len(args) > 1 else b""], protocol)
                return written(args, reply, protocol)
        return written(args, _only((yield args)), protocol)


def _only(reply: Value | NativeError) -> Value | NativeError:
    """Return the one reply inside of what the subscriber hands out."""
    if not is_array(reply):
        return reply
    if len(reply) == 1:
        return reply[0]
    executed = reply[-1]
    return executed[0] if is_array(executed) else executed


def _confirmation(reply: Value | NativeError) -> list[Value] | None:
    """Return the items of a confirmation that GLIDE gives as a map of its kind and values."""
    if not isinstance(reply, Pairs):
        return None
    fields = {key: value for key, value in reply if isinstance(key, bytes)}
    kind, values = fields.get(b"kind"), fields.get(b"values")
    if not isinstance(kind, bytes) or not isinstance(values, list):
        return None
    return [kind.lower(), *values]


def _items(message: Message) -> list[Value]:
    if message.kind == PATTERN_MESSAGE:
        return [b"pmessage", message.pattern, message.channel, message.data]
    kind = b"message" if message.kind == MESSAGE else b"smessage"
    return [kind, message.channel, message.data]
