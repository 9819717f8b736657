"""`/colours`: how many people have which colour, why one of them has theirs, the rules, and changes by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath  # noqa: TC002  # Litestar reads the annotation

from hutong.codes.console.desk import is_bound
from hutong.codes.console.forms import (
    REFUSED,
    SIZE,
    AnyRequest,
    Form,
    Pages,
    after_of,
    paged,
    paper_of,
    status_of,
    text_of,
    whole_of,
)
from hutong.codes.people.documents import KINDS as DOCUMENT_KINDS
from hutong.codes.status.bases import bases
from hutong.codes.status.changes import HOUSE, MOVES, STATES, Action, Wish
from hutong.codes.status.colour_rules import COLOURS, check_rules
from hutong.codes.status.errors import StatusRefused
from hutong.codes.status.listings import ChangeQuery
from hutong.codes.status.loading import samples_of
from hutong.kernel.access.agencies import Agencies
from hutong.kernel.errors import HutongError, RuleError
from hutong.kernel.web.console import see_other
from hutong.kernel.web.guard import requires

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.codes.console.desk import Explained, StaffDesk
    from hutong.codes.status.changes import Change
    from hutong.codes.status.loading import ShownSample
    from hutong.kernel.web.console import Console

READ: Final = "codes.read"
_DAY_S: Final = 86_400
_FIELDS: Final = ("kind", "colour", "reason", "basis", "document", "days")


class ColourPages(Pages):
    """Colours."""

    def overview(
        self, request: AnyRequest, form: dict[str, str] | None = None, found: Explained | None = None, trouble: str = ""
    ) -> Response[str]:
        """Figures, what waits for a decision, and the way to why somebody has their colour."""
        form, viewer = form or {}, request.user
        agency = viewer.agency or HOUSE
        waiting = self.desk.listings.changes(ChangeQuery(("requested",), agency=agency), SIZE)
        return self.console.page(
            request,
            "colours.html",
            status=REFUSED if trouble else 200,
            counts=self.desk.listings.colours(self.now_ms),
            open=self.desk.status.changes.figures(),
            waiting=waiting if is_bound(viewer) else [],
            agencies=self.agencies(request),
            colours=COLOURS,
            kinds=DOCUMENT_KINDS,
            values={"kind": form.get("kind", "id"), "purpose": form.get("purpose", "") if not found else ""},
            found=found,
            trouble=trouble,
        )

    def explain(self, request: AnyRequest, form: dict[str, str]) -> Response[str]:
        """Why somebody has their colour, for a purpose that is on the trail."""
        try:
            said = paper_of(form), text_of(form, "purpose")
            found = self.desk.explain(*said, self.language(request), request.user, self.now_ms)
        except HutongError as error:
            return self.overview(request, form, trouble=self.trouble(request, error))
        return self.overview(request, form, found)

    def rules(self, request: AnyRequest) -> Response[str]:
        """The rules in force, in the order in which they decide."""
        rules = self.desk.status.statuses.rules
        return self.console.page(
            request,
            "colour_rules.html",
            rules=(*rules.rules, rules.otherwise),
            samples=self._samples(rules.digest),
            digest=rules.digest,
        )

    def _samples(self, digest: str) -> dict[str, list[ShownSample]]:
        """The samples of the rules in force, by the rules' ids; none where their files have changed meanwhile."""
        try:
            sources = self.desk.rule_sources()
        except RuleError:
            return {}
        read, _ = check_rules(sources)
        return samples_of(sources) if read is not None and read.digest == digest else {}

    # Changes by hand

    def changes(self, request: AnyRequest) -> Response[str]:
        """Changes in a state, the latest first."""
        state = request.query_params.get("state", "")
        states = (state,) if state in STATES else ()
        query = ChangeQuery(states, after_of(request), request.user.agency or HOUSE)
        rows = self.desk.listings.changes(query, SIZE + 1) if is_bound(request.user) else []
        return self.console.page(
            request,
            "colour_changes.html",
            page=paged(request, rows, lambda it: it.id, query.before),
            state=state if states else "",
            states=STATES,
            open=self.desk.status.changes.figures(),
            agencies=self.agencies(request),
        )

    def change(self, request: AnyRequest, of: str, *, trouble: str = "", status: int = 200) -> Response[str]:
        """One change, and what its reader may do with it."""
        change, viewer = self.known(request, of), request.user
        agency = viewer.agency or HOUSE
        may = {
            action: viewer.can(move.who)
            and change.state in move.sources
            and not (move.other and (viewer.name == change.requested_by or agency == change.requested_agency))
            and not (move.own and viewer.name != change.requested_by)
            for action, move in MOVES.items()
            if move.who and move.sources
        }
        done = request.query_params.get("done", "")
        return self.console.page(
            request,
            "colour_change.html",
            status=status,
            change=change,
            basis=bases().get(change.basis),
            may=may,
            needs_other=change.state == "requested" and not may["approve"] and viewer.can("codes.approve"),
            agencies=self.agencies(request),
            trouble=trouble,
            done=done if done in STATES else "",
        )

    def known(self, request: AnyRequest, of: str) -> Change:
        """The change of that id. Raises NotFoundException: there is none that this viewer sees."""
        try:
            return self.desk.change(of, request.user)
        except StatusRefused as refused:
            raise NotFoundException from refused

    def do(self, request: AnyRequest, of: str, action: Action, form: dict[str, str]) -> Response[Any]:
        """What a form of the page of a change asks for."""
        self.known(request, of)
        try:
            actor = self.desk.actor(request.user)
            after = self.desk.status.changes.do(of, action, actor, self.now_ms, text_of(form, "reason"))
        except HutongError as error:
            return self.change(request, of, trouble=self.trouble(request, error), status=status_of(error))
        return see_other(f"/colours/changes/{of}?done={after.state}")

    def form(self, request: AnyRequest, values: dict[str, str], trouble: str = "") -> Response[str]:
        """The form of a request. The number of the document is not given back: it would stand in the page."""
        return self.filled(
            request,
            "colour_new.html",
            values,
            trouble,
            kinds=DOCUMENT_KINDS,
            colours=COLOURS,
            bases=bases(),
            longest=self.desk.status.changes.bounds.longest_days,
        )

    def ask(self, request: AnyRequest, form: dict[str, str]) -> Response[Any]:
        """A request for a change, as the form says it."""
        values = {name: text_of(form, name) for name in _FIELDS}
        try:
            wish = Wish(
                person=self.desk.person(paper_of(form)),
                colour=values["colour"],  # type: ignore[arg-type]  # which the machine checks
                reason=values["reason"],
                basis=values["basis"],
                document=values["document"],
                term_s=whole_of(form, "days") * _DAY_S,
            )
            change = self.desk.status.changes.request(wish, self.desk.actor(request.user), self.now_ms)
        except HutongError as error:
            return self.form(request, values, self.trouble(request, error))
        return see_other(f"/colours/changes/{change.id}?done=requested")

    def agencies(self, request: AnyRequest) -> dict[str, str]:
        """Names of agencies in the reader's language, this house among them."""
        lang = self.console.language(request)
        found = {it.id: it.zh if lang == "zh" else it.en for it in Agencies(self.desk.status.statuses.database).all()}
        return found | {HOUSE: self.console.say(request, "codes_staff.house")}


def routes(console: Console, desk: StaffDesk) -> list[HTTPRouteHandler]:
    """`/colours` but for appeals."""
    it = ColourPages(console, desk)

    @get("/colours", opt=requires(READ), sync_to_thread=True)
    def overview(request: AnyRequest) -> Response[str]:
        return it.overview(request)

    @post("/colours", opt=requires("codes.explain"), sync_to_thread=True, status_code=200)
    def explain(request: AnyRequest, data: Form) -> Response[str]:
        return it.explain(request, data)

    @get("/colours/rules", opt=requires(READ), sync_to_thread=True)
    def rules(request: AnyRequest) -> Response[str]:
        return it.rules(request)

    @get("/colours/changes", opt=requires(READ), sync_to_thread=True)
    def changes(request: AnyRequest) -> Response[str]:
        return it.changes(request)

    @get("/colours/changes/new", opt=requires("codes.set"), sync_to_thread=True)
    def new(request: AnyRequest) -> Response[str]:
        return it.form(request, {"kind": "id", "colour": "red", "days": "7"})

    @post("/colours/changes/new", opt=requires("codes.set"), sync_to_thread=True, status_code=200)
    def ask(request: AnyRequest, data: Form) -> Response[Any]:
        return it.ask(request, data)

    @get("/colours/changes/{of:str}", opt=requires(READ), sync_to_thread=True)
    def one(request: AnyRequest, of: FromPath[str]) -> Response[str]:
        return it.change(request, of)

    return [overview, explain, rules, changes, new, ask, one, *_deciding(it)]


def _deciding(it: ColourPages) -> list[HTTPRouteHandler]:
    """A route for each action that a person may ask, with its own permission."""

    def deciding(action: Action) -> HTTPRouteHandler:
        @post(
            f"/colours/changes/{{of:str}}/{action}",
            opt=requires(MOVES[action].who),
            sync_to_thread=True,
            status_code=200,
        )
        def decided(request: AnyRequest, of: FromPath[str], data: Form) -> Response[Any]:
            return it.do(request, of, action, data)

        return decided

    return [deciding(action) for action, move in MOVES.items() if move.who and move.sources]
