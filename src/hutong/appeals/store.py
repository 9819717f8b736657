"""Appeals in the records: taken in with their cases, found, counted, decided, forgotten.

An appeal has the id of its case, and both are written in one transaction. Its number is kept as a reference; the case
alone holds it whole, for whoever works on it. Deciding is here, as far as the records go: what it does to the lists
follows from the row (`effect`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from hutong.appeals.model import (
    LONGEST_CONTACT,
    LONGEST_REASONS,
    LONGEST_WORDS,
    Appeal,
    AppealRefused,
    Block,
    Plan,
    is_liftable,
    new_receipt,
    plan_of,
)
from hutong.kernel.access.trail import Trail
from hutong.kernel.cases.fields import is_text
from hutong.kernel.cases.model import Actor, Finding, Proof, Request
from hutong.kernel.records import tables
from hutong.kernel.records.reading import newest_first

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hutong.appeals.codes import Codes, Proven
    from hutong.appeals.model import Reason, State, Verdict
    from hutong.kernel.access.refs import Refs
    from hutong.kernel.cases.model import Case, Value
    from hutong.kernel.cases.store import Cases
    from hutong.kernel.numbering import Numbering
    from hutong.kernel.records import Database

TYPE: Final = "wrong-block"
#: Who opens cases: the appellant has no account.
SYSTEM: Final = Actor("hutong appeals", frozenset({"cases.find", "cases.work"}))
_ROWS: Final = tables.appeals
#: Decided, and not yet in effect. As the partial index has it, see `records.tables`.
WAITING: Final = (_ROWS.c.state == sa.literal_column("'lifted'"), _ROWS.c.effect_ms.is_(None))
_DAY_MS: Final = 86_400_000


class AppealQuery(msgspec.Struct, frozen=True):
    """Which appeals: of a state, of a number's reference; empty ones do not count. late_ms: due before then."""

    state: str = ""
    number: str = ""
    late_ms: int = 0


class AppealStore:
    """Appeals.

    Args:
        database: opened by whoever made it. cases: gives where their cases are, once it is asked. refs: names numbers.
        numbering: says whose a number is. days: for how long a number is allowed that more than its own entry blocked.
    """

    def __init__(
        self, database: Database, cases: Callable[[], Cases], refs: Refs, numbering: Numbering, days: int
    ) -> None:
        self._database, self._cases, self._refs, self._numbering = database, cases, refs, numbering
        self._trail = Trail(database)
        self._days = days

    @property
    def cases(self) -> Cases:
        """Where the cases are.

        Raises:
            CaseError: a type of cases is wrong.
        """
        return self._cases()

    # Reading

    def appeal(self, id_: str) -> Appeal:
        """The appeal of that id.

        Raises:
            AppealRefused: "no-appeal".
        """
        return self._one(_ROWS.c.id == id_.replace("\0", ""), id_)

    def of_receipt(self, receipt: str) -> Appeal:
        """The appeal of a receipt.

        Raises:
            AppealRefused: "no-appeal".
        """
        return self._one(_ROWS.c.receipt == receipt.replace("\0", ""), receipt)

    def _one(self, condition: sa.ColumnElement[bool], said: str) -> Appeal:
        with self._database.read() as connection:
            row = connection.execute(sa.select(_ROWS).where(condition)).one_or_none()
        if row is None:
            raise AppealRefused("no-appeal", f"There is no appeal {said[:60]!r}.")
        return appeal_of(row)

    def page(self, query: AppealQuery, limit: int = 50, offset: int = 0) -> list[Appeal]:
        """Appeals, what must be decided first standing first; then decided ones, the latest first."""
        # Two questions, each in the order of an index: all of many years' appeals are never sorted.
        chosen, is_open = sa.select(_ROWS).where(*_conditions(query)), _ROWS.c.state == "open"
        first = chosen.where(is_open).order_by(_ROWS.c.due_ms, _ROWS.c.id)
        then = chosen.where(~is_open).order_by(_ROWS.c.found_ms.desc(), _ROWS.c.id)
        with self._database.read() as connection:
            found = connection.execute(first.limit(limit).offset(offset)).all()
            if len(found) < limit:
                counted = sa.select(sa.func.count()).select_from(_ROWS).where(*_conditions(query), is_open)
                passed = max(offset - int(connection.execute(counted).scalar_one()), 0)
                found = [*found, *connection.execute(then.limit(limit - len(found)).offset(passed))]
            return [appeal_of(row) for row in found]

    def every(self, query: AppealQuery) -> Iterator[Appeal]:
        """All appeals that the query is about, the latest first; read in pages."""
        chosen = sa.select(_ROWS).where(*_conditions(query))
        return map(appeal_of, newest_first(self._database, chosen, _ROWS.c.found_ms, _ROWS.c.id))

    def count(self, query: AppealQuery = AppealQuery()) -> int:  # noqa: B008  # frozen
        """How many appeals the query is about."""
        chosen = sa.select(sa.func.count()).select_from(_ROWS).where(*_conditions(query))
        with self._database.read() as connection:
            return int(connection.execute(chosen).scalar_one())

    def waiting(self) -> int:
        """How many decided liftings have yet to take effect."""
        chosen = sa.select(sa.func.count()).select_from(_ROWS).where(*WAITING)
        with self._database.read() as connection:
            return int(connection.execute(chosen).scalar_one())

    def states(self) -> dict[State, int]:
        """How many appeals there are in each state."""
        chosen = sa.select(_ROWS.c.state, sa.func.count()).group_by(_ROWS.c.state)
        found: dict[State, int] = {"open": 0, "upheld": 0, "lifted": 0}
        with self._database.read() as connection:
            return found | {row[0]: int(row[1]) for row in connection.execute(chosen)}

    def key_of(self, appeal: Appeal) -> int | None:
        """The number's key; None once it is forgotten."""
        return self._refs.key(appeal.number) if appeal.number else None

    def open_of(self, key: int) -> Appeal | None:
        """The appeal about a number that is not decided yet."""
        return next(iter(self.page(AppealQuery("open", self._refs.ref(key)), 1)), None)

    # Taking in

    def take(self, codes: Codes, proof: str, blocks: Sequence[Block], words: str, contact: str, now_ms: int) -> Appeal:
        """Take an appeal in and open its case; what was appealed with this proof, or waits already, stays one appeal.

        Raises:
            AppealRefused: says why.
        """
        words, contact = _said("words", words, LONGEST_WORDS), _said("contact", contact, LONGEST_CONTACT, least=0)
        with self._database.write() as connection:
            self._database.hold(connection, "appeals")
            proven: Proven = codes.proven(proof, now_ms)
            waiting = self.appeal(proven.appeal) if proven.appeal else self.open_of(proven.key)
            if waiting is not None:
                codes.used(proof, waiting.id)
                return waiting
            if not blocks:
                raise AppealRefused("not-blocked", "Nothing blocks this number.")
            receipt = new_receipt()
            case = self._case(proven.key, receipt, blocks, now_ms)
            city, operator = self._numbering.read(self._numbering.show(proven.key)).place
            appeal = Appeal(
                id=case.id,
                receipt=receipt,
                number=self._refs.ref(proven.key),
                city=city,
                operator=operator,
                blocks=tuple(blocks),
                words=words,
                contact=contact,
                state="open",
                found_ms=now_ms,
                due_ms=case.due_ms,
            )
            connection.execute(sa.insert(_ROWS).values(_row(appeal)))
            codes.used(proof, appeal.id)
            return appeal

    def _case(self, key: int, receipt: str, blocks: Sequence[Block], now_ms: int) -> Case:
        number = self._numbering.show(key)
        order = next((it.order for it in blocks if it.order), "")
        digits = "".join(c for c in number if c.isdigit() or c == "+")
        fields: dict[str, Value] = {"number": digits, "receipt": receipt}
        if order:
            fields["order"] = order
        title = f"误拦申诉 Appeal {self._numbering.mask(key)}"
        answer = self.cases.find(Finding(TYPE, title, fields, source="appeals", unit="申诉"), SYSTEM, now_ms)
        return self.cases.case(answer.case)

    # Deciding

    def decide(  # a decision's own parts
        self, id_: str, verdict: Verdict, reasons: str, blocks: Sequence[Block], actor: Actor, now_ms: int
    ) -> Appeal:
        """Decide an appeal: the block stays ("upheld") or is lifted. The same decision again changes nothing.

        Args:
            reasons: told to the appellant. blocks: what blocks the number now; judged with what did when it appealed.

        Raises:
            AppealRefused: says why. CaseRefused: its case does not allow it.
        """
        reasons = _said("reasons", reasons, LONGEST_REASONS)
        with self._database.write() as connection:
            self._database.hold(connection, "appeals")
            appeal = self.appeal(id_)
            if appeal.state != "open":
                if (appeal.state, appeal.who, appeal.reasons) == (verdict, actor.name, reasons):
                    return appeal
                raise AppealRefused("decided", f"{appeal.who} has decided it already.", where=id_)
            known = {it.name: it for it in (*appeal.blocks, *blocks)}
            appeal = msgspec.structs.replace(appeal, blocks=tuple(known.values()))
            self._check_who(appeal, actor)
            if verdict == "lifted" and not is_liftable(appeal.blocks, blocks):
                raise AppealRefused(
                    "shown",
                    "Others show this number: to allow it would let their calls in.",
                    where=id_,
                    fix="Uphold it where its own calls pass; else narrow the range, or move the rule, first.",
                )
            now_ms = max(now_ms, appeal.found_ms)
            decided = msgspec.structs.replace(
                appeal,
                state=verdict,
                who=actor.name,
                reasons=reasons,
                decided_ms=now_ms,
                plan=plan_of(appeal.blocks, now_ms, self._days) if verdict == "lifted" else Plan(),
            )
            connection.execute(sa.update(_ROWS).where(_ROWS.c.id == appeal.id).values(_row(decided)))
            self._tell_case(decided, actor, now_ms)
            after = {"state": verdict, "plan": decided.plan}
            deed = "appeals.uphold" if verdict == "upheld" else "appeals.lift"
            self._trail.record(
                actor.name, actor.address, deed, appeal.id, {"state": "open"}, after, reasons, now_ms=now_ms
            )
            return decided

    def _check_who(self, appeal: Appeal, actor: Actor) -> None:
        if any(actor.name in it.makers for it in appeal.blocks):
            what = "Who made the block does not judge it."
            raise AppealRefused("own-block", what, where=appeal.id, fix="Somebody else must decide.")

    def _tell_case(self, appeal: Appeal, actor: Actor, now_ms: int) -> None:
        """Take the case through what was decided; whoever may decide may take it."""
        case = self.cases.case(appeal.id)
        who = Actor(actor.name, actor.permissions | {"cases.assign", "cases.work"}, actor.address)
        if case.state == "found":
            self.cases.do(appeal.id, Request("assign", owner=actor.name, unit=case.unit), who, now_ms)
        if case.is_open:
            said = Request("amend", "裁定 decision", fields={"outcome": appeal.state})
            self.cases.do(appeal.id, said, who, now_ms)
        if case.state in {"found", "assigned"}:
            proofs = (Proof("reference", f"appeal:{appeal.id}"), Proof("statement", note=appeal.reasons))
            self.cases.do(appeal.id, Request("act", appeal.reasons, proofs=proofs), who, now_ms)
        else:
            self.cases.do(appeal.id, Request("comment", f"{appeal.state}: {appeal.reasons}"), who, now_ms)

    # Forgetting

    def forget(self, now_ms: int, days: int) -> int:
        """Forget who appealed, and in which words, so many days after the decision; returns how many."""
        gone = {"number": "", "words": "", "contact": "", "reasons": "", "blocks": "[]", "receipt": _ROWS.c.id}
        old = sa.and_(_ROWS.c.decided_ms < now_ms - days * _DAY_MS, _ROWS.c.number != "")
        done = sa.or_(_ROWS.c.state == "upheld", _ROWS.c.effect_ms.is_not(None))
        with self._database.write() as connection:
            return connection.execute(sa.update(_ROWS).where(old, done).values(gone)).rowcount


def wrongly_blocked(database: Database, refs: Refs) -> list[tuple[int, Appeal]]:
    """Keys of numbers that were blocked by mistake, as far as they are kept, each with its latest such appeal."""
    chosen = sa.select(_ROWS).where(_ROWS.c.state == "lifted", _ROWS.c.number != "").order_by(_ROWS.c.decided_ms)
    with database.read() as connection:
        rows = [appeal_of(row) for row in connection.execute(chosen)]
    latest = {appeal.number: appeal for appeal in rows}
    return [(key, it) for ref, it in latest.items() if (key := refs.key(ref)) is not None]


def _conditions(query: AppealQuery) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if query.state:
        found.append(_ROWS.c.state == query.state)
    if query.number:
        found.append(_ROWS.c.number == query.number)
    if query.late_ms:
        found += [_ROWS.c.state == "open", _ROWS.c.due_ms < query.late_ms]
    return found


def _said(what: Reason, text: str, most: int, least: int = 1) -> str:
    """A text that a person gave, as it is kept.

    Raises:
        AppealRefused: empty, too long, or with control letters.
    """
    kept = text.replace("\r\n", "\n").strip()
    if not least <= len(kept) <= most or not is_text(kept):
        raise AppealRefused(what, f"The text is empty, too long (most {most}), or holds control letters.", where=what)
    return kept


def _row(appeal: Appeal) -> dict[str, Any]:
    row = {name: getattr(appeal, name) for name in appeal.__struct_fields__}
    row |= {name: msgspec.json.encode(getattr(appeal, name)).decode() for name in ("blocks", "plan")}
    return row


def appeal_of(row: sa.Row[Any]) -> Appeal:
    """An appeal out of its row."""
    fields = dict(row._mapping)  # noqa: SLF001  # the library's public name for it
    fields["blocks"] = msgspec.json.decode(fields["blocks"], type=tuple[Block, ...])
    fields["plan"] = msgspec.json.decode(fields["plan"], type=Plan)
    return Appeal(**fields)
