"""`/personal-codes`: codes issued for somebody, on paper or for now; revoked; links of families; the signing keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar import Response, get, post
from litestar.params import FromPath  # noqa: TC002  # Litestar reads the annotation
from markupsafe import Markup

from hutong.codes import qr
from hutong.codes.console.forms import (
    REFUSED,
    AnyRequest,
    Form,
    Pages,
    date_of,
    paper_of,
    text_of,
    whole_of,
)
from hutong.codes.paper import page_svg
from hutong.codes.people.documents import KINDS as DOCUMENT_KINDS
from hutong.codes.people.family import KINDS, LONGEST_DAYS, PROOFS
from hutong.codes.rotation import AHEAD_MS, follower_begins
from hutong.kernel.errors import HutongError
from hutong.kernel.web.guard import requires

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.codes.console.desk import StaffDesk
    from hutong.kernel.web.console import Console

ISSUE: Final = "codes.issue"
REVOKE: Final = "codes.revoke"
KEYS: Final = "codes.keys"
_LINK_FIELDS: Final = ("link", "proof", "days", "born", "guardian_kind", "ward_kind")


class IssuePages(Pages):
    """Codes by hand."""

    def start(
        self, request: AnyRequest, values: dict[str, str] | None = None, *, trouble: str = "", revoked: int = -1
    ) -> Response[str]:
        """The forms: a code for somebody, codes taken back."""
        kept = {name: (values or {}).get(name, "") for name in ("kind", "form", "purpose", "why")}
        return self.console.page(
            request,
            "personal_codes.html",
            status=REFUSED if trouble else 200,
            kinds=DOCUMENT_KINDS,
            values=kept,
            trouble=trouble,
            revoked=revoked,
        )

    def issue(self, request: AnyRequest, form: dict[str, str]) -> Response[str]:
        """A code, drawn to be printed or shown; it is nowhere else."""
        now_ms, viewer = self.now_ms, request.user
        said = text_of(form, "name"), text_of(form, "purpose")
        on_paper = form.get("form") != "now"
        try:
            issue = self.desk.issue_paper if on_paper else self.desk.issue_shown
            code = issue(paper_of(form), *said, viewer, now_ms)
        except HutongError as error:
            return self.start(request, form, trouble=self.trouble(request, error))
        symbol = qr.svg(qr.matrix(code.text), code.who) if code.paper is None else page_svg(code.paper)
        drawn = Markup(symbol)  # noqa: S704  # a drawing of our own; it escapes what it is given
        return self.console.page(request, "personal_code.html", symbol=drawn, on_paper=on_paper, code=code)

    def revoke(self, request: AnyRequest, form: dict[str, str]) -> Response[str]:
        """All codes of a person, or those of one handle, taken back."""
        handle = text_of(form, "handle")
        try:
            paper = None if handle else paper_of(form)
            done = self.desk.revoke(paper, handle, text_of(form, "why"), request.user, self.now_ms)
        except HutongError as error:
            return self.start(request, form, trouble=self.trouble(request, error))
        return self.start(request, revoked=done)

    # Family

    def family(
        self, request: AnyRequest, form: dict[str, str] | None = None, *, trouble: str = "", done: str = "",
        look: bool = False,
    ) -> Response[str]:  # fmt: skip
        """The forms; and the links of somebody who was looked up for a purpose."""
        form, who, found = form or {}, "", None
        if look:
            try:
                who, found = self.desk.relatives(paper_of(form), text_of(form, "purpose"), request.user, self.now_ms)
            except HutongError as error:
                trouble = self.trouble(request, error)
        return self.console.page(
            request,
            "family.html",
            status=REFUSED if trouble else 200,
            kinds=DOCUMENT_KINDS,
            links=KINDS,
            proofs=PROOFS,
            longest=LONGEST_DAYS,
            values={name: form.get(name, "") for name in ("kind", "purpose", *_LINK_FIELDS)},
            who=who,
            found=found,
            trouble=trouble,
            done=done,
        )

    def link(self, request: AnyRequest, form: dict[str, str]) -> Response[str]:
        """Let somebody show another's code."""
        try:
            self.desk.link(
                paper_of(form, "guardian_"),
                paper_of(form, "ward_"),
                form.get("link", ""),  # type: ignore[arg-type]  # which the family checks
                form.get("proof", ""),  # type: ignore[arg-type]  # as above
                whole_of(form, "days"),
                date_of(form, "born"),
                request.user,
                self.now_ms,
            )
        except HutongError as error:
            return self.family(request, form, trouble=self.trouble(request, error))
        return self.family(request, done="linked")

    def unlink(self, request: AnyRequest, of: str, form: dict[str, str]) -> Response[str]:
        """End a link."""
        try:
            by_guardian = form.get("by") == "guardian"
            self.desk.unlink(of, by_guardian=by_guardian, viewer=request.user, now_ms=self.now_ms)
        except HutongError as error:
            return self.family(request, trouble=self.trouble(request, error))
        return self.family(request, done="unlinked")

    # Keys

    def keys(self, request: AnyRequest) -> Response[str]:
        """The keys that sign codes: their terms, their age, when the next one is due."""
        now_ms = self.now_ms
        try:
            terms, trouble = self.desk.keys(now_ms), ""
        except HutongError as error:
            terms, trouble = [], self.trouble(request, error)
        signing = next((it for it in terms if it.state == "signing"), None)
        coming = next((it for it in terms if it.state == "next"), None)
        days, overdue = self.desk.days_of_keys(now_ms)
        return self.console.page(
            request,
            "code_keys.html",
            terms=terms,
            signing=signing,
            next_ms=coming.record.begins_ms if coming is not None else next_rotation(terms),
            ready=coming is not None,
            due=follower_begins(tuple(it.record for it in terms), now_ms) is not None and bool(terms),
            ahead_days=AHEAD_MS // 86_400_000,
            venue_key=self.desk.venue_key().public,
            days=days,
            overdue=overdue,
            trouble=trouble,
        )


def next_rotation(terms: list[Any]) -> int | None:
    """When the key that follows the last one begins, if `work` runs; None where there is no key."""
    return max((it.record.begins_ms + it.record.term_ms for it in terms), default=None)


def routes(console: Console, desk: StaffDesk) -> list[HTTPRouteHandler]:
    """`/personal-codes`."""
    it = IssuePages(console, desk)

    @get("/personal-codes", opt=requires(ISSUE), sync_to_thread=True)
    def start(request: AnyRequest) -> Response[str]:
        return it.start(request)

    @post("/personal-codes", opt=requires(ISSUE), sync_to_thread=True, status_code=200)
    def issue(request: AnyRequest, data: Form) -> Response[str]:
        return it.issue(request, data)

    @post("/personal-codes/revoke", opt=requires(REVOKE), sync_to_thread=True, status_code=200)
    def revoke(request: AnyRequest, data: Form) -> Response[str]:
        return it.revoke(request, data)

    @get("/personal-codes/family", opt=requires(ISSUE), sync_to_thread=True)
    def family(request: AnyRequest) -> Response[str]:
        return it.family(request)

    @post("/personal-codes/family", opt=requires(ISSUE), sync_to_thread=True, status_code=200)
    def relatives(request: AnyRequest, data: Form) -> Response[str]:
        return it.family(request, data, look=True)

    @post("/personal-codes/family/link", opt=requires(ISSUE), sync_to_thread=True, status_code=200)
    def link(request: AnyRequest, data: Form) -> Response[str]:
        return it.link(request, data)

    @post("/personal-codes/family/{of:str}/unlink", opt=requires(ISSUE), sync_to_thread=True, status_code=200)
    def unlink(request: AnyRequest, of: FromPath[str], data: Form) -> Response[str]:
        return it.unlink(request, of, data)

    @get("/code-keys", opt=requires(KEYS), sync_to_thread=True)
    def keys(request: AnyRequest) -> Response[str]:
        return it.keys(request)

    return [start, issue, revoke, family, relatives, link, unlink, keys]
