"""Subscribers: a connection to one node for pub/sub, of any kind of channel, on any server.

A dedicated client carries it: GLIDE does not interpret what is sent there, so SSUBSCRIBE works on a
standalone server as well, and each confirmation comes back. GLIDE would reconnect and go on without
the subscriptions, in silence: the server's id of the connection is asked for again and again, and
when it has changed, or no answer comes, the subscriber is lost for good and says so.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from glide_redis.native.dedicated import MAX_AGE_SECONDS, Dedicated
from glide_redis.native.engine import Call, PushHandler
from glide_redis.native.library import generation
from glide_redis.native.request import Options
from glide_redis.native.values import Lost, NativeError, Refusal

# Kinds of GLIDE's push callback that carry a message.
MESSAGE, PATTERN_MESSAGE, SHARDED_MESSAGE = 3, 4, 5
_PULSE_SECONDS = 0.5
_ATTENTION_SECONDS = 0.05
_HUNG_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Message:
    """A published message; ``pattern`` is the one it matched, None for channels."""

    kind: int
    channel: bytes
    data: bytes
    pattern: bytes | None


class Subscriber:
    """One pub/sub connection. ``wake`` is called in another thread when something has come."""

    def __init__(
        self, options: Options, wake: Callable[[], None], seconds: float | None = None
    ) -> None:
        self.messages: deque[Message] = deque()
        self.lost = False
        self._wake = wake
        self._connection = Dedicated(options, 3, _to(self.messages, wake))
        self._opened = time.monotonic()
        self._beating = threading.Lock()
        # The call, since when, and whose descriptor it signals: that must not be closed before.
        self._asked: tuple[Call, float, object] | None = None
        self._known_at = 0.0
        try:
            self._id = self._checked(self.submit((b"CLIENT", b"ID")).wait(seconds))
        except BaseException:
            self.close()
            raise
        _pulse.watch(self)

    def submit(self, args: Sequence[bytes], fd: int = -1) -> Call:
        """Send one command; its call gives a list whose last item is, or holds, the reply.

        GLIDE takes the confirmation of SUNSUBSCRIBE for no reply, and would give it the reply of
        the next command. In a transaction it has one, alone in the last item.
        """
        transaction = args[0].upper() == b"SUNSUBSCRIBE"
        commands = [(b"MULTI",), args, (b"EXEC",)] if transaction else [args]
        return self._connection.submit(commands, fd=fd)

    def close(self) -> None:
        """Close the connection. Further calls do nothing."""
        asked = self._asked
        if asked is not None:
            asked[0].abandon()
        self._connection.close()

    def attend(self, fd: int = -1, owner: object = None) -> None:
        """Make sure that the connection is alive, for somebody who waits for messages.

        ``fd``: signalled when there is an answer, upon which this is to be called again; ``owner``
        closes it when it is dropped.
        """
        now = time.monotonic()
        if self._asked is not None or now - self._known_at > _ATTENTION_SECONDS:
            self.beat(now, fd, owner)

    def beat(self, now: float, fd: int = -1, owner: object = None) -> bool:
        """Ask for the connection's id, or look at the answer; False when it is over."""
        if not self._beating.acquire(blocking=False):
            return True  # Another thread does.
        try:
            return self._beat(now, fd, owner)
        finally:
            self._beating.release()

    def _beat(self, now: float, fd: int, owner: object) -> bool:
        if self.lost or self._connection.closed:
            return False
        if now - self._opened > MAX_AGE_SECONDS:
            return self._lose()
        if self._asked is None:
            try:
                self._asked = (self.submit((b"CLIENT", b"ID"), fd), now, owner)
            except NativeError:
                return self._lose()
            return True
        call, since, _ = self._asked
        if not call.done():
            return True if now - since < _HUNG_SECONDS else self._lose()
        self._asked = None
        self._known_at = now
        try:
            same = self._checked(call.wait(0)) == self._id
        except NativeError:
            same = False
        return True if same else self._lose()

    def _lose(self) -> bool:
        self.lost = True
        self.close()
        self._wake()
        return False

    @staticmethod
    def _checked(reply: object) -> object:
        if isinstance(reply, list) and len(reply) == 1 and not isinstance(reply[0], Refusal):
            return reply[0]
        raise Lost(f"the server does not tell the connection's id: {reply!r}")


def _to(messages: deque[Message], wake: Callable[[], None]) -> PushHandler:
    def arrived(kind: int, channel: bytes, data: bytes, pattern: bytes | None) -> None:
        messages.append(Message(kind, channel, data, pattern))
        wake()

    return arrived


class _Pulse:
    """The thread that beats for every subscriber of the process; it ends with the last of them."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._watched: weakref.WeakSet[Subscriber] = weakref.WeakSet()
        self._thread: threading.Thread | None = None
        self._generation = generation()

    def watch(self, subscriber: Subscriber) -> None:
        if self._generation != generation():
            self._reset()  # The parent's thread and lock did not come along.
        with self._lock:
            self._watched.add(subscriber)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="glide-redis pulse", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        while True:
            time.sleep(_PULSE_SECONDS)
            with self._lock:
                beating = list(self._watched)
                if not beating:
                    self._thread = None
                    return
            now = time.monotonic()
            for subscriber in beating:
                if not subscriber.beat(now):
                    with self._lock:
                        self._watched.discard(subscriber)
            del beating, subscriber


_pulse = _Pulse()
