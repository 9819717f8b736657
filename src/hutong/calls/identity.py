"""Who calls whom, as a fully parsed INVITE says it. The fast lane reads the same facts from ordinary requests.

The asserted identity (RFC 3325) counts before From; both are kept where they differ. A diverted call keeps its original
caller; the last diverting number (Diversion, RFC 5806; else History-Info, RFC 7044) is kept beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from hutong.protocols.sip import Request, Uri

_ANONYMOUS = b"anonymous"
#: History-Info causes that mean "this entry was diverted" (RFC 4458 §3.1).
_DIVERTING_CAUSES = frozenset({302, 404, 408, 480, 486, 487, 503})


class Parties(msgspec.Struct, frozen=True):
    """User parts as they were signalled.

    Attributes:
        caller: the asserted number, or From's where nothing is asserted.
        from_: From's number where an asserted one stands in its place, else empty.
        callee: user part of the Request-URI.
        diverter: who diverted the call here, empty when nobody did.
        anonymous: the caller withholds its number (RFC 3323).
        tag: From's tag, which with the Call-ID tells calls apart; empty where it is not known.
    """

    caller: bytes
    from_: bytes
    callee: bytes
    diverter: bytes
    anonymous: bool
    tag: bytes = b""


def number_of(uri: Uri) -> bytes:
    """The user part that names a subscriber; a local number is completed by its phone-context (RFC 3966 §5.1.5)."""
    context = uri.phone_context
    if context.startswith("+") and not uri.user.startswith(b"+"):
        return context.encode() + uri.user
    return uri.user


def read_parties(request: Request) -> Parties:
    """The parties of an INVITE."""
    asserted = request.asserted_tel or request.asserted_sip
    from_user = number_of(request.from_.uri)
    caller = number_of(asserted.uri) if asserted is not None else from_user
    withheld = bool({"id", "user", "header"} & set(request.privacy))
    return Parties(
        caller=caller,
        from_=from_user if asserted is not None else b"",
        callee=number_of(request.uri),
        diverter=_diverter(request),
        anonymous=withheld or caller.lower() == _ANONYMOUS,
        tag=request.from_.tag.encode(),
    )


def _diverter(request: Request) -> bytes:
    if request.diversion:
        return number_of(request.diversion[0].uri)
    diverted = [entry for entry in request.history_info if entry.cause in _DIVERTING_CAUSES]
    if not diverted:
        return b""
    # The cause stands on the target that the diversion led to; the entry before it is who diverted (RFC 7044 §5.2).
    at = request.history_info.index(diverted[-1])
    return number_of(request.history_info[max(at - 1, 0)].address.uri)
