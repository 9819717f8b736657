"""How sampling goes at the moment, by hour, district and station, and how long results take: read from counted rows."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Literal

import msgspec
import sqlalchemy as sa

from hutong.kernel.districts import DIGITS
from hutong.kernel.records import sampling_tables as tables
from hutong.sampling.counts import HOUR_MS, STEP_MS
from hutong.sampling.model import STATES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hutong.kernel.records import Database
    from hutong.sampling.counts import Hourly
    from hutong.sampling.model import State
    from hutong.sampling.query import StationRow

COUNTS, TUBES = tables.sampling_counts, tables.sampling_tubes
DAY: Final = 24
#: States of tubes that wait for something.
WAITING: Final[tuple[State, ...]] = ("open", "sealed", "in-transit", "received")
_DISTRICT: Final = sa.func.substr(COUNTS.c.district, 1, DIGITS)
#: A station that is silent so long, and left nothing behind, has closed.
RESTED_MS: Final = DAY * HOUR_MS
StationMark = Literal["heard", "silent", "rested"]


class Spent(msgspec.Struct, frozen=True):
    """How long results took from the first sample of a tube to its test.

    Attributes:
        results: of how many. p50_ms, p90_ms: half of them, nine of ten, took no longer; to half an hour.
    """

    results: int = 0
    p50_ms: int = 0
    p90_ms: int = 0


class DistrictFigures(msgspec.Struct, frozen=True):
    """How one district does.

    Attributes:
        code: six digits; "" = tubes without a district. hourly: samples in the last sixty minutes, about.
        samples, positives: of 24 hours. waiting: tubes without a result. oldest_ms: when the first of them was opened,
            0 = none. stations, silent: how many. load: samples an hour for each station that samples now.
    """

    code: str
    hourly: int = 0
    samples: int = 0
    positives: int = 0
    waiting: int = 0
    oldest_ms: int = 0
    stations: int = 0
    silent: int = 0
    load: int = 0


def mark_of(station: StationRow, now_ms: int, silent_ms: int) -> StationMark:
    """Whether a station is heard of, should have been heard of, or has closed."""
    away_ms = now_ms - station.contact_ms
    if away_ms <= silent_ms:
        return "heard"
    return "rested" if away_ms > RESTED_MS and not station.waiting else "silent"


class Figures:
    """Reads what is counted.

    Args:
        database: opened by whoever made it. silent_ms: after which a station that was not heard of is silent.
    """

    def __init__(self, database: Database, silent_ms: int) -> None:
        self._database, self.silent_ms = database, silent_ms

    def by_hour(self, what: Hourly, since: int, until: int) -> dict[int, int]:
        """How many in each hour from `since` to `until`, which are hours since 1970; only hours that have any."""
        chosen = (
            sa.select(COUNTS.c.hour, sa.func.sum(COUNTS.c.count))
            .where(COUNTS.c.what == what, COUNTS.c.hour.between(since, until))
            .group_by(COUNTS.c.hour)
        )
        with self._database.read() as connection:
            return {hour: int(count) for hour, count in connection.execute(chosen)}

    def states(self) -> dict[State, int]:
        """How many tubes are in each state now."""
        chosen = (
            sa.select(COUNTS.c.what, sa.func.sum(COUNTS.c.count))
            .where(COUNTS.c.what.in_(STATES), COUNTS.c.hour == 0)
            .group_by(COUNTS.c.what)
        )
        with self._database.read() as connection:
            found = {state: int(count) for state, count in connection.execute(chosen)}
        return {state: found.get(state, 0) for state in STATES}

    def oldest_ms(self) -> int:
        """When the tube that waits longest was opened; 0 = none waits."""
        with self._database.read() as connection:
            firsts = [
                connection.execute(sa.select(sa.func.min(TUBES.c.opened_ms)).where(TUBES.c.state == state)).scalar()
                for state in WAITING
            ]
        return min((it for it in firsts if it), default=0)

    def held(self) -> int:
        """How many tubes wait for a person to settle their result."""
        chosen = sa.select(sa.func.count()).select_from(TUBES).where(TUBES.c.held == sa.literal_column("1"))
        with self._database.read() as connection:
            return int(connection.execute(chosen).scalar_one())

    def spent(self, since: int, until: int) -> dict[int, Spent]:
        """How long results took, by the hour of the test; of all of them under -1."""
        chosen = (
            sa.select(COUNTS.c.hour, COUNTS.c.step, sa.func.sum(COUNTS.c.count))
            .where(COUNTS.c.what == "spent", COUNTS.c.hour.between(since, until))
            .group_by(COUNTS.c.hour, COUNTS.c.step)
        )
        found: dict[int, Counter[int]] = {}
        with self._database.read() as connection:
            for hour, step, count in connection.execute(chosen):
                found.setdefault(hour, Counter())[step] += int(count)
        return {hour: spent_of([steps]) for hour, steps in found.items()} | {-1: spent_of(found.values())}

    def districts(self, stations: Iterable[StationRow], now_ms: int) -> list[DistrictFigures]:
        """Every district that has samples, tubes or stations, by its code."""
        hour = now_ms // HOUR_MS
        rows: dict[str, Counter[str]] = {}
        for what, since in (("samples", hour - DAY + 1), ("positives", hour - DAY + 1)):
            for code, count in self._sums(what, since, hour):
                rows.setdefault(code, Counter())[what] += count
        # The part of the hour before that is within sixty minutes.
        before = 1 - now_ms % HOUR_MS / HOUR_MS
        for code, count in self._sums("samples", hour, hour):
            rows.setdefault(code, Counter())["hourly"] += count
        for code, count in self._sums("samples", hour - 1, hour - 1):
            rows.setdefault(code, Counter())["hourly"] += round(count * before)
        for code, count in self._at_work(hour):
            rows.setdefault(code, Counter())["at_work"] += count
        oldest = self._waiting(rows)
        for it in stations:
            row = rows.setdefault(it.district[:DIGITS], Counter())
            mark = mark_of(it, now_ms, self.silent_ms)
            row["stations"] += mark != "rested"
            row["silent"] += mark == "silent"
        return [_figures(code, rows[code], oldest.get(code, 0)) for code in sorted(rows)]

    def _sums(self, what: Hourly | str, since: int, until: int) -> list[tuple[str, int]]:
        chosen = (
            sa.select(_DISTRICT.label("code"), sa.func.sum(COUNTS.c.count))
            .where(COUNTS.c.what == what, COUNTS.c.hour.between(since, until))
            .group_by(sa.text("code"))
        )
        with self._database.read() as connection:
            return [(code, int(count)) for code, count in connection.execute(chosen)]

    def _at_work(self, hour: int) -> list[tuple[str, int]]:
        """How many stations sampled in this hour or the one before."""
        chosen = (
            sa.select(_DISTRICT.label("code"), sa.func.count(sa.distinct(COUNTS.c.station)))
            .where(COUNTS.c.what == "samples", COUNTS.c.hour.between(hour - 1, hour), COUNTS.c.count > 0)
            .group_by(sa.text("code"))
        )
        with self._database.read() as connection:
            return [(code, int(count)) for code, count in connection.execute(chosen)]

    def _waiting(self, rows: dict[str, Counter[str]]) -> dict[str, int]:
        """Adds the tubes that wait to the rows; gives when the oldest of each district was opened."""
        first = sa.select(sa.func.min(TUBES.c.opened_ms)).correlate(COUNTS)
        first = first.where(TUBES.c.district == COUNTS.c.district, TUBES.c.state == COUNTS.c.what)
        chosen = (
            sa.select(COUNTS.c.district, sa.func.sum(COUNTS.c.count), first.scalar_subquery())
            .where(COUNTS.c.what.in_(WAITING), COUNTS.c.hour == 0, COUNTS.c.count > 0)
            .group_by(COUNTS.c.what, COUNTS.c.district)
        )
        oldest: dict[str, int] = {}
        with self._database.read() as connection:
            for district, count, opened in connection.execute(chosen):
                code = district[:DIGITS]
                rows.setdefault(code, Counter())["waiting"] += int(count)
                if opened:
                    oldest[code] = min(oldest.get(code, opened), opened)
        return oldest


def spent_of(parts: Iterable[Counter[int]]) -> Spent:
    """How long results took, out of counts by half hours. Pure."""
    steps: Counter[int] = Counter()
    for it in parts:
        steps.update(it)
    return Spent(steps.total(), _share(steps, 0.5), _share(steps, 0.9))


def _share(steps: Counter[int], share: float) -> int:
    """The end of the half hour in which this share of all is reached, ms; 0 of none."""
    left = steps.total() * share
    for step in sorted(steps):
        left -= steps[step]
        if left <= 0:
            return (step + 1) * STEP_MS if steps.total() else 0
    return 0


def _figures(code: str, row: Counter[str], oldest_ms: int) -> DistrictFigures:
    return DistrictFigures(
        code=code,
        hourly=row["hourly"],
        samples=row["samples"],
        positives=row["positives"],
        waiting=row["waiting"],
        oldest_ms=oldest_ms,
        stations=row["stations"],
        silent=row["silent"],
        load=round(row["hourly"] / row["at_work"]) if row["at_work"] else 0,
    )
