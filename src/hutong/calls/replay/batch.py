"""A batch of call records as a replay takes it: whole columns, straight from Arrow's buffers. Arrays only.

`new_batch` fills the columns that a source does not have. Lengths are not checked here: readers make them right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from hutong.kernel.rules.gates import words_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: `CallBatch.roaming`: nobody asked, the replay's own table is consulted.
ASK: Final = -1
#: `CallBatch.answered`: the record does not say what became of the call.
UNKNOWN: Final = -1
#: `CallBatch.answered_at`, `.ended_at`: as start, ring and talk say.
DERIVE: Final = -1
#: `CallBatch.answered_at`, `.ended_at`: nobody ever saw it.
NEVER: Final = -2
#: `CallBatch.seq` and its like: events come in order of their times.
BY_TIME: Final = -1


#: `CallBatch.flags`: the call is judged elsewhere, here only its callee is at home; it counts for nobody else.
CALLED: Final = 1 << 15


class Texts(NamedTuple):
    """One text column: text i is data[offsets[i]:offsets[i + 1]].

    data: uint8[]. offsets: int32[n + 1] or int64[n + 1].
    """

    data: NDArray[np.uint8]
    offsets: NDArray[np.int32] | NDArray[np.int64]


class CallBatch(NamedTuple):
    """n call records, in order of their starts; or of `seq`, where that is known.

    The last five columns are for exact replays of our own records only. Order is known for all calls or for none.

    Attributes:
        n: how many.
        start_ms: int64[n], ms since 1970 UTC.
        trunk: int32[n], index in the replay's trunks (`trunks.TrunkTable`).
        caller, callee: as signalled. from_: the From number where it disagrees, else empty. diverter: empty where the
            call was not diverted. call_id: goes through unread.
        anonymous: uint8[n], 1 where the caller withheld the number.
        roaming: int8[n], a screening.ROAMING_… code, or ASK.
        answered: int8[n], 0, 1 or UNKNOWN: then there is no outcome. ring_ms, talk_ms: int64[n], 0 where not known.
        release: int32[n], Q.850 cause (below 128) or SIP status; 0 where not known.
        answered_at, ended_at: int64[n], ms since 1970 UTC at which the outcome was seen; DERIVE or NEVER.
        lost: uint8[n], 1 where the call was given up at `ended_at`, its end never seen.
        flags: uint16[n], of model.FLAG_FAIL_OPEN and FLAG_MIRRORED those that the call's verdict had; others are made.
            CALLED where it is so.
        seq, answered_seq, ended_seq: int64[n], place of the attempt and of its outcomes in the order of all events;
            BY_TIME.
    """

    n: int
    start_ms: NDArray[np.int64]
    trunk: NDArray[np.int32]
    caller: Texts
    callee: Texts
    from_: Texts
    diverter: Texts
    call_id: Texts
    anonymous: NDArray[np.uint8]
    roaming: NDArray[np.int8]
    answered: NDArray[np.int8]
    ring_ms: NDArray[np.int64]
    talk_ms: NDArray[np.int64]
    release: NDArray[np.int32]
    answered_at: NDArray[np.int64]
    ended_at: NDArray[np.int64]
    lost: NDArray[np.uint8]
    flags: NDArray[np.uint16]
    seq: NDArray[np.int64]
    answered_seq: NDArray[np.int64]
    ended_seq: NDArray[np.int64]


class Judged(NamedTuple):
    """What a replay says of a batch, in the batch's order.

    Attributes:
        action: uint8[n], index in model.ACTIONS: pass, warn or block.
        decided: int32[n], index of the deciding rule in the rule set; -1 where none decided.
        fired: uint64[n, words], bit r % 64 of word r // 64 is set where rule r fired.
        score: float32[n], 0 to 1.
    """

    action: NDArray[np.uint8]
    decided: NDArray[np.int32]
    fired: NDArray[np.uint64]
    score: NDArray[np.float32]


def new_judged(n: int, rules: int) -> Judged:
    """Room for what is said of `n` calls by so many rules, all zero."""
    return Judged(
        action=np.zeros(n, dtype=np.uint8),
        decided=np.zeros(n, dtype=np.int32),
        fired=np.zeros((n, words_for(rules)), dtype=np.uint64),
        score=np.zeros(n, dtype=np.float32),
    )


def empty_texts(n: int) -> Texts:
    """A text column of `n` empty texts."""
    return Texts(np.zeros(0, dtype=np.uint8), np.zeros(n + 1, dtype=np.int32))


def texts_of(texts: list[bytes]) -> Texts:
    """A text column of these texts."""
    offsets = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    return Texts(np.frombuffer(b"".join(texts), dtype=np.uint8), offsets)


def new_batch(start_ms: NDArray[np.int64], trunk: NDArray[np.int32], caller: Texts, callee: Texts) -> CallBatch:
    """A batch of which only the required columns are known; `_replace` adds others."""
    n = len(start_ms)
    nothing, derived = np.zeros(n, dtype=np.int64), np.full(n, DERIVE, dtype=np.int64)
    by_time = np.full(n, BY_TIME, dtype=np.int64)
    return CallBatch(
        n=n,
        start_ms=start_ms,
        trunk=trunk,
        caller=caller,
        callee=callee,
        from_=empty_texts(n),
        diverter=empty_texts(n),
        call_id=empty_texts(n),
        anonymous=np.zeros(n, dtype=np.uint8),
        roaming=np.full(n, ASK, dtype=np.int8),
        answered=np.full(n, UNKNOWN, dtype=np.int8),
        ring_ms=nothing,
        talk_ms=nothing,
        release=np.zeros(n, dtype=np.int32),
        answered_at=derived,
        ended_at=derived,
        lost=np.zeros(n, dtype=np.uint8),
        flags=np.zeros(n, dtype=np.uint16),
        seq=by_time,
        answered_seq=by_time,
        ended_seq=by_time,
    )
