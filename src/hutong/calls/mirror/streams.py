"""HEP over TCP for the screening loop: accepting, cutting into packets, and the limits of each connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.protocols.hep import StreamReader

if TYPE_CHECKING:
    import socket

#: Connections at once; a sender keeps one or a few. One more is closed at once and counted.
MAX_CONNECTIONS = 256
#: Read from one connection at a turn: about as much as a batch of datagrams.
_READ = 65536


class MirrorConnection:
    """One sender's connection."""

    def __init__(self, accepted: socket.socket, now_ms: int) -> None:
        self.socket = accepted
        self.heard_ms = now_ms
        self.closing = False
        self._reader = StreamReader()

    @property
    def broken(self) -> bool:
        """Whether something else than HEP came."""
        return self._reader.broken

    def receive(self, now_ms: int) -> list[bytes]:
        """The whole packets that have arrived; sets `closing` at the end, and when nothing more can be read."""
        try:
            data = self.socket.recv(_READ)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self.closing = True
            return []
        self.heard_ms = now_ms
        packets = self._reader.feed(data)
        self.closing = self._reader.broken
        return packets

    def close(self) -> None:
        """End it."""
        self.socket.close()
