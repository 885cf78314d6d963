"""The fast path of a client: encode, one call into the native core, redis-py's own callbacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from glide_redis.fast.table import RESTORED, SCRIPTS
from glide_redis.fast.values import ParsedValues
from glide_redis.native.multiplexer import Multiplexer
from glide_redis.native.values import Refusal, Refused, Value, is_array
from glide_redis.wire.restore import restore

_AS_THEY_ARE = frozenset({int, type(None)})


class FastPath:
    """Executes commands of ``fast.table`` for one client.

    ``encoder`` is the client's own, from redis-py: arguments are encoded and replies decoded as it
    does. ``timeout`` bounds each command, in seconds.
    """

    def __init__(
        self,
        multiplexer: Multiplexer,
        encoder: Any,
        protocol: int,
        timeout: float | None,
    ) -> None:
        self.multiplexer = multiplexer
        self.awaited: Any = None  # What the watchdog knows of a client of one server.
        self.timeout = timeout
        self._encode: Callable[[Any], bytes] = encoder.encode
        self._utf8 = encoder.encoding.lower().replace("_", "-") in {"utf-8", "utf8"} and (
            encoder.encoding_errors == "strict"
        )
        self._protocol = protocol
        self._decode: Callable[[bytes], Any] | None = (
            encoder.decode if encoder.decode_responses else None
        )
        self.values = ParsedValues(protocol, self._decode)

    def execute(self, args: Sequence[Any]) -> Any:
        """Send a command; return what redis-py's parser would have returned for its reply.

        Raises Refused, Lost, TimedOut and Closed of the native core, and redis-py's DataError.
        """
        if args[0] in SCRIPTS:
            value = self._alone(self.encoded(args))
        else:
            value = self.multiplexer.execute(self.encoded(args), self.timeout)
        if type(value) in _AS_THEY_ARE:
            return value
        if type(value) is bytes and args[0] not in RESTORED:
            return value if self._decode is None else self._decode(value)
        return self.shaped(args, value)

    def _alone(self, args: Sequence[bytes | str]) -> Value:
        """Send a command as a batch of its own, in whose reply errors stay where they are."""
        values = self.multiplexer.batch([args], False).wait(self.timeout)
        value = values[0] if is_array(values) and values else values
        if isinstance(value, Refusal):
            raise Refused(value.text)
        return value

    def encoded(self, args: Sequence[Any]) -> list[bytes | str]:
        """Return the arguments as the native core takes them: bytes, or text for UTF-8."""
        encode, utf8 = self._encode, self._utf8
        return [
            arg if type(arg) is bytes or (utf8 and type(arg) is str) else encode(arg)
            for arg in args
        ]

    def shaped(self, args: Sequence[Any], value: Value) -> Any:
        """Return what redis-py's parser would have returned for a reply in GLIDE's shape."""
        if args[0] in RESTORED and not isinstance(value, Refusal):
            encode = self._encode
            value = restore([encode(arg) for arg in args], value, self._protocol)
        return self.values.of(value)


def called_back(
    callbacks: Mapping[str, Callable[..., Any]],
    args: Sequence[Any],
    options: Mapping[str, Any],
    reply: Any,
) -> Any:
    """Apply a response callback as redis-py does."""
    callback = callbacks.get(args[0])
    if callback is None:
        return reply
    if not options:
        return callback(reply)
    return callback(reply, **{name: value for name, value in options.items() if name != "keys"})
