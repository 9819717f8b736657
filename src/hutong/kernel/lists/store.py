"""The lists on disk: an LMDB environment that any number of processes read and write.

Each change has a number, so that an index in another process takes up only what is new. Entries that were removed or
replaced stay readable by id: a verdict names the entries it was made with.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

import lmdb
import msgspec

from hutong.kernel.errors import ListError, StateError
from hutong.kernel.lists import environment
from hutong.kernel.lists.entries import (
    KINDS,
    LAST_ID,
    LISTS,
    ROLES,
    Entry,
    decode_entry,
    encode_entry,
    rows_of,
)
from hutong.kernel.numbering.keys import KIND_NUMBER, digits_of, key_count, key_kind, key_of_digits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy as np

    Transaction = lmdb.Transaction[bytes]

Result = TypeVar("Result")
Order = Literal["id", "target"]

KEPT_CHANGES = 1_000_000  # an index that is further behind reads the whole list again
_MAP_BYTES = 64 << 20
_VERSION = b"1"
_SOURCES = (b"entries", b"removed", b"targets", b"changes", b"meta")
_PAGE = 500  # entries read in one transaction while a caller takes them one by one


class Changes(NamedTuple):
    """What happened since a change number, in order.

    Attributes:
        rows: (changes,) dtype ROW; an entry that came, or one that went where `removed` is set.
        last: number of the last change in `rows`.
        behind: how many more changes there are after it.
        version: the store's version at the time of reading.
    """

    rows: np.ndarray
    last: int
    behind: int
    version: int


class Snapshot(NamedTuple):
    """Every entry that has effect, as of one moment: `total` rows in chunks."""

    total: int
    last: int
    version: int
    chunks: Iterator[np.ndarray]


class Slice(NamedTuple):
    """Some entries in order, as stored (`rows_of`, `decode_entry`).

    Attributes:
        values: the entries.
        place: where the next slice begins; empty where nothing follows.
    """

    values: list[bytes]
    place: bytes


class ListStore:
    """The lists kept in `folder`; stores of one folder in one process share what is open.

    Args:
        folder: made by `open` where it is missing.
        map_bytes: the address space LMDB begins with; doubled whenever it is full.
    """

    def __init__(self, folder: Path, *, map_bytes: int = _MAP_BYTES) -> None:
        self._folder = folder
        self._map_bytes = map_bytes
        self._shared: environment.Environment | None = None
        self._opening = threading.Lock()

    def open(self) -> None:
        """Open or make the lists.

        Raises:
            StateError: the folder cannot be used, or another version of Hutong wrote it.
        """
        with self._opening:
            if self._shared is not None:
                return
            try:
                shared = environment.take(self._folder, map_bytes=self._map_bytes, databases=len(_SOURCES))
            except (OSError, lmdb.Error) as error:
                raise StateError(
                    f"The lists cannot be opened: {error}.",
                    where=str(self._folder),
                    fix="Check that this user may write there and that the disk is not full.",
                ) from error
            self._lock = shared.lock
            with self._lock:
                (
                    self._entries,
                    self._removed,
                    self._targets,
                    self._changes,
                    self._meta,
                ) = (shared.lmdb.open_db(name) for name in _SOURCES)
            self._shared = shared
            self._check_version()

    def _check_version(self) -> None:
        found = self._read(lambda txn: txn.get(b"version", db=self._meta))
        if found is None:
            self._write(lambda txn: txn.put(b"version", _VERSION, db=self._meta))
        elif found != _VERSION:
            self.close()
            raise StateError(
                f"These lists have format {bytes(found).decode()}, this version of Hutong reads {_VERSION.decode()}.",
                where=str(self._folder),
                fix="Export them with the version that wrote them and import the file here.",
            )

    def close(self) -> None:
        """Let go of the environment; a second call does nothing."""
        if self._shared is not None:
            shared, self._shared = self._shared, None
            environment.give_back(shared)

    # Asking

    @property
    def _env(self) -> lmdb.Environment:
        if self._shared is None:
            raise StateError("The lists are not open.", where=str(self._folder))
        return self._shared.lmdb

    def version(self) -> int:
        """A number that is higher after every change by any process; costs about a microsecond."""
        return int(self._env.info()["last_txnid"])

    def last_change(self) -> int:
        """Number of the last change; see `changes`."""
        return self._read(lambda txn: int.from_bytes(txn.get(b"change", b"", db=self._meta), "big"))

    def count(self) -> int:
        """How many entries have effect (expired ones included)."""
        return self._read(lambda txn: int(txn.stat(self._entries)["entries"]))

    def entry(self, number: int) -> Entry | None:
        """The entry with this id, removed or not."""
        name = _id(number)
        found = self._read(lambda txn: self._stored(txn, name))
        return decode_entry(found) if found else None

    def _stored(self, txn: Transaction, name: bytes) -> bytes:
        return txn.get(name, db=self._entries) or txn.get(name, db=self._removed) or b""

    def _live(self, txn: Transaction, name: bytes) -> Entry:
        return decode_entry(txn.get(name, b"", db=self._entries))

    def entries(self) -> Iterator[Entry]:
        """Every entry that has effect, oldest first. Changes made meanwhile may or may not show."""
        page = self._page(0)
        while page:
            yield from page
            page = self._page(page[-1].id)

    def _page(self, after: int) -> list[Entry]:
        def take(txn: Transaction) -> list[bytes]:
            cursor = txn.cursor(db=self._entries)
            found = cursor.set_range(_id(after + 1))
            return list(islice(cursor.iternext(keys=False), _PAGE)) if found else []

        return [decode_entry(value) for value in self._read(take)]

    def slice(self, order: Order, limit: int, *, place: bytes = b"", skip: int = 0, descending: bool = False) -> Slice:
        """At most `limit` entries that have effect, raw and in order: for looking through many of them.

        A slice is one short transaction; changes made between two slices may or may not show.

        Args:
            order: by id, which is the order in which they came, or by target: numbers, prefixes, ranges.
            limit: the most to read.
            place: where the slice before ended; empty to begin.
            skip: so many entries are passed over first, at some 10 million a second.
            descending: the other way round.
        """
        return self._read(lambda txn: self._slice(txn, order, limit, place, skip, descending=descending))

    def _slice(self, txn: Transaction, order: Order, limit: int, place: bytes, skip: int, *, descending: bool) -> Slice:
        cursor = txn.cursor(db=self._entries if order == "id" else self._targets)
        if not place:
            found = cursor.last() if descending else cursor.first()
        else:
            found = cursor.set_range(place)
            if descending and (not found or cursor.key() != place):
                found = cursor.prev() if found else cursor.last()
        step = cursor.iterprev if descending else cursor.iternext
        if found and skip:
            deque(islice(step(values=False), skip + 1), maxlen=0)  # an iterator stays at what it gave last
            found = bool(cursor.key())
        if not found:
            return Slice([], b"")
        values = list(islice(step(keys=False), limit))
        more = len(values) == limit and (cursor.prev() if descending else cursor.next())
        if order == "target":
            values = [txn.get(number, b"", db=self._entries) for number in values]
        return Slice(values, cursor.key() if more else b"")

    def matching(self, key: int) -> list[Entry]:
        """Entries whose number, prefix or range covers a number key, expired ones included; nearest fit first."""
        return self._read(lambda txn: self._matching(txn, key))

    def _matching(self, txn: Transaction, key: int) -> list[Entry]:
        wanted = [(0, key)]
        if key_kind(key) == KIND_NUMBER:
            digits = digits_of(key)
            wanted += [(1, key_of_digits(digits[:length])) for length in range(len(digits), 0, -1)]
        ids = [
            txn.get(_target(kind, at, 0, list_, role), db=self._targets)
            for kind, at in wanted
            for list_ in range(len(LISTS))
            for role in range(len(ROLES))
        ]
        cursor = txn.cursor(db=self._targets)
        if cursor.set_range(_target(2, 0, 0, 0, 0)):
            for name, number in cursor:
                first, last = (int.from_bytes(name[at : at + 8], "big") for at in (1, 9))
                if first > key:
                    break
                if key <= last:
                    ids.append(number)
        entries = [self._live(txn, number) for number in ids if number is not None]
        return sorted(entries, key=lambda entry: _numbers_covered(entry, key))

    @contextmanager
    def snapshot(self, chunk: int = 1000) -> Iterator[Snapshot]:
        """Every entry as of one moment; no other thread of this process uses the lists meanwhile.

        Chunks are small, because a chunk is read without letting other threads run.
        """
        with self._lock:
            self._read(lambda txn: txn.id())  # takes up the map's size if another process changed it
            with self._env.begin() as txn:
                count = int(txn.stat(self._entries)["entries"])
                last = int.from_bytes(txn.get(b"change", b"", db=self._meta), "big")
                yield Snapshot(count, last, txn.id(), self._chunks(txn, chunk))

    def _chunks(self, txn: Transaction, chunk: int) -> Iterator[np.ndarray]:
        values = txn.cursor(db=self._entries).iternext(keys=False)
        while page := list(islice(values, chunk)):
            yield rows_of(page)

    def changes(self, after: int, limit: int) -> Changes | None:
        """At most `limit` changes after change number `after`; None where they are no longer kept."""
        return self._read(lambda txn: self._changes_after(txn, after, limit))

    def _changes_after(self, txn: Transaction, after: int, limit: int) -> Changes | None:
        cursor = txn.cursor(db=self._changes)
        found: list[tuple[bytes, bytes]] = []
        if cursor.set_range(_change(after + 1)):
            found = list(islice(cursor, limit))
        if found and int.from_bytes(found[0][0], "big") != after + 1:
            return None
        values = [self._stored(txn, number) for _, number in found]
        last = int.from_bytes(found[-1][0], "big") if found else after
        newest = int.from_bytes(txn.get(b"change", b"", db=self._meta), "big")
        return Changes(rows_of(values), last, newest - last, txn.id())

    # Changing

    def add(self, entries: Sequence[Entry], now: int) -> list[Entry]:
        """Add entries in one transaction, as of second `now`; returns them as stored.

        An entry with the list, role and target of one that is there replaces it; where it says the same, the old
        one simply stays.

        Raises:
            ListError: ids are used up.
        """
        return self._write(lambda txn: [self._add(txn, entry, now) for entry in entries])

    def _add(self, txn: Transaction, entry: Entry, now: int) -> Entry:
        target = _target_of(entry)
        there = txn.get(target, db=self._targets)
        if there is not None:
            old = self._live(txn, there)
            if old.says_the_same(entry):
                return old
            self._bury(txn, old, now, entry.who, "replaced")
        number = self._next(txn, b"id")
        if number > LAST_ID:
            raise ListError("Every entry id has been used.", fix="Export the lists and import them in a new folder.")
        stored = msgspec.structs.replace(entry, id=number, created=now)
        txn.put(_id(number), encode_entry(stored), db=self._entries, append=True)
        txn.put(target, _id(number), db=self._targets)
        self._log(txn, number)
        return stored

    def remove(self, target: Entry, now: int, *, who: str, why: str, any_role: bool = False) -> list[Entry]:
        """Remove what has the list, target and role of `target` (any role if asked); returns what went."""
        roles = ROLES if any_role else (target.role,)
        names = [_target_of(msgspec.structs.replace(target, role=role)) for role in roles]
        return self._write(lambda txn: self._remove(txn, names, now, who, why))

    def _remove(self, txn: Transaction, names: list[bytes], now: int, who: str, why: str) -> list[Entry]:
        gone = []
        for name in names:
            number = txn.get(name, db=self._targets)
            if number is None:
                continue
            old = self._live(txn, number)
            txn.delete(name, db=self._targets)
            gone.append(self._bury(txn, old, now, who, why))
            self._log(txn, old.id)
        return gone

    def _bury(self, txn: Transaction, old: Entry, now: int, who: str, why: str) -> Entry:
        buried = msgspec.structs.replace(old, removed=max(now, 1), removed_by=who, removed_why=why)
        txn.delete(_id(old.id), db=self._entries)
        txn.put(_id(old.id), encode_entry(buried), db=self._removed)
        return buried

    def exchange(self, old: Entry, new: Entry | None, now: int, *, who: str, why: str) -> bool:
        """Put `new` in the place of an entry, or take that off its list; False where it no longer has effect.

        For who must undo what they did and nothing that others did since.
        """

        def work(txn: Transaction) -> bool:
            if txn.get(_target_of(old), db=self._targets) != _id(old.id):
                return False
            self._remove(txn, [_target_of(old)], now, who, why)
            if new is not None:
                self._add(txn, new, now)
            return True

        return self._write(work)

    def forget(self, before: int, most: int = 5000) -> int:
        """Delete for good at most so many entries that were removed before second `before`; returns how many."""

        def work(txn: Transaction) -> int:
            rows = ((name, rows_of([value])[0]) for name, value in txn.cursor(db=self._removed))
            old = list(islice((name for name, row in rows if row["removed"] < before), most))
            for name in old:
                txn.delete(name, db=self._removed)
            return len(old)

        return self._write(work)

    def _log(self, txn: Transaction, number: int) -> None:
        change = self._next(txn, b"change")
        txn.put(_change(change), _id(number), db=self._changes, append=True)
        if change > KEPT_CHANGES:
            txn.delete(_change(change - KEPT_CHANGES), db=self._changes)

    def _next(self, txn: Transaction, name: bytes) -> int:
        number = int.from_bytes(txn.get(name, b"", db=self._meta), "big") + 1
        txn.put(name, number.to_bytes(8, "big"), db=self._meta)
        return number

    # Transactions

    def _read(self, work: Callable[[Transaction], Result]) -> Result:
        return environment.read(self._env, self._lock, work)

    def _write(self, work: Callable[[Transaction], Result]) -> Result:
        try:
            return environment.write(self._env, self._lock, work)
        except lmdb.DiskError as error:
            raise StateError(
                f"The lists cannot be written: {error}.",
                where=str(self._folder),
                fix="Free space on this disk; nothing of this change was kept.",
            ) from error


def _id(number: int) -> bytes:
    return number.to_bytes(4, "big")


def _change(number: int) -> bytes:
    return number.to_bytes(8, "big")


def _target(kind: int, key: int, last: int, list_: int, role: int) -> bytes:
    """Kind, first key, last key, list, role: ranges stand together in the order of their first number."""
    return bytes((kind,)) + key.to_bytes(8, "big") + last.to_bytes(8, "big") + bytes((list_, role))


def _numbers_covered(entry: Entry, key: int) -> int:
    """How many numbers of the length of `key` an entry covers."""
    if entry.kind == "prefix":
        return int(10 ** (key_count(key) - key_count(entry.key)))
    return entry.last - entry.key + 1 if entry.last else 1


def _target_of(entry: Entry) -> bytes:
    return _target(KINDS.index(entry.kind), entry.key, entry.last, LISTS.index(entry.list), ROLES.index(entry.role))
