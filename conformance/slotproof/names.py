"""Suggestions for mistyped names."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from slotproof.errors import UsageProblem


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean …?``, or the list of names when none is close."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(names) or 'none'}"


def check(what: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raise UsageProblem for the first of ``names`` that is not ``known``."""
    there = list(known)
    for name in names:
        if name not in there:
            raise UsageProblem(
                f"looking up the {what} {name!r}", f"no such {what}", did_you_mean(name, there)
            )
