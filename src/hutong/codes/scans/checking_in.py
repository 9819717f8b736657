"""A scan out of what was scanned: a person's code at a station, or a venue's code on a phone. Pure, and offline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.codes.scans.model import Scan

if TYPE_CHECKING:
    from hutong.codes.outcome import Outcome
    from hutong.codes.venues import Poster


def at_station(outcome: Outcome, venue: str, sequence: int, at_ms: int) -> Scan:
    """A station at a venue scanned somebody's code.

    Args:
        outcome: of `verification.verify`. venue: where the station stands. at_ms: by its clock.
    """
    who, code = _person(outcome)
    return Scan(sequence=sequence, at_ms=at_ms, venue=venue, verdict=outcome.verdict, who=who, code=code)


def at_door(poster: Poster, outcome: Outcome, sequence: int, at_ms: int) -> Scan:
    """Somebody scanned the code of a venue.

    Args:
        poster: what that says (`venues.read_poster`). outcome: of verifying the person's own code of that moment, which
            the phone keeps beside it; the centre verifies it when it is merged, for phones prove nothing.
    """
    who, _ = _person(outcome)
    verdict, serial = outcome.verdict, poster.serial
    # The own code goes with every check-in for as long as it is shown: seeing it twice proves no copy.
    return Scan(sequence=sequence, at_ms=at_ms, venue=poster.id, verdict=verdict, mode="person", who=who, serial=serial)


def _person(outcome: Outcome) -> tuple[str, str]:
    """The pseudonym of the day and the code's id; nothing where no known key signed it."""
    claims = outcome.claims
    if claims is None:
        return "", ""
    # Paper is shown again and again by its nature.
    return claims.who.hex(), "" if claims.kind == "paper" else claims.id.hex()
