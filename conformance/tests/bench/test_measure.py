"""A measurement with fakes: who is wrong loses its figures, and nobody else does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from support.benching import TINY, Kept, fake

from slotproof.bench.measure import MEASURES
from slotproof.results.records import Bench

pytestmark = pytest.mark.servers

Measure = Callable[..., Kept]
CONTROL = fake("honest", name="redis-py", parameters={"parser": "hiredis"})
HONEST = fake("honest")


def reasons(kept: Kept, client: str) -> str:
    """Why figures of a client do not count."""
    return "; ".join(dict.fromkeys(v.reason for v in kept.voids if v.client == client))


def counted(kept: Kept) -> set[tuple[str, object]]:
    """Clients and scenarios of the figures that count."""
    return {
        (b.client, b.parameters.get("scenario", b.measure))
        for b in kept.benches
        if not any(v.covers(b) for v in kept.voids)
    }


def test_every_scenario_gives_a_figure_in_every_round_for_everybody(measured: Measure) -> None:
    names = ["get-10B", "set-1KiB", "threads-get-10B", "threads-set-10B", "pipeline-1KiB"]
    kept = measured(CONTROL, HONEST, scenarios=names)
    assert kept.voids == []
    for client in ("redis-py", "honest"):
        for measure, unit in (("throughput", "commands/s"), ("cpu", "s/command")):
            found = kept.of(client, measure)
            assert [(b.round, b.parameters["scenario"]) for b in found] == [
                (number, name) for number in (1, 2) for name in names
            ]
            assert all(b.value > 0 and b.unit == unit for b in found)
    assert all(b.parameters["parser"] == "hiredis" for b in kept.of("redis-py", "cpu"))
    assert "parser" not in kept.of("honest", "cpu")[0].parameters
    assert {f.of for f in kept.facts} == {"redis-py", "honest"}


def test_subjects_alternate_from_round_to_round(measured: Measure) -> None:
    third = fake("honest", name="third")
    kept = measured(CONTROL, HONEST, third, scenarios=["get-10B"], plan=replace(TINY, rounds=4))
    order = [b.client for b in kept.benches if b.measure == "throughput"]
    there = ["redis-py", "honest", "third"]
    assert order == [*there, *reversed(there)] * 2


def test_latencies_memory_and_connections(measured: Measure) -> None:
    kept = measured(CONTROL, scenarios=["pubsub", "memory", "connections"])
    quantiles = [(b.round, b.parameters["quantile"]) for b in kept.of("redis-py", "latency")]
    assert quantiles == [(1, "p50"), (1, "p99"), (2, "p50"), (2, "p99")]
    for number in (1, 2):
        low, high = (b.value for b in kept.of("redis-py", "latency") if b.round == number)
        assert 0 < low <= high
    memory = {(b.round, b.parameters["topology"]) for b in kept.of("redis-py", "memory")}
    assert memory == {(n, t) for n in (1, 2) for t in ("cluster", "standalone")}
    states = {b.parameters["state"]: b.value for b in kept.of("redis-py", "connections")}
    # The fake opens a connection to each primary for each thread, and keeps it.
    assert states == {"idle": 0, "1 thread": 3, "16 threads": 48}


@pytest.mark.parametrize(
    ("driver", "scenario", "reason"),
    [
        ("dies", "get-10B", "died by signal SIGABRT"),
        ("mixes_up", "get-10B", "wrong replies: 2 of 128"),
        ("never_asks", "get-10B", "the servers executed 0 GETs of 1"),
        ("never_asks", "set-10B", "the servers executed 0 SETs of 1"),
        ("writes_elsewhere", "set-10B", "1 values were not written, the first is slotproof-bench"),
        ("fails", "pipeline-10B", "ConnectionError: no batches"),
        ("loses_messages", "pubsub", "received None"),
        ("cannot_be_imported", "get-10B", "no library for this machine"),
    ],
)
def test_who_is_wrong_has_no_figure_and_a_reason(
    measured: Measure, driver: str, scenario: str, reason: str
) -> None:
    kept = measured(CONTROL, fake(driver), HONEST, scenarios=[scenario])
    assert reason in reasons(kept, driver)
    assert counted(kept) == {("redis-py", scenario), ("honest", scenario)}
    assert any(driver in line for line in kept.said)


def test_who_hangs_is_named_and_out_though_it_was_measured_before(measured: Measure) -> None:
    plan = replace(TINY, limit=2.0)
    scenarios = ["get-10B", "pipeline-10B", "connections"]
    kept = measured(CONTROL, fake("hangs"), scenarios=scenarios, plan=plan)
    assert "the worker hung, there was no answer within 2 s" in reasons(kept, "hangs")
    assert {v.measure for v in kept.voids} == set(MEASURES)
    # What another benchmark in the same file says of the client stays.
    assert not any(v.covers(Bench("failover-gap", "hangs", 1.0, "s")) for v in kept.voids)
    assert {client for client, _ in counted(kept)} == {"redis-py"}


def test_a_scenario_that_fails_costs_that_scenario_alone(measured: Measure) -> None:
    kept = measured(CONTROL, fake("fails"), scenarios=["get-10B", "pipeline-10B"])
    assert counted(kept) == {
        ("redis-py", "get-10B"),
        ("redis-py", "pipeline-10B"),
        ("fails", "get-10B"),
    }


def test_without_the_control_the_others_go_no_further(measured: Measure) -> None:
    dies = fake("hangs", name="redis-py")
    plan = replace(TINY, limit=2.0)
    kept = measured(dies, HONEST, scenarios=["pipeline-10B", "set-10B", "memory"], plan=plan)
    assert "the worker hung" in reasons(kept, "redis-py")
    assert kept.benches == []


def test_a_control_without_its_parser_measures_nothing(measured: Measure) -> None:
    liar = fake("lies_about_its_parser", name="redis-py", requires={"parser": "hiredis"})
    kept = measured(liar, HONEST, scenarios=["get-10B", "connections"])
    assert kept.benches == []
    assert "its parser on a live connection is 'redis._parsers" in reasons(kept, "redis-py")
