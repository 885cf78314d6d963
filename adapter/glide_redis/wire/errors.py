"""The server's error lines out of GLIDE's texts, and whose texts they are.

GLIDE takes a line apart into code and message, and puts its own words around them:

======================================  =========================================================
the server's line                       GLIDE's text
======================================  =========================================================
``ERR no such key``                     ``An error was signalled by the server: - ResponseError:
                                        no such key``
``ERR`` (no message)                    ``An error was signalled by the server:- ResponseError``
``WRONGTYPE Operation against a key``   ``WRONGTYPE: Operation against a key``
``LONE`` (a code without a message)     ``LONE: Unknown extension error encountered``
======================================  =========================================================

What cannot be restored is in ``differences``.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

Origin: TypeAlias = Literal["server", "connection", "timeout", "glide"]

UNSPECIFIED, EXEC_ABORT, TIMEOUT, DISCONNECT, CIRCUIT_OPEN = range(5)
"""The kinds of GLIDE's failure callbacks (``RequestErrorType`` in glide-core)."""

CODES = {
    "ResponseError": "ERR",
    "ExecAbortError": "EXECABORT",
    "BusyLoadingError": "LOADING",
    "NoScriptError": "NOSCRIPT",
    "Moved": "MOVED",
    "Ask": "ASK",
    "TryAgain": "TRYAGAIN",
    "ClusterDown": "CLUSTERDOWN",
    "CrossSlot": "CROSSSLOT",
    "MasterDown": "MASTERDOWN",
    "ReadOnly": "READONLY",
    "NotBusy": "NOTBUSY",
    "PermissionDenied": "NOPERM",
}
"""Codes by the names that GLIDE gives them (``ServerErrorKind`` in its redis-rs); it keeps all
other codes as they are."""

_SIGNALLED = re.compile(r"An error was signalled by the server: ?- ([A-Za-z]+)(?:: (.*))?", re.S)
_ALONE = "Unknown extension error encountered"
_ORIGINS: dict[int, Origin] = {TIMEOUT: "timeout", DISCONNECT: "connection"}
_OWN = re.compile(r" ?- ([A-Z][A-Za-z0-9]+)(?:: |$)")
"""How GLIDE's own errors name their kind: ``parse error - ParseError: Expected integer``."""

_CONNECTION = frozenset(
    {
        "AllConnectionsUnavailable",
        "ConnectionNotFoundForRoute",
        "FatalReceiveError",
        "FatalSendError",
        "IoError",
        "ParseError",
        "ProtocolDesync",
    }
)
_AT_ADDRESS = re.compile(r"Received error for address `[^`]*`: (.*)")
"""How GLIDE reports why it could not connect, one line an address."""

_BAD_TIMEOUT = re.compile(
    r"(Failed to parse the timeout argument to f64|Couldn't find timeout index|"
    r"Timeout cannot be negative|Timeout is out of range)\b.* - ResponseError: "
    r'(?:Expected to find timeout value at index (\d+) for command Ok\("([A-Z]+)"\))?',
)
_TIMEOUT_AT = {
    "BLPOP": range(2, 1 << 31),
    "BRPOP": range(2, 1 << 31),
    "BZPOPMIN": range(2, 1 << 31),
    "BZPOPMAX": range(2, 1 << 31),
    "BRPOPLPUSH": range(3, 4),
    "BLMOVE": range(5, 6),
}
"""Where the timeout stands that is the last argument, if the number of arguments is right."""


def server_line(text: str, kind: int = UNSPECIFIED) -> str:
    """The line that the server sent, without its leading minus: code, space, message.

    GLIDE's refusals of bad timeouts become what the server would have answered. Other texts of
    GLIDE's own (see ``origin``) come back with ``ERR`` before them.
    """
    if kind in _ORIGINS:
        return f"ERR {text}"
    connecting = _AT_ADDRESS.match(text)
    if connecting is not None and origin(connecting[1]) == "server":
        text = connecting[1]
    signalled = _SIGNALLED.fullmatch(text)
    if signalled is not None and signalled[1] in CODES:
        code, message = CODES[signalled[1]], signalled[2]
        return code if message is None else f"{code} {message}"
    if _is_extension(text):
        code, _, message = text.partition(": ")
        return code if message == _ALONE else f"{code} {message}"
    return f"ERR {_bad_timeout(text) or text}"


def origin(text: str, kind: int = UNSPECIFIED) -> Origin:
    """Who speaks: the server, or GLIDE about a lost connection, a timeout or something else.

    ``kind`` is that of the failure callback, 0 for an error inside a reply. A refusal of a bad
    timeout counts as the server's: it would have said the same.
    """
    by_kind = _ORIGINS.get(kind)
    if by_kind is not None:
        return by_kind
    connecting = _AT_ADDRESS.match(text)
    if connecting is not None:
        return "server" if origin(connecting[1]) == "server" else "connection"
    if _SIGNALLED.match(text) or _is_extension(text) or _bad_timeout(text):
        return "server"
    own = _OWN.search(text)
    if (own and own[1] in _CONNECTION) or "(os error " in text or "timed out" in text:
        return "timeout" if "timed out" in text else "connection"
    return "glide"


def is_unreadable(text: str) -> bool:
    """Whether the connection was lost because the server's error or status is not UTF-8.

    The command was answered then: with an error, if it was no script, but nobody knows which.
    """
    return "ParseError: invalid utf-8 in line" in text


def _is_extension(text: str) -> bool:
    """Whether it is a line with a code that GLIDE does not know: ``WRONGTYPE: Operation ...``.

    A code holds no space, whereas GLIDE's own texts have several words before any ``": "``.
    """
    code, colon, _ = text.partition(": ")
    return bool(colon) and " " not in code


def _bad_timeout(text: str) -> str | None:
    """The server's message for a timeout that GLIDE refused before it sent the command."""
    refused = _BAD_TIMEOUT.match(text)
    if refused is None:
        return None
    reason, index, command = refused.groups()
    if reason == "Timeout cannot be negative":
        return "timeout is negative"
    if reason == "Timeout is out of range":
        return "timeout is out of range"
    if command is None:
        return None
    last = _TIMEOUT_AT.get(command)
    if reason == "Couldn't find timeout index" or (last is not None and int(index) not in last):
        return f"wrong number of arguments for '{command.lower()}' command"
    number = "a float" if last is not None or command in {"BLMPOP", "BZMPOP"} else "an integer"
    return f"timeout is not {number} or out of range"
