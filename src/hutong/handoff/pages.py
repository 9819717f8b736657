"""`/handoffs`: who was handed over to the dissuasion desk, what became of it, and answers by people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Request, Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, URLEncodedBody
from litestar.response import Stream  # noqa: TC002  # Litestar reads the annotation

from hutong.handoff.model import ANSWERS, LONGEST_NOTE, HandoffRefused, Outcome
from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.cases.purview import actor_of
from hutong.kernel.web.console import see_other
from hutong.kernel.web.exports import asks_export
from hutong.kernel.web.guard import requires
from hutong.kernel.web.tables import Column, Filter, TableSpec, TableView, export_csv, read_query, stamp, within

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from litestar.handlers import HTTPRouteHandler

    from hutong.handoff.model import Handoff
    from hutong.handoff.store import Handoffs
    from hutong.kernel.access.trail import Trail
    from hutong.kernel.numbering import Numbering
    from hutong.kernel.web.console import Console

HOME: Final = Path(__file__).resolve().parent
AnyRequest = Request[Any, Any, Any]
Form = URLEncodedBody[dict[str, str]]
_EXPORTED: Final = ("id", "time", "number", "why", "state", "delivered", "answered", "by", "saved", "lost", "note")
_FIELDS: Final = ("answer", "saved", "lost", "note")
_CHOICES: Final = tuple((it, f"handoffs.of.{it}") for it in ("none", *ANSWERS))
TABLE: Final = TableSpec(
    id="handoffs",
    columns=(
        *(Column(it, f"handoffs.{it}", sortable=False) for it in ("time", "number", "why", "state")),
        *(Column(it, f"handoffs.{it}", sortable=False, number=True) for it in ("saved", "lost")),
    ),
    filters=(Filter("answer", "handoffs.state", "choice", _CHOICES),),
)


class Pages:
    """What the pages share.

    Args:
        console: makes the pages. handoffs: in the records. numbering: masks numbers. trail: exports go there first.
        enabled: whether there is a desk to hand over to.
    """

    def __init__(
        self, console: Console, handoffs: Handoffs, numbering: Numbering, trail: Trail, *, enabled: bool
    ) -> None:
        self._console, self._handoffs, self._numbering, self._trail = console, handoffs, numbering, trail
        self._enabled = enabled

    def number(self, handoff: Handoff) -> str:
        """The person's number, masked; empty once it is forgotten."""
        key = self._handoffs.key_of(handoff)
        return "" if key is None else self._numbering.mask(key)

    def table(self, request: AnyRequest) -> Response[str]:
        """A page of the table; a page beyond the end gives the last one."""
        query = read_query(TABLE, request.query_params)
        answer = query.filters.get("answer", "")
        total = self._handoffs.count(answer)
        query = within(query, total)
        rows = self._handoffs.page(answer, query.size, query.offset)
        return self._console.page(
            request,
            "handoffs.html",
            view=TableView(TABLE, query, rows, total=total, more=query.offset + len(rows) < total),
            totals=self._handoffs.totals(),
            number=self.number,
            enabled=self._enabled,
        )

    def export(self, request: AnyRequest) -> Stream:
        """All that the filters leave, numbers masked; on the trail."""
        query = read_query(TABLE, request.query_params)
        viewer, now_ms = request.user, self._console.now_ms()
        self._trail.record(viewer.name, viewer.address, "tables.export", "handoffs", after=query.filters, now_ms=now_ms)
        header = [self._console.say(request, f"handoffs.{key}") for key in _EXPORTED]
        return export_csv("handoffs", header, self._cells(request, query.filters.get("answer", "")))

    def _cells(self, request: AnyRequest, answer: str) -> Iterator[tuple[object, ...]]:
        zone, say, language = self._console.zone(request), self._console.say, self._console.language(request)
        for it in self._handoffs.every(answer):
            why, state = it.victim.title.get(language, it.condition), say(request, f"handoffs.of.{it.state}")
            moments = (stamp(it.delivered_ms, zone), stamp(it.answered_ms, zone))
            told = (it.answered_by, it.saved, it.lost, it.note)
            yield it.id, stamp(it.found_ms, zone), self.number(it), why, state, *moments, *told

    def one(
        self, request: AnyRequest, id_: str, wrong: str = "", typed: Mapping[str, str] | None = None
    ) -> Response[str]:
        """A hand-off and the form of its answer, with what was typed where it was refused.

        Raises:
            NotFoundException: there is none.
        """
        try:
            handoff = self._handoffs.handoff(id_)
        except HandoffRefused as error:
            raise NotFoundException("There is no such hand-off.") from error
        return self._console.page(
            request,
            "handoff_one.html",
            status=422 if wrong else 200,
            it=handoff,
            number=self.number(handoff),
            answers=ANSWERS,
            wrong=wrong,
            said=typed or {name: str(getattr(handoff, name)) for name in _FIELDS},
            longest=LONGEST_NOTE,
        )

    def answer(self, request: AnyRequest, id_: str, form: dict[str, str]) -> Response[str]:
        """An answer that a person gives."""
        typed = {name: form.get(name, "") for name in _FIELDS}
        said = typed | {name: typed[name].strip() or "0" for name in ("saved", "lost")}
        try:
            outcome = msgspec.convert(said, Outcome, strict=False)
        except msgspec.ValidationError:
            return self.one(request, id_, "form", typed)
        try:
            self._handoffs.answer(id_, outcome, actor_of(request.user), self._console.now_ms())
        except (HandoffRefused, CaseRefused) as error:
            return self.one(request, id_, error.reason, typed)
        return see_other(f"/handoffs/{id_}")


def routes(pages: Pages) -> list[HTTPRouteHandler]:
    """`/handoffs`, `/handoffs/{id}`."""

    @get("/handoffs", sync_to_thread=True, opt=requires("handoffs.read"))
    def table(request: AnyRequest) -> Response[str] | Stream:
        return pages.export(request) if asks_export(request) else pages.table(request)

    @get("/handoffs/{id_:str}", sync_to_thread=True, opt=requires("handoffs.read"))
    def one(request: AnyRequest, id_: FromPath[str]) -> Response[str]:
        return pages.one(request, id_)

    @post("/handoffs/{id_:str}/outcome", sync_to_thread=True, opt=requires("handoffs.answer"), status_code=200)
    def answer(request: AnyRequest, id_: FromPath[str], data: Form) -> Response[str]:
        return pages.answer(request, id_, data)

    return [table, one, answer]
