"""Bulletins of a month beside many calls: days counted from the archive, the value gathered, its documents drawn.

    python -m bench.bulletins [--calls 10000000] [--days 3] [--cases 2000000] [--url postgresql://…] [--folder DIR]

The archive is made here, with so many calls in each of so many days; the other days of the month are written as counts
of the same size, which is all that a bulletin reads of them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from bench.tables import table
from hutong.bulletins.desk import MEDIA, Desk, Doer
from hutong.bulletins.paper import HOME
from hutong.bulletins.periods import begin_of, read_period
from hutong.calls.archiving import FOLDER, TABLES, VERDICTS
from hutong.calls.daily import DailyCalls
from hutong.kernel.access.trail import Trail
from hutong.kernel.archive import Archive
from hutong.kernel.numbering import Numbering, key_of_digits
from hutong.kernel.records import Database, database_url, tables
from hutong.kernel.web.texts import LANGUAGES, Texts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from numpy.typing import NDArray

CALLS, DAYS, CASES = 10_000_000, 3, 2_000_000
MONTH: Final = read_period("2026-03")
ZONE: Final = ZoneInfo("UTC")
_AT_ONCE: Final = 500_000
_OPEN_MS: Final = 5 * 86_400_000
_RULES: Final = ("calls.one-ring", "calls.shared-cost-as-caller", "calls.enterprise-caller-outside-ranges")


def measure(database: Database, data: Path, calls: int, days: int, cases: int) -> Iterator[tuple[str, str]]:
    """What was measured, and the figure; the records are empty before."""
    write_archive(data, calls, MONTH.days[:days])
    now_ms = begin_of(MONTH.last + timedelta(days=2), ZONE)
    daily = DailyCalls(database, data, "bench", ZONE, Numbering(), lambda: True)
    begun = time.perf_counter()
    for day in MONTH.days[:days]:
        daily.count(day, now_ms)
    yield f"a day of {calls:,} calls counted, s", f"{(time.perf_counter() - begun) / days:.2f}"
    _repeat(database, MONTH.days[days:], MONTH.first)
    _events(database, cases)
    texts = Texts([HOME / "texts.toml"])
    desk = Desk(database, data, "bench", ZONE.key, Trail(database), texts, {}, dict)
    begun = time.perf_counter()
    kept = desk.make(MONTH, Doer("bench"), now_ms)
    yield f"a month's value gathered beside {cases:,} cases, s", f"{time.perf_counter() - begun:.2f}"
    for form in MEDIA:
        begun = time.perf_counter()
        for lang in LANGUAGES:
            desk.file(kept.id, lang, form)
        yield f"{form}, s each", f"{(time.perf_counter() - begun) / len(LANGUAGES):.2f}"


def bulletins_table(folder: Path, url: str = "", calls: int = CALLS, days: int = DAYS, cases: int = CASES) -> str:
    """The table of `python -m bench bulletins`, on SQLite unless `url` names another."""
    data = folder / "bulletins"
    data.mkdir()
    database = Database(database_url(url, data))
    database.open()
    try:
        return table(["what", "PostgreSQL" if url else "SQLite"], list(measure(database, data, calls, days, cases)))
    finally:
        database.close()


def write_archive(data: Path, calls: int, days: list[date]) -> None:
    """Days of an archive: callees all over the plan, one call in a hundred blocked."""
    archive, chance, seq = Archive(data / FOLDER, TABLES), np.random.default_rng(7), 0
    archive.open()
    for day in days:
        start_ms = begin_of(day, ZONE)
        for at in range(0, calls, _AT_ONCE):
            count = min(_AT_ONCE, calls - at)
            rows = _rows(chance, count, seq, start_ms)
            archive.append({"verdicts": rows}, seq + 1, seq + count, (start_ms + 86_399_000) * 1_000_000)
            seq += count
    archive.close()


def _rows(chance: np.random.Generator, count: int, seq: int, start_ms: int) -> pa.Table:
    blocked = chance.random(count) < 0.01  # one in a hundred
    callers = _keys(chance, count, "8617000000000", 10**6)
    rules = np.array(_RULES)[chance.integers(0, len(_RULES), count)]
    empty = pa.nulls(count)
    columns = {
        "seq": pa.array(np.arange(seq + 1, seq + count + 1)),
        "time": pa.array(start_ms + np.sort(chance.integers(0, 86_400_000, count))),
        "caller_key": pa.array(callers),
        "callee_key": pa.array(_keys(chance, count, "8613000000000", 9 * 10**9)),
        "action": pa.array(np.where(blocked, "block", "pass")),
        "rule": pa.array(rules, mask=~blocked),
    }
    arrays = [columns.get(field.name, empty).cast(field.type) for field in VERDICTS]
    return pa.Table.from_arrays(arrays, schema=VERDICTS)


def _keys(chance: np.random.Generator, count: int, first: str, span: int) -> NDArray[np.int64]:
    return key_of_digits(first) + chance.integers(0, span, count)


def _repeat(database: Database, days: list[date], like: date) -> None:
    """Let other days have the counts of one."""
    with database.write() as connection:
        for counted in (tables.daily_figures, tables.daily_campaigns, tables.daily_counted):
            rows = [row._asdict() for row in connection.execute(sa.select(counted).where(counted.c.day == str(like)))]
            for day in days:
                moved = {"until_ms": begin_of(day, ZONE) + 86_400_000} if counted is tables.daily_counted else {}
                connection.execute(sa.insert(counted), [row | {"day": str(day)} | moved for row in rows])


def _events(database: Database, cases: int) -> None:
    """Cases found over two years, as far as figures read them."""
    begin, span = begin_of(MONTH.first, ZONE) - 700 * 86_400_000, 730 * 86_400_000
    row = {"type": "fraud-number", "priority": 2, "owner": "", "register": "", "parent": "", "wake_ms": 0, "version": 1}
    with database.write() as connection:
        for first in range(0, cases, 10_000):
            some = range(first, min(first + 10_000, cases))
            at = {place: begin + span * place // cases for place in some}
            told = [(place, place % 20 == 0) for place in some]
            connection.execute(
                sa.insert(tables.cases),
                [
                    row
                    | {"id": f"b-{place}", "state": "found" if open_ else "closed", "is_open": int(open_), "title": "x"}
                    | {"unit": ("移动", "联通", "")[place % 3], "item": str(place), "next_due_ms": at[place] * open_}
                    | {"found_ms": at[place], "changed_ms": at[place], "body": "{}"}
                    for place, open_ in told
                ],
            )
            event = {"who": "x", "said": "{}"}
            found = {"seq": 1, "action": "find", "changes": "{}"}
            closed = {"seq": 2, "action": "close", "changes": '{"state":"closed"}'}
            ends = [closed | {"case": f"b-{it}", "time_ms": at[it] + _OPEN_MS} for it, open_ in told if not open_]
            begins = [found | {"case": f"b-{it}", "time_ms": at[it]} for it in some]
            connection.execute(sa.insert(tables.case_events), [event | it for it in begins + ends])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.bulletins", description=__doc__)
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--cases", type=int, default=CASES)
    parser.add_argument("--url", default="")
    parser.add_argument("--folder", default=None)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        text = bulletins_table(Path(folder), asked.url, asked.calls, asked.days, asked.cases)
    print(f"{datetime.now(UTC):%Y-%m-%d}")
    print(text)


if __name__ == "__main__":
    main()
