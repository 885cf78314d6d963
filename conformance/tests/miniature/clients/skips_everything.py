"""Skips where it should run."""

import pytest
from tiny_redis import Redis, install


class SkipsEverything(Redis):
    def execute(self, *args):
        pytest.skip("not today")


install(SkipsEverything)
