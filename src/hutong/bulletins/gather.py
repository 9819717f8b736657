"""Computes a bulletin's value: each figure once, from the records and from what systems count. Words belong elsewhere.

What nobody knows is None: days that were not counted, systems that are not there, times before the node's first.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from zoneinfo import ZoneInfo  # noqa: TC003  # msgspec reads the annotation

import msgspec
import sqlalchemy as sa

from hutong.bulletins.model import Bulletin, Campaign, Day, Decline, Figure, Loss, Of, Part, RuleCalls, Unit
from hutong.bulletins.periods import day_at, period_of
from hutong.kernel.numbering import OPERATORS, label
from hutong.kernel.records import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import date

    from hutong.bulletins.definitions import Definitions, FigureDef
    from hutong.bulletins.periods import Period
    from hutong.kernel.figures import FigureSource
    from hutong.kernel.records import Connection

#: Days that the drawing of a day's bulletin goes back.
BEFORE: Final = 14
MOST_RULES: Final = 10
MOST_CAMPAIGNS: Final = 10
MOST_UNITS: Final = 20
MOST_PARTS: Final = 2000
_DAILY, _COUNTED, _SEEN = tables.daily_figures, tables.daily_counted, tables.daily_campaigns
_LOSSES = tables.losses
_DECLINES: Final[dict[tuple[bool | None, bool | None], Decline]] = {
    (True, True): "both",
    (True, False): "cases",
    (False, True): "amount",
    (False, False): "neither",
}
_OPERATORS: Final = {
    word: name for name in OPERATORS for word in (name, label("operator", name, "zh"), label("operator", name, "en"))
} | {label("operator", name, "zh").removeprefix("中国"): name for name in OPERATORS if not name.startswith("virtual")}
_UNIT_FIGURES: Final = ("cases.found", "cases.closed", "cases.returned", "cases.late")

_Counts = dict[tuple[str, str], int]


class Wanted(msgspec.Struct, frozen=True):
    """Which bulletin.

    Attributes:
        node, zone: the node's. issue, corrects, reason: as of `Bulletin`.
        now_ms: when it is made. began_ms: the node's first moment; nothing is known of times before.
    """

    period: Period
    node: str
    zone: ZoneInfo
    now_ms: int
    began_ms: int = 0
    issue: int = 1
    corrects: str = ""
    reason: str = ""

    @property
    def id(self) -> str:
        """The period's key and the number of the issue."""
        return f"{self.period.key}.{self.issue}"


class Surroundings(NamedTuple):
    """What a bulletin is computed from, beside the records.

    Attributes:
        sources: the `figures` of systems, by the system's name.
        rules: titles of rules, by their ids.
        earlier: the latest bulletin of another period, for what stands at one moment.
    """

    definitions: Definitions
    sources: Mapping[str, FigureSource]
    rules: Mapping[str, dict[str, str]]
    earlier: Callable[[Period], Bulletin | None]


def gather(connection: Connection, wanted: Wanted, around: Surroundings) -> Bulletin:
    """The value of a bulletin, of one state of the records."""
    it = _Gathering(connection, wanted, around)
    period, zone = wanted.period, wanted.zone
    start_ms, end_ms = period.bounds(zone)
    figures = tuple(it.figures())
    decline = decline_of(figures) if wanted.now_ms >= end_ms else "unknown"
    return Bulletin(
        id=wanted.id,
        node=wanted.node,
        kind=period.kind,
        period=period.key,
        issue=wanted.issue,
        start_ms=start_ms,
        end_ms=end_ms,
        until_ms=min(wanted.now_ms, end_ms),
        made_ms=wanted.now_ms,
        zone=zone.key,
        figures=figures,
        days=tuple(it.days()),
        missing=tuple(day.isoformat() for day in it.missing(period)),
        rules=tuple(it.rules()),
        campaigns=tuple(it.campaigns()),
        losses=tuple(it.losses()),
        units=tuple(_units(figures, it.by_unit)),
        decline=decline,
        corrects=wanted.corrects,
        reason=wanted.reason,
        calls_ms=it.calls_ms() if wanted.now_ms < end_ms else None,
    )


def decline_of(figures: tuple[Figure, ...]) -> Decline:
    """Whether cases and losses fell: against the year before if that is known, else against the period before."""
    known = {it.id: it for it in figures}
    cases, amount = known.get("losses.cases"), known.get("losses.amount")
    if cases is None or amount is None:
        return "unknown"
    for cases_then, amount_then in ((cases.year, amount.year), (cases.previous, amount.previous)):
        fell = (_fell(cases.now, cases_then), _fell(amount.now, amount_then))
        if None not in fell:
            return _DECLINES[fell]
    return "unknown"


def _fell(now: Of, then: Of) -> bool | None:
    """Whether a figure is less than it was; None where one of both is not known, or the earlier one not whole."""
    if now.value is None or then.value is None or not then.full:
        return None
    return now.value < then.value


class _Gathering:
    """One state of the records, asked about a period and those that it is compared with."""

    def __init__(self, connection: Connection, wanted: Wanted, around: Surroundings) -> None:
        self._connection, self._wanted, self._around = connection, wanted, around
        period = wanted.period
        self._periods = {"now": period, "previous": period.previous, "year": period.year_before}
        self._given: dict[tuple[str, str], dict[str, _Counts]] = {}
        counted = sa.select(_COUNTED.c.day, _COUNTED.c.until_ms).where(_COUNTED.c.node == wanted.node)
        self._counted = {str(row.day): int(row.until_ms) for row in connection.execute(counted)}
        #: Of the figures of cases what each unit has.
        self.by_unit: dict[str, dict[str, int]] = {}

    # Figures

    def figures(self) -> Iterator[Figure]:
        """Every figure of the definitions."""
        made: dict[str, Figure] = {}
        for it in self._around.definitions.figure:
            made[it.id] = self._share(it, made) if it.part else self._figure(it)
            yield made[it.id]

    def _figure(self, it: FigureDef) -> Figure:
        now, parts = self._value(it, "now")
        found = {when: self._before(it, when) for when in ("previous", "year")}
        return Figure(it.id, now, found["previous"], found["year"], tuple(parts[:MOST_PARTS]))

    def _before(self, it: FigureDef, when: str) -> Of:
        if not it.stands:
            return self._value(it, when)[0]
        period = self._periods[when]
        earlier = self._around.earlier(period) if period else None
        known = {} if earlier is None or earlier.provisional else {one.id: one.now for one in earlier.figures}
        return known.get(it.id, Of())

    def _share(self, it: FigureDef, made: Mapping[str, Figure]) -> Figure:
        def of(when: str) -> Of:
            part = getattr(made[it.part], when)
            wholes = [getattr(made[name], when) for name in it.whole]
            if part.value is None or any(whole.value is None for whole in wholes):
                return Of()
            return Of(part.value, sum(whole.value for whole in wholes), part.full and all(one.full for one in wholes))

        return Figure(it.id, of("now"), of("previous"), of("year"))

    def _value(self, it: FigureDef, when: str) -> tuple[Of, list[Part]]:
        period = self._periods[when]
        if period is None:
            return Of(), []
        counts, (start_ms, end_ms) = self._counts(it, period), period.bounds(self._wanted.zone)
        full = end_ms <= self._wanted.now_ms
        if it.source == "calls":
            full = full and not self.missing(period)
        elif it.source == "losses":
            # Who has not given theirs yet must not look like a fall.
            full = full and self._givers(period) <= self._givers(self._wanted.period)
        else:
            full = full and start_ms >= self._wanted.began_ms
        if counts is None:
            return Of(), []
        if it.source == "cases" and when == "now":
            self.by_unit[it.id] = {unit: value for (_, unit), value in counts.items()}
        parts: dict[tuple[str, str], int] = defaultdict(int)
        for (city, operator), value in counts.items():
            parts[city, _operator(operator)] += value
        listed = [Part(*at, value) for at, value in sorted(parts.items(), key=lambda of: (-of[1], of[0])) if value]
        return Of(sum(parts.values()), full=full), listed

    def _counts(self, it: FigureDef, period: Period) -> _Counts | None:
        """By city and operator or unit; None where it is not known."""
        start_ms, end_ms = period.bounds(self._wanted.zone)
        if it.source == "calls" and not any(day.isoformat() in self._counted for day in period.days):
            return None
        if it.source not in {"calls", "losses"} and end_ms <= self._wanted.began_ms:
            return None
        if it.given:
            found = self._of_system(it.source, period.key, start_ms, end_ms)
            return None if found is None else {at: value * it.factor for at, value in found.get(it.given, {}).items()}
        wanted = self._wanted
        said = asked(it.query, wanted.node, period, wanted.zone, wanted.now_ms)
        rows = self._connection.execute(sa.text(it.query), said).all()
        counts = {(city or "", operator or ""): int(value) for city, operator, value in rows}
        return counts if counts or it.source != "losses" else None

    def _givers(self, period: Period) -> set[str]:
        chosen = sa.select(_LOSSES.c.agency).where(_LOSSES.c.period == period.key).distinct()
        return set(self._connection.execute(chosen).scalars())

    def _of_system(self, name: str, key: str, start_ms: int, end_ms: int) -> dict[str, _Counts] | None:
        source = self._around.sources.get(name)
        if source is None:
            return None
        if (name, key) not in self._given:
            found: dict[str, _Counts] = defaultdict(lambda: defaultdict(int))
            for count in source(self._connection, start_ms, min(end_ms, self._wanted.now_ms)):
                found[count.name][count.city, count.operator] += count.value
            self._given[name, key] = found
        return self._given[name, key]

    # Days, rules, campaigns, losses

    def missing(self, period: Period) -> list[date]:
        """Days of a period whose calls were not counted to their end; of the day that goes on, not at all."""
        return [day for day in period.days if self._is_missing(day)]

    def _is_missing(self, day: date) -> bool:
        start_ms, end_ms = period_of("day", day).bounds(self._wanted.zone)
        counted_to = self._counted.get(day.isoformat(), 0)
        return (
            counted_to < end_ms if end_ms <= self._wanted.now_ms else start_ms < self._wanted.now_ms and not counted_to
        )

    def calls_ms(self) -> int | None:
        """How far the calls of the day that goes on are counted."""
        wanted = self._wanted
        return self._counted.get(day_at(wanted.now_ms, wanted.zone).isoformat())

    def days(self) -> Iterator[Day]:
        """The calls of each day of the drawing."""
        period = self._wanted.period
        days = period.days
        if period.kind == "day":
            first = period.first.toordinal() - BEFORE + 1
            days = [period.first.fromordinal(first + at) for at in range(BEFORE)]
        names = {f"calls.{what}": what for what in ("attempts", "warned", "blocked")}
        chosen = (
            sa.select(_DAILY.c.day, _DAILY.c.name, sa.func.sum(_DAILY.c.value))
            .where(
                _DAILY.c.node == self._wanted.node,
                _DAILY.c.day >= days[0].isoformat(),
                _DAILY.c.day <= days[-1].isoformat(),
                _DAILY.c.name.in_(names),
            )
            .group_by(_DAILY.c.day, _DAILY.c.name)
        )
        found: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(names.values(), 0))
        for day, name, value in self._connection.execute(chosen):
            found[day][names[name]] = int(value)
        for day in (it.isoformat() for it in days):
            yield Day(day, **found[day]) if day in self._counted else Day(day)

    def _of_days(self, table: sa.Table) -> tuple[sa.ColumnElement[bool], ...]:
        period = self._wanted.period
        return (
            table.c.node == self._wanted.node,
            table.c.day >= period.first.isoformat(),
            table.c.day <= period.last.isoformat(),
        )

    def rules(self) -> Iterator[RuleCalls]:
        """The rules that decided on most calls; "" stands for the lists."""
        chosen = (
            sa.select(_DAILY.c.item, _DAILY.c.name, sa.func.sum(_DAILY.c.value))
            .where(*self._of_days(_DAILY), _DAILY.c.name.in_(["rules.blocked", "rules.warned"]))
            .group_by(_DAILY.c.item, _DAILY.c.name)
        )
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for rule, name, value in self._connection.execute(chosen):
            found[rule][name] = int(value)
        made = [
            RuleCalls(
                rule, dict(self._around.rules.get(rule, {})), of.get("rules.blocked", 0), of.get("rules.warned", 0)
            )
            for rule, of in found.items()
        ]
        yield from sorted(made, key=lambda it: (-it.blocked, -it.warned, it.rule))[:MOST_RULES]

    def campaigns(self) -> Iterator[Campaign]:
        """The largest groups of blocked calls."""
        calls = sa.func.sum(_SEEN.c.calls)
        chosen = (
            sa.select(_SEEN.c.rule, _SEEN.c.block, calls, sa.func.max(_SEEN.c.numbers), sa.func.count())
            .where(*self._of_days(_SEEN))
            .group_by(_SEEN.c.rule, _SEEN.c.block)
            .order_by(calls.desc(), _SEEN.c.rule, _SEEN.c.block)
            .limit(MOST_CAMPAIGNS)
        )
        for rule, block, *numbers in self._connection.execute(chosen):
            yield Campaign(rule, dict(self._around.rules.get(rule, {})), block, *map(int, numbers))

    def losses(self) -> Iterator[Loss]:
        """What each agency gave of each city, and of the period before."""
        period = self._wanted.period
        chosen = sa.select(_LOSSES).where(_LOSSES.c.period.in_([period.key, period.previous.key]))
        now: dict[tuple[str, str], tuple[int, int]] = {}
        then: dict[tuple[str, str], tuple[int, int]] = {}
        for row in self._connection.execute(chosen):
            of = now if row.period == period.key else then
            of[row.agency, row.city] = (int(row.cases), int(row.amount))
        for at, (cases, amount) in sorted(now.items(), key=lambda it: (-it[1][1], it[0])):
            before = then.get(at, (None, None))
            yield Loss(*at, cases, amount, *before)


def asked(query: str, node: str, period: Period, zone: ZoneInfo, now_ms: int) -> dict[str, Any]:
    """The values that a query names, of a period, at a moment."""
    start_ms, end_ms = period.bounds(zone)
    values = {
        "node": node,
        "first": period.first.isoformat(),
        "last": period.last.isoformat(),
        "period": period.key,
        "start_ms": start_ms,
        "end_ms": end_ms,
        "until_ms": min(end_ms, now_ms),
    }
    return {name: it for name, it in values.items() if f":{name}" in query}


def _units(figures: tuple[Figure, ...], by_unit: Mapping[str, Mapping[str, int]]) -> Iterator[Unit]:
    names = {unit for of in _UNIT_FIGURES for unit in by_unit.get(of, {})}
    rows = [Unit(name, *(by_unit.get(of, {}).get(name, 0) for of in _UNIT_FIGURES)) for name in names]
    if any(it.id == "cases.found" and it.now.value is not None for it in figures):
        yield from sorted(rows, key=lambda it: (-it.late, -it.found, it.unit))[:MOST_UNITS]


def _operator(text: str) -> str:
    """The operator that a unit is of; "" where it is another's."""
    name = _OPERATORS.get(text, "")
    return "" if name == "none" else name
