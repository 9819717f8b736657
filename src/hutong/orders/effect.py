"""Orders take effect: list entries and marks that follow from the records, put there and taken away exactly once.

The records say what must be; this makes it so, in small steps of which each is recorded before the next. Whoever is
killed between two of them leaves a state from which `run` goes on: it looks at what is there rather than assume.

An order's entry takes the place of one with the same list, scope and role; that one is kept in the order and comes
back when the order ends. An unblock order adds an allow entry, which wins over every block entry and rule: what others
put on the block list stays as it is, and stands again when the order is over.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from hutong.kernel.errors import HutongError, StateError
from hutong.kernel.key_files import give_to_owner, make_folder
from hutong.kernel.marks import LIMIT, Mark
from hutong.orders.bases import bases
from hutong.orders.errors import OrderRefused
from hutong.orders.machine import end_of
from hutong.orders.model import KEEPER, SOURCE, Deed, Order
from hutong.orders.protection import entry_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hutong.kernel.lists.entries import Entry
    from hutong.kernel.lists.store import ListStore
    from hutong.kernel.marks import Marks
    from hutong.kernel.records import Database
    from hutong.orders.store import Orders

#: Who put an order's entry on its list, and takes it off again.
WHO: Final = "hutong orders"
_EXPIRED: Final = "expired"
_CHANGES: Final = 2000
_SECOND_MS: Final = 1000
#: How often, and how far apart, one who is waited for asks for the turn: for a second in all.
_TRIES: Final = 100
_PAUSE_S: Final = 0.01


class Taken(msgspec.Struct, frozen=True):
    """Up to which change something is in force in the screening process, and when it was taken up (ms since 1970)."""

    change: int = 0
    at_ms: int = 0


class Screening(Protocol):
    """What the screening process says of itself."""

    def lists(self) -> Taken:
        """Up to which change of the lists calls are judged by; nothing where it does not run."""

    def marks(self) -> Taken:
        """Up to which change of the marks."""


class Effects:
    """Makes the lists and marks follow the orders. Safe in several processes at once: they take turns.

    Args:
        database: open. orders: of the same records. lists: open. marks: of the same records.
        screening: what acknowledges. lock: a file; who holds its lock acts.
    """

    def __init__(  # the things that an order touches, one argument each
        self, database: Database, orders: Orders, lists: ListStore, marks: Marks, screening: Screening, lock: Path
    ) -> None:
        self._database, self._orders, self._lists, self._marks = database, orders, lists, marks
        self._screening, self._lock = screening, lock
        self._seen = -1

    def run(self, now_ms: int) -> list[Order]:
        """Everything that is due now; gives the orders that were acknowledged.

        Raises:
            HutongError: of the first order that cannot be advanced; the others were.
        """
        with self._alone():
            done, failures = self._advance_all(now_ms)
            self._notice(now_ms)
        self._marks.publish(now_ms)
        if failures:
            raise failures[0]
        return done

    def _advance_all(self, now_ms: int) -> tuple[list[Order], list[HutongError]]:
        """The orders that were acknowledged, and what went wrong with others."""
        acknowledged: list[Order] = []
        failures: list[HutongError] = []
        for clearing in (True, False):
            for order in self._orders.waking(now_ms, clearing=clearing):
                try:
                    after = self._advance(order, now_ms)
                except HutongError as error:
                    failures.append(error)
                    continue
                if after.state == "in-force" != order.state:
                    acknowledged.append(after)
        return acknowledged, failures

    def apply(self, of: str, now_ms: int) -> Order:
        """What is due for one order, at once; `run` does the rest.

        Raises:
            HutongError: records or lists fail, or others have the turn for long; `run` goes on from there.
        """
        with self._alone(_TRIES):
            waiting = [it for it in self._orders.waking(now_ms, clearing=True) if it.id != of]
            for other in waiting:
                self._advance(other, now_ms)
            order = self._orders.order(of)
            if order.is_standing or order.effect == "clearing":
                order = self._advance(order, now_ms)
        # Only limits act through marks.
        if not all(it.list for it in (*waiting, order)):
            self._marks.publish(now_ms)
        return order

    @contextmanager
    def _alone(self, tries: int = 0) -> Iterator[None]:
        """Have the turn; `tries`: how often to ask for it, 0 = wait as long as it takes.

        Raises:
            StateError: others have it still.
        """
        make_folder(self._lock.parent, 0o750)
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # A command that root gave must not keep the node's own user out.
            give_to_owner(descriptor, self._lock.parent)
            if not tries:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            elif not _taken(descriptor, tries):
                raise StateError(
                    "Other orders are taking effect.", where=str(self._lock), fix="Wait for the next turn."
                )
            yield
        finally:
            os.close(descriptor)

    def _advance(self, order: Order, now_ms: int) -> Order:
        """One order, as far as it goes now."""
        try:
            if order.effect == "clearing":
                return self._clear(order, now_ms)
            if now_ms >= end_of(order, self._orders.bounds):
                after = self._do(order, Deed("expire"), now_ms)
                return self._clear(after, now_ms) if after.effect == "clearing" else after
            if order.state != "approved" or now_ms < order.starts_ms:
                return order
            if order.effect == "pending":
                order = self._begin(order, now_ms)
            if order.effect == "placing":
                order = self._place(order, now_ms)
            return self._acknowledge(order, now_ms) if order.effect == "placed" else order
        except OrderRefused as refused:
            _pass_over(refused)
            return self._orders.order(order.id)

    # Taking effect

    def _begin(self, order: Order, now_ms: int) -> Order:
        former = self._former(order) if order.list else None
        return self._do(order, Deed("begin", former=former, change=self._lists.last_change()), now_ms)

    def _former(self, order: Order) -> Entry | None:
        """The entry whose place an order takes; of an order that is over, the one that it had taken the place of."""
        there = self._there(order)
        if there is None or not there.source.startswith(SOURCE):
            return there
        return next((it.former for it in self._orders.of_entries([there.id]) if it.id != order.id), None)

    def _there(self, order: Order) -> Entry | None:
        about = (order.list, order.target, order.key, order.last, order.role)
        found = self._lists.matching(order.key)
        return next((it for it in found if (it.list, it.kind, it.key, it.last, it.role) == about), None)

    def _place(self, order: Order, now_ms: int) -> Order:
        if not order.list:
            with self._database.write() as connection:
                mark = Mark(
                    key=order.key,
                    kind=LIMIT,
                    ref=order.id,
                    at_ms=order.starts_ms,
                    until_ms=order.ends_ms,
                    value=order.per_hour,
                )
                change = self._marks.add(connection, mark, now_ms)
                placed = self._do(order, Deed("place", change=change), now_ms)
            self._marks.publish(now_ms)
            return placed
        there = self._there(order)
        if there is None or there.source != order.source:
            gone = self._removed_before_it_was_known(order)
            if gone is not None:
                return self._lifted(order, gone, now_ms)
            (there,) = self._lists.add([entry_of(order, WHO, reason_of(order))], now_ms // _SECOND_MS)
        return self._do(order, Deed("place", entry=there.id, change=self._lists.last_change()), now_ms)

    def _removed_before_it_was_known(self, order: Order) -> Entry | None:
        """The order's entry, where it was put on its list by a process that was killed, and taken off by somebody."""
        after = order.change
        while (found := self._lists.changes(after, _CHANGES)) is not None and len(found.rows):
            for number in found.rows["id"][found.rows["removed"] != 0].tolist():
                entry = self._lists.entry(number)
                if entry is not None and entry.source == order.source:
                    return entry
            after = found.last
        return None

    def _acknowledge(self, order: Order, now_ms: int) -> Order:
        if order.list:
            gone = self._gone(order)
            if gone is not None:
                return order if gone.removed_why == _EXPIRED else self._lifted(order, gone, now_ms)
        taken = self._screening.lists() if order.list else self._screening.marks()
        if taken.change < order.change:
            return order
        since = max(order.decided_ms, order.starts_ms)
        return self._do(order, Deed("acknowledge", delay_ms=max(min(taken.at_ms, now_ms) - since, 0)), now_ms)

    # What others do to the lists

    def _notice(self, now_ms: int) -> None:
        """Entries of orders that somebody else took off their lists, or replaced: these orders are over."""
        while self._seen >= 0 and (found := self._lists.changes(self._seen, _CHANGES)) is not None:
            if not len(found.rows):
                return
            # An entry that was replaced is not among the changes: the one that took its place is.
            gone = found.rows["removed"] != 0
            numbers, keys = found.rows["id"][gone].tolist(), found.rows["key"][~gone].tolist()
            for order in self._orders.of_entries(numbers, keys):
                self._look_at(order, now_ms)
            self._seen = found.last
        ends, after = self._lists.last_change(), ""
        while page := self._orders.placed(after):
            for order in page:
                self._look_at(order, now_ms, ends=ends)
            after = page[-1].id
        # Only now: whatever fails before it is looked at again.
        self._seen = ends

    def _look_at(self, order: Order, now_ms: int, ends: int | None = None) -> None:
        """Whether an order's entry is there still; `ends`: the last change of the lists, where all are looked at."""
        if not order.is_standing or order.effect != "placed" or now_ms >= order.ends_ms:
            return
        gone = self._gone(order)
        if gone is None or gone.removed_why == _EXPIRED:
            return
        try:
            if ends is not None and ends < order.change:
                # They end before the order was placed: these lists came back from a backup.
                (entry,) = self._lists.add([entry_of(order, WHO, reason_of(order))], now_ms // _SECOND_MS)
                self._do(order, Deed("place", entry=entry.id, change=self._lists.last_change()), now_ms)
            else:
                self._lifted(order, gone, now_ms)
        except OrderRefused as refused:
            _pass_over(refused)

    def _gone(self, order: Order) -> Entry | None:
        """The order's entry, where it no longer has effect."""
        entry = self._lists.entry(order.entry)
        if entry is None or entry.source != order.source:  # forgotten long ago, or never known to these lists
            return entry_of(order, WHO, "")
        return entry if entry.removed else None

    def _lifted(self, order: Order, gone: Entry, now_ms: int) -> Order:
        deed = Deed("notice", reason=gone.removed_why or "?", who=gone.removed_by or "?")
        return self._do(order, deed, now_ms)

    # Taking it back

    def _clear(self, order: Order, now_ms: int) -> Order:
        if not order.list:
            with self._database.write() as connection:
                self._marks.drop(connection, LIMIT, order.id, now_ms)
                return self._do(order, Deed("clear"), now_ms)
        seconds = now_ms // _SECOND_MS
        former = order.former
        if former is not None and former.expires and former.expires <= seconds:
            former = None
        there = self._there(order)
        if there is not None and there.source == order.source:
            self._lists.exchange(there, former, seconds, who=WHO, why=f"{order.source} {order.state}")
        elif there is None and former is not None and self._expired_by_itself(order):
            self._lists.add([former], seconds)
        return self._do(order, Deed("clear"), now_ms)

    def _expired_by_itself(self, order: Order) -> bool:
        """Whether the entry went because its time was over, rather than by somebody's will."""
        entry = self._lists.entry(order.entry)
        return entry is not None and entry.removed_why == _EXPIRED

    def _do(self, order: Order, deed: Deed, now_ms: int) -> Order:
        self._orders.do(order.id, deed, KEEPER, now_ms, version=order.version)
        return self._orders.order(order.id)


def _taken(descriptor: int, tries: int) -> bool:
    for _ in range(tries):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE_S)
        else:
            return True
    return False


def _pass_over(refused: OrderRefused) -> None:
    """Somebody decided meanwhile: the next turn sees the order as it is. Anything else is raised again."""
    if refused.reason not in {"changed-meanwhile", "not-from-here"}:
        raise refused


def reason_of(order: Order) -> str:
    """What a list entry says of its order: agency, document and legal basis."""
    known = bases()
    cited = "、".join(known[it].cite for it in order.basis if it in known)
    words = f"（{order.basis_text}）" if order.basis_text else ""
    return f"{order.agency} {order.document}；{cited}{words}"
