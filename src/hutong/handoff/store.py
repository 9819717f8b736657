"""Hand-offs in the records: taken from alerts once, brought until the desk has them, answered, counted, forgotten.

How far the alerts were taken stands in the transaction that took them, so each is handed over once whatever is killed.
The outbox is the same row: `next_ms` is null once the desk has it. A person is handed over once in `again_ms`; further
alerts about the person meanwhile are counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from hutong.handoff.model import ANSWERS, FINAL, LONGEST_NOTE, Handoff, HandoffRefused, Outcome, Told, Victim
from hutong.handoff.ports import DeskError, DeskRefusedError
from hutong.kernel.access.trail import Trail
from hutong.kernel.cases.fields import is_text
from hutong.kernel.cases.model import Actor, Finding, Proof, Request
from hutong.kernel.numbering import digits_of
from hutong.kernel.records import tables
from hutong.kernel.records.reading import newest_first
from hutong.kernel.reporter import rfc3339_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hutong.handoff.ports import HandoffPort
    from hutong.kernel.access.refs import Refs
    from hutong.kernel.cases.model import Case, Value
    from hutong.kernel.cases.store import Cases
    from hutong.kernel.numbering import Numbering
    from hutong.kernel.records import Connection, Database

TYPE: Final = "dissuasion"
DESK: Final = "96110"
FIRST_WAIT_MS: Final = 500
LONGEST_WAIT_MS: Final = 60_000
#: A person is worked on now: what could not be brought for so long is brought no more.
GIVEN_UP_MS: Final = 24 * 3_600_000
SYSTEM: Final = Actor("hutong handoff", frozenset({"cases.find", "cases.assign", "cases.close", "cases.work"}))
_ROWS: Final = tables.handoffs
_PLACES: Final = tables.handoff_places
_DAY_MS: Final = 86_400_000


class Handoffs:
    """Hand-offs of a node.

    Args:
        database: opened by whoever made it. cases: gives where their cases are, once it is asked. refs: names numbers.
        numbering: says whose a number is. node: this node's name.
        again_ms: for how long further alerts about a person are the same hand-off.
    """

    def __init__(
        self, database: Database, cases: Callable[[], Cases], refs: Refs, numbering: Numbering, node: str, again_ms: int
    ) -> None:
        self._database, self._cases, self._refs, self._numbering = database, cases, refs, numbering
        self._node, self._again_ms = node, again_ms
        self._trail = Trail(database)

    @property
    def cases(self) -> Cases:
        """Where the cases are.

        Raises:
            CaseError: a type of cases is wrong.
        """
        return self._cases()

    # From alerts

    def place(self) -> int:
        """The last event that was looked at; 0 before the first."""
        with self._database.read() as connection:
            found = connection.execute(sa.select(_PLACES.c.seq).where(_PLACES.c.node == self._node)).scalar()
        return int(found or 0)

    def take(self, victims: Sequence[Victim], place: int, now_ms: int) -> int:
        """Take what was read of the alerts up to a place, as one change; returns how many hand-offs are new."""
        with self._database.write() as connection:
            self._database.hold(connection, "handoffs")
            known = connection.execute(sa.select(_PLACES.c.seq).where(_PLACES.c.node == self._node)).scalar()
            if known is not None and place <= known:
                return 0
            new = sum(self._take(connection, victim, now_ms) for victim in victims if victim.seq > (known or 0))
            if known is None:
                connection.execute(sa.insert(_PLACES).values(node=self._node, seq=place))
            else:
                connection.execute(sa.update(_PLACES).where(_PLACES.c.node == self._node).values(seq=place))
            return new

    def _take(self, connection: Connection, victim: Victim, now_ms: int) -> bool:
        ref = self._refs.ref(victim.callee)
        same = sa.or_(
            _ROWS.c.id == victim.id,
            sa.and_(_ROWS.c.number == ref, _ROWS.c.found_ms > now_ms - self._again_ms),
        )
        more = sa.update(_ROWS).where(same).values(alerts=_ROWS.c.alerts + 1)
        if connection.execute(more).rowcount:
            return False
        city, operator = self._numbering.read(self._numbering.show(victim.callee)).place
        case = self._case(victim, now_ms)
        handoff = Handoff(
            id=victim.id,
            number=ref,
            city=city,
            operator=operator,
            condition=victim.condition,
            # The row names numbers by references only; the keys come back when it is brought.
            victim=msgspec.structs.replace(victim, callee=0, caller=0),
            case=case.id,
            found_ms=now_ms,
            alerts=1,
            next_ms=now_ms,
            tries=0,
            trouble="",
            delivered_ms=None,
            answer="",
            answered_ms=None,
            answered_by="",
            saved=0,
            lost=0,
            note="",
        )
        body = {"victim": handoff.victim, "caller": self._refs.ref(victim.caller)}
        values = {name: getattr(handoff, name) for name in handoff.__struct_fields__ if name != "victim"}
        connection.execute(sa.insert(_ROWS).values(values | {"body": msgspec.json.encode(body).decode()}))
        return True

    def _case(self, victim: Victim, now_ms: int) -> Case:
        digits = f"+{digits_of(victim.callee)}"
        fields: dict[str, Value] = {"number": digits, "handoff": victim.id, "condition": victim.condition}
        title = f"劝阻 Dissuade {self._numbering.mask(victim.callee)}"
        finding = Finding(TYPE, title, fields, 1, source=f"handoff:{victim.id}")
        of = self.cases.find(finding, SYSTEM, now_ms).case
        self.cases.do(of, Request("assign", unit=DESK), SYSTEM, now_ms)
        return self.cases.case(of)

    # To the desk

    def deliver(
        self, ports: Sequence[HandoffPort], now_ms: int, note: Callable[[str, str], None], limit: int = 50
    ) -> int:
        """Bring what waits to every port; returns how many the desk has since. Most urgent is what is newest.

        Args:
            note: told of each try: "delivered", "failed", "refused" or "given-up", and why.
        """
        # Nodes may share records, but not the keys of references: each brings what it handed over itself.
        mine = f"{self._node}-"
        due = (_ROWS.c.next_ms <= now_ms, _ROWS.c.id.startswith(mine, autoescape=True))
        chosen = sa.select(_ROWS).where(*due).order_by(_ROWS.c.found_ms.desc()).limit(limit)
        with self._database.read() as connection:
            # A node "a-1" is not node "a".
            waiting = [row for row in connection.execute(chosen) if row.id.removeprefix(mine).isdigit()]
        done = 0
        for row in waiting:
            result = self._bring(row, ports, now_ms, note)
            done += result == "delivered"
            if result == "failed":
                break  # a desk that is away takes its time to say so; what is new must not wait for all the others
        return done

    def _bring(
        self, row: sa.Row[Any], ports: Sequence[HandoffPort], now_ms: int, note: Callable[[str, str], None]
    ) -> str:
        values: dict[str, Any] = {"tries": row.tries + 1, "next_ms": None, "trouble": ""}
        result = "delivered"
        try:
            told = self._told(row)
            for port in ports:
                port.deliver(told)
            values["delivered_ms"] = now_ms
        except DeskRefusedError as error:
            result, values["trouble"] = "refused", str(error)[:500]
        except DeskError as error:
            over = now_ms - row.found_ms > GIVEN_UP_MS
            wait_ms = min(LONGEST_WAIT_MS, FIRST_WAIT_MS << min(row.tries, 10))
            result = "given-up" if over else "failed"
            values |= {"trouble": str(error)[:500], "next_ms": None if over else now_ms + wait_ms}
        with self._database.write() as connection:
            here = _ROWS.c.id == row.id
            if result != "delivered":  # an answer that came meanwhile says that the desk has it
                here = sa.and_(here, _ROWS.c.answered_ms.is_(None))
            connection.execute(sa.update(_ROWS).where(here).values(values))
        note(result, values["trouble"])
        return result

    def _told(self, row: sa.Row[Any]) -> Told:
        handoff = handoff_of(row)
        victim = handoff.victim
        return Told(
            id=row.id,
            node=self._node,
            time=rfc3339_ms(victim.time_ms),
            number=self._whole(row.number),
            caller=self._whole(msgspec.json.decode(row.body)["caller"]),
            why=victim.title,
            condition=victim.condition,
            answered=victim.answered,
            talk_s=victim.talk_s,
            callers=victim.callers,
            city=row.city,
            operator=row.operator,
            case=row.case,
            answer_to=f"/v1/handoffs/{row.id}/outcome",
        )

    def _whole(self, ref: str) -> str:
        digits = digits_of(self._refs.key(ref) or 0)
        return f"+{digits}" if digits else ""

    # Reading

    def handoff(self, id_: str) -> Handoff:
        """The hand-off of that id.

        Raises:
            HandoffRefused: "no-handoff".
        """
        with self._database.read() as connection:
            chosen = sa.select(_ROWS).where(_ROWS.c.id == id_.replace("\0", ""))
            row = connection.execute(chosen).one_or_none()
        if row is None:
            raise HandoffRefused("no-handoff", f"There is no hand-off {id_[:60]!r}.")
        return handoff_of(row)

    def page(self, answer: str = "", limit: int = 50, offset: int = 0) -> list[Handoff]:
        """Hand-offs, the newest first; only of an answer where one is named ("none": without one)."""
        chosen = sa.select(_ROWS).where(*_answered(answer)).order_by(_ROWS.c.found_ms.desc(), _ROWS.c.id)
        with self._database.read() as connection:
            return [handoff_of(row) for row in connection.execute(chosen.limit(limit).offset(offset))]

    def every(self, answer: str = "") -> Iterator[Handoff]:
        """What `page` says, all of it; read in pages."""
        chosen = sa.select(_ROWS).where(*_answered(answer))
        return map(handoff_of, newest_first(self._database, chosen, _ROWS.c.found_ms, _ROWS.c.id))

    def count(self, answer: str = "") -> int:
        """How many there are."""
        chosen = sa.select(sa.func.count()).select_from(_ROWS).where(*_answered(answer))
        with self._database.read() as connection:
            return int(connection.execute(chosen).scalar_one())

    def waiting(self) -> int:
        """How many the desk has yet to get."""
        chosen = sa.select(sa.func.count()).where(_ROWS.c.next_ms.is_not(None))
        with self._database.read() as connection:
            return int(connection.execute(chosen).scalar_one())

    def totals(self) -> dict[str, int]:
        """How many have which answer ("": none), and all money: "saved", "lost"."""
        column = _ROWS.c
        chosen = sa.select(column.answer, sa.func.count(), sa.func.sum(column.saved), sa.func.sum(column.lost))
        found = dict.fromkeys(("", *ANSWERS, "saved", "lost"), 0)
        with self._database.read() as connection:
            for answer, count, saved, lost in connection.execute(chosen.group_by(column.answer)):
                found[answer] += int(count)
                found["saved"] += int(saved)
                found["lost"] += int(lost)
        return found

    def key_of(self, handoff: Handoff) -> int | None:
        """The person's number key; None once it is forgotten."""
        return self._refs.key(handoff.number) if handoff.number else None

    # Answers

    def answer(self, id_: str, outcome: Outcome, actor: Actor, now_ms: int) -> Handoff:
        """Take what became of a hand-off. The same again changes nothing; a later word replaces an earlier one.

        Raises:
            HandoffRefused: says why. "over": it is ended, and cannot be merely accepted any more.
        """
        outcome = msgspec.structs.replace(outcome, note=outcome.note.replace("\r\n", "\n").strip())
        note = outcome.note
        if len(note) > LONGEST_NOTE or not is_text(note):
            raise HandoffRefused("note", "The remark is too long, or holds control letters.", where="note")
        with self._database.write() as connection:
            self._database.hold(connection, "handoffs")
            before = self.handoff(id_)
            said = (outcome.answer, outcome.saved, outcome.lost, note)
            if said == (before.answer, before.saved, before.lost, before.note):
                return before
            if before.answer in FINAL and outcome.answer not in FINAL:
                raise HandoffRefused("over", "Its outcome is known already.", where=id_)
            values: dict[str, Any] = {
                "answer": outcome.answer,
                "saved": outcome.saved,
                "lost": outcome.lost,
                "note": note,
            }
            # Whoever answers has it, whatever the port said.
            values |= {"answered_ms": now_ms, "answered_by": actor.name, "next_ms": None}
            values["delivered_ms"] = before.delivered_ms or now_ms
            connection.execute(sa.update(_ROWS).where(_ROWS.c.id == before.id).values(values))
            self._tell_case(before, outcome, actor, now_ms)
            was = {"answer": before.answer, "saved": before.saved, "lost": before.lost}
            after = {"answer": outcome.answer, "saved": outcome.saved, "lost": outcome.lost}
            self._trail.record(actor.name, actor.address, "handoffs.answer", before.id, was, after, note, now_ms=now_ms)
        return self.handoff(id_)

    def _tell_case(self, handoff: Handoff, outcome: Outcome, actor: Actor, now_ms: int) -> None:
        """Take the case as far as the answer leads; who was reached needs nobody else's work."""
        who = Actor(actor.name, actor.permissions | {"handoffs.answer", "cases.work", "cases.assign"}, actor.address)
        case = self.cases.case(handoff.case)
        if not case.is_open or case.state == "acted":
            said = f"{outcome.answer}, {outcome.saved}/{outcome.lost}: {outcome.note or '-'}"
            self.cases.do(case.id, Request("comment", said), who, now_ms)
            return
        if case.state == "found":  # sent back meanwhile
            self.cases.do(case.id, Request("assign", unit=DESK), SYSTEM, now_ms)
        if case.state in {"found", "assigned"}:
            self.cases.do(case.id, Request("accept"), who, now_ms)
        if outcome.answer not in FINAL:
            return
        fields: dict[str, Value] = {"outcome": outcome.answer}
        fields |= {"saved": outcome.saved, "lost": outcome.lost}
        self.cases.do(case.id, Request("amend", "结果 outcome", fields=fields), who, now_ms)
        note = outcome.note or outcome.answer
        proofs = (Proof("reference", f"handoff:{handoff.id}"), Proof("statement", note=note))
        self.cases.do(case.id, Request("act", note, proofs=proofs), who, now_ms)
        if outcome.answer == "reached":
            self.cases.do(case.id, Request("close", "已劝阻 reached"), SYSTEM, now_ms)

    def forget(self, now_ms: int, days: int) -> int:
        """Forget whom hand-offs of so many days ago were about; returns how many."""
        gone = {"number": "", "note": "", "body": "{}", "next_ms": None}
        old = sa.and_(_ROWS.c.found_ms < now_ms - days * _DAY_MS, _ROWS.c.number != "")
        with self._database.write() as connection:
            return connection.execute(sa.update(_ROWS).where(old).values(gone)).rowcount


def _answered(answer: str) -> list[sa.ColumnElement[bool]]:
    return [_ROWS.c.answer == ("" if answer == "none" else answer)] if answer else []


class _Body(msgspec.Struct):
    victim: Victim = Victim("", 0, 0, 0, 0, "", {}, answered=False, talk_s=0)


def handoff_of(row: sa.Row[Any]) -> Handoff:
    """A hand-off out of its row."""
    fields = dict(row._mapping)  # noqa: SLF001  # the library's public name for it
    victim = msgspec.json.decode(fields.pop("body"), type=_Body).victim
    return Handoff(victim=victim, **fields)
