"""Environments and locks by the real uv, from a folder instead of an index."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from slotproof.environments import compile_lock, environment, pins
from slotproof.errors import EnvironmentProblem, UsageProblem
from slotproof.fetch import cache
from slotproof.fetch.uv import uv_settings


def wheel(folder: Path, name: str, version: str, needs: str = "") -> str:
    """Write a small wheel and return its line in a hashed lock."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += f"Requires-Dist: {needs}\n" if needs else ""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", f"version = '{version}'\n")
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        record = "".join(f"{n},,\n" for n in [*archive.namelist(), f"{info}/RECORD"])
        archive.writestr(f"{info}/RECORD", record)
    return (
        f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"
    )


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the package index, and a fresh cache."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("SLOTPROOF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def version_in(python: Path, module: str) -> str:
    command = [str(python), "-c", f"import {module}; print({module}.version)"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def folders() -> list[Path]:
    return sorted((cache.cache_dir() / "environments").iterdir())


def test_two_locks_make_one_environment_once(index: Path) -> None:
    suite, client = wheel(index, "suite", "1.0", "client"), wheel(index, "client", "2.0")
    made = environment([suite, client], label="demo")
    assert version_in(made.python, "suite") == "1.0"
    assert version_in(made.python, "client") == "2.0"
    assert made.python.parent.parent.name == made.digest
    before = made.python.lstat()
    assert environment([client, suite], label="other") == made
    assert made.python.lstat() == before
    command = [str(made.python), "-c", "import pytest"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 1


def test_another_lock_is_another_environment(index: Path) -> None:
    one, two = wheel(index, "demo", "1.0"), wheel(index, "demo", "2.0")
    first, second = environment([one], label="x"), environment([two], label="x")
    assert first.digest != second.digest
    assert (version_in(first.python, "demo"), version_in(second.python, "demo")) == ("1.0", "2.0")


def test_the_same_pin_in_both_locks(index: Path) -> None:
    line = wheel(index, "demo", "1.0")
    assert version_in(environment([line, line], label="x").python, "demo") == "1.0"


def test_locks_that_contradict_each_other(index: Path) -> None:
    one, two = wheel(index, "demo_x", "1.0"), wheel(index, "demo_x", "2.0")
    with pytest.raises(UsageProblem, match=r"demo-x is pinned to 1\.0 and 2\.0 in two locks"):
        environment([one, two.replace("demo_x", "Demo.X")], label="x")


def test_a_line_without_a_pin(index: Path) -> None:
    wheel(index, "demo", "1.0")
    with pytest.raises(UsageProblem, match=r"'demo>=1\.0' does not pin"):
        environment(["demo>=1.0\n"], label="x")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda lock: lock[:-65] + "0" * 64 + "\n", "Hash mismatch"),
        (lambda lock: lock.splitlines()[0].rstrip("\\") + "\n", "hash"),
        (lambda lock: lock.replace("1.0", "3.0"), r"demo==3\.0"),
    ],
    ids=["wrong hash", "no hash", "no such version"],
)
def test_a_bad_lock_leaves_no_environment(index: Path, change: object, match: str) -> None:
    lock = wheel(index, "demo", "1.0")
    assert callable(change)
    with pytest.raises(EnvironmentProblem, match=match) as caught:
        environment([change(lock)], label="demo suite")
    assert "environment for demo suite" in caught.value.tried
    assert "lock" in caught.value.next_step
    assert folders() == []


def test_an_incomplete_lock_is_refused(index: Path) -> None:
    lock = wheel(index, "suite", "1.0", "client")
    wheel(index, "client", "2.0")
    with pytest.raises(EnvironmentProblem, match="client") as caught:
        environment([lock], label="x")
    assert "not complete" in caught.value.next_step


def test_no_network(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = wheel(index, "demo", "1.0")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    # Port 9 (discard) of this machine: nobody listens there.
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(EnvironmentProblem) as caught:
        environment([lock], label="x")
    assert "connect to the network" in caught.value.next_step
    assert folders() == []


def test_a_half_built_environment_is_not_ready_and_is_removed(index: Path) -> None:
    lock = wheel(index, "demo", "1.0")
    made = environment([lock], label="x")
    ready = made.python.parent.parent / ".ready"
    ready.unlink()
    (made.python.parent / "stale").write_text("")
    other = ready.parent.with_name("0" * 32)
    other.mkdir()
    (other / "half").write_text("")
    assert environment([lock], label="x") == made
    assert ready.is_file()
    assert not (made.python.parent / "stale").exists()
    assert folders() == [ready.parent]


def test_an_environment_whose_interpreter_is_gone_is_made_again(index: Path) -> None:
    lock = wheel(index, "demo", "1.0")
    made = environment([lock], label="x")
    made.python.unlink()
    made.python.symlink_to("/nowhere/python")
    assert environment([lock], label="x") == made
    assert version_in(made.python, "demo") == "1.0"


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A local project without any build requirement: its back end lies in its own folder."""
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "adapter"\nversion = "1.0"\n'
    )
    (folder / "adapter.py").write_text("version = 'first'\n")
    (folder / "backend.py").write_text(
        "import pathlib, zipfile\n"
        "def build_wheel(folder, config_settings=None, metadata_directory=None):\n"
        "    name = 'adapter-1.0-py3-none-any.whl'\n"
        "    needs = pathlib.Path('needs').read_text() if pathlib.Path('needs').exists() else ''\n"
        "    with zipfile.ZipFile(pathlib.Path(folder) / name, 'w') as wheel:\n"
        "        wheel.write('adapter.py')\n"
        "        info = 'adapter-1.0.dist-info/'\n"
        "        head = 'Metadata-Version: 2.1\\nName: adapter\\nVersion: 1.0\\n'\n"
        "        wheel.writestr(info + 'METADATA', head + needs)\n"
        "        wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n'\n"
        "                       'Tag: py3-none-any\\n')\n"
        "        wheel.writestr(info + 'RECORD', '')\n"
        "    return name\n"
    )
    return folder


def test_a_local_project_beside_the_locks(index: Path, adapter: Path) -> None:
    lock = wheel(index, "demo", "1.0")
    made = environment([lock], label="x", projects=[adapter])
    assert version_in(made.python, "demo") == "1.0"
    assert version_in(made.python, "adapter") == "first"
    assert made.projects[0].startswith("adapter 1.0 (content ")
    assert environment([lock], label="x", projects=[adapter]) == made
    (adapter / "adapter.py").write_text("version = 'second'\n")
    changed = environment([lock], label="x", projects=[adapter])
    assert changed.digest != made.digest
    assert version_in(changed.python, "adapter") == "second"
    assert version_in(made.python, "adapter") == "first"
    assert environment([lock], label="x").digest not in {made.digest, changed.digest}


@pytest.mark.parametrize(("pinned", "found"), [("2.0", "demo"), (None, "demo")])
def test_a_local_project_needs_what_the_lock_does_not_pin(
    index: Path, adapter: Path, pinned: str | None, found: str
) -> None:
    locks = [wheel(index, "demo", pinned)] if pinned else [wheel(index, "other", "1.0")]
    (adapter / "needs").write_text("Requires-Dist: demo==1.0\n")
    with pytest.raises(EnvironmentProblem, match=found) as caught:
        environment(locks, label="the adapter", projects=[adapter])
    assert "adapter" in caught.value.found
    assert folders() == []


def script(lock: Path) -> list[str]:
    code = (
        "import sys, pathlib\nfrom slotproof.environments import environment\n"
        "print(environment([pathlib.Path(sys.argv[1]).read_text()], label='x').python)\n"
    )
    return [sys.executable, "-c", code, str(lock)]


def test_parallel_processes_share_one_environment(index: Path, tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(wheel(index, "demo", "1.0"))
    processes = [
        subprocess.Popen(script(lock), stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    said = {process.communicate()[0].strip() for process in processes}
    assert {process.returncode for process in processes} == {0}
    assert len(said) == 1
    assert version_in(Path(said.pop()), "demo") == "1.0"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_creation_is_not_ready(
    index: Path, tmp_path: Path, number: signal.Signals
) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(wheel(index, "demo", "1.0"))
    root = cache.cache_dir() / "environments"
    process = subprocess.Popen(script(lock), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(root.glob("*/pyvenv.cfg")) and time.monotonic() < deadline:
        time.sleep(0.001)
    os.kill(process.pid, number)
    assert process.communicate()[0] == b""
    assert list(root.glob("*/.ready")) == []
    made = environment([lock.read_text()], label="x")
    assert version_in(made.python, "demo") == "1.0"
    assert [folder.name for folder in folders()] == [made.digest]


def test_a_lock_has_hashes_and_markers_and_no_address(index: Path) -> None:
    wheel(index, "suite", "1.0", "client>=1; python_version<'3.13'")
    expected = wheel(index, "client", "2.0")
    lock = compile_lock(["suite"])
    assert pins(lock) == {"client": frozenset({"2.0"}), "suite": frozenset({"1.0"})}
    assert expected.splitlines()[1] in lock
    assert "python_full_version < '3.13'" in lock
    assert "://" not in lock
    assert str(index) not in lock
    assert version_in(environment([lock], label="x").python, "suite") == "1.0"


def test_a_lock_without_the_client(index: Path) -> None:
    wheel(index, "suite", "1.0", "client")
    wheel(index, "client", "2.0")
    assert set(pins(compile_lock(["suite"], without=["client"]))) == {"suite"}


def test_requirements_that_nothing_satisfies(index: Path) -> None:
    wheel(index, "demo", "1.0")
    with pytest.raises(UsageProblem, match="demo"):
        compile_lock(["demo>=2"])
    with pytest.raises(UsageProblem, match="parse"):
        compile_lock(["demo ~~ 2"])


def test_pip_settings_become_uv_settings() -> None:
    pip = {
        "index-url": "https://index.example/simple",
        "extra-index-url": "https://one.example/simple\nhttps://two.example/simple",
        "find-links": "/wheels more https://index.example/links",
        "trusted-host": "index.example",
        "cert": "/ca.pem",
        "proxy": "http://proxy.example:3128",
        "timeout": "30",
    }
    got = uv_settings(pip, {"VIRTUAL_ENV": "/mine", "UV_INDEX_STRATEGY": "first-index", "A": "b"})
    assert got == {
        "A": "b",
        "UV_DEFAULT_INDEX": "https://index.example/simple",
        "UV_INDEX": "https://one.example/simple https://two.example/simple",
        "UV_FIND_LINKS": f"/wheels,{Path.cwd() / 'more'},https://index.example/links",
        "UV_INSECURE_HOST": "index.example",
        "UV_HTTP_TIMEOUT": "30",
        "SSL_CERT_FILE": "/ca.pem",
        "ALL_PROXY": "http://proxy.example:3128",
        "UV_INDEX_STRATEGY": "first-index",
        "UV_PYTHON_DOWNLOADS": "never",
    }


def test_a_quiet_pip_still_tells_its_settings(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel(index, "demo", "1.0")
    monkeypatch.setenv("PIP_QUIET", "1")
    assert set(pins(compile_lock(["demo"]))) == {"demo"}
