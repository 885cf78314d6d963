"""What an engine does, for both of them, on real servers."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from glide_shared.protobuf.command_request_pb2 import AllPrimaries, Routes

from glide_redis.native.engine import Engine
from glide_redis.native.request import Options
from glide_redis.native.values import (
    Closed,
    Lost,
    Members,
    Pairs,
    Refusal,
    Refused,
    TimedOut,
)


def test_it_says_its_name(native: Engine, request: pytest.FixtureRequest) -> None:
    assert native.name in request.node.name


# Replies


@pytest.mark.parametrize(
    ("script", "value"),
    [
        ("return false", None),
        ("return 7", 7),
        ("return -9007199254740991", -9007199254740991),
        ("return 'text'", b"text"),
        ("return ''", b""),
        ("return '\\0\\255'", b"\x00\xff"),
        ("return {ok='fine'}", b"fine"),
        ("return {ok='OK'}", b"OK"),
        ("return {}", []),
        ("return {1,{'a',{}},false}", [1, [b"a", []], None]),
        ("redis.setresp(3); return {double=0.5}", 0.5),
        ("redis.setresp(3); return true", True),
        ("redis.setresp(3); return {map={a=1}}", Pairs([(b"a", 1)])),
        ("redis.setresp(3); return {set={a=true}}", Members([b"a"])),
        ("redis.setresp(3); return {map={a={set={b=true}}}}", Pairs([(b"a", Members([b"b"]))])),
    ],
)
def test_each_kind_of_reply_has_its_type(
    native: Engine, client: int, script: str, value: object
) -> None:
    answer = native.execute(client, ("EVAL", script, "0"), 10)
    assert answer == value
    assert type(answer) is type(value)


def test_integers_have_64_bits(native: Engine, client: int) -> None:
    for number in (2**63 - 1, -(2**63)):
        assert native.execute(client, ("SET", "n", str(number)), 10) == b"OK"
        assert native.execute(client, ("INCRBY", "n", "0"), 10) == number


def test_a_map_keeps_its_order_and_what_is_in_it_twice(native: Engine, client: int) -> None:
    native.execute(client, ("HSET", "h", *(f"{i}" for i in range(200))), 10)
    answer = native.execute(client, ("HGETALL", "h"), 10)
    assert isinstance(answer, Pairs)
    assert dict(answer) == {f"{i}".encode(): f"{i + 1}".encode() for i in range(0, 200, 2)}


@pytest.mark.parametrize("size", [0, 1, 88, 89, 4096, 100_000, 5_000_000])
def test_values_of_any_size_come_back(native: Engine, client: int, size: int) -> None:
    value = os.urandom(size)
    assert native.execute(client, ("SET", "k", value), 10) == b"OK"
    assert native.execute(client, ("GET", "k"), 10) == value
    assert native.execute(client, ("MGET", "k", "none"), 10) == [value, None]


def test_a_large_array_comes_back(native: Engine, client: int) -> None:
    script = "local t = {} for i = 1, 50000 do t[i] = i end return t"
    assert native.execute(client, ("EVAL", script, "0"), 20) == list(range(1, 50001))


def test_replies_may_be_nested_deeply(native: Engine, client: int) -> None:
    script = "local t = {1} for i = 2, 60 do t = {t} end return t"
    answer, depth = native.execute(client, ("EVAL", script, "0"), 10), 0
    while isinstance(answer, list):
        answer, depth = answer[0], depth + 1
    assert depth == 60


def test_a_reply_that_glide_does_not_take_costs_only_its_connection(
    native: Engine, client: int
) -> None:
    # GLIDE's parser ends the connection over nesting without end, and over errors without UTF-8.
    for script in (
        "local t = {1} for i = 2, 500 do t = {t} end return t",
        "return redis.error_reply('odd \\255')",
    ):
        with pytest.raises(Lost):
            native.execute(client, ("EVAL", script, "0"), 10)
        assert native.execute(client, ("PING",), 10) == b"PONG"


# Arguments


@pytest.mark.parametrize(
    ("argument", "sent"),
    [
        (b"\x00\r\n\xff", b"\x00\r\n\xff"),
        ("é€", "é€".encode()),
        (bytearray(b"abc"), b"abc"),
        (bytearray(), b""),
        (memoryview(b"abcdef")[1:3], b"bc"),
        (b"", b""),
        ("", b""),
    ],
)
def test_arguments_are_bytes_text_and_buffers(
    native: Engine, client: int, argument: Any, sent: bytes
) -> None:
    assert native.execute(client, ["ECHO", argument], 10) == sent
    assert native.batch(client, [["ECHO", argument]]).wait(10) == [sent]


def test_many_arguments_are_sent(native: Engine, client: int) -> None:
    values = [f"{i}" for i in range(5000)]
    assert native.execute(client, ["RPUSH", "l", *values], 10) == 5000
    assert native.execute(client, ["LRANGE", "l", "0", "-1"], 10) == [v.encode() for v in values]


@pytest.mark.parametrize("argument", [1, 1.5, None, object(), ["a"]])
def test_other_arguments_are_an_error(native: Engine, client: int, argument: Any) -> None:
    for call in (
        lambda: native.execute(client, ("ECHO", argument), 10),
        lambda: native.command(client, ("ECHO", argument)),
        lambda: native.batch(client, [("ECHO", argument)]),
    ):
        with pytest.raises(TypeError):
            call()


def test_text_that_has_no_utf8_form_is_an_error(native: Engine, client: int) -> None:
    with pytest.raises(UnicodeEncodeError):
        native.execute(client, ("ECHO", "\ud800"), 10)


@pytest.mark.parametrize("args", [(), []])
def test_a_command_without_a_name_is_an_error(native: Engine, client: int, args: Any) -> None:
    # GLIDE would wait for a reply for ever, and so would the calls after it.
    for call in (
        lambda: native.execute(client, args, 10),
        lambda: native.command(client, args),
        lambda: native.batch(client, [("PING",), args]),
    ):
        with pytest.raises(ValueError, match="name"):
            call()
    assert native.execute(client, ("PING",), 10) == b"PONG"


def test_a_text_is_no_command(native: Engine, client: int) -> None:
    for args in ("PING", b"PING"):
        with pytest.raises(TypeError):
            native.execute(client, args, 10)  # type: ignore[arg-type]


# Errors


def test_a_servers_error_is_refused(native: Engine, client: int) -> None:
    native.execute(client, ("SET", "k", "v"), 10)
    with pytest.raises(Refused, match="WRONGTYPE"):
        native.execute(client, ("LPUSH", "k", "v"), 10)
    with pytest.raises(Refused, match="WRONGTYPE"):
        native.command(client, ("LPUSH", "k", "v")).wait(10)


def test_no_reply_in_time(native: Engine, client: int) -> None:
    before = time.monotonic()
    with pytest.raises(TimedOut, match=r"0\.05 s"):
        native.execute(client, ("DEBUG", "SLEEP", "0.3"), 0.05)
    assert time.monotonic() - before >= 0.05
    # The late reply is not taken for that of the next command.
    assert native.execute(client, ("ECHO", "next"), 10) == b"next"


def test_no_time_at_all(native: Engine, client: int) -> None:
    for timeout in (0, 0.0, -1):
        with pytest.raises(TimedOut):
            native.command(client, ("DEBUG", "SLEEP", "0.05")).wait(timeout)


def test_glides_own_limit_is_a_time_out_too(native: Engine, options: Options) -> None:
    request = Options(addresses=options.addresses, request_timeout_ms=50).serialize()
    client = native.open(request, None)
    with pytest.raises(TimedOut):
        native.execute(client, ("DEBUG", "SLEEP", "0.4"), 10)
    native.close(client)


def test_nothing_is_printed(options: Options, native: Engine) -> None:
    program = """
import sys
from glide_redis.native.engine import choose
from glide_redis.native.values import NativeError
native = choose(sys.argv[1])
client = native.open(bytes.fromhex(sys.argv[2]), None)
for args in (("NOPE",), ("DEBUG", "SLEEP", "0.3"), ("QUIT",), ("PING",)):
    try:
        native.execute(client, args, 0.1)
    except NativeError:
        print("failed")
"""
    request = options.serialize().hex()
    run = subprocess.run(
        [sys.executable, "-c", program, native.name, request],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stderr == ""
    assert run.stdout.count("failed") >= 2


# Calls


def test_a_reply_can_be_taken_once(native: Engine, client: int) -> None:
    call = native.command(client, ("PING",))
    assert call.wait(10) == b"PONG"
    assert call.done()
    with pytest.raises(Closed, match="taken"):
        call.wait(10)


def test_calls_are_answered_side_by_side(native: Engine, client: int) -> None:
    calls = [native.command(client, ("ECHO", f"{i}")) for i in range(500)]
    assert [call.wait(10) for call in calls] == [f"{i}".encode() for i in range(500)]


def test_a_dropped_call_is_forgotten(native: Engine, client: int) -> None:
    for _ in range(100):
        native.command(client, ("PING",))
    assert native.execute(client, ("ECHO", "x"), 10) == b"x"


def test_a_call_that_was_given_up_is_closed(native: Engine, client: int) -> None:
    call = native.command(client, ("DEBUG", "SLEEP", "0.1"))
    assert not call.done()
    call.abandon()
    assert call.done()
    with pytest.raises(Closed):
        call.wait(10)
    timed = native.command(client, ("DEBUG", "SLEEP", "0.1"))
    with pytest.raises(TimedOut):
        timed.wait(0)
    with pytest.raises(Closed):
        timed.wait(10)


def test_giving_up_what_is_done_leaves_the_reply(native: Engine, client: int) -> None:
    call = native.command(client, ("PING",))
    while not call.done():
        time.sleep(0.001)
    call.abandon()
    assert call.wait(0) == b"PONG"


def test_an_eventfd_tells_of_the_end(native: Engine, client: int) -> None:
    fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    try:
        for make in (
            lambda: native.command(client, ("PING",), fd=fd),
            lambda: native.batch(client, [("PING",)], fd=fd),
            lambda: native.batch(client, [], fd=fd),
            lambda: native.command(client, ("NOPE",), fd=fd),
        ):
            call = make()
            assert select.select([fd], [], [], 10)[0]
            assert call.done()
            assert os.eventfd_read(fd) == 1
    finally:
        os.close(fd)


def test_an_eventfd_is_let_alone_once_the_call_was_dropped(native: Engine, client: int) -> None:
    fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    try:
        dropped = native.command(client, ("DEBUG", "SLEEP", "0.1"), fd=fd)
        given_up = native.command(client, ("PING",), fd=fd)
        given_up.abandon()
        del dropped
        assert native.execute(client, ("PING",), 10) == b"PONG"
        assert not select.select([fd], [], [], 0)[0]
    finally:
        os.close(fd)


def test_two_threads_may_wait_for_one_call(native: Engine, client: int) -> None:
    for _ in range(50):
        call = native.command(client, ("PING",))
        seen: list[object] = []

        def wait(call: Any = call, seen: list[object] = seen) -> None:
            try:
                seen.append(call.wait(10))
            except Closed:
                seen.append("closed")

        threads = [threading.Thread(target=wait) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert sorted(map(str, seen)) == ["b'PONG'", "closed"]


# Batches


def test_a_batch_gives_errors_in_their_places(native: Engine, client: int) -> None:
    answer = native.batch(
        client, [("SET", "k", "v"), ("LPUSH", "k", "v"), ("GET", b"k"), ["HGETALL", "none"]]
    ).wait(10)
    assert isinstance(answer, list)
    assert [answer[0], answer[2], answer[3]] == [b"OK", b"v", Pairs()]
    assert isinstance(answer[1], Refusal)
    assert "WRONGTYPE" in answer[1].text


def test_an_atomic_batch_is_a_transaction(native: Engine, client: int) -> None:
    assert native.batch(client, [("INCR", "n"), ("INCR", "n")], atomic=True).wait(10) == [1, 2]


def test_an_empty_batch_has_an_empty_reply(native: Engine, client: int) -> None:
    assert native.batch(client, []).wait(10) == []


def test_a_large_batch(native: Engine, client: int) -> None:
    commands = [("SET", f"k{i}", os.urandom(i % 300)) for i in range(3000)]
    assert native.batch(client, commands).wait(20) == [b"OK"] * 3000
    answer = native.batch(client, [("GET", key) for _, key, _ in commands]).wait(20)
    assert answer == [value for _, _, value in commands]


# Clusters


def test_a_cluster_client_follows_slots_and_routes(native: Engine, cluster: Any) -> None:
    request = Options(addresses=((cluster.host, cluster.port),), cluster=True).serialize()
    client = native.open(request, None)
    route = Routes()
    route.simple_routes = AllPrimaries
    serialized = route.SerializeToString()
    assert native.command(client, ("FLUSHALL",), route=serialized).wait(10) == b"OK"
    for i in range(50):
        assert native.execute(client, ("SET", f"k{i}", f"{i}"), 10) == b"OK"
        assert native.execute(client, ("GET", f"k{i}"), 10) == f"{i}".encode()
    values = [f"{i}".encode() for i in range(50)]
    assert native.batch(client, [("GET", f"k{i}") for i in range(50)]).wait(10) == values
    assert native.execute(client, ("DBSIZE",), 10, serialized) == 50
    assert native.command(client, ("FLUSHALL",), route=serialized).wait(10) == b"OK"
    native.close(client)


def test_a_route_that_is_none_is_refused(native: Engine, client: int) -> None:
    with pytest.raises(Refused):
        native.execute(client, ("PING",), 10, b"\xff\xff\xff")
    assert native.execute(client, ("PING",), 10) == b"PONG"


# Clients


def test_opening_tells_what_failed(native: Engine, options: Options) -> None:
    with pytest.raises(Refused):
        native.open(b"\xff\xff", None)
    nowhere = Options(addresses=(("127.0.0.1", 1),), connection_timeout_ms=100).serialize()
    with pytest.raises(Lost):
        native.open(nowhere, None)
    stranger = Options(addresses=options.addresses, username="nobody", password="x").serialize()
    with pytest.raises(Refused, match="WRONGPASS"):
        native.open(stranger, None)


def test_a_closed_client_is_closed_for_all(native: Engine, options: Options) -> None:
    client = native.open(options.serialize(), None)
    waiting = native.command(client, ("DEBUG", "SLEEP", "0.2"))
    native.close(client)
    native.close(client)
    with pytest.raises(Closed):
        waiting.wait(10)
    for call in (
        lambda: native.execute(client, ("PING",), 10),
        lambda: native.command(client, ("PING",)),
        lambda: native.batch(client, [("PING",)]),
        lambda: native.acquire(client, options.serialize(), 1),
    ):
        with pytest.raises(Closed):
            call()


@pytest.mark.parametrize("handle", [0, -1, 12345, 2**64, 2**200])
def test_handles_that_never_were_are_closed(native: Engine, handle: int) -> None:
    with pytest.raises(Closed):
        native.execute(handle, ("PING",), 10)
    with pytest.raises(Closed):
        native.link(handle, (b"PING",))
    native.close(handle)
    native.release(handle, handle)


def test_a_client_may_be_closed_while_threads_use_it(native: Engine, options: Options) -> None:
    for _ in range(10):
        client = native.open(options.serialize(), None)
        started = threading.Barrier(5)
        seen: list[BaseException] = []

        def work(
            client: int = client,
            started: threading.Barrier = started,
            seen: list[BaseException] = seen,
        ) -> None:
            started.wait(10)
            try:
                while True:
                    assert native.execute(client, ("ECHO", "x"), 10) == b"x"
            except Closed as error:
                seen.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        started.wait(10)
        time.sleep(0.005)
        native.close(client)
        for thread in threads:
            thread.join(10)
        assert len(seen) == 4


def test_threads_get_their_own_answers(native: Engine, client: int) -> None:
    wrong: list[object] = []

    def work(name: str) -> None:
        for i in range(300):
            text = f"{name}-{i}".encode()
            if (answer := native.execute(client, ("ECHO", text), 10)) != text:
                wrong.append(answer)

    threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []


def test_the_server_sees_the_library_and_the_name(native: Engine, options: Options) -> None:
    request = Options(addresses=options.addresses, client_name="somebody").serialize()
    client = native.open(request, None)
    answer = native.execute(client, ("CLIENT", "INFO"), 10)
    assert isinstance(answer, bytes)
    assert b"name=somebody" in answer
    assert b"lib-name=glide-redis" in answer
    native.close(client)


# Messages


def test_messages_reach_the_handler(native: Engine, options: Options, client: int) -> None:
    seen: list[tuple[int, bytes, bytes, bytes | None]] = []
    third = threading.Event()

    def handler(kind: int, channel: bytes, data: bytes, pattern: bytes | None) -> None:
        seen.append((kind, channel, data, pattern))
        if len(seen) == 3:
            third.set()

    request = Options(addresses=options.addresses, read_only=True).serialize()
    subscriber = native.open(request, handler)
    native.batch(subscriber, [("SUBSCRIBE", "c")]).wait(10)
    native.batch(subscriber, [("PSUBSCRIBE", "p*")]).wait(10)
    assert native.execute(client, ("PUBLISH", "c", b"\x00\xff"), 10) == 1
    assert native.execute(client, ("PUBLISH", "pq", b""), 10) == 1
    assert native.execute(client, ("PUBLISH", "c", b"x" * 100_000), 10) == 1
    assert third.wait(10)
    assert seen == [
        (3, b"c", b"\x00\xff", None),
        (4, b"pq", b"", b"p*"),
        (3, b"c", b"x" * 100_000, None),
    ]
    native.close(subscriber)


# Connections of their own


def test_a_scope_holds_state(native: Engine, scope: int, client: int) -> None:
    def link(*args: bytes) -> object:
        return native.link(scope, args).wait(10)

    assert link(b"SELECT", b"3") == b"OK"
    assert link(b"SET", b"k", b"\x00\xff") == b"OK"
    assert link(b"GET", b"k") == b"\x00\xff"
    assert link(b"GET", b"none") is None
    assert link(b"INCR", b"n") == 1
    assert link(b"MULTI") == b"OK"
    assert link(b"INCR", b"n") == b"QUEUED"
    assert link(b"EXEC") == [2]
    assert link(b"SET", b"big", b"y" * 100_000) == b"OK"
    assert link(b"GET", b"big") == b"y" * 100_000
    assert native.execute(client, ("EXISTS", "k"), 10) == 0
    with pytest.raises(Refused, match="WRONGTYPE"):
        link(b"LPUSH", b"k", b"v")


def test_a_scope_that_blocks_blocks_nobody_else(native: Engine, scope: int, client: int) -> None:
    call = native.link(scope, (b"BLPOP", b"list", b"0"))
    # Commands of a scope overtake each other before they are sent.
    while b"cmd=blpop" not in bytes(native.execute(client, ("CLIENT", "LIST"), 10)):
        time.sleep(0.001)
    with pytest.raises(TimedOut):
        native.link(scope, (b"PING",)).wait(0.05)
    assert native.execute(client, ("RPUSH", "list", "x"), 10) == 1
    assert call.wait(10) == [b"list", b"x"]


def test_a_scopes_end_is_told_by_its_eventfd(native: Engine, scope: int, client: int) -> None:
    fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    try:
        call = native.link(scope, (b"BLPOP", b"list", b"0"), fd=fd)
        assert not select.select([fd], [], [], 0.02)[0]
        native.execute(client, ("RPUSH", "list", "x"), 10)
        assert select.select([fd], [], [], 10)[0]
        assert call.done()
        assert call.wait(0) == [b"list", b"x"]
    finally:
        os.close(fd)


def test_a_lost_connection_is_lost_for_good(native: Engine, scope: int, client: int) -> None:
    number = native.link(scope, (b"CLIENT", b"ID")).wait(10)
    call = native.link(scope, (b"BLPOP", b"list", b"0"))
    assert native.execute(client, ("CLIENT", "KILL", "ID", f"{number}"), 10) is not None
    with pytest.raises(Lost):
        call.wait(10)
    with pytest.raises(Lost):
        native.link(scope, (b"PING",)).wait(10)


def test_closing_the_client_closes_its_scopes(native: Engine, options: Options) -> None:
    request = Options(addresses=options.addresses, lazy=True).serialize()
    parent = native.open(request, None)
    scope = native.acquire(parent, request, 5)
    waiting = native.link(scope, (b"BLPOP", b"none", b"0"))
    native.close(parent)
    with pytest.raises(Closed):
        waiting.wait(10)
    with pytest.raises(Closed):
        native.link(scope, (b"PING",))
    native.release(scope, parent)


def test_a_scope_that_was_released_is_closed(native: Engine, options: Options) -> None:
    request = Options(addresses=options.addresses, lazy=True).serialize()
    parent = native.open(request, None)
    scope = native.acquire(parent, request, 5)
    native.release(scope, parent)
    with pytest.raises(Closed):
        native.link(scope, (b"PING",))
    native.close(parent)


def test_a_scope_that_cannot_be_had(native: Engine) -> None:
    request = Options(addresses=(("127.0.0.1", 1),), lazy=True).serialize()
    parent = native.open(request, None)
    with pytest.raises((TimedOut, Lost, Refused)):
        native.acquire(parent, request, 0.2)
    native.close(parent)


def test_closing_a_client_ends_the_wait_for_a_scope(native: Engine) -> None:
    request = Options(addresses=(("127.0.0.1", 1),), lazy=True).serialize()
    parent = native.open(request, None)
    threading.Timer(0.1, native.close, (parent,)).start()
    with pytest.raises(Closed):
        native.acquire(parent, request, 5)


def test_a_scopes_command_must_have_a_name_in_utf8(native: Engine, scope: int) -> None:
    with pytest.raises(Refused):
        native.link(scope, (b"\xff\xfe", b"x"))
    with pytest.raises(ValueError, match="name"):
        native.link(scope, ())
    assert native.link(scope, (b"PING",)).wait(10) == b"PONG"


# The interface


def test_arguments_have_names(native: Engine, options: Options) -> None:
    client = native.open(request=options.serialize(), push=None)
    assert native.execute(client=client, args=("PING",), timeout=10, route=None) == b"PONG"
    assert native.command(client=client, args=("PING",), route=None, fd=-1).wait(timeout=10)
    assert native.batch(client=client, commands=[("PING",)], atomic=False, fd=-1).wait(10)
    request = Options(addresses=options.addresses, lazy=True).serialize()
    parent = native.open(request, None)
    scope = native.acquire(client=parent, request=request, timeout=5)
    assert native.link(scope=scope, args=(b"PING",), fd=-1).wait(10) == b"PONG"
    native.release(scope=scope, client=parent)
    native.close(client=parent)
    native.close(client=client)


@pytest.mark.parametrize(
    ("function", "args", "keywords"),
    [
        ("execute", (1, ("PING",)), {}),
        ("execute", (1, ("PING",), 1, None, 5), {}),
        ("execute", (1, ("PING",), 1), {"args": ("PING",)}),
        ("execute", (1, ("PING",), 1), {"what": 1}),
        ("execute", (1, ("PING",), "soon"), {}),
        ("execute", ("one", ("PING",), 1), {}),
        ("command", (1, 5), {}),
        ("batch", (1, 5), {}),
        ("batch", (1, [5]), {}),
        ("open", ("text", None), {}),
        ("close", (), {}),
    ],
)
def test_arguments_that_are_wrong_are_type_errors(
    native: Engine, client: int, function: str, args: tuple[Any, ...], keywords: dict[str, Any]
) -> None:
    here = tuple(client if arg == 1 and i == 0 else arg for i, arg in enumerate(args))
    with pytest.raises((TypeError, Closed) if args[:1] == ("one",) else TypeError):
        getattr(native, function)(*here, **keywords)
