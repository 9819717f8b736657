"""`/venues`: found, registered, their codes replaced and withdrawn; the poster with a venue's code, to be printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath  # noqa: TC002  # Litestar reads the annotation
from markupsafe import Markup

from hutong.codes import qr
from hutong.codes.console.colour_pages import READ
from hutong.codes.console.forms import (
    SIZE,
    AnyRequest,
    Form,
    Pages,
    after_of,
    paged,
    status_of,
    text_of,
    whole_of,
)
from hutong.codes.scans.errors import ScanRefused
from hutong.codes.scans.venue_book import CHANGE, MOVES, VenueAction, VenueQuery
from hutong.codes.venues import VENUE_KINDS, VENUE_STATES, VenueWish, write_poster
from hutong.kernel.cases.purview import actor_of
from hutong.kernel.errors import HutongError
from hutong.kernel.web.console import see_other
from hutong.kernel.web.guard import requires
from hutong.kernel.web.texts import LANGUAGES

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.codes.console.desk import StaffDesk
    from hutong.codes.venues import Venue
    from hutong.kernel.web.console import Console

_FIELDS: Final = ("title", "kind", "district", "capacity", "unit")
#: A sign at a door gets scratched: a quarter of the codewords may be unreadable (ISO/IEC 18004 §6.5.1).
_LEVEL: Final = "Q"


class VenuePages(Pages):
    """Venues."""

    def table(self, request: AnyRequest) -> Response[str]:
        """Venues that are asked for, in the order in which they were registered; or those of a title."""
        asked = {
            name: request.query_params.get(name, "").strip()[:100] for name in ("district", "unit", "kind", "state")
        }
        title, after, book = (
            request.query_params.get("title", "").strip()[:100],
            after_of(request),
            self.desk.scanning.venues,
        )
        if title:
            rows = book.search(title, VenueQuery(**asked), SIZE)
        else:
            rows = book.listing(VenueQuery(**asked, after=after), SIZE + 1)
        return self.console.page(
            request,
            "venues.html",
            page=paged(request, rows, lambda it: it.id, after),
            figures=book.figures(),
            values=asked | {"title": title},
            kinds=VENUE_KINDS,
            states=VENUE_STATES,
        )

    def one(self, request: AnyRequest, of: str, *, trouble: str = "", status: int = 200) -> Response[str]:
        """One venue, and what may be done with its code."""
        venue = self.known(of)
        done = request.query_params.get("done", "")
        return self.console.page(
            request,
            "venue.html",
            status=status,
            venue=venue,
            actions=[it for it, move in MOVES.items() if venue.state in move.sources and request.user.can(CHANGE)],
            trouble=trouble,
            done=done if done in MOVES else "",
        )

    def known(self, of: str) -> Venue:
        """The venue of that id. Raises NotFoundException: there is none."""
        try:
            return self.desk.scanning.venues.venue(of)
        except ScanRefused as refused:
            raise NotFoundException from refused

    def do(self, request: AnyRequest, of: str, action: VenueAction, form: dict[str, str]) -> Response[Any]:
        """What a form of the page of a venue asks for."""
        venue = self.known(of)
        try:
            reason, version = text_of(form, "reason"), whole_of(form, "version")
            actor = actor_of(request.user)
            self.desk.scanning.venues.do(venue.id, action, reason, actor, self.now_ms, version=version)
        except HutongError as error:
            return self.one(request, of, trouble=self.trouble(request, error), status=status_of(error))
        return see_other(f"/venues/{of}?done={action}")

    def poster(self, request: AnyRequest, of: str) -> Response[str]:
        """The sign for the door: title and code in both languages. Raises NotFoundException: its code is withdrawn."""
        venue = self.known(of)
        if venue.state != "issued":
            raise NotFoundException
        text = write_poster(venue, self.desk.node, self.desk.venue_key())
        symbol = Markup(qr.svg(qr.matrix(text, _LEVEL), venue.title))  # noqa: S704  # a drawing of our own; it escapes
        return self.console.page(request, "venue_poster.html", venue=venue, symbol=symbol, poster=self._sign())

    def _sign(self) -> list[str]:
        """What a sign says, in every language."""
        return [self.console.frame.texts.say("codes_staff.venues.scan", language) for language in LANGUAGES]

    def form(self, request: AnyRequest, values: dict[str, str], trouble: str = "") -> Response[str]:
        """The form of a new venue."""
        return self.filled(
            request,
            "venue_new.html",
            values,
            trouble,
            kinds=VENUE_KINDS,
        )

    def register(self, request: AnyRequest, form: dict[str, str]) -> Response[Any]:
        """A venue, as the form says it."""
        values = {name: text_of(form, name) for name in _FIELDS}
        try:
            wish = VenueWish(
                title=values["title"],
                kind=values["kind"],  # type: ignore[arg-type]  # which the book checks
                district=values["district"],
                capacity=whole_of(form, "capacity"),
                unit=values["unit"],
            )
            venue = self.desk.scanning.venues.issue(wish, actor_of(request.user), self.now_ms)
        except HutongError as error:
            return self.form(request, values, self.trouble(request, error))
        return see_other(f"/venues/{venue.id}?done=issue")


def routes(console: Console, desk: StaffDesk) -> list[HTTPRouteHandler]:
    """`/venues`."""
    it = VenuePages(console, desk)

    @get("/venues", opt=requires(READ), sync_to_thread=True)
    def table(request: AnyRequest) -> Response[str]:
        return it.table(request)

    @get("/venues/new", opt=requires(CHANGE), sync_to_thread=True)
    def new(request: AnyRequest) -> Response[str]:
        return it.form(request, {})

    @post("/venues/new", opt=requires(CHANGE), sync_to_thread=True, status_code=200)
    def register(request: AnyRequest, data: Form) -> Response[Any]:
        return it.register(request, data)

    @get("/venues/{of:str}", opt=requires(READ), sync_to_thread=True)
    def one(request: AnyRequest, of: FromPath[str]) -> Response[str]:
        return it.one(request, of)

    @get("/venues/{of:str}/poster", opt=requires(CHANGE), sync_to_thread=True)
    def poster(request: AnyRequest, of: FromPath[str]) -> Response[str]:
        return it.poster(request, of)

    def doing(action: VenueAction) -> HTTPRouteHandler:
        @post(f"/venues/{{of:str}}/{action}", opt=requires(CHANGE), sync_to_thread=True, status_code=200)
        def done(request: AnyRequest, of: FromPath[str], data: Form) -> Response[Any]:
            return it.do(request, of, action, data)

        return done

    return [table, new, register, one, poster, *(doing(action) for action, move in MOVES.items() if move.sources)]
