"""Where the adapter's project is looked for, and what is said when it is nowhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import slotproof
from slotproof.clients import glide_redis
from slotproof.environments import pins
from slotproof.errors import UsageProblem
from slotproof.runner.prepare import client_version, prepare
from slotproof.suites import library

Adapter = Callable[[Path], Path]


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> Adapter:
    """Make an empty project in a folder, with slotproof imported from no checkout."""
    monkeypatch.delenv(glide_redis.VARIABLE, raising=False)

    def make(folder: Path) -> Path:
        folder.mkdir(parents=True)
        (folder / "pyproject.toml").write_text("")
        return folder

    return make


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
    """Let slotproof be an installed one, with this record of where it came from."""

    def install(record: object) -> None:
        site = tmp_path / "site-packages"
        info = site / "slotproof-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: slotproof\nVersion: 1.0\n")
        if record is not None:
            (info / "direct_url.json").write_text(json.dumps(record))
        monkeypatch.setattr("sys.path", [str(site)])
        monkeypatch.setattr(slotproof, "__file__", str(site / "slotproof" / "__init__.py"))

    return install


def test_the_checkouts_own_comes_without_being_named(adapter: Adapter) -> None:
    assert adapter
    client = glide_redis.client()
    assert client.projects == (Path(__file__).resolve().parents[3] / "adapter",)
    assert client.missing is None
    assert client.connects_from == ()
    assert {"redis", "valkey-glide", "valkey-glide-sync"} <= set(pins(client.lock))
    assert "hatchling" in pins(client.build_lock)


def test_the_variable_comes_first(
    adapter: Adapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = adapter(tmp_path / "mine")
    monkeypatch.setenv(glide_redis.VARIABLE, str(folder))
    assert glide_redis.find() == folder
    monkeypatch.setenv(glide_redis.VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(UsageProblem, match="nowhere"):
        glide_redis.find()


def test_an_installed_slotproof_knows_the_folder_it_came_from(
    adapter: Adapter, installed: Callable[[object], None], tmp_path: Path
) -> None:
    folder = adapter(tmp_path / "with space" / "adapter")
    installed({"url": folder.parent.as_uri(), "dir_info": {}})
    assert glide_redis.find() == folder


@pytest.mark.parametrize(
    "record", [None, {"url": "https://example.org/slotproof.whl"}, {"url": "file:///nowhere"}]
)
def test_one_from_a_wheel_says_how_to_name_it(
    adapter: Adapter, installed: Callable[[object], None], record: object
) -> None:
    assert adapter
    lock = glide_redis.client().lock
    installed(record)
    with pytest.raises(UsageProblem) as caught:
        glide_redis.find()
    assert glide_redis.VARIABLE in caught.value.next_step
    assert "pyproject.toml" in caught.value.found
    assert pins(lock)


def test_a_missing_adapter_is_a_cell_that_was_not_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Listing and running other clients go on."""
    monkeypatch.setenv(glide_redis.VARIABLE, str(tmp_path))
    client = glide_redis.client()
    assert client.missing is not None
    assert client_version(client) == "redis 8.1.0, valkey-glide-sync 2.6.0"
    suites = {"redis-py": library.load_all()["redis-py"]}
    said: list[str] = []
    prepared = prepare(suites, {client.name: client}, None, said.append)
    assert prepared.failed == {("redis-py", "glide-redis"): client.missing}
    assert said
    assert str(tmp_path) in said[0]
