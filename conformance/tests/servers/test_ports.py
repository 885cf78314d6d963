"""Ports that nobody listens on."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slotproof.errors import EnvironmentProblem
from slotproof.servers import ports

_HOST = "127.0.0.1"


def test_is_free_sees_listeners_and_nothing_else() -> None:
    with socket.create_server((_HOST, 0)) as listener:
        port = listener.getsockname()[1]
        assert not ports.is_free(_HOST, port)
        with socket.create_connection((_HOST, port)) as client:
            server, _ = listener.accept()
            server.close()  # first to close: this side keeps the port in TIME_WAIT
            client.recv(1)
    assert ports.is_free(_HOST, port)


def test_free_ports_are_different_and_leave_room_for_the_bus() -> None:
    chosen = ports.free(1500, _HOST, bus=True)  # so many that a port meeting a bus port shows
    both = [*chosen.ports, *chosen.buses]
    assert len(set(both)) == 3000
    assert all(bus == port + 10000 for port, bus in zip(chosen.ports, chosen.buses, strict=True))
    assert max(both) < 32768


def test_no_port_on_an_address_that_is_not_here() -> None:
    with pytest.raises(EnvironmentProblem, match="only 0 between"):
        ports.free(1, "192.0.2.1", bus=False)  # TEST-NET-1: nobody's address


def test_given_ports_keep_their_usual_bus_port_where_it_is_free() -> None:
    port = ports.free(1, _HOST, bus=True).ports[0]
    assert ports.given([port], _HOST, bus=True).buses == (port + 10000,)
    with socket.create_server((_HOST, port + 10000)):
        (other,) = ports.given([port], _HOST, bus=True).buses
    assert other not in {port, port + 10000}


@given(st.lists(st.integers(1, 65535), unique=True, max_size=12))
def test_private_bus_ports_collide_with_nothing(given_ports: list[int]) -> None:
    buses = ports.private_buses(given_ports)
    assert len({*given_ports, *buses}) == 2 * len(given_ports)
    assert all(0 < bus <= 65535 for bus in buses)


def test_private_bus_ports_are_the_usual_ones_where_possible() -> None:
    assert ports.private_buses([7000, 7001]) == (17000, 17001)
