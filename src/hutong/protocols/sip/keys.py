"""Which transaction and which call a request belongs to: opaque byte keys for the server's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hutong.protocols.sip.message import Request

#: Branches of RFC 3261 clients begin with this (§8.1.1.7); alone it identifies nothing (RFC 4475 §3.2.1).
MAGIC_COOKIE = "z9hG4bK"


def is_cookie_branch(branch: str) -> bool:
    """Whether this branch is unique by RFC 3261's promise."""
    return len(branch) > len(MAGIC_COOKIE) and branch.startswith(MAGIC_COOKIE)


def transaction_key(request: Request, *, method: str = "") -> bytes:
    """The server transaction that this request belongs to (RFC 3261 §17.2.3).

    A retransmission gives the same key, and an ACK gives the key of its INVITE. Two requests of different
    methods never share one. Without a magic cookie the RFC 2543 rules apply: Request-URI, From tag, Call-ID,
    CSeq number and top Via (the To tag is left out, so that an ACK finds its INVITE whatever tag the response
    gave).

    Args:
        request: any request.
        method: look for another method's transaction: "INVITE" finds what a CANCEL cancels.
    """
    wanted = method or request.method
    if wanted == "ACK":
        wanted = "INVITE"
    top = request.vias[0]
    if is_cookie_branch(top.branch):
        # Branch and method are tokens, so spaces part them; sent-by comes last because it may be anything.
        return b"%b %b %b" % (top.branch.encode(), wanted.encode(), top.sent_by.lower())
    # No part but the last can hold a space, and no branch can hold "\n": the two kinds of key never meet.
    parts = (
        request.uri.raw,
        request.from_.tag.encode(),
        request.call_id,
        b"%d" % request.cseq.number,
        wanted.encode(),
    )
    return b"\n" + b" ".join(parts) + b" " + top.raw


def call_key(request: Request) -> bytes:
    """The call: Call-ID and From tag, the same for INVITE, its retransmissions, ACK and CANCEL."""
    return request.call_id + b" " + request.from_.tag.encode()
