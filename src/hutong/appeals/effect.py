"""What lifting a block does to the lists, from what the records say: applied again and again until it is done, once.

The decision stands in the records first. Then entries that are about the number alone go, an entry that allows it comes
where something else blocks too, and last the row says that this is so, in one transaction with the mark and the trail.
Each step is the same when it is done again, so a process that is killed between two of them leaves nothing half-done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from hutong.appeals.store import SYSTEM, WAITING, appeal_of
from hutong.kernel.access.trail import Trail
from hutong.kernel.cases.model import Request
from hutong.kernel.errors import HutongError
from hutong.kernel.lists.entries import Entry
from hutong.kernel.marks import WRONG_BLOCK, Mark, Marks
from hutong.kernel.records import tables

if TYPE_CHECKING:
    from hutong.appeals.model import Appeal
    from hutong.appeals.store import AppealStore
    from hutong.kernel.lists.store import ListStore
    from hutong.kernel.records import Database

_ROWS: Final = tables.appeals
_WHY: Final = "申诉核实为误拦 / wrong block, confirmed on appeal"


class Lifting:
    """Puts decided liftings into effect; polled by its owner.

    Args:
        database, store, lists, marks: opened by whoever made them.
    """

    def __init__(self, database: Database, store: AppealStore, lists: ListStore, marks: Marks) -> None:
        self._database, self._store, self._lists, self._marks = database, store, lists, marks
        self._trail = Trail(database)

    def run(self, now_ms: int) -> int:
        """Put into effect what was decided and is not yet; returns how many liftings.

        Raises:
            HutongError: lists or records cannot be written; all else was done, and the next run goes on from there.
        """
        waiting = sa.select(_ROWS).where(*WAITING)
        with self._database.read() as connection:
            appeals = [appeal_of(row) for row in connection.execute(waiting.order_by(_ROWS.c.decided_ms))]
        done, troubles = 0, []
        for appeal in appeals:
            try:
                done += self._lift(appeal, now_ms)
            except HutongError as error:  # one that cannot be lifted must not keep the others blocked
                troubles.append(error)
        if done:
            self._marks.publish(now_ms)
        if troubles:
            raise troubles[0]
        return done

    def _lift(self, appeal: Appeal, now_ms: int) -> bool:
        key = self._store.key_of(appeal)
        if key is None:  # pragma: no cover  # what has yet to take effect is not forgotten
            return False
        for number in appeal.plan.remove:
            self._remove(number, appeal, now_ms // 1000)
        if appeal.plan.allow:
            self._allow(key, appeal, now_ms // 1000)
        return self._finish(key, appeal, now_ms)

    def _remove(self, number: int, appeal: Appeal, now_s: int) -> None:
        entry = self._lists.entry(number)
        if entry is not None and not entry.removed:
            # Of this entry alone: one that took its place a moment ago was not appealed against.
            self._lists.exchange(entry, None, now_s, who=appeal.who, why=f"{_WHY} ({source_of(appeal)})")

    def _allow(self, key: int, appeal: Appeal, now_s: int) -> None:
        until_s = appeal.plan.until_s
        for it in self._lists.matching(key):
            own = it.list == "allow" and it.kind == "number" and it.role in {"any", "caller"}
            if own and (not it.expires or it.expires >= until_s):
                return
        if until_s > now_s:
            self._lists.add([_allowing(key, appeal)], now_s)

    def _finish(self, key: int, appeal: Appeal, now_ms: int) -> bool:
        with self._database.write() as connection:
            here = sa.and_(_ROWS.c.id == appeal.id, _ROWS.c.effect_ms.is_(None))
            if connection.execute(sa.update(_ROWS).where(here).values(effect_ms=now_ms)).rowcount != 1:
                return False  # another process was quicker
            self._marks.add(connection, Mark(key=key, kind=WRONG_BLOCK, ref=appeal.id, at_ms=now_ms))
            self._store.cases.do(appeal.id, Request("comment", f"已解除 lifted: {told(appeal)}"), SYSTEM, now_ms)
            self._trail.record(SYSTEM.name, "local", "appeals.effect", appeal.id, after=appeal.plan, now_ms=now_ms)
            return True


def source_of(appeal: Appeal) -> str:
    """What entries say that they come from."""
    return f"appeal:{appeal.id}"


def told(appeal: Appeal) -> str:
    """What was done, for the case."""
    parts = [f"entry {number} removed" for number in appeal.plan.remove]
    parts += [f"allowed by {source_of(appeal)}"] if appeal.plan.allow else []
    return ", ".join(parts) or "nothing was in force any more"


def _allowing(key: int, appeal: Appeal) -> Entry:
    return Entry(
        list="allow",
        kind="number",
        key=key,
        role="caller",
        reason=_WHY,
        source=source_of(appeal),
        who=appeal.who,
        expires=appeal.plan.until_s,
    )
