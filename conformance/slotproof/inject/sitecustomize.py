"""Run at the start of every Python process of a cell: path hook, client, next sitecustomize.

Python imports the first ``sitecustomize`` on its path (https://docs.python.org/3/library/site.html);
the folder of this one stands first in PYTHONPATH, so it runs the one it hides as well.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder


def _start(description: str) -> None:
    import json

    try:
        with open(description, encoding="utf-8") as file:  # noqa: PTH123
            cell = json.load(file)
        import slotproof_path

        slotproof_path.install(cell)
        bootstrap = cell.get("bootstrap")
    except (OSError, ValueError, KeyError, TypeError) as error:
        # The run's owner may have ended while a child lives on; its programs must still start.
        sys.stderr.write(f"slotproof: no proof of path, {description} is unreadable: {error!r}\n")
        return
    if bootstrap:
        _swap(str(bootstrap))


def _swap(bootstrap: str) -> None:
    try:
        __import__(bootstrap)
    except BaseException:
        import traceback

        # ``site`` would swallow the error and go on with whatever ``import redis`` gives, so that
        # another client than the named one would be judged.
        traceback.print_exc()
        sys.stderr.write(f"slotproof: the client's bootstrap {bootstrap} failed; ending here\n")
        sys.stderr.flush()
        os._exit(70)


def _chain() -> None:
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    others = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != here]  # noqa: PTH100
    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        import importlib.util

        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


_cell = os.environ.get("SLOTPROOF_CELL")
if _cell:
    _start(_cell)
_chain()
