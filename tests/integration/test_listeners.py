"""The sockets of an edge: bound together, told apart by descriptor, refused with the setting that named them."""

from __future__ import annotations

import pytest

from hutong.calls.datagrams import DatagramSocket
from hutong.calls.listeners import Listeners
from hutong.calls.streams import StreamListener
from hutong.kernel.addresses import parse_listener
from hutong.kernel.errors import ConfigError

pytestmark = pytest.mark.enable_socket

EACH = [parse_listener(text) for text in ("tcp:127.0.0.1:0", "udp:127.0.0.1:0", "udp:[::1]:0")]


def test_each_descriptor_leads_to_its_socket_until_they_are_closed() -> None:
    it, watched = Listeners(EACH, "sip.listen"), list[int]()
    assert it.at(3) is None
    it.open(watched.append)
    assert [type(it.at(descriptor)) for descriptor in watched] == [DatagramSocket, DatagramSocket, StreamListener]
    assert [it.at(descriptor).port for descriptor in watched] == it.ports  # type: ignore[union-attr]  # just seen
    assert it.at(max(watched) + 1) is None
    assert it.dropped() == 0
    assert it.close()
    assert it.at(watched[0]) is None
    assert not it.close()


def test_a_port_that_is_held_is_refused_with_its_setting() -> None:
    held = Listeners(EACH[:1], "sip.listen")
    held.open(lambda _: None)
    asked = Listeners([parse_listener(f"tcp:127.0.0.1:{held.ports[0]}")], "mirror.listen")
    with pytest.raises(ConfigError, match=r"cannot listen on 127\.0\.0\.1 port \d+: Address already in use") as refused:
        asked.open(lambda _: None)
    assert refused.value.where == "mirror.listen"
    assert not asked.close()
    held.close()
