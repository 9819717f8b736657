"""What can be wrong with HEP bytes. One exception."""

from __future__ import annotations

from hutong.protocols.errors import ProtocolError


class HepError(ProtocolError):
    """Bytes that are no acceptable HEP packet, or a packet that cannot be written; `where` is the chunk."""
