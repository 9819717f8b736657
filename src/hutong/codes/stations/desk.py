"""Judges a code for a station: first what can be judged offline, then what stands now; says how old that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from hutong.codes.outcome import Outcome, Reason
from hutong.codes.verification import Trust, verify
from hutong.kernel.errors import HutongError

if TYPE_CHECKING:
    from hutong.codes.stations.knowledge import Knowledge, Known

#: A replica that is no older is asked before the records: it costs them nothing.
FRESH_MS: Final = 5_000
#: For so long the records are not asked again once they were away, but by one: whoever waits in line waits for no
#: time-out. Longer than their time-outs, which are waited for after the time was read.
AWAY_MS: Final = 30_000


class Verified(msgspec.Struct, frozen=True):
    """What a station is told.

    Attributes:
        verdict: one word (`codes.outcome`). reasons: in words, the first for the verdict.
        colour: that stands now; empty where the code is not valid, or nothing is known of one.
        as_of_ms: when it was judged; 0 without one. age_ms: how old what was looked at is.
    """

    verdict: str
    reasons: tuple[str, ...]
    colour: str
    as_of_ms: int
    age_ms: int


class VerifyDesk:
    """Where stations ask.

    Args:
        records: asked when the replica is not fresh. replica: None where there is none.
    """

    def __init__(self, records: Knowledge, replica: Knowledge | None) -> None:
        self._records, self._replica = records, replica
        self._away_until_ms = 0

    def verify(self, text: str, language: str, now_ms: int) -> Verified:
        """Judge a code.

        Raises:
            HutongError: the records are away, and there is no replica of them.
        """
        if self._replica is None:
            return _verified(self._records, text, language, now_ms)[0]
        try:
            fresh = abs(now_ms - self._replica.read_ms(now_ms)) < FRESH_MS
        except HutongError:
            return _verified(self._records, text, language, now_ms)[0]
        paused = now_ms < self._away_until_ms <= now_ms + AWAY_MS
        if not fresh and not paused:
            try:
                return self._from_records(text, language, now_ms)
            except HutongError:
                self._away_until_ms = now_ms + AWAY_MS
        return _verified(self._replica, text, language, now_ms)[0]

    def _from_records(self, text: str, language: str, now_ms: int) -> Verified:
        before = self._away_until_ms
        if before:
            self._away_until_ms = now_ms + AWAY_MS  # one asks whether they are back, the others go on without
        found, asked = _verified(self._records, text, language, now_ms)
        if asked:
            self._away_until_ms = 0
        elif before:
            self._away_until_ms = before  # this code did not show whether they are
        return found


class _Listed:
    """The list of revocations as `verify` asks it, for one code."""

    floor_ms: Final = 0

    def __init__(self, knowledge: Knowledge, made_ms: int, now_ms: int) -> None:
        self._knowledge, self.made_ms, self._now_ms = knowledge, made_ms, now_ms
        self.known: Known | None = None

    def __contains__(self, handle: bytes) -> bool:
        self.known = self._knowledge.bundle(handle.hex(), self._now_ms)
        return self.known.is_revoked


def _verified(knowledge: Knowledge, text: str, language: str, now_ms: int) -> tuple[Verified, bool]:
    """What a station is told, and whether the bundle was asked for: of a code that is none nothing is."""
    read_ms = knowledge.read_ms(now_ms)
    listed = _Listed(knowledge, read_ms, now_ms)
    key_sets = knowledge.key_sets(now_ms)
    outcome = verify(text, Trust(key_sets), {it.issuer: listed for it in key_sets}, None, now_ms)
    known = listed.known if outcome.is_valid else None
    colour, as_of_ms, more = ("", 0, ()) if known is None else _colour(outcome, known)
    told = msgspec.structs.replace(outcome, reasons=(*outcome.reasons, *more))
    verified = Verified(outcome.verdict, told.told(language)[1:], colour, as_of_ms, max(now_ms - read_ms, 0))
    return verified, listed.known is not None


def _colour(outcome: Outcome, known: Known) -> tuple[str, int, tuple[Reason, ...]]:
    """The colour that stands, else the one that the code says: a bundle may be newer than what was looked at."""
    claims = outcome.claims
    if known.colour:
        over = (Reason("colour_over", {"at": known.as_of_ms}),) if known.is_over else ()
        return known.colour, known.as_of_ms, over
    if claims is None or claims.colour is None or claims.as_of_ms is None:
        return "", 0, (Reason("colour_unknown"),)
    return claims.colour, claims.as_of_ms, (Reason("colour_of_code", {"at": claims.as_of_ms}),)
