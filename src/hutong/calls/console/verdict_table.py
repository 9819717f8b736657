"""The table of verdicts, as `/verdicts` and the page of a number show it: columns, filters, rows, export.

Not here: routes, and where verdicts come from (`calls.index`).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from hutong.calls.index import SORT_KEYS, Filters, SortKey
from hutong.calls.index.query import LAST_MS
from hutong.calls.model import FLAG_NAMES
from hutong.kernel.numbering import AREAS, label
from hutong.kernel.web.tables import Column, Filter, TableSpec, TableView, export_csv, read_query, stamp
from hutong.kernel.web.texts import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litestar import Request
    from litestar.response import Stream

    from hutong.calls.index import Role, VerdictIndex
    from hutong.calls.stories.stories import Stories
    from hutong.calls.stories.views import VerdictView
    from hutong.kernel.access.trail import Trail
    from hutong.kernel.web.console import Console
    from hutong.kernel.web.tables import TableQuery

#: Actions of calls; "observe" is a stage of rules only.
ACTIONS: Final = ("pass", "warn", "block")
#: Most rows of an export.
MOST_EXPORTED: Final = 100_000
_EXPORTED_AT_ONCE = 1000
_NO_AREA = 0xFFFF
_FLAGS = {name: bit for bit, name in FLAG_NAMES.items()}
_ROLES: Final[tuple[Role, ...]] = ("caller", "callee")

_COLUMNS: Final = (
    Column("time", "verdicts.column.time"),
    Column("action", "verdicts.column.action"),
    Column("caller", "verdicts.column.caller", sortable=False),
    Column("callee", "verdicts.column.callee", sortable=False),
    Column("area", "verdicts.column.area"),
    Column("trunk", "verdicts.column.trunk"),
    Column("rule", "verdicts.column.rule"),
    Column("flags", "verdicts.column.flags", sortable=False),
)


class VerdictDesk:
    """What the pages about verdicts share.

    Args:
        console: makes the pages.
        stories: puts verdicts into words.
        index: finds them.
        trail: what is exported and unmasked goes there first.
    """

    def __init__(self, console: Console, stories: Stories, index: VerdictIndex, trail: Trail) -> None:
        self.console = console
        self.stories = stories
        self.index = index
        self.trail = trail

    def record(
        self, request: Request[Any, Any, Any], deed: str, target: str, after: object = None, purpose: str = ""
    ) -> None:
        """Put a deed of the viewer's on the trail, now.

        Raises:
            RecordsError: it could not be kept, so it must not happen.
        """
        viewer = request.user
        self.trail.record(
            viewer.name, viewer.address, deed, target, after=after, purpose=purpose, now_ms=self.console.now_ms()
        )

    def spec(self, lang: str, *, of_number: bool = False) -> TableSpec:
        """The table in one language: names of rules and trunks are those on record."""
        rules = [(rule, f"{title.get(lang, rule)} ({rule})") for rule, title in self.index.rule_titles().items()]
        common = (
            Filter("action", "verdicts.column.action", "choice", tuple((it, f"verdict.{it}") for it in ACTIONS)),
            Filter("rule", "verdicts.filter.rule", "choice", tuple(rules)),
            Filter("trunk", "verdicts.column.trunk", "choice", tuple((it, it) for it in self.index.trunks())),
        )
        times = (
            Filter("since", "verdicts.filter.since", "time"),
            Filter("until", "verdicts.filter.until", "time"),
        )
        roles = tuple((it, f"verdicts.role.{it}") for it in _ROLES)
        if of_number:
            own: tuple[Filter, ...] = (Filter("role", "verdicts.filter.role", "choice", roles), *common, *times)
        else:
            flags = tuple((it, f"verdicts.flag.{it}") for it in _FLAGS)
            area = Filter("area", "verdicts.filter.area")
            own = (*times, *common, area, Filter("flags", "verdicts.column.flags", "choice", flags))
        return TableSpec(
            id="verdicts", columns=_COLUMNS, filters=own, sort="time", descending=True, prefix="v" if of_number else ""
        )

    def wanted(self, request: Request[Any, Any, Any], query: TableQuery, number: int = 0) -> Filters:
        """What a table's query asks of the index."""
        zone, said = self.console.zone(request), query.filters
        since, until = query.time_ms("since", zone), query.time_ms("until", zone)
        return Filters(
            since_ms=max(since or 0, 0),
            until_ms=LAST_MS if until is None else max(until, 0),
            action=said.get("action", ""),
            rule=said.get("rule", ""),
            trunk=said.get("trunk", ""),
            areas=areas_of(said["area"]) if "area" in said else (),
            flags=_FLAGS.get(said.get("flags", ""), 0),
            number=number,
            role=cast("Role", said.get("role", "any")),
        )

    def view(self, spec: TableSpec, query: TableQuery, wanted: Filters) -> TableView[VerdictView]:
        """One page of the table; a page beyond the end gives the last one."""
        sort = _sort(query)
        asked = self.index.page(wanted, sort=sort, descending=query.descending, offset=query.offset, limit=query.size)
        if not asked.seqs and asked.total and query.page > 1:
            query = msgspec.structs.replace(query, page=-(-asked.total // query.size))
            asked = self.index.page(
                wanted, sort=sort, descending=query.descending, offset=query.offset, limit=query.size
            )
        rows = self.stories.verdicts(asked.seqs)
        return TableView(spec, query, rows, total=asked.total, more=asked.more)

    def table(self, request: Request[Any, Any, Any], number: int = 0) -> tuple[TableView[VerdictView], Filters]:
        """The table that a page's address asks for, and which verdicts it is about."""
        spec = self.spec(self.console.language(request), of_number=bool(number))
        query = read_query(spec, dict(request.query_params))
        wanted = self.wanted(request, query, number)
        return self.view(spec, query, wanted), wanted

    def words(self, request: Request[Any, Any, Any]) -> dict[str, Any]:
        """What the table's rows need beside themselves: titles of rules, names of areas."""
        lang = self.console.language(request)
        titles = {rule: title.get(lang, rule) for rule, title in self.index.rule_titles().items()}
        return {"titles": titles, "area_name": lambda area: _area_name(area, lang)}

    def export(self, request: Request[Any, Any, Any], target: str, number: int = 0) -> Stream:
        """All verdicts that the filters leave, the newest MOST_EXPORTED of them, numbers masked; on the trail."""
        spec = self.spec(self.console.language(request), of_number=bool(number))
        query = read_query(spec, dict(request.query_params))
        wanted = self.wanted(request, query, number)
        self.record(request, "tables.export", target, after={"filters": query.filters})
        # Rows that come while the client reads would shift those that are still to be read.
        wanted = msgspec.structs.replace(wanted, until_ms=min(wanted.until_ms, self.console.now_ms()))
        keys = ("seq", "time", "action", "code", "caller", "callee", "area", "trunk", "rule", "reason", "flags", "call")
        header = [self.console.say(request, f"verdicts.column.{key}") for key in keys]
        return export_csv("verdicts", header, self._cells(request, wanted, query))

    def _cells(
        self, request: Request[Any, Any, Any], wanted: Filters, query: TableQuery
    ) -> Iterator[tuple[object, ...]]:
        zone, lang = self.console.zone(request), self.console.language(request)
        sort = _sort(query)
        for offset in range(0, MOST_EXPORTED, _EXPORTED_AT_ONCE):
            asked = self.index.page(
                wanted,
                sort=sort,
                descending=query.descending,
                offset=offset,
                limit=_EXPORTED_AT_ONCE,
                at_once=0,
            )
            for it in self.stories.verdicts(asked.seqs):
                yield (
                    it.seq,
                    stamp(it.time_ms, zone),
                    self.console.say(request, f"verdict.{it.action}"),
                    it.code,
                    it.caller,
                    it.callee,
                    _area_name(it.area, lang),
                    it.trunk,
                    it.rule or " ".join(it.fired),
                    it.reason[lang],
                    " ".join(it.flags),
                    it.call_id,
                )
            if not asked.more:
                return


def _area_name(area: str, lang: str) -> str:
    return "" if area == "none" else label("area", area, lang)


def _sort(query: TableQuery) -> SortKey:
    return next((key for key in SORT_KEYS if key == query.sort), "time")


def areas_of(text: str) -> tuple[int, ...]:
    """Areas by code (0755, 755) or by part of a name in either language; one that no record has where there is none."""
    wanted = text.strip().casefold()
    by_code = [at for at, code in enumerate(AREAS) if code != "none" and wanted in {code, code.removeprefix("0")}]
    by_name = [at for at, names in enumerate(_area_names()) if any(wanted in name for name in names)]
    return tuple(by_code or by_name or [_NO_AREA])


@cache
def _area_names() -> list[list[str]]:
    return [[] if code == "none" else [label("area", code, lang).casefold() for lang in LANGUAGES] for code in AREAS]
