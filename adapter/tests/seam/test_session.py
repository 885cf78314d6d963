"""Plans of a connection's commands, driven without a server."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from glide_redis.native.values import Lost, Pairs, Refusal, Refused
from glide_redis.seam.session import Session, blocks, introduction, unfinished
from glide_redis.seam.transaction import Bundle

OK = b"OK"


def run(session: Session, line: str, *replies: Any, upcoming: deque[Any] | None = None) -> Any:
    """Plan a command given as words, answer its steps; return the steps and the result."""
    args = [word.encode() for word in line.split()]
    plan = session.plan(args, deque() if upcoming is None else upcoming)
    steps, answers, answer = [], iter(replies), None
    while True:
        try:
            steps.append(plan.send(answer))
        except StopIteration as stop:
            assert next(answers, None) is None, "the plan took fewer replies than it was given"
            return steps, stop.value
        answer = next(answers)


def words(*lines: str) -> deque[Any]:
    return deque([word.encode() for word in line.split()] for line in lines)


def greeted(session: Session, protocol: int = 3) -> Session:
    run(session, f"HELLO {protocol}", Pairs([(b"proto", protocol)]))
    return session


def test_a_plain_command_goes_to_the_link() -> None:
    assert run(Session(), "GET k", b"v") == ([[b"GET", b"k"]], b"$1\r\nv\r\n")
    assert run(Session(), "HEXISTS k f", True) == ([[b"HEXISTS", b"k", b"f"]], b":1\r\n")
    assert run(greeted(Session()), "HGETALL k", Pairs([(b"f", b"v")]))[1] == (
        b"%1\r\n$1\r\nf\r\n$1\r\nv\r\n"
    )


def test_errors_are_written_as_the_servers() -> None:
    refused = Refused("WRONGTYPE: Operation against a key")
    assert run(Session(), "GET k", refused)[1] == b"-WRONGTYPE Operation against a key\r\n"


def test_the_protocol_is_what_the_server_agreed_to() -> None:
    session = Session()
    assert session.protocol == 2
    run(session, "HELLO 3", Refused("NOPROTO: unsupported"))
    assert session.protocol == 2
    greeted(session)
    assert session.protocol == 3
    run(session, "HELLO", Pairs([(b"proto", 3)]))
    assert session.protocol == 3
    run(session, "RESET", b"RESET")
    assert session.protocol == 2


def test_who_the_connection_is() -> None:
    session = Session()
    run(session, "HELLO 3 AUTH me secret SETNAME name", Pairs())
    assert (session.identity.username, session.identity.password) == ("me", "secret")
    assert session.identity.client_name == "name"
    run(session, "AUTH other", OK)
    assert (session.identity.username, session.identity.password) == (None, "other")
    run(session, "AUTH you hidden", OK)
    assert (session.identity.username, session.identity.password) == ("you", "hidden")
    run(session, "CLIENT SETNAME another", OK)
    run(session, "CLIENT SETINFO lib-name mine", OK)
    run(session, "SELECT 3", OK)
    assert session.identity.client_name == "another"
    assert session.identity.library == {"LIB-NAME": b"mine"}
    assert session.identity.database == 3
    run(session, "RESET", b"RESET")
    assert session.identity.username is None
    assert session.identity.database == 0


def test_what_was_refused_changes_nothing() -> None:
    session = Session()
    run(session, "AUTH me wrong", Refused("WRONGPASS: no"))
    run(session, "SELECT 99", Refused("An error was signalled by the server: - ResponseError: no"))
    assert session.identity.username is None
    assert session.identity.database == 0


@pytest.mark.parametrize("line", ["EVAL x 0", "EVALSHA x 0", "EVAL_RO x 0", "FCALL f 0"])
@pytest.mark.parametrize("protocol", [2, 3])
def test_scripts_are_sent_in_resp2(line: str, protocol: int) -> None:
    session = greeted(Session(), protocol)
    steps, result = run(session, line, [[1, Refusal("WRONGTYPE: no"), None]])
    assert [type(step) for step in steps] == [Bundle]
    assert steps[0].protocol == 2
    null = b"_\r\n" if protocol == 3 else b"$-1\r\n"
    assert result == b"*3\r\n:1\r\n-WRONGTYPE no\r\n" + null


def test_a_script_that_fails() -> None:
    assert run(Session(), "EVAL x 0", [Refusal("MYERR: no")])[1] == b"-MYERR no\r\n"
    assert run(Session(), "EVAL x 0", Refused("MYERR: no"))[1] == b"-MYERR no\r\n"


@pytest.mark.parametrize("line", ["DEBUG PROTOCOL bignum", "MODULE.COMMAND x"])
def test_what_may_be_a_big_number(line: str) -> None:
    steps, _ = run(greeted(Session()), line, [b"1"])
    assert isinstance(steps[0], Bundle)
    assert steps[0].protocol == 2
    assert run(greeted(Session(), 2), line, b"1")[0] == [line.encode().split()]


def test_replies_that_glide_would_spoil() -> None:
    session = greeted(Session())
    steps, result = run(session, "ZRANGE withscores 0 -1", [OK, b"QUEUED", [[b"m"]]])
    assert steps[0].commands == [
        (b"MULTI",),
        b"ZRANGE withscores 0 -1".split(),
        (b"EXEC",),
    ]
    assert result == b"*1\r\n$1\r\nm\r\n"
    aborted = [OK, Refusal("NOPERM: no"), Refusal("An error was signalled by the server: - X: y")]
    assert run(session, "ZRANGE withscores 0 -1", aborted)[1] == b"-NOPERM no\r\n"


def test_a_transaction_that_is_there_as_a_whole() -> None:
    upcoming = words("SET k v", "GET k", "EXEC", "PING")
    steps, result = run(
        Session(), "MULTI", [OK, b"QUEUED", b"QUEUED", [OK, b"v"]], upcoming=upcoming
    )
    assert [b" ".join(args) for args in steps[0].commands] == [
        b"MULTI",
        b"SET k v",
        b"GET k",
        b"EXEC",
    ]
    assert upcoming == words("PING")
    assert result.endswith(b"*2\r\n$2\r\nOK\r\n$1\r\nv\r\n")


@pytest.mark.parametrize("inner", ["DISCARD", "MULTI", "WATCH k"])
def test_a_transaction_with_its_end_or_another_inside(inner: str) -> None:
    upcoming = words("SET k v", inner, "EXEC")
    steps, _ = run(Session(), "MULTI", OK, upcoming=upcoming)
    assert steps == [[b"MULTI"]]
    assert len(upcoming) == 3


def test_a_transaction_command_by_command() -> None:
    session = Session()
    assert run(session, "MULTI", OK)[0] == [[b"MULTI"]]
    assert run(session, "HEXISTS h f", b"QUEUED")[1] == b"$6\r\nQUEUED\r\n"
    assert run(session, "EXEC", [1])[1] == b"*1\r\n:1\r\n"
    # It is over: replies are reshaped again.
    assert run(session, "HEXISTS h f", True)[1] == b":1\r\n"


@pytest.mark.parametrize("end", ["DISCARD", "RESET"])
def test_what_ends_a_transaction(end: str) -> None:
    session = Session()
    run(session, "MULTI", OK)
    run(session, end, OK)
    assert run(session, "HEXISTS h f", True)[1] == b":1\r\n"


def test_no_script_in_a_resp3_transaction_command_by_command() -> None:
    session = greeted(Session())
    run(session, "MULTI", OK)
    steps, result = run(session, "EVAL x 0")
    assert steps == []
    assert result.startswith(b"-ERR glide-redis")


def test_no_transaction_command_by_command_while_keys_are_watched() -> None:
    session = Session()
    run(session, "WATCH k", [1, OK])
    steps, result = run(session, "MULTI")
    assert steps == []
    assert result.startswith(b"-ERR glide-redis")


def test_while_keys_are_watched_commands_go_where_they_are_watched() -> None:
    session = Session()
    run(session, "WATCH k", [1, OK])
    steps, _ = run(session, "GET k", [b"v"])
    assert steps == [Bundle([[b"GET", b"k"]], 2)]
    run(session, "UNWATCH", [OK])
    steps, _ = run(session, "GET k", b"v")
    assert steps == [[b"GET", b"k"]]


def test_a_lost_connection_ends_the_plan_of_a_watch() -> None:
    plan = Session().plan([b"WATCH", b"k"], deque())
    plan.send(None)
    with pytest.raises(Lost):
        plan.send(Lost("gone"))


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("HELLO 3", "HELLO"),
        ("hello 3 auth me pass", "HELLO AUTH"),
        ("HELLO 2 AUTH me pass SETNAME n", "HELLO AUTH SETNAME"),
        ("AUTH pass", "AUTH"),
        ("SELECT 1", "SELECT"),
        ("CLIENT SETNAME n", "CLIENT SETNAME"),
        ("CLIENT SETINFO lib-name n", "CLIENT SETINFO LIB-NAME"),
        ("READONLY", "READONLY"),
        ("READWRITE", "READONLY"),
        ("CLIENT ID", None),
        ("CLIENT", None),
        ("GET k", None),
    ],
)
def test_introductions(line: str, kind: str | None) -> None:
    found = introduction([word.encode() for word in line.split()])
    assert found == (None if kind is None else [word.encode() for word in kind.split()])


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["MULTI"], True),
        (["MULTI", "SET k v"], True),
        (["multi", "SET k v", "exec"], False),
        (["GET k"], False),
        (["GET k", "MULTI"], False),
    ],
)
def test_transactions_that_have_not_come_as_a_whole(lines: list[str], expected: bool) -> None:
    assert unfinished(words(*lines)) is expected


@pytest.mark.parametrize(
    "line",
    [
        "XREAD STREAMS block 0",
        "XREADGROUP GROUP block c STREAMS s >",
        "XREADGROUP GROUP g block BLOCK 0 STREAMS s >",
    ],
)
def test_names_that_glide_takes_for_options(line: str) -> None:
    steps, _ = run(Session(), line, [None])
    assert steps == [Bundle([[word.encode() for word in line.split()]], 2)]


@pytest.mark.parametrize("line", ["XREAD BLOCK 5 STREAMS block 0", "XREAD STREAMS s 0"])
def test_options_that_glide_takes_for_what_they_are(line: str) -> None:
    assert run(Session(), line, None)[0] == [[word.encode() for word in line.split()]]


def test_names_of_commands_that_glide_cannot_read() -> None:
    plan = Session().plan([b"\xff", b"k"], deque())
    assert plan.send(None) == Bundle([[b"\xff", b"k"]], 2)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("BLPOP k 0", True),
        ("blmove a b LEFT RIGHT 0", True),
        ("BZMPOP 0 1 k MIN", True),
        ("XREAD BLOCK 0 STREAMS s $", True),
        ("XREAD COUNT 5 BLOCK 0 STREAMS s $", True),
        ("XREADGROUP GROUP g c COUNT 5 BLOCK 0 STREAMS s >", True),
        ("XREADGROUP GROUP g c NOACK COUNT 5 BLOCK 0 STREAMS s >", True),
        ("XREAD STREAMS s 0", False),
        ("LPOP k", False),
    ],
)
def test_commands_that_wait_for_others(line: str, expected: bool) -> None:
    assert blocks([word.encode() for word in line.split()]) is expected
