"""Alerts on record: every question that the page, the API and the commands ask, with ten million of them.

Three days' alerts of four kinds are written into the table directly, with an event for each beginning and each end;
some calls go on, one caller and one callee stand in many. Questions take turns, round after round, and their values
change from round to round. Each opens the file anew, as in a node.
"""

from __future__ import annotations

import random
import sqlite3
import time
from contextlib import closing
from statistics import median, quantiles
from typing import TYPE_CHECKING, NamedTuple

from bench.tables import table
from hutong.calls.alerts.queries import DEPTH, INDEXES, AlertFilters
from hutong.calls.alerts.table import ALERT_TABLE, AlertTable
from hutong.calls.alerts.views import AlertViews
from hutong.kernel.numbering import Numbering, key_of_digits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ALERTS = 10_000_000
GOING_ON = 20_000
ROUNDS = 40
MOST_MS = 200
_SPAN_MS = 72 * 3_600_000
_START_MS = 1_772_416_800_000
_CALLERS, _CALLEES = 2_000_000, 3_000_000
_BUSY_CALLER, _BUSY_CALLEE = 100, 1000  # one in so many alerts
_CALLER, _CALLEE = key_of_digits("8613800000000"), key_of_digits("8613900000000")
#: The kind, the stage and the rest of the id of each condition, by the share of a sixteenth.
_CONDITIONS = (
    *(("suspicious", "observe", "observed-talk"),) * 8,
    *(("long", "observe", "international"),) * 3,
    ("victim", "alert", "many-flagged-callers"),
    ("victim", "alert", "long-talk"),
    ("victim", "alert", "answered-after-attempts"),
    ("costly", "alert", "premium"),
    ("long", "alert", "talk"),
)

_FILL = f"""
    WITH RECURSIVE it (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM it WHERE n < :alerts)
    INSERT INTO alerts
    SELECT 2 * n, :start + n * :span / :alerts, kind || '.' || name, 1, kind, stage,
        CASE WHEN n % {_BUSY_CALLER} = 0 THEN :caller ELSE :caller + (n * 7919 % {_CALLERS}) * :step END,
        CASE WHEN n % {_BUSY_CALLEE} = 0 THEN :callee ELSE :callee + (n * 104729 % {_CALLEES}) * :step END,
        'inter-' || n % 7, n, 'a84b4c76e66710-' || n || '@gw1.example.net', 3000, 180000, 1,
        '{{"call.talk_s":180.0,"caller.flagged":true}}', '0123456789abcdef',
        CASE WHEN n > :alerts - :going_on THEN 0 ELSE :start + n * :span / :alerts + 60000 END,
        CASE WHEN n > :alerts - :going_on THEN '' ELSE 'ended' END, 180000 + n * 7907 % 3600000, 16
    FROM it JOIN conditions ON conditions.at = n % 16
"""  # noqa: S608  # numbers of our own
_FILL_EVENTS = """
    INSERT INTO events
    SELECT seq, time_ms, 'raised', stage, json_array(seq) FROM alerts
    UNION ALL SELECT seq + 1, ended_ms, 'ended', stage, json_array(seq) FROM alerts WHERE ended_ms > 0
"""


class Question(NamedTuple):
    """A question: its name in the table, and what asks it in a round."""

    name: str
    ask: Callable[[int], object]


def fill(folder: Path, alerts: int = ALERTS) -> None:
    """Write the table of a data folder; indexes are made after."""
    AlertTable(folder).create()
    with closing(sqlite3.connect(folder / ALERT_TABLE)) as db:
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -400000")
        db.execute("CREATE TEMP TABLE conditions (at INTEGER PRIMARY KEY, kind TEXT, stage TEXT, name TEXT)")
        db.executemany("INSERT INTO conditions VALUES (?, ?, ?, ?)", [(at, *it) for at, it in enumerate(_CONDITIONS)])
        for statement in INDEXES:
            db.execute(f"DROP INDEX {statement.split()[2]}")
        values = {
            "alerts": alerts,
            "start": _START_MS,
            "span": _SPAN_MS,
            "caller": _CALLER,
            "callee": _CALLEE,
            "step": key_of_digits("8613800000001") - _CALLER,
            "going_on": GOING_ON,
        }
        db.execute(_FILL, values)
        db.execute(_FILL_EVENTS)
        for statement in INDEXES:
            db.execute(statement)
        db.execute("UPDATE place SET seq = ?", (2 * alerts + 1,))
        db.commit()
        db.execute("PRAGMA journal_mode = WAL")


def questions(views: AlertViews, alerts: int) -> list[Question]:
    """What is asked of the table, of all shapes that the page's filters allow."""
    rng, of = random.Random(1), views.table

    def some_time(_round: int) -> int:
        return _START_MS + rng.randrange(_SPAN_MS)

    def rows(name: str, make: Callable[[int], AlertFilters], **how: object) -> list[Question]:
        return [
            Question(f"{name}: rows", lambda at: of.rows(make(at), limit=26, **how)),  # type: ignore[arg-type]
            Question(f"{name}: count", lambda at: of.count(make(at))),
        ]

    def plain(**what: object) -> Callable[[int], AlertFilters]:
        return lambda _at: AlertFilters(**what)  # type: ignore[arg-type]

    last = DEPTH - 26
    return [
        *rows("/alerts", plain()),
        *rows("oldest first", plain(), descending=False),
        *rows("last page", plain(), offset=last),
        *rows("last page of a kind", plain(kind="victim"), offset=last),
        *rows("by talk", plain(), sort="talk"),
        *rows("by talk, since, kind", lambda at: AlertFilters(kind="long", since_ms=some_time(at)), sort="talk"),
        *rows("kind", plain(kind="victim")),
        *rows("kind, stage with none", plain(kind="costly", stage="observe")),
        *rows("stage", plain(stage="alert")),
        *rows("condition", plain(rule="costly.premium")),
        *rows("condition with none", plain(rule="long.ringing")),
        *rows("going on", plain(state="on")),
        *rows("going on, kind", plain(state="on", kind="victim")),
        *rows("over", plain(state="over")),
        *rows(
            "over, condition, since", lambda at: AlertFilters(since_ms=some_time(at), rule="long.talk", state="over")
        ),
        *rows("since", lambda at: AlertFilters(since_ms=some_time(at))),
        *rows("until", lambda at: AlertFilters(until_ms=some_time(at))),
        *rows(
            "an hour, all filters",
            lambda at: AlertFilters(some_time(at) - 3_600_000, some_time(at), "victim", "alert", "", "over"),
        ),
        Question("conditions on record", lambda _at: views.titles()),
        Question("calls and people under alert", lambda _at: (of.going_on(), of.going_on("victim"))),
        Question("the wall", lambda _at: views.wall()),
        Question("newest event", lambda _at: of.newest_event()),
        Question("a call's alerts", lambda _at: views.of_call(rng.randrange(1, alerts))),
        Question("API: events since", lambda _at: _events(of, rng.randrange(2 * alerts), "")),
        Question("API: events of a stage", lambda _at: _events(of, rng.randrange(2 * alerts), "alert")),
        Question("API: the newest events", lambda _at: _events(of, 2 * alerts - 400, "")),
        Question("`hutong alerts list --limit 500`", lambda _at: of.rows(AlertFilters(), limit=500)),
        Question("`hutong alerts show`", lambda _at: of.by_seqs([2 * rng.randrange(1, alerts)])),
    ]


def _events(of: AlertTable, after: int, stage: str) -> object:
    events = of.events(after, 500, stage)
    return of.by_seqs([seq for event in events for seq in event.alerts])


def alert_table(folder: Path, alerts: int = ALERTS) -> str:
    """The figures as a table; what it fills is left in the folder."""
    data = folder / "alert-table"
    data.mkdir()
    fill(data, alerts)
    views = AlertViews(data, "node1", Numbering("021"), str)
    asked = questions(views, alerts)
    taken: dict[str, list[float]] = {it.name: [] for it in asked}
    for at in range(ROUNDS + 1):
        for it in asked:
            began = time.perf_counter()
            it.ask(at)
            taken[it.name].append((time.perf_counter() - began) * 1000)
    size = (data / ALERT_TABLE).stat().st_size / (1 << 30)
    told = table(
        ("question, ms", "first", "median", "p95", "max", f"p95 ≤ {MOST_MS}"),
        [_row(name, times[0], times[1:]) for name, times in taken.items()],
    )
    return f"{alerts:,} alerts, {GOING_ON:,} going on, {size:.1f} GiB\n\n{told}"


def _row(name: str, first: float, times: list[float]) -> tuple[str, ...]:
    p95 = quantiles(times, n=20)[-1]
    figures = (first, median(times), p95, max(times))
    return (name, *(f"{it:,.1f}" for it in figures), "ok" if p95 <= MOST_MS else "**no**")
