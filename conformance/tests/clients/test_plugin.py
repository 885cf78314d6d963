"""Clients as plug-ins: which are found, and what is said about one that cannot be loaded."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from slotproof.clients import plugin
from slotproof.clients.plugin import Client
from slotproof.errors import EnvironmentProblem, UsageProblem
from slotproof.model import Topology

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHIPPED = {
    "redis-py": "slotproof.clients.redis_py:CLIENT",
    "valkey-py": "slotproof.clients.valkey_py:CLIENT",
    "glide-redis": "slotproof.clients.glide_redis:client",
}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make only the given entry points (and modules) be installed, in a distribution of ours."""

    def install(points: dict[str, str], **modules: str) -> None:
        info = tmp_path / "offered-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: offered\nVersion: 1.0\n")
        lines = [f"[{plugin.GROUP}]", *(f"{name} = {value}" for name, value in points.items())]
        (info / "entry_points.txt").write_text("\n".join(lines))
        for name, text in modules.items():
            (tmp_path / f"{name}.py").write_text(text)
            monkeypatch.delitem(sys.modules, name, raising=False)
        # Hides what this machine has installed, whatever that is; what is imported already stays.
        monkeypatch.setattr(sys, "path", [str(tmp_path)])

    return install


OFFERED = """
from slotproof.clients.plugin import Client
CLIENT = Client("theirs", "Theirs", "theirs==1", "their_boot", None, ())
def make():
    return CLIENT
"""


def test_the_shipped_clients_are_whole(installed: Callable[..., None]) -> None:
    for module in SHIPPED.values():
        __import__(module.partition(":")[0])
    installed(dict(reversed(SHIPPED.items())))
    clients = plugin.load_all()
    assert list(clients) == ["redis-py", "glide-redis", "valkey-py"]
    assert [client.control for client in clients.values()] == [True, False, False]
    assert all(client.topologies == frozenset(Topology) for client in clients.values())
    assert all("--hash=sha256:" in client.lock for client in clients.values())
    assert "valkey==" in clients["valkey-py"].lock


def test_controls_come_first(installed: Callable[..., None]) -> None:
    installed(
        {"a-client": "offered_client:make", **SHIPPED},
        offered_client=OFFERED.replace('"theirs"', '"a-client"'),
    )
    assert list(plugin.load_all()) == ["redis-py", "a-client", "glide-redis", "valkey-py"]


def test_an_entry_point_may_be_a_function(installed: Callable[..., None]) -> None:
    installed({"theirs": "offered_client:make"}, offered_client=OFFERED)
    client = plugin.get("theirs")
    assert isinstance(client, Client)
    assert client.connects_from == ()


def test_an_unknown_name_gets_a_suggestion(installed: Callable[..., None]) -> None:
    installed(SHIPPED)
    with pytest.raises(UsageProblem) as caught:
        plugin.get("redis_py")
    assert "'redis-py'" in caught.value.next_step


@pytest.mark.parametrize(
    ("value", "text", "found"),
    [
        ("nowhere_to_be_found:CLIENT", "", "nowhere_to_be_found"),
        ("offered_client:CLIENT", "1/0", "ZeroDivisionError"),
        ("offered_client:CLIENT", "", "CLIENT"),
        ("offered_client:CLIENT", "CLIENT = 3", "not callable"),
        ("offered_client:make", "def make(): return 3", "int"),
        ("offered_client:make", "def make(): raise LookupError('gone')", "gone"),
        ("offered_client:CLIENT", OFFERED.replace('"theirs"', '"another"'), "another"),
    ],
)
def test_a_broken_entry_point_is_named(
    installed: Callable[..., None], value: str, text: str, found: str
) -> None:
    installed({"theirs": value}, offered_client=text)
    with pytest.raises(UsageProblem) as caught:
        plugin.load_all()
    assert f"theirs = {value}" in caught.value.tried
    assert found in caught.value.found


def test_a_missing_lock_is_a_problem_of_the_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "suites").mkdir()
    monkeypatch.setenv("SLOTPROOF_FIXTURES", str(tmp_path))
    with pytest.raises(EnvironmentProblem) as caught:
        plugin.shipped_lock("redis-py")
    assert "redis-py.lock" in caught.value.found
