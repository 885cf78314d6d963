"""The server files: what is published loads, and whatever is wrong is named by file and key."""

from pathlib import Path

import pytest

from slotproof.errors import Exit, UsageProblem
from slotproof.servers import spec

_GOOD = """
title = "Valkey 1.2.3"
product = "valkey"
version = "1.2.3"
licence = "BSD-3-Clause"
[wheel]
name = "some-wheel"
version = "1"
licence = "MIT"
[[wheel.file]]
system = "linux"
machine = "x86_64"
filename = "some_wheel-1-py3-none-any.whl"
tag = "py3-none-any"
sha256 = "{sha}"
binary = "bin/valkey-server"
[[bug]]
title = "memory"
versions = "1.2"
effect = "forgets"
reproduce = "GET x"
""".format(sha="a" * 64)


def _write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_the_published_servers() -> None:
    specs = spec.load_all()
    assert next(iter(specs)) == spec.DEFAULT
    assert set(specs) == {"valkey-8.1", "valkey-9.1", "redis-8.2", "path"}
    versions = {name: (s.product, s.version) for name, s in specs.items()}
    assert versions["valkey-8.1"] == ("valkey", "8.1.8")
    assert versions["valkey-9.1"] == ("valkey", "9.1.2")
    assert versions["redis-8.2"] == ("redis", "8.2.3")
    assert specs["path"].wheel is None
    assert not specs["valkey-8.1"].bugs
    assert "non local key" in specs["valkey-9.1"].bugs[0].effect


@pytest.mark.parametrize("name", ["valkey-8.1", "valkey-9.1", "redis-8.2"])
def test_every_published_file_is_one_platform_and_one_hash(name: str) -> None:
    wheel = spec.find(name).wheel
    assert wheel is not None
    assert len({(f.system, f.machine) for f in wheel.files}) == len(wheel.files)
    assert len({f.sha256 for f in wheel.files}) == len(wheel.files)
    for file in wheel.files:
        # pip looks for the tag; a wheel's file name carries all of its tags.
        interpreter, abi, platform = file.tag.split("-")
        assert f"-{interpreter}-{abi}-{platform}" in file.filename
        assert file.filename.startswith(f"{wheel.name.replace('-', '_')}-{wheel.version}-")


def test_a_good_file_loads(tmp_path: Path) -> None:
    loaded = spec.load(_write(tmp_path, _GOOD))
    assert (loaded.name, loaded.version, loaded.bugs[0].effect) == ("mine", "1.2.3", "forgets")
    file = loaded.file_for("linux", "x86_64")
    assert file is not None
    assert (file.binary, file.cli) == ("bin/valkey-server", None)
    assert loaded.file_for("linux", "riscv64") is None


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('title = "Valkey 1.2.3"', "", "title: missing"),
        ('title = "Valkey 1.2.3"', "title = 3", "title: 3 is not a text"),
        ('product = "valkey"', 'product = "valky"', "product: unknown value 'valky'"),
        ('version = "1.2.3"', 'version = "1.2"', "version: '1.2' is not a version"),
        ('licence = "MIT"', 'license = "MIT"', "wheel.licence: missing"),
        ('sha256 = "a', 'sha256 = "', "wheel.file[0].sha256"),
        ('binary = "bin/', 'binary = "../', "wheel.file[0].binary"),
        ('machine = "x86_64"', 'machine = "pdp11"', "wheel.file[0].machine"),
        ("[[wheel.file]]", "[[wheel.files]]", "wheel.file: missing"),
        ("[wheel]", "[whel]", "wheel.name: missing"),
        ('effect = "forgets"', 'effekt = "forgets"', "bug[0].effect: missing"),
        ('reproduce = "GET x"', 'reproduce = "GET x"\nwhen = "now"', "bug[0].when: unknown key"),
    ],
)
def test_a_wrong_file_is_named_with_its_key(tmp_path: Path, old: str, new: str, key: str) -> None:
    path = _write(tmp_path, _GOOD.replace(old, new, 1))
    with pytest.raises(UsageProblem) as caught:
        spec.load(path)
    message = caught.value.render()
    assert str(path) in message
    assert f"key {key}" in message
    assert caught.value.exit_code is Exit.USAGE


@pytest.mark.parametrize("text", ["title = ", "[wheel", "a = 1\na = 2\n"])
def test_unreadable_toml_is_named_with_its_line(tmp_path: Path, text: str) -> None:
    path = _write(tmp_path, text)
    with pytest.raises(UsageProblem, match=r"line \d|end of document") as caught:
        spec.load(path)
    assert str(path) in caught.value.render()


def test_bytes_that_are_no_text_are_a_usage_problem(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"title = '\xff'")
    with pytest.raises(UsageProblem, match=r"mine\.toml"):
        spec.load(path)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [("valkey-8.2", "did you mean 'valkey-8.1'?"), ("redis", "did you mean 'redis-8.2'?")],
)
def test_an_unknown_server_gets_a_suggestion(wrong: str, hint: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        spec.find(wrong)
    assert hint in caught.value.next_step
    assert "slotproof list" in caught.value.next_step


def test_a_name_like_no_other_gets_the_list() -> None:
    with pytest.raises(UsageProblem) as caught:
        spec.find("zzz")
    assert "did you mean" not in caught.value.next_step
    assert "valkey-9.1" in caught.value.next_step
