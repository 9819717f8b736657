"""Values of colours: the standing of a person, what a change of it tells others. Times are ms since 1970 UTC."""

from __future__ import annotations

import msgspec

from hutong.codes.status.colour_rules import Colour  # noqa: TC001  # msgspec reads the annotation
from hutong.codes.status.evidence import Evidence, Opening  # noqa: TC001  # msgspec reads the annotation

BY_HAND = "change:"


class ColourChanged(msgspec.Struct, frozen=True):
    """A person's colour is another one now.

    Attributes:
        person: pseudonym. before: empty where there was none.
        rule: `id@version`, or `change:ID` of a change by hand. commitment: to the evidence, as on the trail.
        event: names it on the trail, where no person is named.
    """

    person: str
    before: str
    colour: Colour
    rule: str
    commitment: str
    event: str
    at_ms: int
    until_ms: int


class Standing(msgspec.Struct, frozen=True):
    """The colour that a person has.

    Attributes:
        rule, event, commitment: as of `ColourChanged`.
        since_ms: what the term counts from. until_ms: its end. as_of_ms: when it was judged.
        again_ms: until then it stays as it is if nothing new comes; None = for ever.
    """

    colour: Colour
    rule: str
    event: str
    commitment: str
    since_ms: int
    until_ms: int
    as_of_ms: int
    again_ms: int | None = None

    def is_over(self, now_ms: int) -> bool:
        """Whether it has to be judged again."""
        return now_ms >= min(self.until_ms, self.again_ms or self.until_ms)

    @property
    def change(self) -> str:
        """The id of the change by hand that prevails; empty where a rule does."""
        return self.rule.removeprefix(BY_HAND) if self.rule.startswith(BY_HAND) else ""


class SealedItem(msgspec.Struct, frozen=True):
    """An item of evidence within an event, sealed until its own day: it outlives nobody's retention by being judged.

    Attributes:
        digest: as the opening has it. day: until then it can be read. sealed: `OpenItem`. rests: the rule looked at it.
    """

    digest: str
    day: int
    sealed: bytes
    rests: bool


class OpenItem(msgspec.Struct, frozen=True):
    """An item of evidence with the salt of its digest."""

    salt: bytes
    evidence: Evidence


class Sealed(msgspec.Struct, frozen=True):
    """What is kept sealed of a change of colour: it opens the commitment and explains the colour.

    Attributes:
        salt: 32 bytes. since_ms, until_ms: as of `Standing`.
    """

    salt: bytes
    opening: Opening
    items: tuple[SealedItem, ...]
    since_ms: int
    until_ms: int


class ColourEvent(msgspec.Struct, frozen=True):
    """A change of a person's colour, or of the reason for it, as it is kept.

    Attributes:
        sealed: None once its time is over. items: what the rule looked at, as far as it can still be read.
        gone: how many of those items cannot be read any more.
    """

    id: str
    at_ms: int
    before: str
    colour: Colour
    rule: str
    rules: str
    commitment: str
    sealed: Sealed | None = None
    items: tuple[OpenItem, ...] = ()
    gone: int = 0


class Moved(msgspec.Struct, frozen=True):
    """What came of something new: the standing, and the change of colour if there was one."""

    standing: Standing
    changed: ColourChanged | None = None


class Outcome(msgspec.Struct, frozen=True):
    """What became of one person's rows of a batch.

    Attributes:
        refused: why none was taken; empty where all were. owed: keys or rows of the person are not as they must be, and
            the same may be taken once they are.
    """

    person: str
    changed: ColourChanged | None = None
    refused: str = ""
    owed: bool = False
