"""The classifier: every rule, every exemption, and every way in which a test reaches code."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slotproof.errors import UsageProblem
from slotproof.model import Kind
from slotproof.suites.kinds import (
    RULES,
    Classification,
    Receiver,
    Rule,
    Trigger,
    classify,
    render_rules,
)

REPOSITORY = Path(__file__).resolve().parents[3]

POKE_BODY = "client.connection_pool._available_connections"


def write(root: Path, **files: str) -> Path:
    """Write a suite: ``tests__conftest`` is ``tests/conftest.py``."""
    for name, text in files.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    return root


def judge(root: Path, id_: str = "tests/test_it.py::test_it") -> Classification:
    return classify(root, [id_])[id_]


HEAD = """\
import socket
from unittest import mock
from unittest.mock import MagicMock, Mock, create_autospec, patch
import pytest
import redis
import redis.connection
import redis.lock
from redis import Redis
from redis.credentials import CredentialProvider
"""

BY_RULE: dict[str, list[str]] = {
    "patch-client": [
        "with patch('redis.client.Redis.execute_command'): pass",
        "with mock.patch.object(Redis, 'parse_response'): pass",
        "with patch.multiple(redis.connection.Connection, connect=None): pass",
        "with patch.object(Redis(), 'get'): pass",
        "with patch('some_library.tasks.Redis'): pass",
        "with patch.dict(redis.lock.registry, {}): pass",
        "NAME = 'redis.client'\n    with patch(f'{NAME}.Redis'): pass",
    ],
    "patch-transport": [
        "with patch('socket.socket'): pass",
        "with patch.object(socket, 'create_connection'): pass",
        "import threading\n    with patch.object(threading.Event, 'wait'): pass",
    ],
    "assign-double": [
        "r = Redis()\n    r.execute_command = MagicMock()",
        "r = Redis()\n    r.connection_pool.release = lambda connection: None",
        "r = Redis()\n    setattr(r, 'ping', Mock())",
        "class Fake: pass\n    r = Redis()\n    r.retry = Fake()",
    ],
    "double-of-client": [
        "Mock(spec=redis.Redis)",
        "MagicMock(redis.connection.Connection)",
        "create_autospec(Redis)",
    ],
    "double-in-client": ["redis.lock.Lock(Mock(), 'name')"],
    "stand-in-argument": [
        "class Fake: pass\n    redis.ConnectionPool(connection_class=Fake)",
        "class Fake: pass\n    options = {'parser_class': Fake}",
        "class Fake: pass\n    Redis(connection_pool=Fake())",
    ],
    "override-engine": [
        "class Slow(redis.Connection):\n        def connect(self): pass\n    Slow()",
        "class Odd(redis.connection._Parser):\n        x = 1\n    Odd",
    ],
    "override-dispatch": [
        "class Mine(Redis):\n        def execute_command(self, *a): pass\n    Mine()",
        "class Mine(Redis):\n        def _send(self): pass\n    Mine()",
    ],
    "private-name": [
        "Redis()._private",
        "r = Redis()\n    r._private = 3",
        "getattr(Redis(), '_private')",
        "setattr(Redis(), '_private', 3)",
        "for node in redis.RedisCluster().get_nodes():\n        node._private()",
        "with Redis() as r, r.pipeline() as pipe:\n        assert not pipe._private",
        "[x._private for x in list(redis.RedisCluster().get_nodes())]",
        "first, second = Redis(), 3\n    first._private",
        "from somewhere_unknown import made\n    def inner(thing): return thing._private",
    ],
    "private-module": [
        "from redis._parsers import helpers\n    helpers.parse()",
        "from redis.client import _secret\n    _secret()",
        "redis._parsers.helpers.parse()",
    ],
    "engine-import": [
        "from redis.observability import recorder\n    recorder.reset_collector()",
        "from redis.client import NEVER_DECODE\n    Redis().execute_command('SYNC', NEVER_DECODE)",
    ],
    "construct-engine": [
        "redis.Connection(host='a')",
        "redis.connection.SSLConnection()",
    ],
    "engine-state": [
        "redis.RedisCluster().nodes_manager.get_node_from_slot(1)",
        "Redis().pipeline().command_stack",
    ],
    "engine-attribute": ["Redis().connection.disconnect()"],
    "wire-methods": ["redis.ConnectionPool().get_connection().send_command('PING')"],
}

BLACK_BODIES = [
    "r = Redis()\n    r.set('a', 1)\n    assert r.get('a') == b'1'",
    "pool = redis.ConnectionPool.from_url('redis://h')\n    pool.release(pool.get_connection())",
    "redis.RedisCluster().nodes_manager.connection_kwargs.get('protocol')",
    "Redis().connection_pool.connection_kwargs['db']",
    "redis.ConnectionPool(connection_class=redis.Connection)",
    "for n in redis.RedisCluster().get_primaries(): n.redis_connection.ping()",
    "Redis().get('row')._asdict()",
    "Mock(spec=CredentialProvider)",
    "Redis(redis_connect_func=Mock())",
    "handler = Mock()\n    Redis().pubsub().subscribe(channel=handler)",
    "with patch('time.sleep'): pass",
    "Redis().anything.return_value = Mock()",
    "with patch('socket.gethostname'): pass",
    "with patch('other.worker.Worker._run'): pass",
    "from other import Queue\n    q = Queue(Redis())\n    q._key + q.connection.get('a')",
    "from other import Queue\n    with patch.object(Queue, 'push'): pass",
    "import os\n    os._exit\n    ''.join(())",
    "class Own:\n        _x = 1\n    Own()._x",
    "class Mine(Redis):\n        def greet(self): pass\n    Mine().get('a')",
    "m = MagicMock()\n    m._anything = m.connection.nodes_manager",
    "def annotated(x: redis._parsers.X) -> redis._parsers.Y: pass",
]


@pytest.mark.parametrize(
    ("rule", "body"), [(rule, body) for rule, bodies in BY_RULE.items() for body in bodies]
)
def test_a_rule_is_met_in_the_tests_own_body(tmp_path: Path, rule: str, body: str) -> None:
    root = write(tmp_path, tests__test_it=f"{HEAD}\ndef test_it():\n    {body}\n")
    found = judge(root)
    expected = next(r.kind for r in RULES if r.id == rule)
    assert found.kind is expected, found.reason
    assert found.reason.startswith(f"{rule}: ")
    assert " at tests/test_it.py:" in found.reason


@pytest.mark.parametrize("body", BLACK_BODIES)
def test_public_use_and_other_libraries_stay_black_box(tmp_path: Path, body: str) -> None:
    root = write(tmp_path, tests__test_it=f"{HEAD}\ndef test_it():\n    {body}\n")
    assert judge(root) == Classification(Kind.BLACK_BOX, "no rule met")


def test_every_rule_that_counts_is_exercised() -> None:
    assert set(BY_RULE) == {rule.id for rule in RULES if rule.kind is not Kind.BLACK_BOX}


def test_rule_ids_are_unique() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)


def test_monkeypatch_on_the_client_is_mock_and_elsewhere_is_not(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        tests__test_it="""
        import json, redis.lock
        def test_object(monkeypatch): monkeypatch.setattr(redis.lock, "sleep", None)
        def test_text(monkeypatch): monkeypatch.setattr("redis.lock.sleep", None)
        def test_environment(monkeypatch): monkeypatch.setenv("A", "b")
        def test_other(monkeypatch): monkeypatch.setattr(json, "dumps", None)
        def test_mocker(mocker): mocker.patch("redis.Redis")
        def test_spy(mocker): mocker.spy(redis.lock.Lock, "acquire")
        """,
    )
    names = ("object", "text", "environment", "other", "mocker", "spy")
    kinds = classify(root, [f"tests/test_it.py::test_{name}" for name in names])
    mock, black = Kind.MOCK, Kind.BLACK_BOX
    assert [k.kind for k in kinds.values()] == [mock, mock, black, black, mock, mock]


def test_mock_outweighs_poke_wherever_it_stands(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        tests__conftest="""
        import pytest
        from unittest import mock
        @pytest.fixture
        def far():
            with mock.patch("redis.Redis"): yield
        """,
        tests__test_it="""
        import redis
        def test_it(far): redis.Redis()._x
        """,
    )
    found = judge(root)
    assert found.kind is Kind.MOCK
    assert found.reason.endswith("(through far)")


REACHED: dict[str, dict[str, str]] = {
    "helper in the module": {
        "tests__test_it": f"""
        import redis
        def helper(client): return {POKE_BODY}
        def test_it(): helper(redis.Redis())
        """
    },
    "helper of a helper in another module": {
        "tests____init__": "",
        "tests__deep": f"def inner(client): return {POKE_BODY}\n",
        "tests__helpers": "from .deep import inner\ndef outer(c): return inner(c)\n",
        "tests__test_it": """
        from tests import helpers
        def test_it(r): helpers.outer(r)
        """,
    },
    "star import": {
        "tests__helpers": f"def helper(client): return {POKE_BODY}\n",
        "tests__test_it": "from helpers import *\ndef test_it(r): helper(r)\n",
    },
    "function given away uncalled": {
        "tests__test_it": f"""
        import threading
        def target(client): return {POKE_BODY}
        def test_it(r): threading.Thread(target=target, args=(r,)).start()
        """
    },
    "fixture by parameter": {
        "tests__test_it": f"""
        import pytest, redis
        @pytest.fixture
        def state():
            client = redis.Redis()
            yield {POKE_BODY}
        def test_it(state): pass
        """
    },
    "nested fixture out of an upper conftest": {
        "tests__conftest": f"""
        import pytest, redis
        @pytest.fixture
        def deep():
            client = redis.Redis()
            return {POKE_BODY}
        """,
        "tests__unit__conftest": """
        import pytest
        @pytest.fixture(name="upper")
        def under_another_name(deep): return deep
        """,
        "tests__unit__test_it": "def test_it(upper): pass\n",
    },
    "overriding fixture that asks for its own name": {
        "tests__conftest": f"""
        import pytest, redis
        @pytest.fixture
        def client():
            client = redis.Redis()
            {POKE_BODY}
            return client
        """,
        "tests__test_it": """
        import pytest
        @pytest.fixture
        def client(client): return client
        def test_it(client): pass
        """,
    },
    "fixture value used in the test": {
        "tests__conftest": """
        import pytest, redis
        def make(cls, **options):
            return cls(**options)
        @pytest.fixture
        def r():
            with make(redis.Redis) as client:
                yield client
        """,
        "tests__test_it": "def test_it(r): r.connection.disconnect()\n",
    },
    "usefixtures on the class": {
        "tests__test_it": f"""
        import pytest, redis
        @pytest.fixture
        def state():
            client = redis.Redis()
            {POKE_BODY}
        @pytest.mark.usefixtures("state")
        class TestIt:
            def test_it(self): pass
        """
    },
    "usefixtures in pytestmark": {
        "tests__test_it": f"""
        import pytest, redis
        pytestmark = [pytest.mark.usefixtures("state")]
        @pytest.fixture
        def state():
            client = redis.Redis()
            {POKE_BODY}
        def test_it(): pass
        """
    },
    "autouse in conftest": {
        "tests__conftest": f"""
        import pytest, redis
        @pytest.fixture(scope="session", autouse=True)
        def always():
            client = redis.Redis()
            {POKE_BODY}
        """,
        "tests__test_it": "def test_it(): pass\n",
    },
    "getfixturevalue with a constant": {
        "tests__conftest": f"""
        import pytest, redis
        @pytest.fixture
        def state():
            client = redis.Redis()
            {POKE_BODY}
        """,
        "tests__test_it": "def test_it(request): request.getfixturevalue('state')\n",
    },
    "fixture out of pytest_plugins": {
        "tests____init__": "",
        "tests__plugin": f"""
        import pytest, redis
        @pytest.fixture
        def state():
            client = redis.Redis()
            {POKE_BODY}
        """,
        "tests__conftest": "pytest_plugins = ['tests.plugin']\n",
        "tests__test_it": "def test_it(state): pass\n",
    },
    "setup_method": {
        "tests__test_it": """
        import redis
        class TestIt:
            def setup_method(self, method): redis.Redis()._x
            def test_it(self): pass
        """
    },
    "attribute of self set in setUp of a base class": {
        "tests__base": """
        import unittest, redis
        class Base(unittest.TestCase):
            @classmethod
            def setUpClass(cls): cls.client = redis.Redis()
        """,
        "tests__test_it": """
        from base import Base
        class TestIt(Base):
            def test_it(self): self.client.connection.disconnect()
        """,
    },
    "method of self": {
        "tests__test_it": """
        import redis
        class TestIt:
            def helper(self): redis.Redis()._x
            def test_it(self): self.helper()
        """
    },
    "inherited test over an attribute of the subclass": {
        "tests__base": """
        class Base:
            def test_it(self): self.make()._x
        """,
        "tests__test_it": """
        import redis
        from base import Base
        class TestIt(Base):
            def make(self): return redis.Redis()
        """,
    },
    "class level": {
        "tests__test_it": """
        import redis
        class TestIt:
            stack = redis.Redis().command_stack
            def test_it(self): pass
        """
    },
    "module level": {
        "tests__test_it": """
        import redis
        redis.Redis()._set_up()
        def test_it(): pass
        """
    },
    "setup_module": {
        "tests__test_it": """
        import redis
        def setup_module(): redis.Redis()._x
        def test_it(): pass
        """
    },
    "module constant": {
        "tests__test_it": """
        import redis
        STATE = redis.Redis()._x
        def test_it(): assert STATE
        """
    },
    "decorator argument": {
        "tests__test_it": """
        import pytest, redis
        @pytest.mark.skipif(redis.Redis()._x, reason="")
        def test_it(): pass
        """
    },
    "parametrized class": {
        "tests__test_it": """
        import pytest, redis
        @pytest.mark.parametrize("cls", [redis.Connection, redis.SSLConnection])
        def test_it(cls): cls()
        """
    },
    "helper given the client by keyword rest": {
        "tests__test_it": """
        import redis
        def check(p): p.connection.disconnect()
        def test_it():
            options = {"p": redis.Redis().pubsub()}
            check(**options)
        """
    },
    "helper class": {
        "tests__test_it": """
        import redis
        class Helper:
            def __init__(self): redis.Redis()._x
        def test_it(): Helper()
        """
    },
    "annotated parameter": {
        "tests__test_it": """
        import redis
        def test_it(r: redis.Redis): r.connection.disconnect()
        """
    },
}


@pytest.mark.parametrize("way", REACHED)
def test_code_is_reached_through(tmp_path: Path, way: str) -> None:
    files = REACHED[way]
    root = write(tmp_path, **files)
    file = next(name for name in files if name.endswith("test_it")).replace("__", "/")
    inside = "TestIt::" if "class TestIt" in files[file.replace("/", "__")] else ""
    found = judge(root, f"{file}.py::{inside}test_it")
    assert found.kind is Kind.POKE, found.reason


def test_unused_code_beside_a_test_does_not_count(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        tests__conftest="""
        import pytest, redis
        @pytest.fixture
        def unused(): redis.Redis()._x
        def pytest_sessionstart(session): redis.Redis()._x
        """,
        tests__other__conftest="""
        import pytest, redis
        @pytest.fixture(autouse=True)
        def elsewhere(): redis.Redis()._x
        """,
        tests__test_it="""
        import redis
        def helper(): redis.Redis()._x
        class Helper(redis.Connection):
            def connect(self): pass
        class TestOther:
            def setup_method(self): redis.Redis()._x
            def test_other(self): pass
        def test_it(): redis.Redis().ping()
        """,
    )
    assert judge(root).kind is Kind.BLACK_BOX


def test_an_autouse_fixture_that_mocks_makes_its_class_mock_and_no_other(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        tests__test_it="""
        import pytest
        from unittest import mock
        class TestA:
            @pytest.fixture(autouse=True)
            def patched(self):
                with mock.patch("redis.Redis.ping"): yield
            def test_a(self): pass
        class TestB:
            def test_b(self): pass
        """,
    )
    a, b = "tests/test_it.py::TestA::test_a", "tests/test_it.py::TestB::test_b"
    kinds = classify(root, [a, b])
    assert (kinds[a].kind, kinds[b].kind) == (Kind.MOCK, Kind.BLACK_BOX)


def test_patch_decorators_do_not_turn_doubles_into_clients(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        tests__test_it="""
        from unittest import mock
        @mock.patch("other.worker.fork")
        def test_it(fork): fork._mock_children
        """,
    )
    assert judge(root).kind is Kind.BLACK_BOX


def test_a_parameter_that_names_a_fixture_decides_its_own_id(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        tests__conftest="""
        import pytest, redis
        @pytest.fixture
        def plain(): return redis.Redis()
        @pytest.fixture
        def poked():
            client = redis.Redis()
            client._x
            return client
        """,
        tests__test_it="""
        import pytest
        @pytest.mark.parametrize("name", ["plain", "poked"])
        def test_it(request, name): request.getfixturevalue(name).ping()
        @pytest.fixture(params=["plain", "poked"])
        def either(request): return request.getfixturevalue(request.param)
        def test_through(either): either.ping()
        @pytest.mark.parametrize("r", [pytest.lazy_fixture("plain"), pytest.lazy_fixture("poked")])
        def test_lazy(r): pass
        """,
    )
    for test in ("test_it", "test_through", "test_lazy"):
        base = f"tests/test_it.py::{test}"
        kinds = classify(root, [f"{base}[plain]", f"{base}[poked]", f"{base}[renamed]"])
        assert [k.kind for k in kinds.values()] == [Kind.BLACK_BOX, Kind.POKE, Kind.POKE]


def test_the_librarys_own_source_beside_its_tests_is_not_read(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        library____init__="import redis\ndef run(): redis.Redis()._x\n",
        redis____init__="def _x(): pass\n",
        tests__test_it="import library\ndef test_it(): library.run()\n",
    )
    assert judge(root).kind is Kind.BLACK_BOX


def test_inherited_from_outside_the_suite_is_black_box_and_says_so(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        tests__test_it="from library.testing import Base\nclass TestIt(Base): pass\n",
    )
    found = judge(root, "tests/test_it.py::TestIt::test_it")
    assert found == Classification(Kind.BLACK_BOX, "inherited from outside the suite's folder")


def test_extra_rules_add_and_exempt_names(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        tests__test_it="""
        import redis
        def test_it(channel): channel._in_poll
        def test_two(channel): channel.inner_state
        """,
    )
    ids = ["tests/test_it.py::test_it", "tests/test_it.py::test_two"]
    why = "the transport's own state"
    extra = [
        Rule("own", Kind.BLACK_BOX, Trigger.PRIVATE_NAME, ("_in_poll",), why, Receiver.ANY),
        Rule("state", Kind.POKE, Trigger.ATTRIBUTE, ("inner_state",), why, Receiver.ANY),
    ]
    plain = [c.kind for c in classify(root, ids).values()]
    with_extra = [c.kind for c in classify(root, ids, extra=extra).values()]
    assert plain == [Kind.POKE, Kind.BLACK_BOX]
    assert with_extra == [Kind.BLACK_BOX, Kind.POKE]


def test_client_packages_say_what_the_client_is(tmp_path: Path) -> None:
    root = write(
        tmp_path, tests__test_it="import other\ndef test_it(): other.Client().connection\n"
    )
    id_ = "tests/test_it.py::test_it"
    assert classify(root, [id_])[id_].kind is Kind.BLACK_BOX
    assert classify(root, [id_], client_packages=["other"])[id_].kind is Kind.POKE


@pytest.mark.parametrize(
    ("id_", "found"),
    [
        ("tests/test_no.py::test_it", "no file tests/test_no.py"),
        ("tests/test_it.py::test_no", "no function test_no"),
        ("tests/test_it.py::TestNo::test_it", "no class TestNo"),
        ("tests/test_it.py::TestIt::test_no", "no method test_no in class TestIt"),
        ("tests/test_it.py", "names no test function"),
        ("", "no file"),
    ],
)
def test_an_id_that_names_nothing_is_a_usage_problem(tmp_path: Path, id_: str, found: str) -> None:
    root = write(
        tmp_path, tests__test_it="class TestIt:\n    def test_a(self): pass\ndef test_it(): pass\n"
    )
    with pytest.raises(UsageProblem) as problem:
        classify(root, [id_])
    assert found in problem.value.found
    assert problem.value.next_step


def test_a_file_that_does_not_parse_is_a_usage_problem_with_its_line(tmp_path: Path) -> None:
    root = write(tmp_path, tests__test_it="\n\ndef test_it(:\n")
    with pytest.raises(UsageProblem, match=r"tests/test_it\.py.*line 3"):
        judge(root)


def test_nothing_of_the_suite_is_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    text = f"open({str(marker)!r}, 'w')\ndef test_it(): pass\n"
    judge(write(tmp_path, tests__conftest=text, tests__test_it=text))
    assert not marker.exists()


def test_circular_code_ends(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        tests____init__="",
        tests__a="from tests.b import *\nfrom tests.b import two\ndef one(x): return two(x)\n",
        tests__b="from tests.a import *\nfrom tests.a import one\ndef two(x): return one([x])\n",
        tests__test_it="""
        from tests.a import one, nowhere
        class A(B): pass
        class B(A):
            def test_it(self):
                x = y
                y = x
                one(x)
                one(undefined)._x
                nowhere(undefined)
                undefined._x
        """,
    )
    assert judge(root, "tests/test_it.py::B::test_it").kind is Kind.POKE


def test_the_published_table_is_up_to_date() -> None:
    page = (REPOSITORY / "docs" / "kinds.md").read_text(encoding="utf-8")
    assert page == render_rules(), "write it again: python -m slotproof.suites.kinds"


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A suite with one test for each body of this file."""
    bodies = [body for group in BY_RULE.values() for body in group] + BLACK_BODIES
    tests = "".join(f"\ndef test_{i}(p):\n    {body}\n" for i, body in enumerate(bodies))
    root = write(tmp_path_factory.mktemp("mixed"), tests__test_it=f"{HEAD}{tests}")
    return root, [f"tests/test_it.py::test_{i}" for i in range(len(bodies))]


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_kind_does_not_depend_on_what_else_is_classified(
    mixed: tuple[Path, list[str]], data: st.DataObject
) -> None:
    root, ids = mixed
    some = data.draw(st.lists(st.sampled_from(ids), min_size=1, unique=True))
    together = classify(root, ids)
    apart = classify(root, some)
    assert apart == {id_: together[id_] for id_ in some}
    assert list(apart) == some


@settings(max_examples=50, deadline=None)
@given(parameters=st.text(min_size=1, max_size=30))
def test_any_parameter_text_keeps_the_functions_kind(
    mixed: tuple[Path, list[str]], parameters: str
) -> None:
    root, ids = mixed
    id_ = f"{ids[0]}[{parameters}]"
    assert classify(root, [id_])[id_].kind is Kind.MOCK


@settings(max_examples=25, deadline=None)
@given(chain=st.lists(st.sampled_from(["helper", "fixture", "method"]), max_size=6))
def test_a_kind_survives_any_chain_of_ways(
    tmp_path_factory: pytest.TempPathFactory, chain: list[str]
) -> None:
    parts = ["import pytest, redis\n\ndef way_0():\n    return redis.Redis()\n"]
    call, asks = "way_0()", ""
    for number, way in enumerate(chain, 1):
        if way == "fixture":
            parts.append(f"@pytest.fixture\ndef way_{number}({asks}):\n    yield {call}\n")
            call, asks = f"way_{number}", f"way_{number}"
        elif way == "helper":
            parts.append(f"def way_{number}({asks}):\n    return {call}\n")
            call = f"way_{number}({asks})"
        else:
            given_self = f"self, {asks}" if asks else "self"
            parts.append(
                f"class Way{number}:\n    def make({given_self}):\n        return {call}\n"
            )
            call = f"Way{number}().make({asks})"
    parts.append(f"def test_it({asks}):\n    {call}.connection.disconnect()\n")
    root = write(tmp_path_factory.mktemp("chain"), tests__test_it="\n".join(parts))
    assert judge(root).kind is Kind.POKE
