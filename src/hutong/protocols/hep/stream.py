"""Packets out of a byte stream, however it is cut. The shell reads, feeds and closes."""

from __future__ import annotations

from hutong.protocols.hep.packet import MAGIC

_LENGTH_AT, _HEADER = 4, 6


class StreamReader:
    """Cuts one connection's bytes into packets. Holds at most one unfinished packet: less than 64 KiB.

    Once a packet does not begin with HEP3, or says that it is shorter than its own header, nobody knows where the next
    one begins: the reader is `broken` and everything that comes later is dropped.
    """

    def __init__(self) -> None:
        self.broken = False
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes as they arrived; give the whole packets that they completed, in order. Empty once `broken`."""
        if self.broken:
            return []
        data = self._rest + data
        found, at, end = [], 0, len(data)
        while end - at >= _HEADER:
            length = int.from_bytes(data[at + _LENGTH_AT : at + _HEADER], "big")
            if not data.startswith(MAGIC, at) or length < _HEADER:
                self.broken = True
                break
            if end - at < length:
                break
            found.append(data[at : at + length])
            at += length
        self._rest = b"" if self.broken else data[at:]
        if not MAGIC.startswith(self._rest[:_LENGTH_AT]):
            # Junk that is too short for a header must not be waited on.
            self.broken, self._rest = True, b""
        return found
