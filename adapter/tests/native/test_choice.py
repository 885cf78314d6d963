"""Which engine is used, and how that is forced."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from glide_redis.native.engine import ENGINE_VARIABLE, choose


@pytest.mark.parametrize("name", ["accelerated", "portable"])
def test_a_name_gives_that_engine_every_time(name: str) -> None:
    assert choose(name).name == name
    assert choose(name) is choose(name)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ImportError, match=r"'fast'.*'accelerated' and 'portable'"):
        choose("fast")


def asked(before: str, **environment: str) -> str:
    """The name of a process's engine, or what is wrong."""
    program = f"""
import sys
from glide_redis.native.engine import engine
{before}
try:
    print(engine().name, engine() is engine())
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | environment,
    )
    return done.stdout


ABSENT = "sys.modules['glide_redis.native._accelerator'] = None"
OUTDATED = "from glide_redis.native import _accelerator; _accelerator.INTERFACE = 0"


def test_the_best_there_is_comes_without_being_asked_for() -> None:
    assert asked("", **{ENGINE_VARIABLE: ""}) == "accelerated True\n"
    assert asked(ABSENT, **{ENGINE_VARIABLE: ""}) == "portable True\n"
    assert asked(OUTDATED, **{ENGINE_VARIABLE: ""}) == "portable True\n"


def test_the_environment_forces_one() -> None:
    assert asked("", **{ENGINE_VARIABLE: "portable"}) == "portable True\n"
    assert asked("", **{ENGINE_VARIABLE: "accelerated"}) == "accelerated True\n"


@pytest.mark.parametrize("setting", [ABSENT, OUTDATED])
def test_an_engine_that_is_not_there_cannot_be_forced(setting: str) -> None:
    said = asked(setting, **{ENGINE_VARIABLE: "accelerated"})
    assert "extension module" in said
    assert "compiler" in said
