"""Whether two sightings of one single code are two showings that cannot both be true. Pure.

A code is on one phone and changes every minute or so: it is at one place, and shown there once. What a station sees by
itself, it says at once (`codes.seen`); only merging shows what two stations saw. The result does not depend on the
order in which scans are merged: every pair is judged once, when the second of the two comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from hutong.codes.seen import AGAIN_MS

if TYPE_CHECKING:
    from hutong.codes.scans.model import Copy
    from hutong.kernel.districts import Districts

#: So long before and after a scan other sightings of its code are looked for: longer than any code is good.
WINDOW_MS: Final = 3_600_000


class Sighting(NamedTuple):
    """A code at a venue, in a district, at a time, ms since 1970."""

    venue: str
    district: str
    at_ms: int


def copy_of(one: Sighting, other: Sighting, districts: Districts) -> Copy | None:
    """What two sightings of one code prove: "cloned", "replayed", or nothing.

    The same code again at one place within ten seconds is one showing: a camera reads it more than once.
    """
    apart_ms = abs(one.at_ms - other.at_ms)
    if apart_ms > WINDOW_MS:
        return None
    if one.venue == other.venue:
        return "replayed" if apart_ms > AGAIN_MS else None
    return "cloned" if apart_ms < districts.way_ms(one.district, other.district) else None
