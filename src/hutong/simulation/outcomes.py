"""What becomes of a call: whether it is answered, how long it rings, how long people talk, why it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hutong.kernel.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hutong.simulation.chance import Dice
    from hutong.simulation.parameters import Calling
    from hutong.simulation.rows import Calls

#: Causes of ITU-T Q.850 that calls here end with.
UNALLOCATED, NORMAL, BUSY, NO_ANSWER, ABSENT, REJECTED = 1, 16, 17, 19, 20, 21
_UNANSWERED = (NO_ANSWER, BUSY, ABSENT, REJECTED, NORMAL)  # NORMAL: the caller gives up
_SHARES = np.cumsum([0.46, 0.15, 0.14, 0.1, 0.15])  # an assumption, like the spans below
_RINGS_S = ((30.0, 60.0), (0.0, 0.0), (0.0, 0.0), (2.0, 14.0), (4.0, 30.0))
_SHORTEST_RING_S, _LONGEST_RING_S = 0.4, 60.0
_MS = 1000


def settle(  # each is one distribution
    calls: Calls,
    dice: Dice,
    calling: Calling,
    *,
    answered: float | NDArray[np.float64],
    talk_s: float | NDArray[np.float64],
    talk_shape: float,
    ring_s: float | None = None,
) -> None:
    """Give every call its outcome.

    Args:
        calls: filled in place.
        dice: chance.
        calling: the parameters of ringing, and the longest talk.
        answered: how likely an answer is.
        talk_s: median of talk. talk_shape: of its log-logistic distribution.
        ring_s: median of ringing before an answer; None: as among people.
    """
    count = len(calls)
    yes = dice.random(count) < answered
    ring = np.exp(dice.normal(0, calling.ring_spread, count)) * (calling.ring_s if ring_s is None else ring_s)
    ring = np.clip(ring, _SHORTEST_RING_S, _LONGEST_RING_S)
    odds = np.clip(dice.random(count), 1e-9, 1 - 1e-9)
    talk = np.minimum(talk_s * (odds / (1 - odds)) ** (1 / talk_shape), calling.longest_s)
    why = np.searchsorted(_SHARES, dice.random(count) * _SHARES[-1])
    spans = np.array(_RINGS_S)[why]
    tried = spans[:, 0] + dice.random(count) * (spans[:, 1] - spans[:, 0])
    calls["answered"] = yes
    calls["ring_ms"] = np.where(yes, ring, tried) * _MS
    calls["talk_ms"] = np.where(yes, np.maximum(talk * _MS, 1), 0)
    calls["release"] = np.where(yes, NORMAL, np.array(_UNANSWERED)[why])


def fail_unallocated(calls: Calls) -> None:
    """Calls to numbers that nobody has do not ring."""
    calls["answered"] = 0
    calls["ring_ms"] = 0
    calls["talk_ms"] = 0
    calls["release"] = UNALLOCATED


def one_at_a_time(
    calls: Calls, line: NDArray[np.int64], free_at: NDArray[np.int64], dice: Dice, pause_s: float = 4.0
) -> None:
    """Put calls off until their caller's telephone is free.

    Args:
        calls: with outcomes; `start` is changed in place.
        line: for each call its caller's place in `free_at`.
        free_at: when each telephone is free; brought up to date.
        dice: chance. pause_s: mean pause after a call.
    """
    order = np.lexsort((calls["start"], line))
    pause = (dice.exponential(pause_s, len(calls)) * _MS).astype(np.int64) + 500
    start = calls["start"].copy()
    busy = calls["ring_ms"].astype(np.int64) + calls["talk_ms"]
    _put_off(order, line.astype(np.int64), start, busy + pause, free_at)
    calls["start"] = start


@compiled
def _put_off(
    order: NDArray[np.int64],
    line: NDArray[np.int64],
    start: NDArray[np.int64],
    busy: NDArray[np.int64],
    free_at: NDArray[np.int64],
) -> None:
    for at in order:
        start[at] = max(start[at], free_at[line[at]])
        free_at[line[at]] = start[at] + busy[at]
