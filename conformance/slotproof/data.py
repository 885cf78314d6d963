"""Where the data files lie: suites, servers, criteria, schemas."""

from __future__ import annotations

import os
from pathlib import Path

from slotproof.errors import EnvironmentProblem


def fixtures_dir() -> Path:
    """Return the folder of data files.

    In this order: ``$SLOTPROOF_FIXTURES``, ``fixtures/`` of the checkout this package is imported
    from, the copy inside the installed wheel. Raises EnvironmentProblem when none is there.
    """
    package = Path(__file__).resolve().parent
    tried = []
    override = os.environ.get("SLOTPROOF_FIXTURES")
    candidates = [Path(override)] if override else []
    candidates += [package.parents[1] / "fixtures", package / "_fixtures"]
    for candidate in candidates:
        tried.append(str(candidate))
        if (candidate / "suites").is_dir():
            return candidate
    raise EnvironmentProblem(
        "looking for slotproof's data files",
        f"no folder with suites/ among {', '.join(tried)}",
        "reinstall slotproof, or set SLOTPROOF_FIXTURES to a fixtures folder",
    )
