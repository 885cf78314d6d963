"""The wire socket as a socket: receiving, waiting, polling, ending."""

from __future__ import annotations

import errno
import gc
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from glide_redis.native.request import Options
from glide_redis.native.values import Lost
from glide_redis.seam.socket import WireSocket

PATIENCE = 20.0
NULL = {2: b"$-1\r\n", 3: b"_\r\n"}
LARGE = 300_000


def eventually(what: Callable[[], Any]) -> Any:
    """Wait until something is true; return it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("it did not come true")


def poll(wire: Any, seconds: float) -> bool:
    """Poll the socket as hiredis' parser in redis-py does."""
    poller = select.poll()
    poller.register(wire.socket, select.POLLIN)
    return bool(poller.poll(seconds * 1000))


def blocked(control: redis.Redis) -> int:
    return int(control.info("clients")["blocked_clients"])


def waiting_id(wire: Any) -> int:
    """Return the id of the connection that blocking commands of a socket wait on."""
    wire.ask("BLPOP", "none", "0.001")
    return int(wire.number("CLIENT", "ID"))


def test_replies_are_written_as_the_server_writes_them(wire: Any) -> None:
    resp3 = wire.protocol == 3
    for command, expected in (
        (("SET", "key", "value"), b"$2\r\nOK\r\n"),
        (("GET", "key"), b"$5\r\nvalue\r\n"),
        (("GET", "none"), NULL[wire.protocol]),
        (("APPEND", "key", b"\x00\xff\r\n"), b":9\r\n"),
        (("GET", "key"), b"$9\r\nvalue\x00\xff\r\n\r\n"),
        (("RPUSH", "list", "a", ""), b":2\r\n"),
        (("LRANGE", "list", 0, -1), b"*2\r\n$1\r\na\r\n$0\r\n\r\n"),
        (("LRANGE", "none", 0, -1), b"*0\r\n"),
        (("HSET", "hash", "f", "v"), b":1\r\n"),
        (("HGETALL", "hash"), (b"%1" if resp3 else b"*2") + b"\r\n$1\r\nf\r\n$1\r\nv\r\n"),
        (("SADD", "set", "m"), b":1\r\n"),
        (("SMEMBERS", "set"), (b"~1" if resp3 else b"*1") + b"\r\n$1\r\nm\r\n"),
        (("ZADD", "zset", "1.5", "m"), b":1\r\n"),
        (("ZSCORE", "zset", "m"), b",1.5\r\n" if resp3 else b"$3\r\n1.5\r\n"),
        (("SISMEMBER", "set", "m"), b":1\r\n"),
        (
            ("LPUSH", "key", "x"),
            b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
        ),
        (("GET",), b"-ERR wrong number of arguments for 'get' command\r\n"),
    ):
        assert wire.ask(*command) == expected, command


def test_a_reply_can_be_received_in_pieces(wire: Any) -> None:
    value = bytes(range(256)) * (LARGE // 256)
    wire.ask("SET", "large", value)
    wire.send("GET", "large")
    whole = b"$%d\r\n%b\r\n" % (len(value), value)
    pieces = [wire.socket.recv(size) for size in (1, 2, 3, 5, 8, 1000)]
    assert [len(piece) for piece in pieces] == [1, 2, 3, 5, 8, 1000]
    assert b"".join(pieces) + wire.read(len(whole) - 1019) == whole
    assert wire.ask("ECHO", "next") == b"$4\r\nnext\r\n"


def test_pieces_go_across_the_bounds_of_replies(wire: Any) -> None:
    for word in ("one", "two", "three"):
        wire.send("ECHO", word)
    assert wire.read(13) == b"$3\r\none\r\n$3\r\n"
    assert wire.read(5) == b"two\r\n"
    assert wire.read(11) == b"$5\r\nthree\r\n"


def test_receive_into_a_buffer(wire: Any) -> None:
    wire.send("ECHO", "hello")
    buffer = bytearray(b"." * 8)
    assert wire.socket.recv_into(buffer) == 8
    assert buffer == b"$5\r\nhell"
    view = memoryview(buffer)
    assert wire.socket.recv_into(view, 2) == 2
    assert buffer == b"o\r\r\nhell"
    assert wire.socket.recv_into(view[4:]) == 1
    assert buffer[4:5] == b"\n"


def test_peeking_takes_nothing(wire: Any) -> None:
    wire.send("ECHO", "hello")
    assert wire.socket.recv(1, socket.MSG_PEEK) == b"$"
    assert wire.socket.recv(4, socket.MSG_PEEK) == b"$5\r\n"
    assert wire.read(11) == b"$5\r\nhello\r\n"


def test_without_patience_receiving_would_block(wire: Any) -> None:
    wire.socket.settimeout(0)
    assert wire.socket.gettimeout() == 0
    with pytest.raises(BlockingIOError) as caught:
        wire.socket.recv(10)
    assert caught.value.errno == errno.EWOULDBLOCK


def test_without_patience_what_came_is_received(wire: Any) -> None:
    wire.send("ECHO", "hello")
    assert poll(wire, PATIENCE)
    wire.socket.settimeout(0)
    assert wire.socket.recv(100) == b"$5\r\nhello\r\n"
    with pytest.raises(BlockingIOError):
        wire.socket.recv(100)


def test_patience_ends(wire: Any) -> None:
    wire.socket.settimeout(0.05)
    with pytest.raises(TimeoutError):
        wire.socket.recv(10)
    wire.send("BLPOP", "none", 0)
    with pytest.raises(TimeoutError):
        wire.socket.recv(10)


def test_a_command_that_timed_out_takes_nothing_later(wire: Any, control: redis.Redis) -> None:
    wire.socket.settimeout(0.05)
    wire.send("BLPOP", "list", 0)
    with pytest.raises(TimeoutError):
        wire.socket.recv(10)
    wire.socket.close()
    eventually(lambda: blocked(control) == 0)
    control.rpush("list", "kept")
    assert control.lrange("list", 0, -1) == [b"kept"]


def test_endless_patience(wire: Any, control: redis.Redis) -> None:
    wire.socket.settimeout(None)
    wire.send("BLPOP", "list", 0)
    received: list[bytes] = []
    waiting = threading.Thread(target=lambda: received.append(wire.socket.recv(1000)))
    waiting.start()
    eventually(lambda: blocked(control) == 1)
    control.rpush("list", "element")
    waiting.join(PATIENCE)
    assert received == [b"*2\r\n$4\r\nlist\r\n$7\r\nelement\r\n"]


def test_a_blocking_command_gives_up_by_itself(wire: Any) -> None:
    assert wire.ask("BLPOP", "none", "0.05") == NULL[wire.protocol]
    assert wire.ask("ECHO", "next") == b"$4\r\nnext\r\n"


def test_polling(wire: Any) -> None:
    assert not poll(wire, 0)
    wire.send("ECHO", "hello")
    assert poll(wire, PATIENCE)
    assert poll(wire, 0)
    assert wire.socket.recv(4) == b"$5\r\n"
    assert poll(wire, 0)
    assert wire.socket.recv(100) == b"hello\r\n"
    assert not poll(wire, 0)


def test_polling_for_a_command_that_was_sent_before(wire: Any, control: redis.Redis) -> None:
    wire.send("BLPOP", "list", 0)
    eventually(lambda: blocked(control) == 1)
    assert not poll(wire, 0)
    control.rpush("list", "element")
    assert poll(wire, PATIENCE)
    assert wire.socket.recv(1000) == b"*2\r\n$4\r\nlist\r\n$7\r\nelement\r\n"
    assert not poll(wire, 0)


def test_polling_for_a_reply_that_came_before(wire: Any, control: redis.Redis) -> None:
    wire.send("INCR", "counter")
    eventually(lambda: control.get("counter") == b"1")
    assert poll(wire, PATIENCE)
    assert wire.socket.recv(100) == b":1\r\n"


def test_the_end_can_be_polled(wire: Any, control: redis.Redis) -> None:
    number = waiting_id(wire)
    wire.send("BLPOP", "none", 0)
    assert not poll(wire, 0)
    control.client_kill_filter(_id=str(number))
    assert poll(wire, PATIENCE)
    assert wire.socket.recv(10) == b""


def test_the_end_of_a_connection(wire: Any, control: redis.Redis) -> None:
    number = wire.number("CLIENT", "ID")
    control.client_kill_filter(_id=str(number))
    wire.socket.sendall(b"*1\r\n$4\r\nPING\r\n")
    assert wire.socket.recv(10) == b""
    assert wire.socket.recv(10) == b""
    with pytest.raises(BrokenPipeError):
        wire.send("PING")


def test_the_end_while_a_command_waits(wire: Any, control: redis.Redis) -> None:
    number = waiting_id(wire)
    wire.send("BLPOP", "none", 0)
    control.client_kill_filter(_id=str(number))
    assert wire.socket.recv(10) == b""


@pytest.mark.parametrize("how", ["poll", "receive"])
def test_the_end_of_an_idle_connection_shows(wire: Any, control: redis.Redis, how: str) -> None:
    control.client_kill_filter(_id=str(wire.number("CLIENT", "ID")))

    def ended() -> bool:
        if how == "poll":
            return poll(wire, 0) and wire.socket.recv(1, socket.MSG_PEEK) == b""
        wire.socket.settimeout(0)
        try:
            return bool(wire.socket.recv(10) == b"")
        except BlockingIOError:
            return False

    assert eventually(ended)


def test_what_came_before_the_end_is_received_first(wire: Any, control: redis.Redis) -> None:
    wire.send("SET", "key", "value")
    wire.socket.recv(1)
    control.client_kill_filter(_id=str(control.client_list()[-1]["id"]))
    wire.send("BLPOP", "none", "0.01")
    assert wire.read(7) == b"2\r\nOK\r\n"


@pytest.mark.parametrize("ending", ["close", "shutdown"])
def test_ending_while_a_command_blocks_in_another_thread(
    wire: Any, control: redis.Redis, ending: str
) -> None:
    wire.socket.settimeout(None)
    wire.send("BLPOP", "list", 0)
    ended: list[object] = []

    def wait() -> None:
        try:
            ended.append(wire.socket.recv(1000))
        except OSError as error:
            ended.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    eventually(lambda: blocked(control) == 1)
    if ending == "close":
        wire.socket.close()
    else:
        wire.socket.shutdown(socket.SHUT_RDWR)
    waiting.join(PATIENCE)
    assert not waiting.is_alive()
    assert ended == [b""] or isinstance(ended[0], OSError)
    eventually(lambda: blocked(control) == 0)
    control.rpush("list", "kept")
    assert control.lrange("list", 0, -1) == [b"kept"]


@pytest.mark.parametrize("ending", ["close", "shutdown"])
@pytest.mark.parametrize("polled", [False, True])
def test_ending_while_another_thread_waits_for_messages(
    wire: Any, ending: str, polled: bool
) -> None:
    wire.socket.settimeout(None)
    wire.ask("SUBSCRIBE", "channel")
    if polled:
        poll(wire, 0)
    ended: list[object] = []

    def wait() -> None:
        try:
            ended.append(wire.socket.recv(1000))
        except OSError as error:
            ended.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.05)
    if ending == "close":
        wire.socket.close()
    else:
        wire.socket.shutdown(socket.SHUT_RDWR)
    waiting.join(PATIENCE)
    assert not waiting.is_alive()
    assert ended == [b""] or isinstance(ended[0], OSError)


def test_a_closed_socket(wire: Any) -> None:
    wire.ask("PING")
    wire.socket.fileno()
    wire.socket.close()
    wire.socket.close()
    assert wire.socket.fileno() == -1
    with pytest.raises(OSError, match="Bad file descriptor"):
        wire.send("PING")


@pytest.mark.parametrize("ending", ["close", "drop"])
def test_the_servers_connection_ends_with_the_socket(
    server: Any, control: redis.Redis, ending: str
) -> None:
    def connected(number: int) -> bool:
        return str(number) in {client["id"] for client in control.client_list()}

    opened = WireSocket(Options(addresses=((server.host, server.port),)), PATIENCE)
    opened.sendall(b"*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n")
    number = int(opened.recv(100)[1:])
    assert connected(number)
    if ending == "close":
        opened.close()
    else:
        del opened
        gc.collect()
    eventually(lambda: not connected(number))


def test_commands_sent_together(wire: Any, control: redis.Redis) -> None:
    wire.socket.sendall(
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n1\r\n*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n"
        b"*3\r\n$5\r\nLPUSH\r\n$1\r\nk\r\n$1\r\nx\r\n*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n"
    )
    expected = (
        b"$2\r\nOK\r\n:2\r\n"
        b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n:3\r\n"
    )
    assert wire.read(len(expected)) == expected
    assert control.get("k") == b"3"


def test_a_command_sent_in_pieces(wire: Any) -> None:
    for byte in b"*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\n":
        wire.socket.sendall(bytes([byte]))
    assert wire.read(11) == b"$5\r\nhello\r\n"
    wire.socket.sendall(bytearray(b"*2\r\n$4\r\nECHO\r\n$1"))
    wire.socket.sendall(memoryview(b"\r\nx\r\n"))
    assert wire.read(7) == b"$1\r\nx\r\n"


def test_many_commands_whose_replies_nobody_waits_for_yet(wire: Any) -> None:
    wire.socket.sendall(b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n" * 500)
    expected = b"".join(b":%d\r\n" % n for n in range(1, 501))
    assert wire.read(len(expected)) == expected


def test_a_transaction_sent_in_pieces(wire: Any, control: redis.Redis) -> None:
    """redis-py packs long pipelines into several pieces."""
    for watched in (False, True):
        control.set("k", 1)
        if watched:
            wire.ask("WATCH", "k")
        for words in (["MULTI"], ["INCR", "k"], ["GET", "k"], ["EXEC"], ["ECHO", "after"]):
            wire.send(*words)
        expected = (
            b"$2\r\nOK\r\n$6\r\nQUEUED\r\n$6\r\nQUEUED\r\n*2\r\n:2\r\n$1\r\n2\r\n$5\r\nafter\r\n"
        )
        assert wire.read(len(expected)) == expected


def test_a_transaction_whose_replies_are_awaited_one_by_one(wire: Any) -> None:
    assert wire.ask("MULTI") == b"$2\r\nOK\r\n"
    wire.send("INCR", "k")
    assert poll(wire, PATIENCE)
    assert wire.socket.recv(100) == b"$6\r\nQUEUED\r\n"
    assert wire.ask("LPUSH", "k").startswith(b"-ERR wrong number of arguments")
    assert wire.ask("EXEC").startswith(b"-EXECABORT")
    wire.send("MULTI")
    assert poll(wire, PATIENCE)
    assert wire.socket.recv(100) == b"$2\r\nOK\r\n"
    assert wire.ask("DISCARD") == b"$2\r\nOK\r\n"


def test_what_is_no_request_is_refused(wire: Any) -> None:
    with pytest.raises(ValueError, match="not a request"):
        wire.socket.sendall(b"GET key\r\n")


def test_addresses(server: Any, wire: Any) -> None:
    assert wire.socket.getpeername() == (server.host, server.port)


def test_the_address_over_a_unix_socket() -> None:
    unconnected = WireSocket.__new__(WireSocket)
    unconnected._options = Options(unix_socket_path="/run/server.sock")
    with pytest.raises(OSError, match="no address"):
        unconnected.getpeername()


def test_a_port_where_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Lost):
        WireSocket(Options(addresses=(("127.0.0.1", port),)), 5)
