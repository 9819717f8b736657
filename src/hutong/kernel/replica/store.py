"""The copy: an LMDB environment that one follower writes and any number of processes read without a lock.

What is applied and how far it goes stand in one transaction: `kill -9` at any point loses nothing and applies nothing
twice. A part that is made anew is made beside the one that readers have, and takes its place once it is whole. What is
over by its time is given to nobody, and removed, whether the source can be reached or not.
"""

from __future__ import annotations

import fcntl
import os
import threading
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

import lmdb
import msgspec

from hutong.kernel.errors import StateError
from hutong.kernel.lists import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from hutong.kernel.replica.log import Change, News, Topic
    from hutong.kernel.replica.source import Page

    Transaction = lmdb.Transaction[bytes]

Result = TypeVar("Result")
#: In the data folder.
FOLDER: Final = "replica"
_MAP_BYTES: Final = 64 << 20
_DATABASES: Final = (b"entries", b"ends", b"about")
_TIME_BYTES: Final = 8
#: Entries that one transaction removes.
_AT_ONCE: Final = 10_000
_PAGE: Final = 1_000
_HEARD: Final = b"heard"


class Making(msgspec.Struct, frozen=True):
    """A part being made anew.

    Attributes:
        number: of the last event when it was begun, then of the last that was applied to it.
        after: where the next page begins. paged: every page is in.
        upto: once this event is applied, it is as the records were at one moment.
    """

    number: int = 0
    after: str = ""
    paged: bool = False
    upto: int = 0


class State(msgspec.Struct, frozen=True):
    """How far a part goes.

    Attributes:
        number: of the last event applied. ready: readers have it. slot: where it is of two places.
        making: the next one, in the other place. left: the other place holds what is to be removed.
    """

    number: int = 0
    ready: bool = False
    slot: str = "0"
    making: Making | None = None
    left: bool = False

    @property
    def position(self) -> int:
        """What is asked for next comes after this event."""
        return self.making.number if self.making else self.number

    @property
    def follows(self) -> bool:
        """Whether it takes events now, rather than pages."""
        return self.making.paged if self.making else self.ready


class Replica:
    """The replica in a folder; safe among threads and processes, inert until opened.

    Args:
        folder: made by `open` where it is missing. map_bytes: address space to begin with; doubled when it is full.
    """

    def __init__(self, folder: Path, *, map_bytes: int = _MAP_BYTES) -> None:
        self.folder, self._map_bytes = folder, map_bytes
        self._shared: environment.Environment | None = None
        self._opening = threading.Lock()

    def open(self) -> None:
        """Open or make it. Raises StateError: the folder cannot be used."""
        with self._opening:
            if self._shared is not None:
                return
            shared = None
            try:
                self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                shared = environment.take(self.folder, map_bytes=self._map_bytes, databases=len(_DATABASES))
                self._lock = shared.lock
                with self._lock:
                    self._entries, self._ends, self._about = (shared.lmdb.open_db(name) for name in _DATABASES)
            except (OSError, lmdb.Error) as error:
                if shared is not None:
                    environment.give_back(shared)
                fix = "Check that this user may write there and that the disk is not full."
                raise StateError(f"The replica cannot be opened: {error}.", where=str(self.folder), fix=fix) from error
            self._shared = shared

    def close(self) -> None:
        """Let go of it; a second call does nothing."""
        if self._shared is not None:
            shared, self._shared = self._shared, None
            environment.give_back(shared)

    # Reading

    def get(self, topic: Topic, key: str, now_ms: int) -> bytes | None:
        """What stands at a key, JSON; None where nothing does, or its time is over."""
        part, name = topic.part_of(key).encode(), key.encode()

        def found(txn: Transaction) -> bytes | None:
            slot = txn.get(b"slot:" + part, db=self._about)
            return None if slot is None else txn.get(_place(part, slot, name), db=self._entries)

        value = self._read(found)
        return None if value is None or _is_over(value, now_ms) else value[_TIME_BYTES:]

    def each(self, topic: Topic, now_ms: int, prefix: str = "") -> Iterator[tuple[str, bytes]]:
        """Every key that begins so and what stands there, by key; what changes meanwhile may or may not show."""
        for part in topic.parts:
            after = prefix.encode()
            while page := self._read(lambda txn, part=part, after=after: self._page(txn, part.encode(), after)):  # type: ignore[misc]  # bound here
                for name, value in page:
                    if not name.startswith(prefix.encode()):
                        return
                    if not _is_over(value, now_ms):
                        yield name.decode(), value[_TIME_BYTES:]
                after = page[-1][0] + b"\0"

    def _page(self, txn: Transaction, part: bytes, after: bytes) -> list[tuple[bytes, bytes]]:
        slot = txn.get(b"slot:" + part, db=self._about)
        cursor = txn.cursor(db=self._entries)
        if slot is None or not cursor.set_range(_place(part, slot, after)):
            return []
        begin = _place(part, slot, b"")
        rows = ((key, value) for key, value in islice(cursor, _PAGE) if key.startswith(begin))
        return [(key[len(begin) :], value) for key, value in rows]

    def heard_ms(self) -> int:
        """The last time at which everything was as in the records; 0 where it never was."""
        return self._read(lambda txn: int.from_bytes(txn.get(_HEARD, b"", db=self._about)))

    def states(self) -> dict[str, State]:
        """Every part, and how far it goes."""
        return self._read(self._states)

    def _states(self, txn: Transaction) -> dict[str, State]:
        cursor, found = txn.cursor(db=self._about), {}
        if cursor.set_range(b"state:"):
            for name, value in cursor:
                if not name.startswith(b"state:"):
                    break
                found[name.removeprefix(b"state:").decode()] = _decode(value)
        return found

    def count(self) -> int:
        """How many entries there are, those of parts being made included."""
        return self._read(lambda txn: int(txn.stat(self._entries)["entries"]))

    # Writing: one follower does

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only follower. Raises StateError: there is another."""
        held = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            fix = "Stop the other one; on a node `hutong up` runs it."
            raise StateError("Another process makes this replica.", where=str(self.folder), fix=fix) from None
        finally:
            os.close(held)

    def begin(self, part: str) -> None:
        """Begin a part anew; readers keep what they have."""
        # First what is there counts for nothing: a kill while it is cleared must not leave half of it to go on from.
        state = _replace(self.states().get(part, State()), making=None, left=True)
        self._write(lambda txn: self._put(txn, part, state))
        self._clear(part, _other(state.slot))
        self._write(lambda txn: self._put(txn, part, _replace(state, making=Making(), left=False)))

    def take_page(self, part: str, after: str, page: Page) -> State:
        """Take what stands in the records after a place; gives how far the part goes then."""

        def take(txn: Transaction) -> State:
            state = self._state(txn, part)
            making = state.making
            if making is None or making.paged or making.after != after:
                raise self._not_here(part)
            self._apply(txn, part, _other(state.slot), page.changes)
            number = making.number if after else page.number
            making = Making(number, page.after, not page.after, page.number)
            return self._put(txn, part, _whole(msgspec.structs.replace(state, making=making)))

        return self._write(take)

    def take_news(self, found: Mapping[str, tuple[int, News]]) -> None:
        """Apply events that come after a number, by part; all of them in one transaction, so the disk is asked once."""

        def take(txn: Transaction) -> None:
            for part, (after, news) in found.items():
                self._take_news(txn, part, after, news)

        if found:
            self._write(take)

    def _take_news(self, txn: Transaction, part: str, after: int, news: News) -> None:
        state = self._state(txn, part)
        if not state.follows or state.position != after:
            raise self._not_here(part)
        self._apply(txn, part, _other(state.slot) if state.making else state.slot, (it for _, it in news.changes))
        last = news.changes[-1][0]
        if state.making:
            self._put(txn, part, _whole(_replace(state, making=_replace(state.making, number=last))))
        else:
            self._put(txn, part, _replace(state, number=last))

    def heard(self, at_ms: int) -> None:
        """Note that everything was as in the records at a time."""
        self._write(lambda txn: txn.put(_HEARD, at_ms.to_bytes(_TIME_BYTES), db=self._about))

    def forget(self, now_ms: int) -> int:
        """Remove what is over, at most some thousand entries, and what was left behind; gives how many."""
        for part, state in self.states().items():
            if state.left:
                self._clear(part, _other(state.slot))
                self._write(lambda txn, part=part: self._put(txn, part, _replace(self._state(txn, part), left=False)))  # type: ignore[misc]  # bound here
        over = self._read(lambda txn: self._over(txn, now_ms))
        return self._write(lambda txn: self._remove(txn, over)) if over else 0

    def _over(self, txn: Transaction, now_ms: int) -> list[bytes]:
        cursor = txn.cursor(db=self._ends)
        if not cursor.first():
            return []
        first = islice(cursor.iternext(values=False), _AT_ONCE)
        return [end for end in first if int.from_bytes(end[:_TIME_BYTES]) <= now_ms]

    def _remove(self, txn: Transaction, over: list[bytes]) -> int:
        gone = 0
        for end in over:
            place = end[_TIME_BYTES:]
            # Another time may stand there since: then only the note of the old one goes.
            if txn.get(place, b"", db=self._entries)[:_TIME_BYTES] == end[:_TIME_BYTES]:
                gone += txn.delete(place, db=self._entries)
            txn.delete(end, db=self._ends)
        return gone

    def _clear(self, part: str, slot: str) -> None:
        begin = _place(part.encode(), slot.encode(), b"")

        def some(txn: Transaction) -> int:
            cursor = txn.cursor(db=self._entries)
            gone = 0
            found = cursor.set_range(begin)
            while found and gone < _AT_ONCE and cursor.key().startswith(begin):
                found = cursor.delete()
                gone += 1
            return gone

        while self._write(some):
            pass

    def _apply(self, txn: Transaction, part: str, slot: str, changes: Iterable[Change]) -> None:
        begin = _place(part.encode(), slot.encode(), b"")
        for it in changes:
            place = begin + it.key.encode()
            if it.is_gone:
                txn.delete(place, db=self._entries)
                continue
            until = it.until_ms.to_bytes(_TIME_BYTES)
            txn.put(place, until + bytes(it.value), db=self._entries)
            if it.until_ms:
                txn.put(until + place, b"", db=self._ends)

    def _state(self, txn: Transaction, part: str) -> State:
        found = txn.get(b"state:" + part.encode(), db=self._about)
        return State() if found is None else _decode(found)

    def _put(self, txn: Transaction, part: str, state: State) -> State:
        txn.put(b"state:" + part.encode(), msgspec.json.encode(state), db=self._about)
        if state.ready:
            txn.put(b"slot:" + part.encode(), state.slot.encode(), db=self._about)
        return state

    def _not_here(self, part: str) -> StateError:
        return StateError(f"The replica of {part} is not where its follower left it.", where=str(self.folder))

    # Transactions

    @property
    def _env(self) -> lmdb.Environment:
        if self._shared is None:
            raise StateError("The replica is not open.", where=str(self.folder))
        return self._shared.lmdb

    def _read(self, work: Callable[[Transaction], Result]) -> Result:
        return environment.read(self._env, self._lock, work)

    def _write(self, work: Callable[[Transaction], Result]) -> Result:
        try:
            return environment.write(self._env, self._lock, work)
        except lmdb.DiskError as error:
            fix = "Free space on this disk; nothing of this change was kept."
            raise StateError(f"The replica cannot be written: {error}.", where=str(self.folder), fix=fix) from error


_decode: Final = msgspec.json.Decoder(State).decode
_replace: Final = msgspec.structs.replace


def _whole(state: State) -> State:
    """A part that is made takes its place once every page and every event meanwhile is in."""
    making = state.making
    if making is None or not making.paged or making.number < making.upto:
        return state
    return State(making.number, ready=True, slot=_other(state.slot), left=state.ready)


def _other(slot: str) -> str:
    return "1" if slot == "0" else "0"


def _place(part: bytes, slot: bytes, key: bytes) -> bytes:
    return part + b"\0" + slot + key


def _is_over(value: bytes, now_ms: int) -> bool:
    until_ms = int.from_bytes(value[:_TIME_BYTES])
    return until_ms != 0 and until_ms <= now_ms
