"""What any client must do; imports redis like a foreign suite."""

import contextlib
import os
import subprocess
import sys

import pytest
import redis


@pytest.fixture
def client():
    connected = redis.Redis(os.environ["TINY_HOST"], int(os.environ["TINY_PORT"]))
    connected.execute("FLUSHALL")
    yield connected
    connected.close()


def test_bytes_survive(client):
    value = bytes(range(256))
    client.execute("SET", "bytes", value)
    assert client.execute("GET", "bytes") == value


def test_numbers_count(client):
    assert client.execute("INCR", "counter") == 1
    assert client.execute("INCR", "counter") == 2


def test_lists_keep_their_order(client):
    assert client.execute("LPUSH", "list", "a", "b") == 2
    assert client.execute("LRANGE", "list", "0", "-1") == [b"b", b"a"]


def test_sets_have_members(client):
    assert client.execute("SADD", "set", "x") == 1
    assert client.execute("SISMEMBER", "set", "x") == 1


def test_missing_key_is_none(client):
    assert client.execute("GET", "missing") is None


def test_after_all_clients_were_killed(client):
    client.execute("SET", "killed", "1")
    with contextlib.suppress(redis.ConnectionError):
        client.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no")
    assert client.execute("GET", "killed") == b"1"


def test_after_the_statistics_were_reset(client):
    client.execute("SET", "reset", "1")
    client.execute("CONFIG", "RESETSTAT")
    assert client.execute("GET", "reset") == b"1"


def test_in_a_forked_child(client):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            own = redis.Redis(os.environ["TINY_HOST"], int(os.environ["TINY_PORT"]))
            own.execute("SET", "forked", "yes")
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert client.execute("GET", "forked") == b"yes"


def test_in_a_python_of_its_own(client):
    code = (
        "import os, redis;"
        "redis.Redis(os.environ['TINY_HOST'], int(os.environ['TINY_PORT']))"
        ".execute('SET', 'spawned', 'yes')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)
    assert client.execute("GET", "spawned") == b"yes"


@pytest.mark.parametrize("text", ["plain", "tab\tnewline\n", "<b>&amp;", "\x1b[31mred", "ünïcode"])
def test_offline(text):
    assert redis.encode(text).decode("utf-8") == text


def test_upstream_is_wrong_here(client):
    assert client.execute("SET", "wrong", "1") == "not what any server says"
