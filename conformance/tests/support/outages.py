"""Outages made up, for what only looks at them."""

from __future__ import annotations

from slotproof.chaos.outage import Observed
from slotproof.chaos.timeline import Outage, Seen, Shown

FINE = Seen(
    acknowledged=1000, gap=0.8, delay=0.1, back=True, errors=(), lost=0, lost_early=0, twice=0
)


def errors(count: int, name: str = "redis.exceptions.ConnectionError") -> tuple[Shown, ...]:
    """That many errors, each with an address in its text."""
    proper = name.startswith("redis.")
    return tuple(
        Shown(n, 10.0, 10.1, name, f"lost 127.0.0.1:{7000 + n}", proper) for n in range(count)
    )


def observed(**seen: Seen) -> Observed:
    """An outage with what each subject saw of it; an underscore in a name stands for a dash."""
    by_name = {name.replace("_", "-"): one for name, one in seen.items()}
    return Observed(Outage(10.0, 10.7, 20.0), by_name, 0.004)
