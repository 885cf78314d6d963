"""What servers counted is what a test sent: nothing lost, nothing invented. Real servers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from slotproof.inject.slotproof_resp import RespConnection
from slotproof.inject.slotproof_stats import is_touch
from slotproof.servers.state import key_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conftest import Project, Server

    from slotproof.servers.deployment import Deployment

pytestmark = pytest.mark.servers


def touches(event: Mapping[str, Any]) -> dict[str, int]:
    """The counts of one test."""
    return dict(event["touches"])


def test_each_test_gets_its_own_commands(project: Project, server: Server) -> None:
    project.file(
        test_it="""
        import pytest
        from wire import PORT, call
        call(PORT, "SET", "while", "collecting")

        @pytest.fixture(scope="module")
        def shared():
            call(PORT, "SET", "a", "1")
            yield
            call(PORT, "DEL", "a")

        def test_first(shared):
            for _ in range(3): call(PORT, "GET", "a")
        def test_nothing(): pass
        def test_info():
            for _ in range(5): call(PORT, "INFO")
        def test_rejected():
            call(PORT, "GET")
            call(PORT, "NOSUCHCOMMAND")
        def test_script():
            call(PORT, "EVAL", "return redis.call('incr', KEYS[1])", 1, "n")
        def test_subcommand(shared): call(PORT, "CONFIG", "GET", "maxmemory")
        """
    )
    ran = project.run(nodes=[server.node])
    assert touches(ran.test("test_first")) == {"set": 1, "get": 3}
    assert touches(ran.test("test_nothing")) == {}
    assert touches(ran.test("test_info")) == {"info": 5}
    assert touches(ran.test("test_rejected")) == {"get": 1}
    assert touches(ran.test("test_script")) == {"eval": 1, "incr": 1}
    assert touches(ran.test("test_subcommand")) == {"config|get": 1, "del": 1}
    assert ran.test("test_first")["nodes"] == {f"127.0.0.1:{server.port}": {"set": 1, "get": 3}}
    assert not any(e["stats_reset"] for e in ran.of("test"))
    assert not is_touch(touches(ran.test("test_info")))
    assert ran.connects == ()


def test_killing_every_client_loses_and_invents_nothing(project: Project, server: Server) -> None:
    project.file(
        test_it="""
        import pytest
        from wire import PORT, call

        @pytest.mark.parametrize("n", range(20))
        def test_kill(n):
            call(PORT, "SET", "k", n)
            call(PORT, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            if n % 2:
                call(PORT, "GET", "k")
        def test_nothing(): pass
        def test_one(): call(PORT, "GET", "k")
        """
    )
    ran = project.run(nodes=[server.node])
    for n in range(20):
        expected = {"set": 1, "client|kill": 1, **({"get": 1} if n % 2 else {})}
        assert touches(ran.test(f"test_kill[{n}]")) == expected
    assert touches(ran.test("test_nothing")) == {}
    assert touches(ran.test("test_one")) == {"get": 1}


def test_resets_in_consecutive_tests_are_each_seen(project: Project, server: Server) -> None:
    project.file(
        test_it="""
        import pytest
        from wire import PORT, call

        def test_before(): call(PORT, "SET", "k", 1)
        @pytest.mark.parametrize("n", range(4))
        def test_reset(n): call(PORT, "CONFIG", "RESETSTAT")
        @pytest.mark.parametrize("n", range(4))
        def test_reset_hidden_by_more_calls_than_before(n):
            call(PORT, "CONFIG", "RESETSTAT")
            for _ in range(30):
                call(PORT, "INFO")
        def test_nothing(): pass
        def test_between():
            call(PORT, "SET", "k", 1)
            call(PORT, "CONFIG", "RESETSTAT")
            call(PORT, "GET", "k")
        """
    )
    ran = project.run(nodes=[server.node])
    for n in range(4):
        event = ran.test(f"test_reset[{n}]")
        assert touches(event) == {"config|resetstat": 1}
        assert event["stats_reset"]
        event = ran.test(f"test_reset_hidden_by_more_calls_than_before[{n}]")
        assert touches(event) == {"config|resetstat": 1, "info": 30}
        assert event["stats_reset"]
    assert touches(ran.test("test_before")) == {"set": 1}
    assert touches(ran.test("test_nothing")) == {}
    assert not ran.test("test_nothing")["stats_reset"]
    assert touches(ran.test("test_between")) == {"config|resetstat": 1, "get": 1}


def test_children_count_for_the_test_that_made_them(project: Project, server: Server) -> None:
    project.file(
        test_it="""
        import multiprocessing, os, subprocess, sys, threading
        from wire import PORT, call

        def test_fork():
            pid = os.fork()
            if pid == 0:
                call(PORT, "SET", "k", 1)
                os._exit(0)
            os.waitpid(pid, 0)
        def test_spawn():
            process = multiprocessing.get_context("spawn").Process(
                target=call, args=(PORT, "GET", "k"))
            process.start(); process.join()
            assert process.exitcode == 0
        def test_subprocess():
            program = f"import wire; wire.call({PORT}, 'GET', 'k')"
            subprocess.run([sys.executable, "-c", program], check=True)
        def test_thread():
            thread = threading.Thread(target=call, args=(PORT, "GET", "k"))
            thread.start(); thread.join()
        def test_nothing(): pass
        """
    )
    ran = project.run(nodes=[server.node])
    assert {e["id"].rpartition("::")[2]: e["touches"] for e in ran.of("test")} == {
        "test_fork": {"set": 1},
        "test_spawn": {"get": 1},
        "test_subprocess": {"get": 1},
        "test_thread": {"get": 1},
        "test_nothing": {},
    }
    assert len(ran.of("end")) == 1


RESTART = """
import json, os, signal, subprocess, time
from wire import PORT, call

def pid():
    for line in call(PORT, "INFO", "server").split(b"\\r\\n"):
        if line.startswith(b"process_id:"):
            return int(line.partition(b":")[2])

def kill():
    victim = pid()
    os.kill(victim, signal.SIGKILL)
    while True:
        try:
            call(PORT, "PING")
        except OSError:
            return
        time.sleep(0.01)

def start():
    process = subprocess.Popen(json.loads(os.environ["SERVER"]), env={"PATH": os.environ["PATH"]})
    while True:
        try:
            call(PORT, "PING")
            return process
        except OSError:
            time.sleep(0.01)
"""


def test_restarts_lose_and_invent_nothing(
    project: Project, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVER", json.dumps(server.command))
    project.file(
        restart=RESTART,
        test_it="""
        from restart import kill, start
        from wire import PORT, call

        def test_before():
            for _ in range(50): call(PORT, "SET", "k", 1)
        def test_restart():
            kill(); start()
            call(PORT, "GET", "k")
        def test_after(): call(PORT, "SET", "k", 1)
        def test_gone(): kill()
        def test_while_gone(): pass
        def test_back():
            start()
            call(PORT, "GET", "k")
        def test_last():
            call(PORT, "SET", "k", 1)
            call(PORT, "SHUTDOWN", "NOSAVE")
        """,
    )
    ran = project.run(nodes=[server.node])
    assert set(ran.outcomes().values()) == {"passed"}, ran.output
    found = {e["id"].rpartition("::")[2]: e["touches"] for e in ran.of("test")}
    for counts in found.values():
        counts.pop("ping", None)
    assert found == {
        "test_before": {"set": 50},
        "test_restart": {"get": 1},
        "test_after": {"set": 1},
        "test_gone": {},
        "test_while_gone": {},
        "test_back": {"get": 1},
        "test_last": {},
    }
    assert ran.test("test_restart")["stats_reset"]
    assert ran.test("test_back")["stats_reset"]


def test_a_server_that_does_not_answer_is_skipped(project: Project, server: Server) -> None:
    project.file(
        test_it="""
        from wire import PORT, call
        def test_paused(): call(PORT, "CLIENT", "PAUSE", 60000, "ALL")
        def test_still_paused(): pass
        """
    )
    ran = project.run(nodes=[server.node, ("127.0.0.1", 1)])
    assert set(ran.outcomes().values()) == {"passed"}
    assert touches(ran.test("test_still_paused")) == {}
    server.stop()


def test_a_password_is_used_and_not_counted(project: Project, server: Server) -> None:
    with RespConnection(*server.node) as connection:
        connection.call("CONFIG", "SET", "requirepass", "sesame")
    project.file(
        test_it="""
        import socket
        from wire import PORT, connect, encode

        def test_it():
            with connect(PORT) as sock:
                for command in (("AUTH", "sesame"), ("SET", "k", 1),
                                ("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")):
                    sock.sendall(encode(*command))
                    assert not sock.recv(4096).startswith(b"-")
        def test_nothing(): pass
        """
    )
    ran = project.run(nodes=[server.node], password="sesame")
    assert touches(ran.test("test_it")) == {"auth": 1, "set": 1, "client|kill": 1}
    assert touches(ran.test("test_nothing")) == {}


def test_replicas_count_reads_and_no_replicated_writes(
    project: Project, cluster: Deployment
) -> None:
    primary, replica = cluster.primaries[0], cluster.replicas[0]
    with RespConnection(primary.host, primary.port) as connection:
        nodes = connection.text("CLUSTER", "NODES")
    slot = next(
        int(line.split()[8].partition("-")[0]) for line in nodes.splitlines() if "myself" in line
    )
    project.file(
        test_it=f"""
        import time
        from wire import call, connect, encode
        PRIMARY, REPLICA, KEY = {primary.port}, {replica.port}, {key_in(slot)!r}

        def read(command="GET"):
            with connect(REPLICA) as sock:
                for words in (("READONLY",), (command, KEY)):
                    sock.sendall(encode(*words))
                    answer = sock.recv(4096)
                return answer

        def test_write():
            for n in range(20): call(PRIMARY, "SET", KEY, n)
            while b"19" not in read(): time.sleep(0.005)
        def test_expires():
            call(PRIMARY, "SET", KEY, "x", "PX", "20")
            time.sleep(0.3)
        def test_read_from_the_replica(): read()
        def test_redirected(): assert call(REPLICA, "GET", KEY).startswith(b"-MOVED")
        def test_nothing(): time.sleep(1.2)
        """
    )
    ran = project.run(nodes=[(node.host, node.port) for node in cluster.nodes])
    at = {
        e["id"].rpartition("::")[2]: {
            name: {c: n for c, n in counts.items() if is_touch({c: n})}
            for name, counts in e["nodes"].items()
        }
        for e in ran.of("test")
    }
    writes = at["test_write"]
    assert writes[primary.address] == {"set": 20}
    assert set(writes[replica.address]) == {"get"}
    assert at["test_expires"].get(replica.address, {}) == {}
    assert at["test_expires"][primary.address] == {"set": 1}
    assert at["test_read_from_the_replica"] == {replica.address: {"get": 1}}
    assert at["test_redirected"] == {replica.address: {"get": 1}}
    assert not is_touch(touches(ran.test("test_nothing")))


def test_a_promoted_replica_counts_from_then_on(
    project: Project, new_server: Callable[[], Server]
) -> None:
    primary, replica = new_server().start(), new_server().start()
    with RespConnection(*replica.node) as connection:
        connection.call("REPLICAOF", *primary.node)
        while b"master_link_status:up" not in connection.text("INFO", "replication").encode():
            pass
    project.file(
        test_it="""
        from wire import PORTS, call
        PRIMARY, REPLICA = PORTS
        def test_write():
            for n in range(10): call(PRIMARY, "SET", "k", n)
            call(PRIMARY, "WAIT", 1, 5000)
        def test_promote(): call(REPLICA, "REPLICAOF", "NO", "ONE")
        def test_writes_there(): call(REPLICA, "SET", "k", 1)
        """
    )
    ran = project.run(nodes=[primary.node, replica.node])
    name = f"127.0.0.1:{replica.port}"
    assert name not in ran.test("test_write")["nodes"]
    assert ran.test("test_writes_there")["nodes"][name] == {"set": 1}


def test_the_recorder_leaves_no_connection(project: Project, server: Server) -> None:
    project.file(test_it="def test(): pass")
    project.run(nodes=[server.node])
    with RespConnection(*server.node) as connection:
        assert len(connection.text("CLIENT", "LIST").splitlines()) == 1
