"""Messages out of a byte stream (RFC 3261 §18.3), however it is cut. The shell reads, feeds and closes."""

from __future__ import annotations

import msgspec

from hutong.protocols.sip.errors import SipError
from hutong.protocols.sip.grammar import read_integer
from hutong.protocols.sip.head import Head, split_head
from hutong.protocols.sip.message import MAX_MESSAGE, Message, read_message, refusal

#: What to send back for a `Ping` (RFC 5626 §4.4.1).
PONG = b"\r\n"


class Ping(msgspec.Struct, frozen=True):
    """A keep-alive, CRLF CRLF between messages: answer with `PONG`."""


class StreamReader:
    """Cuts one connection's bytes into messages.

    Holds at most one unfinished message, never more than MAX_MESSAGE bytes of it. A malformed message whose
    length is known costs only itself. Once the length is in doubt the error is `fatal` and the reader is
    `broken`: everything that comes later is dropped, because anything could be smuggled in it as a message of
    its own.
    """

    def __init__(self) -> None:
        self.broken = False
        self._buffer = bytearray()
        self._searched = 0
        self._head: Head | None = None
        self._needed = 0

    def feed(self, data: bytes) -> list[Message | SipError | Ping]:
        """Take bytes as they arrived; give what they completed, in order. Empty once `broken`."""
        found: list[Message | SipError | Ping] = []
        # Cutting the input keeps the buffer below two pieces of MAX_MESSAGE whatever the shell reads at once.
        for at in range(0, len(data), MAX_MESSAGE):
            if self.broken:
                break
            self._buffer += data[at : at + MAX_MESSAGE]
            while not self.broken and (event := self._next()) is not None:
                found.append(event)
        if self.broken:
            self._buffer.clear()
        return found

    def _next(self) -> Message | SipError | Ping | None:
        if self._head is None:
            if self._skip_line_ends():
                return Ping()
            if not self._buffer or self._buffer == b"\r":
                return None
            try:
                if not self._find_head():
                    return None
            except SipError as error:
                return self._break(error)
        return self._take_message()

    def _skip_line_ends(self) -> bool:
        """Drop CRLFs before a start line (RFC 3261 §7.5); True when two of them were a keep-alive."""
        buffer = self._buffer
        if buffer.startswith(b"\r\n\r\n"):
            del buffer[:4]
            return True
        if buffer.startswith(b"\r\n") and not b"\r\n\r\n".startswith(buffer):
            del buffer[:2]
        return False

    def _find_head(self) -> bool:
        if self._buffer.startswith(b"\r\n"):
            return False
        end = self._buffer.find(b"\r\n\r\n", self._searched)
        if end < 0:
            self._searched = max(0, len(self._buffer) - 3)
            if len(self._buffer) > MAX_MESSAGE:
                raise SipError(f"no end of the headers within {MAX_MESSAGE} bytes", status=513)
            return False
        head = split_head(bytes(self._buffer[:end]))
        del self._buffer[: end + 4]
        self._searched = 0
        try:
            self._needed = _body_length(head)
        except SipError as error:
            raise refusal(head, error) from None
        if end + 4 + self._needed > MAX_MESSAGE:
            raise refusal(head, SipError(f"the message is longer than {MAX_MESSAGE} bytes", status=513))
        self._head = head
        return True

    def _take_message(self) -> Message | SipError | None:
        head = self._head
        if head is None or len(self._buffer) < self._needed:
            return None
        body = bytes(self._buffer[: self._needed])
        del self._buffer[: self._needed]
        self._head = None
        try:
            return read_message(head, body)
        except SipError as error:
            return error

    def _break(self, error: SipError) -> SipError:
        self.broken = True
        error.fatal = True
        return error


def _body_length(head: Head) -> int:
    """Content-Length, which a stream cannot do without (RFC 3261 §18.3) and which must be said once."""
    if head.fault is not None:
        # What is a header and what is body is no longer sure.
        raise head.fault
    lengths = [header.value for header in head.headers if header.key == "content-length"]
    if len(lengths) != 1:
        raise SipError("a message on a stream needs one Content-Length", where="Content-Length")
    try:
        return read_integer(lengths[0], 2**32 - 1)
    except SipError as error:
        error.where = "Content-Length"
        raise
