"""What became of a call: answered, ended, or lost from sight. Its record in the journal, and what it does to windows.

Live judgement and recovery note an outcome through the same function, so both count alike. All little-endian:

    word 0      record header of the journal (length, kind)
    words 1-4   time ms, caller key, callee key, trunk key: as in a verdict's record
    words 5-7   sequence number of the verdict (0 = none known), ring ms, talk ms
    words 8-9   16-bit cells: phase, 1 when answered, SIP status, Q.850 cause, lengths of the texts, two unused
    texts       call id (empty where no message told the outcome), trunk name
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from hutong.calls import record as rec
from hutong.kernel.compiled import compiled, signed
from hutong.kernel.errors import JournalError
from hutong.kernel.windows import find, forget_active, note_answered, note_ended, note_lost

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hutong.kernel.windows import WindowArrays

#: What happened; a position is its code. "lost": it was followed, and its end was never seen.
PHASES = ("", "answered", "ended", "lost")
PHASE_ANSWERED, PHASE_ENDED, PHASE_LOST = 1, 2, 3

# Slots of an outcome (int64) as `write_outcome` takes it.
O_TIME, O_CALLER, O_CALLEE, O_TRUNK, O_VERDICT, O_RING, O_TALK = 0, 1, 2, 3, 4, 5, 6
O_PHASE, O_ANSWERED, O_STATUS, O_CAUSE = 7, 8, 9, 10
OUTCOME_SLOTS = 11

_WORDS = 7
_CELLS = 32
_HEAD_WORDS = 10
_HEAD = struct.Struct("<qqqqqqqHHHHHHHH")


class Outcome(msgspec.Struct, frozen=True):
    """One outcome as it stands in the journal.

    Attributes:
        seq: journal sequence number.
        time_ms: when it was seen, ms since 1970 UTC.
        phase: "answered", "ended" or "lost".
        caller_key, callee_key: number keys; trunk: the trunk's name. All three are empty (0, "") in one kind of record:
            every call under way was lost from sight at once, because the call table had to be made anew.
        call_id: the SIP Call-ID; empty where a call was given up without a message.
        verdict_seq: the call's verdict; 0 = not known.
        ring_ms: from the INVITE to the answer, or to the end where there was none, by the captured messages' clock.
        talk_ms: from the answer to the end; 0 where there was none.
        release: Q.850 cause (below 128) where the message names one, else the SIP status (300 and above); 0 for a BYE
            without a cause, for an answer, and for a lost call.
        answered: whether the call was answered.
        status: SIP status of the final response; 0 where a BYE ended the call.
    """

    seq: int
    time_ms: int
    phase: str
    caller_key: int
    callee_key: int
    trunk: str
    call_id: str
    verdict_seq: int
    ring_ms: int
    talk_ms: int
    release: int
    answered: bool
    status: int = 0


@compiled
def note_outcome(  # noqa: PLR0913, PLR0917  # the cells of one record
    windows: WindowArrays,
    caller: int,
    callee: int,
    trunk: int,
    phase: int,
    answered: int,
    ring_ms: int,
    talk_ms: int,
    now: int,
) -> None:
    """Count an outcome for caller, callee and trunk; numbers that are not tracked any more are let pass.

    Args:
        windows: the table.
        caller, callee, trunk: keys; a trunk 0 stands for every number there is (see `Outcome`).
        phase: a PHASE_… code. answered: 1 when the call had been answered.
        ring_ms, talk_ms: see `Outcome`.
        now: seconds since 1970 UTC.
    """
    if trunk == 0:
        forget_active(windows)
        return
    for key in (caller, callee, trunk):
        note_outcome_at(windows, find(windows, key), phase, answered, ring_ms, talk_ms, now)


@compiled
def note_outcome_at(
    windows: WindowArrays, slot: int, phase: int, answered: int, ring_ms: int, talk_ms: int, now: int
) -> None:
    """Count an outcome for one number's row; -1 has no effect. Arguments as of `note_outcome`."""
    if phase == PHASE_ANSWERED:
        note_answered(windows, slot, now)
    elif phase == PHASE_ENDED:
        note_ended(windows, slot, now, answered, ring_ms, talk_ms)
    elif answered != 0:
        note_lost(windows, slot, now)


@compiled
def write_outcome(
    outcome: NDArray[np.int64],
    call_id: NDArray[np.uint8],
    names: NDArray[np.uint8],
    name: NDArray[np.int64],
    buffer: rec.RecordBuffer,
    start: int,
) -> int:
    """Write the record of an outcome.

    Args:
        outcome: int64[OUTCOME_SLOTS].
        call_id: uint8, the whole Call-ID.
        names: uint8, texts; name: int64[2], the trunk name's span in it.
        buffer: where the record goes. start: first free byte, a multiple of 8.

    Returns:
        The next free byte.
    """
    word, cell = start // 8 + 1, start // 2 + _CELLS
    for slot in range(_WORDS):
        buffer.words[word + slot] = outcome[slot]
    for slot in range(4):
        buffer.cells[cell + slot] = outcome[_WORDS + slot]
    at = start + _HEAD_WORDS * 8
    after = rec.put_text(buffer, at, call_id, 0, call_id.size)
    end = rec.put_text(buffer, after, names, name[0], name[1])
    buffer.cells[cell + 4] = after - at
    buffer.cells[cell + 5] = end - after
    buffer.cells[cell + 6] = 0
    buffer.cells[cell + 7] = 0
    return rec.finish(buffer, start, end, rec.KIND_OUTCOME)


def all_lost(now_ms: int) -> bytes:
    """The whole record that says that every call under way is lost from sight."""
    outcome = np.zeros(OUTCOME_SLOTS, dtype=np.int64)
    outcome[O_TIME], outcome[O_PHASE], outcome[O_ANSWERED] = now_ms, PHASE_LOST, 1
    buffer, nothing = rec.new_record_buffer(256), np.zeros(0, dtype=np.uint8)
    end = write_outcome(outcome, nothing, nothing, np.zeros(2, dtype=np.int64), buffer, 0)
    return buffer.bytes_[:end].tobytes()


@compiled
def replay_outcome(windows: WindowArrays, words: NDArray[np.int64], cells: NDArray[np.uint16], start: int) -> None:
    """Count again what an outcome's record says; `start` is the record's first byte."""
    word, cell = start // 8 + 1, start // 2 + _CELLS
    note_outcome(
        windows,
        words[word + O_CALLER],
        words[word + O_CALLEE],
        words[word + O_TRUNK],
        signed(cells[cell]),
        signed(cells[cell + 1]),
        words[word + O_RING],
        words[word + O_TALK],
        words[word + O_TIME] // 1000,
    )


def decode_outcome(seq: int, body: memoryview | bytes) -> Outcome:
    """Read an outcome's record; `body` is without the journal's 8-byte header.

    Raises:
        JournalError: the bytes are no such record.
    """
    try:
        time_ms, caller, callee, _trunk, verdict, ring, talk, phase, answered, status, cause, *lengths = (
            _HEAD.unpack_from(body)
        )
        at = _HEAD_WORDS * 8 - 8
        call_id, trunk = (
            bytes(body[start : start + length]).decode("utf-8", "replace")
            for start, length in ((at, lengths[0]), (at + lengths[0], lengths[1]))
        )
        return Outcome(
            seq=seq,
            time_ms=time_ms,
            phase=PHASES[phase],
            caller_key=caller,
            callee_key=callee,
            trunk=trunk,
            call_id=call_id,
            verdict_seq=verdict,
            ring_ms=ring,
            talk_ms=talk,
            release=cause or status,
            answered=bool(answered),
            status=status,
        )
    except (struct.error, IndexError) as error:
        raise JournalError(
            f"record {seq} is no outcome record ({error}).", fix="The journal was written by another version."
        ) from error
