"""The fast lane: reads the ordinary, well-formed INVITE and ACK in one pass over the bytes.

It accepts a deliberately small part of the SIP grammar (RFC 3261 §25) and *declines* everything else: a declined packet
costs nothing but time, because the full codec (`hutong.protocols.sip`) reads it instead. Where the lane accepts, both
must give the same answer; tests/property/test_lane.py holds it to that. Only parsing belongs here: no judgement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hutong.calls.lane.grammar import (
    AT,
    CALL_ID_BYTES,
    COLON,
    CR,
    DIGIT,
    EQ,
    LF,
    LT,
    NAME,
    PARAM,
    SEMI,
    SLASH,
    SP,
    TOKEN,
    W_TCP,
    W_UDP,
    equals,
    hash_name,
    host_port,
    is_quad,
    name_hash,
    quad_value,
    read_name_addr,
    read_number,
    read_tokens,
    read_uri,
    run,
    starts,
)
from hutong.kernel.compiled import compiled

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


_H_VIA = name_hash("Via")
_H_FROM = name_hash("From")
_H_TO = name_hash("To")
_H_CALL_ID = name_hash("Call-ID")
_H_CSEQ = name_hash("CSeq")
_H_CONTACT = name_hash("Contact")
_H_MAX_FORWARDS = name_hash("Max-Forwards")
_H_CONTENT_LENGTH = name_hash("Content-Length")
_H_CONTENT_TYPE = name_hash("Content-Type")
_H_PAI = name_hash("P-Asserted-Identity")
_H_SOURCE = name_hash("X-Hutong-Source")
_H_RECORD_ROUTE = name_hash("Record-Route")
_H_USER_AGENT = name_hash("User-Agent")
_H_ALLOW = name_hash("Allow")
_H_SUPPORTED = name_hash("Supported")


# What has been seen, as bits: a second one of any of these is declined.
_SEEN_FROM, _SEEN_TO, _SEEN_CALL_ID, _SEEN_CSEQ, _SEEN_CONTACT, _SEEN_HOPS = 1, 2, 4, 8, 16, 32
_SEEN_LENGTH, _SEEN_TYPE, _SEEN_PAI, _SEEN_SOURCE, _SEEN_AGENT = 64, 128, 256, 512, 1024
_NEEDED = _SEEN_FROM | _SEEN_TO | _SEEN_CALL_ID | _SEEN_CSEQ | _SEEN_HOPS

_PREFIX_INVITE = np.frombuffer(b"INVITE sip:", dtype=np.uint8)
_PREFIX_ACK = np.frombuffer(b"ACK sip:", dtype=np.uint8)
_SUFFIX = np.frombuffer(b" SIP/2.0\r\n", dtype=np.uint8)
_VIA_PREFIX = np.frombuffer(b"SIP/2.0/", dtype=np.uint8)
_COOKIE = np.frombuffer(b"z9hG4bK", dtype=np.uint8)
_W_BRANCH = np.frombuffer(b"branch", dtype=np.uint8)
_W_RPORT = np.frombuffer(b"rport", dtype=np.uint8)
_W_RECEIVED = np.frombuffer(b"received", dtype=np.uint8)
_W_ANONYMOUS = np.frombuffer(b"anonymous", dtype=np.uint8)
_W_INVITE = np.frombuffer(b"INVITE", dtype=np.uint8)
_W_ACK = np.frombuffer(b"ACK", dtype=np.uint8)


@compiled
def _via(data: NDArray[np.uint8], at: int, end: int, spans: NDArray[np.int64]) -> int:
    """Read one via-parm; the first Via's branch, sent-by and rport are kept. Gives one past it, or -1."""
    top = spans[VIA_COUNT] == 0
    if spans[VIA_COUNT] >= MAX_VIAS:
        return -1
    start = at
    if not starts(data, at, end, _VIA_PREFIX):
        return -1
    at += _VIA_PREFIX.size
    transport_end = run(data, at, end, PARAM)
    if not (equals(data, at, transport_end, W_UDP) or equals(data, at, transport_end, W_TCP)):
        return -1
    if transport_end >= end or data[transport_end] != SP:
        return -1
    at = transport_end + 1
    sent_by = at
    host_end, at = host_port(data, at, end)
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
    while at < end and data[at] == SEMI:
        name = at + 1
        name_end = run(data, name, end, PARAM)
        value = name_end + 1
        at = name_end
        if at < end and data[at] == EQ:
            at = run(data, value, end, TOKEN)
            if at == value:
                return -1
        if equals(data, name, name_end, _W_BRANCH):
            branches += 1
            if not starts(data, value, at, _COOKIE) or at - value <= _COOKIE.size:
                return -1
            if top:
                spans[BRANCH], spans[BRANCH + 1] = value, at
        elif equals(data, name, name_end, _W_RPORT):
            rports += 1
            if top:
                if at != name_end:
                    return -1
                spans[RPORT_AT] = at
            elif at != name_end and run(data, value, at, DIGIT) != at:
                return -1
            elif at - value > 4 and at != name_end:
                # Five digits may exceed 65535: let the full codec decide.
                return -1
        elif equals(data, name, name_end, _W_RECEIVED):
            received += 1
            if top or at <= value or not is_quad(data, value, at):
                return -1
        else:
            return -1
    if branches != 1 or rports > 1 or received > 1:
        return -1
    return at


@compiled
def reply_port(data: NDArray[np.uint8], spans: NDArray[np.int64], source_port: int) -> int:
    """The port a response goes to: the sender's with rport (RFC 3581 §4), else sent-by's (RFC 3261 §18.2.2)."""
    if spans[RPORT_AT]:
        return source_port
    port, _ = read_number(data, spans[SENT_BY_HOST + 1] + 1, spans[SENT_BY + 1], 5)
    return port if port > 0 else DEFAULT_PORT


@compiled
def is_anonymous(data: NDArray[np.uint8], start: int, end: int) -> int:
    """1 when the user part says that the caller withholds its number (RFC 3323 §4.1.1.3)."""
    return 1 if equals(data, start, end, _W_ANONYMOUS) else 0


@compiled
def _identity_header(data: NDArray[np.uint8], at: int, end: int, name: int, spans: NDArray[np.int64]) -> int:
    """Read the headers that say who calls whom, keeping their spans; gives one past the value, or -1."""
    if name == _H_VIA:
        return _via(data, at, end, spans)
    start = at
    if name == _H_FROM:
        at = read_name_addr(data, at, end, spans, FROM_USER, 1)
        spans[FROM], spans[FROM + 1] = start, at
    elif name == _H_TO:
        at = read_name_addr(data, at, end, spans, -1, 0)
        spans[TO], spans[TO + 1] = start, at
    elif name == _H_CALL_ID:
        at = run(data, at, end, CALL_ID_BYTES)
        signs = 0
        for i in range(start, at):
            signs += 1 if data[i] == AT else 0
        if at == start or signs > 1 or data[start] == AT or data[at - 1] == AT:
            return -1
        spans[CALL_ID], spans[CALL_ID + 1] = start, at
    elif name == _H_PAI:
        at = read_name_addr(data, at, end, spans, PAI_USER, 0)
    elif name == _H_SOURCE:
        at = run(data, at, end, PARAM)
        value = quad_value(data, start, at)
        if value < 0:
            return -1
        spans[SOURCE_SET] = 1
        spans[SOURCE_LOW] = (0xFFFF << 32) | value
    return at


@compiled
def _cseq(data: NDArray[np.uint8], at: int, end: int, kind: int, spans: NDArray[np.int64]) -> int:
    start = at
    _, at = read_number(data, at, end, 9)
    if at < 0 or at >= end or data[at] != SP:
        return -1
    word = _W_INVITE if kind == INVITE else _W_ACK
    if not starts(data, at + 1, end, word):
        return -1
    at += 1 + word.size
    spans[CSEQ], spans[CSEQ + 1] = start, at
    return at


@compiled
def _plain_header(data: NDArray[np.uint8], at: int, end: int, name: int, spans: NDArray[np.int64]) -> int:
    """Check the headers that are only checked; gives one past the value, or -1."""
    if name in (_H_ALLOW, _H_SUPPORTED):
        return read_tokens(data, at, end)
    if name == _H_USER_AGENT:
        # One product, "name/version" or "name".
        stop = run(data, at, end, TOKEN)
        if stop > at and stop < end and data[stop] == SLASH:
            version = run(data, stop + 1, end, TOKEN)
            return version if version > stop + 1 else -1
        return stop if stop > at else -1
    if name == _H_CONTENT_TYPE:
        stop = run(data, at, end, TOKEN)
        if stop == at or stop >= end or data[stop] != SLASH:
            return -1
        subtype = run(data, stop + 1, end, TOKEN)
        return subtype if subtype > stop + 1 else -1
    if name == _H_CONTACT:
        return read_name_addr(data, at, end, spans, -1, 0)
    if name == _H_RECORD_ROUTE:
        if at >= end or data[at] != LT:
            return -1
        return read_name_addr(data, at, end, spans, -1, 0)
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
    if starts(data, 0, end, _PREFIX_INVITE):
        kind, at = INVITE, _PREFIX_INVITE.size
    elif starts(data, 0, end, _PREFIX_ACK):
        kind, at = ACK, _PREFIX_ACK.size
    else:
        return DECLINED, 0
    spans[REQUEST_URI] = at - 4
    at = read_uri(data, at, end, spans, CALLEE)
    if at < 0 or not starts(data, at, end, _SUFFIX):
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
        if data[at] == CR:
            if data[at + 1] != LF:
                return DECLINED
            at += 2
            break
        start = at
        at = run(data, start, end, NAME)
        name = hash_name(data, start, at)
        if at == start or at >= end or data[at] != COLON:
            return DECLINED
        at += 1
        while at < end and data[at] == SP:
            at += 1
        bit = _seen_bit(name)
        if (seen & bit) != 0:
            return DECLINED
        seen |= bit
        if name == _H_CSEQ:
            at = _cseq(data, at, end, kind, spans)
        elif name == _H_MAX_FORWARDS:
            hops, at = read_number(data, at, end, 3)
            if hops <= 0 or hops > 255:
                return DECLINED
        elif name == _H_CONTENT_LENGTH:
            length, at = read_number(data, at, end, 5)
        elif name in (_H_VIA, _H_CALL_ID, _H_FROM, _H_PAI, _H_SOURCE) or (name == _H_TO and kind == INVITE):
            at = _identity_header(data, at, end, name, spans)
        elif name == _H_TO:
            # An ACK's To carries our tag.
            at = read_name_addr(data, at, end, spans, -1, 1)
        else:
            at = _plain_header(data, at, end, name, spans)
        if at < 0 or at + 1 >= end or data[at] != CR or data[at + 1] != LF:
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
