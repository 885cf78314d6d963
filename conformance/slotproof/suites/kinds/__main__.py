"""``python -m slotproof.suites.kinds``: print ``docs/kinds.md``."""

from __future__ import annotations

import sys

from slotproof.suites.kinds.rules import render_rules

sys.stdout.write(render_rules())
