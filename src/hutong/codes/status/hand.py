"""Changes of colours by hand in the records: asked for, approved, lifted, expired; and what looks like misuse of them.

Every step stands on the trail in the transaction that it is made in, with agency, document, basis and reason. What
looks like misuse opens a case in the same transaction, so that it cannot be asked for without being seen.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import msgspec
import sqlalchemy as sa

from hutong.codes.status import changes as machine
from hutong.codes.status.bases import bases
from hutong.codes.status.changes import HOUSE, KEEPER, OPEN_STATES, Change
from hutong.codes.status.errors import StatusRefused
from hutong.codes.status.guard import DAY_MS, KIND_TITLES, Counts, suspicions
from hutong.codes.status.store import change_of
from hutong.kernel.access.agencies import Agencies
from hutong.kernel.access.errors import AccessError
from hutong.kernel.access.trail import Trail
from hutong.kernel.cases import model as case_model
from hutong.kernel.cases.model import case_id
from hutong.kernel.errors import StateError
from hutong.kernel.records import code_tables as tables
from hutong.kernel.records.tables import case_requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.codes.status.changes import Action, Actor, Bounds, State, Wish
    from hutong.codes.status.guard import Kind, Limits, Suspicion
    from hutong.codes.status.store import Statuses
    from hutong.kernel.cases.store import Cases
    from hutong.kernel.records import Connection

MISUSE: Final = "colour-misuse"
UNIT: Final = "健康码监督"
#: Who opens cases of misuse.
SYSTEM: Final = case_model.Actor("hutong codes", frozenset({"cases.find", "cases.work"}))
_CHANGES: Final = tables.code_changes
_OPENED: Final = case_requests
_DAY_MS: Final = 86_400_000


class Changes:
    """The changes by hand of a node.

    Args:
        statuses: the colours that follow them. cases: gives where cases are, once it is asked.
        bounds: what the settings hold changes to. limits: from when on they look like misuse.
    """

    def __init__(self, statuses: Statuses, cases: Callable[[], Cases], bounds: Bounds, limits: Limits) -> None:
        self._database, self._statuses, self._cases = statuses.database, statuses, cases
        self.bounds, self._limits = bounds, limits
        self._trail = Trail(self._database)

    # Reading

    def change(self, id_: str) -> Change:
        """The change of that id.

        Raises:
            StatusRefused: "no-change".
        """
        with self._database.read() as connection:
            return self._held(connection, id_)

    def listing(self, state: State | None = None, limit: int = 50) -> list[Change]:
        """Changes, the latest first."""
        chosen = sa.select(_CHANGES).order_by(_CHANGES.c.requested_ms.desc(), _CHANGES.c.id.desc()).limit(limit)
        if state is not None:
            chosen = chosen.where(_CHANGES.c.state == state)
        with self._database.read() as connection:
            return [change_of(row) for row in connection.execute(chosen)]

    def figures(self) -> dict[State, int]:
        """How many changes wait and are in force."""
        chosen = sa.select(_CHANGES.c.state, sa.func.count()).where(_CHANGES.c.state.in_(OPEN_STATES))
        with self._database.read() as connection:
            rows = connection.execute(chosen.group_by(_CHANGES.c.state)).all()
        return dict.fromkeys(OPEN_STATES, 0) | {state: int(count) for state, count in rows}

    # Writing

    def request(self, wish: Wish, actor: Actor, now_ms: int) -> Change:
        """Ask for a colour of a person; another person of another agency must approve it.

        Raises:
            StatusRefused: says why. CaseError: a case type is wrong.
        """
        self._check_agency(actor)
        fresh = case_id(self._statuses.node, now_ms, os.urandom(8))
        change = machine.request(wish, fresh, actor, now_ms, self.bounds)
        with self._database.write() as connection:
            self.hold(connection, change.person)
            if not self._is_known(connection, change.person):
                raise StatusRefused("no-person", "Nothing is kept of this person.", where="person")
            waiting = (_CHANGES.c.person == change.person, _CHANGES.c.state == "requested")
            if connection.execute(sa.select(_CHANGES.c.id).where(*waiting)).first():
                raise StatusRefused("taken", "A change of this person's colour waits already.", where="person")
            connection.execute(sa.insert(_CHANGES).values(msgspec.structs.asdict(change)))
            kinds: dict[Kind, str] = {"person": actor.name, "agency": actor.agency, "reason": change.reason_key}
            self._watch(connection, change, kinds, now_ms)
            self._record(change, "request", actor, change.reason, now_ms)
        return change

    def do(self, id_: str, action: Action, actor: Actor, now_ms: int, why: str = "") -> Change:
        """Decide a change or end it; the person's colour follows in the same transaction.

        Raises:
            StatusRefused: says why; nothing was done. CaseError: a case type is wrong.
        """
        if actor is not KEEPER:
            self._check_agency(actor)
        with self._database.write() as connection:
            change = self._held(connection, id_)
            self.hold(connection, change.person)
            change = self._held(connection, id_)  # as it is now that nobody else can change it
            after = machine.decide(change, action, actor, now_ms, why)
            if action == "approve":
                self._replace_others(connection, after, now_ms)
            here = sa.and_(_CHANGES.c.id == change.id, _CHANGES.c.version == change.version)
            connection.execute(sa.update(_CHANGES).where(here).values(msgspec.structs.asdict(after)))
            if action == "approve":
                self._watch(connection, after, {"approver": actor.name}, now_ms)
            if "in-force" in {change.state, after.state} and change.person:
                self._statuses.judge_again(change.person, now_ms)
            self._record(after, action, actor, why, now_ms)
        return after

    def run(self, now_ms: int) -> int:
        """End what is over; gives how many changes.

        Raises:
            StateError: somebody's rows are not as they must be; all others were ended.
        """
        over = sa.select(_CHANGES.c.id).where(_CHANGES.c.state.in_(OPEN_STATES), _CHANGES.c.ends_ms <= now_ms)
        with self._database.read() as connection:
            ids = list(connection.execute(over).scalars())
        troubles = []
        for id_ in ids:
            try:
                self.do(id_, "expire", KEEPER, now_ms)
            except StatusRefused:  # somebody ended it meanwhile
                continue
            except StateError as error:  # one whose rows are damaged must not keep the others waiting
                troubles.append(error)
        if troubles:
            raise troubles[0]
        return len(ids)

    def forget(self, now_ms: int, days: int) -> int:
        """Forget whose and why, so many days after the end; returns how many. Who changed how many stays."""
        ended = sa.and_(_CHANGES.c.ended_ms > 0, _CHANGES.c.ended_ms < now_ms - days * _DAY_MS, _CHANGES.c.person != "")
        gone = {"person": "", "reason": "", "ended_why": ""}
        with self._database.write() as connection:
            return connection.execute(sa.update(_CHANGES).where(ended).values(gone)).rowcount

    def overrule(self, connection: Connection, id_: str, case: str, now_ms: int) -> Change | None:
        """Lift a change that an appeal found wrong, within the caller's transaction; None where it is over already."""
        change = self._held(connection, id_)
        if change.state != "in-force":
            return None
        return self.do(id_, "overrule", KEEPER, now_ms, f"appeal {case}")

    def hold(self, connection: Connection, person: str) -> None:
        """Person, counts and what listeners hold, before anything is on the trail: who has that waits no more."""
        self._statuses.people.hold(connection, [person])
        self._database.hold(connection, "code-misuse", *self._statuses.holds)

    def _replace_others(self, connection: Connection, change: Change, now_ms: int) -> None:
        here = (_CHANGES.c.person == change.person, _CHANGES.c.state == "in-force")
        for other in list(connection.execute(sa.select(_CHANGES.c.id).where(*here)).scalars()):
            self.do(other, "replace", KEEPER, now_ms, f"change {change.id}")

    def _held(self, connection: Connection, id_: str) -> Change:
        row = connection.execute(sa.select(_CHANGES).where(_CHANGES.c.id == id_.replace("\0", ""))).one_or_none()
        if row is None:
            raise StatusRefused("no-change", f"There is no change {id_[:80]!r}.")
        return change_of(row)

    def _is_known(self, connection: Connection, person: str) -> bool:
        for table in (tables.code_people, tables.code_evidence):
            if connection.execute(sa.select(table.c.person).where(table.c.person == person).limit(1)).first():
                return True
        return False

    def _check_agency(self, actor: Actor) -> None:
        if actor.agency == HOUSE:
            return
        try:
            agency = Agencies(self._database).agency(actor.agency)
        except AccessError:
            raise StatusRefused("agency", f"There is no agency {actor.agency!r}.", where="agency") from None
        if agency.disabled:
            raise StatusRefused("agency", f"The agency {actor.agency!r} is disabled.", where="agency")

    def _record(self, change: Change, action: Action, actor: Actor, why: str, now_ms: int) -> None:
        after = {"state": change.state, "agency": actor.agency} | change.told()
        after["basis"] = bases()[change.basis].cite
        after.pop("reason")
        deed = f"codes.change_{action}"
        self._trail.record(actor.name, actor.address, deed, change.id, after=after, purpose=why, now_ms=now_ms)

    # Misuse

    def _watch(self, connection: Connection, change: Change, subjects: dict[Kind, str], now_ms: int) -> None:
        since = now_ms - DAY_MS
        recent = _CHANGES.c.requested_ms > since
        same_reason = sa.select(sa.func.count(_CHANGES.c.person.distinct()))
        counts = Counts(
            person=_count(connection, _CHANGES.c.requested_by == change.requested_by, recent),
            agency=_count(connection, _CHANGES.c.requested_agency == change.requested_agency, recent),
            approver=_count(connection, _CHANGES.c.decided_by == change.decided_by, _CHANGES.c.decided_ms > since),
            reason=int(
                connection.execute(same_reason.where(_CHANGES.c.reason_key == change.reason_key, recent)).scalar_one()
            ),
        )
        for suspicion in suspicions(counts, subjects, self._limits):
            self._open_case(suspicion, change, now_ms)

    def _open_case(self, suspicion: Suspicion, change: Change, now_ms: int) -> None:
        """One case a day for each kind and subject: a thousandth change adds nothing to what must be looked at."""
        title = f"改码异常 {KIND_TITLES[suspicion.kind]['zh']} / {KIND_TITLES[suspicion.kind]['en']}"
        shown = suspicion.subject if suspicion.kind != "reason" else f"change {change.id}"
        fields: dict[str, case_model.Value] = {"kind": suspicion.kind, "subject": shown, "limit": suspicion.limit}
        finding = case_model.Finding(MISUSE, title, fields, priority=1, source="codes.guard", unit=UNIT)
        key = f"{MISUSE}:{suspicion.kind}:{suspicion.subject}:{now_ms // _DAY_MS}"
        with self._database.read() as connection:
            if connection.execute(sa.select(_OPENED.c.key).where(_OPENED.c.key == key)).first():
                return
        self._cases().find(finding, SYSTEM, now_ms, key=key)


def _count(connection: Connection, *conditions: sa.ColumnElement[bool]) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(_CHANGES).where(*conditions)).scalar_one())
