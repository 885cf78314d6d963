"""Manifests: what a good one says, and one clear message for each way to be wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from slotproof.data import fixtures_dir
from slotproof.environments import pins
from slotproof.errors import UsageProblem
from slotproof.model import Topology
from slotproof.suites import library, manifest

GOOD = """\
name = "demo"
title = "Demo"
row = "RQ"
licence = "BSD-2-Clause"
timeout = 60
isolation = "any"
lanes = false
lanes_reason = "tests share files"

[source]
kind = "sdist"
name = "demo"
version = "1.0"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
keep = ["tests"]

[requirements]
in = ["pytest>=8"]
without = ["redis"]

[pytest]
args = ["-q", "-k", "not {braces} and {url}"]
files = ["tests"]

[env]
DEMO_URL = "{url}"

[topology.standalone]
args = ["--port={port}"]
config = { databases = "17" }

[topology.cluster]
args = ["--nodes={nodes}"]
ports = [7000, 7001, 7002, 7003, 7004, 7005]
replicas = 1

[profile.quick]
seconds = 30

[[deviation]]
what = "One thing."
reason = "For one reason."
"""
GOOD = GOOD.replace(" and {url}", "").replace("{braces}", "{host}")


def write(tmp_path: Path, text: str) -> Path:
    folder = tmp_path / "demo"
    folder.mkdir(exist_ok=True)
    (folder / "suite.toml").write_text(text, encoding="utf-8")
    return folder / "suite.toml"


def test_a_good_manifest(tmp_path: Path) -> None:
    suite = manifest.load(write(tmp_path, GOOD))
    assert (suite.name, suite.version, suite.row) == ("demo", "1.0", "RQ")
    assert suite.folder == tmp_path / "demo"
    assert (suite.timeout, suite.quick_seconds) == (60.0, 30.0)
    assert (suite.lanes, suite.namespace_only) == (False, False)
    assert suite.without == ("redis",)
    assert suite.env == {"DEMO_URL": "{url}"}
    assert suite.deviations == (manifest.Deviation("One thing.", "For one reason."),)
    assert suite.pytest_args(Topology.CLUSTER) == ("-q", "-k", "not {host}", "--nodes={nodes}")
    assert suite.topology(Topology.STANDALONE).config == {"databases": "17"}
    assert suite.topology(Topology.CLUSTER).ports == (7000, 7001, 7002, 7003, 7004, 7005)
    with pytest.raises(UsageProblem, match=r"no file .*requirements\.lock"):
        _ = suite.requirements_lock
    (suite.folder / "requirements.lock").write_text("pytest==8.0\n")
    assert manifest.load(suite.folder / "suite.toml").requirements_lock == "pytest==8.0\n"


def test_a_topology_that_a_suite_does_not_know(tmp_path: Path) -> None:
    start, end = GOOD.index("[topology.cluster]"), GOOD.index("[profile.quick]")
    suite = manifest.load(write(tmp_path, GOOD[:start] + GOOD[end:]))
    assert set(suite.topologies) == {Topology.STANDALONE}
    with pytest.raises(UsageProblem, match="runs on standalone only"):
        suite.topology(Topology.CLUSTER)


def test_variants_add_arguments(tmp_path: Path) -> None:
    more = '[variant.resp2]\nargs = ["--protocol=2", "--on={host}"]\n'
    suite = manifest.load(write(tmp_path, GOOD + more))
    assert list(suite.variants) == ["default", "resp2"]
    plain = suite.pytest_args(Topology.CLUSTER)
    assert suite.pytest_args(Topology.CLUSTER, "default") == plain
    assert suite.pytest_args(Topology.CLUSTER, "resp2") == (*plain, "--protocol=2", "--on={host}")
    assert list(manifest.load(write(tmp_path, GOOD)).variants) == ["default"]


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ('[variant.default]\nargs = ["-x"]', r"variant\.default: 'default' cannot be the name"),
        ('[variant."a/b"]\nargs = ["-x"]', r"variant\.a/b: 'a/b' cannot be the name"),
        ("[variant.resp2]\nargs = []", r"variant\.resp2\.args: \[\] is no filled list"),
        ('[variant.resp2]\nargs = ["{x}"]', r"variant\.resp2\.args: \{x\} stands for nothing"),
        ('[variant.resp2]\nargs = ["-x"]\nx = 1', r"variant\.resp2\.x: no such key"),
        ('[variant]\nresp2 = "-x"', r"variant\.resp2: '-x' is no table"),
    ],
)
def test_wrong_variants(tmp_path: Path, more: str, found: str) -> None:
    with pytest.raises(UsageProblem, match=found):
        manifest.load(write(tmp_path, GOOD + more + "\n"))


@pytest.mark.parametrize(
    ("source", "version"),
    [
        (f'kind = "git"\nrepository = "r"\ncommit = "{"ab" * 20}"', "abababababab"),
        ('kind = "path"\npath = "../elsewhere"', "local"),
    ],
)
def test_other_sources(tmp_path: Path, source: str, version: str) -> None:
    text = re.sub(r"(?s)kind = .*?keep", f"{source}\nkeep", GOOD)
    suite = manifest.load(write(tmp_path, text))
    assert suite.version == version
    assert suite.source.path in {"", str(tmp_path / "elsewhere")}


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ('name = "demo"\ntitle', "title", r"line 1, name: missing"),
        ('name = "demo"\ntitle', 'name = "other"\ntitle', r"line 1, name: 'other' is not the name"),
        ('name = "demo"\ntitle', 'name = "../x"\ntitle', r"line 1, name: '\.\./x' is not a name"),
        ('title = "Demo"', "title = 3", r"line 2, title: 3 is not a text"),
        ('title = "Demo"', 'title = " "', r"line 2, title: ' ' is not a text"),
        ('title = "Demo"', 'titel = "Demo"', r"line 1, title: missing"),
        ("timeout = 60", "timeout = 0", r"line 5, timeout: 0 is not a number above 0"),
        ("timeout = 60", "timeout = true", r"line 5, timeout: True is not a number"),
        ("timeout = 60", "timeout = nan", r"line 5, timeout: nan is not a number"),
        ('isolation = "any"', 'isolation = "none"', r"line 6, isolation: 'none' is not known"),
        ("lanes = false", 'lanes = "no"', r"line 7, lanes: 'no' is not true or false"),
        ("[source]", "[quelle]", r"line 1, source: missing"),
        ('kind = "sdist"', 'kind = "zip"', r"line 11, source\.kind: 'zip' is not known"),
        ('version = "1.0"', 'version = ">=1"', r"line 13, source\.version: '>=1' is not one exact"),
        ("0000", "00Z0", r"line 14, source\.sha256: .* is not 64 lower-case hexadecimal"),
        ('keep = ["tests"]', 'keep = ["../x"]', r"line 15, source\.keep: '\.\./x' is no path"),
        ('keep = ["tests"]', 'keep = ["/etc"]', r"line 15, source\.keep: '/etc' is no path"),
        ('keep = ["tests"]', 'kep = ["tests"]', r"line 15, source\.kep: no such key is known"),
        ('"pytest>=8"', '"-r x"', r"line 18, requirements\.in: '-r x' is no requirement"),
        ('"pytest>=8"', '"x @ file:///x"', r"line 18, requirements\.in: .* is no requirement"),
        ('files = ["tests"]', "files = []", r"line 23, pytest\.files: \[\] is no filled list"),
        ('files = ["tests"]', "files = [1]", r"line 23, pytest\.files: \[1\] is no list of texts"),
        ("{host}", "{hots}", r"line 22, pytest\.args: \{hots\} stands for nothing"),
        ('"{url}"', '"{uri}"', r"line 26, env\.DEMO_URL: \{uri\} stands for nothing"),
        ('"{url}"', "5", r"line 26, env\.DEMO_URL: 5 is not a text"),
        ("[topology.standalone]", "[topology.sentinel]", r"topology\.sentinel: no such key"),
        ('databases = "17"', "databases = 17", r"line 30, .*config\.databases: 17 is not a text"),
        ("7005]", "7004]", r"line 34, topology\.cluster\.ports: 6 for 6 nodes"),
        ("7005]", "70050]", r"line 34, topology\.cluster\.ports: .* holds no port"),
        ("replicas = 1", "replicas = -1", r"line 35, topology\.cluster\.replicas: -1 is no count"),
        ("replicas = 1", "", r"line 34, topology\.cluster\.ports: 6 for 3 nodes"),
        ("[profile.quick]", "[profile.quik]", r"line 37, profile\.quick: missing"),
        ('reason = "For', 'raison = "For', r"line 40, deviation\[0\]\.reason: missing"),
        ('reason = "For', 'x = 1\nreason = "For', r"line 42, deviation\[0\]\.x: no such key"),
        ("timeout = 60", "timeout = ", r"not TOML: .*line 5"),
    ],
)
def test_everything_wrong_is_told_with_file_key_and_line(
    tmp_path: Path, old: str, new: str, found: str
) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(UsageProblem, match=found) as caught:
        manifest.load(path)
    assert str(path) in caught.value.tried
    assert caught.value.next_step


def test_a_misspelt_key_gets_a_hint(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("timeout = 60", "timeout = 60\ntimeouts = 5"))
    with pytest.raises(UsageProblem) as caught:
        manifest.load(path)
    assert "did you mean 'timeout'?" in caught.value.next_step


def test_unreadable_files(tmp_path: Path) -> None:
    path = write(tmp_path, "")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageProblem, match="not UTF-8"):
        manifest.load(path)
    with pytest.raises(UsageProblem, match="No such file"):
        manifest.load(tmp_path / "none" / "suite.toml")
    with pytest.raises(UsageProblem, match="Is a directory"):
        manifest.load(tmp_path)


SUITES = sorted(path.parent.name for path in (fixtures_dir() / "suites").glob("*/suite.toml"))


@pytest.mark.parametrize("name", SUITES)
def test_the_shipped_suites(name: str) -> None:
    suite = library.load_all()[name]
    locked = pins(suite.requirements_lock)
    assert {"pytest"} <= set(locked)
    assert not {"redis", "valkey"} & set(locked), "the client comes with the client's own lock"
    assert "://" not in suite.requirements_lock
    assert suite.requirements_lock.count("--hash=sha256:") >= len(locked)
    assert suite.deviations
    assert suite.topologies


@pytest.mark.parametrize(
    ("client", "names"),
    [
        ("redis-py", {"async-timeout", "redis"}),
        ("valkey-py", {"async-timeout", "redis", "valkey"}),
    ],
)
def test_the_shipped_client_locks(client: str, names: set[str]) -> None:
    text = (fixtures_dir() / "clients" / f"{client}.lock").read_text()
    assert set(pins(text)) == names
    assert "://" not in text
    assert text.count("--hash=sha256:") >= len(names)
