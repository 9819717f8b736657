"""`/colours/appeals`: what people say against their colour, decided by a person; the decision takes effect at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, URLEncodedBody

from hutong.codes.console.desk import sees_appeals
from hutong.codes.console.forms import SIZE, AnyRequest, Pages, after_of, moment_of, paged, status_of, text_of
from hutong.codes.status.appeals import DECIDE, LONGEST_REASONS, Correction
from hutong.codes.status.errors import StatusRefused
from hutong.codes.status.evidence import RESULTS, Result
from hutong.codes.status.words import tell_evidence
from hutong.kernel.cases.purview import actor_of
from hutong.kernel.errors import HutongError
from hutong.kernel.web.console import see_other
from hutong.kernel.web.guard import requires

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.codes.console.desk import StaffDesk
    from hutong.codes.status.appeals import Appeal, Verdict
    from hutong.codes.status.evidence import Evidence
    from hutong.codes.status.words import Told
    from hutong.kernel.web.console import Console

#: A form whose boxes come as a list once two of them are ticked.
Ticks = URLEncodedBody[dict[str, Any]]
STATES: Final = ("open", "upheld", "corrected")


class AppealPages(Pages):
    """Appeals against colours."""

    def table(self, request: AnyRequest) -> Response[str]:
        """Appeals in a state, the latest first."""
        state, after = request.query_params.get("state", ""), after_of(request)
        states = (state,) if state in STATES else STATES
        rows: list[Appeal] = []
        is_open = late = 0
        if sees_appeals(request.user):
            rows = self.desk.listings.appeals(states, after, SIZE + 1)  # type: ignore[arg-type]  # as the line above
            is_open, late = self.desk.status.appeals.figures(self.now_ms)
        return self.console.page(
            request,
            "colour_appeals.html",
            page=paged(request, rows, lambda it: it.id, after),
            state=state if state in STATES else "",
            states=STATES,
            open=is_open,
            late=late,
        )

    def one(  # what a page may say besides
        self,
        request: AnyRequest,
        of: str,
        *,
        form: dict[str, str] | None = None,
        ticked: tuple[str, ...] = (),
        trouble: str = "",
        status: int = 200,
    ) -> Response[str]:
        """An appeal with the person's words, why the colour is as it is, and the evidence; on the trail first."""
        appeal, now_ms, lang = self.known(request, of), self.now_ms, self.language(request)
        told: Told | None = None
        evidence: list[tuple[Evidence, str, str]] = []
        words = who = ""
        if appeal.person:
            self.desk.tell("codes.appeal_read", appeal.id, request.user, now_ms)
            words, who = self.desk.status.appeals.words(of, now_ms), self.desk.who(appeal.person, now_ms)
            told = self.desk.status.why(appeal.person, lang, now_ms)[1]
            kept = self.desk.status.statuses.evidence(appeal.person, now_ms)
            evidence = [(it, tell_evidence(it, lang), void) for it, void in kept]
        change = self.desk.status.changes.change(appeal.change) if appeal.change else None
        own = change is not None and request.user.name in change.makers
        return self.console.page(
            request,
            "colour_appeal.html",
            status=status,
            it=appeal,
            who=who,
            words=words,
            told=told,
            evidence=evidence,
            change=change,
            own=own,
            may=appeal.state == "open" and not own,
            late=appeal.state == "open" and appeal.due_ms < now_ms,
            results=RESULTS,
            values=form or {},
            ticked=ticked,
            trouble=trouble,
            longest=LONGEST_REASONS,
        )

    def known(self, request: AnyRequest, of: str) -> Appeal:
        """The appeal of that id. Raises NotFoundException: there is none that this viewer sees."""
        try:
            return self.desk.appeal(of, request.user)
        except StatusRefused as refused:
            raise NotFoundException from refused

    def decide(self, request: AnyRequest, of: str, form: dict[str, Any]) -> Response[Any]:
        """A decision."""
        self.known(request, of)
        said = form.get("void", [])
        void = tuple(str(it)[:100] for it in ([said] if isinstance(said, str) else said))
        values = {name: it for name, it in form.items() if isinstance(it, str)}
        try:
            correction = Correction(void, self._added(request, of, values))
            verdict, reasons = cast("Verdict", values.get("verdict", "")), values.get("reasons", "")
            if verdict not in {"upheld", "corrected"}:
                raise StatusRefused("field", "Say which.", where="verdict")
            self.desk.status.appeals.decide(of, verdict, reasons, actor_of(request.user), self.now_ms, correction)
        except HutongError as error:
            trouble = self.trouble(request, error)
            return self.one(request, of, form=values, ticked=void, trouble=trouble, status=status_of(error))
        return see_other(f"/colours/appeals/{of}")

    def _added(self, request: AnyRequest, of: str, form: dict[str, str]) -> tuple[Evidence, ...]:
        """The result that the evidence lacked, where the form names one."""
        result = form.get("result", "")
        if result not in RESULTS:
            return ()
        at_ms = moment_of(form, "sampled", self.console.zone(request))
        if not at_ms:
            raise StatusRefused("field", "Say when the sample was taken.", where="sampled")
        source = text_of(form, "source")[:200]
        return (Result(id=f"appeal:{of}:{at_ms}"[:100], at_ms=at_ms, result=result, source=source),)


def routes(console: Console, desk: StaffDesk) -> list[HTTPRouteHandler]:
    """`/colours/appeals`."""
    it = AppealPages(console, desk)

    @get("/colours/appeals", opt=requires(DECIDE), sync_to_thread=True)
    def table(request: AnyRequest) -> Response[str]:
        return it.table(request)

    @get("/colours/appeals/{of:str}", opt=requires(DECIDE), sync_to_thread=True)
    def one(request: AnyRequest, of: FromPath[str]) -> Response[str]:
        return it.one(request, of)

    @post("/colours/appeals/{of:str}", opt=requires(DECIDE), sync_to_thread=True, status_code=200)
    def decide(request: AnyRequest, of: FromPath[str], data: Ticks) -> Response[Any]:
        return it.decide(request, of, data)

    return [table, one, decide]
