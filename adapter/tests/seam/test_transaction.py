"""Plans of transactions, driven without a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from glide_redis.native.values import Lost, NativeError, Refusal, Refused
from glide_redis.seam.transaction import Bundle, Transactions, written

WATCH = (b"WATCH", b"k")
SET = (b"SET", b"k", b"v")
GET = (b"GET", b"k")
EVAL = (b"EVAL", b"return 1", b"0")
ID, OTHER = 17, 18
OK = b"OK"
QUEUED = b"QUEUED"


def drive(plan: Any, *replies: Any) -> tuple[list[Any], Any]:
    """Answer a plan's steps in turn; return the steps and what the plan returned."""
    steps: list[Any] = []
    answers = iter(replies)
    answer = None
    while True:
        try:
            steps.append(plan.send(answer))
        except StopIteration as stop:
            assert next(answers, None) is None, "the plan took fewer replies than it was given"
            return steps, stop.value
        answer = next(answers)


def commands_of(steps: Sequence[Any]) -> list[list[Any]]:
    """Return the commands of each bundle."""
    assert all(isinstance(step, Bundle) for step in steps)
    return [[tuple(args) for args in step.commands] for step in steps]


def watching(protocol: int = 2) -> Transactions:
    """Return the transactions of a connection with id 17 that watches a key."""
    transactions = Transactions()
    steps, result = drive(transactions.watch(WATCH, protocol), [ID, OK])
    assert commands_of(steps) == [[(b"CLIENT", b"ID"), WATCH]]
    assert result == b"$2\r\nOK\r\n"
    assert transactions.watching
    return transactions


def test_without_a_watch_all_goes_at_once() -> None:
    steps, result = drive(Transactions().whole([SET, GET], 2), [OK, QUEUED, QUEUED, [OK, b"v"]])
    assert commands_of(steps) == [[(b"MULTI",), SET, GET, (b"EXEC",)]]
    assert result == (b"$2\r\nOK\r\n$6\r\nQUEUED\r\n$6\r\nQUEUED\r\n*2\r\n$2\r\nOK\r\n$1\r\nv\r\n")


def test_errors_stay_where_they_are() -> None:
    wrong = Refusal("WRONGTYPE: Operation against a key")
    _, result = drive(Transactions().whole([SET, GET], 2), [OK, QUEUED, QUEUED, [OK, wrong]])
    assert result.endswith(b"*2\r\n$2\r\nOK\r\n-WRONGTYPE Operation against a key\r\n")
    aborted = Refusal("An error was signalled by the server: - ExecAbortError: discarded")
    unknown = Refusal("An error was signalled by the server: - ResponseError: unknown command")
    _, result = drive(Transactions().whole([SET], 2), [OK, unknown, aborted])
    assert result == b"$2\r\nOK\r\n-ERR unknown command\r\n-EXECABORT discarded\r\n"


def test_exec_comes_only_on_the_connection_that_watched() -> None:
    transactions = watching()
    steps, result = drive(transactions.whole([SET], 2), [ID, OK, QUEUED], [[OK]])
    assert commands_of(steps) == [
        [(b"CLIENT", b"ID"), (b"MULTI",), SET],
        [(b"EXEC",)],
    ]
    assert result == b"$2\r\nOK\r\n$6\r\nQUEUED\r\n*1\r\n$2\r\nOK\r\n"
    assert not transactions.watching


def test_no_exec_on_another_connection() -> None:
    transactions = watching()
    plan = transactions.whole([SET], 2)
    assert commands_of([plan.send(None)]) == [[(b"CLIENT", b"ID"), (b"MULTI",), SET]]
    discard = plan.send([OTHER, OK, QUEUED])
    assert commands_of([discard]) == [[(b"DISCARD",)]]
    with pytest.raises(Lost):
        plan.send([OK])
    assert not transactions.watching


def test_a_connection_lost_before_exec() -> None:
    plan = watching().whole([SET], 2)
    plan.send(None)
    plan.send([ID, OK, QUEUED])
    with pytest.raises(Lost):
        plan.send(
            [Refusal("An error was signalled by the server: - ResponseError: EXEC without MULTI")]
        )


def test_a_changed_key() -> None:
    _, result = drive(watching(3).whole([SET], 3), [ID, OK, QUEUED], [None])
    assert result.endswith(b"_\r\n")


@pytest.mark.parametrize("failing", [0, 1])
def test_failures_end_a_watched_transaction(failing: int) -> None:
    plan = watching().whole([SET], 2)
    plan.send(None)
    if failing:
        plan.send([ID, OK, QUEUED])
    with pytest.raises(Lost):
        plan.send(Lost("gone"))


def test_replies_that_are_missing() -> None:
    plan = Transactions().whole([SET], 2)
    plan.send(None)
    with pytest.raises(Lost, match="3 replies"):
        plan.send([OK])


def test_watching_again_on_another_connection() -> None:
    plan = watching().watch(WATCH, 2)
    plan.send(None)
    with pytest.raises(Lost):
        plan.send([OTHER, OK])


def test_watching_more_on_the_same_connection() -> None:
    transactions = watching()
    drive(transactions.watch((b"WATCH", b"other"), 2), [ID, OK])
    assert transactions.watching


def test_a_refused_watch_watches_nothing() -> None:
    transactions = Transactions()
    refusal = Refusal("NOPERM: no access")
    _, result = drive(transactions.watch(WATCH, 2), [ID, refusal])
    assert result == b"-NOPERM no access\r\n"
    assert not transactions.watching


@pytest.mark.parametrize("command", [(b"UNWATCH",), (b"unwatch",), (b"RESET",)])
def test_what_ends_watching(command: tuple[bytes, ...]) -> None:
    transactions = watching()
    steps, _ = drive(transactions.single(command, 2), [OK])
    assert commands_of(steps) == [[command]]
    assert not transactions.watching


def test_commands_while_watching() -> None:
    transactions = watching(3)
    steps, result = drive(transactions.single(GET, 3), [b"v"])
    assert commands_of(steps) == [[GET]]
    assert steps[0].protocol == 3
    assert result == b"$1\r\nv\r\n"
    assert transactions.watching


def test_scripts_while_watching_answer_in_resp2() -> None:
    steps, result = drive(watching(3).single(EVAL, 3), [b"hello", 5, b"hello"])
    assert commands_of(steps) == [[(b"HELLO", b"2"), EVAL, (b"HELLO", b"3")]]
    assert result == b":5\r\n"
    steps, result = drive(watching(2).single(EVAL, 2), [5])
    assert commands_of(steps) == [[EVAL]]


def test_scripts_in_a_resp3_transaction_answer_in_resp2() -> None:
    two, three = (b"HELLO", b"2"), (b"HELLO", b"3")
    hello = [(b"proto", 3)]
    steps, result = drive(
        Transactions().whole([GET, EVAL, EVAL, GET, EVAL], 3),
        [OK, *[QUEUED] * 9, [b"a", hello, 1, 2, hello, b"b", hello, 3, hello]],
    )
    assert commands_of(steps) == [
        [(b"MULTI",), GET, two, EVAL, EVAL, three, GET, two, EVAL, three, (b"EXEC",)]
    ]
    assert result == (
        b"$2\r\nOK\r\n"
        + b"$6\r\nQUEUED\r\n" * 5
        + b"*5\r\n$1\r\na\r\n:1\r\n:2\r\n$1\r\nb\r\n:3\r\n"
    )
    steps, result = drive(
        watching(3).whole([EVAL], 3), [ID, OK, *[QUEUED] * 3], [[hello, 1, hello]]
    )
    assert commands_of(steps) == [
        [(b"CLIENT", b"ID"), (b"MULTI",), two, EVAL, three],
        [(b"EXEC",)],
    ]
    assert result == b"$2\r\nOK\r\n$6\r\nQUEUED\r\n*1\r\n:1\r\n"
    _, result = drive(watching(3).whole([EVAL], 3), [ID, OK, *[QUEUED] * 3], [None])
    assert result.endswith(b"\r\n_\r\n")


def test_scripts_in_a_resp2_transaction() -> None:
    steps, _ = drive(Transactions().whole([EVAL], 2), [OK, QUEUED, [1]])
    assert commands_of(steps) == [[(b"MULTI",), EVAL, (b"EXEC",)]]


def test_written() -> None:
    assert written(GET, Refused("WRONGTYPE: no"), 2) == b"-WRONGTYPE no\r\n"
    assert written(GET, NativeError("anything"), 2) == b"-ERR anything\r\n"
    assert written((b"HEXISTS", b"k", b"f"), True, 3) == b":1\r\n"
