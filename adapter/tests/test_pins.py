"""The installed distributions are those that the adapter is built on."""

from importlib import metadata
from importlib.resources import files

import pytest
from packaging.requirements import Requirement

import glide_redis

REQUIREMENTS = [Requirement(line) for line in metadata.requires("glide-redis") or ()]


def test_the_version_is_the_distributions_own() -> None:
    assert metadata.version("glide-redis") == glide_redis.__version__


def test_redis_py_and_both_glide_clients_are_required() -> None:
    assert {requirement.name for requirement in REQUIREMENTS} == {
        "redis",
        "valkey-glide",
        "valkey-glide-sync",
    }


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda requirement: requirement.name)
def test_a_requirement_is_an_exact_pin_and_is_installed(requirement: Requirement) -> None:
    assert [clause.operator for clause in requirement.specifier] == ["=="]
    assert metadata.version(requirement.name) in requirement.specifier


def test_both_glide_clients_are_of_one_version() -> None:
    # Both wheels ship the package glide_shared: whichever was installed last wins.
    pins = {str(r.specifier) for r in REQUIREMENTS if r.name.startswith("valkey-glide")}
    assert len(pins) == 1


def test_type_checkers_are_told_that_the_package_is_typed() -> None:
    assert files("glide_redis").joinpath("py.typed").is_file()
