"""The call table: calls under way, as far as mirrored signalling tells. Rows, look-up, order of time; no meaning.

What a message does to a call is `mirror.follow`'s business, where the table lives is `mirror.file`'s. One int64 array
of fixed size holds it all, so that it can be a mapped file:

    header    identity, batch, counts, ends of the lists
    log       (place, former content) of every word changed in the open batch
    buckets   first row + 1 of each chain
    rows      one call each
    marks     numbers that matter to alerts (`alerts.marks`)

A batch happens wholly or not at all, as in `kernel.windows.undo`: the former content of a word is logged before the
word changes. A call is known by its Call-ID and its caller's From tag; whoever knows no tag inserts 0, and the first
message that fits gives it. The hashes are keyed: nobody outside can aim at a chain.

Lists are in order of time, so whoever waits for calls to reach an age keeps a cursor in a list: the oldest row that
has not reached it. `alerts.watch` has one for each age that an alert condition names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hutong.calls.transactions import hash_branch
from hutong.kernel.compiled import compiled
from hutong.kernel.windows.undo import stores_in_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAGIC_NUMBER = 0x32_4C_4C_41_43_54_48  # "HTCALL2"

# Words of the header.
MAGIC, CAPACITY, BUCKETS, SALT, BOOT, CLOSED = 0, 1, 2, 3, 4, 6  # BOOT takes two words
BATCH, FIRST_SEQ, LOGGED = 8, 9, 10
# From here on, words that change within a batch.
USED, FREE, ROWS, FOLLOWED = 16, 17, 18, 19
HEADS, _TAILS = 20, 24
#: Numbers marked, the ends of their list, and where the round over the rows stands (`alerts.marks`, `alerts.watch`).
MARKED, MARK_OLDEST, MARK_NEWEST, ROUND = 27, 28, 29, 30
#: Digest of the alert conditions that the cursors are for; how many cursors the lists SETUP and TALK have.
CONDITIONS, CURSOR_COUNTS = 31, 32
#: Where the marks' buckets and the marks begin, and how many of each there are.
MARK_BUCKETS_AT, MARKS_AT, MARK_BUCKETS, MARKS = 34, 35, 36, 37
#: Most cursors of a list.
CURSORS = 16
#: Ages (ms) and cursors: CURSORS words for SETUP, as many for TALK.
AGES, _CURSORS = 40, 40 + 2 * CURSORS
#: Most alert conditions at once: each has a bit of RAISED, and here the hash of its id.
SLOTS = 62
SLOTS_AT = _CURSORS + 2 * CURSORS
_HEADER = 168

#: Words that one batch may change; a datagram changes fewer than MOST_CHANGES.
LOG = 32_768
MOST_CHANGES = 384
_LOG_AT = _HEADER
_BUCKETS_AT = _LOG_AT + 2 * LOG

# Words of a row.
KEY, TAG, PEER, LEG, STATE, CSEQ = 0, 1, 2, 3, 4, 5
CALLER, CALLEE, TRUNK, INVITED, ANSWERED, ENDED = 6, 7, 8, 9, 10, 11
VERDICT, RELEASE, SLOT, SINCE, LIST = 12, 13, 14, 15, 16
_CHAIN, _OLDER, _NEWER = 17, 18, 19
#: For alerts: what was known when it was judged, conditions that were told, what was found out about the caller since.
FINDINGS, RAISED, KNOWN, JUDGED_AT = 20, 21, 22, 23
ROW = 24

#: Lists of rows, oldest first: not answered yet; answered; over, and kept only to know what comes late.
SETUP, TALK, OVER = 0, 1, 2
#: States: waits to be screened; was judged; is answered; is over.
WAITING, JUDGED, TALKING, DONE = 1, 2, 3, 4
#: Bit of STATE: its INVITE was seen in mirrored signalling.
SEEN = 16
_STATE_BITS = 15

#: Words of a marked number; see `alerts.marks`.
MARK = 24

NONE = -1
#: Calls with one Call-ID and different From tags that are told apart, so that no chain grows long.
_SAME = 8


def words_for(capacity: int) -> int:
    """Length of a table for so many calls."""
    return _BUCKETS_AT + _buckets_for(capacity) + ROW * capacity + marks_words(capacity)


def marks_for(capacity: int) -> int:
    """How many numbers are marked at once beside so many calls."""
    return max(capacity // 4, 256)


def marks_words(capacity: int) -> int:
    """Words of the marks."""
    return _buckets_for(marks_for(capacity)) + MARK * marks_for(capacity)


def _buckets_for(capacity: int) -> int:
    return 1 << max(capacity - 1, 1).bit_length()


def no_table() -> NDArray[np.int64]:
    """What stands where no signalling is mirrored: nothing is ever put into it."""
    return np.zeros(1, dtype=np.int64)


def format_table(words: NDArray[np.int64], capacity: int, salt: int) -> NDArray[np.int64]:
    """Make an all-zero array of words_for(capacity) an empty table; `salt` is secret."""
    words[CAPACITY], words[BUCKETS], words[SALT] = capacity, _buckets_for(capacity), salt
    words[FREE] = NONE
    words[HEADS : HEADS + 3] = NONE
    words[_TAILS : _TAILS + 3] = NONE
    words[MARK_OLDEST : MARK_NEWEST + 1] = NONE
    words[MARK_BUCKETS_AT] = words_for(capacity) - marks_words(capacity)
    words[MARK_BUCKETS], words[MARKS] = _buckets_for(marks_for(capacity)), marks_for(capacity)
    words[MARKS_AT] = words[MARK_BUCKETS_AT] + words[MARK_BUCKETS]
    words[MAGIC] = MAGIC_NUMBER
    return words


@compiled
def in_use(t: NDArray[np.int64]) -> bool:
    """Whether calls are followed at all."""
    return t.size > _HEADER


@compiled
def room(t: NDArray[np.int64]) -> bool:
    """Whether the open batch can take another message, or there is no table."""
    return bool(t.size <= _HEADER or t[LOGGED] + MOST_CHANGES <= LOG)


@compiled
def put(t: NDArray[np.int64], place: int, value: int) -> None:
    """Change a word, keeping its former content while a batch is open.

    Raises:
        RuntimeError: the log is full (see `room`).
    """
    if t[BATCH] != 0:
        count = t[LOGGED]
        if count >= LOG:
            raise RuntimeError("the call table's log is full: commit while there is room")
        t[_LOG_AT + 2 * count] = place
        t[_LOG_AT + 2 * count + 1] = t[place]
        stores_in_order()
        t[LOGGED] = count + 1
        stores_in_order()
    t[place] = value


def begin(t: NDArray[np.int64], first_seq: int) -> None:
    """Open a batch whose first journal record will have this sequence number."""
    t[LOGGED] = 0
    t[FIRST_SEQ] = first_seq
    t[BATCH] = 1


def commit(t: NDArray[np.int64]) -> None:
    """Close the batch: its changes stand."""
    t[BATCH] = 0


@compiled
def recover(t: NDArray[np.int64]) -> None:
    """Undo the open batch, if any; may itself be killed and repeated."""
    if t[BATCH] != 0:
        for i in range(t[LOGGED] - 1, -1, -1):
            t[t[_LOG_AT + 2 * i]] = t[_LOG_AT + 2 * i + 1]
        stores_in_order()
        t[BATCH] = 0


@compiled
def at_row(t: NDArray[np.int64], row: int) -> int:
    """The place of a row's first word."""
    return int(_BUCKETS_AT + t[BUCKETS] + row * ROW)


@compiled
def get(t: NDArray[np.int64], row: int, word: int) -> int:
    """A word of a row."""
    return int(t[at_row(t, row) + word])


@compiled
def put_row(t: NDArray[np.int64], row: int, word: int, value: int) -> None:
    """Change a word of a row."""
    put(t, at_row(t, row) + word, value)


@compiled
def state_of(t: NDArray[np.int64], row: int) -> int:
    """WAITING, JUDGED, TALKING or DONE."""
    return get(t, row, STATE) & _STATE_BITS


@compiled
def set_state(t: NDArray[np.int64], row: int, state: int) -> None:
    """Change the state, not whether the INVITE was seen."""
    put_row(t, row, STATE, (get(t, row, STATE) & SEEN) | state)


@compiled
def text_hash(t: NDArray[np.int64], data: NDArray[np.uint8], start: int, end: int) -> int:
    """The keyed hash of a Call-ID or tag; 0 for an empty one only."""
    if end <= start:
        return 0
    return int(hash_branch(data, start, end, t[SALT], t[SALT])) or 1


@compiled
def _bucket(t: NDArray[np.int64], key: int) -> int:
    return int(_BUCKETS_AT + (key & (t[BUCKETS] - 1)))


@compiled
def find(t: NDArray[np.int64], key: int, one: int, other: int) -> int:
    """The row of a call.

    Args:
        t: the table.
        key: hash of the Call-ID.
        one, other: hashes of a message's From and To tags (0 = none): its caller's tag is one of them.

    Returns:
        The row, NONE where the call is not known. A row without a tag fits where no other does; who names no tag, as
        over HTTP, means any row of the Call-ID.
    """
    untold = NONE
    row = t[_bucket(t, key)] - 1
    while row >= 0:
        base = at_row(t, row)
        if t[base + KEY] == key:
            tag = t[base + TAG]
            if tag == 0:
                untold = row
            elif tag in (one, other) or (one == 0 and other == 0):
                return int(row)
        row = t[base + _CHAIN] - 1
    return untold


@compiled
def cursor_at(kind: int, index: int) -> int:
    """The place of a cursor of a list (SETUP or TALK); its age stands 2 * CURSORS words before it."""
    return _CURSORS + kind * CURSORS + index


@compiled
def age_of(t: NDArray[np.int64], kind: int, index: int) -> int:
    """The age (ms in the list) that a cursor waits for."""
    return int(t[AGES + kind * CURSORS + index])


@compiled
def cursors_of(t: NDArray[np.int64], kind: int) -> int:
    """How many cursors a list has."""
    return int(t[CURSOR_COUNTS + kind])


@compiled
def _unlink(t: NDArray[np.int64], row: int) -> None:
    base = at_row(t, row)
    if t[base + LIST] != OVER:
        for index in range(cursors_of(t, t[base + LIST])):
            place = cursor_at(t[base + LIST], index)
            if t[place] == row:
                put(t, place, t[base + _NEWER])
    if t[base + LIST] != OVER:
        put(t, FOLLOWED, t[FOLLOWED] - 1)
    kind, older, newer = t[base + LIST], t[base + _OLDER], t[base + _NEWER]
    if older == NONE:
        put(t, HEADS + kind, newer)
    else:
        put_row(t, older, _NEWER, newer)
    if newer == NONE:
        put(t, _TAILS + kind, older)
    else:
        put_row(t, newer, _OLDER, older)


@compiled
def _link(t: NDArray[np.int64], row: int, kind: int, now: int) -> None:
    base, newest = at_row(t, row), t[_TAILS + kind]
    if kind != OVER:
        put(t, FOLLOWED, t[FOLLOWED] + 1)
        for index in range(cursors_of(t, kind)):
            if t[cursor_at(kind, index)] == NONE:
                put(t, cursor_at(kind, index), row)
    put(t, base + LIST, kind)
    put(t, base + SINCE, now)
    put(t, base + _OLDER, newest)
    put(t, base + _NEWER, NONE)
    if newest == NONE:
        put(t, HEADS + kind, row)
    else:
        put_row(t, newest, _NEWER, row)
    put(t, _TAILS + kind, row)


@compiled
def move(t: NDArray[np.int64], row: int, kind: int, now: int) -> None:
    """Make a row the newest of a list; `now` in ms."""
    _unlink(t, row)
    _link(t, row, kind, now)


@compiled
def oldest(t: NDArray[np.int64], kind: int) -> int:
    """The oldest row of a list, NONE when it is empty."""
    return int(t[HEADS + kind])


@compiled
def newer_than(t: NDArray[np.int64], row: int) -> int:
    """The next row of the same list, NONE after the newest."""
    return get(t, row, _NEWER)


@compiled
def free_rows(t: NDArray[np.int64]) -> int:
    """Calls that still find room."""
    return int(t[CAPACITY] - t[ROWS])


@compiled
def crowded(t: NDArray[np.int64], key: int) -> int:
    """The oldest row of a Call-ID that has as many as it may; NONE when it has fewer."""
    same, last = 0, NONE
    row = t[_bucket(t, key)] - 1
    while row >= 0:
        base = at_row(t, row)
        if t[base + KEY] == key:
            same += 1
            last = row
        row = t[base + _CHAIN] - 1
    return last if same >= _SAME else NONE


@compiled
def insert(t: NDArray[np.int64], key: int, tag: int, state: int, now: int) -> int:
    """A new row in the list SETUP, all other words 0; NONE where none is free."""
    row = int(t[FREE])
    if row != NONE:
        put(t, FREE, get(t, row, _NEWER))
    elif t[USED] < t[CAPACITY]:
        row = int(t[USED])
        put(t, USED, row + 1)
    else:
        return NONE
    put(t, ROWS, t[ROWS] + 1)
    base, bucket = at_row(t, row), _bucket(t, key)
    for word in range(ROW):
        put(t, base + word, 0)
    put(t, base + KEY, key)
    put(t, base + TAG, tag)
    put(t, base + STATE, state)
    put(t, base + _CHAIN, t[bucket])
    put(t, bucket, row + 1)
    _link(t, row, SETUP, now)
    return row


@compiled
def remove(t: NDArray[np.int64], row: int) -> None:
    """Forget a call."""
    _unlink(t, row)
    place = _bucket(t, get(t, row, KEY))
    while t[place] != row + 1:
        place = at_row(t, t[place] - 1) + _CHAIN
    put(t, place, get(t, row, _CHAIN))
    put_row(t, row, KEY, 0)
    put_row(t, row, _NEWER, t[FREE])
    put(t, FREE, row)
    put(t, ROWS, t[ROWS] - 1)


@compiled
def restart(t: NDArray[np.int64], row: int, state: int, now: int) -> None:
    """Begin a new call in the row of one that is over: the same Call-ID and tag, and nothing else of it."""
    base = at_row(t, row)
    for word in range(PEER, SINCE):
        put(t, base + word, 0)
    for word in range(FINDINGS, ROW):
        put(t, base + word, 0)
    put(t, base + STATE, state)
    move(t, row, SETUP, now)
