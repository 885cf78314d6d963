"""What the cluster holds at the end, and moving slots about."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from slotproof.chaos.migration import fill, migrate
from slotproof.chaos.outage import tags_within
from slotproof.chaos.readback import applied, owners, read_back
from slotproof.chaos.worker import increments, key_of
from slotproof.errors import EnvironmentProblem
from slotproof.inject.slotproof_resp import RespConnection
from slotproof.model import Topology
from slotproof.servers import embedded, spec
from slotproof.servers.deployment import Deployment, Node
from slotproof.servers.formation import slot_ranges
from slotproof.servers.state import slot_of


@pytest.mark.parametrize(
    ("write", "number", "value", "times"),
    [
        ("set", 7, None, 0),
        ("set", 7, b"7", 1),
        ("set", 7, b"8", 0),
        ("incr", 7, b"1", 1),
        ("incr", 7, b"3", 3),
        ("incr", 7, b"nonsense", 0),
        ("both", 6, b"6", 1),
        ("both", 7, b"2", 2),
    ],
)
def test_how_often_a_write_was_applied(
    write: str, number: int, value: bytes | None, times: int
) -> None:
    assert applied(write, number, value) == times


def test_no_two_writes_share_a_key_and_all_slots_get_both_kinds() -> None:
    tags = list(tags_within(*slot_ranges()[0], 8))
    keys = [key_of("a", tags, number) for number in range(500)]
    assert len(set(keys)) == len(keys)
    kinds = {(slot_of(key), increments("both", n)) for n, key in enumerate(keys)}
    assert kinds == {(slot_of(f"{{{tag}}}"), kind) for tag in tags for kind in (True, False)}


def test_tags_are_in_slots_of_one_primary_one_each() -> None:
    low, high = slot_ranges()[0]
    slots = [slot_of(f"{{{tag}}}") for tag in tags_within(low, high, 8)]
    assert len(set(slots)) == 8
    assert all(low <= slot <= high for slot in slots)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Three primaries."""
    program = embedded.binary(spec.find(spec.DEFAULT))
    folder = tmp_path_factory.mktemp("cluster")
    with embedded.start(program, Topology.CLUSTER, workdir=folder) as deployment:
        yield deployment


def connect(node: Node) -> RespConnection:
    """A connection to a node."""
    return RespConnection(node.host, node.port)


@pytest.mark.servers
def test_slots_move_with_all_their_keys_and_are_read_where_they_went(cluster: Deployment) -> None:
    tags = tags_within(*slot_ranges()[0], 3)
    slots = [slot_of(f"{{{tag}}}") for tag in tags]
    source, target, other = (connect(node) for node in cluster.primaries)
    with source, target, other:
        fill(source, tags, keys=25)
        for number in range(30):
            source.call("SET", key_of("subject", list(tags), number), number)
        source.call("DEL", key_of("subject", list(tags), 4))
        assert migrate(slots, source, target, [other]) == 3 * 25 + 29
        for view in (source, target, other):
            owner = {slot: at for low, high, at in owners(view) for slot in range(low, high + 1)}
            assert {owner[slot] for slot in slots} == {target.address}
        assert [source.call("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in slots] == [0, 0, 0]
    witness = (cluster.primaries[2].host, cluster.primaries[2].port)
    stored = read_back(witness, "subject", tags, "set", 31)
    assert stored == {number: int(number not in {4, 30}) for number in range(31)}


@pytest.mark.servers
def test_slots_that_cannot_be_read_are_a_problem_of_the_environment() -> None:
    with pytest.raises(EnvironmentProblem, match="cannot be read 0 s after"):
        read_back(("127.0.0.1", 1), "subject", ["a"], "set", 1, seconds=0)
