"""The keys, values and batches of every scenario: the harness and its workers compute the same.

A value tells which key and which sample it belongs to, so that a reply that was dropped, mixed up
between threads or made up cannot be taken for the right one.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Sequence
from typing import NamedTuple

KEYS = 128
"""Keys of each size: by their hashes they lie all over the slots."""

BATCHES = 8
"""Different batches of each size, used in turn."""

READ, WRITTEN = "read", "written"
"""Keys that are loaded once and read by GET, and keys that SET overwrites with every sample."""

SLOTS = 16384
SMALLEST = 10


class Command(NamedTuple):
    """``GET key`` with the reply it must give, or ``SET key value``."""

    name: str
    key: str
    value: bytes


def key(family: str, size: int, index: int) -> str:
    """The name of a key."""
    return f"slotproof-bench:{family}:{size}:{index}"


def slot(name: str) -> int:
    """The slot of a key without a hash tag: CRC16 (XMODEM) modulo 16384."""
    return crc_hqx(name.encode(), 0) % SLOTS


def value(index: int, nonce: int, size: int) -> bytes:
    """The value of key ``index`` in sample ``nonce`` (24 bits), ``size`` bytes from 10 on."""
    if size < SMALLEST:
        raise ValueError(f"a value needs at least {SMALLEST} bytes, not {size}")
    unit = b"%04x%06x" % (index & 0xFFFF, nonce & 0xFFFFFF)
    return (unit * (size // len(unit) + 1))[:size]


def reads(size: int) -> list[Command]:
    """GET of every key that was loaded (nonce 0)."""
    return [Command("GET", key(READ, size, i), value(i, 0, size)) for i in range(KEYS)]


def writes(size: int, nonce: int) -> list[Command]:
    """SET of every key of the written family to this sample's value."""
    return [Command("SET", key(WRITTEN, size, i), value(i, nonce, size)) for i in range(KEYS)]


def batches(size: int, nonce: int, length: int) -> list[list[Command]]:
    """Batches of ``length`` commands, GETs and SETs in turn, over all slots."""
    pairs = [c for pair in zip(reads(size), writes(size, nonce), strict=True) for c in pair]
    return [
        [pairs[(start * length + i) % len(pairs)] for i in range(length)]
        for start in range(BATCHES)
    ]


def turned(items: Sequence[Command], by: int) -> list[Command]:
    """The same items, beginning elsewhere: each thread has an order of its own."""
    at = by * len(items) // 16 % len(items)
    return [*items[at:], *items[:at]]
