"""glide-redis, built from its folder: the state of the adapter that is on this disk is judged."""

from __future__ import annotations

import json
import os
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

import slotproof
from slotproof.clients.plugin import Client, shipped_lock
from slotproof.errors import UsageProblem

VARIABLE = "SLOTPROOF_GLIDE_REDIS"
"""The environment variable that names the folder of the adapter's project."""


def client() -> Client:
    """Return the client; where the adapter's folder cannot be found, one that says so when run."""
    folder, problem = None, None
    try:
        folder = find()
    except UsageProblem as error:
        problem = error
    return Client(
        name="glide-redis",
        title="glide-redis",
        lock=shipped_lock("glide-redis"),
        bootstrap="slotproof_client_glide_redis",
        bootstrap_dir=None,
        # The native core opens all connections: one at the Python level is never the client's.
        connects_from=(),
        projects=(folder,) if folder else (),
        build_lock=shipped_lock("glide-redis.build"),
        names=("redis", "valkey-glide-sync"),
        missing=problem,
    )


def find() -> Path:
    """Return the folder of the adapter's project.

    In this order: ``$SLOTPROOF_GLIDE_REDIS``; ``adapter/`` of the checkout that this package is
    imported from; ``adapter/`` of the folder that it was installed from. Raises UsageProblem when
    none of these is there.
    """
    named = os.environ.get(VARIABLE)
    if named:
        candidates = [Path(named).absolute()]
    else:
        checkout = Path(slotproof.__file__).resolve().parents[2]
        candidates = [top / "adapter" for top in (checkout, _installed_from()) if top]
    for candidate in candidates:
        if (candidate / "pyproject.toml").is_file():
            return candidate
    raise UsageProblem(
        "looking for the project of glide-redis",
        f"no pyproject.toml in {' or '.join(map(str, candidates))}",
        f"set {VARIABLE} to the folder adapter/ of a checkout",
    )


def _installed_from() -> Path | None:
    """The folder out of which an installer took slotproof, by its own record (PEP 610)."""
    try:
        text = metadata.distribution("slotproof").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None
    url = urlsplit(str(json.loads(text).get("url", ""))) if text else None
    return Path(unquote(url.path)) if url and url.scheme == "file" else None
