"""Batches as they come over HTTP, read row by row: a row that cannot be read is refused, and the rest is taken. Pure.

A device at a door sends scans. A phone sends what it scanned and showed, and proves nothing else: the sign of the venue
and its owner's own code of that moment, which the centre verifies for the time that the phone says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from hutong.codes.scans.checking_in import at_door
from hutong.codes.scans.model import MOST_IN_BATCH, Batch, Refusal, Scan, Source
from hutong.codes.venues import LONGEST_TEXT, VenueCodeError, read_poster
from hutong.codes.verification import Trust, verify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hutong.codes.keys import KeySet, PublicKey

#: Check-ins that a phone sends at once: each has two signatures that are verified.
MOST_CHECK_INS: Final = 50
_LONGEST_CODE: Final = 2_000


class _Scans(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: Source
    clock_ms: int
    scans: Annotated[tuple[msgspec.Raw, ...], Meta(max_length=MOST_IN_BATCH)]


class _PhoneSource(Source, frozen=True):
    """A phone's names are of a form of their own, so that none passes for a device at a door."""

    device: Annotated[str, Meta(pattern="^p-[0-9a-f]{16}$")]


class _CheckIns(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: _PhoneSource
    clock_ms: int
    checkins: Annotated[tuple[msgspec.Raw, ...], Meta(max_length=MOST_CHECK_INS)]


class _CheckIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of a phone's.

    Attributes:
        sequence, at_ms: as of a scan. poster: text of the venue's sign. code: text of the person's code of that moment.
    """

    sequence: Annotated[int, Meta(ge=1, lt=1 << 53)]
    at_ms: Annotated[int, Meta(ge=0, lt=1 << 53)]
    poster: Annotated[str, Meta(max_length=LONGEST_TEXT)]
    code: Annotated[str, Meta(max_length=_LONGEST_CODE)]


class _Numbered(msgspec.Struct, frozen=True):
    sequence: Annotated[int, Meta(ge=1, lt=1 << 53)]


class Read(NamedTuple):
    """A batch, and the rows that were refused before it."""

    batch: Batch
    refused: tuple[Refusal, ...]


class Known(NamedTuple):
    """What check-ins are verified with: the node's key set, and the keys of venues."""

    codes: KeySet
    venues: tuple[PublicKey, ...]


class _Refused(Exception):  # noqa: N818  # ends one row, and never leaves this module
    def __init__(self, reason: str, what: str) -> None:
        super().__init__(reason)
        self.reason, self.what = reason, what


def read_scans(body: bytes) -> Read:
    """The batch of a device.

    Raises:
        msgspec.MsgspecError: it is none.
    """
    said = msgspec.json.decode(body, type=_Scans)
    scans: list[Scan] = []
    bad: list[Refusal] = []
    for place, raw in enumerate(said.scans, 1):
        try:
            scans.append(msgspec.json.decode(raw, type=Scan))
        except msgspec.MsgspecError as error:
            bad.append(_bad(raw, place, error))
    return Read(Batch(said.source, said.clock_ms, tuple(scans)), tuple(bad))


def read_check_ins(body: bytes, known: Known, now_ms: int) -> Read:
    """The batch of a phone; each row verified.

    Raises:
        msgspec.MsgspecError: it is none.
    """
    said = msgspec.json.decode(body, type=_CheckIns)
    # What the phone did days ago is judged at that time: that the keys were signed since then is no fault of its clock.
    trust = Trust([msgspec.structs.replace(known.codes, made_ms=0)])
    scans: list[Scan] = []
    bad: list[Refusal] = []
    for place, raw in enumerate(said.checkins, 1):
        try:
            row = msgspec.json.decode(raw, type=_CheckIn)
        except msgspec.MsgspecError as error:
            bad.append(_bad(raw, place, error))
            continue
        try:
            scans.append(_scan_of(row, trust, known.venues, now_ms))
        except _Refused as refused:
            bad.append(Refusal(row.sequence, refused.reason, refused.what))
    source = Source(said.source.device, said.source.series)
    # What the code proves is the phone's own time: the clock that it says it has moves nothing.
    return Read(Batch(source, now_ms, tuple(scans)), tuple(bad))


def _scan_of(row: _CheckIn, trust: Trust, venues: Sequence[PublicKey], now_ms: int) -> Scan:
    try:
        poster = read_poster(row.poster, venues, now_ms)
    except VenueCodeError as error:
        raise _Refused("poster", str(error)) from error
    outcome = verify(row.code, trust, {}, None, row.at_ms)
    # A picture of a paper code would do for a month.
    if not outcome.is_valid or outcome.claims is None or outcome.claims.kind == "paper":
        raise _Refused("code", f"The code was not a phone's good one at that time: {outcome.verdict}.")
    return at_door(poster, outcome, row.sequence, row.at_ms)


def _bad(raw: msgspec.Raw, place: int, error: msgspec.MsgspecError) -> Refusal:
    """By its number, if that can be read; else by its place in the batch."""
    try:
        return Refusal(msgspec.json.decode(raw, type=_Numbered).sequence, "scan", f"This is no scan: {error}.")
    except msgspec.MsgspecError:
        return Refusal(place, "line", f"This is no scan, and has no number: {error}.")
