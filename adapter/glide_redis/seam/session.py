"""What a conversation in the server's protocol means for the connection that carries it.

Pure: a command becomes a *plan*, a generator that yields what to send, is sent the reply to each,
and returns the bytes that the server would have answered. A plain command goes to the link; what a
link cannot do goes to a dedicated client, in a bundle:

- transactions, and replies with errors inside: a link reports the first error alone;
- scripts: in RESP3 a big number in their reply would abort the process, so they speak RESP2;
- commands whose replies GLIDE would spoil: in a transaction it leaves them alone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from glide_redis.native.values import NativeError, Pairs, Refusal, is_array
from glide_redis.seam.transaction import Bundle, Command, Plan, Transactions, written
from glide_redis.wire.encode import encode_error
from glide_redis.wire.restore import may_hold_errors, may_return_big_number, needs_raw

_ONE_BY_ONE = encode_error(
    "ERR glide-redis: MULTI on a connection that watches keys must come in one pipeline with its "
    "commands and EXEC"
)


_BLOCKING = frozenset(
    b"BLPOP BRPOP BRPOPLPUSH BLMOVE BLMPOP BZPOPMIN BZPOPMAX BZMPOP WAIT WAITAOF".split()
)


@dataclass
class Identity:
    """Who the connection is for the server, as its own commands made it."""

    username: str | None = None
    password: str | None = None
    client_name: str | None = None
    database: int = 0
    library: dict[str, bytes] = field(default_factory=dict)


class Session:
    """State of one connection, followed from its commands and their replies."""

    def __init__(self) -> None:
        self.protocol = 2
        self.identity = Identity()
        self._transactions = Transactions()
        self._queueing = False

    def plan(  # noqa: PLR0911 (one for each kind of command)
        self, args: Command, upcoming: deque[Command]
    ) -> Plan:
        """Return the plan of a command. It takes what belongs to it from ``upcoming``."""
        name = args[0].upper() if args else b""
        if self._queueing:
            return self._queued(name, args)
        if name == b"HELLO":
            return self._hello(args)
        if name == b"WATCH" and len(args) > 1:
            return self._transactions.watch(args, self.protocol)
        if name == b"MULTI":
            body = _transaction(upcoming)
            if body is not None:
                return self._transactions.whole(body, self.protocol)
            return self._one_by_one(args)
        if self._transactions.watching:
            return self._transactions.single(args, self.protocol)
        if may_hold_errors(args) or (self.protocol == 3 and may_return_big_number(args)):
            return self._alone(args, Bundle([args], 2))
        if needs_raw(args):
            return self._alone(args, Bundle([(b"MULTI",), args, (b"EXEC",)], self.protocol))
        if _misread(args):
            return self._alone(args, Bundle([args], self.protocol))
        return self._plain(name, args)

    def _plain(self, name: bytes, args: Command) -> Plan:
        reply = yield args
        if not isinstance(reply, NativeError):
            self._observe(name, args)
        return written(args, reply, self.protocol)

    def _alone(self, args: Command, bundle: Bundle) -> Plan:
        replies = yield bundle
        if isinstance(replies, NativeError) or not is_array(replies):
            return written(args, replies, self.protocol)
        if len(replies) == 1:
            return written(args, replies[0], self.protocol)
        refusals = [reply for reply in replies if isinstance(reply, Refusal)]
        executed = replies[-1]
        if refusals or not is_array(executed):
            return written(args, refusals[0] if refusals else executed, self.protocol)
        # What EXEC brings has the server's own shape.
        return written((b"",), executed[0], self.protocol)

    def _hello(self, args: Command) -> Plan:
        reply = yield args
        if isinstance(reply, Pairs | list) and len(args) > 1:
            self.protocol = int(args[1])
            self._note_hello(args)
        return written(args, reply, self.protocol)

    def _one_by_one(self, args: Command) -> Plan:
        if self._transactions.watching:
            return _ONE_BY_ONE
        reply = yield args
        self._queueing = not isinstance(reply, NativeError)
        return written(args, reply, self.protocol)

    def _queued(self, name: bytes, args: Command) -> Plan:
        """Plan a command of a transaction that arrives one by one, on the link itself."""
        if self.protocol == 3 and may_return_big_number(args):
            return encode_error(
                "ERR glide-redis: a script in a RESP3 transaction must come in one pipeline with "
                "MULTI and EXEC"
            )
        reply = yield args
        if name in {b"EXEC", b"DISCARD", b"RESET"}:
            self._queueing = False
        # Neither QUEUED nor what EXEC brings is reshaped by GLIDE.
        return written((b"",), reply, self.protocol)

    def _note_hello(self, args: Command) -> None:
        words = [arg.upper() for arg in args]
        if b"AUTH" in words[2:]:
            at = words.index(b"AUTH", 2)
            self.identity.username = args[at + 1].decode()
            self.identity.password = args[at + 2].decode()
        if b"SETNAME" in words[2:]:
            self.identity.client_name = args[words.index(b"SETNAME", 2) + 1].decode()

    def _observe(self, name: bytes, args: Command) -> None:
        if name == b"AUTH":
            *user, password = (arg.decode() for arg in args[1:])
            self.identity.username = user[0] if user else None
            self.identity.password = password
        elif name == b"SELECT":
            self.identity.database = int(args[1])
        elif name == b"RESET":
            self.protocol = 2
            self.identity = Identity()
        elif name == b"CLIENT" and len(args) > 2:
            option = args[1].upper()
            if option == b"SETNAME":
                self.identity.client_name = args[2].decode() or None
            elif option == b"SETINFO" and len(args) > 3:
                self.identity.library[args[2].decode().upper()] = args[3]


_CLIENT_STATE = {b"SETNAME", b"SETINFO", b"NO-EVICT", b"NO-TOUCH", b"CAPA"}


def introduction(args: Command) -> Command | None:
    """Return what a command tells the server about the connection, None when it tells nothing.

    Who speaks, in which protocol and database, and what is allowed there. Of two commands of the
    same kind the later one holds.
    """
    words = [arg.upper() for arg in args]
    name = words[0] if words else b""
    if name == b"CLIENT" and len(words) > 2 and words[1] in _CLIENT_STATE:
        return words[:3] if words[1] == b"SETINFO" else words[:2]
    if name == b"HELLO":
        return [name, *(option for option in (b"AUTH", b"SETNAME") if option in words)]
    if name in {b"READONLY", b"READWRITE"}:
        return [b"READONLY"]
    return [name] if name in {b"AUTH", b"SELECT"} else None


def unfinished(upcoming: deque[Command]) -> bool:
    """True for the beginning of a transaction whose end has not come yet."""
    first, last = upcoming[0], upcoming[-1]
    return bool(first and last) and first[0].upper() == b"MULTI" and last[0].upper() != b"EXEC"


def blocks(args: Command) -> bool:
    """True for a command that may wait for what other clients do."""
    name = args[0].upper() if args else b""
    if name in {b"XREAD", b"XREADGROUP"}:
        return any(arg.upper() == b"BLOCK" for arg in args[1:9])
    return name in _BLOCKING


def _misread(args: Command) -> bool:
    """True for what a link refuses to send: in a bundle GLIDE does not look at it."""
    try:
        name = args[0].decode().upper()
    except UnicodeDecodeError:
        return True
    if name not in {"XREAD", "XREADGROUP"}:
        return False
    # GLIDE takes what follows the first "block" for a time limit, be it a stream's name.
    words = [arg.upper() for arg in args]
    if b"BLOCK" not in words:
        return False
    end = words.index(b"STREAMS") if b"STREAMS" in words else len(words)
    return not (4 if name == "XREADGROUP" else 1) <= words.index(b"BLOCK") < end


def _transaction(upcoming: deque[Command]) -> list[Command] | None:
    """Take the commands up to EXEC, when it is there already."""
    for at, args in enumerate(upcoming):
        name = args[0].upper() if args else b""
        if name == b"EXEC":
            body = [upcoming.popleft() for _ in range(at)]
            upcoming.popleft()
            return body
        if name in {b"DISCARD", b"MULTI", b"WATCH"}:
            return None
    return None
