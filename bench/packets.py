"""The calls of the load: one template per kind of caller, patched in place by compiled code.

What a call looks like and who calls whom belongs here; sockets and clocks do not. The packet is the one that
a proxy sends on: two Via headers, a Record-Route, an asserted identity, a small session description.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from bench.wire import ROW, Bytes, Ints

DIGITS = 10
"""Decimal digits of a call's number; it is in the branch, the tags and the Call-ID."""

CALLERS = 1_000_000
CALLEES = 10_000_000
HOT_CALLERS = 16
HOT_PER_CENT = 4
FORGED_PER_CENT = 3

_SDP = "v=0\r\no=- 1 1 IN IP4 198.51.100.20\r\ns=-\r\nc=IN IP4 198.51.100.20\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"
_BRANCH = "z9hG4bKh0"
_N = "N" * DIGITS
_CALLEE = "E" * 11


class Template(NamedTuple):
    """A packet and where its changing digits stand: offsets of call numbers, callers and callees."""

    text: Bytes
    numbers: Ints
    callers: Ints
    callees: Ints
    caller_digits: int


class Mix(NamedTuple):
    """Everything that the compiled client needs to write calls and their ACKs."""

    mobile: Template
    forged: Template
    ack: Template
    distinct: int


def _template(text: str, caller: str) -> Template:
    def places(mark: str) -> Ints:
        found, at = [], text.find(mark)
        while at >= 0:
            found.append(at)
            at = text.find(mark, at + len(mark))
        return np.array(found, np.int64)

    packed = np.frombuffer(text.encode(), np.uint8).copy()
    return Template(packed, places(_N), places(caller), places(_CALLEE), len(caller))


def _invite(caller: str, host: str) -> str:
    return (
        f"INVITE sip:{_CALLEE}@192.0.2.10 SIP/2.0\r\n"
        "Record-Route: <sip:192.0.2.10;lr>\r\n"
        f"Via: SIP/2.0/UDP {host};branch={_BRANCH}{_N}.0\r\n"
        f"Via: SIP/2.0/UDP 198.51.100.20:5060;branch=z9hG4bK-t{_N}\r\n"
        "Max-Forwards: 69\r\n"
        f"From: <sip:{caller}@198.51.100.20>;tag=f{_N}\r\n"
        f"To: <sip:{_CALLEE}@192.0.2.10>\r\n"
        f"Call-ID: {_N}@198.51.100.20\r\n"
        "CSeq: 1 INVITE\r\n"
        f"Contact: <sip:{caller}@198.51.100.20:5060>\r\n"
        f"P-Asserted-Identity: <sip:{caller}@198.51.100.20>\r\n"
        "X-Hutong-Source: 198.51.100.20\r\n"
        "Content-Type: application/sdp\r\n"
        f"Content-Length: {len(_SDP)}\r\n\r\n{_SDP}"
    )


def mix(host: str, *, distinct: bool) -> Mix:
    """The load for a client that receives at `host` (`address:port`, written into the top Via).

    Either 1 million subscribers, a few of them busy and a few per cent forged, or (`distinct`) nobody twice.
    """
    mobile, forged = "C" * 11, "C" * 10
    ack = (
        f"ACK sip:{_CALLEE}@192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/UDP {host};branch={_BRANCH}{_N}.0\r\n"
        f"Max-Forwards: 69\r\nCall-ID: {_N}@198.51.100.20\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n"
    )
    return Mix(
        _template(_invite(mobile, host), mobile),
        _template(_invite(forged, host), forged),
        _template(ack, mobile),
        int(distinct),
    )


@numba.njit(nogil=True)
def scatter(number: int) -> int:
    """A well-spread value in 0 … 2**31-1: the load is random and yet the same in every round."""
    x = number * 2654435761 + 40503
    x ^= x >> 15
    x = (x * 2246822519) & 0xFFFFFFFF
    x ^= x >> 13
    x = (x * 3266489917) & 0xFFFFFFFF
    return (x ^ (x >> 16)) & 0x7FFFFFFF


@numba.njit(nogil=True)
def _digits(row: Bytes, at: int, count: int, value: int) -> None:
    for i in range(count):
        row[at + count - 1 - i] = 48 + value % 10
        value //= 10


@numba.njit(nogil=True)
def _fill(row: Bytes, template: Template, number: int, caller: int, callee: int) -> int:
    size = template.text.shape[0]
    row[:size] = template.text
    for at in template.numbers:
        _digits(row, at, DIGITS, number)
    for at in template.callers:
        _digits(row, at, template.caller_digits, caller)
    for at in template.callees:
        _digits(row, at, 11, callee)
    return size


@numba.njit(nogil=True)
def _callee(load: Mix, number: int) -> int:
    if load.distinct:
        return 13_900_000_000 + number
    return 13_900_000_000 + scatter(number + 7_000_000_007) % CALLEES


@numba.njit(nogil=True)
def write_invite(load: Mix, row: Bytes, number: int) -> int:
    """Write call `number` into `row`; returns its length in bytes."""
    drawn = scatter(number)
    callee = _callee(load, number)
    if load.distinct:
        return _fill(row, load.mobile, number, 15_000_000_000 + number, callee)
    share = drawn % 100
    if share < FORGED_PER_CENT:
        # A 400 number is only ever called: as a caller it is forged.
        return _fill(row, load.forged, number, 4_008_000_000 + drawn // 100 % 1000, callee)
    if share < FORGED_PER_CENT + HOT_PER_CENT:
        return _fill(row, load.mobile, number, 18_600_000_000 + drawn // 100 % HOT_CALLERS, callee)
    return _fill(row, load.mobile, number, 13_800_000_000 + drawn // 100 % CALLERS * 97, callee)


@numba.njit(nogil=True)
def read_reply(row: Bytes, size: int) -> tuple[int, int]:
    """Status code and call number of an answer; code 0 for an echoed request, number -1 for anything else."""
    if size < 40:
        return -1, -1
    code = 0
    if row[0] == 83:  # "S" of SIP/2.0
        code = (row[8] - 48) * 100 + (row[9] - 48) * 10 + (row[10] - 48)
    for at in range(20, size - 20):
        # "z9hG4bKh0": ours is the first Via's branch.
        if row[at] == 122 and row[at + 1] == 57 and row[at + 7] == 104 and row[at + 8] == 48:
            number = 0
            for i in range(DIGITS):
                number = number * 10 + (row[at + 9 + i] - 48)
            return code, number
    return code, -1


@numba.njit(nogil=True)
def write_ack(load: Mix, row: Bytes, reply: Bytes, size: int, number: int) -> int:
    """Write the ACK of a final answer (RFC 3261 §17.1.1.3: its From and To, the request's branch)."""
    callee = _callee(load, number)
    end = _fill(row, load.ack, number, 0, callee)
    line = 0
    for at in range(size - 1):
        if reply[at] != 13:
            continue
        first = reply[line]
        # F(rom and T(o: no other header of an answer to these calls begins so.
        if first in (70, 84) and end + at - line < ROW - 4:
            row[end : end + at - line] = reply[line:at]
            end += at - line
            row[end], row[end + 1] = 13, 10
            end += 2
        if at == line:
            break
        line = at + 2
    row[end], row[end + 1] = 13, 10
    return end + 2
