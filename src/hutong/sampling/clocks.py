"""How a station's clock stands to the centre's. Pure."""

from __future__ import annotations


def offset_of(station_ms: int, centre_ms: int, tolerance_ms: int, *, live: bool) -> int:
    """By how much a station's clock is behind the centre's, ms; 0 within the tolerance.

    What is sent live takes hardly any time. A file may have been on its way for hours, so that it shows only a clock
    that is ahead: what it says was written in the centre's future.
    """
    behind = centre_ms - station_ms
    if abs(behind) <= tolerance_ms or (not live and behind > 0):
        return 0
    return behind
