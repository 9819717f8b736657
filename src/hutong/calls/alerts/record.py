"""Alerts on calls under way, as they stand in the journal: one compiled writer, one reader. Bytes only.

When they are raised is `alerts.watch`'s business. All little-endian:

    word 0      record header of the journal (length, kind)
    words 1-4   time ms, caller key, callee key, trunk key: as in a verdict's record
    words 5-8   sequence number of the verdict, ring ms and talk ms so far, digest of the conditions
    words 9-10  16-bit cells: phase, answered | stage << 8, version of the condition, SIP status, Q.850 cause,
                lengths of the texts, count of values
    texts       the condition's id, trunk name
    values      64-bit floats that the condition read, in the order of its text

A call's alerts end with one record of phase "ended" or "lost", which names no condition.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import msgspec

from hutong.calls import record as rec
from hutong.calls.outcomes import O_TRUNK, PHASE_LOST
from hutong.kernel.compiled import compiled, signed
from hutong.kernel.errors import JournalError
from hutong.kernel.rules.ruleset import ALERT_STAGES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Kind of an alert's record in the journal.
KIND_ALERT = 3

#: What is told; a position is its code.
PHASES = ("", "raised", "ended", "lost")
PHASE_RAISED, PHASE_ENDED, PHASE_LOST_CALL = 1, 2, 3
#: What an alert is about: the first part of its condition's id.
KINDS = ("long", "costly", "suspicious", "victim")

# Slots of an alert (int64) as `write_alert` takes it.
A_TIME, A_CALLER, A_CALLEE, A_TRUNK, A_VERDICT, A_RING, A_TALK, A_DIGEST = 0, 1, 2, 3, 4, 5, 6, 7
A_PHASE, A_STAGE, A_VERSION, A_STATUS, A_CAUSE, A_ANSWERED = 8, 9, 10, 11, 12, 13
ALERT_SLOTS = 14

_WORDS = 8
_CELLS = 36
_HEAD_WORDS = 11
_HEAD = struct.Struct("<qqqqqqqqHBBHHHHHH")
_SIGN = 1 << 64


class Alert(msgspec.Struct, frozen=True):
    """One record of an alert.

    Attributes:
        seq: journal sequence number: what the alert is known by (`alert_id`).
        time_ms: when it was raised, or when the call ended, ms since 1970 UTC.
        phase: "raised"; "ended" and "lost" tell that the call is over, and every alert of its `verdict_seq` with it.
        stage: "observe" or "alert" of a raised one.
        rule, version: the condition; empty and 0 where the call is over.
        caller_key, callee_key: number keys. trunk: the trunk's name.
        verdict_seq: the call's verdict, which has its Call-ID and numbers as signalled.
        ring_ms, talk_ms: so far, or in all where the call is over.
        answered: whether the call had been answered.
        release: of a call that is over, as in `outcomes.Outcome`.
        values: what the condition read, in the order of its text.
        conditions: digest of the conditions in force, 16 hexadecimal digits.
    """

    seq: int
    time_ms: int
    phase: str
    stage: str
    rule: str
    version: int
    caller_key: int
    callee_key: int
    trunk: str
    verdict_seq: int
    ring_ms: int
    talk_ms: int
    answered: bool
    release: int
    values: tuple[float, ...]
    conditions: str

    @property
    def kind(self) -> str:
        """One of KINDS; empty where the call is over."""
        return kind_of(self.rule)


def kind_of(rule: str) -> str:
    """What a condition is about, by its id."""
    return rule.partition(".")[0]


def alert_id(node: str, seq: int) -> str:
    """What an alert is known by everywhere, for ever: a node numbers its journal without gaps and never twice."""
    return f"{node}-{seq}"


@compiled
def write_alert(  # noqa: PLR0913, PLR0917  # the parts of one record
    alert: NDArray[np.int64],
    ids: NDArray[np.uint8],
    rule: NDArray[np.int64],
    names: NDArray[np.uint8],
    trunk: NDArray[np.int64],
    features: NDArray[np.float64],
    reads: NDArray[np.int64],
    buffer: rec.RecordBuffer,
    start: int,
) -> int:
    """Write the record of an alert.

    Args:
        alert: int64[ALERT_SLOTS].
        ids: uint8, ids of the conditions; rule: int64[2], this one's span in it.
        names: uint8, names of the trunks; trunk: int64[2], this one's span in it.
        features: the vector; reads: int64, places of the values to keep.
        buffer: where the record goes. start: first free byte, a multiple of 8.

    Returns:
        The next free byte.
    """
    word, cell = start // 8 + 1, start // 2 + _CELLS
    for slot in range(_WORDS):
        buffer.words[word + slot] = alert[slot]
    buffer.cells[cell] = alert[A_PHASE]
    buffer.cells[cell + 1] = alert[A_ANSWERED] | alert[A_STAGE] << 8
    for slot in range(A_VERSION, A_CAUSE + 1):
        buffer.cells[cell + slot - A_PHASE] = alert[slot]
    at = start + _HEAD_WORDS * 8
    after = rec.put_text(buffer, at, ids, rule[0], rule[1])
    end = rec.put_text(buffer, after, names, trunk[0], trunk[1])
    buffer.cells[cell + 5] = after - at
    buffer.cells[cell + 6] = end - after
    buffer.cells[cell + 7] = reads.size
    at = rec.pad(buffer, end)
    for i in range(reads.size):
        buffer.floats[at // 8] = features[reads[i]]
        at += 8
    return rec.finish(buffer, start, at, KIND_ALERT)


def decode_alert(seq: int, body: memoryview | bytes) -> Alert:
    """Read an alert's record; `body` is without the journal's 8-byte header.

    Raises:
        JournalError: the bytes are no such record.
    """
    try:
        time_ms, caller, callee, _trunk, verdict, ring, talk, digest, *cells = _HEAD.unpack_from(body)
        phase, answered, stage, version, status, cause, rule_length, name_length, count = cells
        at = _HEAD_WORDS * 8 - 8
        rule, trunk = (
            bytes(body[start : start + length]).decode()
            for start, length in ((at, rule_length), (at + rule_length, name_length))
        )
        return Alert(
            seq=seq,
            time_ms=time_ms,
            phase=PHASES[phase],
            stage=ALERT_STAGES[stage],
            rule=rule,
            version=version,
            caller_key=caller,
            callee_key=callee,
            trunk=trunk,
            verdict_seq=verdict,
            ring_ms=ring,
            talk_ms=talk,
            answered=bool(answered),
            release=cause or status,
            values=struct.unpack_from(f"<{count}d", body, (at + rule_length + name_length + 7) // 8 * 8),
            conditions=f"{digest % _SIGN:016x}",
        )
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise JournalError(
            f"record {seq} is no alert record ({error}).", fix="The journal was written by another version."
        ) from error


@compiled
def find_alerts(words: NDArray[np.int64], cells: NDArray[np.uint16], skip: int, found: NDArray[np.int64]) -> int:
    """Where alerts stand in a batch of records, and where all calls were lost from sight.

    Args:
        words, cells: the batch, seen as int64 and uint16.
        skip: records to pass over.
        found: int64[n, 2], gets the place of each (first byte) and which record of the batch it is.

    Returns:
        How many were found; at most n.
    """
    start, number, count = 0, 0, 0
    while start < words.shape[0] * 8 and count < found.shape[0]:
        kind, word, length = signed(cells[start // 2 + 2]), start // 8 + 1, words[start // 8] & 0xFFFFFFFF
        lost = kind == rec.KIND_OUTCOME and words[word + O_TRUNK] == 0 and cells[start // 2 + 4 * 8] == PHASE_LOST
        if number >= skip and (kind == KIND_ALERT or lost):
            found[count, 0], found[count, 1] = start, number
            count += 1
        start += length
        number += 1
    return count
