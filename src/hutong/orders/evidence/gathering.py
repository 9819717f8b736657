"""Making a pack: the purpose goes on the trail first, then everything is gathered, then it is sealed."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import sqlalchemy as sa

from hutong.kernel.access.trail import Trail
from hutong.kernel.audit import log
from hutong.kernel.audit.notes import read_proof
from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.lists.targets import Target, describe
from hutong.kernel.numbering import digits_of, key_kind
from hutong.kernel.numbering.keys import KIND_NUMBER
from hutong.kernel.records import tables
from hutong.orders.errors import OrderRefused
from hutong.orders.evidence.material import Cut, Material, Story, Subject
from hutong.orders.evidence.pack import data_files, sealed
from hutong.orders.evidence.paper import papers
from hutong.orders.query import OrderQuery, covering

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.kernel.audit.checkpoints import Checkpoints
    from hutong.kernel.audit.notes import Signer
    from hutong.kernel.cases.model import Case
    from hutong.kernel.cases.store import Cases
    from hutong.kernel.records import Database
    from hutong.orders.evidence.material import CallsPort
    from hutong.orders.model import Actor, Order
    from hutong.orders.store import Orders

PERMISSION: Final = "evidence.pack"
_BEFORE_MS: Final = 30 * 86_400_000
_AFTER_MS: Final = 86_400_000
_SHORTEST: Final = 4
_LONGEST: Final = 500
_MOST_PROOFS: Final = 500
_MOST_ORDERS: Final = 100
#: Packs that one process makes at once. Each holds thousands of calls and sets four documents, which takes seconds of a
#: processor; threads that wait for their turn would be missing to every other page.
AT_ONCE: Final = 2


class Turns:
    """How many packs are made at once; who comes beyond that is told to come back. Safe for many threads.

    Args:
        most: so many.
    """

    def __init__(self, most: int = AT_ONCE) -> None:
        self._free = threading.Semaphore(most)

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """A turn.

        Raises:
            OrderRefused: "busy", there is none.
        """
        if not self._free.acquire(blocking=False):
            raise OrderRefused("busy", "Other packs are being made.", fix="Try again in a moment.")
        try:
            yield
        finally:
            self._free.release()


class EvidenceDesk:
    """Where packs are made.

    Args:
        database: open. orders, cases: of the same records. calls: where calls come from.
        checkpoints: prove entries of the trail. signer: the key of this data folder.
        turns: one for all desks of this process.
    """

    def __init__(  # what a pack is gathered from, one argument each
        self,
        database: Database,
        orders: Orders,
        cases: Cases,
        calls: CallsPort,
        checkpoints: Checkpoints,
        signer: Signer,
        turns: Turns,
    ) -> None:
        self._database, self._orders, self._cases, self._calls = database, orders, cases, calls
        self._checkpoints, self._signer, self._turns = checkpoints, signer, turns
        self._trail = Trail(database)

    def of_order(self, of: str, purpose: str, actor: Actor, now_ms: int) -> bytes:
        """The pack of an order: calls of its number from 30 days before the request to a day after its end.

        Raises:
            OrderRefused: there is none, no purpose, or no permission; too many packs are being made.
        """
        _check(actor, purpose)
        order = self._orders.order(of)
        keys = (order.key,) if order.target == "number" else ()
        since = order.requested_ms - _BEFORE_MS
        until = min(order.ended_ms + _AFTER_MS, now_ms) if order.ended_ms else now_ms
        subject = Subject(kind="order", id=of, title=_scope(order), keys=keys, since_ms=since, until_ms=until)
        cases: list[Case] = []
        if order.case:
            with contextlib.suppress(CaseRefused):  # it may name a case of another office
                cases = [self._cases.case(order.case)]
        return self._made(subject, [order], (), cases, purpose, actor, now_ms)

    def of_case(self, of: str, purpose: str, actor: Actor, now_ms: int) -> bytes:
        """The pack of a case: calls of the numbers in its fields since 30 days before it was found.

        Raises:
            OrderRefused: no purpose, or no permission; too many packs are being made.
            CaseRefused: there is no such case.
        """
        _check(actor, purpose)
        case = self._cases.case(of)
        keys = tuple(self._keys(case))
        subject = Subject(
            kind="case", id=of, title=case.title, keys=keys, since_ms=case.found_ms - _BEFORE_MS, until_ms=now_ms
        )
        orders, count = self._orders.listing(OrderQuery(case=of), limit=_MOST_ORDERS)
        return self._made(subject, orders, _cut("orders", len(orders), count), [case], purpose, actor, now_ms)

    def of_number(self, number: str, since_ms: int, until_ms: int, purpose: str, actor: Actor, now_ms: int) -> bytes:
        """The pack of a number and a period.

        Raises:
            OrderRefused: it is no number, the period is none, no purpose, no permission; too many packs are being made.
        """
        _check(actor, purpose)
        key = self._orders.numbering.read(number).key
        if key_kind(key) != KIND_NUMBER:
            raise OrderRefused("field", "This is no telephone number.", where="number")
        until_ms = min(until_ms, now_ms)
        if not 0 <= since_ms < until_ms:
            raise OrderRefused("field", "The period has no beginning before its end.", where="since")
        title = f"+{digits_of(key)}"
        subject = Subject(kind="number", title=title, keys=(key,), since_ms=since_ms, until_ms=until_ms)
        with self._database.read() as connection:
            known = covering(connection, key)
        orders = known[:_MOST_ORDERS]
        return self._made(subject, orders, _cut("orders", len(orders), len(known)), [], purpose, actor, now_ms)

    def _made(  # a pack's own parts
        self,
        subject: Subject,
        orders: list[Order],
        cuts: tuple[Cut, ...],
        cases: list[Case],
        purpose: str,
        actor: Actor,
        now_ms: int,
    ) -> bytes:
        with self._turns.taken():
            return self._gathered(subject, orders, cuts, cases, purpose, actor, now_ms)

    def _gathered(  # a pack's own parts
        self,
        subject: Subject,
        orders: list[Order],
        cuts: tuple[Cut, ...],
        cases: list[Case],
        purpose: str,
        actor: Actor,
        now_ms: int,
    ) -> bytes:
        target = subject.id or self._orders.name(subject.keys[0])
        after = {"kind": subject.kind, "since_ms": subject.since_ms, "until_ms": subject.until_ms}
        said = purpose.strip()
        row = self._trail.record(
            actor.name, actor.address, PERMISSION, target, after=after, purpose=said, now_ms=now_ms
        )
        proofs, entries, checkpoint = self._proofs([*(it.id for it in orders), *(it.id for it in cases)], row, now_ms)
        calls = self._calls.material(subject.keys, subject.since_ms, subject.until_ms)
        cut_calls = tuple(Cut(what="calls", number=number, kept=kept) for number, kept in calls.cut.items())
        material = Material(
            node=self._orders.node,
            made_ms=now_ms,
            made_by=actor.name,
            purpose=said,
            key=str(self._signer.public),
            subject=subject,
            calls=calls,
            orders=[self._order_story(it) for it in sorted(orders, key=lambda it: it.id)],
            cases=[self._case_story(it) for it in cases],
            proofs=proofs,
            entries=[_entry(number, proof) for number, proof in proofs.items()],
            checkpoint=checkpoint,
            cuts=(*cut_calls, *cuts, *_cut("proofs", len(proofs), entries)),
        )
        return sealed(material, data_files(material) | papers(material), self._signer)

    def _order_story(self, order: Order) -> Story:
        what = msgspec.to_builtins(order) | {"scope": _scope(order)}
        return Story(order.id, what, [msgspec.to_builtins(it) for it in self._orders.events(order.id)])

    def _case_story(self, case: Case) -> Story:
        events = [msgspec.to_builtins(it) for it in self._cases.events(case.id)]
        return Story(case.id, msgspec.to_builtins(case), events)

    def _keys(self, case: Case) -> list[int]:
        names = [it.name for it in self._cases.types[case.type].fields if it.kind == "number"]
        keys = [self._orders.numbering.read(str(case.fields.get(name, ""))).key for name in names]
        return [key for key in dict.fromkeys(keys) if key_kind(key) == KIND_NUMBER]

    def _proofs(self, targets: list[str], own: int, now_ms: int) -> tuple[dict[int, str], int, str]:
        """Proofs of what the trail has about orders and cases, and of the making of this pack, by number.

        Returns:
            The proofs, how many there would be of all, and the newest checkpoint.
        """
        about = sa.select(tables.trail.c.id).where(tables.trail.c.target.in_(targets), tables.trail.c.id != own)
        with self._database.read() as connection:
            rows = [*connection.execute(about.order_by(tables.trail.c.id).limit(_MOST_PROOFS)).scalars(), own]
            entries = int(connection.execute(sa.select(sa.func.count()).select_from(about.subquery())).scalar_one()) + 1
            numbers = sorted(set(log.numbers_of(connection, rows).values()))
        self._checkpoints.make(now_ms)
        proofs = {number: self._checkpoints.prove(number, now_ms) for number in numbers}
        last = self._checkpoints.last()
        return {number: proof.text() for number, proof in proofs.items()}, entries, last.note if last else ""


def _cut(what: Literal["orders", "proofs"], kept: int, there: int) -> tuple[Cut, ...]:
    return (Cut(what=what, kept=kept, of=there),) if there > kept else ()


def _entry(number: int, proof: str) -> dict[str, Any]:
    entry: dict[str, Any] = msgspec.json.decode(read_proof(proof).entry)
    return {"number": number} | entry


def _scope(order: Order) -> str:
    return describe(Target(order.target, order.key, order.last))


def _check(actor: Actor, purpose: str) -> None:
    if PERMISSION not in actor.permissions:
        raise OrderRefused("not-allowed", f"This needs the permission {PERMISSION}.")
    if not _SHORTEST <= len(purpose.strip()) <= _LONGEST:
        raise OrderRefused(
            "no-reason", "A pack needs its purpose: what for, which case, which request.", where="purpose"
        )
