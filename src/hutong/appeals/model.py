"""What an appeal is, why a number is blocked, and what lifting a block does. Values only; times are ms since 1970."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from hutong.kernel.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

State = Literal["open", "upheld", "lifted"]
Verdict = Literal["upheld", "lifted"]
BlockKind = Literal["list", "rule", "shown"]

LONGEST_WORDS: Final = 2000
LONGEST_CONTACT: Final = 200
LONGEST_REASONS: Final = 1000
_LETTERS: Final = "bcdfghjkmnpqrstvwxyz"
_RECEIPT: Final = 16

Reason = Literal[
    "not-blocked", "words", "contact", "reasons", "not-proven", "no-appeal", "decided", "own-block", "shown"
]


class AppealRefused(Refused[Reason]):
    """Something that cannot be done with an appeal; nothing was changed."""


class Block(msgspec.Struct, frozen=True):
    """One thing that blocks a number, as it may be told to the number's owner, and what lifting it must know.

    Attributes:
        kind: "list": an entry; "rule": a rule that blocked calls of the number; "shown": a rule that blocked calls of
            others that showed the number, and none that its owner makes.
        name: "entry:12", or "rule:calls.one-ring@3".
        title: in both languages: of a rule what it says in public, of an entry who had it made. Never a threshold, and
            never who reported.
        basis: the law that it rests on, in both languages.
        agency: who ordered it; empty where the node's operator did.
        since_ms: since when. until_ms: 0 = without a term.
        entry: id of the list entry; 0 for a rule. own: whether the entry is about this number alone.
        makers: accounts that made it; they do not judge it.
        order: what the entry came from, e.g. "order:7"; empty where it came from none.
    """

    kind: BlockKind
    name: str
    title: dict[str, str]
    basis: dict[str, str]
    agency: str = ""
    since_ms: int = 0
    until_ms: int = 0
    entry: int = 0
    own: bool = False
    makers: tuple[str, ...] = ()
    order: str = ""


class Plan(msgspec.Struct, frozen=True):
    """What lifting does to the lists.

    Attributes:
        remove: ids of entries that are about this number alone.
        allow: whether something else blocks too, so that calls need an entry that allows them; never where others show
            the number. until_s: its end.
    """

    remove: tuple[int, ...] = ()
    allow: bool = False
    until_s: int = 0


class Appeal(msgspec.Struct, frozen=True):
    """An appeal as it stands.

    Attributes:
        id: that of its case. receipt: what the appellant holds. number: reference of the number; empty once forgotten.
        city, operator: of the number, for figures.
        blocks: what blocked it when the appeal came. words, contact: the appellant's.
        due_ms: when it must be decided. who, reasons: of the decision.
        effect_ms: when a lifting took effect; None while it has yet to, or where there is none.
    """

    id: str
    receipt: str
    number: str
    city: str
    operator: str
    blocks: tuple[Block, ...]
    words: str
    contact: str
    state: State
    found_ms: int
    due_ms: int
    decided_ms: int | None = None
    who: str = ""
    reasons: str = ""
    plan: Plan = Plan()
    effect_ms: int | None = None

    def is_late(self, now_ms: int) -> bool:
        """Whether it should have been decided."""
        return self.state == "open" and self.due_ms < now_ms


def plan_of(blocks: tuple[Block, ...], decided_ms: int, days: int) -> Plan:
    """What must be done so that none of these blocks the number's own calls any more.

    Args:
        days: for how long a number is allowed where more than its own entries blocked it; never where others show it.
    """
    own = tuple(sorted(it.entry for it in blocks if it.kind == "list" and it.own))
    allow = any(_beyond_entries(it) for it in blocks) and not is_shown(blocks)
    return Plan(own, allow, decided_ms // 1000 + days * 86_400 if allow else 0)


def is_shown(blocks: Iterable[Block]) -> bool:
    """Whether others show the number: an entry that allows it would let their calls in, too."""
    return any(it.kind == "shown" for it in blocks)


def is_liftable(then: Iterable[Block], now: Iterable[Block]) -> bool:
    """Whether a person can lift what blocks a number, without letting in the calls of others that show it.

    Args:
        then: what blocked it when the appeal came. now: what blocks it now.
    """
    now = tuple(now)
    both = (*then, *now)
    return not is_shown(both) or (any(it.kind != "shown" for it in both) and not any(_beyond_entries(it) for it in now))


def _beyond_entries(block: Block) -> bool:
    return block.kind == "rule" or (block.kind == "list" and not block.own)


def new_receipt() -> str:
    """16 letters that nobody guesses (69 bits), in fours; no vowels, so that no receipt is a word."""
    drawn = "".join(secrets.choice(_LETTERS) for _ in range(_RECEIPT))
    return "-".join(drawn[at : at + 4] for at in range(0, _RECEIPT, 4))


def read_receipt(text: str) -> str:
    """A receipt as people write it down, or "" where it is none."""
    kept = "".join(c for c in text.lower() if c in _LETTERS)
    others = set(text.lower()) - set(_LETTERS) - set(" -\u2010\u2011\u2012\u2013\u2014")
    if others or len(kept) != _RECEIPT:
        return ""
    return "-".join(kept[at : at + 4] for at in range(0, _RECEIPT, 4))
