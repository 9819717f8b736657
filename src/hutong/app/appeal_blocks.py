"""What blocks a number, for its owner: list entries with their orders, and rules in force that blocked it lately.

Here lists, verdicts, rules and orders meet, because systems do not know each other. Nothing that says how a rule
measures, or who reported, leaves this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from hutong.appeals.model import Block
from hutong.calls.evidence.desk import HUTONG
from hutong.calls.index import Filters
from hutong.calls.own_calls import judges_display
from hutong.orders.model import SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.calls.index import VerdictIndex
    from hutong.calls.rule_book import Book, RuleShelf
    from hutong.kernel.lists.entries import Entry
    from hutong.kernel.lists.store import ListStore

#: How far back blocked calls count: what blocked a number earlier and no more needs no appeal.
LOOKED_BACK_MS: Final = 7 * 24 * 3_600_000
_LISTS: Final = frozenset({"caller.listed_block", "callee.listed_block"})
_OWNERS: Final = frozenset({"any", "caller"})
_BASIS: Final = {"zh": "反电信网络诈骗法 第三十二条", "en": "Anti-Telecom and Online Fraud Law, art. 32"}
_TITLES: Final = {
    True: {"zh": "号码在拦截名单中", "en": "The number is on the block list"},
    False: {"zh": "号码所在号段在拦截名单中", "en": "A range that the number belongs to is on the block list"},
}


class OrderFacts(NamedTuple):
    """What an order says to the person concerned, its legal basis in both languages, and who made it."""

    agency: str
    basis: dict[str, str]
    makers: tuple[str, ...]


class NodeBlocks:
    """Knows what blocks a number on this node (`appeals.blocks.BlockPort`).

    Args:
        lists: opened by whoever made them. index: finds verdicts. shelf: the rules.
        order: what an entry's source says, where that is an order.
    """

    def __init__(
        self, lists: ListStore, index: VerdictIndex, shelf: RuleShelf, order: Callable[[str], OrderFacts | None]
    ) -> None:
        self._lists, self._index, self._shelf, self._order = lists, index, shelf, order

    def blocks(self, key: int, now_ms: int) -> tuple[Block, ...]:
        """See `BlockPort.blocks`."""
        live = [it for it in self._lists.matching(key) if not it.expires or it.expires > now_ms // 1000]
        mine = [it for it in live if it.role in _OWNERS]
        if any(it.list == "allow" for it in mine):
            return ()  # every rule yields to it
        return (*(self._of_entry(it) for it in mine), *self._of_rules(key, now_ms))

    def _of_entry(self, entry: Entry) -> Block:
        facts = self._order(entry.source) if entry.source.startswith(SOURCE) else None
        own = entry.kind == "number"
        return Block(
            kind="list",
            name=f"entry:{entry.id}",
            title=_TITLES[own],
            basis=facts.basis if facts else _BASIS,
            agency=facts.agency if facts else "",
            since_ms=entry.created * 1000,
            until_ms=entry.expires * 1000,
            entry=entry.id,
            own=own,
            makers=tuple(dict.fromkeys((entry.who, *(facts.makers if facts else ())))),
            order=entry.source if facts else "",
        )

    def _of_rules(self, key: int, now_ms: int) -> list[Block]:
        wanted = Filters(since_ms=now_ms - LOOKED_BACK_MS, action="block", number=key, role="caller")
        decided = self._index.groups(wanted, "rule")
        return [block for rule in decided if (block := _of_rule(self._shelf.book(), str(rule))) is not None]


def _of_rule(book: Book, rule_id: str) -> Block | None:
    """A rule that blocks now by itself; None for one that only looks at lists, which are told by their entries."""
    ruleset = book.ruleset
    at = ruleset.index(rule_id)
    if at is None or ruleset.rules[at].stage != "block":
        return None
    rule = ruleset.rules[at]
    if _LISTS & {ruleset.vocabulary.features[place].name for place in ruleset.features_of(at)}:
        return None
    moves = [it for it in book.history(rule.id) if it.version == rule.version and it.to == "block"]
    makers = {name for it in moves[:1] for name in (it.by, it.proposed_by)} - {"", HUTONG}
    return Block(
        kind="shown" if judges_display(ruleset, at) else "rule",
        name=f"rule:{rule.id}@{rule.version}",
        title=rule.title,
        # Of a rule, citations of laws and standards, as its file has them.
        basis={"zh": rule.basis, "en": rule.basis},
        makers=tuple(sorted(makers)),
    )
