"""`/orders`: what waits for approval, what is in force; one order with its story; asking, deciding, lifting, packs."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Request, Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, URLEncodedBody
from litestar.response import Stream  # noqa: TC002  # Litestar reads the annotation

from hutong.kernel.cases import purview
from hutong.kernel.errors import HutongError
from hutong.kernel.numbering.keys import KIND_NUMBER, key_kind
from hutong.kernel.reporter import masked
from hutong.kernel.web.console import see_other
from hutong.kernel.web.exports import asks_export
from hutong.kernel.web.guard import requires
from hutong.kernel.web.tables import Column, Filter, TableSpec, TableView, export_csv, read_query, stamp
from hutong.kernel.web.unmasking import PURPOSES, Unmasking, put_on_trail, read_form
from hutong.orders.bases import bases
from hutong.orders.errors import OrderRefused
from hutong.orders.model import KINDS, ROLES, STATES, Action, Actor, Deed, Wish
from hutong.orders.query import COUNTED, OrderQuery
from hutong.orders.table import MOVES
from hutong.orders.words import Shown, masked_scope, refusal, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from zoneinfo import ZoneInfo

    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.access.trail import Trail
    from hutong.kernel.web.console import Console
    from hutong.kernel.web.tables import TableQuery
    from hutong.orders.desk import OrderDesk
    from hutong.orders.evidence.gathering import EvidenceDesk
    from hutong.orders.model import Order, OrderEvent

AnyRequest = Request[Any, Any, Any]
Form = URLEncodedBody[dict[str, str]]

DONE: Final = ("requested", "approved", "declined", "withdrawn", "lifted")
#: Orders that end so soon stand on the overview.
SOON_MS: Final = 7 * 86_400_000
_SHOWN: Final = 20
_DAY_S: Final = 86_400
_REFUSED: Final = 422
_GONE: Final = 409
_BUSY: Final = 503
_LONGEST: Final = 1000
_FIELDS: Final = (
    "kind", "target", "role", "agency", "document", "basis", "basis_text", "reason", "begins", "days", "per_hour",
    "confirmed", "case", "key",
)  # fmt: skip
_EXPORTED: Final = (
    *("orders.column.id", "orders.column.kind", "orders.column.scope", "orders.field.agency", "orders.field.document"),
    *("orders.column.state", "orders.field.begins", "orders.column.ends", "orders.column.changed"),
)

TABLE: Final = TableSpec(
    id="orders",
    columns=(
        Column("kind", "orders.column.kind", sortable=False),
        Column("scope", "orders.column.scope", sortable=False),
        Column("agency", "orders.column.agency", sortable=False),
        Column("state", "orders.column.state", sortable=False),
        Column("ends", "orders.column.ends"),
        Column("changed", "orders.column.changed"),
    ),
    filters=(
        Filter("state", "orders.column.state", "choice", tuple((it, f"orders.state.{it}") for it in STATES)),
        Filter("kind", "orders.column.kind", "choice", tuple((it, f"orders.kind.{it}") for it in KINDS)),
        Filter("text", "orders.find_document"),
    ),
    sort="changed",
    descending=True,
)


class Pages:
    """What the pages of orders share.

    Args:
        console: makes the pages. desk: where orders are asked for and decided. trail: who saw which number.
        evidence: makes packs, when it is asked.
    """

    def __init__(self, console: Console, desk: OrderDesk, trail: Trail, evidence: Callable[[], EvidenceDesk]) -> None:
        self.console, self.desk, self.trail, self.evidence = console, desk, trail, evidence

    # Lists

    def overview(self, request: AnyRequest) -> Response[str]:
        """What waits, what is not yet in force, what ends soon, and the table of all."""
        orders, now_ms = self.desk.orders, self.console.now_ms()
        query = read_query(TABLE, dict(request.query_params))
        rows, count = orders.listing(_wanted(query), query.size, query.offset)
        view = TableView(
            TABLE,
            query,
            self._shown(rows),
            total=count if count <= COUNTED else None,
            more=query.offset + len(rows) < count,
        )
        waiting, waits = orders.listing(OrderQuery(states=("requested",)), _SHOWN)
        slow, _ = orders.listing(OrderQuery(states=("approved",)), _SHOWN)
        ending, in_force = orders.listing(OrderQuery(states=("in-force",), sort="ends"), _SHOWN)
        soon = [it for it in ending if it.ends_ms < now_ms + SOON_MS]
        return self.console.page(
            request,
            "orders.html",
            view=view,
            in_force=in_force,
            waits=waits,
            waiting=self._shown(waiting),
            slow=self._shown(slow),
            soon=self._shown(soon),
            soon_days=SOON_MS // 86_400_000,
        )

    def export(self, request: AnyRequest) -> Stream:
        """All orders that the filters leave, numbers masked; on the trail first."""
        query = read_query(TABLE, dict(request.query_params))
        viewer, now_ms = request.user, self.console.now_ms()
        self.trail.record(viewer.name, viewer.address, "tables.export", "orders", after=query.filters, now_ms=now_ms)
        header = [self.console.say(request, key) for key in _EXPORTED]
        return export_csv("orders", header, self._cells(request, query))

    def _cells(self, request: AnyRequest, query: TableQuery) -> Iterator[tuple[object, ...]]:
        zone, say, numbering = self.console.zone(request), self.console.say, self.desk.orders.numbering
        for it in self.desk.orders.every(_wanted(query)):
            kind, state = say(request, f"orders.kind.{it.kind}"), say(request, f"orders.state.{it.state}")
            moments = [stamp(ms or None, zone) for ms in (it.starts_ms, it.ends_ms, it.changed_ms)]
            yield it.id, kind, masked_scope(it, numbering), it.agency, it.document, state, *moments

    def search(self, request: AnyRequest, text: str) -> Response[str]:
        """Orders whose scope covers a number; it is not in the address, which is logged."""
        key = self.desk.orders.numbering.read(text[:64]).key
        known = key_kind(key) == KIND_NUMBER
        found, _ = self.desk.orders.listing(OrderQuery(number=key), 100) if known else ([], 0)
        target = self.desk.orders.numbering.mask(key) if known else ""
        status = 200 if known else _REFUSED
        return self.console.page(request, "orders_search.html", status=status, rows=self._shown(found), target=target)

    def _shown(self, orders: list[Order]) -> list[Shown]:
        return [shown(it, self.desk.orders.numbering) for it in orders]

    # One order

    def one(  # what a page may say besides
        self,
        request: AnyRequest,
        of: str,
        *,
        trouble: str = "",
        status: int = 200,
        said: Unmasking = Unmasking(),  # noqa: B008  # frozen
        whole: bool = False,
    ) -> Response[str]:
        """An order with its whole story, and what its reader may do with it."""
        order = self.known(of)
        viewer = request.user
        may = {
            action: viewer.can(move.who)
            and order.state in move.sources
            and not (move.other and viewer.name == order.requested_by)
            and not (move.own and viewer.name != order.requested_by)
            for action, move in MOVES.items()
            if move.who and move.sources
        }
        done = request.query_params.get("done", "")
        return self.console.page(
            request,
            "orders_one.html",
            status=status,
            row=shown(order, self.desk.orders.numbering, whole=whole),
            events=[_told(it, whole=whole) for it in self.desk.orders.events(of)],
            bases=bases(),
            may=may,
            own=viewer.name == order.requested_by,
            trouble=trouble,
            done=done if done in DONE else "",
            said=said,
            purposes=PURPOSES,
            key=secrets.token_hex(8),
        )

    def known(self, of: str) -> Order:
        """The order of that id.

        Raises:
            NotFoundException: there is none.
        """
        try:
            return self.desk.orders.order(of)
        except OrderRefused as refused:
            raise NotFoundException from refused

    def do(self, request: AnyRequest, of: str, action: Action, form: dict[str, str]) -> Response[Any]:
        """What a form of the page of an order asks for."""
        self.known(of)
        reason = form.get("reason", "").strip()[:_LONGEST]
        deed = Deed(action, reason, confirmed=form.get("confirmed") == "yes")
        version = form.get("version", "")
        seen = int(version) if version.isascii() and version.isdigit() and len(version) < len("1000000000") else 0
        try:
            key = form.get("key", "")[:40]
            answer = self.desk.do(of, deed, actor_of(request), self.console.now_ms(), version=seen, key=key)
        except OrderRefused as refused:
            status = _GONE if refused.reason in {"changed-meanwhile", "not-from-here", "taken"} else _REFUSED
            return self.one(request, of, trouble=self.refusal(request, refused), status=status)
        return see_other(f"/orders/{of}?done={answer.state}")

    def unmask(self, request: AnyRequest, of: str, form: dict[str, str]) -> Response[str]:
        """The page with whole numbers, once the purpose is on the trail."""
        order, said = self.known(of), read_form(form)
        if said.trouble:
            return self.one(request, of, said=said, status=_REFUSED)
        numbers = [self.desk.orders.name(key) for key in (order.key, order.last) if key]
        put_on_trail(self, request, said, f"orders/{of}", numbers=numbers)
        return self.one(request, of, said=said, whole=True)

    def pack(self, request: AnyRequest, of: str, form: dict[str, str]) -> Response[Any]:
        """The evidence pack of an order, as a download."""
        self.known(of)
        try:
            made = self.evidence().of_order(of, form.get("purpose", ""), actor_of(request), self.console.now_ms())
        except OrderRefused as refused:
            return self.one(request, of, trouble=self.refusal(request, refused), status=_status(refused))
        except HutongError as error:
            return self.one(request, of, trouble=masked(str(error)), status=_REFUSED)
        return packed(made, of)

    def packs(
        self, request: AnyRequest, form: dict[str, str], trouble: str = "", status: int = _REFUSED
    ) -> Response[str]:
        """The form for packs of a case, or of a number and a period."""
        values = {name: form.get(name, "") for name in ("case", "since", "until", "purpose")}
        status = status if trouble else 200
        return self.console.page(request, "orders_packs.html", status=status, values=values, trouble=trouble)

    def pack_of(self, request: AnyRequest, form: dict[str, str]) -> Response[Any]:
        """The pack of a case, or of a number and a period, as a download. Numbers are not in the address."""
        purpose, actor, now_ms = form.get("purpose", ""), actor_of(request), self.console.now_ms()
        case, number = form.get("case", "").strip()[:100], form.get("number", "").strip()[:64]
        if bool(case) == bool(number):
            return self.packs(request, form, self.refusal(request, OrderRefused("field", "Name one.", where="case")))
        try:
            if case:
                return packed(self.evidence().of_case(case, purpose, actor, now_ms), case)
            since_ms, until_ms = (
                _moment(form.get(name, ""), self.console.zone(request), name) for name in ("since", "until")
            )
            made = self.evidence().of_number(number, since_ms, until_ms or now_ms, purpose, actor, now_ms)
            return packed(made, "number")
        except OrderRefused as refused:
            return self.packs(request, form, self.refusal(request, refused), _status(refused))
        except HutongError as error:
            return self.packs(request, form, masked(str(error)))

    def refusal(self, request: AnyRequest, refused: OrderRefused) -> str:
        """Why something was refused, in the reader's language."""
        return refusal(refused, lambda key, **places: self.console.say(request, key, **places))

    # Asking

    def form(self, request: AnyRequest, values: dict[str, str], trouble: str = "", field: str = "") -> Response[str]:
        """The form of a request."""
        return self.console.page(
            request,
            "orders_new.html",
            status=_REFUSED if trouble else 200,
            values=values,
            trouble=trouble,
            field=field,
            kinds=KINDS,
            roles=ROLES,
            bases=bases(),
            longest=self.desk.orders.bounds.longest_days,
        )

    def ask(self, request: AnyRequest, form: dict[str, str]) -> Response[Any]:
        """A request for an order, as the form says it."""
        values = {name: form.get(name, "")[:_LONGEST] for name in _FIELDS}
        try:
            wish = self._wish(request, values)
            answer = self.desk.request(wish, actor_of(request), self.console.now_ms(), key=values["key"][:40])
        except OrderRefused as refused:
            return self.form(request, values, self.refusal(request, refused), refused.where)
        return see_other(f"/orders/{answer.order}?done=requested")

    def _wish(self, request: AnyRequest, values: dict[str, str]) -> Wish:
        begins_ms = _moment(values["begins"], self.console.zone(request), "begins_ms")
        said = {name: values[name] for name in ("kind", "target", "role", "agency", "document", "reason", "case")}
        numbers = {"term_s": _whole(values["days"]) * _DAY_S, "per_hour": _whole(values["per_hour"])}
        more = {"basis": [values["basis"]] if values["basis"] else [], "basis_text": values["basis_text"]}
        try:
            fields = said | numbers | more | {"begins_ms": begins_ms, "confirmed": values["confirmed"] == "yes"}
            return msgspec.convert(fields, Wish)
        except msgspec.ValidationError as error:
            raise OrderRefused("field", str(error), where="kind") from error


def _wanted(query: TableQuery) -> OrderQuery:
    """Which orders the table is about."""
    return OrderQuery(
        states=(query.filters["state"],) if "state" in query.filters else (),  # type: ignore[arg-type]  # a choice
        kind=query.filters.get("kind", ""),  # type: ignore[arg-type]  # a choice
        text=query.filters.get("text", ""),
        sort="ends" if query.sort == "ends" else "changed",
    )


def _told(event: OrderEvent, *, whole: bool) -> OrderEvent:
    """An event as its reader sees it: what people wrote may hold numbers."""
    said = event.said if whole else {name: masked(it) if isinstance(it, str) else it for name, it in event.said.items()}
    return msgspec.structs.replace(event, said=said)


def _moment(text: str, zone: ZoneInfo, where: str) -> int:
    """Ms since 1970 of a field's time in a zone; 0 where it is empty.

    Raises:
        OrderRefused: it is none; `where` names the field.
    """
    if not text:
        return 0
    try:
        return max(round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000), 1)
    except (ValueError, OverflowError):
        raise OrderRefused("field", "This is no time.", where=where) from None


def _status(refused: OrderRefused) -> int:
    return _BUSY if refused.reason == "busy" else _REFUSED


def packed(made: bytes, name: str) -> Response[bytes]:
    """A pack as a download."""
    headers = {"Content-Disposition": f'attachment; filename="evidence-{name}.zip"', "Cache-Control": "no-store"}
    return Response(made, media_type="application/zip", headers=headers)


def actor_of(request: AnyRequest) -> Actor:
    """Who asks."""
    return purview.actor_of(request.user)


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < len("1000000") else 0


def routes(
    console: Console, *, desk: OrderDesk, trail: Trail, evidence: Callable[[], EvidenceDesk]
) -> list[HTTPRouteHandler]:
    """Everything under `/orders`; the arguments are `Pages`'."""
    it = Pages(console, desk, trail, evidence)

    @get("/orders", opt=requires("orders.read"), sync_to_thread=True)
    def overview(request: AnyRequest) -> Response[str] | Stream:
        return it.export(request) if asks_export(request) else it.overview(request)

    @post("/orders/search", opt=requires("orders.read"), sync_to_thread=True, status_code=200)
    def search(request: AnyRequest, data: Form) -> Response[str]:
        return it.search(request, data.get("number", ""))

    @get("/orders/new", opt=requires("orders.request"), sync_to_thread=True)
    def new(request: AnyRequest) -> Response[str]:
        return it.form(
            request, {"key": secrets.token_hex(8), "days": "30", "case": request.query_params.get("case", "")}
        )

    @post("/orders/new", opt=requires("orders.request"), sync_to_thread=True, status_code=200)
    def ask(request: AnyRequest, data: Form) -> Response[Any]:
        return it.ask(request, data)

    @get("/orders/packs", opt=requires("evidence.pack"), sync_to_thread=True)
    def packs(request: AnyRequest) -> Response[str]:
        return it.packs(request, dict(request.query_params))

    @post("/orders/packs", opt=requires("evidence.pack"), sync_to_thread=True, status_code=200)
    def pack_of(request: AnyRequest, data: Form) -> Response[Any]:
        return it.pack_of(request, data)

    @get("/orders/{of:str}", opt=requires("orders.read"), sync_to_thread=True)
    def one(request: AnyRequest, of: FromPath[str]) -> Response[str]:
        return it.one(request, of)

    @post("/orders/{of:str}", opt=requires("numbers.unmask"), sync_to_thread=True, status_code=200)
    def unmask(request: AnyRequest, of: FromPath[str], data: Form) -> Response[str]:
        return it.unmask(request, of, data)

    @post("/orders/{of:str}/pack", opt=requires("evidence.pack"), sync_to_thread=True, status_code=200)
    def pack(request: AnyRequest, of: FromPath[str], data: Form) -> Response[Any]:
        return it.pack(request, of, data)

    return [overview, search, new, ask, packs, pack_of, one, unmask, pack, *_deciding(it)]


def _deciding(it: Pages) -> list[HTTPRouteHandler]:
    """A route for each action that a person may ask, with its own permission."""

    @post("/orders/{of:str}/approve", opt=requires("orders.approve"), sync_to_thread=True, status_code=200)
    def approve(request: AnyRequest, of: FromPath[str], data: Form) -> Response[Any]:
        return it.do(request, of, "approve", data)

    @post("/orders/{of:str}/decline", opt=requires("orders.approve"), sync_to_thread=True, status_code=200)
    def decline(request: AnyRequest, of: FromPath[str], data: Form) -> Response[Any]:
        return it.do(request, of, "decline", data)

    @post("/orders/{of:str}/withdraw", opt=requires("orders.request"), sync_to_thread=True, status_code=200)
    def withdraw(request: AnyRequest, of: FromPath[str], data: Form) -> Response[Any]:
        return it.do(request, of, "withdraw", data)

    @post("/orders/{of:str}/lift", opt=requires("orders.lift"), sync_to_thread=True, status_code=200)
    def lift(request: AnyRequest, of: FromPath[str], data: Form) -> Response[Any]:
        return it.do(request, of, "lift", data)

    return [approve, decline, withdraw, lift]
