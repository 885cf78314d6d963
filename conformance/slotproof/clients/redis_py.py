"""The control: redis-py as it is, with its pure-Python parser."""

from __future__ import annotations

from slotproof.clients.plugin import Client, shipped_lock

CLIENT = Client(
    name="redis-py",
    title="redis-py",
    lock=shipped_lock("redis-py"),
    bootstrap=None,
    bootstrap_dir=None,
    connects_from=("redis",),
    control=True,
)
