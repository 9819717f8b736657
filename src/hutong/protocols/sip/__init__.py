"""SIP (see docs/sip.md): bytes to values and back. No socket, no clock, no state but framing.

`parse_datagram` and `StreamReader` read, `build_response` and `build_request` write, and `transaction_key`
matches.
"""

from hutong.protocols.sip.build import build_request, build_response
from hutong.protocols.sip.errors import SipError
from hutong.protocols.sip.head import MAX_HEADERS
from hutong.protocols.sip.keys import call_key, transaction_key
from hutong.protocols.sip.message import MAX_MESSAGE, MAX_PARTS, Message, Request, Response, parse_datagram
from hutong.protocols.sip.stream import PONG, Ping, StreamReader
from hutong.protocols.sip.values import (
    AccessNetwork,
    CSeq,
    Header,
    HistoryEntry,
    Identity,
    Media,
    NameAddr,
    Reason,
    ResponseHeads,
    Tolerance,
    Uri,
    Via,
)

__all__ = [
    "MAX_HEADERS",
    "MAX_MESSAGE",
    "MAX_PARTS",
    "PONG",
    "AccessNetwork",
    "CSeq",
    "Header",
    "HistoryEntry",
    "Identity",
    "Media",
    "Message",
    "NameAddr",
    "Ping",
    "Reason",
    "Request",
    "Response",
    "ResponseHeads",
    "SipError",
    "StreamReader",
    "Tolerance",
    "Uri",
    "Via",
    "build_request",
    "build_response",
    "call_key",
    "parse_datagram",
    "transaction_key",
]
