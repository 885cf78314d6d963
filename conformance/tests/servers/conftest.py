"""Server binaries, fetched once a session through the user's own pip and cache."""

from collections.abc import Callable

import pytest

from slotproof.servers import embedded, spec
from slotproof.servers.embedded import ServerBinary


@pytest.fixture(scope="session")
def binary_of() -> Callable[[str], ServerBinary]:
    """Return the binary of a server by name."""
    return lambda name: embedded.binary(spec.find(name))


@pytest.fixture(scope="session")
def valkey(binary_of: Callable[[str], ServerBinary]) -> ServerBinary:
    """The default server's binary."""
    return binary_of(spec.DEFAULT)
