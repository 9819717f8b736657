"""`/appeals`: what must be decided first, one appeal with the block's whole story, and the decision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from litestar import Request, Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, URLEncodedBody
from litestar.response import Stream  # noqa: TC002  # Litestar reads the annotation

from hutong.appeals.model import LONGEST_REASONS, AppealRefused, is_liftable
from hutong.appeals.store import AppealQuery
from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.cases.purview import actor_of
from hutong.kernel.cases.table import MOVES
from hutong.kernel.web.console import see_other
from hutong.kernel.web.exports import asks_export
from hutong.kernel.web.guard import requires
from hutong.kernel.web.tables import Column, Filter, TableSpec, TableView, export_csv, read_query, stamp, within

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litestar.handlers import HTTPRouteHandler

    from hutong.appeals.desk import AppealDesk
    from hutong.appeals.model import Appeal, Verdict
    from hutong.kernel.access.trail import Trail
    from hutong.kernel.web.console import Console

AnyRequest = Request[Any, Any, Any]
Form = URLEncodedBody[dict[str, str]]
STATES: Final = ("open", "upheld", "lifted")
_EXPORTED: Final = ("id", "receipt", "number", "state", "found", "due", "decided", "who", "effect")
TABLE: Final = TableSpec(
    id="appeals",
    columns=tuple(Column(it, f"appeals.{it}", sortable=False) for it in ("due", "number", "why", "words", "state")),
    filters=(Filter("state", "appeals.state", "choice", tuple((it, f"appeals.of.{it}") for it in STATES)),),
)


class Pages:
    """What the pages share.

    Args:
        console: makes the pages. desk: decides. trail: an export goes there first.
    """

    def __init__(self, console: Console, desk: AppealDesk, trail: Trail) -> None:
        self._console, self._desk, self._trail = console, desk, trail

    def table(self, request: AnyRequest) -> Response[str]:
        """A page of the table; a page beyond the end gives the last one."""
        query = read_query(TABLE, request.query_params)
        wanted = AppealQuery(query.filters.get("state", ""))
        store, now_ms = self._desk.store, self._console.now_ms()
        total = store.count(wanted)
        query = within(query, total)
        rows = store.page(wanted, query.size, query.offset)
        return self._console.page(
            request,
            "appeals.html",
            view=TableView(TABLE, query, rows, total=total, more=query.offset + len(rows) < total),
            states=store.states(),
            late=store.count(AppealQuery(late_ms=now_ms)),
            number=self._desk.number,
        )

    def export(self, request: AnyRequest) -> Stream:
        """All that the filters leave, the latest first, numbers masked; on the trail."""
        query = read_query(TABLE, request.query_params)
        viewer, now_ms = request.user, self._console.now_ms()
        self._trail.record(viewer.name, viewer.address, "tables.export", "appeals", after=query.filters, now_ms=now_ms)
        header = [self._console.say(request, f"appeals.{key}") for key in _EXPORTED]
        return export_csv("appeals", header, self._cells(request, AppealQuery(query.filters.get("state", ""))))

    def _cells(self, request: AnyRequest, wanted: AppealQuery) -> Iterator[tuple[object, ...]]:
        zone, say = self._console.zone(request), self._console.say
        for it in self._desk.store.every(wanted):
            moments = [stamp(ms, zone) for ms in (it.found_ms, it.due_ms, it.decided_ms)]
            state = say(request, f"appeals.of.{it.state}")
            yield it.id, it.receipt, self._desk.number(it), state, *moments, it.who, stamp(it.effect_ms, zone)

    def one(self, request: AnyRequest, id_: str, wrong: str = "", reasons: str = "") -> Response[str]:
        """An appeal, what blocked its number then and blocks it now, and its case's story.

        Raises:
            NotFoundException: there is none.
        """
        appeal = self._appeal(id_)
        now_ms = self._console.now_ms()
        own = any(request.user.name in it.makers for it in appeal.blocks)
        now = self._desk.now(appeal, now_ms)
        return self._console.page(
            request,
            "appeal_one.html",
            status=422 if wrong else 200,
            it=appeal,
            number=self._desk.number(appeal),
            now=now,
            liftable=is_liftable(appeal.blocks, now),
            late=appeal.is_late(now_ms),
            events=self._desk.events(appeal),
            moves=MOVES,
            own=own,
            may=request.user.can("appeals.decide") and appeal.state == "open" and not own,
            wrong=wrong,
            reasons=reasons,
            longest=LONGEST_REASONS,
        )

    def _appeal(self, id_: str) -> Appeal:
        try:
            return self._desk.store.appeal(id_)
        except AppealRefused as error:
            raise NotFoundException("There is no such appeal.") from error

    def decide(self, request: AnyRequest, id_: str, form: dict[str, str]) -> Response[str]:
        """A decision."""
        self._appeal(id_)
        outcome, reasons = form.get("outcome", ""), form.get("reasons", "")
        if outcome not in {"upheld", "lifted"}:
            return self.one(request, id_, "outcome", reasons)
        try:
            actor = actor_of(request.user)
            self._desk.decide(id_, cast("Verdict", outcome), reasons, actor, self._console.now_ms())
        except (AppealRefused, CaseRefused) as error:
            return self.one(request, id_, error.reason, reasons)
        return see_other(f"/appeals/{id_}")


def routes(console: Console, *, desk: AppealDesk, trail: Trail) -> list[HTTPRouteHandler]:
    """`/appeals`, `/appeals/{id}`."""
    pages = Pages(console, desk, trail)

    @get("/appeals", sync_to_thread=True, opt=requires("appeals.read"))
    def table(request: AnyRequest) -> Response[str] | Stream:
        return pages.export(request) if asks_export(request) else pages.table(request)

    @get("/appeals/{id_:str}", sync_to_thread=True, opt=requires("appeals.read"))
    def one(request: AnyRequest, id_: FromPath[str]) -> Response[str]:
        return pages.one(request, id_)

    @post("/appeals/{id_:str}/decision", sync_to_thread=True, opt=requires("appeals.decide"), status_code=200)
    def decide(request: AnyRequest, id_: FromPath[str], data: Form) -> Response[str]:
        return pages.decide(request, id_, data)

    return [table, one, decide]
