"""The socket that redis-py's connections get: its interface, with a link of GLIDE's behind it.

redis-py's own connection, parsers (hiredis' too), retries, health checks and pub/sub run on it
unchanged: what they send is read as commands, which GLIDE executes; replies are written back in the
server's protocol. Everything that an application replaces in redis-py keeps its effect.
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import replace

from glide_redis.native import links
from glide_redis.native.dedicated import Dedicated
from glide_redis.native.engine import Call
from glide_redis.native.library import generation
from glide_redis.native.request import Options
from glide_redis.native.values import Closed, Lost, NativeError, Refused, TimedOut
from glide_redis.seam.monitoring import Monitoring
from glide_redis.seam.session import Identity, Session, blocks, introduction, unfinished
from glide_redis.seam.signal_fd import Signal
from glide_redis.seam.subscription import COMMANDS as SUBSCRIBING
from glide_redis.seam.subscription import Subscription
from glide_redis.seam.transaction import Bundle, Command, Plan, Step
from glide_redis.wire.encode import encode_error
from glide_redis.wire.errors import is_unreadable
from glide_redis.wire.requests import RequestReader

# GLIDE takes an error that is not UTF-8, such as one that quotes a binary key, for a broken
# connection, and closes it.
_UNREADABLE = "ERR glide-redis: GLIDE does not hand out the server's error, which is not UTF-8"
# A connection that was idle for longer is asked whether it still lives before it is trusted.
_TRUSTED_SECONDS = 0.5
# How often a call is looked at that was sent before anybody wanted to poll.
_WATCHED_SECONDS = 0.005


class WireSocket:
    """A connected stream socket to one node, as far as redis-py uses one.

    One thread at a time, like redis-py's connections; ``close`` may come from any thread.
    """

    def __init__(self, options: Options, connect_timeout: float | None) -> None:
        self._options = options
        self._connect_timeout = connect_timeout
        self._generation = generation()
        self._link: links.Link | None = links.connect(options, connect_timeout)
        self._session = Session()
        self._introduction: dict[tuple[bytes, ...], Command] = {}
        self._dedicated: dict[int, tuple[Dedicated, Identity]] = {}
        self._subscription: Subscription | None = None
        self._monitoring: Monitoring | None = None
        self._requests = RequestReader()
        self._pending: deque[Command] = deque()
        self._plan: Plan | None = None
        self._call: Call | None = None
        self._out: deque[bytes] = deque()
        self._taken = 0  # bytes of the first of them
        self._signal: Signal | None = None
        self._heartbeat: Signal | None = None
        self._timeout: float | None = None
        self._broken = False
        self._closed = False
        self._last_used = time.monotonic()

    # What redis-py and its parsers call, by the names of the socket module.

    def settimeout(self, seconds: float | None) -> None:
        """Limit each receive: None waits without end, 0 does not wait."""
        self._timeout = seconds

    def gettimeout(self) -> float | None:
        """Return the limit."""
        return self._timeout

    def sendall(self, data: bytes | bytearray | memoryview | str, flags: int = 0) -> None:
        """Take bytes of commands; each command is sent as soon as the one before it has answered.

        Raises BrokenPipeError when the connection is gone.
        """
        del flags
        if self._closed:
            raise OSError(errno.EBADF, "Bad file descriptor")
        if self._generation != generation():
            self._connect_again()
        if self._broken:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")
        self._pending.extend(self._requests.feed(data.encode() if isinstance(data, str) else data))
        self._pump()

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return up to ``size`` bytes of replies; b"" when the connection is gone.

        Raises TimeoutError after the limit, BlockingIOError when the limit is 0.
        """
        if not self._out and not self._fill():
            return b""
        if len(self._out) > 1:
            joined = b"".join(self._out)
            self._out.clear()
            self._out.append(joined)
        data, begin = self._out[0], self._taken
        end = begin + size
        if not flags & socket.MSG_PEEK:
            if end < len(data):
                self._taken = end
            else:
                self._out.clear()
                self._taken = 0
                self._quiet()
        return data[begin:end]

    def recv_into(self, buffer: bytearray | memoryview, nbytes: int = 0, flags: int = 0) -> int:
        """Receive into ``buffer``; the number of bytes, 0 when the connection is gone."""
        data = self.recv(nbytes or len(buffer), flags)
        buffer[: len(data)] = data
        return len(data)

    def fileno(self) -> int:
        """Return a descriptor that is readable when ``recv`` would not wait."""
        if self._closed:
            return -1
        if self._signal is None:
            self._signal = Signal()
            if self._call is not None:
                _announce(self._call, self._signal)
        self._pump(awaited=True)
        self._attend()
        if self._out or self._gone_while_idle():
            self._signal.set()
        return self._signal.reading

    def setsockopt(self, *args: object) -> None:
        """Accept and leave to GLIDE: it sets TCP_NODELAY and keep-alive by itself."""

    def getsockopt(self, *args: object) -> int:
        """Return 0: options are GLIDE's."""
        del args
        return 0

    def getpeername(self) -> tuple[str, int]:
        """Return the address that was asked for."""
        if not self._options.addresses:
            raise OSError(errno.ENOTSUP, "a unix socket's peer has no address")
        return self._options.addresses[0]

    def shutdown(self, how: int) -> None:
        """Close the connection at once, whatever is under way."""
        del how
        self._drop()

    def close(self) -> None:
        """Close the connection and its descriptor."""
        if self._call is not None:
            self._call.abandon()
        self._closed = True
        self._drop()
        # Another thread may be waiting for the signal: it closes with its last reference.
        self._signal = None

    # Behind it.

    def _connect_again(self) -> None:
        """Give a forked child, which has none of its parent's connections, one of its own.

        Over a shared socket parent and child would get each other's replies.
        """
        self._generation = generation()
        self._dedicated.clear()
        self._subscription = self._monitoring = self._signal = None
        self._call = self._plan = None
        self._pending.clear()
        self._out.clear()
        self._taken = 0
        try:
            self._link = self._introduced(exclusive=False)
            self._broken = False
        except NativeError:
            self._break()

    def _go_exclusive(self) -> None:
        """Go over to a link that can be closed at once, for commands that wait for others."""
        link = self._introduced(exclusive=True)
        self._close_link()
        self._link = link

    def _introduced(self, *, exclusive: bool) -> links.Link:
        """Return another link that is the same user, in the same protocol and database."""
        link = links.connect(self._options, self._connect_timeout, exclusive=exclusive)
        for args in self._introduction.values():
            with suppress(Refused):
                link.submit(args).wait(self._connect_timeout)
        return link

    def _pump(self, *, awaited: bool = False) -> None:
        """Send the next command when none is under way.

        A transaction that comes in several pieces is held back until it is whole, or until its
        reply is ``awaited``.
        """
        while self._call is None and self._pending and not self._broken:
            if not awaited and unfinished(self._pending):
                return
            args = self._pending.popleft()
            try:
                self._plan = self._start(args)
                self._advance(None)
            except NativeError:
                self._break()  # No connection for what the command needs.

    def _start(self, args: Command) -> Plan:
        name = args[0].upper() if args else b""
        if name in SUBSCRIBING and self._subscription is None:
            self._subscribe()
        elif name == b"MONITOR":
            return self._monitor()
        if self._subscription is not None:
            return self._subscription.plan(args)
        kind = introduction(args)
        if kind is not None:
            self._introduction.pop(tuple(kind), None)  # The last one is to be the last.
            self._introduction[tuple(kind)] = args
        elif name == b"RESET":
            self._introduction.clear()
        elif blocks(args) and self._link is not None and not self._link.exclusive:
            self._go_exclusive()
        return self._session.plan(args, self._pending)

    def _advance(self, reply: object) -> None:
        assert self._plan is not None
        try:
            step = self._plan.send(reply)  # type: ignore[arg-type]
        except StopIteration as stop:
            self._plan = None
            if stop.value:
                self._out.append(stop.value)
                if self._signal is not None:
                    self._signal.set()
            return
        except NativeError:
            self._break()  # The plan cannot be carried out on what is left of the connection.
            return
        try:
            self._call = self._submit(step)
        except Closed:
            self._break()
        except NativeError as error:
            self._advance(error)

    def _submit(self, step: Step) -> Call:
        fd = -1 if self._signal is None else self._signal.writing
        if isinstance(step, Bundle):
            return self._dedicated_client(step.protocol).submit(step.commands, fd=fd)
        if self._subscription is not None:
            return self._subscription.submit(step, fd)
        if self._link is None:
            raise Closed("the connection is closed")
        return self._link.submit(step, fd)

    def _dedicated_client(self, protocol: int) -> Dedicated:
        """Return the client for bundles, opened at the first one, as the connection's user."""
        identity = replace(self._session.identity, library={})
        known = self._dedicated.get(protocol)
        if known is not None and known[1] == identity:
            return known[0]
        if known is not None:
            known[0].close()
        client = Dedicated(self._own_options(), protocol)
        self._dedicated[protocol] = (client, identity)
        return client

    def _own_options(self) -> Options:
        """Return the options of a further connection of the same user."""
        identity = self._session.identity
        return replace(
            self._options,
            username=identity.username,
            # GLIDE sends no login without a password; a user who has none is content with any.
            password=identity.password or ("nopass" if identity.username else None),
            client_name=identity.client_name,
            database=identity.database,
        )

    def _settle(self, timeout: float | None) -> None:
        """Wait for the call under way and go on from its reply. TimedOut ends the connection."""
        assert self._call is not None
        try:
            reply: object = self._call.wait(timeout)
        except (Lost, Closed) as error:
            if is_unreadable(str(error)):
                self._out.append(encode_error(_UNREADABLE))
            self._break()
            return
        except TimedOut:
            self._break()  # The reply, should it come, belongs to nobody.
            raise
        except NativeError as error:
            reply = error
        self._call = None
        self._last_used = time.monotonic()
        self._advance(reply)
        self._pump()

    def _fill(self) -> bool:
        """Wait until there is something to receive; False when the connection is gone."""
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        while not self._out:
            if self._call is None and self._pending:
                self._pump(awaited=True)
            elif self._call is not None and self._call.done():
                self._settle(0)
            elif self._take_pushed():
                break
            elif self._broken or self._closed:
                return False
            elif self._timeout == 0:
                if self._gone_while_idle():
                    return False
                self._attend()
                raise BlockingIOError(errno.EWOULDBLOCK, "Resource temporarily unavailable")
            else:
                self._wait(deadline)
        return True

    def _wait(self, deadline: float | None) -> None:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError("timed out")
        signal = self._signal
        if signal is not None:
            signal.clear()
            self._attend(self._heartbeat)
            if not self._something():
                signal.wait(left, self._heartbeat)
        elif self._call is not None:
            try:
                self._settle(left)
            except TimedOut:
                raise TimeoutError("timed out") from None
        else:
            # Nobody asked for anything, so nothing can come: as on a socket, wait all the same.
            time.sleep(0.05 if left is None else min(left, 0.05))

    def _attend(self, heartbeat: Signal | None = None) -> None:
        """See whether a subscription that is waited for is alive."""
        if heartbeat is not None:
            heartbeat.clear()
        if self._subscription is not None and self._call is None:
            self._subscription.attend(heartbeat)

    def _something(self) -> bool:
        """True when there is, or could be, something to receive."""
        call = self._call
        if self._broken or (call is not None and call.done()):
            return True
        source = self._subscription or self._monitoring
        return source is not None and source.waiting

    def _take_pushed(self) -> bool:
        """Move messages that came unasked to the output; a confirmation under way goes first."""
        if self._call is not None:
            return False
        source = self._subscription or self._monitoring
        if source is None:
            return False
        frames = source.take()
        self._out.extend(frames)
        if not frames and source.lost:
            self._break()
        return bool(frames)

    def _quiet(self) -> None:
        """Nothing is left to receive: say so to those who poll, unless something just came."""
        if self._signal is None:
            return
        self._signal.clear()
        if self._something():
            self._signal.set()

    def _gone_while_idle(self) -> bool:
        """Ask a connection that was idle for a while whether it still lives."""
        if self._broken:
            return True
        if (
            self._call is not None
            or self._link is None
            or time.monotonic() - self._last_used < _TRUSTED_SECONDS
        ):
            return False
        try:
            self._link.submit((b"PING",)).wait(5 if not self._timeout else self._timeout)
        except NativeError as error:
            if isinstance(error, Lost | Closed | TimedOut):
                self._break()
                return True
        self._last_used = time.monotonic()
        return False

    def _subscribe(self) -> None:
        """Go over from the link to a connection that takes messages, as the same user."""
        self._signal = self._signal or Signal()
        self._heartbeat = Signal()
        self._subscription = Subscription(self._own_options(), self._session, self._signal.set)
        self._close_link()

    def _monitor(self) -> Plan:
        self._signal = self._signal or Signal()
        if self._link is not None:
            with suppress(NativeError):  # So that its end is not among what is monitored.
                self._link.submit((b"QUIT",)).wait(self._connect_timeout)
            self._close_link()
        self._monitoring = Monitoring(self._own_options(), self._signal.set)
        return b"+OK\r\n"
        yield  # A plan that needs no command.

    def _break(self) -> None:
        if self._call is not None:
            self._call.abandon()
        self._call = None
        self._plan = None
        self._pending.clear()
        self._drop()

    def _drop(self) -> None:
        self._broken = True
        signal = self._signal
        if signal is not None:
            signal.set()
        self._close_link()
        for client, _ in list(self._dedicated.values()):
            client.close()
        if self._subscription is not None:
            self._subscription.close()
        if self._monitoring is not None:
            self._monitoring.close()

    def _close_link(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None


def _announce(call: Call, signal: Signal) -> None:
    """Set the signal when a call is done that was sent before anybody wanted to poll."""

    def watch() -> None:
        while not call.done():
            time.sleep(_WATCHED_SECONDS)
        signal.set()

    threading.Thread(target=watch, name="glide-redis poll", daemon=True).start()
