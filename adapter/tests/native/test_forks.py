"""A process that forks works on, in the parent and in each child."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

Program = Callable[..., str]

# A child that hangs is ended by an alarm and seen by its status.
CHILD = """
def child(work, depth=0):
    pid = os.fork()
    if pid:
        return pid
    signal.alarm(60)
    try:
        work()
    except BaseException as error:
        print(f"child: {error!r}", flush=True)
        os._exit(9)
    os._exit(0)

def check(client, name):
    assert native.execute(client, ("SET", f"fork:{name}", name), 20) == b"OK"
    assert native.execute(client, ("GET", f"fork:{name}"), 20) == name.encode()

def status(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


def test_children_work_beside_busy_threads(program: Program) -> None:
    printed = program(
        CHILD
        + """
client = native.open(request, None)
stop, wrong, done = False, [], 0

def busy(number):
    global done
    while not stop:
        try:
            check(client, f"thread-{number}-{done}")
        except BaseException as error:
            wrong.append(error)
        done += 1

threads = [threading.Thread(target=busy, args=(i,)) for i in range(4)]
for thread in threads:
    thread.start()

def work():
    mine = native.open(request, None)
    check(mine, f"child-{os.getpid()}")

statuses = []
for number in range(12):
    statuses.append(status(child(work)))
    # The other end of a process: the interpreter's own.
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        work()
        sys.exit(7)
    statuses.append(status(pid) - 7)
stop = True
for thread in threads:
    thread.join(20)
assert not any(thread.is_alive() for thread in threads)
print(statuses.count(0), len(wrong), done > 0)
"""
    )
    assert printed == "24 0 True\n"


def test_what_a_child_inherits_is_closed_there_and_open_here(program: Program) -> None:
    printed = program(
        CHILD
        + """
client, parent = native.open(request, print), native.open(lazy, None)
scope = native.acquire(parent, lazy, 10)
call = native.link(scope, (b"BLPOP", b"fork:list", b"0"))
done = native.command(client, ("PING",))
while not done.done():
    time.sleep(0.001)
others = [native.command(client, ("PING",)) for _ in range(10)]

def closed(function, *args):
    try:
        function(*args)
    except Closed:
        return
    raise AssertionError((function, args))

def work():
    closed(native.execute, client, ("PING",), 5)
    closed(native.command, client, ("PING",))
    closed(native.batch, client, [("PING",)])
    closed(native.acquire, client, lazy, 1)
    closed(native.link, scope, (b"PING",))
    # New handles are others, even while the inherited ones are still known.
    mine, own = native.open(request, None), native.open(lazy, None)
    again = native.acquire(own, lazy, 10)
    assert not {mine, own, again} & {client, parent, scope}
    closed(native.execute, client, ("PING",), 5)
    closed(native.link, scope, (b"PING",))
    assert native.link(again, (b"PING",)).wait(10) == b"PONG"
    for inherited in (call, done, *others):
        assert inherited.done()
        inherited.abandon()
        closed(inherited.wait, 5)
    native.close(client)
    native.close(parent)
    native.release(scope, parent)
    check(mine, "mine")

assert status(child(work)) == 0
check(client, "parent")
assert done.wait(5) == b"PONG"
assert native.execute(client, ("RPUSH", "fork:list", "x"), 5) == 1
assert call.wait(5) == [b"fork:list", b"x"]
print("fine")
"""
    )
    assert printed == "fine\n"


def test_generations_follow_each_other(program: Program) -> None:
    printed = program(
        CHILD
        + """
def level(number):
    client = native.open(request, None)
    check(client, f"level-{number}")
    assert library.current().generation == library.generation() == number
    if number < 6:
        assert status(child(lambda: level(number + 1))) == 0
    check(client, f"level-{number}-again")

level(0)
print("fine")
"""
    )
    assert printed == "fine\n"


def test_a_child_between_needs_nothing(program: Program) -> None:
    printed = program(
        CHILD
        + """
client = native.open(request, None)

def grandchild():
    assert library.generation() == 1
    check(native.open(request, None), "grandchild")

assert status(child(lambda: os._exit(status(child(grandchild))))) == 0
check(client, "parent")
print("fine")
"""
    )
    assert printed == "fine\n"


def test_siblings_share_one_copy(program: Program) -> None:
    printed = program(
        CHILD
        + """
client = native.open(request, None)

def work():
    before = len(os.listdir("/proc/self/fd"))
    library.current()
    # The inherited copy was closed once it was loaded.
    assert len(os.listdir("/proc/self/fd")) == before - 1
    with open("/proc/self/maps") as maps:
        print({line.split()[4] for line in maps if "memfd:glide-redis" in line}.pop(), flush=True)

for _ in range(3):
    assert status(child(work)) == 0
"""
    )
    if sys.platform == "linux":
        assert len(printed.split()) == 3
        assert len(set(printed.split())) == 1


@pytest.mark.parametrize(
    "obstacle",
    [
        # Daemons close every descriptor that they inherit, and open others in their places.
        "os.closerange(3, 200); fd = os.open('/dev/null', os.O_RDONLY)",
        # No files in memory, as on other systems.
        "os.closerange(3, 200); del os.memfd_create",
        # They may not be executed.
        "from glide_redis.native import copies\n"
        "    usable = copies._executable\n"
        "    copies._executable = lambda path: 'fd' not in path and usable(path)",
    ],
)
def test_a_child_finds_a_copy_anyway(program: Program, obstacle: str) -> None:
    printed = program(
        CHILD
        + f"""
client = native.open(request, None)

def work():
    {obstacle}
    check(native.open(request, None), "child")
    import tempfile
    left = [n for n in os.listdir(tempfile.gettempdir()) if n.startswith("glide-redis-")]
    assert left == [], left

assert status(child(work)) == 0
check(client, "parent")
print("fine")
"""
    )
    assert printed == "fine\n"


def test_a_child_of_a_process_that_loaded_nothing_is_not_special(program: Program) -> None:
    printed = program(
        CHILD
        + """
import subprocess
source = "import os; from glide_redis.native import library; pid = os.fork()"
source += "; os._exit(library.generation()) if not pid else os.waitpid(pid, 0)"
source += "; print(library.generation(), len(os.listdir('/proc/self/fd')))"
alone = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
assert alone.returncode == 0, alone.stderr
source = "import os; print(0, len(os.listdir('/proc/self/fd')))"
bare = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
print(alone.stdout == bare.stdout)
"""
    )
    assert printed == "True\n"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_works(program: Program, method: str, tmp_path: object) -> None:
    printed = program(
        f"""
client = native.open(request, None)
source = '''
import sys
def work(name):
    from glide_redis.native.engine import choose
    native = choose(sys.argv[1])
    client = native.open(bytes.fromhex(sys.argv[2]), None)
    native.execute(client, ("SET", name, name), 20)
    return native.execute(client, ("GET", name), 20)
'''
folder = {str(tmp_path)!r}
with open(folder + "/task.py", "w") as file:
    file.write(source)
sys.path.insert(0, folder)
sys.argv[2] = request.hex()
import multiprocessing
import task
if __name__ == "__main__":
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        print(pool.map(task.work, ["fork:a", "fork:b", "fork:c", "fork:d"]))
    print(native.execute(client, ("PING",), 20))
"""
    )
    assert printed == "[b'fork:a', b'fork:b', b'fork:c', b'fork:d']\nb'PONG'\n"
