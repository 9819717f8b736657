"""List entries for the console: found by filters in a store of any size, a page at a time, and counted.

Belongs here: which entries a query means, how many there are, what is masked. Not here: routes and words (`lists`),
changes to lists. Nothing holds the whole list in memory: filters look at stored entries slice by slice and give up at
`MOST_EXAMINED`, saying so, so that a page of a list of millions still comes at once. Words are searched as they are
shown, masked: else whoever searches digit by digit would read what is hidden.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec
import numpy as np

from hutong.kernel.lists.entries import KINDS, LISTS, ROLES, Entry, decode_entry, rows_of
from hutong.kernel.reporter import masked as masked_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hutong.kernel.lists.store import ListStore, Order

MOST_EXAMINED: Final = 250_000
"""Entries that one page of a filtered table looks at: a tenth of a second. One whose words are read counts for more."""
MOST_SORTED: Final = 20_000
"""Entries that are put in another order than the store's."""
SOON: Final = 7 * 86_400
"""Seconds: what expires within them counts as expiring soon."""
EXPIRIES: Final = ("never", "soon", "later", "over")

_SLICE = 10_000
_WORDS_COST = 30
_AGE_OF_COUNTS = 50
"""Counts are kept for so many times as long as they took: counting never costs more than 2 % of the time."""
_YOUNGEST_NS = 1_000_000_000
_AT_ONCE = 100_000
"""Entries that are counted while somebody waits: some 20 ms."""

Expiry = Literal["never", "soon", "later", "over"]


class Wanted(msgspec.Struct, frozen=True):
    """Which entries, in which order. An empty text asks for nothing; letter case counts only beyond ASCII.

    Attributes:
        list, kind, role: one of the enumerations in `kernel.lists`.
        expiry: one of EXPIRIES.
        source, who: parts of these words, numbers in them masked. text: a part of the reason, the source or who.
        sort: "id", "target", or another field of an entry.
        start: entries, in the store's order, that an earlier look already went through.
    """

    list: str = ""
    kind: str = ""
    role: str = ""
    expiry: str = ""
    source: str = ""
    who: str = ""
    text: str = ""
    sort: str = "id"
    descending: bool = True
    start: int = 0

    @property
    def filtered(self) -> bool:
        """Whether it leaves anything out."""
        return any((self.list, self.kind, self.role, self.expiry, self.source, self.who, self.text, self.start))


class Found(NamedTuple):
    """A page of entries.

    Attributes:
        entries: the page.
        total: how many there are in all; exact. None where the look ended before the list did.
        more: whether another page follows.
        looked_to: of `entries in the list`, how many have been looked at, earlier looks included.
        sorted: False where there were too many to sort as asked, and they come newest first.
    """

    entries: list[Entry]
    total: int | None
    more: bool
    looked_to: int
    sorted: bool


def expiry_of(entry: Entry, now: int) -> Expiry:
    """How an entry's time stands at second `now`."""
    if not entry.expires:
        return "never"
    if entry.expires <= now:
        return "over"
    return "soon" if entry.expires <= now + SOON else "later"


class _Sieve:
    """Lets through the stored entries that are wanted."""

    def __init__(self, wanted: Wanted, now: int) -> None:
        codes = (("list", LISTS), ("role", ROLES), ("kind", KINDS))
        self._codes = [(name, names.index(getattr(wanted, name))) for name, names in codes if getattr(wanted, name)]
        self._expiry, self._now = wanted.expiry, now
        self._needles = [text.lower().encode() for text in (wanted.source, wanted.who, wanted.text) if text]
        self._wanted = wanted
        self.cost = 0

    def sift(self, values: list[bytes]) -> list[bytes]:
        """Those of `values` that are wanted, in their order; adds to `cost` what they were worth in entries."""
        self.cost += len(values)
        if self._codes or self._expiry:
            kept = np.flatnonzero(self._mask(rows_of(values)))
            values = [values[at] for at in kept.tolist()]
        if self._needles and values:
            values = [value for value in self._candidates(values) if self._says(value)]
        return values

    def _candidates(self, values: list[bytes]) -> list[bytes]:
        """Those that hold the first needle, and none where a needle is nowhere: one search for all of them."""
        whole = b"\n".join(values).lower()
        if not all(needle in whole for needle in self._needles):
            return []
        ends = np.cumsum([len(value) + 1 for value in values])
        found, at = [], whole.find(self._needles[0])
        while at >= 0:
            place = int(np.searchsorted(ends, at, side="right"))
            found.append(values[place])
            at = whole.find(self._needles[0], int(ends[place]))
        self.cost += _WORDS_COST * len(found)
        return found

    def _mask(self, rows: np.ndarray) -> np.ndarray:
        mask = np.ones(len(rows), dtype=bool)
        for name, code in self._codes:
            mask &= rows[name] == code
        expires = rows["expires"].astype(np.int64)
        bounds = {
            "never": expires == 0,
            "over": (expires > 0) & (expires <= self._now),
            "soon": (expires > self._now) & (expires <= self._now + SOON),
            "later": expires > self._now + SOON,
        }
        return mask & bounds[self._expiry] if self._expiry else mask

    def _says(self, value: bytes) -> bool:
        entry, wanted = decode_entry(value), self._wanted
        source = masked_text(entry.source)
        words = f"{masked_text(entry.reason)}\n{source}\n{entry.who}"
        return all(
            _lower(part) in _lower(field)
            for part, field in ((wanted.source, source), (wanted.who, entry.who), (wanted.text, words))
        )


def _lower(text: str) -> bytes:
    return text.encode().lower()


def find(store: ListStore, wanted: Wanted, now: int, *, offset: int, size: int) -> Found:
    """A page of the entries that are wanted at second `now`.

    Args:
        store: an open store.
        wanted: which.
        now: seconds since 1970.
        offset, size: the page.
    """
    stored = store.count()
    order: Order = "target" if wanted.sort == "target" else "id"
    by_store = wanted.sort in {"id", "created", "target"}
    if by_store and not wanted.filtered:
        values = store.slice(order, size + 1, skip=offset, descending=wanted.descending).values
        entries = [decode_entry(value) for value in values[:size]]
        return Found(entries, stored, len(values) > size, stored, sorted=True)
    matches = _Matches(store, wanted, now, order=order, keep=offset + size + 1 if by_store else MOST_SORTED + 1)
    if not by_store and (matches.count > MOST_SORTED or matches.place):
        plain = msgspec.structs.replace(wanted, sort="id", descending=True)
        return find(store, plain, now, offset=offset, size=size)._replace(sorted=False)
    entries = [
        decode_entry(value) for value in (matches.values[offset : offset + size] if by_store else matches.values)
    ]
    if not by_store:
        entries.sort(key=_sort_key(wanted.sort), reverse=wanted.descending)
        entries = entries[offset : offset + size]
    total = None if matches.place or wanted.start else matches.count
    return Found(entries, total, matches.count > offset + size, matches.looked_to, sorted=True)


def every(store: ListStore, wanted: Wanted, now: int) -> Iterator[Entry]:
    """All entries that are wanted, newest first or in the order of targets; for exports."""
    sieve = _Sieve(wanted, now)
    order: Order = "target" if wanted.sort == "target" else "id"
    place, begun = b"", False
    while place or not begun:
        piece = store.slice(order, _SLICE, place=place, descending=wanted.descending)
        place, begun = piece.place, True
        for value in sieve.sift(piece.values):
            yield decode_entry(value)


class _Matches:
    """What a look through the store found: the first `keep` matching values, and how many match."""

    def __init__(self, store: ListStore, wanted: Wanted, now: int, *, order: Order, keep: int) -> None:
        sieve = _Sieve(wanted, now)
        self.values: list[bytes] = []
        self.count = 0
        self.looked_to = wanted.start
        descending = wanted.descending or wanted.sort not in {"id", "created", "target"}
        piece = store.slice(order, _SLICE, skip=wanted.start, descending=descending)
        while True:
            found = sieve.sift(piece.values)
            self.count += len(found)
            self.values += found[: max(keep - len(self.values), 0)]
            self.looked_to += len(piece.values)
            self.place = piece.place
            if not piece.place or sieve.cost >= MOST_EXAMINED:
                return
            piece = store.slice(order, _SLICE, place=piece.place, descending=descending)


def _sort_key(field: str) -> Callable[[Entry], tuple[bool, str | int]]:
    if field == "expires":
        return lambda entry: (not entry.expires, entry.expires)  # never comes after every time
    return lambda entry: (False, getattr(entry, field))


class Counts(NamedTuple):
    """How many entries there were at one moment.

    Attributes:
        total: all, expired ones included.
        by: (list, kind) → how many.
        soon, over: that expire within SOON, that have expired and wait to be removed.
        at: second of counting.
    """

    total: int
    by: dict[tuple[str, str], int]
    soon: int
    over: int
    at: int


def count(store: ListStore, now: int) -> Counts:
    """Count at second `now`: some five million entries a second."""
    table = np.zeros((len(LISTS), len(KINDS)), dtype=np.int64)
    soon = over = total = 0
    place, begun = b"", False
    while place or not begun:
        piece = store.slice("id", _SLICE, place=place)
        place, begun = piece.place, True
        rows = rows_of(piece.values)
        total += len(rows)
        table += np.bincount(rows["list"] * len(KINDS) + rows["kind"], minlength=table.size).reshape(table.shape)
        expires = rows["expires"].astype(np.int64)
        over += int(np.count_nonzero((expires > 0) & (expires <= now)))
        soon += int(np.count_nonzero((expires > now) & (expires <= now + SOON)))
    by = {(a, b): int(table[x, y]) for x, a in enumerate(LISTS) for y, b in enumerate(KINDS)}
    return Counts(total, by, soon, over, now)


class Census:
    """Counts that are made again when the lists changed, but never take more than a small share of the time.

    Nobody waits for a long list to be counted: that happens in a thread, and whoever asks gets what was counted last.

    Args:
        store: an open store.
        monotonic: nanoseconds of a clock that does not go back.
    """

    def __init__(self, store: ListStore, monotonic: Callable[[], int]) -> None:
        self._store = store
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._kept: tuple[int, Counts] | None = None
        self._until = 0
        self._counting: threading.Thread | None = None

    def counts(self, now: int) -> Counts | None:
        """Counts at second `now` or before (`Counts.at`); None while a long list is counted for the first time."""
        with self._lock:
            kept, version = self._kept, self._store.version()
            if kept is not None and ((version, now) == (kept[0], kept[1].at) or self._monotonic() < self._until):
                return kept[1]
            if self._store.count() <= _AT_ONCE:
                return self._count(version, now)
            if self._counting is None:
                self._counting = threading.Thread(target=self._aside, args=(version, now), daemon=True)
                self._counting.start()
            return kept[1] if kept is not None else None

    def _aside(self, version: int, now: int) -> None:
        try:
            self._count(version, now)
        finally:
            self._counting = None

    def _count(self, version: int, now: int) -> Counts:
        began = self._monotonic()
        counts = count(self._store, now)
        ended = self._monotonic()
        self._kept = (version, counts)
        took = ended - began
        self._until = ended + _AGE_OF_COUNTS * took if took * _AGE_OF_COUNTS > _YOUNGEST_NS else 0
        return counts
