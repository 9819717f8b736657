"""What somebody's own phone asks about them: results, why the colour is so, and their appeal against it.

One answer holds all three, so that the phone keeps a whole copy for when there is no network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hutong.codes.status.appeals import Appeal
    from hutong.codes.status.desk import StatusDesk
    from hutong.codes.status.words import Language

_MOST_RESULTS: Final = 20


class MyResult(msgspec.Struct, frozen=True):
    """What somebody is told of one sample.

    Attributes:
        at_ms: when it was taken. told: a word below `codes_words.result`. tested_ms: 0 where there is no result yet.
    """

    at_ms: int
    told: str
    tested_ms: int = 0


class MyAppeal(msgspec.Struct, frozen=True):
    """An appeal as its sender sees it: its state is open, upheld or corrected."""

    state: str
    sent_ms: int
    due_ms: int
    decided_ms: int = 0
    reasons: str = ""


class Mine(msgspec.Struct, frozen=True):
    """All of it.

    Attributes:
        results: the latest first. lines: why the colour is so. appeal: the latest. may_appeal: now.
        notes: what else is to be said of the person, words below `codes_words.note`.
    """

    at_ms: int
    colour: str
    words: str
    lines: tuple[str, ...]
    results: Sequence[MyResult] = ()
    appeal: MyAppeal | None = None
    may_appeal: bool = False
    notes: tuple[str, ...] = ()


class Objection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody says against their colour."""

    words: str


class MyDesk:
    """Where a phone asks about its person.

    Args:
        person: whose phone it is, by its token; refuses others. status: colours and appeals.
        results: what somebody is told of their samples, the latest first, at most so many.
        notes: what else is to be said of a person.
    """

    def __init__(
        self,
        person: Callable[[str, int], str],
        status: StatusDesk,
        results: Callable[[str, int], Sequence[MyResult]],
        notes: Callable[[str, int], tuple[str, ...]] = lambda _person, _now_ms: (),
    ) -> None:
        self._person, self._status, self._results, self._notes = person, status, results, notes

    def mine(self, token: str, language: Language, now_ms: int) -> Mine:
        """All of it. Raises PersonRefused: "device": this is nobody's phone."""
        return self._mine(self._person(token, now_ms), language, now_ms)

    def appeal(self, token: str, said: Objection, language: Language, now_ms: int) -> Mine:
        """Take in an appeal and open its case; one that is open already stays the one.

        Raises:
            PersonRefused: as above. StatusRefused: the colour is what everybody has, or the words will not do.
        """
        person = self._person(token, now_ms)
        self._status.appeals.take(person, said.words, now_ms)
        return self._mine(person, language, now_ms)

    def _mine(self, person: str, language: Language, now_ms: int) -> Mine:
        standing, why = self._status.why(person, language, now_ms)
        latest = next(iter(self._status.appeals.of_person(person)), None)
        green = self._status.statuses.rules.otherwise.colour
        return Mine(
            at_ms=now_ms,
            colour=standing.colour,
            words=why.words,
            lines=(*why.lines, *why.evidence),
            results=self._results(person, _MOST_RESULTS),
            appeal=_appeal(latest) if latest is not None else None,
            may_appeal=standing.colour != green and (latest is None or latest.state != "open"),
            notes=self._notes(person, now_ms),
        )


def _appeal(it: Appeal) -> MyAppeal:
    return MyAppeal(it.state, it.found_ms, it.due_ms, it.decided_ms or 0, it.reasons)
