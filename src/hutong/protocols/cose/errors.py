"""What can be wrong with a COSE message. One exception."""

from __future__ import annotations

from hutong.protocols.errors import ProtocolError


class CoseError(ProtocolError):
    """Bytes that are no acceptable COSE_Sign1 message, or a message that cannot be written; `where` is its part."""
