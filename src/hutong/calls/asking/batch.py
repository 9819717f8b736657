"""A request of `asking.wire` judged in one compiled call: the same judgement as a batch of SIP, without the SIP.

Pure: arrays and `now` in; rows of answers, records and counts out. Sockets and the journal are `asking.edge`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from hutong.calls import attempt, screening
from hutong.calls import record as rec
from hutong.calls.asking import wire as asking
from hutong.calls.batch import count_verdict, note_screened
from hutong.calls.lane import requests as lane
from hutong.calls.mirror import table as mirror_calls
from hutong.calls.trunks import TrunkArrays, find_trunk
from hutong.kernel.compiled import compiled, signed
from hutong.kernel.numbering.codes import KEY
from hutong.kernel.windows import table_at, undo_room

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hutong.calls.batch import Moment
    from hutong.calls.engine import Engine

# Columns of the answers: the first five are those of `asking.ANSWER_ROW`, the others stay here.
INDEX, STATUS, SEQ, START, LENGTH = 0, 1, 2, 3, 4
SENT: Final = 5
HASH, TEXT_FROM, TEXT_TO, CALLER_KEY = 5, 6, 7, 8
_COLUMNS = 9

#: How long a repeated attempt gets the verdict of the first one: as a retransmitted INVITE does (RFC 3261 §17.1.1.2).
KEPT_MS: Final = 32_000
_WAYS = 4
_SEEN = 1 << 19
# Columns of what was seen.
_WHAT, _ENDS, _VERDICT = 0, 1, 2

_MOST, _ROW = asking.MAX_CALLS, asking.CALL_ROW.size
_WORDS = _ROW // 8
_CELLS = _ROW // 2
# Cells of a request's row: lengths of the texts, then marks.
_LENGTHS, _MARKS = 12, 18
_TOUCHES = 3
_RECEIVED, _HIGH, _LOW = 0, 1, 2

_PRIME = np.uint64(1099511628211)
_LEFT, _RIGHT = np.uint64(29), np.uint64(35)

_JUDGED, _REPEATED, _NO_TRUNK, _WAITING = asking.JUDGED, asking.REPEATED, asking.NO_TRUNK, asking.WAITING
_WITHHELD, _HAS_SOURCE, _TEXTS = asking.WITHHELD, asking.HAS_SOURCE, asking.TEXTS


class Request(NamedTuple):
    """Room for one request's body, seen as bytes, 16-bit cells and words."""

    bytes_: NDArray[np.uint8]
    cells: NDArray[np.uint16]
    words: NDArray[np.int64]


class Done(NamedTuple):
    """What `judge_many` did: the next row, bytes of records, records, calls that wait for a look-up."""

    next: int
    end: int
    records: int
    waiting: int


def new_request() -> Request:
    """Room for the largest body."""
    words = np.zeros(asking.MAX_BODY // 8, dtype=np.int64)
    return Request(words.view(np.uint8), words.view(np.uint16), words)


def new_seen(entries: int = _SEEN) -> NDArray[np.int64]:
    """int64[entries, 3] of (hash, ends at ms, verdict's sequence number or 0 while it waits); a power of two."""
    return np.zeros((entries, 3), dtype=np.int64)


def new_answers() -> NDArray[np.int64]:
    """Room for the answers to the largest request."""
    return np.zeros((asking.MAX_CALLS, _COLUMNS), dtype=np.int64)


@compiled
def _stir(value: np.uint64, word: np.uint64, salt: np.uint64) -> np.uint64:
    mixed = value ^ word
    mixed = (mixed << _LEFT) | (mixed >> _RIGHT)
    return mixed * _PRIME + salt


@compiled
def hash_call(request: Request, row: int, text: int, end: int, salt: int) -> int:
    """Keyed 64-bit hash of all that a call says, but for when it was taken in; never 0. The salt is secret."""
    key = np.uint64(salt)
    value = key
    for word in range(_HIGH, _WORDS):
        value = _stir(value, np.uint64(request.words[row * _WORDS + word]), key)
    for place in range(np.uint64(text), np.uint64(end)):
        value = _stir(value, np.uint64(request.bytes_[place]), key)
    value = _stir(value, value >> np.uint64(32), key)
    return signed(value ^ (value >> _LEFT)) | 1


@compiled
def _find(seen: NDArray[np.int64], what: int, now: int) -> int:
    """The place of a live entry, -1 where there is none."""
    base = ((what >> 1) & (seen.shape[0] // _WAYS - 1)) * _WAYS
    for way in range(_WAYS):
        if seen[base + way, _WHAT] == what and seen[base + way, _ENDS] > now:
            return int(base + way)
    return -1


@compiled
def _enter(seen: NDArray[np.int64], what: int, verdict: int, now: int) -> None:
    """Note a call's verdict; forgets the entry that ends first where its place is taken."""
    base = ((what >> 1) & (seen.shape[0] // _WAYS - 1)) * _WAYS
    chosen = base
    for way in range(_WAYS):
        if seen[base + way, _WHAT] == what:
            chosen = base + way
            break
        if seen[base + way, _ENDS] < seen[chosen, _ENDS]:
            chosen = base + way
    seen[chosen, _WHAT] = what
    seen[chosen, _ENDS] = now + KEPT_MS
    seen[chosen, _VERDICT] = verdict


@compiled
def forget(seen: NDArray[np.int64], what: int) -> None:
    """Drop a call that was not kept: its repetition is a call of its own."""
    base = ((what >> 1) & (seen.shape[0] // _WAYS - 1)) * _WAYS
    for way in range(_WAYS):
        if seen[base + way, _WHAT] == what:
            seen[base + way, _ENDS] = 0


@compiled
def is_whole(request: Request, rows: int, size: int) -> bool:
    """Whether a body of `size` bytes holds `rows` rows and exactly their texts."""
    if rows < 1 or rows > _MOST or rows * _ROW > size:
        return False
    end = rows * _ROW
    for row in range(rows):
        for text in range(_TEXTS):
            end += signed(request.cells[row * _CELLS + _LENGTHS + text])
    return end == size


@compiled
def named_trunk(trunks: TrunkArrays, text: NDArray[np.uint8], start: int, end: int) -> int:
    """The trunk of this name, -1 where there is none."""
    spans = trunks.name_spans
    for trunk in range(spans.shape[0]):
        first = spans[trunk, 0]
        if spans[trunk, 1] - first != end - start:
            continue
        same = True
        for at in range(end - start):
            if trunks.names[first + at] != text[start + at]:
                same = False
                break
        if same:
            return trunk
    return -1


@compiled
def _set_call(it: attempt.Judge, request: Request, row: int, text: int, call: NDArray[np.int64], when: Moment) -> bool:
    """Fill in the call; False when it names a trunk that does not exist."""
    call[:] = 0
    words, cells = request.words, request.cells
    at = text
    cell = row * _CELLS + _LENGTHS
    for slot in (attempt.CALL_ID, attempt.CALLER, attempt.CALLEE, attempt.FROM, attempt.DIVERTER):
        call[slot] = at
        at += signed(cells[cell])
        call[slot + 1] = at
        cell += 1
    end = at + signed(cells[cell])
    marks = signed(cells[row * _CELLS + _MARKS])
    word = row * _WORDS
    call[attempt.TIME_MS] = when.now_ms
    call[attempt.HOUR] = when.hour
    call[attempt.NIGHT] = when.night
    withheld = lane.is_anonymous(request.bytes_, call[attempt.CALLER], call[attempt.CALLER + 1])
    call[attempt.ANONYMOUS] = 1 if marks & _WITHHELD else withheld
    call[attempt.FAIL_OPEN] = when.now_ms - words[word + _RECEIVED] > when.budget_ms
    call[attempt.SOURCE_HIGH], call[attempt.SOURCE_LOW] = words[word + _HIGH], words[word + _LOW]
    if end > at:
        trunk = named_trunk(it.trunks, request.bytes_, at, end)
        call[attempt.TRUNK] = max(trunk, 0)
        return trunk >= 0
    if marks & _HAS_SOURCE:
        call[attempt.TRUNK] = find_trunk(it.trunks, np.uint64(words[word + _HIGH]), np.uint64(words[word + _LOW]))
    return True


@compiled
def _text_of(request: Request, rows: int, start: int) -> int:
    """Where the texts of row `start` begin."""
    at = rows * _ROW
    for row in range(start):
        for text in range(_TEXTS):
            at += signed(request.cells[row * _CELLS + _LENGTHS + text])
    return at


@compiled
def judge_many(  # noqa: PLR0913, PLR0917  # Numba takes arrays, not objects
    it: attempt.Judge,
    seen: NDArray[np.int64],
    request: Request,
    answers: NDArray[np.int64],
    buffer: rec.RecordBuffer,
    scratch: attempt.Scratch,
    cells: NDArray[np.int64],
    call: NDArray[np.int64],
    when: Moment,
    start: int,
    rows: int,
    seq: int,
    roaming: int,
    room: int,
) -> Done:
    """Judge the calls start … rows-1 of a whole request (`is_whole`).

    Args:
        it: what is consulted and changed.
        seen: what was judged lately.
        request: the calls.
        answers: a row for each call judged here, at the call's own index.
        buffer: where records go, from byte 0.
        scratch, call: working memory.
        cells: the counter board.
        when: the moment of judgement.
        start, rows: which calls.
        seq: the journal's next sequence number.
        roaming: what a look-up said, for calls that waited for it; else attempt.ROAMING_ASK.
        room: how many more calls may wait for a look-up; what is beyond that is judged as unknown.

    Returns:
        Done. It stops early when the records or the windows' undo area are full; commit, then call again.
    """
    end, records, waiting = 0, 0, 0
    text = _text_of(request, rows, start)
    table = table_at(it.windows)
    row = start
    while row < rows:
        if end + rec.MAX_RECORD > buffer.bytes_.size or undo_room(table) < _TOUCHES or not mirror_calls.room(it.calls):
            break
        answer = answers[row]
        after_text = text
        for part in range(_TEXTS):
            after_text += signed(request.cells[row * _CELLS + _LENGTHS + part])
        what = hash_call(request, row, text, after_text, when.salt)
        answer[INDEX], answer[HASH], answer[TEXT_FROM], answer[TEXT_TO] = row, what, text, after_text
        answer[SEQ], answer[START], answer[LENGTH] = 0, end, 0
        entry = _find(seen, what, when.now_ms)
        known = entry >= 0 and roaming == attempt.ROAMING_ASK
        if known:
            answer[SEQ] = seen[entry, _VERDICT]
            answer[STATUS] = _REPEATED if answer[SEQ] else _WAITING
            waiting += 1 if answer[STATUS] == _WAITING else 0
        elif not _set_call(it, request, row, text, call, when):
            answer[STATUS] = _NO_TRUNK
        else:
            call[attempt.ROAMING] = roaming
            if roaming == attempt.ROAMING_ASK and waiting >= room:
                call[attempt.ROAMING] = attempt.ROAMING_UNKNOWN
            if roaming != attempt.ROAMING_ASK:
                call[attempt.FAIL_OPEN] = 0  # its time ran until the look-up began
            after = screening.judge(it, call, request.bytes_, scratch, buffer, end)
            if scratch.verdict[attempt.V_PENDING]:
                answer[STATUS], answer[CALLER_KEY] = _WAITING, scratch.caller[KEY]
                _enter(seen, what, 0, when.now_ms)
                waiting += 1
            else:
                count_verdict(cells, scratch.verdict, scratch, call[attempt.TRUNK], seq + records)
                if mirror_calls.in_use(it.calls):
                    # Who asks over HTTP names no From tag.
                    hashes = (
                        mirror_calls.text_hash(
                            it.calls, request.bytes_, call[attempt.CALL_ID], call[attempt.CALL_ID + 1]
                        ),
                        0,
                    )
                    note_screened(it, call, scratch, hashes, seq + records)
                answer[STATUS], answer[SEQ], answer[LENGTH] = _JUDGED, seq + records, after - end
                _enter(seen, what, seq + records, when.now_ms)
                end = after
                records += 1
        text = after_text
        row += 1
    return Done(row, end, records, waiting)


class AskBatch:
    """`judge_many` with an engine's state, and the memory of what was asked lately.

    Args:
        engine: judges.
        seen: entries of that memory, a power of two.
    """

    def __init__(self, engine: Engine, *, seen: int = _SEEN) -> None:
        self._engine = engine
        self._seen = new_seen(seen)
        self._request = new_request()
        self.answers = new_answers()

    def load(self, body: bytes, rows: int) -> bool:
        """Take in a request's body; False when it does not hold `rows` calls."""
        if len(body) > asking.MAX_BODY:
            return False
        self._request.bytes_[: len(body)] = np.frombuffer(body, dtype=np.uint8)
        return bool(is_whole(self._request, rows, len(body)))

    def part(self, row: int) -> bytes:
        """The body of a request with only this call of the loaded one, once it has been judged."""
        first = row * _ROW
        answer, data = self.answers[row], self._request.bytes_
        return data[first : first + _ROW].tobytes() + data[answer[TEXT_FROM] : answer[TEXT_TO]].tobytes()

    def judge(self, when: Moment, start: int, rows: int, seq: int, *, roaming: int, room: int) -> Done:
        """See `judge_many`."""
        engine = self._engine
        return judge_many(
            engine.judge,
            self._seen,
            self._request,
            self.answers,
            engine.records,
            engine.scratch,
            engine.cells,
            engine.call,
            when,
            start,
            rows,
            seq,
            roaming,
            room,
        )

    def forget(self, what: int) -> None:
        """Drop a call that was not kept."""
        forget(self._seen, what)
