"""Requests as redis-py and hiredis pack them, in chunks of any kind and size."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.connection import Connection, PythonRespSerializer

from glide_redis.wire.requests import RequestReader

ARGUMENTS = st.binary(max_size=40) | st.sampled_from([b"\r\n", b"*1\r\n$4\r\nPING\r\n", b"$", b""])
NAMES = st.sampled_from([b"GET", b"json.set", b"X"])
COMMAND = st.builds(lambda name, args: [name, *args], NAMES, st.lists(ARGUMENTS, max_size=5))
COMMANDS = st.lists(COMMAND, min_size=1, max_size=5)
KINDS = st.sampled_from([bytes, bytearray, memoryview])


CONNECTION = Connection()
PYTHON = Connection(
    command_packer=PythonRespSerializer(CONNECTION._buffer_cutoff, CONNECTION.encoder.encode)
)


def packed(commands: list[list[bytes]], connection: Connection = CONNECTION) -> bytes:
    return b"".join(map(bytes, connection.pack_commands(commands)))


@settings(deadline=None)
@given(COMMANDS, st.lists(st.integers(1, 30)), KINDS)
def test_commands_come_out_whatever_the_chunks(
    commands: list[list[bytes]],
    sizes: list[int],
    kind: type[bytes] | type[bytearray] | type[memoryview],
) -> None:
    data = packed(commands)
    reader = RequestReader()
    read = []
    at = 0
    for size in itertools.chain(sizes, itertools.repeat(1 << 20)):
        if at >= len(data):
            break
        read += reader.feed(kind(data[at : at + size]))
        at += size

    assert read == commands
    assert all(type(arg) is bytes for command in read for arg in command)
    assert reader.idle


@settings(deadline=None)
@given(COMMANDS)
def test_commands_come_out_one_byte_at_a_time(commands: list[list[bytes]]) -> None:
    reader = RequestReader()
    data = packed(commands)
    read = [command for byte in data for command in reader.feed(bytes([byte]))]

    assert read == commands


@settings(deadline=None)
@given(COMMANDS)
def test_each_command_comes_out_as_soon_as_it_is_complete(commands: list[list[bytes]]) -> None:
    reader = RequestReader()

    assert [reader.feed(packed([command])) for command in commands] == [[c] for c in commands]


@settings(deadline=None)
@given(COMMANDS, st.data())
def test_a_reader_is_not_idle_inside_a_command(
    commands: list[list[bytes]], data: st.DataObject
) -> None:
    whole = packed(commands)
    cut = data.draw(st.integers(0, len(whole)))
    reader = RequestReader()
    complete = reader.feed(whole[:cut])

    assert reader.idle == (packed(complete) == whole[:cut])


@pytest.mark.parametrize("connection", [CONNECTION, PYTHON], ids=["default packer", "python"])
def test_either_packer_of_redis_py_is_understood(connection: Connection) -> None:
    command = [b"SET", b"k\xff", b"", b"a\r\nb"]

    assert RequestReader().feed(packed([command], connection)) == [command]


def test_a_long_value_of_its_own_chunk_is_not_copied() -> None:
    value = b"x" * 1_000_000
    chunks = list(map(bytes, PYTHON.pack_command("SET", "k", value)))
    reader = RequestReader()
    (command,) = [command for chunk in chunks for command in reader.feed(chunk)]

    assert value in chunks
    assert command[2] is chunks[chunks.index(value)]


def test_a_long_value_in_many_chunks() -> None:
    value = bytes(range(256)) * 40_000
    data = packed([[b"SET", b"k", value], [b"PING"]])
    reader = RequestReader()
    read = [
        command
        for at in range(0, len(data), 1000)
        for command in reader.feed(memoryview(data)[at : at + 1000])
    ]

    assert read == [[b"SET", b"k", value], [b"PING"]]


@pytest.mark.parametrize(
    "data",
    [
        b"PING\r\n",
        b"$4\r\nPING\r\n",
        b"*1\r\n:1\r\n",
        b"*1\r\n+PING\r\n",
        b"*0\r\n",
        b"*-1\r\n",
        b"*1\r\n$-1\r\n",
        b"*+1\r\n$1\r\na\r\n",
        b"*1\r\n$1_0\r\na\r\n",
        b"* 1\r\n",
        b"*\r\n",
        b"*1\n$4\nPING\n",
        b"*1\r\n$4\r\nPINGS\r\n",
        b"*1\r\n$4\r\nPING\n\n",
        b"*1\r\n$4\r\nPING\r\r",
        b"*" + b"1" * 40,
        b"*1" + b"1" * 40 + b"\r\n",
        b"*a",
        b"\x00",
        b"*1\r\n\r\n",
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_anything_else_is_refused(data: bytes, size: int) -> None:
    reader = RequestReader()

    with pytest.raises(ValueError, match=r"RESP|line end|without a name"):
        for at in range(0, len(data), size):
            reader.feed(data[at : at + size])


def test_nothing_is_read_from_nothing() -> None:
    reader = RequestReader()

    assert reader.feed(b"") == []
    assert reader.feed(b"*1\r\n$4\r\nPI") == []
    assert reader.feed(b"") == []
    assert reader.feed(b"NG\r\n") == [[b"PING"]]
