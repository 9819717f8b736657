"""The one judgement of a call attempt, compiled: numbers, lists, windows, rules → verdict and its record.

The fast lane and the reference path come through `judge`; replays, which write no records, through `weighing.weigh`
within it. Pure: arrays and `now` in, arrays out. What a verdict means on the wire is decided in `answers`; where
signalling is read, in `lane` and `identity`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.calls import record as rec
from hutong.calls.attempt import (
    CALL_ID,
    CALLEE,
    CALLER,
    DIVERTER,
    FROM,
    SOURCE_HIGH,
    SOURCE_LOW,
    TIME_MS,
    TRUNK,
    V_ACTION,
    V_AREA,
    V_CALLEE_LISTS,
    V_CALLER_LISTS,
    V_CODE,
    V_FIRED,
    V_FLAGS,
    V_RULE,
    Judge,
    Scratch,
)
from hutong.calls.model import FLAG_FAIL_OPEN, FLAG_NIGHT
from hutong.calls.outcomes import replay_outcome
from hutong.calls.weighing import note_call, read_parties, weigh
from hutong.kernel.compiled import compiled, inlined, signed
from hutong.kernel.numbering.codes import KEY

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hutong.kernel.windows import WindowArrays


@compiled
def judge(
    it: Judge,
    call: NDArray[np.int64],
    text: NDArray[np.uint8],
    scratch: Scratch,
    buffer: rec.RecordBuffer,
    at: int,
) -> int:
    """Judge one call attempt and write its record.

    Args:
        it: what is consulted; its windows are changed.
        call: int64[CALL_SLOTS].
        text: uint8, what the call's spans point into.
        scratch: working memory; `scratch.verdict` holds the verdict afterwards.
        buffer: where the record goes.
        at: first free byte, a multiple of 8.

    Returns:
        The next free byte; `at` itself when V_PENDING says that a roaming look-up must be awaited first, in which case
        nothing was counted.
    """
    read_parties(it, call, text, scratch)
    scratch.rows[:] = -1
    if not weigh(it, call, scratch):
        return at
    return _write(it, call, text, scratch, buffer, at)


@inlined
def _write(
    it: Judge,
    call: NDArray[np.int64],
    text: NDArray[np.uint8],
    scratch: Scratch,
    buffer: rec.RecordBuffer,
    start: int,
) -> int:
    verdict, words, cells, trunk = scratch.verdict, buffer.words, buffer.cells, call[TRUNK]
    word, cell = start // 8, start // 2
    words[word + rec.W_TIME] = call[TIME_MS]
    words[word + rec.W_CALLER] = scratch.caller[KEY]
    words[word + rec.W_CALLEE] = scratch.callee[KEY]
    words[word + rec.W_TRUNK] = it.trunks.keys[trunk]
    words[word + rec.W_CALLER_LISTS] = verdict[V_CALLER_LISTS]
    words[word + rec.W_CALLEE_LISTS] = verdict[V_CALLEE_LISTS]
    words[word + rec.W_DIGEST] = it.rules.digest
    words[word + rec.W_SOURCE_HIGH] = call[SOURCE_HIGH]
    words[word + rec.W_SOURCE_LOW] = call[SOURCE_LOW]
    cells[cell + rec.C_CODE] = verdict[V_CODE]
    cells[cell + rec.C_ACTION] = verdict[V_ACTION] | (verdict[V_FLAGS] & 0xFF) << 8
    cells[cell + rec.C_RULE] = verdict[V_RULE]
    cells[cell + rec.C_FIRED] = verdict[V_FIRED]
    cells[cell + rec.C_AREA] = verdict[V_AREA]
    cells[cell + rec.C_KIND] = it.trunks.kinds[trunk] | (verdict[V_FLAGS] & 0xFF00)
    at = start + rec.HEAD_WORDS * 8
    slot = cell + rec.C_TEXTS
    for span in (CALL_ID, CALLER, CALLEE, FROM, DIVERTER):
        after = rec.put_text(buffer, at, text, call[span], call[span + 1])
        cells[slot] = after - at
        slot += 1
        at = after
    names = it.trunks.name_spans
    after = rec.put_text(buffer, at, it.trunks.names, names[trunk, 0], names[trunk, 1])
    cells[slot] = after - at
    return rec.finish(buffer, start, _write_fired(it, scratch, buffer, after), rec.KIND_VERDICT)


@inlined
def _write_fired(it: Judge, scratch: Scratch, buffer: rec.RecordBuffer, at: int) -> int:
    if scratch.verdict[V_FIRED] == 0:
        return at
    at = rec.pad(buffer, at)
    count = it.rules.effects.shape[0]
    for rule in range(count):
        if scratch.fired[rule]:
            buffer.cells[at // 2] = rule
            at += 2
    at = rec.pad(buffer, at)
    for rule in range(count):
        if scratch.fired[rule]:
            for i in range(it.rules.read_spans[rule, 0], it.rules.read_spans[rule, 1]):
                buffer.floats[at // 8] = scratch.features[it.rules.reads[i]]
                at += 8
    return at


@compiled
def replay_windows(
    windows: WindowArrays,
    words: NDArray[np.int64],
    cells: NDArray[np.uint16],
    start: int,
) -> None:
    """Count again what a verdict record says was counted; `start` is the record's first byte."""
    word, cell = start // 8, start // 2
    flags = signed(cells[cell + rec.C_ACTION]) >> 8
    if flags & FLAG_FAIL_OPEN:
        return
    keys = words[word + rec.W_CALLER : word + rec.W_TRUNK + 1]
    night = 1 if flags & FLAG_NIGHT else 0
    note_call(windows, keys, signed(cells[cell + rec.C_AREA]), words[word + rec.W_TIME] // 1000, night)


@compiled
def replay_records(windows: WindowArrays, words: NDArray[np.int64], cells: NDArray[np.uint16], skip: int) -> int:
    """Count again all records of a row but the first `skip`; gives how many there were of a kind that counts."""
    start, counted = 0, 0
    while start < words.shape[0] * 8:
        length = words[start // 8] & 0xFFFFFFFF
        if skip > 0:
            skip -= 1
        elif cells[start // 2 + 2] == rec.KIND_VERDICT:
            replay_windows(windows, words, cells, start)
            counted += 1
        elif cells[start // 2 + 2] == rec.KIND_OUTCOME:
            replay_outcome(windows, words, cells, start)
            counted += 1
        start += length
    return counted
