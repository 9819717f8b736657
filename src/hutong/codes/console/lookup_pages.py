"""`/lookups`: orders that allow to look scans up, asked for and decided by two people; and look-ups under them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath  # noqa: TC002  # Litestar reads the annotation

from hutong.codes.console.colour_pages import READ
from hutong.codes.console.desk import is_bound
from hutong.codes.console.forms import (
    SIZE,
    AnyRequest,
    Form,
    Pages,
    after_of,
    local,
    moment_of,
    paged,
    paper_of,
    status_of,
    text_of,
    whole_of,
)
from hutong.codes.people.documents import KINDS as DOCUMENT_KINDS
from hutong.codes.scans.errors import ScanRefused
from hutong.codes.scans.lookup_model import LOOK_UP, MOVES, SCOPE_KINDS, STATES, Action, OrderWish, Scope, bases
from hutong.kernel.access.agencies import Agencies
from hutong.kernel.errors import HutongError
from hutong.kernel.web.console import see_other
from hutong.kernel.web.guard import requires

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.codes.console.desk import StaffDesk
    from hutong.codes.scans.lookup_model import LookupAnswer, LookupOrder, Seeker
    from hutong.kernel.web.console import Console

_DAY_S: Final = 86_400
_FIELDS: Final = (
    *("scope", "venue", "kind", "since", "until", "document", "basis", "basis_text", "reason", "days"),
    *("quiet_days", "quiet_why"),
)
#: Rows of an answer that a page shows: what is beyond is asked for by shorter times.
SHOWN: Final = 500


class LookupPages(Pages):
    """Orders of look-up, and look-ups."""

    def table(self, request: AnyRequest) -> Response[str]:
        """Orders that the viewer sees, what changed last first."""
        state, said = request.query_params.get("state", ""), after_of(request)
        state = state if state in STATES else ""
        rows = listed(self.desk, request, state, said, SIZE + 1)
        return self.console.page(
            request,
            "lookups.html",
            page=paged(request, rows, cursor_of, said),
            state=state,
            states=STATES,
            agencies=self.agencies(request),
        )

    def one(  # what a page may say besides
        self,
        request: AnyRequest,
        of: str,
        *,
        form: dict[str, str] | None = None,
        answer: LookupAnswer | None = None,
        trouble: str = "",
        status: int = 200,
    ) -> Response[str]:
        """One order, how it was used, what its reader may do with it; and what a look-up found."""
        order, seeker, zone = self.known(request, of), self.desk.seeker(request.user), self.console.zone(request)
        done = request.query_params.get("done", "")
        times = {"since": local(order.scope.since_ms, zone), "until": local(order.scope.until_ms, zone)}
        found = answer.found[:SHOWN] if answer is not None else ()
        return self.console.page(
            request,
            "lookup.html",
            status=status,
            order=order,
            bases=[bases()[it] for it in order.basis if it in bases()],
            used=self.desk.scanning.orders.used(of),
            may=_may(order, seeker),
            runs=_may_run(order, seeker, self.now_ms),
            agencies=self.agencies(request),
            venues=self._titles(
                {it.kept.venue for it in found} | ({order.scope.about} if order.scope.kind == "venue" else set())
            ),
            values=times | (form or {}),
            answer=answer,
            found=found,
            beyond=len(answer.found) - len(found) if answer is not None else 0,
            trouble=trouble,
            done=done if done in STATES else "",
        )

    def known(self, request: AnyRequest, of: str) -> LookupOrder:
        """The order of that id. Raises NotFoundException: there is none that this viewer sees."""
        try:
            return self.desk.scanning.orders.order(of, self.desk.seeker(request.user))
        except ScanRefused as refused:
            raise NotFoundException from refused

    def do(self, request: AnyRequest, of: str, action: Action, form: dict[str, str]) -> Response[Any]:
        """What a form of the page of an order asks for."""
        self.known(request, of)
        try:
            after = self.desk.scanning.orders.do(
                of,
                action,
                self.desk.seeker(request.user),
                self.now_ms,
                reason=text_of(form, "reason"),
                version=whole_of(form, "version"),
            )
        except HutongError as error:
            return self.one(request, of, trouble=self.trouble(request, error), status=status_of(error))
        return see_other(f"/lookups/{of}?done={after.state}")

    def run(self, request: AnyRequest, of: str, form: dict[str, str]) -> Response[str]:
        """A look-up: on the trail, carried out, people told; then shown."""
        order, zone = self.known(request, of), self.console.zone(request)
        values = {name: text_of(form, name) for name in ("since", "until", "purpose")}
        try:
            since_ms, until_ms = (moment_of(form, name, zone) for name in ("since", "until"))
            if not since_ms or not until_ms:
                raise ScanRefused("scope", "Say from when until when.", where="since")
            # A field shows minutes, an order may begin and end within one.
            first, last = order.scope.since_ms, order.scope.until_ms
            since_ms = max(since_ms, first)
            until_ms = last if until_ms == last // 60_000 * 60_000 else min(until_ms, last)
            wanted = Scope(kind=order.scope.kind, about=order.scope.about, since_ms=since_ms, until_ms=until_ms)
            answer = look_up(self.desk, request, of, wanted, values["purpose"], self.now_ms)
        except HutongError as error:
            trouble = self.trouble(request, error)
            return self.one(request, of, form=values, trouble=trouble, status=status_of(error))
        return self.one(request, of, form=values, answer=answer)

    def form(self, request: AnyRequest, values: dict[str, str], trouble: str = "") -> Response[str]:
        """The form of a request. The number of the document is not given back: it would stand in the page."""
        return self.filled(
            request,
            "lookup_new.html",
            values,
            trouble,
            scopes=SCOPE_KINDS,
            kinds=DOCUMENT_KINDS,
            bases=bases(),
            bounds=self.desk.scanning.orders.bounds,
        )

    def ask(self, request: AnyRequest, form: dict[str, str]) -> Response[Any]:
        """A request for an order, as the form says it."""
        values = {name: text_of(form, name) for name in _FIELDS}
        zone = self.console.zone(request)
        try:
            of_person = values["scope"] == "person"
            about = self.desk.person(paper_of(form)) if of_person else self._venue(values["venue"])
            since_ms, until_ms = (moment_of(form, name, zone) for name in ("since", "until"))
            wish = OrderWish(
                scope=Scope(kind="person" if of_person else "venue", about=about, since_ms=since_ms, until_ms=until_ms),
                document=values["document"],
                basis=(values["basis"],) if values["basis"] else (),
                basis_text=values["basis_text"],
                reason=values["reason"],
                term_s=whole_of(form, "days") * _DAY_S,
                quiet_s=whole_of(form, "quiet_days") * _DAY_S,
                quiet_why=values["quiet_why"],
            )
            order = self.desk.scanning.orders.request(wish, self.desk.seeker(request.user), self.now_ms)
        except HutongError as error:
            return self.form(request, values, self.trouble(request, error))
        return see_other(f"/lookups/{order.id}?done=requested")

    def agencies(self, request: AnyRequest) -> dict[str, str]:
        """Names of agencies in the reader's language."""
        lang = self.language(request)
        return {it.id: it.zh if lang == "zh" else it.en for it in Agencies(self.desk.database).all()}

    def _venue(self, said: str) -> str:
        """The id of a venue. Raises ScanRefused: "no-venue"."""
        return self.desk.scanning.venues.venue(said).id

    def _titles(self, ids: set[str]) -> dict[str, str]:
        return self.desk.scanning.venues.titles(ids)


def listed(desk: StaffDesk, request: AnyRequest, state: str, said: str, limit: int) -> list[LookupOrder]:
    """Orders that somebody sees; none for whom nobody has bound to an agency."""
    if not is_bound(request.user):
        return []
    ms, _, id_ = said.partition(".")
    whole = ms.isascii() and ms.isdigit() and len(ms) < len("10000000000000000")
    before = (int(ms), id_) if whole else None
    return desk.scanning.orders.listing(desk.seeker(request.user), limit, state, before)


def cursor_of(order: LookupOrder) -> str:
    """What the page after this order is asked with."""
    return f"{order.changed_ms}.{order.id}"


def look_up(desk: StaffDesk, request: AnyRequest, of: str, wanted: Scope, purpose: str, now_ms: int) -> LookupAnswer:
    """A look-up under an order. Raises ScanRefused: says why not; the trail has it, too."""
    said = " ".join(purpose.split())
    if not said or not said.isprintable():
        raise ScanRefused("no-reason", "Say what for, in a line.", where="purpose")
    return desk.scanning.desk.look_up(of, wanted, desk.seeker(request.user), said, now_ms)


def _may(order: LookupOrder, seeker: Seeker) -> dict[str, bool]:
    ours = seeker.agency in {"", order.agency}
    return {
        action: ours
        and move.who in seeker.permissions
        and order.state in move.sources
        and not (move.other and seeker.name == order.requested_by)
        and not (move.own and seeker.name != order.requested_by)
        for action, move in MOVES.items()
        if move.who and move.sources
    }


def _may_run(order: LookupOrder, seeker: Seeker, now_ms: int) -> bool:
    theirs = seeker.agency_kind is not None and seeker.agency == order.agency
    return theirs and LOOK_UP in seeker.permissions and order.state == "approved" and now_ms < order.ends_ms


def routes(console: Console, desk: StaffDesk) -> list[HTTPRouteHandler]:
    """`/lookups`."""
    it = LookupPages(console, desk)

    @get("/lookups", opt=requires(READ), sync_to_thread=True)
    def table(request: AnyRequest) -> Response[str]:
        return it.table(request)

    @get("/lookups/new", opt=requires("codes.lookup_request"), sync_to_thread=True)
    def new(request: AnyRequest) -> Response[str]:
        return it.form(request, {"scope": "venue", "days": "2", "venue": request.query_params.get("venue", "")[:100]})

    @post("/lookups/new", opt=requires("codes.lookup_request"), sync_to_thread=True, status_code=200)
    def ask(request: AnyRequest, data: Form) -> Response[Any]:
        return it.ask(request, data)

    @get("/lookups/{of:str}", opt=requires(READ), sync_to_thread=True)
    def one(request: AnyRequest, of: FromPath[str]) -> Response[str]:
        return it.one(request, of)

    @post("/lookups/{of:str}/run", opt=requires(LOOK_UP), sync_to_thread=True, status_code=200)
    def run(request: AnyRequest, of: FromPath[str], data: Form) -> Response[str]:
        return it.run(request, of, data)

    def deciding(action: Action) -> HTTPRouteHandler:
        @post(f"/lookups/{{of:str}}/{action}", opt=requires(MOVES[action].who), sync_to_thread=True, status_code=200)
        def decided(request: AnyRequest, of: FromPath[str], data: Form) -> Response[Any]:
            return it.do(request, of, action, data)

        return decided

    return [
        table,
        new,
        ask,
        one,
        run,
        *(deciding(action) for action, move in MOVES.items() if move.who and move.sources),
    ]
