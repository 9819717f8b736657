"""A bulletin's one value: every number that its sentences, tables and drawings may say. Values only.

What is not known is None, never nought. Amounts are in fen, hundredths of a yuan.
"""

from __future__ import annotations

import hashlib
from typing import Literal, NamedTuple

import msgspec

from hutong.bulletins.periods import Kind  # noqa: TC001  # msgspec reads the annotation

Decline = Literal["both", "cases", "amount", "neither", "unknown"]


class Part(NamedTuple):
    """What one city and operator had of a figure; "" where it is not known."""

    city: str
    operator: str
    value: int


class Of(msgspec.Struct, frozen=True):
    """A figure in one period.

    Attributes:
        value: None where it is not known. Of a share: its part.
        whole: of a share: what it is a part of.
        full: whether all days of the period are in it.
    """

    value: int | None = None
    whole: int | None = None
    full: bool = True


class Figure(msgspec.Struct, frozen=True):
    """A figure in the period, in the one before and in that of the year before.

    Attributes:
        parts: where the value is from, largest first; none where its source does not tell.
    """

    id: str
    now: Of
    previous: Of
    year: Of
    parts: tuple[Part, ...] = ()


class Day(msgspec.Struct, frozen=True):
    """A day's calls; None where they were not counted."""

    day: str
    attempts: int | None = None
    warned: int | None = None
    blocked: int | None = None


class RuleCalls(msgspec.Struct, frozen=True):
    """The calls that one rule decided on."""

    rule: str
    title: dict[str, str]
    blocked: int
    warned: int


class Campaign(msgspec.Struct, frozen=True):
    """Calls that one rule stopped, from numbers of one block of 10,000.

    Attributes:
        block: the digits that the numbers share, their last four as x.
        days: on which it was seen. numbers: different ones on its busiest day.
    """

    rule: str
    title: dict[str, str]
    block: str
    calls: int
    numbers: int
    days: int


class Loss(msgspec.Struct, frozen=True):
    """Fraud cases and what was lost, as an agency gave them; earlier ones None where it gave none."""

    agency: str
    city: str
    cases: int
    amount: int
    previous_cases: int | None = None
    previous_amount: int | None = None


class Unit(msgspec.Struct, frozen=True):
    """What became of the cases of one unit."""

    unit: str
    found: int
    closed: int
    returned: int
    late: int


class Bulletin(msgspec.Struct, frozen=True):
    """All that a bulletin says.

    Attributes:
        period: as `Period.key` writes it. issue: 1, 2, … of the same period.
        start_ms, end_ms: of the period. until_ms: how far the figures reach; before `end_ms` it is provisional.
        calls_ms: how far calls are counted of a day that goes on; None where none does, or they are not.
        made_ms: when it was made; what stands (open cases, orders in force) is of that moment.
        corrects: the signed bulletin that this one takes the place of, and why.
        days: of calls: the period's, of a day the fourteen that end with it. missing: days not counted or not whole.
        decline: whether fraud cases and losses fell against the year before (双下降), else against the period before.
    """

    id: str
    node: str
    kind: Kind
    period: str
    issue: int
    start_ms: int
    end_ms: int
    until_ms: int
    made_ms: int
    zone: str
    figures: tuple[Figure, ...]
    days: tuple[Day, ...] = ()
    missing: tuple[str, ...] = ()
    rules: tuple[RuleCalls, ...] = ()
    campaigns: tuple[Campaign, ...] = ()
    losses: tuple[Loss, ...] = ()
    units: tuple[Unit, ...] = ()
    decline: Decline = "unknown"
    corrects: str = ""
    reason: str = ""
    calls_ms: int | None = None
    form: int = 1

    @property
    def provisional(self) -> bool:
        """Whether the period had not ended."""
        return self.until_ms < self.end_ms

    def figure(self, name: str) -> Figure:
        """The figure of that id; an unknown one is a KeyError."""
        for it in self.figures:
            if it.id == name:
                return it
        raise KeyError(name)


def encoded(bulletin: Bulletin) -> bytes:
    """The value as it is kept: JSON, keys in order."""
    return msgspec.json.encode(bulletin, order="sorted")


def digest_of(kept: bytes) -> str:
    """SHA-256 of a kept value."""
    return hashlib.sha256(kept).hexdigest()


_decoder = msgspec.json.Decoder(Bulletin)


def decoded(kept: bytes | str) -> Bulletin:
    """A bulletin out of what is kept."""
    return _decoder.decode(kept)
