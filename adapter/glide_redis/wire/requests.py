"""Commands out of the bytes that redis-py writes to a server.

A client sends arrays of bulk strings, the only form of a request in RESP2 and RESP3:
``*2\\r\\n$3\\r\\nGET\\r\\n$1\\r\\nk\\r\\n``. Inline commands, the form for people at a terminal,
are refused: no packer of redis-py writes them.
"""

from __future__ import annotations

_END = b"\r\n"
_ARRAY = 0x2A  # *
_BULK = 0x24  # $
_LONGEST_HEADER = 32
"""Bytes that a header such as ``$104857600`` may take; more without an end is no header."""
_SHORT = 4096
"""Bytes of a chunk up to which it pays to try first whether it is one plain command."""


class RequestReader:
    """An incremental parser of requests: chunks may end anywhere.

    A value is copied at most once on its way, whatever the number of chunks that it comes in, and
    not at all if a ``bytes`` object holds exactly it, as redis-py's packers send long ones. After
    a ``ValueError`` the reader is of no further use, like a connection after a protocol error.
    """

    __slots__ = ("_args", "_chunks", "_inside", "_left", "_missing", "_rest")

    def __init__(self) -> None:
        self._rest = b""  # the beginning of a header, or of the line end behind a value
        self._args: list[bytes] = []  # what is complete of the current command
        self._left = 0  # arguments that the current command still lacks
        self._inside = False  # between an argument's header and its line end
        self._chunks: list[bytes] = []  # what is there of the current argument
        self._missing = 0  # bytes that it still lacks

    @property
    def idle(self) -> bool:
        """Whether no command has been begun: everything fed so far has been handed out."""
        return not (self._left or self._rest)

    def feed(self, data: bytes | bytearray | memoryview) -> list[list[bytes]]:
        """Take the next chunk; return the commands that it completes, each as its arguments.

        Raises ``ValueError`` for anything but arrays of bulk strings.
        """
        chunk = data if isinstance(data, bytes) else bytes(data)
        start = self._missing
        if start:
            if len(chunk) <= start:
                if chunk:
                    self._chunks.append(chunk)
                    self._missing -= len(chunk)
                return []
            self._chunks.append(chunk[:start])
            self._missing = 0
        elif self._rest:
            chunk = self._rest + chunk
            self._rest = b""
        elif not self._left and len(chunk) < _SHORT:
            command = _plain(chunk)
            if command is not None:
                return [command]
        return self._parse(chunk, start)

    def _parse(self, chunk: bytes, at: int) -> list[list[bytes]]:
        commands: list[list[bytes]] = []
        args, left, size = self._args, self._left, len(chunk)
        while at < size:
            if self._inside:
                if not chunk.startswith(_END, at):
                    if chunk[at:] != _END[:1]:
                        raise ValueError(f"no line end behind an argument: {chunk[at : at + 2]!r}")
                    break
                at += 2
                args.append(self._joined())
                left -= 1
            else:
                end = chunk.find(_END, at, at + _LONGEST_HEADER)
                digits = chunk[at + 1 : end]
                if end < 0 or chunk[at] != (_BULK if left else _ARRAY) or not digits.isdigit():
                    _check_beginning(chunk, at, end, _BULK if left else _ARRAY)
                    break
                at = end + 2
                if not left:
                    left = int(digits)
                    if not left:
                        raise ValueError("a command without a name")
                    continue
                end = at + int(digits)
                if not chunk.startswith(_END, end):
                    self._inside = True
                    self._chunks = [chunk[at:end]] if at < size else []
                    self._missing = max(0, end - size)
                    at = min(end, size)
                    continue
                args.append(chunk[at:end])
                at = end + 2
                left -= 1
            if not left:
                commands.append(args)
                args = []
        self._rest = chunk[at:]
        self._args, self._left = args, left
        return commands

    def _joined(self) -> bytes:
        """The argument that came in several chunks."""
        chunks = self._chunks
        self._chunks = []
        self._inside = False
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _plain(chunk: bytes) -> list[bytes] | None:
    """The arguments, if the chunk is exactly one command and none of them contains a line end.

    Most chunks are; the loop of the parser would take twice as long.
    """
    parts = chunk.split(_END)
    args = parts[2::2]
    if parts[0] != b"*%d" % len(args) or len(parts) != 2 * len(args) + 2 or parts[-1]:
        return None
    for header, arg in zip(parts[1::2], args, strict=False):
        if header != b"$%d" % len(arg):
            return None
    return args or None


def _check_beginning(chunk: bytes, at: int, end: int, kind: int) -> None:
    """Raise unless the chunk ends in what may still become a header of that kind."""
    digits = chunk[at + 1 :].removesuffix(_END[:1])
    if (
        end >= 0
        or chunk[at] != kind
        or len(chunk) - at >= _LONGEST_HEADER
        or not (digits.isdigit() or not digits)
    ):
        raise ValueError(f"not a request of RESP: {chunk[at : at + _LONGEST_HEADER]!r}")
