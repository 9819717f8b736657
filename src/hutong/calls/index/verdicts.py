"""Finding verdicts and outcomes among millions: by number, by Call-ID, by what was decided. Any process may.

Answers are sequence numbers, newest first unless sorted otherwise; `read` gives the records themselves.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from hutong.calls.index import query
from hutong.calls.index.counts import Counts
from hutong.calls.index.folder import PartFolder
from hutong.calls.index.ids import RuleIds
from hutong.calls.index.part import hash_of_call
from hutong.calls.index.query import LAST_MS, Filters, Page
from hutong.calls.index.sidecar import SidecarError, SidecarPart
from hutong.calls.outcomes import decode_outcome
from hutong.calls.record import KIND_OUTCOME, KIND_VERDICT, MAX_TEXT, decode
from hutong.calls.rule_book import RULESETS
from hutong.kernel.errors import JournalError
from hutong.kernel.journal.frames import RECORD_HEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hutong.calls.index.part import Part, Rows
    from hutong.calls.index.query import Role, SortKey

Found = TypeVar("Found")

#: Rows that one question may look at beyond the page it is answered with, to count the rest.
MOST_COUNTED = 60_000_000
_MOST_BYTES = 1 << 20
_LAST_SEQ = (1 << 63) - 1  # what a column can hold, and more than any journal will


class Row(NamedTuple):
    """A record as it stands in the journal: its number, kind and body without the journal's header."""

    seq: int
    kind: int
    body: memoryview


class VerdictIndex:
    """The index of a data folder; safe for many threads. Inert until it is asked.

    Args:
        data: the data folder; its journal need not exist yet.
    """

    def __init__(self, data: Path) -> None:
        self._folder = PartFolder(data)
        self._ids = RuleIds(data / RULESETS)
        self._counts = Counts(self.rule_ids, self._folder.used)

    def refresh(self) -> int:
        """Take note of what is new; every question does so itself. Gives how many rows there are."""
        return sum(part.head.rows for part in self._folder.refresh())

    def build(self) -> int:
        """Bring DATA/index in line with the journal: for `work`. Gives how many files were made or deleted.

        Raises:
            OSError: the folder cannot be read.
        """
        before = self._folder.built
        self._folder.refresh()
        return self._folder.built - before + self._folder.sweep() + self._folder.sweep_drafts()

    # Asking

    def page(
        self,
        filters: Filters,
        *,
        sort: SortKey = "time",
        descending: bool = True,
        offset: int = 0,
        limit: int = 50,
        at_once: int = MOST_COUNTED,
    ) -> Page:
        """A page of verdicts.

        Args:
            filters: which ones.
            sort: "time" is the order in which they were judged. By anything else, equal ones come newest first.
            descending: newest, greatest first.
            offset, limit: the page.
            at_once: rows to look at at most, beyond the page itself, to count them all.
        """

        def ask(parts: tuple[Part, ...]) -> Page:
            wanted = [part for part in parts if query.overlaps(part, filters)]
            if sort == "time":
                return self._by_time(wanted, filters, offset, limit, descending=descending, at_once=at_once)
            return self._by_group(wanted, filters, sort, offset, limit, descending=descending)

        return self._ask(ask)

    def by_number(
        self, key: int, role: Role = "any", since_ms: int = 0, until_ms: int = LAST_MS, limit: int = 50
    ) -> list[int]:
        """Verdicts about a number, newest first."""
        wanted = Filters(since_ms=since_ms, until_ms=until_ms, number=key, role=role)
        return self.page(wanted, limit=limit, at_once=0).seqs

    def by_call_id(self, call_id: str, limit: int = 100) -> list[int]:
        """Verdicts about a call, newest first. A Call-ID is kept as it was signalled, letter case included."""
        return self._of_call(call_id, KIND_VERDICT, limit)

    def outcomes_by_call_id(self, call_id: str, limit: int = 100) -> list[int]:
        """Outcomes of a call, newest first."""
        return self._of_call(call_id, KIND_OUTCOME, limit)

    def count(self, filters: Filters) -> int:
        """How many verdicts there are."""
        return self._ask(
            lambda parts: sum(self._counts.count(part, filters) for part in parts if query.overlaps(part, filters))
        )

    def groups(self, filters: Filters, key: SortKey) -> dict[int | str, int]:
        """How many verdicts have each value of a column: codes of actions and areas, ids of rules, names of trunks."""

        def ask(parts: tuple[Part, ...]) -> dict[int | str, int]:
            total: dict[int | str, int] = {}
            for part in parts:
                if query.overlaps(part, filters):
                    for label, number in self._counts.groups(part, filters, key).items():
                        total[label] = total.get(label, 0) + number
            return total

        return self._ask(ask)

    def columns_of_number(
        self, key: int, names: Sequence[str], since_ms: int = 0, limit: int = 500_000
    ) -> dict[str, NDArray[np.int64]]:
        """Columns (of `part.COLUMNS`, and phase, answered, ring, talk of outcomes) of a number's newest records.

        Args:
            key: the number, in any role.
            names: which columns; "seq" is the whole sequence number.
            since_ms: no older ones.
            limit: most records.

        Returns:
            Arrays of equal length in the order of the journal.
        """

        def ask(parts: tuple[Part, ...]) -> dict[str, NDArray[np.int64]]:
            found: list[dict[str, NDArray[np.int64]]] = []
            left = limit
            for part in reversed(parts):
                if left <= 0 or part.head.rows == 0 or part.head.newest_ms < since_ms:
                    continue
                rows = query.of_number(part, key, "any")
                rows = rows[part.column("time")[rows] >= since_ms][-left:]
                left -= rows.size
                if rows.size:
                    found.append({name: _values(part, name, rows) for name in names})
                self._folder.used(part)
            empty = np.zeros(0, dtype=np.int64)
            return {name: np.concatenate([one[name] for one in reversed(found)] or [empty]) for name in names}

        return self._ask(ask)

    def rules_of_number(self, key: int, role: Role = "caller") -> dict[str, int]:
        """On how many verdicts about a number each rule fired."""

        def ask(parts: tuple[Part, ...]) -> dict[str, int]:
            total: dict[str, int] = {}
            for part in parts:
                rows = query.of_number(part, key, role)
                self._folder.used(part)
                if rows.size:
                    for rule, number in zip(self.rule_ids(part), part.fired_among(rows).tolist(), strict=True):
                        if number:
                            total[rule] = total.get(rule, 0) + number
            return total

        return self._ask(ask)

    def rows_after(self, seq: int, limit: int, take: Callable[[Part, slice], None]) -> tuple[int, int]:
        """Hand over the rows of records after `seq`, in order, part by part; about `limit` of them.

        Raises:
            SidecarError: a part proved damaged; it is made again, and what was taken so far must be forgotten.

        Returns:
            The number of the last record handed over (`seq` where there was none), and how many there were.
        """
        last, left = seq, limit
        for part in self._folder.refresh():
            try:
                rel = part.column("seq")
                start = int(np.searchsorted(rel, max(seq + 1 - part.head.first_seq, 0)))
                stop = min(rel.size, start + left)
                if start < stop:
                    take(part, slice(start, stop))
                    last, left = part.head.first_seq + int(rel[stop - 1]), left - (stop - start)
            except SidecarError:
                self._check(part)
                raise
            self._folder.used(part)
        return last, limit - left

    def rule_ids(self, part: Part) -> list[str]:
        """Ids of the rules of a part, by the codes in its columns."""
        return self._ids.of_part(part)

    def rule_titles(self) -> dict[str, dict[str, str]]:
        """Titles, in every language, of all rules that verdicts on record were judged with, by id."""
        return self._ids.titles(self._folder.refresh())

    def trunks(self) -> list[str]:
        """Names of the trunks of all records, sorted."""
        return sorted({name for part in self._folder.refresh() for name in part.head.trunks})

    # Reading

    def read(self, seqs: Iterable[int]) -> list[Row]:
        """The records with these numbers, in this order; those that are not kept any more are left out."""
        wanted = [seq for seq in seqs if seq <= _LAST_SEQ]

        def ask(parts: tuple[Part, ...]) -> list[Row]:
            firsts = [part.head.first_seq for part in parts]
            found: dict[int, Row] = {}
            by_part = groupby(sorted(set(wanted)), key=lambda seq: bisect_right(firsts, seq) - 1)
            for at, some in by_part:
                if at >= 0:
                    found.update((row.seq, row) for row in self._read_part(parts[at], list(some)))
            return [found[seq] for seq in wanted if seq in found]

        return self._ask(ask)

    def _read_part(self, part: Part, seqs: list[int]) -> Iterator[Row]:
        if not part.head.rows:
            return
        rel = part.column("seq")
        wanted = np.array(seqs, dtype=np.int64) - part.head.first_seq
        wanted = wanted[wanted <= int(rel[-1])]
        rows = np.searchsorted(rel, wanted.astype(np.uint32))
        rows = rows[rel[rows] == wanted]
        offsets, kinds, times = (part.column(name)[rows].tolist() for name in ("offset", "kind", "time"))
        with suppress(OSError):
            segment = os.open(self._folder.segment(part.head.first_seq), os.O_RDONLY | os.O_CLOEXEC)
            try:
                for row, offset, kind, time in zip(rows.tolist(), offsets, kinds, times, strict=True):
                    body = _record_at(segment, offset, kind, time)
                    if body is not None:
                        yield Row(part.head.first_seq + int(rel[row]), kind, body)
            finally:
                os.close(segment)

    # Within

    def _ask(self, ask: Callable[[tuple[Part, ...]], Found]) -> Found:
        """Ask all parts; a sidecar that proves damaged is made again, once for each of them at most."""
        parts = self._folder.refresh()
        for _ in range(len(parts)):
            try:
                return ask(parts)
            except SidecarError:
                for part in parts:
                    self._check(part)
                parts = self._folder.refresh()
        return ask(parts)

    def _check(self, part: Part) -> None:
        if isinstance(part, SidecarPart):
            try:
                part.check()
            except SidecarError:
                self._folder.discard(part.head.first_seq)

    def _by_time(
        self, parts: list[Part], filters: Filters, offset: int, limit: int, *, descending: bool, at_once: int
    ) -> Page:
        seqs: list[int] = []
        total, looked = 0, 0
        for part in reversed(parts) if descending else parts:
            if len(seqs) == limit and looked > at_once:
                return Page(seqs, None, more=True)
            looked += 0 if self._counts.is_known(part, filters) else part.head.rows
            count, rows = self._counts.found(part, filters)
            skip = max(offset - total, 0)
            total += count
            if count > skip and len(seqs) < limit:
                rows = self._counts.rows(part, filters) if rows is None else rows
                rows = rows[::-1] if descending else rows
                seqs += _seqs(part, rows[skip : skip + limit - len(seqs)])
        return Page(seqs, total, more=offset + len(seqs) < total)

    def _by_group(
        self, parts: list[Part], filters: Filters, key: SortKey, offset: int, limit: int, *, descending: bool
    ) -> Page:
        counts = [self._counts.groups(part, filters, key) for part in parts]
        totals: dict[int | str, int] = {}
        for one in counts:
            for label, number in one.items():
                totals[label] = totals.get(label, 0) + number
        seqs: list[int] = []
        before = 0
        for label in sorted(totals, reverse=descending):
            if before + totals[label] > offset and len(seqs) < limit:
                place = before
                for part, one in zip(reversed(parts), reversed(counts), strict=True):
                    number = one.get(label, 0)
                    skip = max(offset - place, 0)
                    place += number
                    if number > skip and len(seqs) < limit:
                        rows = self._counts.labelled(part, filters, key, label)[::-1]
                        seqs += _seqs(part, rows[skip : skip + limit - len(seqs)])
            before += totals[label]
        return Page(seqs, before, more=offset + len(seqs) < before)

    def _of_call(self, call_id: str, kind: int, limit: int) -> list[int]:
        wanted = call_id.encode()[:MAX_TEXT]

        def ask(parts: tuple[Part, ...]) -> list[int]:
            found: list[int] = []
            for part in reversed(parts):
                seqs = _seqs(part, part.equal("call", hash_of_call(call_id, part.head.salt)))
                self._folder.used(part)
                records = [row for row in self._read_part(part, seqs) if row.kind == kind]
                found += [row.seq for row in reversed(records) if call_id_of(row) == wanted]
                if len(found) >= limit:
                    break
            return found[:limit]

        return self._ask(ask)


def call_id_of(row: Row) -> bytes:
    """The Call-ID of a record; empty where it holds none."""
    try:
        if row.kind == KIND_OUTCOME:
            return decode_outcome(row.seq, row.body).call_id.encode()
        return decode(row.seq, row.body, lambda _digest, _rule: 0).call_id.encode()
    except JournalError:
        return b""


def _seqs(part: Part, rows: Rows | NDArray[np.uint32]) -> list[int]:
    return [part.head.first_seq + seq for seq in part.column("seq")[rows].tolist()]


def _values(part: Part, name: str, rows: Rows) -> NDArray[np.int64]:
    if name == "seq":
        return part.head.first_seq + part.column("seq")[rows].astype(np.int64)
    if name not in {"phase", "answered", "ring", "talk"}:
        return part.column(name)[rows].astype(np.int64)
    values = np.zeros(rows.size, dtype=np.int64)
    others = part.column("outcome_row")
    if others.size:
        places = np.searchsorted(others, rows)
        places[places == others.size] = 0
        there = others[places] == rows
        values[there] = part.column(f"outcome_{name}")[places[there]]
    return values


def _record_at(segment: int, offset: int, kind: int, time_ms: int) -> memoryview | None:
    """The body of the record at a byte; None where another file has taken the segment's name."""
    head = os.pread(segment, RECORD_HEADER.size + 8, offset)
    if len(head) < RECORD_HEADER.size + 8:
        return None
    length, found, _ = RECORD_HEADER.unpack_from(head)
    if found != kind or not RECORD_HEADER.size <= length <= _MOST_BYTES:
        return None
    if int.from_bytes(head[RECORD_HEADER.size :], "little", signed=True) != time_ms:
        return None
    body = os.pread(segment, length - RECORD_HEADER.size, offset + RECORD_HEADER.size)
    return memoryview(body) if len(body) == length - RECORD_HEADER.size else None
