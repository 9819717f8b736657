"""What a verifier has seen: replays, clones and its own clock's error, in a bounded store that is a value.

It is kept in memory, goes to disk as bytes (`dump`) and comes back (`load`). Sightings of other places come in through
`add`. Pure: every moment is passed in.
"""

from __future__ import annotations

from itertools import islice
from statistics import median
from typing import TYPE_CHECKING, Final

import msgspec

from hutong.codes.outcome import Reason
from hutong.kernel.errors import StateError

if TYPE_CHECKING:
    from hutong.codes.claims import Claims
    from hutong.codes.outcome import Outcome, Verdict

#: The same code again at the same place within this time is the same showing: a camera reads it more than once.
AGAIN_MS: Final = 10_000
#: Nobody gets from one place to another in less.
APART_MS: Final = 60_000
#: So many different people's codes in a row, all out of their time to the same side, say that the clock is wrong.
CROWD: Final = 5
MOST: Final = 100_000
_SPARE: Final = 10  # one in so many goes when there is no room


class Sighting(msgspec.Struct, frozen=True, array_like=True):
    """A code that was shown and good.

    Attributes:
        id: of the code. handle: of its bundle. place: where. at_ms: when.
        begins_ms: the code's beginning, for the order of a bundle's codes. until_ms: for how long it matters.
        is_paper: shown again and again by its nature.
    """

    id: bytes
    handle: bytes
    place: str
    at_ms: int
    begins_ms: int
    until_ms: int
    is_paper: bool = False


class Seen(msgspec.Struct):
    """Codes and bundles that were seen lately.

    Attributes:
        place: where this verifier stands. most: codes that are kept.
        codes, bundles: the latest sighting of each code and of each bundle.
        crowd: how far the latest codes of different bundles were out of their time, ms; 0 for those within.
        dropped: sightings that still mattered and found no room.
    """

    place: str
    most: int = MOST
    again_ms: int = AGAIN_MS
    apart_ms: int = APART_MS
    codes: dict[bytes, Sighting] = {}
    bundles: dict[bytes, Sighting] = {}
    crowd: dict[bytes, int] = {}
    dropped: int = 0

    def judge(self, claims: Claims, now_ms: int) -> tuple[Verdict, Reason] | None:
        """Whether a code that is good otherwise was copied: "replayed" or "cloned", and why."""
        same, other = self.codes.get(claims.id), self.bundles.get(claims.handle)
        for before in (same, other):
            if before is not None and before.place != self.place and now_ms - before.at_ms < self.apart_ms:
                seconds = max(now_ms - before.at_ms, 0) // 1000
                return "cloned", Reason("cloned", {"place": before.place, "seconds": seconds})
        if claims.kind == "paper":
            return None
        if same is not None and same.place == self.place and now_ms - same.at_ms > self.again_ms:
            return "replayed", Reason("replayed", {"seconds": (now_ms - same.at_ms) // 1000})
        if other is not None and other.begins_ms > claims.not_before_ms:
            return "replayed", Reason("older_code", {"place": other.place})
        return None

    def clock_error_ms(self) -> int:
        """By how much the clock here is ahead (behind, if negative) as a crowd of codes says; 0 if it says nothing."""
        errors = list(self.crowd.values())[-CROWD:]
        if len(errors) < CROWD or not (all(it > 0 for it in errors) or all(it < 0 for it in errors)):
            return 0
        return round(median(errors))

    def note(self, outcome: Outcome, now_ms: int) -> None:
        """Remember what was shown; to be called once for each verification."""
        claims = outcome.claims
        if claims is None:
            return
        if claims.kind != "paper" and outcome.verdict in {"valid", "expired", "not-yet-valid", "clock-wrong"}:
            late, early = now_ms - claims.expires_ms, now_ms - claims.not_before_ms
            self.crowd.pop(claims.handle, None)
            self.crowd[claims.handle] = late + 1 if late >= 0 else min(early, 0)
            for handle in list(islice(self.crowd, max(len(self.crowd) - CROWD, 0))):
                del self.crowd[handle]
        if outcome.is_valid:
            paper = claims.kind == "paper"
            until = now_ms + self.apart_ms if paper else claims.expires_ms
            self.add(
                Sighting(claims.id, claims.handle, self.place, now_ms, claims.not_before_ms, until, is_paper=paper),
                now_ms,
            )

    def add(self, sighting: Sighting, now_ms: int) -> None:
        """Remember a sighting, of here or of another place; the first showing of a code here is what replays go by."""
        same = self.codes.get(sighting.id)
        if same is None or same.place != sighting.place or sighting.is_paper:
            self.codes.pop(sighting.id, None)
            self.codes[sighting.id] = sighting
        other = self.bundles.get(sighting.handle)
        begins = sighting.begins_ms if other is None else max(sighting.begins_ms, other.begins_ms)
        self.bundles.pop(sighting.handle, None)
        self.bundles[sighting.handle] = msgspec.structs.replace(sighting, begins_ms=begins)
        if len(self.codes) > self.most or len(self.bundles) > self.most:
            self._make_room(now_ms)

    def _make_room(self, now_ms: int) -> None:
        for kept in (self.codes, self.bundles):
            for key in [key for key, it in kept.items() if it.until_ms <= now_ms]:
                del kept[key]
            over = len(kept) - self.most
            if over > 0:
                gone = list(islice(kept, min(over + self.most // _SPARE, len(kept) - 1)))
                self.dropped += len(gone)
                for key in gone:
                    del kept[key]

    def dump(self) -> bytes:
        """As bytes, to be read by `load`."""
        return _ENCODER.encode(self)


def load(data: bytes) -> Seen:
    """What `dump` gave.

    Raises:
        StateError: it is damaged.
    """
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, ValueError) as error:
        raise StateError(
            "What was seen cannot be read.", fix="Remove the file: replays before now go unseen."
        ) from error


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Seen)
