"""A node that takes mirrored signalling at real sockets, and a probe that sends it."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING, Self

from nodes import IPV4, IPV6, PATIENCE, ScreenNode

from e2e.processes import free_port
from hutong.calls.outcomes import decode_outcome
from hutong.calls.record import KIND_OUTCOME
from hutong.kernel.journal import FileJournal
from mirrored import hep

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.calls.outcomes import Outcome


class MirrorNode(ScreenNode):
    """A node that takes HEP at one port, over UDP and TCP on both families."""

    def __init__(self, folder: Path, *, key: bytes = b"", wait_ms: int = 0, more: str = "") -> None:
        self.hep = free_port()
        listens = [f"{transport}:{host}:{self.hep}" for transport in ("udp", "tcp") for host in (IPV4, f"[{IPV6}]")]
        more += f'[mirror]\nlisten = {listens}\nkey = "{key.decode()}"\nwait_ms = {wait_ms}\ncalls = 4096\n'
        super().__init__(folder, more=more)

    def outcomes(self) -> list[Outcome]:
        journal = FileJournal(self.data / "journal")
        journal.open()
        try:
            return [decode_outcome(it.seq, it.body) for it in journal.read(1) if it.kind == KIND_OUTCOME]
        finally:
            journal.close()

    def await_outcomes(self, count: int) -> list[Outcome]:
        found: list[Outcome] = []

        def look() -> bool:
            found[:] = self.outcomes()
            return len(found) >= count

        self.wait_until(look, PATIENCE)
        assert len(found) == count
        return found


class Sender:
    """A probe: sends HEP to the node."""

    def __init__(self, node: MirrorNode, *, host: str = IPV4, stream: bool = False, key: bytes = b"") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
        self._socket.connect((host, node.hep))
        self._key = key

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, *messages: bytes, **more: object) -> None:
        for message in messages:
            self.send_raw(hep(message, time.time_ns() // 1000, key=self._key, **more))

    def send_raw(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except ConnectionRefusedError:  # what an earlier packet met at a node that was down; this one was not sent
            with contextlib.suppress(ConnectionRefusedError):
                self._socket.sendall(data)
