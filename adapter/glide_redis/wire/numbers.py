"""Doubles as text, in the forms in which the server writes them."""

from __future__ import annotations

from decimal import Decimal
from math import isfinite

_LARGEST_INTEGER = 1 << 62
"""Whole doubles up to this are written with all their digits, larger ones like other doubles."""


def double(value: float) -> bytes:
    """The shortest form that reads back as the same number: ``1.5``, ``3``, ``1e+30``, ``-inf``.

    As of Valkey and of Redis since 7.2 for scores and other plain doubles. Older servers write 17
    digits (``0.10000000000000001``), and a few numbers in a thousand have a digit more than needed
    on new ones too: the same numbers again.
    """
    shortest = repr(value)
    whole, _, fraction = shortest.partition(".")
    if fraction == "0":
        return whole.encode()
    if (fraction and len(fraction) < 7 and "e" not in fraction) or not isfinite(value):
        return shortest.encode()
    if -_LARGEST_INTEGER <= value <= _LARGEST_INTEGER and value == int(value):
        return b"%d" % int(value)
    sign, digits, exponent = Decimal(shortest).normalize().as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits))
    magnitude = len(text) + exponent - 1
    if 0 <= exponent < 8:
        text += "0" * exponent
    elif -7 < exponent < 0 or (exponent < 0 and abs(magnitude) < 4):
        text = f"{text[:exponent] or '0'}.{text[exponent:].rjust(-exponent, '0')}"
    else:
        fraction = f".{text[1:]}" if len(text) > 1 else ""
        text = f"{text[0]}{fraction}e{magnitude:+d}"
    return f"{'-' if sign else ''}{text}".encode()


def plain(value: float) -> bytes:
    """All digits and never an exponent, as INCRBYFLOAT answers: ``10.6``, ``3``, ``0.00001``."""
    text = repr(value)
    if "e" in text:
        text = format(Decimal(text), "f")
    return text.removesuffix(".0").encode()


def coordinate(value: float) -> bytes:
    """Up to 17 places, as GEOPOS answers: ``13.36138933897018433``."""
    return (b"%.17f" % value).rstrip(b"0").rstrip(b".")


def distance(value: float) -> bytes:
    """Four places, as GEODIST answers: ``166274.1516``."""
    return b"%.4f" % value
