"""The judge: a total, pure function from what three columns saw to one verdict.

The rules are data, read from the top; the first that holds decides. ``docs/verdicts.md`` is
generated from them (``render_rules``), and the tests walk the whole domain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from itertools import product

from slotproof.model import Topology


class Verdict(StrEnum):
    """Who answers for a test's outcome in one column."""

    PASS = "pass"
    GAIN = "gain"
    ADAPTER = "adapter"
    TOPOLOGY = "topology"
    UPSTREAM = "upstream"
    LOST = "lost"
    BYPASSED = "bypassed"
    FLAKY = "flaky"
    ENVIRONMENT = "environment"
    SKIPPED = "skipped"


class Seen(StrEnum):
    """All attempts at one test in one column, summed up (see ``judge.seen``)."""

    PASS = "pass"
    FAIL = "fail"
    FLAKY = "flaky"
    SKIP = "skip"
    HUNG = "hung"
    LOST = "lost"
    ENVIRONMENT = "environment"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Case:
    """One test as the judge sees it.

    ``control``: the control on the subject's topology. ``standalone``: the control on one server
    (the same as ``control`` when the topology is standalone). ``foreign``: the subject's process
    tree opened a Python-level connection that neither the client nor the control's test made.
    """

    topology: Topology
    control: Seen
    standalone: Seen
    subject: Seen
    control_touched: bool = True
    subject_touched: bool = True
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the judge's table: ``when`` is the words for ``holds``."""

    verdict: Verdict
    when: str
    reason: str
    holds: Callable[[Case], bool]


BROKEN = frozenset({Seen.FAIL, Seen.HUNG})

RULES: tuple[Rule, ...] = (
    Rule(
        Verdict.ENVIRONMENT,
        "the subject was not run, or its servers were lost",
        "the cell could not run this test",
        lambda c: c.subject in {Seen.ENVIRONMENT, Seen.NONE},
    ),
    Rule(
        Verdict.BYPASSED,
        "the subject's processes opened a connection that is not the client's",
        "a connection was opened that the client under test did not make",
        lambda c: c.foreign,
    ),
    Rule(
        Verdict.ENVIRONMENT,
        "the control was not run, or its servers were lost",
        "there is no control to compare with",
        lambda c: c.control in {Seen.ENVIRONMENT, Seen.NONE},
    ),
    Rule(
        Verdict.LOST,
        "the control never collected it although its id is locked",
        "a locked test vanished: not even the control collects it",
        lambda c: c.control is Seen.LOST,
    ),
    Rule(
        Verdict.FLAKY,
        "the control changes on re-run",
        "the control changes on re-run",
        lambda c: c.control is Seen.FLAKY,
    ),
    Rule(
        Verdict.SKIPPED,
        "the control skips it",
        "upstream skips it here; nothing is claimed",
        lambda c: c.control is Seen.SKIP,
    ),
    Rule(
        Verdict.BYPASSED,
        "both pass, the control touched a server and the subject did not",
        "it passed without a command reaching the cell's servers",
        lambda c: (
            c.control is Seen.PASS
            and c.subject is Seen.PASS
            and c.control_touched
            and not c.subject_touched
        ),
    ),
    Rule(
        Verdict.PASS,
        "both pass",
        "",
        lambda c: c.control is Seen.PASS and c.subject is Seen.PASS,
    ),
    Rule(
        Verdict.ADAPTER,
        "the control passes; the subject fails, always or sometimes",
        "the control passes it, this client does not",
        lambda c: c.control is Seen.PASS and c.subject in {Seen.FAIL, Seen.FLAKY},
    ),
    Rule(
        Verdict.LOST,
        "the control passes; the subject skipped it, hung or never collected it",
        "the control ran it; here it was skipped, hung or never collected",
        lambda c: c.control is Seen.PASS,
    ),
    Rule(
        Verdict.GAIN,
        "the control fails, the subject passes",
        "the control fails it, this client passes",
        lambda c: c.subject is Seen.PASS,
    ),
    Rule(
        Verdict.FLAKY,
        "the control fails, the subject passes sometimes",
        "the control fails it, this client passes sometimes",
        lambda c: c.subject is Seen.FLAKY,
    ),
    Rule(
        Verdict.UPSTREAM,
        "neither passes, and the standalone control fails too",
        "it fails with the control on one server too",
        lambda c: c.topology is Topology.STANDALONE or c.standalone in BROKEN,
    ),
    Rule(
        Verdict.FLAKY,
        "neither passes on the cluster, and the standalone control changes on re-run",
        "the standalone control changes on re-run",
        lambda c: c.standalone is Seen.FLAKY,
    ),
    Rule(
        Verdict.TOPOLOGY,
        "neither passes on the cluster; the standalone control passes it or says nothing",
        "it fails on a cluster with the control as well",
        lambda _: True,
    ),
)


def judge(case: Case) -> Rule:
    """Return the first rule that holds for ``case``; its ``verdict`` is the answer."""
    return next(rule for rule in RULES if rule.holds(case))


def render_rules() -> str:
    """Return the judge's whole table as Markdown: the rules, then every combination."""
    lines = ["| # | verdict | when (the first that holds decides) |", "|---|---|---|"]
    lines += [f"| {n} | `{r.verdict}` | {r.when} |" for n, r in enumerate(RULES, 1)]
    lines += [
        "",
        "## Every combination",
        "",
        "Rows: the control on the same topology and the subject. Columns: the standalone control,",
        "which matters on a cluster only. All touched a server; no foreign connection.",
    ]
    for topology in Topology:
        columns = list(Seen) if topology is Topology.CLUSTER else [None]
        heads = [str(s) for s in columns if s] or ["verdict"]
        lines += ["", f"### {topology}", "", "| control | subject | " + " | ".join(heads) + " |"]
        lines.append("|---|---|" + "---|" * len(heads))
        for control, subject in product(Seen, Seen):
            cells = [
                str(judge(Case(topology, control, s or control, subject)).verdict) for s in columns
            ]
            lines.append(f"| {control} | {subject} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
