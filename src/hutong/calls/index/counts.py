"""How many verdicts of a part fit some filters, in all and by value; a closed part never changes and is counted once.

A filter that says nothing about a part is left out of the question, so that moving the ends of a time range asks
nothing new of the parts that lie within.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hutong.calls.index import query
from hutong.calls.index.query import LAST_MS, Filters

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.calls.index.part import Part, Rows
    from hutong.calls.index.query import Found, SortKey

    Question = tuple[int, int, Filters, str]

_KEPT = 20_000
_ALL = Filters()


class Counts:
    """Counts of many parts and filters; the oldest questions are forgotten. Safe for many threads.

    Args:
        rule_ids: ids of a part's rules, in the order of its head.
        used: told of each part whose columns were looked at.
    """

    def __init__(self, rule_ids: Callable[[Part], list[str]], used: Callable[[Part], None]) -> None:
        self._rule_ids = rule_ids
        self._used = used
        self._kept: dict[Question, dict[int | str, int]] = {}

    def is_known(self, part: Part, filters: Filters) -> bool:
        """Whether `count` takes no look at the rows."""
        wanted = _within(part, filters)
        return wanted == _ALL or _question(part, wanted, "") in self._kept

    def count(self, part: Part, filters: Filters) -> int:
        """How many verdicts of the part fit."""
        return self.found(part, filters)[0]

    def found(self, part: Part, filters: Filters) -> tuple[int, Rows | None]:
        """How many fit, and which rows where finding that out took a look at them; the others can be had by `rows`."""
        wanted = _within(part, filters)
        if wanted == _ALL:
            return part.head.verdicts, None
        question = _question(part, wanted, "")
        kept = self._kept.get(question)
        if kept is not None:
            return kept[""], None
        found = self._matching(part, wanted)
        number = query.count_of(found)
        self._keep(part, question, {"": number})
        return number, query.rows_of(found)

    def rows(self, part: Part, filters: Filters) -> Rows:
        """The verdicts that fit, rows ascending."""
        return query.rows_of(self._matching(part, _within(part, filters)))

    def labelled(self, part: Part, filters: Filters, key: SortKey, label: int | str) -> Rows:
        """The verdicts that fit and bear one label, rows ascending."""
        self._used(part)
        return query.labelled(part, _within(part, filters), self._rule_ids(part), key, label)

    def groups(self, part: Part, filters: Filters, key: SortKey) -> dict[int | str, int]:
        """How many fit by each value of a column: its label where values mean something in this part only."""
        wanted = _within(part, filters)
        question = _question(part, wanted, key)
        kept = self._kept.get(question)
        if kept is not None:
            return kept
        by_label: dict[int | str, int] = {}
        names = query.labels(part, key, self._rule_ids(part))
        for code, number in query.groups(part, key, self._matching(part, wanted)).items():
            label = code if names is None else names[code]
            by_label[label] = by_label.get(label, 0) + number
        self._keep(part, question, by_label)
        return by_label

    def _matching(self, part: Part, wanted: Filters) -> Found:
        self._used(part)
        return query.matching(part, wanted, self._rule_ids(part))

    def _keep(self, part: Part, question: Question, counted: dict[int | str, int]) -> None:
        if part.sealed:
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[question] = counted


def _within(part: Part, filters: Filters) -> Filters:
    """The filters without a time that all of the part's rows keep anyway."""
    since = filters.since_ms if part.head.oldest_ms < filters.since_ms else 0
    until = filters.until_ms if part.head.newest_ms >= filters.until_ms else LAST_MS
    if (since, until) == (filters.since_ms, filters.until_ms):
        return filters
    return msgspec.structs.replace(filters, since_ms=since, until_ms=until)


def _question(part: Part, filters: Filters, key: str) -> Question:
    return part.head.first_seq, part.head.salt, filters, key
