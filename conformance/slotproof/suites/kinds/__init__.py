"""The committed classifier of upstream tests: black-box, poke or mock, by syntax tree alone.

``docs/kinds.md`` has the rules (written by ``render_rules``). Nothing of a suite is imported or
run.
"""

from __future__ import annotations

from slotproof.suites.kinds.classify import Classification, classify
from slotproof.suites.kinds.rules import (
    CLASSIFIER_VERSION,
    CLIENT_PACKAGES,
    RULES,
    Receiver,
    Rule,
    Trigger,
    render_rules,
)

__all__ = [
    "CLASSIFIER_VERSION",
    "CLIENT_PACKAGES",
    "RULES",
    "Classification",
    "Receiver",
    "Rule",
    "Trigger",
    "classify",
    "render_rules",
]
