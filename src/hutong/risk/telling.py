"""What is told of numbers by calls that DuckDB holds: the columns of `numbers.toml`, and who shares callees with whom.

The calls are a table or view `heard`, one row a call:

    moment TIMESTAMPTZ, way (kind of trunk), caller, callee (number keys), blocked (whether a rule refused it that reads
    no score), answered, ring_ms, talk_ms, imei, imsi, cell (null where nobody saw)

Nothing here knows who is fraudulent: what is told are calls that were heard, and which of them were refused. What a
score itself refused counts as any other call: a wrong score must not raise that of its neighbours.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa

from hutong.kernel.numbering import AREAS, Numbering
from hutong.kernel.numbering.keys import digits_of
from hutong.risk.number_columns import number_columns

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

#: Two numbers are linked when they called so many same callees …
SHARED_CALLEES: Final = 2
#: … of those that no more than so many numbers called: everybody calls 10086.
POPULAR: Final = 50

_NUMBER_KIND: Final = "1"  # numbering.keys.KIND_NUMBER, in the bits of a key
_DIGITS: Final = (1 << 50) - 1  # the digits' bits of a key
_BLOCK: Final = 10_000
_READ_AT_ONCE: Final = 1 << 18
_PLACES: Final = {name: place for place, name in enumerate(AREAS)}


class Kind(NamedTuple):
    """What is known of the node.

    time_zone, night_from, night_to: its local time and the hours of its night. home_area: what completes local numbers.
    by_score: ids of the rules that read scores; what they refused is told as if it had passed.
    """

    time_zone: str = "Asia/Shanghai"
    night_from: int = 22
    night_to: int = 8
    home_area: str = ""
    by_score: tuple[str, ...] = ()


class Made(NamedTuple):
    """What was made of records: rows of the table, pairs of the edges, calls that could not be used."""

    table: pa.Table
    edges: pa.Table
    skipped: int


def told(
    engine: duckdb.DuckDBPyConnection,
    kind: Kind,
    *,
    skipped: int = 0,
    active_ms: int = 0,
    callees: int = 1,
    linked: bool = True,
) -> Made:
    """The table of the numbers that call in `heard`, in order of their keys.

    Args:
        engine: holds `heard`; temporary tables are made in it.
        kind: what is known of the node.
        skipped: calls that are not in `heard`, for the result.
        active_ms: only numbers that made calls from this moment on (epoch ms) are told of; 0: all.
        callees: only numbers that called so many different ones are told of.
        linked: whether edges are wanted.
    """
    since = f"epoch_ms(moment) >= {int(active_ms)}"
    active = f"AND caller IN (SELECT caller FROM heard WHERE {since})" if active_ms else ""  # noqa: S608  # a number
    engine.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE active AS SELECT caller AS key FROM heard WHERE caller >> 55 = {_NUMBER_KIND}
        {active} GROUP BY caller HAVING count(DISTINCT callee) >= {int(callees)}
        """  # noqa: S608  # numbers
    )
    _place(engine, kind)
    columns = number_columns()
    made, received, both = (
        ", ".join(f"({row['sql']})::DOUBLE AS {row['name']}" for row in columns[of])
        for of in ("made", "received", "both")
    )
    table = _arrow(
        engine,
        f"""
        WITH made AS (SELECT caller AS key, {made} FROM calls GROUP BY caller),
        received AS (SELECT callee AS key, {received} FROM near SEMI JOIN active ON callee = key GROUP BY callee),
        pairs AS (SELECT DISTINCT caller, callee FROM near),
        back AS (
            SELECT m.caller AS key, count(*)::DOUBLE AS callers_back
            FROM pairs m JOIN pairs r ON m.caller = r.callee AND m.callee = r.caller GROUP BY m.caller
        ),
        seen AS (SELECT key, min(moment) AS first_seen
            FROM (SELECT caller AS key, moment FROM near UNION ALL SELECT callee, moment FROM near) GROUP BY key)
        SELECT made.*, received.* EXCLUDE (key), {both}
        FROM made LEFT JOIN received USING (key) LEFT JOIN back USING (key) JOIN seen USING (key)
        JOIN classes USING (key) LEFT JOIN refused_blocks ON block = (key & {_DIGITS}) // {_BLOCK}
        LEFT JOIN refused_numbers USING (key) CROSS JOIN watched ORDER BY key
        """,  # noqa: S608  # expressions of our own data file
    )
    users = pa.array([digits(key) for key in table["key"].to_pylist()], pa.string())
    return Made(table.drop_columns(["key"]).add_column(0, "user", users), _edges(engine, wanted=linked), skipped)


def _edges(engine: duckdb.DuckDBPyConnection, *, wanted: bool) -> pa.Table:
    if not wanted:
        return pa.table({name: pa.array([], pa.string()) for name in "ab"})
    edges = _arrow(
        engine,
        f"""
        WITH pairs AS (SELECT DISTINCT caller, callee FROM calls WHERE caller >> 55 = {_NUMBER_KIND}),
        quiet AS (SELECT callee FROM pairs GROUP BY callee HAVING count(*) BETWEEN 2 AND {POPULAR})
        SELECT p.caller AS a, q.caller AS b FROM pairs p SEMI JOIN quiet USING (callee) JOIN pairs q USING (callee)
        WHERE p.caller < q.caller GROUP BY ALL HAVING count(*) >= {SHARED_CALLEES} ORDER BY a, b
        """,  # noqa: S608  # numbers of our own
    )
    return pa.table({name: pa.array([digits(key) for key in edges[name].to_pylist()], pa.string()) for name in "ab"})


def digits(key: int) -> str:
    """A number key as E.164, with its plus sign."""
    return f"+{digits_of(key)}"


def _arrow(engine: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    return engine.sql(sql).to_arrow_table()


@lru_cache(1)
def _numbering() -> Numbering:
    return Numbering()


@lru_cache(_READ_AT_ONCE)
def _read(key: int) -> tuple[int, str]:
    """The place of a number's area, 0 where it has none, and its class."""
    if not digits_of(key):
        return 0, ""
    number = _numbering().read(digits(key))
    return _PLACES.get(number.area, 0), number.klass


def _keys(engine: duckdb.DuckDBPyConnection, sql: str) -> Iterable[int]:
    return [row[0] for row in engine.execute(sql).fetchall()]


def _place(engine: duckdb.DuckDBPyConnection, kind: Kind) -> None:
    """Make `calls`, those of active numbers and those to them, with what is around each; and what is around numbers."""
    engine.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE near AS
            SELECT * FROM heard WHERE caller IN (FROM active) OR callee IN (FROM active);
        CREATE OR REPLACE TEMP TABLE watched AS SELECT min(moment) AS began, max(moment) AS ended FROM heard;
        CREATE OR REPLACE TEMP TABLE refused_callees AS
            SELECT callee, count(DISTINCT caller) AS callers, min(caller) AS one
            FROM heard WHERE blocked GROUP BY callee;
        CREATE OR REPLACE TEMP TABLE refused_numbers AS
            SELECT DISTINCT caller AS key, 1 AS itself FROM heard WHERE blocked AND caller >> 55 = {_NUMBER_KIND};
        CREATE OR REPLACE TEMP TABLE refused_blocks AS
            SELECT (key & {_DIGITS}) // {_BLOCK} AS block, count(*) AS refused FROM refused_numbers GROUP BY block;
        CREATE OR REPLACE TEMP TABLE device_days AS
            SELECT imei, moment::DATE AS day, nullif(count(DISTINCT imsi), 0) AS cards FROM heard
            WHERE imei IN (SELECT imei FROM near WHERE imei IS NOT NULL AND caller IN (FROM active)) GROUP BY ALL;
        CREATE OR REPLACE TEMP TABLE card_days AS
            SELECT caller, moment::DATE AS day, nullif(count(DISTINCT cell), 0) AS cells,
                nullif(count(DISTINCT imei), 0) AS devices
            FROM near WHERE (cell IS NOT NULL OR imei IS NOT NULL) AND caller IN (FROM active) GROUP BY ALL;
        CREATE OR REPLACE TEMP TABLE recent AS
            SELECT caller, callee, moment FROM near, watched
            WHERE caller IN (FROM active) AND moment > ended - INTERVAL 1 DAY;
        CREATE OR REPLACE TEMP TABLE beside AS
            SELECT m.caller, m.callee, m.moment, count(DISTINCT o.caller) AS strangers
            FROM recent m JOIN (
                SELECT caller, callee, moment FROM heard, watched
                WHERE moment > ended - INTERVAL 25 HOUR AND callee IN (SELECT callee FROM recent)
            ) o ON o.callee = m.callee AND o.caller <> m.caller
                AND o.moment BETWEEN m.moment - INTERVAL 1 HOUR AND m.moment + INTERVAL 1 HOUR
            GROUP BY ALL
        """  # noqa: S608  # numbers of our own
    )
    callees = _keys(engine, "SELECT DISTINCT callee FROM near SEMI JOIN active ON caller = key")
    active = _keys(engine, "SELECT key FROM active")
    areas, classes = [_read(key)[0] for key in callees], [_read(key)[1] for key in active]
    engine.register("areas", pa.table({"key": pa.array(callees, pa.int64()), "area": pa.array(areas, pa.int64())}))
    engine.register("classes", pa.table({"key": pa.array(active, pa.int64()), "class": pa.array(classes, pa.string())}))
    night = "OR" if kind.night_from > kind.night_to else "AND"
    engine.execute(
        """
        CREATE OR REPLACE TEMP TABLE own AS
            SELECT *, timezone(?, moment) AS start, date_trunc('hour', moment) AS begun
            FROM near WHERE caller IN (FROM active)
        """,
        [kind.time_zone],
    )
    engine.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE calls AS
        SELECT h.* EXCLUDE (moment, begun), coalesce(area, 0) AS area,
            (hour(start) >= {int(kind.night_from)} {night} hour(start) < {int(kind.night_to)})::TINYINT AS night,
            lag(h.callee) OVER (PARTITION BY h.caller ORDER BY h.moment) AS previous, again, in_hour,
            h.moment > ended - INTERVAL 1 HOUR AS last_hour, h.moment > ended - INTERVAL 1 DAY AS last_day,
            cards, cells AS day_cells, devices AS day_devices, coalesce(strangers, 0) AS strangers,
            coalesce(callers > 1 OR one <> h.caller, false) AS refused_others
        FROM own h CROSS JOIN watched
            JOIN (SELECT caller, callee, count(*) > 1 AS again FROM own GROUP BY ALL) p
                ON p.caller = h.caller AND p.callee = h.callee
            JOIN (SELECT caller, begun, count(*) AS in_hour FROM own GROUP BY ALL) o
                ON o.caller = h.caller AND o.begun = h.begun
            LEFT JOIN areas ON areas.key = h.callee
            LEFT JOIN device_days d ON d.imei = h.imei AND d.day = h.moment::DATE
            LEFT JOIN card_days c ON c.caller = h.caller AND c.day = h.moment::DATE
            LEFT JOIN beside b ON b.caller = h.caller AND b.callee = h.callee AND b.moment = h.moment
            LEFT JOIN refused_callees r ON r.callee = h.callee
        """  # noqa: S608  # a word and numbers of our own
    )
