"""Settings that are wrong: one line says where and what to do, the status is 1, and what runs goes on."""

from __future__ import annotations

import socket
import subprocess
from typing import TYPE_CHECKING

import pytest
from nodes import IPV4, ScreenNode, settings_text
from sip_clients import FORGED, UdpPeer, code_of

from e2e.processes import HUTONG, running
from hutong.app.cli import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.enable_socket

_FAILED = 1
_SECONDS = 60


def refused(*arguments: str) -> list[str]:
    """Run a command that must refuse to start; the lines of its standard error."""
    done = subprocess.run([*HUTONG, *arguments], capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert done.returncode == _FAILED, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()


def screen(*arguments: str) -> list[str]:
    """The same of a screening process."""
    return refused("calls", "screen", *arguments)


BAD = {
    "an unknown key": ("[sip]\nnxt_hop = 'a:1'\n", ":2: ", "next_hop"),
    "an unknown section": ("[spi]\nnext_hop = 'a:1'\n", ":1: ", "sip"),
    "a bad network": ("[[trunks]]\nname = 'x'\nkind = 'local'\nnetworks = ['10.0.0.1/8']\n", ":4: ", "10.0.0.0/8"),
    "a bad listener": ("[sip]\nlisten = ['sctp:127.0.0.1:5060']\n", ":2: ", "udp:"),
    "a wrong type": ("[calls]\n\nbudget_ms = 'soon'\n", ":3: ", "integer"),
    "no TOML": ("[sip]\nlisten = [\n", ":", "line"),
}


@pytest.mark.parametrize("what", list(BAD))
def test_a_bad_settings_file_is_named_with_its_line_and_what_to_do(
    tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text, place, advice = BAD[what]
    file, data = tmp_path / "hutong.toml", tmp_path / "data"
    file.write_text(text, encoding="utf-8")
    assert run(["calls", "screen", "--config", str(file), "--data", str(data)]) == _FAILED
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{file}{place}")
    assert advice in line
    assert not data.exists()


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "hutong.toml"
    file.write_text("[calls]\nbudget_ms = 0\nnight_form = 3\n", encoding="utf-8")
    assert [line.partition(": ")[0] for line in screen("--config", str(file))] == [f"{file}:3", f"{file}:2"]


def test_a_missing_settings_file_is_named(tmp_path: Path) -> None:
    (line,) = screen("--config", str(tmp_path / "none.toml"), "--data", str(tmp_path / "data"))
    assert "none.toml" in line
    assert "--config" in line


def test_a_listener_that_is_none_is_refused(tmp_path: Path) -> None:
    (line,) = screen("--data", str(tmp_path / "data"), "--listen", "udp:127.0.0.1")
    assert "'127.0.0.1' is not host:port" in line


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScreenNode]:
    it = ScreenNode(tmp_path_factory.mktemp("running"))
    with running(it):
        it.start()
        yield it


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_port_in_use_is_named_and_its_holder_left_alone(node: ScreenNode, tmp_path: Path, transport: str) -> None:
    *_, line = screen("--data", str(tmp_path / "data"), "--listen", f"{transport}:{IPV4}:{node.port}")
    assert str(node.port) in line
    assert "in use" in line
    assert "sip.listen" in line
    with UdpPeer((IPV4, node.port)) as peer:
        assert code_of(peer.ask(peer.invite(FORGED))) == 608


def test_a_second_node_on_the_same_data_is_refused_and_the_first_goes_on(node: ScreenNode, tmp_path: Path) -> None:
    file = tmp_path / "hutong.toml"
    file.write_text(settings_text(), encoding="utf-8")
    *_, line = screen("--data", str(node.data), "--config", str(file), "--listen", f"udp:{IPV4}:0")
    assert str(node.pid) in line
    with UdpPeer((IPV4, node.port)) as peer:
        assert code_of(peer.ask(peer.invite(FORGED))) == 608


def test_an_address_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    *_, line = screen("--data", str(tmp_path / "data"), "--listen", "udp:192.0.2.1:5060")
    assert "192.0.2.1" in line
    assert "sip.listen" in line


def test_data_in_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (line,) = screen("--data", str(tmp_path / "file" / "data"), "--listen", f"udp:{IPV4}:0")
    assert str(tmp_path / "file") in line
    assert "--data" in line


def test_a_bad_rule_file_at_the_first_start_is_named_with_its_line(tmp_path: Path) -> None:
    rules = tmp_path / "data" / "rules"
    rules.mkdir(parents=True)
    (rules / "own.yaml").write_text("id: own.x\nversion: one\n", encoding="utf-8")
    lines = screen("--data", str(tmp_path / "data"), "--listen", f"udp:{IPV4}:0")
    assert any(f"{rules / 'own.yaml'}:2" in line for line in lines)


def test_pages_are_not_served_where_somebody_else_listens(tmp_path: Path) -> None:
    file = tmp_path / "hutong.toml"
    with socket.create_server((IPV4, 0)) as other:
        taken = f"{IPV4}:{other.getsockname()[1]}"
        file.write_text(f'[serve]\nlisten = "{taken}"\n', encoding="utf-8")
        *_, line = refused("serve", "--config", str(file), "--data", str(tmp_path / "data"))
    assert taken in line
    assert "in use" in line
    assert "[serve]" in line
