"""Replies of CLUSTER NODES and INFO, and slots by the examples of the specification."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slotproof.servers.state import (
    SLOTS,
    key_in,
    parse_info,
    parse_nodes,
    product_and_version,
    slot_of,
)

_NODES = (
    "07c3 127.0.0.1:30004@31004,host slave e7d1 0 1426238317239 4 connected\n"
    "67ed 127.0.0.1:30002@31002 master - 0 1426238316232 2 connected 5461-10922 [93-<-292f]\n"
    "292f 127.0.0.1:30003@31003 master,fail? - 0 1426238318243 3 disconnected 10923-16383 7\n"
    "e7d1 :30001@31001 myself,master - 0 0 1 connected\n"
)


@pytest.mark.parametrize(
    ("key", "slot"),
    [
        ("123456789", 0x31C3),  # the check value that the cluster specification gives for CRC16
        ("foo", 12182),
        ("{user1000}.following", slot_of("user1000")),
        ("foo{}{bar}", slot_of("foo{}{bar}")),
        ("foo{{bar}}zap", slot_of("{bar")),
        ("foo{bar}{zap}", slot_of("bar")),
    ],
)
def test_slot_of_follows_the_specification(key: str, slot: int) -> None:
    assert slot_of(key) == slot


def test_an_empty_hash_tag_is_no_hash_tag() -> None:
    assert slot_of("foo{}{bar}") != slot_of("bar")
    assert slot_of("{}a") != slot_of("{}b")


@given(st.integers(0, SLOTS - 1))
def test_key_in_hits_its_slot(slot: int) -> None:
    assert slot_of(key_in(slot)) == slot


def test_parse_nodes_reads_flags_links_and_slots() -> None:
    replica, primary, failing, myself = parse_nodes(_NODES)
    assert (replica.is_primary, replica.primary_id, replica.slots) == (False, "e7d1", 0)
    assert (primary.slots, primary.first_slot, primary.port) == (5462, 5461, 30002)
    assert (failing.slots, failing.first_slot, failing.linked) == (5462, 7, False)
    assert "fail?" in failing.flags
    assert (myself.host, myself.first_slot) == ("", None)


def test_parse_info_skips_headings() -> None:
    assert parse_info("# Server\r\nvalkey_version:8.1.8\r\n\r\nos:Linux 6 a:b\r\n") == {
        "valkey_version": "8.1.8",
        "os": "Linux 6 a:b",
    }


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ({"valkey_version": "8.1.8", "redis_version": "7.2.4"}, ("valkey", "8.1.8")),
        ({"redis_version": "8.2.3"}, ("redis", "8.2.3")),
        ({}, ("redis", "unknown")),
    ],
)
def test_product_and_version(server: dict[str, str], expected: tuple[str, str]) -> None:
    assert product_and_version(server) == expected
