"""Cases in the records: finding them, doing something with them, proving that what is kept follows from the events.

Events are the truth. The case's row, its keys, every counter and the notices are written in the transaction of the
event that they follow from; `recount` makes rows and counters anew from the events and says where they differ.

Who changes a case says which version they saw, and is refused where somebody was quicker. A request with a key has one
effect however often it comes, and the same answer for `REMEMBERED_MS`.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from hutong.kernel.access.agencies import sees
from hutong.kernel.access.trail import Trail
from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.cases.machine import Facts, decide, find
from hutong.kernel.cases.model import Actor, Case, CaseEvent, Finding, Request, State, case_id, fold_all
from hutong.kernel.cases.projection import (
    CASES,
    COUNTS,
    EVENTS,
    IS_PART,
    Changes,
    add_counts,
    body_of,
    case_of,
    changed_meanwhile,
    count_keys,
    event_of,
)
from hutong.kernel.cases.purview import Purview, purview_of
from hutong.kernel.cases.query import CaseReader
from hutong.kernel.records import tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hutong.kernel.access.viewer import Viewer
    from hutong.kernel.cases.calendar import WorkingCalendar
    from hutong.kernel.cases.types import Types
    from hutong.kernel.records import Connection, Database

#: How long a request's key is remembered.
REMEMBERED_MS: Final = 7 * 24 * 3_600_000
_REQUESTS = tables.case_requests
_LONGEST_KEY: Final = 200
_STREAMED: Final = {"stream_results": True, "max_row_buffer": 1000}


class Answer(msgspec.Struct, frozen=True):
    """What became of a request: the case, its version and state then, and the parts that it was split into."""

    case: str
    version: int
    state: State
    parts: tuple[str, ...] = ()


class Difference(msgspec.Struct, frozen=True):
    """Something kept that does not follow from the events: a case, or a counter."""

    what: str
    kept: str
    follows: str


class Outcome(msgspec.Struct, frozen=True):
    """What became of one case of a bulk request: its answer, or the reason and words of the refusal."""

    case: str
    answer: Answer | None = None
    reason: str = ""
    what: str = ""


class Cases(CaseReader):
    """The cases of a node.

    Args:
        database: opened by whoever made it.
        types: those in force. calendar: what deadlines follow. node: this node's name, the beginning of new ids.
        purview: the cases that are seen and worked on.
    """

    def __init__(  # what cases rest on
        self, database: Database, types: Types, calendar: WorkingCalendar, node: str, purview: Purview
    ) -> None:
        super().__init__(database, purview)
        self.types, self.calendar, self.node = types, calendar, node
        self._trail = Trail(database)

    def seen_by(self, viewer: Viewer) -> Cases:
        """The cases of a person or a token: what pages and the API work with."""
        return Cases(self._database, self.types, self.calendar, self.node, purview_of(viewer))

    # Reading

    def case(self, of: str) -> Case:
        """The case of that id.

        Raises:
            CaseRefused: "no-case".
        """
        with self._database.read() as connection:
            return self.purview.shown(connection, self._read(connection, of))

    def events(self, of: str) -> list[CaseEvent]:
        """What happened to a case, the first event first."""
        chosen = sa.select(EVENTS).where(EVENTS.c.case == of).order_by(EVENTS.c.seq)
        with self._database.read() as connection:
            if not self.purview.whole and not self.purview.known(connection, [of]):
                return []
            return [self.purview.told(event_of(row)) for row in connection.execute(chosen)]

    def _read(self, connection: Connection, of: str) -> Case:
        chosen = sa.select(CASES.c.body).where(CASES.c.id == of.replace("\0", ""), *self.purview.conditions())
        body = connection.execute(chosen).scalar()
        if body is None:
            raise _no_case(of)
        return case_of(body)

    # Writing

    def find(self, finding: Finding, actor: Actor, now_ms: int, *, key: str = "") -> Answer:
        """Open a case.

        Args:
            key: of the request; a repeated one has no second effect and gets the same answer.

        Raises:
            CaseRefused: says why.
        """
        if "cases.find" not in actor.permissions:
            raise CaseRefused("not-allowed", "Opening a case needs the permission cases.find.")
        digest = _digest("find", finding, actor)
        with self._database.write() as connection:
            known = self._known(connection, key, digest)
            if known is not None:
                return known
            changes = Changes()
            case = self.add_found(changes, finding, actor, now_ms)
            self._check_bound(None, case)
            self.check_owner(connection, case.owner, case.unit)
            changes.write(connection)
            self._record(actor, "find", case, now_ms, None, finding.source)
            return self._remember(connection, key, digest, Answer(case.id, case.version, case.state), now_ms)

    def add_found(
        self, changes: Changes, finding: Finding, actor: Actor, now_ms: int, id_: str = "", due_ms: int = 0
    ) -> Case:
        """Add a new case to what a transaction changes.

        Raises:
            CaseRefused: says why.
        """
        kind = self.types[finding.type]
        fresh = id_ or self.new_id(now_ms)
        case = find(kind, finding, fresh, self.node, now_ms, self.calendar, due_ms)
        return changes.add(kind, None, case, "find", finding, actor.name, now_ms)

    def new_id(self, now_ms: int) -> str:
        """An id that no node has given."""
        return case_id(self.node, now_ms, os.urandom(8))

    def do(self, of: str, request: Request, actor: Actor, now_ms: int, *, version: int = 0, key: str = "") -> Answer:
        """Do something with a case.

        Args:
            version: that the actor saw; 0 = whatever it is.
            key: see `find`.

        Raises:
            CaseRefused: says why; "changed-meanwhile" where it has another version.
        """
        digest = _digest(of, request, actor)
        with self._database.write() as connection:
            known = self._known(connection, key, digest)
            if known is not None:
                return known
            case, facts = self._look(connection, of, request, now_ms)
            if version and case.version != version:
                raise changed_meanwhile(case.id)
            changes = Changes()
            after, parts = self._decide(changes, case, request, actor, max(now_ms, case.changed_ms), facts)
            if (after.owner, after.unit) != (case.owner, case.unit):
                self.check_owner(connection, after.owner, after.unit)
            changes.write(connection)
            self._record(actor, request.action, after, now_ms, case, request.reason)
            return self._remember(connection, key, digest, Answer(after.id, after.version, after.state, parts), now_ms)

    def do_many(
        self, ids: Sequence[str], request: Request, actor: Actor, now_ms: int, *, key: str = ""
    ) -> list[Outcome]:
        """Do the same with many cases, each by itself: what one is refused does not keep the others."""
        outcomes = []
        for of in dict.fromkeys(ids):
            try:
                answer = self.do(of, request, actor, now_ms, key=f"{key}:{of}" if key else "")
            except CaseRefused as refused:
                outcomes.append(Outcome(of, None, refused.reason, refused.what))
            else:
                outcomes.append(Outcome(of, answer))
        return outcomes

    def forget_requests(self, now_ms: int) -> int:
        """Forget keys of requests that are too old; returns how many."""
        old = sa.delete(_REQUESTS).where(_REQUESTS.c.time_ms < now_ms - REMEMBERED_MS)
        with self._database.write() as connection:
            return connection.execute(old).rowcount

    def _decide(
        self, changes: Changes, case: Case, request: Request, actor: Actor, now_ms: int, facts: Facts
    ) -> tuple[Case, tuple[str, ...]]:
        kind = self.types[case.type]
        decision = decide(kind, case, request, actor, now_ms, self.calendar, facts)
        after = changes.add(kind, case, decision.case, request.action, request, actor.name, now_ms)
        self._check_bound(case, after)
        for id_, finding in decision.parts:
            self._check_bound(case, self.add_found(changes, finding, actor, now_ms, id_, case.due_ms))
        if decision.into is not None and facts.into is not None:
            said = Request("absorb", request.reason, into=case.id)
            changes.add(kind, facts.into, decision.into, "absorb", said, actor.name, now_ms)
        return after, tuple(id_ for id_, _ in decision.parts)

    def _check_bound(self, before: Case | None, after: Case) -> None:
        """Whoever has a purview brings nothing about outside of it; sending a case back is no bringing about."""
        if not self.purview.holds(after.unit) and (after.unit or before is None):
            raise CaseRefused("not-allowed", "The unit is not one of yours.", where="unit")
        if before is None and not self.purview.whole and (after.parent or after.register):
            raise CaseRefused("not-allowed", "Parts and items of registers are not found one by one.")

    def check_owner(self, connection: Connection, owner: str, unit: str) -> None:
        """An account that is bound to an agency is given no case that it would not see.

        Raises:
            CaseRefused: "not-allowed".
        """
        if owner and not sees(connection, owner, unit):
            raise CaseRefused("not-allowed", f"{owner} does not see cases of this unit.", where="owner")

    def _look(self, connection: Connection, of: str, request: Request, now_ms: int) -> tuple[Case, Facts]:
        """The case and what a decision needs beside it, held until the transaction ends."""
        wanted = {of, request.into} - {""}
        if request.action in {"countersign", "reopen"}:
            seen = self._read(connection, of)
            wanted |= {seen.parent, seen.pending.request.into if seen.pending else ""} - {""}
        held = self._hold(connection, wanted)
        case = held.get(of)
        if case is None or not self.purview.holds(case.unit):
            raise _no_case(of)
        whole = held.get(case.parent)
        if request.action == "reopen" and whole is not None and not whole.is_open:
            raise CaseRefused("not-from-here", "Its whole is closed.", where=whole.id, fix="Open that again first.")
        # In a form that no index knows: SQLite would look at every open case.
        is_open = sa.func.coalesce(CASES.c.is_open, 0) == 1
        parts = sa.select(sa.func.count()).where(CASES.c.parent == of, IS_PART, is_open)
        open_parts = int(connection.execute(parts).scalar_one()) if case.children else 0
        asked = case.pending.request if request.action == "countersign" and case.pending else request
        ids = tuple(self.new_id(now_ms) for _ in asked.parts)
        into = held.get(asked.into) if asked.into else None
        return case, Facts(open_parts, into if into is not None and self.purview.holds(into.unit) else None, ids)

    def _hold(self, connection: Connection, ids: set[str]) -> dict[str, Case]:
        chosen = sa.select(CASES.c.body).where(CASES.c.id.in_([it.replace("\0", "") for it in ids]))
        rows = connection.execute(chosen.order_by(CASES.c.id).with_for_update()).scalars()
        return {case.id: case for case in map(case_of, rows)}

    # Requests with keys

    def _known(self, connection: Connection, key: str, digest: str) -> Answer | None:
        if not key:
            return None
        if len(key) > _LONGEST_KEY or not key.isprintable():
            raise CaseRefused("key-used", "The key of the request is too long, or not printable.", where="key")
        self._database.hold(connection, f"case-request:{key}")
        row = connection.execute(sa.select(_REQUESTS).where(_REQUESTS.c.key == key)).one_or_none()
        if row is None:
            return None
        if row.digest != digest:
            raise CaseRefused("key-used", "The key stands for another request.", where="key", fix="Choose another.")
        return msgspec.json.decode(row.answer, type=Answer)

    def _remember(self, connection: Connection, key: str, digest: str, answer: Answer, now_ms: int) -> Answer:
        if key:
            kept = msgspec.json.encode(answer).decode()
            row = {"key": key, "digest": digest, "answer": kept, "time_ms": now_ms}
            connection.execute(sa.insert(_REQUESTS).values(row))
        return answer

    def _record(self, actor: Actor, action: str, case: Case, now_ms: int, before: Case | None, why: str) -> None:
        deed = f"cases.{action.replace('-', '_')}"
        was = None if before is None else _shown(before)
        self._trail.record(actor.name, actor.address, deed, case.id, was, _shown(case), why, now_ms=now_ms)

    # Proof that what is kept follows from the events

    def recount(self, *, repair: bool = False) -> list[Difference]:
        """Make every case and counter anew from the events; returns where they differ from what is kept.

        Args:
            repair: also put the counters right.

        Raises:
            CaseRefused: "not-allowed", for whoever does not see every case.
        """
        if not self.purview.whole:
            raise CaseRefused("not-allowed", "Only who sees every case can recount them.")
        found: list[Difference] = []
        counts: Counter[tuple[str, str, str]] = Counter()
        with self._database.write() if repair else self._database.read() as connection:
            rows = {}
            for case in self._folded(connection):
                counts.update(count_keys(case))
                rows[case.id] = hashlib.sha256(body_of(case).encode()).digest()
            found += self._compare_rows(connection, rows)
            chosen = sa.select(COUNTS.c.scope, COUNTS.c.name, COUNTS.c.state, COUNTS.c.count)
            kept = {(scope, name, state): n for scope, name, state, n in connection.execute(chosen)}
            for at in sorted(counts.keys() | kept.keys()):
                if counts[at] != kept.get(at, 0):
                    found.append(Difference(" ".join(at), str(kept.get(at, 0)), str(counts[at])))
            if repair:
                connection.execute(sa.delete(COUNTS))
                add_counts(connection, counts)
        return found

    def _folded(self, connection: Connection) -> Iterator[Case]:
        chosen = sa.select(EVENTS).order_by(EVENTS.c.case, EVENTS.c.seq)
        own: list[CaseEvent] = []
        with connection.execute(chosen, execution_options=_STREAMED) as result:
            for row in result:
                if own and row.case != own[0].case:
                    yield _made(own)
                    own = []
                own.append(event_of(row))
        if own:
            yield _made(own)

    def _compare_rows(self, connection: Connection, rows: dict[str, bytes]) -> Iterator[Difference]:
        with connection.execute(sa.select(CASES.c.id, CASES.c.body), execution_options=_STREAMED) as result:
            for of, body in result:
                follows = rows.pop(of, None)
                if follows != hashlib.sha256(body.encode()).digest():
                    yield Difference(f"case {of}", body, "other" if follows else "nothing")
        yield from (Difference(f"case {of}", "nothing", "a case") for of in sorted(rows))


def _no_case(of: str) -> CaseRefused:
    return CaseRefused("no-case", f"There is no case {of[:80]!r}.")


def _made(events: list[CaseEvent]) -> Case:
    case = fold_all(events)
    if case is None:  # pragma: no cover  # it is called with events
        raise AssertionError
    return case


def _shown(case: Case) -> dict[str, Any]:
    """What the trail says of a case."""
    shown = {"state": case.state, "owner": case.owner, "unit": case.unit, "version": case.version}
    return shown | ({"waits": case.pending.request.action} if case.pending else {})


def _digest(about: str, request: Request | Finding, actor: Actor) -> str:
    said = msgspec.json.encode([about, request, actor.name], order="sorted")
    return hashlib.sha256(said).hexdigest()
