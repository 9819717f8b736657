"""Scans, batches and what came of merging them, as values. Pure. Times are ms since 1970 UTC."""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta

from hutong.codes.outcome import Verdict  # noqa: TC001  # msgspec reads the annotation

#: A station scans a person's code, or a person scans the code of a venue.
Mode = Literal["station", "person"]
#: How the time of a scan is known: as the device said it, set right by the measured error, or not at all.
ClockState = Literal["right", "corrected", "wrong"]
#: The same single code at two places that are too far apart; the same code twice at one place.
Copy = Literal["cloned", "replayed"]
MODES: Final[tuple[Mode, ...]] = get_args(Mode)
COPIES: Final[tuple[Copy, ...]] = get_args(Copy)
WHO_HEX: Final = 24
CODE_HEX: Final = 16
#: Scans in one batch; a device with more sends several.
MOST_IN_BATCH: Final = 2_000

_Hex24 = Annotated[str, Meta(pattern="^([0-9a-f]{24})?$")]
_Hex16 = Annotated[str, Meta(pattern="^([0-9a-f]{16})?$")]


class Scan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One scan, as the device keeps it.

    Attributes:
        sequence: from 1, without gaps, of the device's store.
        at_ms: by the device's clock. venue: id. mode: who scanned whose code.
        who: the pseudonym of the day, 24 hex letters; empty where nothing was proven about the person.
        verdict: what verifying gave. code: id of the single code, 16 hex letters; empty for paper.
        serial: of the venue's code that was scanned; 0 where a station scanned.
    """

    sequence: Annotated[int, Meta(ge=1, lt=1 << 53)]
    at_ms: Annotated[int, Meta(ge=0, lt=1 << 53)]
    venue: Annotated[str, Meta(min_length=1, max_length=100)]
    verdict: Verdict
    mode: Mode = "station"
    who: _Hex24 = ""
    code: _Hex16 = ""
    serial: Annotated[int, Meta(ge=0, lt=1 << 31)] = 0


class Source(msgspec.Struct, frozen=True):
    """Where scans come from: with `sequence` this names a scan wherever it goes.

    Attributes:
        device: its name; a phone draws one anew each day, so that it does not follow its owner.
        series: 16 hex letters, drawn when the device's store was made: a store that was lost counts from 1 again.
    """

    device: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    series: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]


class Batch(msgspec.Struct, frozen=True):
    """What a device sends: any of its scans, in any order, as often as it likes.

    Attributes:
        clock_ms: the device's clock when it was sent. live: that was just now, so that the clock can be measured.
    """

    source: Source
    clock_ms: int
    scans: tuple[Scan, ...]
    live: bool = True


class Refusal(msgspec.Struct, frozen=True):
    """A scan that the centre does not take, and why; the device keeps it. `place`: its sequence, or its line."""

    place: int
    reason: str
    what: str


class Answer(msgspec.Struct, frozen=True):
    """What became of a batch; whatever is `taken` is durable.

    Attributes:
        taken: sequences that the device need not send again. again: how many of them were known.
        over: how many were older than scans are kept, and so are not.
        wrong: sequences whose time cannot be known; the time of merging stands for it.
        ahead_ms: by how much the device's clock is ahead (behind, if negative); 0 within the tolerance.
    """

    source: Source
    taken: tuple[int, ...]
    again: int = 0
    over: int = 0
    wrong: tuple[int, ...] = ()
    refused: tuple[Refusal, ...] = ()
    ahead_ms: int = 0


class Scanned(msgspec.Struct, frozen=True):
    """A scan was merged: given to whoever counts. It names nobody."""

    venue: str
    district: str
    mode: Mode
    verdict: Verdict
    at_ms: int


class CopyFound(msgspec.Struct, frozen=True):
    """A code was seen where or when it cannot be. `who`: the pseudonym of the day; the two sightings in order."""

    kind: Copy
    who: str
    venues: tuple[str, str]
    at_ms: tuple[int, int]


class Merged(msgspec.Struct, frozen=True):
    """What a transaction brought: an answer for each batch, and events."""

    answers: tuple[Answer, ...]
    scanned: tuple[Scanned, ...] = ()
    copies: tuple[CopyFound, ...] = ()


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """A scan as it is kept, sealed.

    Attributes:
        at_ms: by the centre's clock. said_ms: by the device's.
    """

    who: str
    venue: str
    at_ms: int
    said_ms: int
    clock: ClockState
    mode: Mode
    verdict: Verdict
    serial: int = 0


class Found(msgspec.Struct, frozen=True):
    """A scan as a look-up finds it; `copies`: what its code was found out to be."""

    kept: Kept
    copies: tuple[Copy, ...] = ()
