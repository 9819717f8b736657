"""The fast lane: reads the ordinary, well-formed INVITE and ACK in one pass over the bytes.

It accepts a deliberately small part of the SIP grammar (RFC 3261 §25) and *declines* everything else: a declined packet
costs nothing but time, because the full codec (`hutong.protocols.sip`) reads it instead. Where the lane accepts, both
must give the same answer; tests/property/test_lane.py holds it to that. Only parsing belongs here: no judgement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hutong.kernel.compiled import compiled, signed

if TYPE_CHECKING:
    from numpy.typing import NDArray

DECLINED, INVITE, ACK = 0, 1, 2

#: RFC 3261 §18.2.2: where a Via without a port is answered.
DEFAULT_PORT = 5060

#: Most Via header lines the lane carries into a response.
MAX_VIAS = 6

# Slots of the span array (int64). A span is two slots: first byte, one past the last.
CALLEE = 0  # user part of the Request-URI
FROM = 2  # the From value
TO = 4  # the To value
CALL_ID = 6
CSEQ = 8  # the CSeq value, number and method
FROM_USER = 10
PAI_USER = 12  # user part of P-Asserted-Identity, empty span when absent
BRANCH = 14  # of the topmost Via
SENT_BY = 16  # of the topmost Via, host and port
SENT_BY_HOST = 18
RPORT_AT = 20  # one past a valueless ";rport" in the topmost Via, 0 when there is none
SOURCE_SET = 21  # 1 when X-Hutong-Source was present
SOURCE_LOW = 22  # that address, as the low half of its IPv4-mapped form
VIA_COUNT = 23
VIAS = 24  # MAX_VIAS spans
REQUEST_URI = VIAS + 2 * MAX_VIAS  # the whole Request-URI
SPANS = REQUEST_URI + 2

_TOKEN, _USER, _HOST, _PARAM, _QUOTED, _TEXT, _CALL_ID, _DIGIT = 1, 2, 4, 8, 16, 32, 64, 128


def _classes() -> NDArray[np.uint8]:
    """uint8[256]: which of the sets above each byte belongs to (each a subset of its production in RFC 3261 §25.1)."""
    table = np.zeros(256, dtype=np.uint8)
    alphanumeric = [*range(0x30, 0x3A), *range(0x41, 0x5B), *range(0x61, 0x7B)]
    for members, bit in (
        (b"-.!%*_+`'~", _TOKEN),
        (b"-_.!~*'()+", _USER),
        (b"-.", _HOST),
        (b"-._+", _PARAM),
        (b"-.!%*_+`'~@", _CALL_ID),
    ):
        table[[*alphanumeric, *members]] |= bit
    table[[code for code in range(0x20, 0x7F) if code not in b'"\\']] |= _QUOTED
    table[0x20:0x7F] |= _TEXT
    table[0x30:0x3A] |= _DIGIT
    return table


_CLASS = _classes()


def _name_hash(name: str) -> int:
    value = 0
    for byte in name.encode():
        value = value * 131 + (byte | 0x20)
    return (value + 2**63) % 2**64 - 2**63


_H_VIA = _name_hash("Via")
_H_FROM = _name_hash("From")
_H_TO = _name_hash("To")
_H_CALL_ID = _name_hash("Call-ID")
_H_CSEQ = _name_hash("CSeq")
_H_CONTACT = _name_hash("Contact")
_H_MAX_FORWARDS = _name_hash("Max-Forwards")
_H_CONTENT_LENGTH = _name_hash("Content-Length")
_H_CONTENT_TYPE = _name_hash("Content-Type")
_H_PAI = _name_hash("P-Asserted-Identity")
_H_SOURCE = _name_hash("X-Hutong-Source")
_H_RECORD_ROUTE = _name_hash("Record-Route")
_H_USER_AGENT = _name_hash("User-Agent")
_H_ALLOW = _name_hash("Allow")
_H_SUPPORTED = _name_hash("Supported")

_CR, _LF, _SP, _COLON, _SEMI, _EQ, _LT, _GT, _AT, _QUOTE, _COMMA, _DOT = (
    13,
    10,
    32,
    58,
    59,
    61,
    60,
    62,
    64,
    34,
    44,
    46,
)
_ZERO, _SLASH = 48, 47

# What has been seen, as bits: a second one of any of these is declined.
_SEEN_FROM, _SEEN_TO, _SEEN_CALL_ID, _SEEN_CSEQ, _SEEN_CONTACT, _SEEN_HOPS = 1, 2, 4, 8, 16, 32
_SEEN_LENGTH, _SEEN_TYPE, _SEEN_PAI, _SEEN_SOURCE, _SEEN_AGENT = 64, 128, 256, 512, 1024
_NEEDED = _SEEN_FROM | _SEEN_TO | _SEEN_CALL_ID | _SEEN_CSEQ | _SEEN_HOPS

_PREFIX_INVITE = np.frombuffer(b"INVITE sip:", dtype=np.uint8)
_PREFIX_ACK = np.frombuffer(b"ACK sip:", dtype=np.uint8)
_SUFFIX = np.frombuffer(b" SIP/2.0\r\n", dtype=np.uint8)
_VIA_PREFIX = np.frombuffer(b"SIP/2.0/", dtype=np.uint8)
_COOKIE = np.frombuffer(b"z9hG4bK", dtype=np.uint8)
_SIP_SCHEME = np.frombuffer(b"sip:", dtype=np.uint8)
_W_BRANCH = np.frombuffer(b"branch", dtype=np.uint8)
_W_RPORT = np.frombuffer(b"rport", dtype=np.uint8)
_W_RECEIVED = np.frombuffer(b"received", dtype=np.uint8)
_W_TAG = np.frombuffer(b"tag", dtype=np.uint8)
_W_LR = np.frombuffer(b"lr", dtype=np.uint8)
_W_TRANSPORT = np.frombuffer(b"transport", dtype=np.uint8)
_W_USER = np.frombuffer(b"user", dtype=np.uint8)
_W_UDP = np.frombuffer(b"udp", dtype=np.uint8)
_W_TCP = np.frombuffer(b"tcp", dtype=np.uint8)
_W_PHONE = np.frombuffer(b"phone", dtype=np.uint8)
_W_ANONYMOUS = np.frombuffer(b"anonymous", dtype=np.uint8)
_W_INVITE = np.frombuffer(b"INVITE", dtype=np.uint8)
_W_ACK = np.frombuffer(b"ACK", dtype=np.uint8)


@compiled
def _starts(data: NDArray[np.uint8], at: int, end: int, word: NDArray[np.uint8]) -> bool:
    if end - at < word.size:
        return False
    for i in range(word.size):
        if data[at + i] != word[i]:
            return False
    return True


@compiled
def _equals(data: NDArray[np.uint8], start: int, end: int, word: NDArray[np.uint8]) -> bool:
    """Whether the span is the lower-case word, letters compared without case."""
    if end - start != word.size:
        return False
    for i in range(word.size):
        if (data[start + i] | 0x20) != word[i]:
            return False
    return True


@compiled
def _run(data: NDArray[np.uint8], at: int, end: int, members: int) -> int:
    """One past the last byte of the run of `members` that begins at `at`."""
    while at < end and (_CLASS[data[at]] & members) != 0:
        at += 1
    return at


@compiled
def _host_port(data: NDArray[np.uint8], at: int, end: int) -> tuple[int, int]:
    """Read host [":" port]; gives one past the host and one past the whole, or -1 where it is not that simple.

    A host is a dotted quad, or labels of letters, digits and inner hyphens whose last begins with a letter.
    """
    start = at
    label = at
    letter_last = False
    labels = 0
    numeric = True
    while at < end and (_CLASS[data[at]] & _HOST) != 0:
        byte = data[at]
        if byte == _DOT:
            if at == label or data[at - 1] == 0x2D or data[label] == 0x2D:
                return -1, -1
            labels += 1
            label = at + 1
        elif (_CLASS[byte] & _DIGIT) == 0:
            numeric = False
        at += 1
    if at == label or data[at - 1] == 0x2D or data[label] == 0x2D:
        return -1, -1
    letter_last = (_CLASS[data[label]] & _DIGIT) == 0
    if numeric:
        if labels != 3 or not _quad(data, start, at):
            return -1, -1
    elif not letter_last:
        return -1, -1
    host_end = at
    if at < end and data[at] == _COLON:
        port_start = at + 1
        at = _run(data, port_start, end, _DIGIT)
        if at == port_start or at - port_start > 5:
            return -1, -1
        port = 0
        for i in range(port_start, at):
            port = port * 10 + signed(data[i]) - _ZERO
        if port == 0 or port > 65535:
            return -1, -1
    return host_end, at


@compiled
def _quad(data: NDArray[np.uint8], start: int, end: int) -> bool:
    """Whether the span is four decimal octets without leading zeros."""
    return quad_value(data, start, end) >= 0


@compiled
def quad_value(data: NDArray[np.uint8], start: int, end: int) -> int:
    """The 32-bit value of a dotted quad, -1 when the span is none."""
    value = 0
    octets = 0
    at = start
    while at < end:
        first = at
        octet = 0
        while at < end and (_CLASS[data[at]] & _DIGIT) != 0:
            octet = octet * 10 + signed(data[at]) - _ZERO
            at += 1
            if at - first > 3:
                return -1
        if at == first or octet > 255 or (at - first > 1 and data[first] == _ZERO):
            return -1
        value = value * 256 + octet
        octets += 1
        if at < end:
            if data[at] != _DOT or octets == 4:
                return -1
            at += 1
            if at == end:
                return -1
    return value if octets == 4 else -1


@compiled
def _uri(data: NDArray[np.uint8], at: int, end: int, spans: NDArray[np.int64], slot: int) -> int:
    """Read user@host[:port] and the parameters lr, transport=udp|tcp, user=phone; `at` is after "sip:".

    Writes the user's span to `slot` (when slot >= 0). Gives one past the URI, or -1.
    """
    user_end = _run(data, at, end, _USER)
    if user_end < end and data[user_end] == _AT and user_end > at:
        if slot >= 0:
            spans[slot] = at
            spans[slot + 1] = user_end
        at = user_end + 1
    elif slot >= 0:
        return -1
    _, at = _host_port(data, at, end)
    if at < 0:
        return -1
    while at < end and data[at] == _SEMI:
        name = at + 1
        name_end = _run(data, name, end, _PARAM)
        at = name_end
        if at < end and data[at] == _EQ:
            at = _run(data, name_end + 1, end, _PARAM)
            if _equals(data, name, name_end, _W_TRANSPORT):
                value = name_end + 1
                if not (_equals(data, value, at, _W_UDP) or _equals(data, value, at, _W_TCP)):
                    return -1
            elif not (_equals(data, name, name_end, _W_USER) and _equals(data, name_end + 1, at, _W_PHONE)):
                return -1
        elif not _equals(data, name, name_end, _W_LR):
            return -1
    return at


@compiled
def _name_addr(data: NDArray[np.uint8], at: int, end: int, spans: NDArray[np.int64], slot: int, tags: int) -> int:
    """Read [display] "<" sip URI ">" and at most one ;tag (exactly `tags` of them, 0 or 1); gives one past it, or -1."""
    if at < end and data[at] == _QUOTE:
        at = _run(data, at + 1, end, _QUOTED)
        if at >= end or data[at] != _QUOTE:
            return -1
        at += 1
        if at < end and data[at] == _SP:
            at += 1
    else:
        word = _run(data, at, end, _TOKEN)
        if word > at:
            if word >= end or data[word] != _SP:
                return -1
            at = word + 1
    if at >= end or data[at] != _LT or not _starts(data, at + 1, end, _SIP_SCHEME):
        return -1
    at = _uri(data, at + 5, end, spans, slot)
    if at < 0 or at >= end or data[at] != _GT:
        return -1
    at += 1
    if tags == 1:
        if at >= end or data[at] != _SEMI:
            return -1
        name_end = _run(data, at + 1, end, _PARAM)
        if not _equals(data, at + 1, name_end, _W_TAG) or name_end >= end or data[name_end] != _EQ:
            return -1
        at = _run(data, name_end + 1, end, _TOKEN)
        if at == name_end + 1:
            return -1
    return at


@compiled
def _via(data: NDArray[np.uint8], at: int, end: int, spans: NDArray[np.int64]) -> int:
    """Read one via-parm; the first Via's branch, sent-by and rport are kept. Gives one past it, or -1."""
    top = spans[VIA_COUNT] == 0
    if spans[VIA_COUNT] >= MAX_VIAS:
        return -1
    start = at
    if not _starts(data, at, end, _VIA_PREFIX):
        return -1
    at += _VIA_PREFIX.size
    transport_end = _run(data, at, end, _PARAM)
    if not (_equals(data, at, transport_end, _W_UDP) or _equals(data, at, transport_end, _W_TCP)):
        return -1
    if transport_end >= end or data[transport_end] != _SP:
        return -1
    at = transport_end + 1
    sent_by = at
    host_end, at = _host_port(data, at, end)
    if at < 0:
        return -1
    if top:
        spans[SENT_BY], spans[SENT_BY + 1] = sent_by, at
        spans[SENT_BY_HOST], spans[SENT_BY_HOST + 1] = sent_by, host_end
    at = _via_params(data, at, end, spans, top)
    if at < 0:
        return -1
    count = spans[VIA_COUNT]
    spans[VIAS + 2 * count], spans[VIAS + 2 * count + 1] = start, at
    spans[VIA_COUNT] = count + 1
    return at


@compiled
def _via_params(data: NDArray[np.uint8], at: int, end: int, spans: NDArray[np.int64], top: bool) -> int:  # noqa: FBT001
    branches, rports, received = 0, 0, 0
    while at < end and data[at] == _SEMI:
        name = at + 1
        name_end = _run(data, name, end, _PARAM)
        value = name_end + 1
        at = name_end
        if at < end and data[at] == _EQ:
            at = _run(data, value, end, _TOKEN)
            if at == value:
                return -1
        if _equals(data, name, name_end, _W_BRANCH):
            branches += 1
            if not _starts(data, value, at, _COOKIE) or at - value <= _COOKIE.size:
                return -1
            if top:
                spans[BRANCH], spans[BRANCH + 1] = value, at
        elif _equals(data, name, name_end, _W_RPORT):
            rports += 1
            if top:
                if at != name_end:
                    return -1
                spans[RPORT_AT] = at
            elif at != name_end and _run(data, value, at, _DIGIT) != at:
                return -1
            elif at - value > 4 and at != name_end:
                # Five digits may exceed 65535: let the full codec decide.
                return -1
        elif _equals(data, name, name_end, _W_RECEIVED):
            received += 1
            if top or at <= value or not _quad(data, value, at):
                return -1
        else:
            return -1
    if branches != 1 or rports > 1 or received > 1:
        return -1
    return at


@compiled
def _number(data: NDArray[np.uint8], at: int, end: int, digits: int) -> tuple[int, int]:
    """Read at most `digits` decimal digits; gives the value and one past it, or (-1, -1)."""
    stop = _run(data, at, end, _DIGIT)
    if stop == at or stop - at > digits:
        return -1, -1
    value = 0
    for i in range(at, stop):
        value = value * 10 + signed(data[i]) - _ZERO
    return value, stop


@compiled
def reply_port(data: NDArray[np.uint8], spans: NDArray[np.int64], source_port: int) -> int:
    """The port a response goes to: the sender's with rport (RFC 3581 §4), else sent-by's (RFC 3261 §18.2.2)."""
    if spans[RPORT_AT]:
        return source_port
    port, _ = _number(data, spans[SENT_BY_HOST + 1] + 1, spans[SENT_BY + 1], 5)
    return port if port > 0 else DEFAULT_PORT


@compiled
def is_anonymous(data: NDArray[np.uint8], start: int, end: int) -> int:
    """1 when the user part says that the caller withholds its number (RFC 3323 §4.1.1.3)."""
    return 1 if _equals(data, start, end, _W_ANONYMOUS) else 0


@compiled
def _tokens(data: NDArray[np.uint8], at: int, end: int) -> int:
    """Read token *("," [SP] token); gives one past it, or -1."""
    while True:
        stop = _run(data, at, end, _TOKEN)
        if stop == at:
            return -1
        at = stop
        if at >= end or data[at] != _COMMA:
            return at
        at += 1
        if at < end and data[at] == _SP:
            at += 1


@compiled
def _identity_header(data: NDArray[np.uint8], at: int, end: int, name: int, spans: NDArray[np.int64]) -> int:
    """Read the headers that say who calls whom, keeping their spans; gives one past the value, or -1."""
    if name == _H_VIA:
        return _via(data, at, end, spans)
    start = at
    if name == _H_FROM:
        at = _name_addr(data, at, end, spans, FROM_USER, 1)
        spans[FROM], spans[FROM + 1] = start, at
    elif name == _H_TO:
        at = _name_addr(data, at, end, spans, -1, 0)
        spans[TO], spans[TO + 1] = start, at
    elif name == _H_CALL_ID:
        at = _run(data, at, end, _CALL_ID)
        signs = 0
        for i in range(start, at):
            signs += 1 if data[i] == _AT else 0
        if at == start or signs > 1 or data[start] == _AT or data[at - 1] == _AT:
            return -1
        spans[CALL_ID], spans[CALL_ID + 1] = start, at
    elif name == _H_PAI:
        at = _name_addr(data, at, end, spans, PAI_USER, 0)
    elif name == _H_SOURCE:
        at = _run(data, at, end, _PARAM)
        value = quad_value(data, start, at)
        if value < 0:
            return -1
        spans[SOURCE_SET] = 1
        spans[SOURCE_LOW] = (0xFFFF << 32) | value
    return at


@compiled
def _cseq(data: NDArray[np.uint8], at: int, end: int, kind: int, spans: NDArray[np.int64]) -> int:
    start = at
    _, at = _number(data, at, end, 9)
    if at < 0 or at >= end or data[at] != _SP:
        return -1
    word = _W_INVITE if kind == INVITE else _W_ACK
    if not _starts(data, at + 1, end, word):
        return -1
    at += 1 + word.size
    spans[CSEQ], spans[CSEQ + 1] = start, at
    return at


@compiled
def _plain_header(data: NDArray[np.uint8], at: int, end: int, name: int, spans: NDArray[np.int64]) -> int:
    """Check the headers that are only checked; gives one past the value, or -1."""
    if name in (_H_ALLOW, _H_SUPPORTED):
        return _tokens(data, at, end)
    if name == _H_USER_AGENT:
        # One product, "name/version" or "name".
        stop = _run(data, at, end, _TOKEN)
        if stop > at and stop < end and data[stop] == _SLASH:
            version = _run(data, stop + 1, end, _TOKEN)
            return version if version > stop + 1 else -1
        return stop if stop > at else -1
    if name == _H_CONTENT_TYPE:
        stop = _run(data, at, end, _TOKEN)
        if stop == at or stop >= end or data[stop] != _SLASH:
            return -1
        subtype = _run(data, stop + 1, end, _TOKEN)
        return subtype if subtype > stop + 1 else -1
    if name == _H_CONTACT:
        return _name_addr(data, at, end, spans, -1, 0)
    if name == _H_RECORD_ROUTE:
        if at >= end or data[at] != _LT:
            return -1
        return _name_addr(data, at, end, spans, -1, 0)
    return -1


@compiled
def _seen_bit(name: int) -> int:
    """The bit of a header that may stand once; 0 for one that may repeat."""
    bit = 0
    if name == _H_FROM:
        bit = _SEEN_FROM
    elif name == _H_TO:
        bit = _SEEN_TO
    elif name == _H_CALL_ID:
        bit = _SEEN_CALL_ID
    elif name == _H_CSEQ:
        bit = _SEEN_CSEQ
    elif name == _H_CONTACT:
        bit = _SEEN_CONTACT
    elif name == _H_MAX_FORWARDS:
        bit = _SEEN_HOPS
    elif name == _H_CONTENT_LENGTH:
        bit = _SEEN_LENGTH
    elif name == _H_CONTENT_TYPE:
        bit = _SEEN_TYPE
    elif name == _H_PAI:
        bit = _SEEN_PAI
    elif name == _H_SOURCE:
        bit = _SEEN_SOURCE
    elif name == _H_USER_AGENT:
        bit = _SEEN_AGENT
    return bit


@compiled
def _request_line(data: NDArray[np.uint8], end: int, spans: NDArray[np.int64]) -> tuple[int, int]:
    """Read the request line; gives the kind and the first byte of the headers, or (DECLINED, 0)."""
    kind = DECLINED
    at = 0
    if _starts(data, 0, end, _PREFIX_INVITE):
        kind, at = INVITE, _PREFIX_INVITE.size
    elif _starts(data, 0, end, _PREFIX_ACK):
        kind, at = ACK, _PREFIX_ACK.size
    else:
        return DECLINED, 0
    spans[REQUEST_URI] = at - 4
    at = _uri(data, at, end, spans, CALLEE)
    if at < 0 or not _starts(data, at, end, _SUFFIX):
        return DECLINED, 0
    spans[REQUEST_URI + 1] = at
    return kind, at + _SUFFIX.size


@compiled
def read_request(data: NDArray[np.uint8], end: int, spans: NDArray[np.int64]) -> int:
    """Read one datagram.

    Args:
        data: uint8, at least `end` bytes of the datagram.
        end: its length.
        spans: int64[SPANS], written.

    Returns:
        INVITE, ACK, or DECLINED when the full codec must look at it. An ACK's To may carry a tag, so an ACK is accepted
        by its topmost Via and CSeq alone.
    """
    spans[:] = 0
    kind, at = _request_line(data, end, spans)
    if kind == DECLINED:
        return DECLINED
    seen = 0
    length = -1
    while True:
        if at + 1 >= end:
            return DECLINED
        if data[at] == _CR:
            if data[at + 1] != _LF:
                return DECLINED
            at += 2
            break
        name = 0
        start = at
        while at < end and ((_CLASS[data[at]] & _HOST) != 0 and data[at] != _DOT):
            name = name * 131 + (signed(data[at]) | 0x20)
            at += 1
        if at == start or at + 1 >= end or data[at] != _COLON or data[at + 1] != _SP:
            return DECLINED
        at += 2
        bit = _seen_bit(name)
        if (seen & bit) != 0:
            return DECLINED
        seen |= bit
        if name == _H_CSEQ:
            at = _cseq(data, at, end, kind, spans)
        elif name == _H_MAX_FORWARDS:
            hops, at = _number(data, at, end, 3)
            if hops <= 0 or hops > 255:
                return DECLINED
        elif name == _H_CONTENT_LENGTH:
            length, at = _number(data, at, end, 5)
        elif name in (_H_VIA, _H_CALL_ID, _H_FROM, _H_PAI, _H_SOURCE) or (name == _H_TO and kind == INVITE):
            at = _identity_header(data, at, end, name, spans)
        elif name == _H_TO:
            # An ACK's To carries our tag.
            at = _name_addr(data, at, end, spans, -1, 1)
        else:
            at = _plain_header(data, at, end, name, spans)
        if at < 0 or at + 1 >= end or data[at] != _CR or data[at + 1] != _LF:
            return DECLINED
        at += 2
    if (seen & _NEEDED) != _NEEDED or spans[VIA_COUNT] == 0:
        return DECLINED
    body = end - at
    if length != body and not (length < 0 and body == 0):
        return DECLINED
    if body > 0 and (seen & _SEEN_TYPE) == 0:
        return DECLINED
    return kind
