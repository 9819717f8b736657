"""A whole node under systemd's protocol: one message, when every process of it is ready."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from nodes import IPV4, settings_text

from e2e.processes import HUTONG, STARTING, Process, free_port, running
from hutong.kernel.readiness import NOTIFY_MESSAGE, NOTIFY_VARIABLE

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.enable_socket


def test_hutong_up_tells_systemd_once_that_the_node_is_ready(tmp_path: Path) -> None:
    sip, web, public = free_port(), free_port(), free_port()
    text = settings_text().replace("[sip]", f'[sip]\nlisten = ["udp:{IPV4}:{sip}"]')
    serve = f'\n[serve]\nlisten = "{IPV4}:{web}"\npublic_listen = "{IPV4}:{public}"\n'
    (tmp_path / "hutong.toml").write_text(text + serve, encoding="utf-8")
    name = str(tmp_path / "notify")
    command = [*HUTONG, "up", "--config", str(tmp_path / "hutong.toml"), "--data", str(tmp_path / "data")]
    node = Process("up", command, tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end, running(node):
        end.bind(name)
        end.settimeout(STARTING)
        node.launch(env={NOTIFY_VARIABLE: name})
        assert end.recv(100) == NOTIFY_MESSAGE
        assert "all processes are ready" in node.tail()
        node.stop()
        end.settimeout(0)
        with pytest.raises(BlockingIOError):
            end.recv(100)
