"""valkey-py, the fork of redis-py 5, under the name ``redis``."""

from __future__ import annotations

from slotproof.clients.plugin import Client, shipped_lock

CLIENT = Client(
    name="valkey-py",
    title="valkey-py",
    lock=shipped_lock("valkey-py"),
    bootstrap="slotproof_client_valkey_py",
    bootstrap_dir=None,
    connects_from=("valkey",),
)
