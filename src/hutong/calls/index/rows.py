"""From a journal frame to index rows: one compiled pass over its records. Bytes in, rows out; no file, no query.

A row says of a verdict or an outcome what people search by. Whatever cannot be one of them (another kind, or bytes that
no reader would take for a verdict) gets no row. A frame whose records do not fill it exactly gets none at all, as
`Journal.read` passes it over too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from hutong.calls import record as rec
from hutong.calls.answers import NO_RULE
from hutong.calls.model import ACTIONS
from hutong.calls.outcomes import O_CALLEE, O_CALLER, O_PHASE, O_RING, O_TALK, O_TIME, O_TRUNK, PHASES
from hutong.calls.trunks import TRUNK_KINDS
from hutong.kernel.compiled import compiled, signed

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: One record. `seq` and `offset` count from the segment's first record and byte. Times are ms since 1970 UTC.
#: `trunk` and `rule` are filled in later (`growing`): places in the segment's own lists of trunks and rules.
ROW = np.dtype(
    [
        ("time", "<i8"),
        ("caller", "<i8"),
        ("callee", "<i8"),
        ("trunk_key", "<i8"),
        ("digest", "<i8"),
        ("seq", "<u4"),
        ("offset", "<u4"),
        ("call", "<u4"),
        ("rule_index", "<u2"),
        ("code", "<u2"),
        ("area", "<u2"),
        ("flags", "<u2"),
        ("trunk", "<u2"),
        ("rule", "<u2"),
        ("ring", "<u4"),
        ("talk", "<u4"),
        ("kind", "u1"),
        ("action", "u1"),
        ("phase", "u1"),
        ("answered", "u1"),
        ("spare", "u1", 4),
    ]
)
#: One fired rule of a verdict: the row's place and the rule's index in its set.
FIRED = np.dtype([("row", "<u4"), ("rule_index", "<u2"), ("rule", "<u2")])
#: The place of a record that is no verdict in columns that only verdicts have.
NO_ACTION = 255

_HEADER = 8
_HEAD = rec.HEAD_WORDS * 8
_TEXTS_AT = 2 * rec.C_TEXTS
_OFFSET_BASIS = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_PADDING = 7
_ACTIONS, _KINDS, _PHASES = len(ACTIONS), len(TRUNK_KINDS), len(PHASES)
_OUTCOME_CELLS = 8 * (1 + O_PHASE)
_OUTCOME_HEAD = _OUTCOME_CELLS + 16
_CALL_LENGTH = 8
_MOST = 0xFFFF_FFFF


class Extracted(NamedTuple):
    """How many rows and fired rules are in use."""

    rows: int
    fired: int


class FramePlace(NamedTuple):
    """A frame: records it announces, its payload's place in the segment, its first number from the segment's, salt."""

    records: int
    offset: int
    seq: int
    salt: int


class RowRecord(Protocol):
    """A ROW as compiled code and type checker see it."""

    time: int
    caller: int
    callee: int
    trunk_key: int
    digest: int
    seq: int
    offset: int
    call: int
    rule_index: int
    code: int
    area: int
    flags: int
    ring: int
    talk: int
    kind: int
    action: int
    phase: int
    answered: int


@compiled
def _u16(data: NDArray[np.uint8], at: int) -> int:
    place = np.uint64(at)
    return signed(data[place]) | (signed(data[place + np.uint64(1)]) << 8)


@compiled
def _u32(data: NDArray[np.uint8], at: int) -> int:
    return _u16(data, at) | (_u16(data, at + 2) << 16)


@compiled
def _i64(data: NDArray[np.uint8], at: int) -> int:
    return _u32(data, at) | (_u32(data, at + 4) << 32)


@compiled
def call_hash(data: NDArray[np.uint8], start: int, end: int, salt: int) -> int:
    """32 bits of a Call-ID, salted per segment: a caller who chooses Call-IDs cannot make many of them collide."""
    state = (_OFFSET_BASIS ^ np.uint64(salt)) * _MULTIPLIER
    for at in range(np.uint64(start), np.uint64(end)):
        state = (state ^ np.uint64(data[at])) * _PRIME
    state = (state ^ (state >> _HALF)) * _MULTIPLIER
    return signed((state >> _HALF) & _LOW)


@compiled
def _texts_end(data: NDArray[np.uint8], start: int) -> int:
    end = start + _HEAD
    for text in range(rec.TEXTS):
        end += _u16(data, start + _TEXTS_AT + 2 * text)
    return end


@compiled
def _is_verdict(data: NDArray[np.uint8], start: int, length: int) -> bool:
    """Whether `record.decode` would take it for one; what its rules read is known only to their set."""
    if length < _HEAD:
        return False
    end = (_texts_end(data, start) - start + _PADDING) // 8 * 8
    fired = _u16(data, start + 2 * rec.C_FIRED)
    action = data[start + 2 * rec.C_ACTION]
    kind = data[start + 2 * rec.C_KIND]
    return end + 2 * fired <= length and action < _ACTIONS and kind < _KINDS


@compiled
def _put_verdict(  # a compiled function takes arrays, not objects
    data: NDArray[np.uint8], start: int, row: RowRecord, fired: NDArray[np.void], hits: int, place: int, salt: int
) -> int:
    """Fill a verdict's row; gives how many fired rules there are now."""
    row.time = _i64(data, start + 8 * rec.W_TIME)
    row.caller = _i64(data, start + 8 * rec.W_CALLER)
    row.callee = _i64(data, start + 8 * rec.W_CALLEE)
    row.trunk_key = _i64(data, start + 8 * rec.W_TRUNK)
    row.digest = _i64(data, start + 8 * rec.W_DIGEST)
    row.code = _u16(data, start + 2 * rec.C_CODE)
    action = _u16(data, start + 2 * rec.C_ACTION)
    row.action = action & 0xFF
    # Flags above the eighth live in the high byte of the cell of the trunk's kind.
    row.flags = (action >> 8) | (_u16(data, start + 2 * rec.C_KIND) & 0xFF00)
    row.rule_index = _u16(data, start + 2 * rec.C_RULE)
    row.area = _u16(data, start + 2 * rec.C_AREA)
    texts = start + _HEAD
    row.call = call_hash(data, texts, texts + _u16(data, start + _TEXTS_AT), salt)
    indices = start + (_texts_end(data, start) - start + _PADDING) // 8 * 8
    for i in range(_u16(data, start + 2 * rec.C_FIRED)):
        fired["row"][hits] = place
        fired["rule_index"][hits] = _u16(data, indices + 2 * i)
        hits += 1
    return hits


@compiled
def _word(data: NDArray[np.uint8], start: int, slot: int) -> int:
    return _i64(data, start + 8 * (1 + slot))


@compiled
def _put_outcome(data: NDArray[np.uint8], start: int, length: int, row: RowRecord, salt: int) -> None:
    """Fill an outcome's row. Times far beyond a day are cut: the windows count them as a day."""
    row.time = _word(data, start, O_TIME)
    row.caller = _word(data, start, O_CALLER)
    row.callee = _word(data, start, O_CALLEE)
    row.trunk_key = _word(data, start, O_TRUNK)
    row.digest = 0
    row.rule_index = NO_RULE
    row.code = 0
    row.area = 0
    row.flags = 0
    row.action = NO_ACTION
    row.ring = min(max(_word(data, start, O_RING), 0), _MOST)
    row.talk = min(max(_word(data, start, O_TALK), 0), _MOST)
    row.phase = _u16(data, start + _OUTCOME_CELLS)
    row.answered = 1 if _u16(data, start + _OUTCOME_CELLS + 2) else 0
    texts = start + _OUTCOME_HEAD
    end = min(texts + _u16(data, start + _OUTCOME_CELLS + _CALL_LENGTH), start + length)
    row.call = call_hash(data, texts, end, salt)


@compiled
def extract(
    data: NDArray[np.uint8], where: FramePlace, rows: NDArray[np.void], fired: NDArray[np.void], used: Extracted
) -> Extracted:
    """Append the rows of one frame.

    Args:
        data: the frame's payload.
        where: which frame it is.
        rows: ROW, with room for the frame's records behind those in use.
        fired: FIRED, with room for half as many as the payload has bytes behind those in use.
        used: what is in use.

    Returns:
        What is in use then; `used` where the frame does not hold what it announces.
    """
    begin, end, place, hits = 0, data.shape[0], used.rows, used.fired
    for number in range(where.records):
        if end - begin < _HEADER:
            return used
        length = _u32(data, begin)
        if length < _HEADER or length > end - begin:
            return used
        kind = _u16(data, begin + 4)
        row = rows[place]
        known = False
        if kind == rec.KIND_VERDICT and _is_verdict(data, begin, length):
            hits = _put_verdict(data, begin, row, fired, hits, place, where.salt)
            known = True
        elif kind == rec.KIND_OUTCOME and length >= _OUTCOME_HEAD and _u16(data, begin + _OUTCOME_CELLS) < _PHASES:
            _put_outcome(data, begin, length, row, where.salt)
            known = True
        if known:
            row.seq, row.offset, row.kind = where.seq + number, where.offset + begin, kind
            place += 1
        begin += length
    return Extracted(place, hits) if begin == end else used


def warm_up_rows() -> None:
    """Load the compiled reader of frames, or compile it where this machine never did."""
    nothing = np.frombuffer(b"", dtype=np.uint8)
    extract(nothing, FramePlace(0, 0, 0, 0), np.zeros(1, ROW), np.zeros(1, FIRED), Extracted(0, 0))
    call_hash(nothing, 0, 0, 0)
