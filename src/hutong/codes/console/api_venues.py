"""Venues, look-ups under orders and scans from files, for programs: `/v1/venues`, `/v1/lookups`, `/v1/scan-files`."""

from __future__ import annotations

from functools import partial
from io import BytesIO, TextIOWrapper
from typing import TYPE_CHECKING, Annotated, Any, Final

from litestar import get, post
from litestar.params import JSONBody, QueryParameter, RawBody
from msgspec.structs import replace

from hutong.codes.console.api_shared import BODY, REFUSALS, Cursor, Id, Limit, done, paper_of
from hutong.codes.console.bodies import (
    CodeDeed,
    LookupFound,
    LookupList,
    LookupRun,
    LookupTold,
    MergedFile,
    NewLookup,
    NewVenue,
    ScanTold,
    Unread,
    VenueCode,
    VenueList,
    VenueTold,
)
from hutong.codes.console.lookup_pages import SHOWN, cursor_of, listed, look_up
from hutong.codes.scans.errors import ScanRefused
from hutong.codes.scans.files import read_batches
from hutong.codes.scans.group import MOST_AT_ONCE
from hutong.codes.scans.lookup_model import LOOK_UP, MOVES, Action, OrderWish, Scope, State
from hutong.codes.scans.venue_book import CHANGE, VenueAction, VenueQuery
from hutong.codes.scans.venue_book import MOVES as VENUE_MOVES
from hutong.codes.venues import VenueKind, VenueState, VenueWish, write_poster
from hutong.kernel.cases.purview import actor_of
from hutong.kernel.reporter import rfc3339_ms
from hutong.kernel.web.api.desk import AnyRequest, Desk, Purpose, operation, read_ms, read_purpose

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.codes.console.desk import StaffDesk
    from hutong.codes.scans.lookup_model import LookupAnswer, LookupOrder
    from hutong.codes.venues import Venue

TAGS = (("venues", "场所 / Venues"), ("lookups", "依令查询 / Look-ups under orders"))
FILES: Final = "/v1/scan-files"
MERGE: Final = "codes.merge"
#: A day of a busy device.
_LARGEST: Final = 16 * 1024 * 1024
#: Lines of a file that are refused one by one; a file with more of them is no file of scans.
_MOST_REFUSED: Final = 1_000


def routes(staff: StaffDesk, desk: Desk) -> list[HTTPRouteHandler]:
    """`/v1/venues`, `/v1/lookups`, `/v1/scan-files`."""
    return [*_venues(staff, desk), *_venue_changes(staff, desk), *_lookups(staff, desk), *_running(staff, desk)]


def _venue(it: Venue) -> VenueTold:
    same = ("id", "title", "kind", "district", "capacity", "unit", "state", "serial", "why", "version")
    times = {"registered": it.made_ms, "code": it.code_ms, "changed": it.changed_ms}
    told: dict[str, Any] = {name: rfc3339_ms(ms) for name, ms in times.items()}
    return VenueTold(**told, **{name: getattr(it, name) for name in same})


def _venues(staff: StaffDesk, desk: Desk) -> list[HTTPRouteHandler]:
    declared = partial(operation, desk, "venues")

    @get("/v1/venues", **declared("codes.read", "venues", "listVenues", "场所 / List venues"))
    def page(  # a filter each
        title: Annotated[str, QueryParameter(max_length=100, description="名称开头或编号 / begin of title, id")] = "",
        district: Annotated[str, QueryParameter(max_length=6, description="区县 / district")] = "",
        unit: Annotated[str, QueryParameter(max_length=100, description="责任单位 / who answers")] = "",
        kind: Annotated[VenueKind | None, QueryParameter(description="类别 / kind")] = None,
        in_state: Annotated[VenueState | None, QueryParameter(name="state", description="状态 / state")] = None,
        limit: Limit = 50,
        cursor: Cursor = "",
    ) -> VenueList:
        """按登记先后;给出 title 时按名称,不分页 / As registered; by title where one is given, in one page."""
        query = VenueQuery(district, unit, kind or "", in_state or "")

        def read() -> VenueList:
            book = staff.scanning.venues
            if title.strip():
                return VenueList([_venue(it) for it in book.search(title, query, limit)], None)
            found = book.listing(replace(query, after=cursor), limit + 1)
            return VenueList([_venue(it) for it in found[:limit]], found[limit - 1].id if len(found) > limit else None)

        return done(read)

    @get("/v1/venues/{venue:str}", **declared("codes.read", "venue", "readVenue", "一个场所 / One venue", 404))
    def one(venue: Id) -> VenueTold:
        return done(lambda: _venue(staff.scanning.venues.venue(venue)))

    @get(
        "/v1/venues/{venue:str}/code",
        **declared(CHANGE, "venues.code", "readVenueCode", "场所码 / A venue's code", 404, 409),
    )
    def code(venue: Id) -> VenueCode:
        def read() -> VenueCode:
            it = staff.scanning.venues.venue(venue)
            if it.state != "issued":
                raise ScanRefused("not-from-here", "Its code is withdrawn.", where=it.id)
            return VenueCode(write_poster(it, staff.node, staff.venue_key()), it.serial)

        return done(read)

    return [page, one, code]


def _venue_changes(staff: StaffDesk, desk: Desk) -> list[HTTPRouteHandler]:
    declared = partial(operation, desk, "venues")

    @post(
        "/v1/venues",
        **declared(CHANGE, "venues.register", "registerVenue", "登记场所 / Register a venue", 422),
        request_max_body_size=BODY,
    )
    def register(request: AnyRequest, data: JSONBody[NewVenue]) -> VenueTold:
        wish = VenueWish(**{name: getattr(data, name) for name in data.__struct_fields__})
        return done(lambda: _venue(staff.scanning.venues.issue(wish, actor_of(request.user), desk.now_ms())))

    def doing(action: VenueAction) -> HTTPRouteHandler:
        move = VENUE_MOVES[action]

        @post(
            f"/v1/venues/{{venue:str}}/{action}",
            **declared(CHANGE, f"venues.{action}", f"{action}Venue", f"{move.zh} / {move.en.capitalize()}", *REFUSALS),
            status_code=200,
            request_max_body_size=BODY,
        )
        def acted(request: AnyRequest, venue: Id, data: JSONBody[CodeDeed]) -> VenueTold:
            book, actor, now_ms = staff.scanning.venues, actor_of(request.user), desk.now_ms()
            return done(lambda: _venue(book.do(venue, action, data.reason, actor, now_ms, version=data.version)))

        return acted

    return [register, *(doing(action) for action, move in VENUE_MOVES.items() if move.sources)]


def _order(it: LookupOrder) -> LookupTold:
    same = ("id", "agency", "document", "basis_text", "reason", "term_s", "quiet_s", "state", "requested_by")
    scope = it.scope
    return LookupTold(
        **{name: getattr(it, name) for name in (*same, "decided_by", "why", "version")},
        kind=scope.kind,
        venue=scope.about if scope.kind == "venue" else "",
        since=rfc3339_ms(scope.since_ms),
        until=rfc3339_ms(scope.until_ms),
        basis=list(it.basis),
        requested=rfc3339_ms(it.requested_ms),
        ends=rfc3339_ms(it.ends_ms),
    )


def _wish(staff: StaffDesk, data: NewLookup) -> OrderWish:
    scope = data.scope
    if bool(scope.venue) == (scope.person is not None):
        raise ScanRefused("scope", "Name a venue or a person.", where="scope")
    since_ms, until_ms = read_ms(scope.since, "since", 0), read_ms(scope.until, "until", 0)
    if scope.person is not None:
        wanted = Scope(kind="person", about=staff.person(paper_of(scope.person)), since_ms=since_ms, until_ms=until_ms)
    else:
        venue = staff.scanning.venues.venue(scope.venue)
        wanted = Scope(kind="venue", about=venue.id, since_ms=since_ms, until_ms=until_ms)
    names = ("document", "basis_text", "reason", "term_s", "quiet_s", "quiet_why")
    return OrderWish(scope=wanted, basis=tuple(data.basis), **{name: getattr(data, name) for name in names})


def _lookups(staff: StaffDesk, desk: Desk) -> list[HTTPRouteHandler]:
    declared = partial(operation, desk, "lookups")

    @get("/v1/lookups", **declared("codes.read", "lookups", "listLookups", "查询令 / Orders of look-up"))
    def page(
        request: AnyRequest,
        in_state: Annotated[State | None, QueryParameter(name="state", description="状态 / state")] = None,
        limit: Limit = 50,
        cursor: Cursor = "",
    ) -> LookupList:
        """最近变动的在前;协作单位只见本单位的 / What changed last first; agencies see their own."""
        found = done(lambda: listed(staff, request, in_state or "", cursor, limit + 1))
        following = cursor_of(found[limit - 1]) if len(found) > limit else None
        return LookupList([_order(it) for it in found[:limit]], following)

    @get("/v1/lookups/{order:str}", **declared("codes.read", "lookup", "readLookup", "一件查询令 / One order", 404))
    def one(request: AnyRequest, order: Id) -> LookupTold:
        return done(lambda: _order(_known(staff, order, request)))

    @post(
        "/v1/lookups",
        **declared("codes.lookup_request", "lookups.ask", "requestLookup", "申请查询令 / Ask for an order", *REFUSALS),
        request_max_body_size=BODY,
    )
    def ask(request: AnyRequest, data: JSONBody[NewLookup]) -> LookupTold:
        """须由另一人批准 / Another person must approve it."""
        seeker, now_ms = staff.seeker(request.user), desk.now_ms()
        return done(lambda: _order(staff.scanning.orders.request(_wish(staff, data), seeker, now_ms)))

    def deciding(action: Action) -> HTTPRouteHandler:
        move = MOVES[action]

        @post(
            f"/v1/lookups/{{order:str}}/{action}",
            **declared(
                move.who, f"lookups.{action}", f"{action}Lookup", f"{move.zh} / {move.en.capitalize()}", *REFUSALS
            ),
            status_code=200,
            request_max_body_size=BODY,
        )
        def decided(request: AnyRequest, order: Id, data: JSONBody[CodeDeed]) -> LookupTold:
            def do() -> LookupTold:
                orders, seeker = staff.scanning.orders, staff.seeker(request.user)
                of, said = _known(staff, order, request).id, {"reason": data.reason, "version": data.version}
                return _order(orders.do(of, action, seeker, desk.now_ms(), **said))  # type: ignore[arg-type]  # as named

            return done(do)

        return decided

    return [page, one, ask, *(deciding(action) for action, move in MOVES.items() if move.who and move.sources)]


def _known(staff: StaffDesk, order: str, request: AnyRequest) -> LookupOrder:
    """An order that whoever asks may see. Raises ScanRefused: "no-order"."""
    seeker = staff.seeker(request.user)
    if not seeker.permissions:  # of a partner whom nobody has bound to an agency
        raise ScanRefused("no-order", f"There is no order {order[:80]!r}.")
    return staff.scanning.orders.order(order, seeker)


def _running(staff: StaffDesk, desk: Desk) -> list[HTTPRouteHandler]:
    @post(
        "/v1/lookups/{order:str}/run",
        **operation(desk, "lookups", LOOK_UP, "lookups.run", "runLookup", "依令查询 / Look up", *REFUSALS),
        status_code=200,
        request_max_body_size=BODY,
        description="先入操作记录,后答复;最多 500 条,`count` 为全部条数。用途写在 Hutong-Purpose 头中。\n\nOn the "
        "trail before it is answered; 500 at most, `count` is of all. The purpose is in the header Hutong-Purpose.",
    )
    def run(request: AnyRequest, order: Id, data: JSONBody[LookupRun], purpose: Purpose = "") -> LookupFound:
        said, now_ms = read_purpose(purpose), desk.now_ms()
        since_ms, until_ms = read_ms(data.since, "since", 0), read_ms(data.until, "until", 0)

        def found() -> LookupFound:
            scope = _known(staff, order, request).scope
            wanted = Scope(kind=scope.kind, about=scope.about, since_ms=since_ms, until_ms=until_ms)
            return _found(look_up(staff, request, order, wanted, said, now_ms))

        return done(found)

    @post(
        FILES,
        **operation(desk, "venues", MERGE, "scans.merge", "mergeScanFile", "合并登记文件 / Merge a file of scans", 422),
        status_code=200,
        request_max_body_size=_LARGEST,
        description="正文为设备导出的文件(JSON 行);重复合并无妨。\n\nThe body is a file that a device exported (JSON "
        "lines); merging it again changes nothing.",
    )
    def merge(request: AnyRequest, body: RawBody) -> MergedFile:
        return done(lambda: _merged(staff, desk, request, bytes(body)))

    return [run, merge]


def _found(answer: LookupAnswer) -> LookupFound:
    scans = [
        ScanTold(
            rfc3339_ms(it.kept.at_ms),
            rfc3339_ms(it.kept.said_ms),
            it.kept.clock,
            it.kept.who,
            it.kept.venue,
            it.kept.mode,
            it.kept.verdict,
            list(it.copies),
        )
        for it in answer.found[:SHOWN]
    ]
    return LookupFound(len(answer.found), rfc3339_ms(answer.kept_since_ms), scans)


def _merged(staff: StaffDesk, desk: Desk, request: AnyRequest, body: bytes) -> MergedFile:
    """Merge batches one by one; what was merged before something failed stays, and the trail says how much."""
    now_ms, taken, again, over = desk.now_ms(), 0, 0, 0
    refused: list[Unread] = []
    try:
        for batch, bad in read_batches(TextIOWrapper(BytesIO(body), "utf-8", "replace"), MOST_AT_ONCE):
            answer = staff.scanning.scans.merge([batch], now_ms).answers[0]
            taken, again, over = taken + len(answer.taken), again + answer.again, over + answer.over
            refused += [Unread(it.place, it.reason, it.what) for it in (*bad, *answer.refused)]
            if len(refused) > _MOST_REFUSED:
                what = f"More than {_MOST_REFUSED} lines cannot be taken; what stood before them is merged."
                raise ScanRefused("scan", what, fix="Write the file again.")
    finally:
        staff.tell("scans.merge", "", request.user, now_ms, {"taken": taken})
    return MergedFile(taken, again, over, refused)
