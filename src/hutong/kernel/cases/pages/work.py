"""`/work`: what is mine and what waits for me; `/work/team`: whose load; `/overdue`: what is burning, at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from litestar import Response, get

from hutong.kernel.cases.machine import possible
from hutong.kernel.cases.model import OPEN_STATES, STATES
from hutong.kernel.cases.pages.desk import AnyRequest  # noqa: TC001  # Litestar reads the annotation
from hutong.kernel.cases.purview import actor_of
from hutong.kernel.cases.query import COUNTED, CaseQuery
from hutong.kernel.web.guard import requires

if TYPE_CHECKING:
    from collections.abc import Iterable

    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.cases.boards import Heat
    from hutong.kernel.cases.model import Case, State
    from hutong.kernel.cases.pages.desk import CaseDesk

_MINE: Final = 100
_WAITING: Final = 25
_SEARCHED: Final = 200
_WORST: Final = 8
_SOON_MS: Final = 4 * 3_600_000
_LEVELS: Final = 3
_MOST_OWNERS: Final = 50


class Load(msgspec.Struct, frozen=True):
    """What a unit or a person has: open cases by state, how many are late, since when the oldest is, at which steps.

    `levels`: late cases that nobody supervises, then those of the first, the second and of later steps of the chain.
    """

    name: str
    title: str
    open: int
    states: tuple[tuple[State, int], ...]
    late: int
    late_ms: int
    levels: tuple[int, ...]
    most: int


def loads(
    figures: Iterable[tuple[str, dict[State, int]]], heat: Iterable[Heat], now_ms: int, titles: dict[str, str]
) -> list[Load]:
    """Loads out of counters and of what is late, the most late first; names without open cases are left out."""
    late: dict[str, list[Heat]] = {}
    for it in heat:
        late.setdefault(it.name, []).append(it)
    rows = []
    for name, counts in figures:
        held = sum(counts[state] for state in OPEN_STATES)
        if not held:
            continue
        own = late.get(name, [])
        levels = [0] * (_LEVELS + 1)
        for one in own:
            levels[min(one.level, _LEVELS)] += one.late
        oldest = min((one.oldest_ms for one in own), default=now_ms)
        states = tuple((state, counts[state]) for state in OPEN_STATES)
        rows.append(Load(name, titles.get(name, ""), held, states, sum(levels), now_ms - oldest, tuple(levels), 0))
    most = max((it.open for it in rows), default=1)
    rows = [msgspec.structs.replace(it, most=most) for it in rows]
    return sorted(rows, key=lambda it: (-it.late, -it.open, it.name))


def _mine(desk: CaseDesk, request: AnyRequest) -> Response[str]:
    cases, now_ms, me = desk.seen(request), desk.console.now_ms(), request.user.name
    mine, count = cases.listing(CaseQuery(owner=me), _MINE)
    second = [case for case in desk.boards(request).waiting() if _may(desk, request, case, "countersign")]
    verify = _to_judge(desk, request, "acted", "verify") if request.user.can("cases.verify") else []
    close = _to_judge(desk, request, "verified", "close") if request.user.can("cases.close") else []
    return desk.console.page(
        request,
        "cases_mine.html",
        mine=desk.cards(request, mine),
        count=count,
        counted=COUNTED,
        late=cases.late(now_ms, "owner", me),
        second=desk.cards(request, second[:_WAITING]),
        seconds=len(second),
        verify=desk.cards(request, verify),
        close=desk.cards(request, close),
        figures=cases.figures("all"),
        soon=sum(1 for case in mine if now_ms <= case.next_due_ms < now_ms + _SOON_MS),
    )


def _to_judge(desk: CaseDesk, request: AnyRequest, state: State, action: str) -> list[Case]:
    """Cases in a state that this person may judge, what is due first stands first."""
    found = desk.seen(request).page(CaseQuery(states=(state,)), _SEARCHED)
    return [case for case in found if _may(desk, request, case, action)][:_WAITING]


def _may(desk: CaseDesk, request: AnyRequest, case: Case, action: str) -> bool:
    kind = desk.cases.types.by_id.get(case.type)
    actor = actor_of(request.user)
    return kind is not None and possible(kind, case, action, actor, desk.cases.calendar) is None  # type: ignore[arg-type]  # one of the table's


def _team(desk: CaseDesk, request: AnyRequest) -> Response[str]:
    cases, boards, now_ms = desk.seen(request), desk.boards(request), desk.console.now_ms()
    titles = {it.name: it.title for it in desk.owners(request)}
    owners = loads(cases.board("owner").items(), boards.heat("owner", now_ms), now_ms, titles)
    return desk.console.page(
        request,
        "cases_team.html",
        units=loads(cases.board("unit").items(), boards.heat("unit", now_ms), now_ms, {}),
        owners=owners[:_MOST_OWNERS],
        more=max(len(owners) - _MOST_OWNERS, 0),
        figures=cases.figures("all"),
    )


def _overdue(desk: CaseDesk, request: AnyRequest) -> Response[str]:
    cases, boards, now_ms = desk.seen(request), desk.boards(request), desk.console.now_ms()
    heat = boards.heat("unit", now_ms)
    late = sum(it.late for it in heat)
    board = dict(cases.board("unit"))
    none = {it.name for it in heat} - set(board)
    figures = [*board.items(), *((name, dict.fromkeys(STATES, 1)) for name in none)]
    rows = [it for it in loads(figures, heat, now_ms, {}) if it.late]
    worst = cases.page(CaseQuery(late_ms=now_ms), _WORST) if late else []
    return desk.console.page(
        request,
        "cases_overdue.html",
        late=late,
        soon=boards.due_between(now_ms, now_ms + _SOON_MS),
        rows=rows,
        worst=desk.cards(request, worst),
        oldest=max((it.late_ms for it in rows), default=0),
        supervised=sum(it.late for it in heat if it.level),
        highest=max((it.level for it in heat), default=0),
        waiting=boards.waits(),
        part="hx-request" in request.headers,
    )


def routes(desk: CaseDesk) -> list[HTTPRouteHandler]:
    """`/work`, `/work/team`, `/overdue`."""

    @get("/work", sync_to_thread=True, opt=requires("cases.read"))
    def mine(request: AnyRequest) -> Response[str]:
        return _mine(desk, request)

    @get("/work/team", sync_to_thread=True, opt=requires("cases.read"))
    def team(request: AnyRequest) -> Response[str]:
        return _team(desk, request)

    @get("/overdue", sync_to_thread=True, opt=requires("cases.read"))
    def overdue(request: AnyRequest) -> Response[str]:
        return _overdue(desk, request)

    return [mine, team, overdue]
