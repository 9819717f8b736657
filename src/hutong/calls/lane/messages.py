"""The fast lane for mirrored SIP: what any message says about its call, in one pass over its headers.

Reads who the message belongs to and what it does, of requests and responses alike, and looks at no other header: a
message that was captured has been dealt with already, and whether its Contact is well formed is nobody's business here.
What it declines, the codec (`hutong.protocols.sip`) reads; where both read they agree: tests/property/test_lane_hep.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hutong.calls.lane.grammar import (
    AT,
    CALL_ID_BYTES,
    COLON,
    COMMA,
    CR,
    EQ,
    GT,
    LF,
    LT,
    NAME,
    PARAM,
    QUOTE,
    QUOTED,
    SEMI,
    SP,
    TOKEN,
    W_TAG,
    equals,
    hash_name,
    name_hash,
    read_number,
    run,
    starts,
)
from hutong.kernel.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Methods that say something about a call; all others are METHOD_OTHER.
METHOD_OTHER, METHOD_INVITE, METHOD_BYE = 0, 1, 2

# Slots of a message (int64); a span is two slots.
METHOD = 0  # of a response: of its CSeq
STATUS = 1  # of a response, else 0
CSEQ = 2
CAUSE = 3  # the first Q.850 cause of Reason (RFC 3326), 0 = none
CALL_ID = 4
FROM_TAG = 6
TO_TAG = 8
BRANCH = 10  # of the topmost Via
SENT_BY = 12  # of the topmost Via, host and port as written
MESSAGE_SLOTS = 14

_H_VIA, _H_V = name_hash("Via"), name_hash("v")
_H_FROM, _H_F = name_hash("From"), name_hash("f")
_H_TO, _H_T = name_hash("To"), name_hash("t")
_H_CALL_ID, _H_I = name_hash("Call-ID"), name_hash("i")
_H_CSEQ = name_hash("CSeq")
_H_REASON = name_hash("Reason")

_SEEN_VIA, _SEEN_FROM, _SEEN_TO, _SEEN_CALL_ID, _SEEN_CSEQ = 1, 2, 4, 8, 16
_NEEDED = _SEEN_VIA | _SEEN_FROM | _SEEN_TO | _SEEN_CALL_ID | _SEEN_CSEQ

_HTAB, _BACKSLASH, _LETTER = 0x09, 0x5C, 0x41
_OPEN, _CLOSE = 0x5B, 0x5D
_STATUS_PREFIX = np.frombuffer(b"SIP/2.0 ", dtype=np.uint8)
_VERSION = np.frombuffer(b"SIP/2.0", dtype=np.uint8)
_VIA_PREFIX = np.frombuffer(b"SIP/2.0/", dtype=np.uint8)
_INVITE = np.frombuffer(b"INVITE", dtype=np.uint8)
_BYE = np.frombuffer(b"BYE", dtype=np.uint8)
_W_BRANCH = np.frombuffer(b"branch", dtype=np.uint8)
_W_CAUSE = np.frombuffer(b"cause", dtype=np.uint8)
#: "q.850"; the comparison without case leaves digits and the dot as they are.
_W_Q850 = np.frombuffer(b"q.850", dtype=np.uint8)
_MAX_CAUSE = 127


@compiled
def _method(data: NDArray[np.uint8], start: int, end: int) -> int:
    if end - start == _INVITE.size and starts(data, start, end, _INVITE):
        return METHOD_INVITE
    if end - start == _BYE.size and starts(data, start, end, _BYE):
        return METHOD_BYE
    return METHOD_OTHER


@compiled
def _start_line(data: NDArray[np.uint8], end: int, message: NDArray[np.int64]) -> tuple[int, int]:
    """Read the first line, 0 … end; gives the spans of the method of a request, (0, 0) of a response, else (-1, -1)."""
    if starts(data, 0, end, _STATUS_PREFIX):
        at = _STATUS_PREFIX.size
        status, after = read_number(data, at, end, 3)
        if after != at + 3 or status < 100 or status > 699 or after >= end or data[after] != SP:
            return -1, -1
        message[STATUS] = status
        return 0, 0
    at = run(data, 0, end, TOKEN)
    if at == 0 or at >= end or data[at] != SP or data[0] < _LETTER:
        return -1, -1
    method = at
    uri = at + 1
    at = uri
    while at < end and data[at] > SP and data[at] < 0x7F:
        at += 1
    if at == uri or at >= end or data[at] != SP or end - at - 1 != _VERSION.size:
        return -1, -1
    if not starts(data, at + 1, end, _VERSION):
        return -1, -1
    return 0, method


@compiled
def _tag(data: NDArray[np.uint8], at: int, end: int, message: NDArray[np.int64], slot: int) -> bool:
    """Read the parameters of From or To, `at` … end, and keep the tag."""
    tags = 0
    while at < end:
        if data[at] != SEMI:
            return False
        name = at + 1
        name_end = run(data, name, end, PARAM)
        if name_end == name:
            return False
        at = name_end
        value = at
        if at < end and data[at] == EQ:
            value = at + 1
            at = run(data, value, end, TOKEN)
            if at == value:
                return False
        if equals(data, name, name_end, W_TAG):
            tags += 1
            if value == name_end:
                return False
            message[slot], message[slot + 1] = value, at
    return tags <= 1


@compiled
def _address(data: NDArray[np.uint8], at: int, end: int, message: NDArray[np.int64], slot: int) -> bool:
    """Read From or To, `at` … end: [display] "<" URI ">" or a bare URI, then parameters."""
    if at < end and data[at] == QUOTE:
        at += 1
        while at < end and data[at] != QUOTE:
            if data[at] == _BACKSLASH:
                return False
            at += 1
        if at >= end:
            return False
        at += 1
        while at < end and data[at] == SP:
            at += 1
        if at >= end or data[at] != LT:
            return False
    start = at
    while at < end and data[at] != LT and data[at] != SEMI:
        if data[at] == QUOTE or data[at] == COMMA or data[at] == GT:
            return False
        at += 1
    if at < end and data[at] == LT:
        at += 1
        uri = at
        while at < end and data[at] != GT:
            if data[at] == LT or data[at] == QUOTE or data[at] <= SP:
                return False
            at += 1
        if at >= end or at == uri:
            return False
        return _tag(data, at + 1, end, message, slot)
    # A bare URI: no white space may stand in it, and its parameters are the header's (RFC 3261 §20).
    for i in range(start, at):
        if data[i] <= SP:
            return False
    return at > start and _tag(data, at, end, message, slot)


@compiled
def _via(data: NDArray[np.uint8], at: int, end: int, message: NDArray[np.int64]) -> bool:
    """Read the topmost Via's sent-by and branch; what follows a comma is left alone."""
    if not starts(data, at, end, _VIA_PREFIX):
        return False
    at += _VIA_PREFIX.size
    after = run(data, at, end, PARAM)
    if after == at or after >= end or data[after] != SP:
        return False
    at = after + 1
    start = at
    while at < end and data[at] != SEMI and data[at] != COMMA:
        if run(data, at, at + 1, PARAM) == at and data[at] != COLON and data[at] != _OPEN and data[at] != _CLOSE:
            return False
        at += 1
    if at == start:
        return False
    message[SENT_BY], message[SENT_BY + 1] = start, at
    branches = 0
    while at < end and data[at] == SEMI:
        name = at + 1
        name_end = run(data, name, end, PARAM)
        if name_end == name:
            return False
        at = name_end
        value = at
        if at < end and data[at] == EQ:
            value = at + 1
            at = value
            while at < end and data[at] != SEMI and data[at] != COMMA:
                if (
                    run(data, at, at + 1, TOKEN) == at
                    and data[at] != COLON
                    and data[at] != _OPEN
                    and data[at] != _CLOSE
                ):
                    return False
                at += 1
        if equals(data, name, name_end, _W_BRANCH):
            branches += 1
            if run(data, value, at, TOKEN) != at:
                return False
            message[BRANCH], message[BRANCH + 1] = value, at
    return branches <= 1 and (at == end or data[at] == COMMA)


@compiled
def _call_id(data: NDArray[np.uint8], at: int, end: int, message: NDArray[np.int64]) -> bool:
    if at == end or run(data, at, end, CALL_ID_BYTES) != end or data[at] == AT or data[end - 1] == AT:
        return False
    signs = 0
    for i in range(at, end):
        signs += 1 if data[i] == AT else 0
    message[CALL_ID], message[CALL_ID + 1] = at, end
    return signs <= 1


@compiled
def _reason(data: NDArray[np.uint8], at: int, end: int, message: NDArray[np.int64]) -> bool:
    """Read token *(;name[=token|=quoted]) *(, …); the first cause of Q.850 is kept."""
    while True:
        protocol = at
        at = run(data, at, end, TOKEN)
        if at == protocol:
            return False
        known = equals(data, protocol, at, _W_Q850)
        causes = 0
        while at < end and data[at] == SEMI:
            at += 1
            while at < end and data[at] == SP:
                at += 1
            name = at
            name_end = run(data, name, end, PARAM)
            if name_end == name or name_end >= end or data[name_end] != EQ:
                return False
            value = name_end + 1
            if value < end and data[value] == QUOTE:
                at = run(data, value + 1, end, QUOTED)
                if at >= end or data[at] != QUOTE:
                    return False
                at += 1
            else:
                at = run(data, value, end, TOKEN)
                if at == value:
                    return False
            if equals(data, name, name_end, _W_CAUSE):
                causes += 1
                number, after = read_number(data, value, at, 5)
                if after != at or causes > 1:
                    return False
                if known and number <= _MAX_CAUSE and message[CAUSE] == 0:
                    message[CAUSE] = number
        if at == end:
            return True
        if data[at] != COMMA:
            return False
        at += 1
        while at < end and data[at] == SP:
            at += 1


@compiled
def read_message(data: NDArray[np.uint8], end: int, message: NDArray[np.int64]) -> bool:
    """Read one captured message.

    Args:
        data: uint8, at least `end` bytes of the message.
        end: its length.
        message: int64[MESSAGE_SLOTS], written.

    Returns:
        False when the codec must look at it.
    """
    message[:] = 0
    line, at = 0, 0
    seen = 0
    method, method_end = 0, 0
    while True:
        start = at
        while at < end and data[at] != CR and data[at] != LF:
            at += 1
        if at + 1 >= end or data[at] != CR or data[at + 1] != LF:
            return False
        stop = at
        at += 2
        if line == 0:
            method, method_end = _start_line(data, stop, message)
            if method < 0:
                return False
            line = 1
            continue
        if stop == start:
            break
        name_end = run(data, start, stop, NAME)
        if name_end == start or name_end >= stop or data[name_end] != COLON:
            # White space before the colon, a folded line, a name with other bytes.
            return False
        name = hash_name(data, start, name_end)
        bit = 0
        if name in (_H_VIA, _H_V):
            if (seen & _SEEN_VIA) != 0:
                continue
            bit = _SEEN_VIA
        elif name in (_H_FROM, _H_F):
            bit = _SEEN_FROM
        elif name in (_H_TO, _H_T):
            bit = _SEEN_TO
        elif name in (_H_CALL_ID, _H_I):
            bit = _SEEN_CALL_ID
        elif name == _H_CSEQ:
            bit = _SEEN_CSEQ
        elif name != _H_REASON:
            # What a folded line goes on with is declined above, once it is reached.
            continue
        if (seen & bit) != 0:
            return False
        seen |= bit
        value = name_end + 1
        while value < stop and (data[value] == SP or data[value] == _HTAB):
            value += 1
        last = stop
        while last > value and (data[last - 1] == SP or data[last - 1] == _HTAB):
            last -= 1
        fine = True
        if bit == _SEEN_VIA:
            fine = _via(data, value, last, message)
        elif bit == _SEEN_FROM:
            fine = _address(data, value, last, message, FROM_TAG)
        elif bit == _SEEN_TO:
            fine = _address(data, value, last, message, TO_TAG)
        elif bit == _SEEN_CALL_ID:
            fine = _call_id(data, value, last, message)
        elif bit == _SEEN_CSEQ:
            number, after = read_number(data, value, last, 9)
            fine = after > 0 and after < last and data[after] == SP and run(data, after + 1, last, TOKEN) == last
            fine = fine and after + 1 < last
            message[CSEQ] = number
            if fine and message[STATUS] == 0:
                # A request names its method twice.
                fine = last - after - 1 == method_end and _alike(data, after + 1, 0, method_end)
            if fine:
                message[METHOD] = _method(data, after + 1, last)
        else:
            fine = _reason(data, value, last, message)
        if not fine:
            return False
    return (seen & _NEEDED) == _NEEDED


@compiled
def _alike(data: NDArray[np.uint8], one: int, other: int, size: int) -> bool:
    for i in range(size):
        if data[one + i] != data[other + i]:
            return False
    return True
