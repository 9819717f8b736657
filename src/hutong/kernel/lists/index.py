"""What one process asks about each call: the lists in RAM, compiled, kept up to date from the store.

The nearest fit wins within each list: one number before a prefix or range, and of these the one that covers fewest
numbers; an entry for the asked role before one for any role.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hutong.kernel.compiled import compiled
from hutong.kernel.lists.entries import KINDS, ROW
from hutong.kernel.lists.table import (
    KEY_MASK,
    TAG_SHIFT,
    KeyTable,
    find,
    home,
    insert,
    maybe,
    remove_row,
)
from hutong.kernel.numbering.keys import KIND_NUMBER, MAX_DIGITS, key_count, key_kind, key_value, pack_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.kernel.lists.store import Changes, ListStore

ROLE_ANY, ROLE_CALLER, ROLE_CALLEE = 0, 1, 2  # indices of entries.ROLES

_ALLOW = 1 << TAG_SHIFT
_ROLE_SHIFT = TAG_SHIFT + 1
_ROLE_MASK = 3
_PREFIX = 1 << (TAG_SHIFT + 3)
_TARGET_MASK = KEY_MASK | _PREFIX
_LOW = 0xFFFF_FFFF  # value: expiry second << 32 | entry id
_ID_BITS = 32
_RESPOND_BITS = 16
_RESPOND_MASK = 0xFFFF
_USUAL_RESPOND = 608
_WIDEST = 1 << 62
_FIRST, _LAST, _TAG, _VALUE = 0, 1, 2, 3  # columns of ListArrays.ranges
_PREFIX_KIND = KINDS.index("prefix")
_RANGE_KIND = KINDS.index("range")
_BATCH = 2000  # changes taken up by one refresh: about two milliseconds of the loop's time
_FAR_BEHIND = 20_000  # changes: here, or at this share of the entries, reading everything again is sooner done
_FAR_BEHIND_SHARE = 50
_INLINE_SECONDS = 0.005  # work off to the side that takes no longer than this is simply waited for


class ListArrays(NamedTuple):
    """What compiled code asks. All arrays are int64.

    Attributes:
        table: (capacity, 2) rows of (tag and key, expiry and id); see `table`.
        filtered: (capacity / 8,) the table's filter.
        lengths: [0] bit L set while a prefix of L digits is listed, [L] how many are; bit 0 of [0]: there are ranges.
        ranges: (ranges, 4) first key (ascending), last key, list and role as in the table's tags, expiry and id.
        tree: (2 * leaves,) greatest last key of the ranges below each node; range i is leaf leaves + i.
        responds: (entries with a response of their own,) id << 16 | SIP status, ascending.
    """

    table: np.ndarray
    filtered: np.ndarray
    lengths: np.ndarray
    ranges: np.ndarray
    tree: np.ndarray
    responds: np.ndarray


@compiled
def respond_of(ix: ListArrays, found: int) -> int:
    """The SIP status that the block entry in a result of `look_up` asks for; 0 where nothing blocks."""
    number = found >> _ID_BITS
    if number == 0:
        return 0
    low, high = 0, ix.responds.shape[0]
    while low < high:
        middle = (low + high) // 2
        if ix.responds[middle] >> _RESPOND_BITS < number:
            low = middle + 1
        else:
            high = middle
    if low < ix.responds.shape[0] and ix.responds[low] >> _RESPOND_BITS == number:
        return int(ix.responds[low] & _RESPOND_MASK)
    return _USUAL_RESPOND


@compiled
def block_id(found: int) -> int:
    """The block entry's id in a result of `look_up`; 0 = none."""
    return found >> _ID_BITS


@compiled
def allow_id(found: int) -> int:
    """The allow entry's id in a result of `look_up`; 0 = none."""
    return found & _LOW


@compiled
def _applies(tag: int, value: int, now: int, role: int) -> bool:
    expires = (value >> _ID_BITS) & _LOW
    own = (tag >> _ROLE_SHIFT) & _ROLE_MASK
    return bool(own in (ROLE_ANY, role) and (expires == 0 or now < expires))


@compiled
def _probe(table: np.ndarray, target: int, now: int, role: int) -> int:
    """Block and allow ids for exactly this key, or this prefix where its bit is set."""
    rows = table.shape[0]
    at = home(target & KEY_MASK, rows)
    block = 0
    allow = 0
    while table[at, 0] != 0:
        tagged = table[at, 0]
        if tagged & _TARGET_MASK == target and _applies(tagged, table[at, 1], now, role):
            entry = table[at, 1] & _LOW
            own = (tagged >> _ROLE_SHIFT) & _ROLE_MASK != ROLE_ANY
            if tagged & _ALLOW != 0:
                allow = entry if own or allow == 0 else allow
            else:
                block = entry if own or block == 0 else block
        at = (at + 1) & (rows - 1)
    return (block << _ID_BITS) | allow


@compiled
def _previous(tree: np.ndarray, before: int, key: int) -> int:
    """The greatest leaf below `before` whose last key is not below `key`; -1 where there is none."""
    leaves: int = tree.shape[0] // 2
    node = before + leaves
    while node > 1:
        if node & 1 == 1 and tree[node - 1] >= key:
            node -= 1
            while node < leaves:
                node *= 2
                if tree[node + 1] >= key:
                    node += 1
            return node - leaves
        node >>= 1
    return -1


@compiled
def _not_after(ranges: np.ndarray, key: int) -> int:
    """How many ranges begin at or before `key`."""
    low = 0
    high = ranges.shape[0]
    while low < high:
        middle = (low + high) // 2
        if ranges[middle, _FIRST] <= key:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _look_wider(ix: ListArrays, key: int, now: int, role: int, found: int) -> int:
    """Complete what the exact number gave by prefixes and ranges."""
    block = found >> _ID_BITS
    allow = found & _LOW
    block_span = _WIDEST if block == 0 else 0
    allow_span = _WIDEST if allow == 0 else 0
    digits = key_count(key)
    value = key_value(key)
    span = 1
    for length in range(digits, 0, -1):
        if (ix.lengths[0] >> length) & 1 == 1:
            prefix = pack_key(value, length, KIND_NUMBER)
            hit = _probe(ix.table, _PREFIX | prefix, now, role) if maybe(ix.filtered, prefix) else 0
            if hit >> _ID_BITS != 0 and span < block_span:
                block = hit >> _ID_BITS
                block_span = span
            if hit & _LOW != 0 and span < allow_span:
                allow = hit & _LOW
                allow_span = span
        value //= 10
        span *= 10
    at = _previous(ix.tree, _not_after(ix.ranges, key), key)
    while at >= 0:
        if _applies(ix.ranges[at, _TAG], ix.ranges[at, _VALUE], now, role):
            span = ix.ranges[at, _LAST] - ix.ranges[at, _FIRST] + 1
            if ix.ranges[at, _TAG] & _ALLOW != 0:
                if span < allow_span:
                    allow = ix.ranges[at, _VALUE] & _LOW
                    allow_span = span
            elif span < block_span:
                block = ix.ranges[at, _VALUE] & _LOW
                block_span = span
        at = _previous(ix.tree, at, key)
    return (block << _ID_BITS) | allow


@compiled
def _look_closer(ix: ListArrays, key: int, now: int, role: int) -> int:
    """`look_up` where the filter, a prefix or a range may have something to say."""
    found = _probe(ix.table, key, now, role) if maybe(ix.filtered, key) else 0
    if ix.lengths[0] != 0 and key_kind(key) == KIND_NUMBER:
        return _look_wider(ix, key, now, role, found)
    return found


@compiled
def look_up(ix: ListArrays, key: int, now: int, role: int) -> int:
    """The entries that apply to a number key at second `now` in `role` (ROLE_CALLER or ROLE_CALLEE).

    Short enough to be inlined: for most calls the filter is all there is to ask.

    Returns:
        block entry id << 32 | allow entry id; 0 = none. See `block_id`, `allow_id`.
    """
    if ix.lengths[0] == 0 and not maybe(ix.filtered, key):
        return 0
    return _look_closer(ix, key, now, role)


@compiled
def _apply(
    table: np.ndarray,
    filtered: np.ndarray,
    lengths: np.ndarray,
    tags: np.ndarray,
    values: np.ndarray,
    gone: np.ndarray,
) -> int:
    """Take up changes of numbers and prefixes; returns by how many entries the table grew."""
    change = 0
    for i in range(tags.shape[0]):
        length = key_count(tags[i] & KEY_MASK) if tags[i] & _PREFIX != 0 else 0
        if not gone[i]:
            new = insert(table, filtered, tags[i], values[i])
            change += new
            if length:
                lengths[length] += new
            continue
        row = find(table, tags[i])
        if row >= 0 and table[row, 1] & _LOW == values[i] & _LOW:
            remove_row(table, row)
            change -= 1
            if length:
                lengths[length] -= 1
    return change


def _tags(rows: np.ndarray) -> np.ndarray:
    tags = rows["list"].astype(np.int64) << TAG_SHIFT
    tags |= rows["role"].astype(np.int64) << _ROLE_SHIFT
    tags |= np.where(rows["kind"] == _PREFIX_KIND, np.int64(_PREFIX), np.int64(0))
    return tags


def _values(rows: np.ndarray) -> np.ndarray:
    return (rows["expires"].astype(np.int64) << _ID_BITS) | rows["id"].astype(np.int64)


class _State:
    """Everything the index knows as of one change number."""

    def __init__(self, table: KeyTable) -> None:
        self.table = table
        self.lengths = np.zeros(MAX_DIGITS + 1, dtype=np.int64)
        self.ranges = np.zeros(0, dtype=ROW)
        self.responds = np.zeros(0, dtype=np.int64)
        self._new_responds: list[np.ndarray] = []
        self._new_ranges: list[np.ndarray] = []
        self.count = 0
        self.last = 0

    def apply(self, rows: np.ndarray) -> None:
        """Take up rows in order; there must be room in the table."""
        ranged = rows["kind"] == _RANGE_KIND
        single = rows[~ranged]
        gone = single["removed"] != 0
        tags = _tags(single) | single["key"]
        self.count += int(_apply(self.table.rows, self.table.filtered, self.lengths, tags, _values(single), gone))
        if ranged.any():
            self._new_ranges.append(rows[ranged])
        self._apply_responds(rows)

    def _join_ranges(self) -> None:
        """Once for many rows, as with responses."""
        if not self._new_ranges:
            return
        rows = np.concatenate(self._new_ranges)
        self._new_ranges.clear()
        both = np.concatenate((self.ranges, rows))
        both = both[~np.isin(both["id"], rows["id"][rows["removed"] != 0])]
        order = np.lexsort((both["id"], both["role"], both["list"], both["last"], both["key"]))
        both = both[order]
        same = np.ones(len(both), dtype=bool)  # of equal targets only the newest stays
        for field in ("key", "last", "list", "role"):
            same[:-1] &= both[field][:-1] == both[field][1:]
        same[-1:] = False
        self.ranges = both[~same]

    def _apply_responds(self, rows: np.ndarray) -> None:
        own = rows[(rows["respond"] != _USUAL_RESPOND) & (rows["removed"] == 0)]
        if len(own):
            self._new_responds.append(own["id"].astype(np.int64) << _RESPOND_BITS | own["respond"])

    def _join_responds(self) -> None:
        """Once for many rows: a whole store is read in small pieces."""
        if self._new_responds:
            self.responds = np.concatenate((self.responds, *self._new_responds))
            self._new_responds.clear()
            # Ids only grow, so there is something to sort only where a store is read while it changes.
            if np.any(self.responds[1:] <= self.responds[:-1]):
                self.responds = np.unique(self.responds)

    def arrays(self) -> ListArrays:
        """The arrays that compiled code asks."""
        self._join_responds()
        self._join_ranges()
        self.lengths[0] = sum(1 << length for length in range(1, MAX_DIGITS + 1) if self.lengths[length] > 0)
        self.lengths[0] |= int(len(self.ranges) > 0)
        ranges = self.ranges[np.lexsort((self.ranges["role"], self.ranges["key"]))]
        leaves = 1
        while leaves <= len(ranges):
            leaves *= 2
        tree = np.full(2 * leaves, -1, dtype=np.int64)
        tree[leaves : leaves + len(ranges)] = ranges["last"]
        width = leaves
        while width > 1:
            pairs = tree[width : 2 * width]
            tree[width // 2 : width] = np.maximum(pairs[::2], pairs[1::2])
            width //= 2
        columns = (ranges["key"], ranges["last"], _tags(ranges), _values(ranges))
        return ListArrays(
            self.table.rows,
            self.table.filtered,
            self.lengths,
            np.column_stack(columns).astype(np.int64),
            tree,
            self.responds,
        )


class ListIndex:
    """The lists of a store in RAM, for one thread. `arrays` is replaced or changed only within `load` and `refresh`.

    Growing the table and reading the whole store again happen off to the side, in one worker thread, while `arrays`
    stays as it was.
    """

    def __init__(self, store: ListStore) -> None:
        self._store = store
        self._version = -1
        self._state = _State(KeyTable(0))
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lists")
        self._job: Future[_State] | None = None
        self.arrays = self._state.arrays()

    @property
    def entries(self) -> int:
        """How many entries the index holds."""
        return self._state.count + len(self._state.ranges)

    @property
    def change(self) -> int:
        """Number of the last change of the store that `arrays` show."""
        return self._state.last

    def load(self) -> None:
        """Read the whole store: about 0.7 s for each million entries."""
        self._state = self._read_all()
        self.arrays = self._state.arrays()

    def close(self) -> None:
        """Wait for work off to the side to end."""
        self._worker.shutdown(wait=True)

    def refresh(self) -> bool:
        """Take up what changed in the store, at most a batch of it; True if anything did (ask again soon).

        Costs about a microsecond where nothing changed.
        """
        taken = False
        if self._job is not None:
            if not self._job.done():
                return False
            taken = self._take_job(self._job)
        if self._store.version() == self._version:
            return taken
        changes = self._store.changes(self._state.last, _BATCH)
        if changes is None or changes.behind > max(_FAR_BEHIND, self.entries // _FAR_BEHIND_SHARE):
            return self._aside(self._read_all) or taken
        entries = self._state.count + len(changes.rows)
        if self._state.table.holds(entries) or self._aside(lambda: self._grow(entries)):
            return self._apply(changes) or taken
        return taken

    def _apply(self, changes: Changes) -> bool:
        if len(changes.rows):
            self._state.apply(changes.rows)
            self.arrays = self._state.arrays()
        self._state.last = changes.last
        if changes.behind == 0:
            self._version = changes.version
        return len(changes.rows) > 0

    def _aside(self, work: Callable[[], _State]) -> bool:
        """Begin work off to the side; True where it is done and in place at once."""
        self._job = self._worker.submit(work)
        wait([self._job], timeout=_INLINE_SECONDS)
        return self._job.done() and self._take_job(self._job)

    def _take_job(self, job: Future[_State]) -> bool:
        self._job = None
        self._state = job.result()
        self.arrays = self._state.arrays()
        return True

    def _grow(self, entries: int) -> _State:
        state = _State(self._state.table.grown(entries))
        state.lengths, state.ranges = self._state.lengths, self._state.ranges
        state.responds = self._state.responds
        state.count, state.last = self._state.count, self._state.last
        return state

    def _read_all(self) -> _State:
        with self._store.snapshot() as snapshot:
            state = _State(KeyTable(snapshot.total))
            for rows in snapshot.chunks:
                state.apply(rows)
            state.last = snapshot.last
        return state
