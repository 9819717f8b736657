"""The shipped configuration, and the peer of the benchmarks, as Kamailio itself reads them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from processes import ROOT
from sip_peers import SHIPPED, needs

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.peer, needs("kamailio")]

LISTING = SHIPPED.with_name("dispatcher.list")
PEER = ROOT / "bench" / "kamailio_peer.cfg"


def _check(config: Path, *arguments: str) -> str:
    command = ["kamailio", "-c", "-f", str(config), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "config file ok" in done.stdout + done.stderr
    return done.stdout + done.stderr


def test_it_listens_on_loopback_only_until_told_otherwise() -> None:
    said = _check(SHIPPED, "-A", f'NODES="{LISTING}"')
    listening = said.split("Listening on", 1)[1].split("Aliases", 1)[0].split()
    assert listening == ["udp:", "127.0.0.1", "[127.0.0.1]:5070"]


def test_tcp_and_ipv6_are_added_by_name() -> None:
    names = {
        "NODES": f'"{LISTING}"',
        "LISTEN_TCP": "tcp:127.0.0.1:5070",
        "LISTEN_IPV6": "udp:[::1]:5070",
        "NEXT_HOP": '"127.0.0.1:5999"',
        "ANSWER_WITHIN": "200",
    }
    said = _check(SHIPPED, *(word for name, value in names.items() for word in ("-A", f"{name}={value}")))
    assert "tcp: 127.0.0.1" in said
    assert "udp: ::1" in said


def test_the_benchmarks_peer_is_a_right_configuration() -> None:
    _check(PEER, "-l", "udp:127.0.0.1:5071")
