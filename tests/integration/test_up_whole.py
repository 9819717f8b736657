"""`hutong up` as a whole: three processes that live and die by themselves, calls answered throughout, a clean end."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from nodes import IPV4, PATIENCE, ScreenNode, settings_text, until
from sip_clients import FORGED, HONEST, UdpPeer, code_of, header_of

from e2e.processes import HUTONG, STARTING, free_port, running
from hutong.kernel.access.people import FIRST
from hutong.kernel.access.tokens import Tokens
from hutong.kernel.records.database import Database, database_url

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.enable_socket

NAMES = ("screen", "serve", "work")


class WholeNode(ScreenNode):
    """`hutong up` on a data folder of its own; `start` returns once all its processes are ready."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.page = f"http://{IPV4}:{free_port()}"
        listen = [f"{transport}:{IPV4}:{self.port}" for transport in ("udp", "tcp")]
        public = f"{IPV4}:{free_port()}"
        more = f'[serve]\nlisten = "{self.page.removeprefix("http://")}"\npublic_listen = "{public}"'
        text = settings_text(more=more)
        self.config.write_text(text.replace("[sip]\n", f"[sip]\nlisten = {listen}\n"), encoding="utf-8")
        self.command = [*HUTONG, "up", *self._common(self.config)]

    def pid_of(self, name: str) -> int:
        """The process number that its note names; 0 while there is none."""
        note = self.data / "run" / f"{name}.pid"
        try:
            return int(note.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return 0

    @property
    def pids(self) -> dict[str, int]:
        """All three."""
        return {name: self.pid_of(name) for name in NAMES}

    def token(self) -> str:
        """A token of the first administrator's that reads metrics."""
        database = Database(database_url("", self.data))
        database.open()
        try:
            now = time.time_ns() // 1_000_000
            return Tokens(database, 1).make(FIRST, "test", frozenset({"metrics.read"}), now + 3_600_000, now)[1]
        finally:
            database.close()

    def get(self, path: str, token: str = "") -> tuple[int, str]:
        """Status and text of a page."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # Without the environment's proxies: the page is on loopback.
        with httpx.Client(trust_env=False, timeout=PATIENCE, follow_redirects=True) as browser:
            answer = browser.get(self.page + path, headers=headers)
        return answer.status_code, answer.text


@pytest.fixture
def node(tmp_path: Path) -> Iterator[WholeNode]:
    it = WholeNode(tmp_path)
    with running(it):
        it.start()
        yield it


def alive(pid: int) -> bool:
    """Whether the process exists and is no mere remainder that its parent has not waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def answers(node: WholeNode, caller: str, seconds: float = PATIENCE) -> int:
    """The code of one call; 0 where nobody answers in time."""
    with UdpPeer((IPV4, node.port)) as peer:
        data = peer.invite(caller)
        peer.send(data)
        try:
            answer = peer.receive(seconds)
        except (AssertionError, ConnectionRefusedError):
            return 0
        assert header_of(answer, "Call-ID") == header_of(data, "Call-ID")
        return code_of(answer)


def test_a_whole_node_lives_through_the_loss_of_each_process_and_ends_cleanly(node: WholeNode) -> None:
    first = node.pids
    assert all(alive(pid) for pid in first.values())
    assert len(set(first.values())) == len(NAMES)
    assert (answers(node, HONEST), answers(node, FORGED)) == (302, 608)
    status, page = node.get("/")
    assert status == 200
    assert "护通" in page
    assert node.get("/readyz")[0] == 200
    assert node.get("/metrics")[0] == 401
    token = node.token()
    until(lambda: "hutong_" in node.get("/metrics", token)[1], PATIENCE, "metrics")

    # Screening dies, and comes back alone.
    os.kill(first["screen"], signal.SIGKILL)
    until(lambda: node.pid_of("screen") not in {0, first["screen"]}, STARTING, "screen is started again")
    assert node.get("/")[0] == 200  # people can look while calls are not screened
    until(lambda: answers(node, FORGED, 0.2) == 608, STARTING, "calls are answered again")
    second = node.pids
    assert {name: second[name] for name in ("serve", "work")} == {name: first[name] for name in ("serve", "work")}
    assert {verdict.code for verdict in node.verdicts()} == {302, 608}

    # The pages and the jobs die; no call notices.
    for name in ("serve", "work"):
        os.kill(second[name], signal.SIGKILL)
        assert (answers(node, HONEST), answers(node, FORGED)) == (302, 608)
    for name in ("serve", "work"):
        until(lambda name=name: node.pid_of(name) not in {0, second[name]}, STARTING, f"{name} is started again")
    third = node.pids
    assert third["screen"] == second["screen"]
    until(lambda: _serves(node), STARTING, "the page is served again")

    # A clean end.
    assert node.terminate(10.0) == 0
    assert not any(alive(pid) for pid in third.values())
    assert node.pids == dict.fromkeys(NAMES, 0)
    assert "Traceback" not in node.read_log()


def _serves(node: WholeNode) -> bool:
    try:
        return node.get("/")[0] == 200
    except httpx.TransportError:
        return False


def test_the_processes_do_not_outlive_their_supervisor(node: WholeNode) -> None:
    pids = node.pids
    node.kill()
    until(lambda: not any(alive(pid) for pid in pids.values()), PATIENCE, "all are gone")
