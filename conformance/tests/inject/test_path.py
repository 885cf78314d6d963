"""Who connects to where: every process of a cell names connections that are not the client's."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from conftest import Project, Server


@pytest.fixture
def listener() -> Iterator[tuple[str, int]]:
    """A node that accepts connections and hangs up, so that the recorder need not wait for it."""
    sock = socket.create_server(("127.0.0.1", 0), backlog=64)
    sock.settimeout(0.05)
    ended = threading.Event()

    def hang_up() -> None:
        while not ended.is_set():
            try:
                connection, _ = sock.accept()
            except TimeoutError:
                continue
            connection.close()

    thread = threading.Thread(target=hang_up)
    thread.start()
    yield sock.getsockname()
    ended.set()
    thread.join()
    sock.close()


@pytest.fixture
def outside() -> Iterator[tuple[str, int]]:
    """Somebody else's server, outside the cell."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as sock:
        yield sock.getsockname()


def modules(connects: tuple[Mapping[str, Any], ...]) -> list[str]:
    """Which modules connected, in order."""
    return [line["module"] for line in connects]


def test_the_client_may_connect_and_nobody_else(
    project: Project, listener: tuple[str, int]
) -> None:
    project.file(
        sneaky="""
        import socket
        def connect(port): socket.create_connection(("127.0.0.1", port)).close()
        """,
        test_it="""
        import sneaky, wire
        def test_client(): wire.connect(wire.PORT).close()
        def test_sneaky(): sneaky.connect(wire.PORT)
        def test_nothing(): pass
        """,
    )
    ran = project.run(nodes=[listener])
    assert ran.test("test_client")["connects"] == []
    assert ran.test("test_nothing")["connects"] == []
    assert ran.test("test_sneaky")["connects"] == [
        {
            "address": f"127.0.0.1:{listener[1]}",
            "module": "sneaky",
            "file": str(project.folder / "sneaky.py"),
            "line": 3,
            "reached": True,
        }
    ]


def test_a_client_without_python_connections_has_none(
    project: Project, listener: tuple[str, int]
) -> None:
    ran = project.python_run(
        "import wire; wire.connect(wire.PORT).close()", nodes=[listener], connects_from=[]
    )
    assert modules(ran.connects) == ["wire"]


def test_a_name_that_only_begins_like_the_client_is_not_the_client(
    project: Project, listener: tuple[str, int]
) -> None:
    project.file(wireless=(project.folder / "wire.py").read_text())
    ran = project.python_run("import wireless as w; w.connect(w.PORT).close()", nodes=[listener])
    assert modules(ran.connects) == ["wireless"]


@pytest.mark.parametrize(
    "program",
    [
        "import socket; socket.create_connection(('localhost', PORT)).close()",
        "import socket; socket.create_connection(('0.0.0.0', PORT)).close()",
        "import socket; socket.create_connection(('127.1.2.3', PORT), 1)",
        "import socket; socket.socket().connect(('', PORT))",
        "import socket; socket.socket().connect((b'localhost', PORT))",
        "import socket; socket.socket().connect_ex(('127.0.0.1', PORT))",
        "import socket; socket.socket(socket.AF_INET6).connect_ex(('::1', PORT))",
        "import socket; socket.socket(socket.AF_INET6).connect_ex(('::ffff:127.0.0.1', PORT))",
        "import _socket; _socket.socket().connect(('127.0.0.1', PORT))",
        "import asyncio; asyncio.run(asyncio.open_connection('127.0.0.1', PORT))",
        "import threading, socket; t = threading.Thread(target=socket.create_connection,"
        " args=(('127.0.0.1', PORT),)); t.start(); t.join()",
        "import os, socket; os.fork() or socket.create_connection(('127.0.0.1', PORT)); os.wait()",
        "import subprocess, sys; subprocess.run([sys.executable, '-c',"
        " f'import socket; socket.create_connection((\"127.0.0.1\", {PORT}))'])",
        "import http.client; c = http.client.HTTPConnection('127.0.0.1', PORT); c.connect()",
    ],
)
def test_every_way_to_the_node_is_seen_once(
    project: Project, listener: tuple[str, int], program: str
) -> None:
    program = (
        f"import os; PORT = int(os.environ['PORTS'])\ntry:\n  {program}\nexcept OSError: pass\n"
    )
    ran = project.python_run(program, nodes=[listener])
    assert [line["reached"] for line in ran.connects] == [True], ran.output
    assert ran.connects[0]["address"].endswith(f":{listener[1]}")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_are_watched(
    project: Project, listener: tuple[str, int], method: str
) -> None:
    project.file(
        program="""
        import multiprocessing, socket, sys, wire
        def child():
            wire.connect(wire.PORT)
            socket.create_connection(("127.0.0.1", wire.PORT))
        if __name__ == "__main__":
            process = multiprocessing.get_context(sys.argv[1]).Process(target=child)
            process.start(); process.join()
            sys.exit(process.exitcode)
        """
    )
    ran = project.python_run(
        f"import sys, runpy; sys.argv = ['program', {method!r}];"
        f"sys.exit(__import__('subprocess').call([sys.executable, 'program.py', {method!r}]))",
        nodes=[listener],
        leash="refuse",
    )
    assert ran.code == 0, ran.output
    assert [line["reached"] for line in ran.connects] == [True]
    assert ran.connects[0]["file"].endswith("program.py")


ASYNC = """
import asyncio, wire

async def plain():
    return await asyncio.open_connection("127.0.0.1", wire.PORT)

async def waited_for():
    return await asyncio.wait_for(asyncio.open_connection("127.0.0.1", wire.PORT), 5)

async def shielded():
    return await asyncio.shield(asyncio.open_connection("127.0.0.1", wire.PORT))

async def gathered():
    return await asyncio.gather(asyncio.open_connection("127.0.0.1", wire.PORT))

async def eyeballs():
    return await asyncio.open_connection("localhost", wire.PORT, happy_eyeballs_delay=0.2)

async def task():
    return await asyncio.create_task(asyncio.open_connection("127.0.0.1", wire.PORT))

async def through_another_task():
    return await asyncio.create_task(waited_for())

async def low():
    import socket
    sock = socket.socket()
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", wire.PORT))

WAYS = [plain, waited_for, shielded, gathered, eyeballs, task, through_another_task, low]
"""


def test_a_client_on_asyncio_is_recognised_through_tasks(
    project: Project, listener: tuple[str, int]
) -> None:
    project.file(aclient=ASYNC, stranger=ASYNC)
    program = """
    import asyncio, sys, {name} as client
    for way in client.WAYS:
        print(way.__name__, file=sys.stderr)
        asyncio.run(way())
    """
    ran = project.python_run(
        program.format(name="aclient"), nodes=[listener], connects_from=["aclient"]
    )
    assert ran.code == 0, ran.output
    assert ran.connects == ()
    ran = project.python_run(
        program.format(name="stranger"), nodes=[listener], connects_from=["aclient"]
    )
    assert set(modules(ran.connects)) == {"stranger"}
    # All ways but the last through the node's address; each in a line of its own.
    assert len(ran.connects) >= 7


def test_a_stranger_whom_a_clients_task_awaits_not_is_a_stranger(
    project: Project, listener: tuple[str, int]
) -> None:
    project.file(aclient=ASYNC, stranger=ASYNC)
    ran = project.python_run(
        """
        import asyncio, aclient, stranger
        async def both():
            await asyncio.gather(aclient.waited_for(), stranger.waited_for())
        asyncio.run(both())
        """,
        nodes=[listener],
        connects_from=["aclient"],
    )
    assert modules(ran.connects) == ["stranger"]


@pytest.mark.parametrize("leash", ["record", "refuse"])
def test_an_address_outside_the_lease(
    project: Project, listener: tuple[str, int], outside: tuple[str, int], leash: str
) -> None:
    project.file(
        test_it=f"""
        import socket, wire
        def test_client_goes_astray():
            try:
                wire.connect({outside[1]}).close()
                print("connected")
            except ConnectionRefusedError as error:
                assert "not a server of this cell" in str(error)
                print("refused")
        """
    )
    ran = project.run("-s", nodes=[listener], leash=leash)
    assert ("refused" if leash == "refuse" else "connected") in ran.output
    (connect,) = ran.test("test_client_goes_astray")["connects"]
    assert (connect["module"], connect["reached"]) == ("wire", False)
    assert connect["address"] == f"127.0.0.1:{outside[1]}"


OWN_SERVERS = """
import multiprocessing, os, socket, subprocess, sys, tempfile, threading

def accept_one(sock):
    sock.accept()[0].close()

def test_in_this_process():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        threading.Thread(target=accept_one, args=(sock,)).start()
        socket.create_connection(sock.getsockname()).close()

def test_child_connects_to_the_parent():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        threading.Thread(target=accept_one, args=(sock,)).start()
        port = sock.getsockname()[1]
        program = f"import socket; socket.create_connection(('127.0.0.1', {port}))"
        subprocess.run([sys.executable, "-c", program], check=True)

def test_pairs_and_unix_sockets():
    left, right = socket.socketpair()
    left.close(), right.close()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "s")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen()
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)

def test_managers():
    with multiprocessing.get_context("forkserver").Manager() as manager:
        shared = manager.dict()
        shared["a"] = 1
"""

CHILDS_SERVER = """
def test_parent_connects_to_the_child():
    program = ("import socket; s = socket.create_server(('127.0.0.1', 0));"
               "print(s.getsockname()[1], flush=True); s.accept()")
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as child:
        port = int(child.stdout.readline())
        socket.create_connection(("127.0.0.1", port)).close()

def test_bare_sockets():
    import _socket
    server, client = _socket.socket(), _socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen()
    client.connect(server.getsockname())
    client.close(), server.close()

def test_abstract_name():
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind("\\0slotproof-test-%d" % os.getpid())
        server.listen()
        client.connect(server.getsockname())
"""


def test_servers_of_the_tests_own_are_let_be(project: Project, listener: tuple[str, int]) -> None:
    linux = CHILDS_SERVER if os.path.exists("/proc/net/tcp") else ""  # noqa: PTH110
    project.file(test_it=OWN_SERVERS + linux)
    ran = project.run(nodes=[listener], leash="refuse")
    assert set(ran.outcomes().values()) == {"passed"}, ran.output
    assert len(ran.of("test")) >= 4
    assert ran.connects == ()


def test_without_the_kernels_tables_own_and_inherited_ports_are_known(
    project: Project, listener: tuple[str, int], outside: tuple[str, int]
) -> None:
    # What holds on systems without /proc: the same tests, the tables taken away.
    project.file(
        conftest="""
        import slotproof_path
        slotproof_path._installed[0]._listeners.__init__("/nowhere")
        """,
        test_it=f"{OWN_SERVERS}\n"
        "def test_outside():\n"
        "    try:\n"
        f"        socket.create_connection(('127.0.0.1', {outside[1]}))\n"
        "    except ConnectionRefusedError:\n"
        "        return\n"
        "    assert False\n",
    )
    ran = project.run(nodes=[listener], leash="refuse")
    assert set(ran.outcomes().values()) == {"passed"}, ran.output
    assert {line["address"] for line in ran.connects} == {f"127.0.0.1:{outside[1]}"}


def test_a_unix_socket_can_be_a_node(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "node.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        ran = project.python_run(
            f"""
            import os, socket
            os.chdir({str(tmp_path)!r})
            socket.socket(socket.AF_UNIX).connect("node.sock")
            """,
            nodes=[(str(path), 0)],
        )
    assert [(line["address"], line["reached"]) for line in ran.connects] == [
        ("unix:node.sock", True)
    ], ran.output


def test_the_recorders_own_client_is_no_way_round(
    project: Project, listener: tuple[str, int]
) -> None:
    ran = project.python_run(
        "import slotproof_resp, wire; slotproof_resp.RespConnection('127.0.0.1', wire.PORT)",
        nodes=[listener],
    )
    assert modules(ran.connects) == ["slotproof_resp"]


def test_a_retry_loop_does_not_fill_the_disk(
    project: Project, listener: tuple[str, int], outside: tuple[str, int]
) -> None:
    ran = project.python_run(
        f"""
        import socket
        for _ in range(1000):
            try: socket.create_connection(("127.0.0.1", {outside[1]}))
            except ConnectionRefusedError: pass
        """,
        nodes=[listener],
        leash="refuse",
    )
    assert 1 <= len(ran.connects) < 100


@pytest.mark.parametrize("text", [None, "", "{}", '{"nodes": 3}', "[]"])
def test_a_broken_description_is_said_once_and_harms_nobody(
    project: Project, listener: tuple[str, int], text: str | None
) -> None:
    env = project.environment(nodes=[listener])
    if text is None:
        project.cell.unlink()
    else:
        project.cell.write_text(text)
    done = subprocess.run(
        [project.python, "-c", "import wire; wire.connect(wire.PORT).close(); print('fine')"],
        cwd=project.folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "fine\n")
    assert done.stderr.count("slotproof") == done.stderr.count("slotproof: no proof of path")
    assert len(done.stderr.splitlines()) == 1


def test_the_next_sitecustomize_and_the_bootstrap_run(
    project: Project, listener: tuple[str, int]
) -> None:
    project.file(
        sitecustomize="import sys; sys.stdout.write('next ')",
        boot="import sys; sys.stdout.write('boot ')",
    )
    ran = project.python_run("print('program')", nodes=[listener], bootstrap="boot")
    assert ran.output == "boot next program\n"


def test_a_bootstrap_that_fails_ends_the_process(
    project: Project, listener: tuple[str, int]
) -> None:
    project.file(boot="raise RuntimeError('no client here')")
    ran = project.python_run("print('judged the wrong client')", nodes=[listener], bootstrap="boot")
    assert ran.code == 70
    assert "no client here" in ran.output
    assert "judged" not in ran.output


@pytest.mark.servers
def test_the_recorders_connections_are_no_foreign_ones(project: Project, server: Server) -> None:
    project.file(
        test_it="""
        from wire import PORT, call
        def test_kill(): call(PORT, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        def test_after(): call(PORT, "GET", "k")
        """
    )
    ran = project.run(nodes=[server.node], leash="refuse")
    assert ran.test("test_after")["touches"] == {"get": 1}
    assert ran.connects == ()
