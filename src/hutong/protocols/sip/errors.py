"""What can be wrong with SIP bytes, and what to answer. One exception."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.protocols.errors import ProtocolError

if TYPE_CHECKING:
    from hutong.protocols.sip.values import ResponseHeads

#: Reason phrases of the status codes that this codec suggests (RFC 3261 §21).
PHRASES = {
    400: "Bad Request",
    413: "Request Entity Too Large",
    416: "Unsupported URI Scheme",
    501: "Not Implemented",
    505: "Version Not Supported",
    513: "Message Too Large",
}


class SipError(ProtocolError):
    """Bytes that are no acceptable SIP message.

    Args:
        what: what was wrong, in one sentence.
        where: the start line or the header with its line number; empty where it is the whole message.
        fix: what the sender should do; empty where the first sentence already says it.
        status: the status code to answer with, if an answer can be built.

    Attributes:
        heads: what a response must copy from the request; None where the bytes are no request, where it is
            an ACK, or where too little of it could be read.
        fatal: on a stream, the place where the next message starts is lost: answer if answerable, then close.
    """

    def __init__(self, what: str, *, where: str = "", fix: str = "", status: int = 400) -> None:
        super().__init__(what, where=where, fix=fix)
        self.status = status
        self.heads: ResponseHeads | None = None
        self.fatal = False

    @property
    def phrase(self) -> str:
        """The reason phrase of `status`."""
        return PHRASES[self.status]

    @property
    def answerable(self) -> bool:
        """Whether `build_response(error.heads, error.status, error.phrase)` is possible and proper."""
        return self.heads is not None
