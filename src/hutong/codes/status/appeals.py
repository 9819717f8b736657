"""Appeals against a colour: taken in with their cases, decided by a person, and the decision takes effect at once.

A decision puts right what the colour rested on, never the colour itself: a change by hand is lifted, evidence that was
wrong counts no more, evidence that was missing is added; then the rules judge again. So an appeal is no way around two
agencies, and what it gives stands as long as it is true. Whoever made a change by hand judges no appeal against it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec
import sqlalchemy as sa

from hutong.codes.people.day_keys import day_of
from hutong.codes.people.errors import KeyGoneError
from hutong.codes.status.colour_rules import COLOUR_TITLES
from hutong.codes.status.errors import StatusRefused
from hutong.codes.status.hand import SYSTEM
from hutong.kernel.access.trail import Trail
from hutong.kernel.cases.fields import is_text
from hutong.kernel.cases.model import Actor, Finding, Proof, Request
from hutong.kernel.records import code_tables as tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.codes.status.evidence import Evidence
    from hutong.codes.status.hand import Changes
    from hutong.codes.status.model import Moved, Standing
    from hutong.codes.status.store import Statuses
    from hutong.kernel.cases.model import Case, Value
    from hutong.kernel.cases.store import Cases
    from hutong.kernel.records import Connection

TYPE: Final = "colour-appeal"
UNIT: Final = "健康码申诉"
DECIDE: Final = "codes.decide"
State = Literal["open", "upheld", "corrected"]
Verdict = Literal["upheld", "corrected"]
LONGEST_WORDS: Final = 2000
LONGEST_REASONS: Final = 1000
#: How long a person's words are kept: longer than any appeal may take.
_WORDS_DAYS: Final = 60
_ROWS: Final = tables.code_appeals
_DAY_MS: Final = 86_400_000


class Appeal(msgspec.Struct, frozen=True):
    """An appeal as it stands.

    Attributes:
        id: that of its case. person: pseudonym; empty once forgotten. event: the change of colour that it is against.
        change: the change by hand behind it, or empty. reasons: told to the person.
    """

    id: str
    person: str
    event: str
    change: str
    state: State
    found_ms: int
    due_ms: int
    decided_ms: int | None = None
    who: str = ""
    reasons: str = ""


class Correction(NamedTuple):
    """What a decision puts right: ids of evidence that was wrong, and evidence that was missing."""

    void: tuple[str, ...] = ()
    add: tuple[Evidence, ...] = ()


class Appeals:
    """The appeals of a node.

    Args:
        statuses: the colours. changes: those by hand. cases: gives where cases are, once it is asked.
    """

    def __init__(self, statuses: Statuses, changes: Changes, cases: Callable[[], Cases]) -> None:
        self._database, self._statuses, self._changes, self._cases = statuses.database, statuses, changes, cases
        self._trail = Trail(self._database)

    # Reading

    def appeal(self, id_: str) -> Appeal:
        """The appeal of that id.

        Raises:
            StatusRefused: "no-appeal".
        """
        with self._database.read() as connection:
            return self._held(connection, id_)

    def of_person(self, person: str) -> list[Appeal]:
        """A person's appeals, the latest first."""
        chosen = sa.select(_ROWS).where(_ROWS.c.person == person).order_by(_ROWS.c.found_ms.desc(), _ROWS.c.id)
        with self._database.read() as connection:
            return [_appeal(row) for row in connection.execute(chosen)]

    def words(self, id_: str, now_ms: int) -> str:
        """What the person said; empty once its time is over."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(_ROWS).where(_ROWS.c.id == id_.replace("\0", ""))).one_or_none()
            if row is None or not row.person:
                return ""
            ring = self._statuses.people.ring(connection, row.person, now_ms)
            try:
                return ring.unseal(row.day, row.sealed, f"appeal:{row.event}").decode()
            except KeyGoneError as error:
                if not error.destroyed:
                    raise
                return ""

    def figures(self, now_ms: int) -> tuple[int, int]:
        """How many appeals are open, and how many of them late."""
        counted = sa.select(sa.func.count()).select_from(_ROWS).where(_ROWS.c.state == "open")
        with self._database.read() as connection:
            late = connection.execute(counted.where(_ROWS.c.due_ms < now_ms)).scalar_one()
            return int(connection.execute(counted).scalar_one()), int(late)

    # Taking in

    def take(self, person: str, words: str, now_ms: int) -> Appeal:
        """Take in what a person says against their colour, and open its case; one that is open already stays the one.

        Raises:
            StatusRefused: "not-from-here": the colour is what everybody has; "field": the words will not do.
            CaseError: a case type is wrong. StateError: keys of people are not here.
        """
        words = _said("words", words, LONGEST_WORDS)
        standing = self._statuses.standing(person, now_ms)
        with self._database.write() as connection:
            self._statuses.people.hold(connection, [person])
            waiting = sa.select(_ROWS).where(_ROWS.c.person == person, _ROWS.c.state == "open")
            row = connection.execute(waiting).first()
            if row is not None:
                return _appeal(row)
            if standing.colour == self._statuses.rules.otherwise.colour:
                raise StatusRefused("not-from-here", "There is nothing to appeal against: the code is green.")
            case = self._open_case(standing, now_ms)
            ring = self._statuses.people.ring(connection, person, now_ms)
            day = day_of(now_ms) + _WORDS_DAYS
            sealed = ring.seal(day, words.encode(), f"appeal:{standing.event}")
            appeal = Appeal(case.id, person, standing.event, standing.change, "open", now_ms, case.due_ms)
            values = msgspec.structs.asdict(appeal) | {"day": day, "sealed": sealed}
            connection.execute(sa.insert(_ROWS).values(values))
        return appeal

    def _open_case(self, standing: Standing, now_ms: int) -> Case:
        rule = self._statuses.rules.rule(standing.rule)
        said = rule.title["zh"] if rule is not None else "人工改码"
        fields: dict[str, Value] = {"colour": standing.colour, "rule": standing.rule, "event": standing.event}
        title = f"健康码申诉 {COLOUR_TITLES[standing.colour]['zh']} {said}"
        answer = self._cases().find(Finding(TYPE, title, fields, source="codes.appeals", unit=UNIT), SYSTEM, now_ms)
        return self._cases().case(answer.case)

    # Deciding

    def decide(  # a decision's own parts
        self,
        id_: str,
        verdict: Verdict,
        reasons: str,
        actor: Actor,
        now_ms: int,
        correction: Correction = Correction(),  # noqa: B008  # a tuple
    ) -> tuple[Appeal, Moved]:
        """Decide an appeal; the colour follows in the same transaction.

        Args:
            reasons: told to the person. actor: with the permission `codes.decide`. correction: where corrected.

        Raises:
            StatusRefused: says why. CaseRefused: its case does not allow it.
        """
        reasons = _said("reasons", reasons, LONGEST_REASONS)
        if DECIDE not in actor.permissions:
            raise StatusRefused("not-allowed", f"This needs the permission {DECIDE}.")
        with self._database.write() as connection:
            appeal = self._held(connection, id_)
            self._changes.hold(connection, appeal.person)
            appeal = self._held(connection, id_)
            self._check(appeal, verdict, actor, correction)
            decided = msgspec.structs.replace(appeal, state=verdict, decided_ms=now_ms, who=actor.name, reasons=reasons)
            values = {"state": verdict, "decided_ms": now_ms, "who": actor.name, "reasons": reasons}
            connection.execute(sa.update(_ROWS).where(_ROWS.c.id == id_).values(values))
            state = self._tell_case(decided, actor, now_ms)
            moved = self._correct(connection, decided, correction, now_ms)
            self._close_case(decided, state, moved, actor, now_ms)
            after: dict[str, Any] = {"state": verdict, "event": appeal.event, "colour": moved.standing.colour}
            after |= {"void": len(correction.void), "added": len(correction.add), "now": moved.standing.event}
            self._trail.record(
                actor.name, actor.address, f"codes.appeal_{verdict}", id_, None, after, reasons, now_ms=now_ms
            )
        return decided, moved

    def _check(self, appeal: Appeal, verdict: Verdict, actor: Actor, correction: Correction) -> None:
        if appeal.state != "open":
            raise StatusRefused("decided", f"{appeal.who} has decided it already.", where=appeal.id)
        if appeal.change and actor.name in self._changes.change(appeal.change).makers:
            fix = "Somebody else must decide."
            raise StatusRefused("own-change", "Who made the change does not judge it.", where=appeal.id, fix=fix)
        if verdict == "upheld" and (correction.void or correction.add):
            raise StatusRefused("field", "What is upheld corrects nothing.", where="verdict")
        if verdict == "corrected" and not (appeal.change or correction.void or correction.add):
            fix = "Name evidence that is wrong, or add what was missing."
            raise StatusRefused("field", "Nothing would be put right.", where="void", fix=fix)

    def _correct(self, connection: Connection, appeal: Appeal, correction: Correction, now_ms: int) -> Moved:
        if appeal.state == "corrected":
            self._statuses.void(connection, appeal.person, correction.void, appeal.id)
            if appeal.change:
                self._changes.overrule(connection, appeal.change, appeal.id, now_ms)
        return self._statuses.take(appeal.person, correction.add, now_ms)

    def _tell_case(self, appeal: Appeal, actor: Actor, now_ms: int) -> str:
        """Take the case through what was decided; whoever may decide may take it. Gives the state it was in.

        It comes before the trail is held by anything else, because whoever works on the case holds it first too.
        """
        cases, who = self._cases(), _worker(actor)
        case = cases.case(appeal.id)
        fields: dict[str, Value] = {"outcome": appeal.state}
        cases.do(case.id, Request("amend", "裁定 decision", fields=fields), who, now_ms)
        if case.state == "found":
            cases.do(case.id, Request("assign", owner=actor.name, unit=case.unit), who, now_ms)
        return case.state

    def _close_case(self, appeal: Appeal, state: str, moved: Moved, actor: Actor, now_ms: int) -> None:
        if state in {"found", "assigned"}:
            proofs = (Proof("reference", f"colour:{moved.standing.event}"), Proof("statement", note=appeal.reasons))
            self._cases().do(appeal.id, Request("act", appeal.reasons, proofs=proofs), _worker(actor), now_ms)

    def forget(self, now_ms: int, days: int) -> int:
        """Forget who appealed and in which words, so many days after the decision; returns how many."""
        old = sa.and_(_ROWS.c.decided_ms < now_ms - days * _DAY_MS, _ROWS.c.person != "")
        gone = {"person": "", "sealed": b"", "reasons": ""}
        with self._database.write() as connection:
            return connection.execute(sa.update(_ROWS).where(old).values(gone)).rowcount

    def _held(self, connection: Connection, id_: str) -> Appeal:
        row = connection.execute(sa.select(_ROWS).where(_ROWS.c.id == id_.replace("\0", ""))).one_or_none()
        if row is None:
            raise StatusRefused("no-appeal", f"There is no appeal {id_[:80]!r}.")
        return _appeal(row)


def _worker(actor: Actor) -> Actor:
    return Actor(actor.name, actor.permissions | {"cases.assign", "cases.work"}, actor.address)


def _said(name: str, text: str, most: int) -> str:
    kept = text.replace("\r\n", "\n").strip()
    whole = kept.encode("utf-8", "replace").decode() == kept and is_text(kept)
    if not 0 < len(kept) <= most or not whole:
        raise StatusRefused("field", f"The text is empty, longer than {most}, or holds control letters.", where=name)
    return kept


def _appeal(row: sa.Row[Any]) -> Appeal:
    return Appeal(**{name: getattr(row, name) for name in Appeal.__struct_fields__})
