"""When a scan happened, from what a device's clock said and what is known of that clock. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from hutong.codes.keys import CLOCK_TOLERANCE_MS
from hutong.codes.scans.model import ClockState  # noqa: TC001  # named tuples read it

#: Nothing was scanned before 2020: what says so comes from a clock that was never set.
EARLIEST_MS: Final = 1_577_836_800_000


class Timed(NamedTuple):
    """When, by the centre's clock, how that is known, and whether it is longer ago than scans are kept."""

    at_ms: int
    clock: ClockState
    over: bool = False


def ahead_of(clock_ms: int, now_ms: int, known_ms: int, *, live: bool) -> int:
    """By how much a device's clock is ahead of the centre's (behind, if negative), ms; 0 within the tolerance.

    What is sent live takes hardly any time. A file may have been on its way for days, so that it only shows a clock
    that is ahead; otherwise what was last measured holds.

    Args:
        clock_ms: the device's clock when it sent. known_ms: what was measured before; 0 if nothing was.
    """
    ahead_ms = clock_ms - now_ms
    if not live and ahead_ms <= CLOCK_TOLERANCE_MS:
        return known_ms
    return ahead_ms if abs(ahead_ms) > CLOCK_TOLERANCE_MS else 0


def timed(said_ms: int, ahead_ms: int, now_ms: int, since_ms: int) -> Timed:
    """When a scan happened.

    A scan of the future, or of before there were any, was made by a clock that was set since: its time is unknown, and
    the time of merging stands for it, so that it is found and still goes in time.

    Args:
        said_ms: by the device's clock. ahead_ms: as `ahead_of` gives it. since_ms: from when on scans are kept.
    """
    at_ms = said_ms - ahead_ms
    if at_ms > now_ms + CLOCK_TOLERANCE_MS or at_ms < EARLIEST_MS:
        return Timed(now_ms, "wrong")
    if at_ms < since_ms:
        return Timed(at_ms, "corrected" if ahead_ms else "right", over=True)
    return Timed(min(at_ms, now_ms), "corrected" if ahead_ms else "right")
