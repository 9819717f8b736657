"""The other side of a SIP conversation: sockets on loopback that send bytes as they are told and read what comes back.

Responses are told apart here with a few lines of their own, not with the codec under test.
"""

from __future__ import annotations

import itertools
import re
import socket
import time
from typing import TYPE_CHECKING, Self

from nodes import IPV4, PATIENCE

from engines import NEIGHBOUR, invite

if TYPE_CHECKING:
    from collections.abc import Iterable

FORGED, HONEST = "4008123456", "13800138000"
_serial = itertools.count(1)


def code_of(response: bytes) -> int:
    """The status of a response."""
    found = re.match(rb"SIP/2\.0 (\d{3}) ", response)
    assert found, response[:200]
    return int(found[1])


def header_of(response: bytes, name: str) -> str:
    """The value of the first header of this name; empty where there is none."""
    found = re.search(rf"^{name}: (.*)\r$".encode(), response, re.MULTILINE)
    return found[1].decode("utf-8", "replace") if found else ""


def new_call() -> str:
    """A name for a call that no other has."""
    return f"i{next(_serial)}"


class Peer:
    """Where a client stands: its own address goes into the Via of what it sends."""

    transport = ""

    def __init__(self, server: tuple[str, int]) -> None:
        self.server = server
        self.family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def socket(self) -> socket.socket:
        """The open socket."""
        assert self._socket is not None
        return self._socket

    @property
    def port(self) -> int:
        """Its own port."""
        return int(self.socket.getsockname()[1])

    def close(self) -> None:
        """Let it go."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def invite(
        self,
        caller: str = HONEST,
        callee: str = "13900139000",
        *,
        call: str = "",
        source: str = NEIGHBOUR,
        via_port: int = 0,
        rport: bool = False,
        **more: object,
    ) -> bytes:
        """An INVITE from here. `via_port`: a port that the Via names in place of the own one."""
        call = call or new_call()
        return invite(caller, callee, call=call, source=source, via=self._via(call, via_port, rport), **more)  # type: ignore[arg-type]

    def request(self, method: str, *, call: str = "", to_tag: str = "") -> bytes:
        """Another request from here, of the call `call` where one is meant."""
        text = self.invite(call=call, body="").decode().replace("INVITE", method)
        return re.sub(r"^(To: .*)\r$", rf"\1{to_tag}\r", text, flags=re.MULTILINE).encode()

    def ack(self, response: bytes, call: str) -> bytes:
        """The ACK for a final answer to the call `call`."""
        return self.request("ACK", call=call, to_tag=";tag=" + header_of(response, "To").rpartition("tag=")[2])

    def _via(self, call: str, port: int, rport: bool) -> str:  # noqa: FBT001  # private, named by its callers
        host = "[::1]" if self.family == socket.AF_INET6 else IPV4
        mark = ";rport" if rport else ""
        return f"Via: SIP/2.0/{self.transport} {host}:{port or self.port};branch=z9hG4bK-{call}{mark}"


class UdpPeer(Peer):
    """A UDP socket on loopback."""

    transport = "UDP"

    def __init__(self, server: tuple[str, int]) -> None:
        super().__init__(server)
        self._asked: set[str] = set()
        self._socket = socket.socket(self.family, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._socket.bind((server[0], 0))

    @staticmethod
    def sample() -> bytes:
        """An ordinary INVITE that some other proxy might send."""
        return invite(call="sample", via="Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK-sample")

    def send(self, *datagrams: bytes) -> None:
        """Send each."""
        for data in datagrams:
            self.socket.sendto(data, self.server)

    def receive(self, seconds: float = PATIENCE) -> bytes:
        """The next datagram."""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(65535)
        except TimeoutError:
            raise AssertionError(f"no answer within {seconds} s") from None

    def ask(self, data: bytes) -> bytes:
        """Send a request and wait for the next datagram that does not repeat the answer to an earlier call.

        A refusal that nobody acknowledges is said again after half a second (RFC 3261 §17.2.1).
        """
        call = header_of(data, "Call-ID")
        earlier = self._asked - {call}
        self._asked.add(call)
        self.send(data)
        while header_of(answer := self.receive(), "Call-ID") in earlier:
            pass
        return answer

    def pending(self) -> list[bytes]:
        """What has come and was not read yet; waits for nothing."""
        self.socket.settimeout(0)
        found = []
        try:
            while True:
                found.append(self.socket.recv(65535))
        except BlockingIOError:
            return found

    def answer_to(self, data: bytes, seconds: float = PATIENCE) -> tuple[bytes, list[bytes]]:
        """Send a request with a Call-ID of its own: its answer, and what came before it."""
        wanted = header_of(data, "Call-ID")
        self.send(data)
        before = []
        while header_of(one := self.receive(seconds), "Call-ID") != wanted:
            before.append(one)
        return one, before


class TcpPeer(Peer):
    """A TCP connection to the node."""

    transport = "TCP"

    def __init__(self, server: tuple[str, int], *, receive_buffer: int = 0) -> None:
        super().__init__(server)
        self._socket = socket.socket(self.family, socket.SOCK_STREAM)
        if receive_buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(PATIENCE)
        self._socket.connect(server)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = b""

    def send(self, data: bytes) -> None:
        """Send it whole."""
        self.socket.sendall(data)

    def send_in_pieces(self, pieces: Iterable[bytes]) -> None:
        """Send each piece by itself; stops where the other side has closed."""
        try:
            for piece in pieces:
                self.socket.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            return

    def receive(self, seconds: float = PATIENCE) -> bytes:
        """The next response, or the next keep-alive answer; fails at the end of the stream."""
        deadline = time.monotonic() + seconds
        while (taken := self._take()) is None:
            self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                raise AssertionError(f"no answer within {seconds} s, only {self._read!r}") from None
            assert data, f"closed, with {self._read!r} left"
            self._read += data
        return taken

    def ask(self, data: bytes) -> bytes:
        """Send a request and wait for the next response."""
        self.send(data)
        return self.receive()

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def rest(self, seconds: float = PATIENCE) -> list[bytes]:
        """Every response until the other side closes."""
        self.socket.settimeout(seconds)
        try:
            while data := self.socket.recv(65536):
                self._read += data
        except ConnectionResetError:
            pass
        except TimeoutError:
            raise AssertionError(f"not closed within {seconds} s") from None
        found = []
        while (one := self._take()) is not None:
            found.append(one)
        return found

    def _take(self) -> bytes | None:
        """The first whole response out of what was read. Answers of this server have no body."""
        if self._read.startswith(b"\r\n"):
            self._read = self._read[2:]
            return b"\r\n"
        head, end, rest = self._read.partition(b"\r\n\r\n")
        if not end:
            return None
        self._read = rest
        return head + end
