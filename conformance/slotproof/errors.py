"""Errors that carry what was tried, what was found and what to do next, and render themselves.

Exit codes (documented in docs/cli.md): 0 held, 1 regression, 2 usage, 3 environment.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of every ``slotproof`` command."""

    HELD = 0
    REGRESSION = 1
    USAGE = 2
    ENVIRONMENT = 3


class SlotproofError(Exception):
    """A problem the user can act on.

    ``tried``: what slotproof was doing; ``found``: what it met instead; ``next_step``: what the
    user can do. The command line prints the three and exits with ``exit_code``; it never prints a
    traceback for one of these.
    """

    exit_code: Exit = Exit.ENVIRONMENT

    def __init__(self, tried: str, found: str, next_step: str) -> None:
        super().__init__(f"{tried}: {found}")
        self.tried = tried
        self.found = found
        self.next_step = next_step

    def render(self) -> str:
        """Return the message as plain lines, without styling."""
        return f"error: {self.tried}\n  found: {self.found}\n  next:  {self.next_step}"


class UsageProblem(SlotproofError):
    """The command line, a manifest or another input of the user's is wrong (exit code 2)."""

    exit_code = Exit.USAGE


class EnvironmentProblem(SlotproofError):
    """The machine, the network or the disk does not give what the run needs (exit code 3)."""

    exit_code = Exit.ENVIRONMENT
