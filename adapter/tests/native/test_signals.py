"""Signals interrupt whatever waits, at once, and nothing is broken afterwards."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Program = Callable[..., str]

ALARMS = """
class Alarm(Exception):
    pass

late = []
due = 0.0

def ring(number, frame):
    late.append(time.monotonic() - due)
    raise Alarm

signal.signal(signal.SIGALRM, ring)

def interrupted(function, *args, after=0.002):
    global due
    due = time.monotonic() + after
    try:
        signal.setitimer(signal.ITIMER_REAL, after)
        function(*args)
    except Alarm:
        return
    raise AssertionError("not interrupted")

client = native.open(request, None)
"""


def test_alarms_interrupt_a_blocked_link(program: Program) -> None:
    # Each time the link is given up and another taken, as a caller must who cannot know whether
    # the server still waits.
    printed = program(
        ALARMS
        + """
for number in range(100):
    owner = native.open(lazy, None)
    scope = native.acquire(owner, lazy, 10)
    interrupted(native.link(scope, (b"BLPOP", b"signals:none", b"0")).wait, None)
    native.close(owner)
assert native.execute(client, ("PING",), 10) == b"PONG"
print(len(late))
"""
    )
    assert printed == "100\n"


def test_alarms_interrupt_a_command(program: Program) -> None:
    printed = program(
        ALARMS
        + """
for number in range(50):
    interrupted(native.execute, client, ("DEBUG", "SLEEP", "0.02"), None)
    interrupted(native.execute, client, ("DEBUG", "SLEEP", "0.02"), 10)
    # The reply to what was given up is not taken for the next one's.
    assert native.execute(client, ("ECHO", str(number)), 10) == str(number).encode()
print(len(late))
"""
    )
    assert printed == "100\n"


def test_a_signal_just_before_the_wait_is_not_lost(program: Program) -> None:
    # After the last look for signals and before the sleep: whatever the delay, it rings.
    printed = program(
        ALARMS
        + """
for number in range(200):
    owner = native.open(lazy, None)
    call = native.link(native.acquire(owner, lazy, 10), (b"BLPOP", b"signals:none", b"0"))
    interrupted(call.wait, 20, after=number / 1e6 + 1e-6)
    native.close(owner)
print(len(late))
"""
    )
    assert printed == "200\n"


@pytest.mark.parametrize("engine_name", ["accelerated", "portable"])
def test_opening_and_acquiring_can_be_interrupted(program: Program) -> None:
    printed = program(
        ALARMS
        + """
import socket
# It takes connections and never says a word.
mute = socket.create_server(("127.0.0.1", 0))
nowhere = Options(
    addresses=(mute.getsockname(),), connection_timeout_ms=20_000, lazy=False
).serialize()
interrupted(native.open, nowhere, None, after=0.05)
dead = Options(addresses=(("127.0.0.1", 1),), lazy=True).serialize()
owner = native.open(dead, None)
interrupted(native.acquire, owner, dead, 20, after=0.05)
native.close(owner)
print(native.execute(client, ("PING",), 10))
"""
    )
    assert printed == "b'PONG'\n"


def test_a_handler_that_returns_does_not_end_the_wait(program: Program) -> None:
    printed = program(
        """
rung = []
signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
client = native.open(request, None)
print(native.execute(client, ("DEBUG", "SLEEP", "0.2"), 10))
signal.setitimer(signal.ITIMER_REAL, 0)
print(len(rung) > 2)
"""
    )
    assert printed == "b'OK'\nTrue\n"


def test_a_handler_may_use_the_engine(program: Program) -> None:
    printed = program(
        """
client = native.open(request, None)
inside = []
signal.signal(
    signal.SIGALRM, lambda number, frame: inside.append(native.execute(other, ("PING",), 10))
)
other = native.open(request, None)
signal.setitimer(signal.ITIMER_REAL, 0.05)
scope = native.acquire(native.open(lazy, None), lazy, 10)
print(native.link(scope, (b"BLPOP", b"signals:none", b"0.3")).wait(10), inside)
"""
    )
    assert printed == "None [b'PONG']\n"


def test_control_c_ends_the_wait(program: Program) -> None:
    printed = program(
        """
client = native.open(request, None)
threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
scope = native.acquire(native.open(lazy, None), lazy, 10)
try:
    native.link(scope, (b"BLPOP", b"signals:none", b"0")).wait(None)
except KeyboardInterrupt:
    print("interrupted")
print(native.execute(client, ("PING",), 10))
"""
    )
    assert printed == "interrupted\nb'PONG'\n"


def test_a_signal_reaches_the_main_thread_while_others_wait(program: Program) -> None:
    printed = program(
        """
client = native.open(request, None)
def wait():
    scope = native.acquire(native.open(lazy, None), lazy, 10)
    native.link(scope, (b"BLPOP", b"signals:none", b"1")).wait(10)
threads = [threading.Thread(target=wait) for _ in range(4)]
for thread in threads:
    thread.start()
threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    for thread in threads:
        thread.join()
except KeyboardInterrupt:
    print("interrupted")
for thread in threads:
    thread.join()
"""
    )
    assert printed == "interrupted\n"
