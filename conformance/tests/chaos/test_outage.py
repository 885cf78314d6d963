"""Real outages: with redis-py in each scenario, and with clients that are wrong in known ways."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from slotproof.chaos import outage, subjects, timeline
from slotproof.chaos.outage import Conditions, Observed, Void, observe
from slotproof.chaos.scenarios import SCENARIOS, Kill, Struck, Victims
from slotproof.chaos.subjects import Ready
from slotproof.errors import EnvironmentProblem
from slotproof.servers import embedded, spec

pytestmark = pytest.mark.servers

Fake = Callable[[str], Ready]
# Long enough for a busy machine to elect nobody before anything has happened.
CONDITIONS = Conditions(node_timeout=1000, timeout=0.5, patience=60)


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less: nothing here asserts a time."""
    monkeypatch.setattr(outage, "LINGER_SECONDS", 0.5)
    monkeypatch.setattr(outage, "WARM_SECONDS", 0.2)
    # Any recovery is one: how steady it is depends on the machine.
    monkeypatch.setattr(timeline, "HOLE_SECONDS", 60.0)


def run(
    scenario: str,
    who: Sequence[Ready],
    folder: Path,
    conditions: Conditions = CONDITIONS,
) -> Observed:
    """Run one outage, again where the servers spoil it."""
    program = embedded.binary(spec.find(spec.DEFAULT))
    for attempt in range(3):
        try:
            return observe(
                SCENARIOS[scenario],
                who,
                program,
                conditions,
                _new(folder / str(attempt)),
                on_progress=lambda _: None,
            )
        except Void as void:
            reason = void
    pytest.fail(f"three void attempts: {reason}")


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_redis_py_comes_back_and_loses_nothing_it_acknowledged_afterwards(
    scenario: str, tmp_path: Path
) -> None:
    known = subjects.load_all()
    ready = subjects.ready(known[subjects.control_of(known)])
    observed = run(scenario, [ready], tmp_path)
    seen = observed.seen["redis-py"]
    assert observed.outage.fault < observed.outage.served < observed.outage.ended
    assert seen.back
    assert seen.gap > 0
    assert seen.acknowledged > outage.WARM_ACKS
    # What the server had not replicated when it was killed is not the client's loss.
    assert seen.lost == seen.lost_early
    assert (seen.delay is None) is (scenario == "migrate")
    if scenario == "migrate":
        assert seen.errors == ()
        assert seen.lost == 0
    assert all(error.proper for error in seen.errors)
    assert observed.stall >= 0


def test_every_wrong_client_is_found_out_beside_an_honest_one(fake: Fake, tmp_path: Path) -> None:
    who = ("honest", "lies", "hangs", "gives_up", "repeats", "chatters", "crashes")
    conditions = Conditions(node_timeout=1000, patience=3, write="incr")
    seen = run("kill", [fake(name) for name in who], tmp_path, conditions).seen
    assert tuple(seen) == who

    for name in ("honest", "repeats", "chatters"):
        assert seen[name].back, name
        assert seen[name].errors == (), name
        assert seen[name].lost == seen[name].lost_early, name
    assert seen["honest"].twice == 0
    assert seen["chatters"].twice == 0
    assert seen["repeats"].twice > outage.WARM_ACKS

    assert seen["lies"].back
    assert seen["lies"].lost > seen["lies"].lost_early > 0

    assert not seen["hangs"].back
    assert seen["hangs"].errors == ()

    assert seen["crashes"].died
    assert not seen["crashes"].back
    assert [name for name in who if seen[name].died] == ["crashes"]

    assert not seen["gives_up"].back
    assert len(seen["gives_up"].errors) > 1
    assert {e.error for e in seen["gives_up"].errors} == {"builtins.RuntimeError"}
    assert not any(e.proper for e in seen["gives_up"].errors)


def test_who_waits_for_the_frozen_primary_never_came_back(fake: Fake, tmp_path: Path) -> None:
    # Without a time limit the fake waits until the primary wakes up.
    conditions = Conditions(node_timeout=1000, timeout=600, patience=2, write="set")
    seen = run("freeze", [fake("honest")], tmp_path, conditions).seen["honest"]
    assert not seen.back
    assert seen.gap > 0


def test_a_client_that_cannot_be_made_is_named(fake: Fake, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem) as caught:
        run("kill", [fake("honest"), fake("cannot_start")], tmp_path)
    assert caught.value.tried == "writing through cannot_start"
    assert "no such option" in caught.value.found


def test_a_bootstrap_that_is_not_there_is_named(fake: Fake, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="no_such_bootstrap"):
        run("kill", [fake("no_such_bootstrap")], tmp_path)


class Nothing(Kill):
    """A fault that is none."""

    def strike(self, victims: Victims) -> Struck:  # noqa: ARG002 (the method it replaces)
        """Leave the primary alone."""
        return Struck(time.monotonic())


def test_an_outage_without_a_promotion_measures_nothing(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage, "SERVED_SECONDS", 0.5)
    program = embedded.binary(spec.find(spec.DEFAULT))
    conditions = Conditions(node_timeout=60_000)
    with pytest.raises(Void, match="no node took writes"):
        observe(
            Nothing(), [fake("honest")], program, conditions, tmp_path, on_progress=lambda _: None
        )
