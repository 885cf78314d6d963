"""Clients, calls and replies come and go: memory, threads and descriptors stay."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Program = Callable[..., str]

COUNTS = """
import gc

def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def counts():
    return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))

def settled(before):
    # Clients are closed by a thread of their own.
    deadline = time.monotonic() + 30
    while counts() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert counts() <= before, (before, counts())

def steady(work, rounds, limit=4_000_000):
    # The first rounds fill caches; what grows after that grows for ever.
    for _ in range(rounds):
        work()
    before = resident()
    for _ in range(rounds):
        work()
    grown = resident() - before
    assert grown < limit, grown

def failing(function, *args):
    try:
        function(*args)
    except NativeError:
        return
    raise AssertionError("no failure")
"""


def test_clients_leave_nothing(program: Program) -> None:
    program(
        COUNTS
        + """
def lives():
    client = native.open(request, None if len(os.listdir("/proc/self/fd")) % 2 else print)
    native.execute(client, ("PING",), 10)
    native.close(client)

lives()
keeper = native.open(request, None)
lives()
time.sleep(0.2)
before = counts()
steady(lives, 150, 6_000_000)
settled(before)
"""
    )


def test_clients_closed_with_calls_on_their_way_leave_nothing(program: Program) -> None:
    program(
        COUNTS
        + """
def lives():
    client = native.open(request, None)
    calls = [native.command(client, ("ECHO", "x" * 1000)) for _ in range(20)]
    batch = native.batch(client, [("PING",)] * 20)
    dropped = native.command(client, ("BLPOP", "lives:none", "5"))
    native.close(client)

lives()
time.sleep(0.2)
before = counts()
steady(lives, 100, 6_000_000)
settled(before)
"""
    )


def test_scopes_leave_nothing(program: Program) -> None:
    program(
        COUNTS
        + """
def lives():
    parent = native.open(lazy, None)
    scope = native.acquire(parent, lazy, 10)
    assert native.link(scope, (b"PING",)).wait(10) == b"PONG"
    blocked = native.link(scope, (b"BLPOP", b"lives:none", b"0"))
    native.close(parent)

lives()
time.sleep(0.2)
before = counts()
steady(lives, 150, 6_000_000)
settled(before)
"""
    )


def test_calls_leave_nothing(program: Program) -> None:
    program(
        COUNTS
        + """
client = native.open(request, None)
native.execute(client, ("SET", "lives:big", "x" * 200_000), 10)
native.execute(client, ("SET", "lives:text", "x"), 10)
native.execute(client, ("DEL", "lives:hash"), 10)
native.execute(client, ("HSET", "lives:hash", *map(str, range(2000))), 10)
scope = native.acquire(native.open(lazy, None), lazy, 10)

def work():
    for _ in range(20):
        native.execute(client, ("GET", "lives:big"), 10)
        native.execute(client, ("HGETALL", "lives:hash"), 10)
        native.batch(client, [("GET", "lives:big"), ("NOPE",), ("HGETALL", "lives:hash")]).wait(10)
        native.link(scope, (b"GET", b"lives:big")).wait(10)
        native.link(scope, (b"SET", b"lives:x", b"x" * 200_000)).wait(10)
        native.link(scope, (b"GET", b"lives:none")).wait(10)
        # Nobody takes these replies.
        native.command(client, ("HGETALL", "lives:hash"))
        native.command(client, ("GET", "lives:big")).abandon()
        failing(native.execute, client, ("LPUSH", "lives:text", "x" * 50_000), 10)
        failing(native.execute, client, ("PING",), 10, b"\\xff\\xff")
        failing(native.link(scope, (b"LPUSH", b"lives:text", b"x" * 50_000)).wait, 10)
        failing(native.link, scope, (b"\\xff" * 5000,))
        failing(native.execute, 10**9, ("PING", "x" * 50_000), 10)
        for bad in (("ECHO", "x" * 50_000, 5), ("ECHO", bytearray(50_000), None), ()):
            try:
                native.execute(client, bad, 10)
            except (TypeError, ValueError):
                continue
            raise AssertionError(bad)

steady(work, 15, 12_000_000)
"""
    )


def test_failed_attempts_to_open_leave_nothing(program: Program) -> None:
    program(
        COUNTS
        + """
def work():
    for _ in range(100):
        failing(native.open, b"\\xff\\xff", None)
    failing(
        native.open,
        Options(addresses=address, username="nobody", password="x").serialize(),
        None,
    )

work()
time.sleep(0.2)
before = counts()
steady(work, 20)
settled(before)
"""
    )


def test_large_replies_are_not_kept_by_the_threads_that_read_them(program: Program) -> None:
    # GLIDE keeps the trees of 16 replies for each thread that frees some.
    program(
        COUNTS
        + """
client = native.open(request, None)
script = "local t = {} for i = 1, 100000 do t[i] = i end return t"

def read():
    for _ in range(2):
        assert len(native.execute(client, ("EVAL", script, "0"), 60)) == 100_000

read()
before = resident()
done, ready = threading.Event(), []

def reader():
    read()
    ready.append(1)
    done.wait(60)

threads = [threading.Thread(target=reader) for _ in range(8)]
for thread in threads:
    thread.start()
    while len(ready) <= threads.index(thread):
        time.sleep(0.01)
grown = resident() - before
done.set()
# A tree of 100,000 nodes has 10 MB.
assert grown < 60_000_000, grown
"""
    )


@pytest.mark.parametrize("end", ["pass", "sys.exit(0)", "os._exit(0)", "native.close(client)"])
def test_a_process_ends_well_whatever_is_on_its_way(program: Program, end: str) -> None:
    program(
        f"""
client = native.open(request, None)
subscriber = native.open(request, lambda *message: time.sleep(0.001))
native.batch(subscriber, [("SUBSCRIBE", "lives")]).wait(10)
scope = native.acquire(native.open(lazy, None), lazy, 10)
blocked = native.link(scope, (b"BLPOP", b"lives:none", b"0"))
waiting = threading.Thread(target=lambda: blocked.wait(None), daemon=True)
waiting.start()
calls = [native.command(client, ("PUBLISH", "lives", str(i))) for i in range(200)]
{end}
"""
    )


def test_a_client_is_closed_by_a_finalizer(program: Program) -> None:
    program(
        COUNTS
        + """
import weakref

class Owner:
    def __init__(self):
        client = native.open(request, None)
        self.client = client
        weakref.finalize(self, native.close, client)
        self.cycle = self

Owner()
gc.collect()
time.sleep(0.2)
before = counts()
for _ in range(100):
    Owner()
gc.collect()
settled(before)
"""
    )
