"""MONITOR on a wire socket: the lines that the server would have written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from glide_redis.native.monitor import Monitor, MonitorLine
from glide_redis.native.request import Options

_ESCAPES = {
    "\\": "\\\\",
    '"': '\\"',
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\a": "\\a",
    "\b": "\\b",
}


class Monitoring:
    """The monitor client of a connection. ``wake`` is called when a line has come."""

    lost = False

    def __init__(self, options: Options, wake: Callable[[], None]) -> None:
        self._lines: deque[bytes] = deque()
        self._wake = wake
        self._monitor = Monitor(options, self._take)

    def take(self) -> list[bytes]:
        """Return the lines that have come, as the server writes them."""
        frames = []
        while self._lines:
            frames.append(self._lines.popleft())
        return frames

    @property
    def waiting(self) -> bool:
        """True when ``take`` would bring something."""
        return bool(self._lines)

    def close(self) -> None:
        """Stop monitoring."""
        self._monitor.close()

    def _take(self, line: MonitorLine) -> None:
        self._lines.append(written(line))
        self._wake()


def written(line: MonitorLine) -> bytes:
    """Return a line of MONITOR as the server writes it, as a simple string."""
    words = " ".join(f'"{_escaped(word)}"' for word in (line.command, *line.args))
    text = f"+{line.timestamp:.6f} [{line.database} {line.address}] {words}\r\n"
    return text.encode()


def _escaped(word: str) -> str:
    return "".join(
        _ESCAPES.get(character)
        or (
            character
            if " " <= character <= "~"
            else "".join(f"\\x{byte:02x}" for byte in character.encode())
        )
        for character in word
    )
