"""The address that is listened on."""

import socket

import pytest

from eyespot.errors import ServingError
from eyespot.serving.server import address_of, bind
from tests.serving.conftest import Running


def test_small_packets_are_sent_at_once(shared: Running):
    """Without that, head and body of an answer are 40 ms apart: the system waits for an acknowledgement in between."""
    assert shared.client.get("/health/live").status_code == 200
    (connection, *_) = shared.server.server_state.connections
    accepted = connection.transport.get_extra_info("socket")
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_address_is_what_a_browser_takes():
    """Also of IPv6."""
    with bind("127.0.0.1", 0) as taken:
        assert address_of(taken) == f"http://127.0.0.1:{taken.getsockname()[1]}"
    if socket.has_ipv6:
        with bind("::1", 0) as taken:
            assert address_of(taken) == f"http://[::1]:{taken.getsockname()[1]}"


@pytest.mark.parametrize("host", ["192.0.2.1", "no host"])
def test_an_address_of_another_machine(host: str):
    """One sentence."""
    with pytest.raises(ServingError, match="--host"):
        bind(host, 0)
