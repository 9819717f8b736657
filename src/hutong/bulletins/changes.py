"""How a figure changed, such that it misleads nobody: a percentage only where there is enough to take one of.

Pure. What is said of it in which words is `texts.toml`'s business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hutong.bulletins.model import Of

#: Below this a percentage says more about chance than about change.
SMALL: Final = 20
#: From so many times on, times are easier to grasp than a percentage.
MANIFOLD: Final = 10
_ALL: Final = 1000  # tenths of a per cent

Kind = Literal[
    "unknown",  # the figure itself is not known
    "no_before",  # there is none to compare with
    "partial",  # one of both is not of its whole period
    "none",  # nought both times
    "from_none",
    "to_none",
    "same",
    "tiny",  # less than 0.05 %
    "more",
    "fewer",  # small numbers: how many
    "up",
    "down",  # in per cent
    "times",
    "to_few",  # so few that a percentage would round to all of them
    "few",  # shares of too little
    "points_up",
    "points_down",
]


class Change(NamedTuple):
    """What happened to a figure, and the numbers that its words fill in."""

    kind: Kind
    numbers: Mapping[str, int] = {}

    @property
    def direction(self) -> int:
        """1 where it grew, -1 where it fell, 0 where neither or nobody knows."""
        if self.kind in {"from_none", "more", "up", "times", "points_up"}:
            return 1
        return -1 if self.kind in {"to_none", "to_few", "fewer", "down", "points_down"} else 0


def change(now: Of, then: Of) -> Change:
    """How a figure changed.

    Numbers of kinds: `diff`, `now`, `then` are counts; `tenths` are tenths of a per cent, of a point, or of a time.
    """
    if now.value is None:
        return Change("unknown")
    if then.value is None:
        return Change("no_before")
    if not (now.full and then.full):
        return Change("partial")
    if now.whole is not None or then.whole is not None:
        return _of_shares(now, then)
    return _of_counts(now.value, then.value)


def _of_counts(now: int, then: int) -> Change:
    diff = abs(now - then)
    both = {"now": now, "then": then}
    if now == then:
        return Change("same" if now else "none")
    if now == 0 or then == 0:
        return Change("from_none", {"now": now}) if now else Change("to_none", {"then": then})
    if then < SMALL:
        return Change("more" if now > then else "fewer", both | {"diff": diff})
    if now >= MANIFOLD * then:
        return Change("times", {"tenths": rounded(now * 10, then)})
    kind: Kind = "up" if now > then else "down"
    tenths = rounded(diff * 1000, then)
    if tenths == _ALL and now < then:
        return Change("to_few", both)
    return Change(kind, {"tenths": tenths}) if tenths else Change("tiny")


def _of_shares(now: Of, then: Of) -> Change:
    if min(now.whole or 0, then.whole or 0) < SMALL:
        return Change("few")
    diff = tenths_of(now) - tenths_of(then)
    if diff == 0:
        return Change("same")
    return Change("points_up" if diff > 0 else "points_down", {"tenths": abs(diff)})


def tenths_of(share: Of) -> int:
    """A share in tenths of a per cent; of a known part and of more than nothing."""
    return rounded((share.value or 0) * 1000, share.whole or 1)


def rounded(part: int, whole: int) -> int:
    """The quotient as a whole number, halves up; exact."""
    return (2 * part + whole) // (2 * whole)
