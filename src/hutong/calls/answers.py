"""The words of an answer: which SIP response a verdict becomes, byte for byte.

A verdict is packed into one integer, and the response is a pure function of the request and that integer, so a
retransmitted INVITE gets the same bytes. Used by the fast lane (compiled) and by the reference path (`lines_of`).

302 with one Contact when passed or warned (RFC 3261 §8.3); 603, 607 (RFC 8197) or 608 (RFC 8688) when blocked, with
Reason (RFC 3326, 6432) and, for 608, the Call-Info of RFC 8688 §3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hutong.calls.lane import requests as lane
from hutong.calls.lane.grammar import quad_value
from hutong.calls.model import ACTION_BLOCK, ACTION_WARN, PHRASES, RESPOND_CODES
from hutong.kernel.compiled import compiled, copy_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hutong.calls.trunks import TrunkTable
    from hutong.kernel.rules.ruleset import Ruleset

#: Q.850 cause 21, call rejected: what a switched network understands (RFC 6432).
_Q850_REJECTED = 21
NO_RULE = 0xFFFF
#: Rows that fit a packed answer, kept well below its 16 bits.
_MAX_ROWS = 60_000

_ACTION_SHIFT, _CODE_SHIFT, _ROW_SHIFT, _TRUNK_SHIFT = 0, 4, 16, 32
_ACTION_MASK, _CODE_MASK, _ROW_MASK, _TRUNK_MASK = 0xF, 0xFFF, 0xFFFF, 0xFFFF


class AnswerArrays(NamedTuple):
    """Ready-made parts of responses.

    blob: uint8 bytes; status, warnings, refusals, contacts: int64[n, 2] spans in it. status is indexed by position in
    RESPOND_CODES (302 first), warnings by row, refusals by row * len(RESPOND_CODES) + that position, contacts by trunk.
    A rule's row is base + rule; the row after the last rule stands for "no rule". Rows of earlier rule sets stay, so
    that a retransmitted INVITE gets the same bytes after a reload.
    """

    blob: NDArray[np.uint8]
    status: NDArray[np.int64]
    warnings: NDArray[np.int64]
    refusals: NDArray[np.int64]
    contacts: NDArray[np.int64]
    base: int


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "").replace('"', "'").replace("\r", " ").replace("\n", " ") + '"'


def warning_line(ruleset: Ruleset, rule: int) -> str:
    """The header that carries a warning to the callee, without CRLF."""
    it = ruleset.rules[rule]
    zh, en = _quoted(it.title["zh"]), _quoted(it.title["en"])
    return f"Hutong-Warning: rule={it.id};version={it.version};zh={zh};en={en}"


def refusal_lines(ruleset: Ruleset, rule: int, code: int, redress_url: str) -> list[str]:
    """Reason and, for 608, Call-Info, without CRLF."""
    text = (
        "blocked"
        if rule >= len(ruleset.rules)
        else f"blocked by {ruleset.rules[rule].id}@{ruleset.rules[rule].version}"
    )
    lines = [f'Reason: SIP;cause={code};text={_quoted(text)}, Q.850;cause={_Q850_REJECTED};text="Call rejected"']
    if code == 608:  # RFC 8688
        lines.append(f"Call-Info: <{redress_url}>;purpose=jwscard")
    return lines


class _Blob:
    def __init__(self, start: bytes) -> None:
        self._bytes = bytearray(start)

    def add(self, text: str) -> tuple[int, int]:
        start = len(self._bytes)
        self._bytes += text.encode()
        return start, len(self._bytes)

    def array(self) -> NDArray[np.uint8]:
        return np.frombuffer(bytearray(self._bytes), dtype=np.uint8)


def _spans(rows: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    return np.array(rows, dtype=np.int64).reshape(-1, 2)


def build_answers(
    ruleset: Ruleset, trunks: TrunkTable, next_hop: str, redress_url: str, after: AnswerArrays | None = None
) -> AnswerArrays:
    """Make every part that does not depend on the request.

    Args:
        ruleset: whose rules may decide.
        trunks: whose next hops the contacts name.
        next_hop: host:port for trunks without their own.
        redress_url: the Call-Info of a 608.
        after: parts in use until now, whose rows are kept while there is room for them.
    """
    count = len(ruleset.rules)
    if after is not None and len(after.warnings) + count + 1 > _MAX_ROWS:
        after = None
    blob = _Blob(after.blob.tobytes() if after is not None else b"")
    status = [blob.add(f"SIP/2.0 {code} {PHRASES[code]}\r\n") for code in RESPOND_CODES]
    warnings = [blob.add(warning_line(ruleset, rule) + "\r\n") for rule in range(count)] + [(0, 0)]
    refusals = [
        blob.add("\r\n".join(refusal_lines(ruleset, rule, code, redress_url)) + "\r\n")
        for rule in range(count + 1)
        for code in RESPOND_CODES
    ]
    contacts = [blob.add(f"@{trunk.next_hop or next_hop}>\r\n") for trunk in trunks.trunks]
    base = 0 if after is None else len(after.warnings)
    return AnswerArrays(
        blob=blob.array(),
        status=_spans(status),
        warnings=_spans(warnings) if after is None else np.concatenate([after.warnings, _spans(warnings)]),
        refusals=_spans(refusals) if after is None else np.concatenate([after.refusals, _spans(refusals)]),
        contacts=_spans(contacts),
        base=base,
    )


@compiled
def row_of(parts: AnswerArrays, rule: int) -> int:
    """The row of a deciding rule (NO_RULE: the last row)."""
    last: int = parts.warnings.shape[0] - 1
    return min(parts.base + rule, last)


@compiled
def pack(action: int, code: int, row: int, trunk: int) -> int:
    """One integer for an answer; `row` as `row_of` gives it."""
    return (action << _ACTION_SHIFT) | (code << _CODE_SHIFT) | (row << _ROW_SHIFT) | (trunk << _TRUNK_SHIFT)


@compiled
def unpack(answer: int) -> tuple[int, int, int, int]:
    """(action, code, row, trunk) of a packed answer."""
    return (
        (answer >> _ACTION_SHIFT) & _ACTION_MASK,
        (answer >> _CODE_SHIFT) & _CODE_MASK,
        (answer >> _ROW_SHIFT) & _ROW_MASK,
        (answer >> _TRUNK_SHIFT) & _TRUNK_MASK,
    )


def lines_of(parts: AnswerArrays, answer: int, user: str) -> tuple[int, list[tuple[str, str]]]:
    """The same answer for the reference path: status code, and header names with values in order.

    `user` is the called user as it stands in the Request-URI, empty where the URI has none.
    """
    action, code, row, trunk = unpack(answer)
    if action == ACTION_BLOCK:
        spans = [parts.refusals[row * len(RESPOND_CODES) + code_index(code)]]
    else:
        spans = [parts.warnings[row]] if action == ACTION_WARN else []
    text = b"".join(parts.blob[start:end].tobytes() for start, end in spans).decode()
    lines = [(name, value) for name, _, value in (line.partition(": ") for line in text.split("\r\n")[:-1])]
    if action != ACTION_BLOCK:
        start, end = parts.contacts[trunk]
        host = parts.blob[start:end].tobytes().decode().removesuffix("\r\n")
        lines.insert(0, ("Contact", f"<sip:{user}{host if user else host.removeprefix('@')}"))
    return int(code), lines


@compiled
def _put_decimal(out: NDArray[np.uint8], at: int, value: int) -> int:
    digits = 1
    scale = 10
    while value >= scale:
        scale *= 10
        digits += 1
    for i in range(digits):
        out[at + digits - 1 - i] = 48 + value % 10
        value //= 10
    return at + digits


@compiled
def _put_quad(out: NDArray[np.uint8], at: int, value: int) -> int:
    for shift in (24, 16, 8, 0):
        at = _put_decimal(out, at, (value >> shift) & 255)
        if shift:
            out[at] = 46
            at += 1
    return at


@compiled
def put_hex(out: NDArray[np.uint8], at: int, value: int) -> int:
    """Write a 64-bit value as 16 lower-case hexadecimal digits."""
    for i in range(16):
        nibble = (value >> (60 - 4 * i)) & 15
        out[at + i] = 48 + nibble if nibble < 10 else 87 + nibble
    return at + 16


_W_VIA = np.frombuffer(b"Via: ", dtype=np.uint8)
_W_FROM = np.frombuffer(b"From: ", dtype=np.uint8)
_W_TO = np.frombuffer(b"To: ", dtype=np.uint8)
_W_TAG = np.frombuffer(b";tag=", dtype=np.uint8)
_W_CALL_ID = np.frombuffer(b"Call-ID: ", dtype=np.uint8)
_W_CSEQ = np.frombuffer(b"CSeq: ", dtype=np.uint8)
_W_CONTACT = np.frombuffer(b"Contact: <sip:", dtype=np.uint8)
_W_END = np.frombuffer(b"Content-Length: 0\r\n\r\n", dtype=np.uint8)
_W_RECEIVED = np.frombuffer(b";received=", dtype=np.uint8)
_W_CRLF = np.frombuffer(b"\r\n", dtype=np.uint8)


@compiled
def _put_line(
    out: NDArray[np.uint8], at: int, name: NDArray[np.uint8], data: NDArray[np.uint8], start: int, end: int
) -> int:
    at = copy_bytes(out, at, name, 0, name.size)
    at = copy_bytes(out, at, data, start, end)
    return copy_bytes(out, at, _W_CRLF, 0, 2)


@compiled
def _put_vias(
    out: NDArray[np.uint8], at: int, data: NDArray[np.uint8], spans: NDArray[np.int64], source: int, port: int
) -> int:
    """All Via lines in order; the first says where the request really came from (RFC 3261 §18.2.1, RFC 3581 §4)."""
    start, end, rport = spans[lane.VIAS], spans[lane.VIAS + 1], spans[lane.RPORT_AT]
    at = copy_bytes(out, at, _W_VIA, 0, _W_VIA.size)
    if rport:
        at = copy_bytes(out, at, data, start, rport)
        out[at] = 61
        at = _put_decimal(out, at + 1, port)
        at = copy_bytes(out, at, data, rport, end)
    else:
        at = copy_bytes(out, at, data, start, end)
    if rport or quad_value(data, spans[lane.SENT_BY_HOST], spans[lane.SENT_BY_HOST + 1]) != source:
        at = copy_bytes(out, at, _W_RECEIVED, 0, _W_RECEIVED.size)
        at = _put_quad(out, at, source)
    at = copy_bytes(out, at, _W_CRLF, 0, 2)
    for via in range(1, spans[lane.VIA_COUNT]):
        at = _put_line(out, at, _W_VIA, data, spans[lane.VIAS + 2 * via], spans[lane.VIAS + 2 * via + 1])
    return at


@compiled
def code_index(code: int) -> int:
    """Position of a status code in RESPOND_CODES."""
    for i in range(len(RESPOND_CODES)):
        if RESPOND_CODES[i] == code:
            return i
    return 0


@compiled
def write_response(
    parts: AnswerArrays,
    answer: int,
    tag: int,
    data: NDArray[np.uint8],
    spans: NDArray[np.int64],
    source: int,
    port: int,
    out: NDArray[np.uint8],
) -> int:
    """Write the response to a request that the lane has read.

    Args:
        parts: the ready-made parts.
        answer: a packed answer.
        tag: the To tag, 64 bits.
        data: the request, with its `spans`.
        source: IPv4 address it came from.
        port: and port.
        out: uint8, room for the request's length and 1 KiB more.

    Returns:
        The response's length in bytes.
    """
    action, code, row, trunk = unpack(answer)
    which = code_index(code)
    at = copy_bytes(out, 0, parts.blob, parts.status[which, 0], parts.status[which, 1])
    at = _put_vias(out, at, data, spans, source, port)
    at = _put_line(out, at, _W_FROM, data, spans[lane.FROM], spans[lane.FROM + 1])
    at = copy_bytes(out, at, _W_TO, 0, _W_TO.size)
    at = copy_bytes(out, at, data, spans[lane.TO], spans[lane.TO + 1])
    at = copy_bytes(out, at, _W_TAG, 0, _W_TAG.size)
    at = put_hex(out, at, tag)
    at = copy_bytes(out, at, _W_CRLF, 0, 2)
    at = _put_line(out, at, _W_CALL_ID, data, spans[lane.CALL_ID], spans[lane.CALL_ID + 1])
    at = _put_line(out, at, _W_CSEQ, data, spans[lane.CSEQ], spans[lane.CSEQ + 1])
    if action == ACTION_BLOCK:
        cell = row * len(RESPOND_CODES) + which
        at = copy_bytes(out, at, parts.blob, parts.refusals[cell, 0], parts.refusals[cell, 1])
    else:
        at = copy_bytes(out, at, _W_CONTACT, 0, _W_CONTACT.size)
        at = copy_bytes(out, at, data, spans[lane.CALLEE], spans[lane.CALLEE + 1])
        at = copy_bytes(out, at, parts.blob, parts.contacts[trunk, 0], parts.contacts[trunk, 1])
        if action == ACTION_WARN:
            at = copy_bytes(out, at, parts.blob, parts.warnings[row, 0], parts.warnings[row, 1])
    return copy_bytes(out, at, _W_END, 0, _W_END.size)
