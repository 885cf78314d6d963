"""What one test came to, out of pytest's reports on its phases. Pure.

Outcomes are the words of ``slotproof.model.Outcome``; this module runs in foreign environments,
where that one cannot be imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

MESSAGE_LIMIT = 2_000
TRACEBACK_LIMIT = 20_000


@dataclass(frozen=True, slots=True)
class Report:
    """One phase of one attempt, or one of its subtests.

    ``when``: ``setup``, ``call`` or ``teardown``; ``outcome``: ``passed``, ``failed`` or
    ``skipped``; ``xfail``: the test was expected to fail.
    """

    when: str
    outcome: str
    seconds: float = 0.0
    message: str = ""
    traceback: str = ""
    xfail: bool = False
    subtest: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What the test came to; ``seconds`` is the sum of its phases."""

    outcome: str
    seconds: float
    message: str = ""
    traceback: str = ""


def judge(reports: Sequence[Report]) -> Result:
    """Return the result of the last attempt.

    A failed phase outweighs a skipped one: ``failed`` in the call (or in one of its subtests, or a
    strict xpass), ``error`` in set-up or teardown. No report at all is an ``error`` too.
    """
    seconds = sum(report.seconds for report in reports if not report.subtest)
    phases = [report for report in reports if not report.subtest]
    decisive = next((r for r in reports if r.when == "call" and r.outcome == "failed"), None)
    if decisive is not None:
        # The subtest says what failed; the test around it only that one did.
        return Result("failed", seconds, decisive.message, decisive.traceback)
    decisive = next((r for r in phases if r.outcome == "failed"), None)
    if decisive is not None:
        where = f"{decisive.when}: {decisive.message}"
        return Result("error", seconds, one_line(where), decisive.traceback)
    if not phases:
        return Result("error", seconds, "pytest reported nothing about this test")
    decisive = next((r for r in phases if r.outcome == "skipped" and r.when != "teardown"), None)
    if decisive is not None:
        outcome = "xfailed" if decisive.xfail else "skipped"
        return Result(outcome, seconds, decisive.message, decisive.traceback)
    call = next((r for r in phases if r.when == "call"), None)
    if call is None:
        return Result("error", seconds, "the test's call was never reported")
    return Result(
        "xpassed" if call.xfail else "passed", seconds, call.message if call.xfail else ""
    )


def report(source: Any) -> Report:
    """Return what is kept of a ``pytest.TestReport`` (or of a subtest's report)."""
    message, traceback = describe(source)
    return Report(
        when=str(source.when),
        outcome=str(source.outcome),
        seconds=float(getattr(source, "duration", 0.0)),
        message=message,
        traceback=traceback,
        xfail=hasattr(source, "wasxfail"),
        # Both the plug-in's reports and pytest's own carry the subtest's context.
        subtest=hasattr(source, "context"),
    )


def describe(source: Any) -> tuple[str, str]:
    """Return the one-line message and the traceback of a test's or a collection's report."""
    detail = source.longrepr
    reason = getattr(source, "wasxfail", None)
    if source.outcome == "passed":
        return one_line(str(reason or "")), ""
    if source.outcome == "skipped":
        if reason is None:
            reason = detail[2] if isinstance(detail, tuple) and len(detail) == 3 else str(detail)
            reason = str(reason).removeprefix("Skipped: ")
        traceback = "" if isinstance(detail, tuple) or detail is None else str(detail)
        return one_line(str(reason)), shorten(traceback)
    text = str(detail) if detail is not None else ""
    crash = getattr(detail, "reprcrash", None)
    message = getattr(crash, "message", None) or _last_error(text)
    return one_line(str(message)), shorten(text)


def one_line(text: str) -> str:
    """Return a text as one line of at most MESSAGE_LIMIT characters, encodable as UTF-8."""
    line = " ".join(part.strip(" ") for part in _encodable(text[: 2 * MESSAGE_LIMIT]).splitlines())
    return line if len(line) <= MESSAGE_LIMIT else line[: MESSAGE_LIMIT - 1] + "…"


def shorten(text: str) -> str:
    """Return a text of at most TRACEBACK_LIMIT characters, its middle cut where it is longer."""
    if len(text) > TRACEBACK_LIMIT:
        mark = f"\n[... {len(text)} characters, the middle is cut ...]\n"
        half = (TRACEBACK_LIMIT - len(mark)) // 2
        text = text[:half] + mark + text[-half:]
    return _encodable(text)[:TRACEBACK_LIMIT]


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _last_error(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    marked = [line[1:].strip() for line in lines if line.startswith("E ")]
    return marked[-1] if marked else (lines[-1] if lines else "")
