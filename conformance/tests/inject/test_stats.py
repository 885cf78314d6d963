"""The difference of two readings, against a model of a server that counts."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slotproof.inject.slotproof_stats import (
    EXCLUDED,
    MARK,
    Reading,
    is_touch,
    parse,
    total,
    touched,
    unreplicated_commands,
)

NAMES = ("get", "set", "info", "config|get", "config|resetstat", "auth", "evalsha")
READONLY = frozenset({"get"})
OWN = {"info": 1, MARK: 1}

calls = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(["call", "reject"])), max_size=20
)


@dataclass
class Counting:
    """A server's counters, with the time each call took, as the section shows them."""

    run_id: str = "a" * 40
    role: str = "master"
    stats: dict[str, list[int]] = field(default_factory=dict)

    def do(self, name: str, how: str = "call") -> None:
        """Execute or reject one call."""
        counters = self.stats.setdefault(name, [0, 0])
        counters[how == "reject"] += 1

    def own(self) -> Reading:
        """Answer the recorder's question, and count it and the mark afterwards."""
        lines = "".join(
            f"cmdstat_{name}:calls={n},usec={n * 3},usec_per_call=3.00,"
            f"rejected_calls={rejected},failed_calls=0\r\n"
            for name, (n, rejected) in self.stats.items()
        )
        text = (
            f"# Server\r\nredis_version:7.2.4\r\nrun_id:{self.run_id}\r\ntcp_port:7000\r\n\r\n"
            f"# Replication\r\nrole:{self.role}\r\nconnected_slaves:0\r\n\r\n"
            f"# Commandstats\r\n{lines}"
        )
        for name in OWN:
            self.do(name)
        return parse(text.encode(), OWN)

    def all(self, what: list[tuple[str, str]]) -> dict[str, int]:
        """Do calls and return them by name."""
        counts: dict[str, int] = {}
        for name, how in what:
            self.do(name, how)
            counts[name] = counts.get(name, 0) + 1
        return counts


@given(calls, calls)
def test_exactly_the_calls_between_are_counted(
    before: list[tuple[str, str]], test: list[tuple[str, str]]
) -> None:
    server = Counting()
    server.all(before)
    first = server.own()
    expected = server.all(test)
    found = touched(first, server.own())
    assert found.counts == expected
    assert not found.reset


@given(calls, calls, calls)
def test_after_a_reset_the_counts_are_those_since(
    before: list[tuple[str, str]], lost: list[tuple[str, str]], after: list[tuple[str, str]]
) -> None:
    server = Counting()
    server.all(before)
    first = server.own()
    server.all(lost)
    server.stats.clear()
    expected = server.all([("config|resetstat", "call"), *after])
    found = touched(first, server.own())
    assert found.reset
    assert found.counts == expected


@given(calls, calls)
def test_after_a_restart_the_counts_are_those_since(
    before: list[tuple[str, str]], after: list[tuple[str, str]]
) -> None:
    first_life, second_life = Counting(), Counting(run_id="b" * 40)
    first_life.all(before)
    first = first_life.own()
    expected = second_life.all(after)
    found = touched(first, second_life.own())
    assert found.reset
    assert found.counts == expected


@given(st.lists(calls, min_size=1, max_size=6))
def test_a_chain_of_tests_adds_up_to_all_calls(tests: list[list[tuple[str, str]]]) -> None:
    server = Counting()
    reading = server.own()
    found = []
    for test in tests:
        server.all(test)
        following = server.own()
        found.append(touched(reading, following).counts)
        reading = following
    everything: dict[str, int] = {}
    for test in tests:
        for name, _ in test:
            everything[name] = everything.get(name, 0) + 1
    assert total(found) == everything


@given(calls, calls)
def test_a_replica_counts_reads_and_what_it_rejected(
    before: list[tuple[str, str]], test: list[tuple[str, str]]
) -> None:
    server = Counting(role="slave")
    server.all(before)
    first = server.own()
    server.all(test)
    expected: dict[str, int] = {}
    for name, how in test:
        if name in READONLY or how == "reject":
            expected[name] = expected.get(name, 0) + 1
    assert touched(first, server.own(), READONLY).counts == expected


@given(calls, st.booleans(), st.booleans())
def test_calls_that_may_have_been_counted_are_never_a_tests(
    test: list[tuple[str, str]], arrived: bool, reset: bool
) -> None:
    server = Counting()
    first = server.own()
    if arrived:
        server.own()
    if reset:
        server.stats.clear()
    server.all(test)
    found = touched(first, server.own(), uncertain=OWN).counts
    sent = {name: sum(1 for other, _ in test if other == name) for name, _ in test}
    assert found.keys() <= sent.keys()
    for name, count in sent.items():
        slack = OWN.get(name, 0)
        assert count - slack <= found.get(name, 0) <= count


def test_a_new_primary_is_counted_as_a_replica_in_the_test_that_promoted_it() -> None:
    server = Counting(role="slave")
    first = server.own()
    server.all([("set", "call"), ("get", "call")])
    server.role = "master"
    second = server.own()
    assert touched(first, second, READONLY).counts == {"get": 1}
    server.do("set")
    assert touched(second, server.own(), READONLY).counts == {"set": 1}


@pytest.mark.parametrize("text", [b"", b"# Server\r\nrun_id:abc\r\n", b"# R\r\nrole:master\r\n"])
def test_a_reply_without_run_id_or_role_is_an_error(text: bytes) -> None:
    with pytest.raises(ValueError, match="INFO"):
        parse(text)


def test_unreplicated_commands_come_with_their_subcommands() -> None:
    def entry(name: bytes, flags: list[bytes], *subcommands: object) -> list[object]:
        return [name, 2, flags, 1, 1, 1, [], [], [], list(subcommands)]

    reply = [
        entry(b"GET", [b"readonly", b"fast"]),
        entry(b"set", [b"write"]),
        entry(b"xinfo", [], entry(b"xinfo|stream", [b"readonly"]), entry(b"xinfo|help", [])),
        None,
        [b"odd"],
    ]
    assert unreplicated_commands(reply) == {"get", "xinfo", "xinfo|stream", "xinfo|help"}
    assert unreplicated_commands(None) == frozenset()


@given(st.dictionaries(st.sampled_from([*EXCLUDED, "get", "lpush"]), st.integers(0, 3)))
def test_a_touch_is_any_command_that_is_not_excluded(counts: dict[str, int]) -> None:
    assert is_touch(counts) == (counts.get("get", 0) + counts.get("lpush", 0) > 0)


def test_every_exclusion_has_a_name_and_a_reason() -> None:
    for name, reason in EXCLUDED.items():
        assert name == name.lower()
        assert len(reason) > 20
    assert MARK not in EXCLUDED
