"""SIP over TCP for the screening loop: accepting, framing, sending, and the limits of each connection.

Single-threaded and non-blocking; what a message means is `reference`'s business.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

from hutong.protocols.sip import Ping, SipError, StreamReader
from hutong.protocols.sip.stream import PONG

if TYPE_CHECKING:
    from hutong.protocols.sip import Message

#: Connections at once; proxies keep a few each. One more is closed at once and counted.
MAX_CONNECTIONS = 1024
#: Bytes that may wait for a peer that does not read; beyond it the connection is closed.
_MAX_UNSENT = 1024 * 1024
#: Read from one connection at a turn, so that none starves the others.
_READ = 65536
_BACKLOG = 128
#: A connection that has been silent for this long is closed, ms. Proxies ping more often (RFC 5626 §4.4.1).
IDLE_MS = 30 * 60 * 1000

_Accepted = tuple[socket.socket, tuple[str, int]]


class Connection:
    """One accepted connection. ended: the peer has said everything, and may still listen."""

    def __init__(self, accepted: socket.socket, address: tuple[str, int], now_ms: int) -> None:
        self.socket = accepted
        self.address = address
        self.heard_ms = now_ms
        self.closing = self.ended = False
        self._reader = StreamReader()
        self._unsent = bytearray()

    def receive(self, now_ms: int) -> list[Message | SipError]:
        """What has arrived; sets `closing` when all is said and sent, or when framing or peer is lost."""
        try:
            data = self.socket.recv(_READ)
        except BlockingIOError:
            return []
        except OSError:
            self._give_up()
            return []
        if not data:
            self.ended = True
            self.closing = not self._unsent
            return []
        self.heard_ms = now_ms
        found: list[Message | SipError] = []
        for event in self._reader.feed(data):
            if isinstance(event, Ping):
                self.send(PONG)
            else:
                found.append(event)
        self.closing = self.closing or self._reader.broken
        return found

    def send(self, data: bytes) -> None:
        """Queue bytes and send what the network takes."""
        self._unsent += data
        self.flush()

    def flush(self) -> None:
        """Send what waits; a peer that lets too much pile up is given up."""
        try:
            while self._unsent:
                del self._unsent[: self.socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._give_up()
        if len(self._unsent) > _MAX_UNSENT:
            self._give_up()
        self.closing = self.closing or (self.ended and not self._unsent)

    def _give_up(self) -> None:
        self._unsent.clear()
        self.closing = True

    @property
    def waiting(self) -> bool:
        """Whether bytes wait for the peer to read."""
        return bool(self._unsent)

    def close(self) -> None:
        """End it."""
        self.socket.close()


class StreamListener:
    """One listening TCP socket."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.asked_port = host, port
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Listen. Raises OSError."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_STREAM)
        try:
            opened.setblocking(False)  # noqa: FBT003  # the standard library's own signature
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            opened.bind((self.host, self.asked_port))
            opened.listen(_BACKLOG)
        except OSError:
            opened.close()
            raise
        self._socket = opened

    @property
    def socket(self) -> socket.socket:
        """The socket; only while open."""
        assert self._socket is not None  # noqa: S101  # callers hold an open server
        return self._socket

    @property
    def port(self) -> int:
        """The bound port."""
        return int(self.socket.getsockname()[1])

    def accept(self, now_ms: int) -> Connection | None:
        """The next waiting connection, if any."""
        found = self.accept_socket()
        return None if found is None else Connection(*found, now_ms)

    def accept_socket(self) -> _Accepted | None:
        """The next waiting connection's socket and where it comes from, if any."""
        with contextlib.suppress(OSError):
            accepted, address = self.socket.accept()
            accepted.setblocking(False)  # noqa: FBT003  # the standard library's own signature
            with contextlib.suppress(OSError):
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return accepted, (address[0], address[1])
        return None

    def close(self) -> None:
        """Stop listening."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
