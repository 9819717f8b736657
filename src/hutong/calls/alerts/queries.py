"""Questions to the table of alerts as SQL that stays quick with ten million rows. Pure: filters in, statements out.

Each question walks one index in the order of time, once for each stage, and stops where it has enough: no statement
sorts or counts more than DEPTH rows. What is asked for by talk is sorted among the newest DEPTH rows that the filters
leave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from hutong.calls.alerts.record import kind_of
from hutong.kernel.rules.ruleset import ALERT_STAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Rows that are counted, paged through and sorted by talk; beyond it nobody turns pages.
DEPTH: Final = 100_000

#: Each holds all that its questions filter and sort by, so that the table itself is read for shown rows only.
INDEXES: Final = (
    "CREATE INDEX by_stage ON alerts (stage, time_ms, seq, ended_ms, total_ms)",
    "CREATE INDEX by_kind ON alerts (kind, stage, time_ms, seq, ended_ms, total_ms)",
    "CREATE INDEX by_rule ON alerts (rule, stage, time_ms, seq, ended_ms, total_ms)",
    "CREATE INDEX by_caller ON alerts (caller, time_ms)",
    "CREATE INDEX by_callee ON alerts (callee, time_ms)",
    "CREATE INDEX by_verdict ON alerts (verdict)",
    "CREATE INDEX going_on ON alerts (stage, kind, rule, time_ms, seq, total_ms, verdict, callee) WHERE ended_ms = 0",
    "CREATE INDEX events_by_stage ON events (stage, seq)",
    "CREATE INDEX events_by_time ON events (time_ms)",
)

Values = tuple[int | str, ...]


class AlertFilters(msgspec.Struct, frozen=True):
    """Which alerts; what is empty, 0 or None does not matter.

    Attributes:
        since_ms: from this moment; until_ms: before this one.
        kind, stage, rule: of the condition. state: "on" while the call goes on, "over" after it.
        number: caller or callee. verdict: of one call.
        before: sequence numbers below this one.
    """

    since_ms: int = 0
    until_ms: int = 0
    kind: str = ""
    stage: str = ""
    rule: str = ""
    state: str = ""
    number: int = 0
    verdict: int = 0
    before: int = 0


def rows_query(it: AlertFilters, limit: int, offset: int, sort: str, *, descending: bool) -> tuple[str, Values]:
    """One page of rows, by `sort`: "time" or "talk"; none beyond DEPTH."""
    way = "DESC" if descending else "ASC"
    limit = max(min(limit, DEPTH - offset), 0)
    by_talk = sort == "talk"
    inner, values = _merged(it, DEPTH if by_talk else offset + limit, "DESC" if by_talk else way)
    order = f"{'total_ms' if by_talk else 'time_ms'} {way}, seq {way}"
    statement = (
        f"WITH chosen AS (SELECT * FROM ({inner}) ORDER BY {order} LIMIT ? OFFSET ?)"  # noqa: S608  # parts are constants
        f" SELECT alerts.* FROM chosen CROSS JOIN alerts ON alerts.seq = chosen.seq"
        f" ORDER BY {', '.join(f'chosen.{part}' for part in order.split(', '))}"
    )
    return statement, (*values, limit, offset)


def count_query(it: AlertFilters) -> tuple[str, Values]:
    """How many rows there are; not exact beyond DEPTH."""
    parts: list[str] = []
    values: list[int | str] = []
    for part, some in _branches(it):
        parts.append(f"(SELECT count(*) FROM ({part} LIMIT ?))")  # noqa: S608  # as above
        values += [*some, DEPTH + 1]
    return f"SELECT {' + '.join(parts)}", tuple(values)


def going_on_query(kind: str) -> tuple[str, Values]:
    """Calls and callees under alert (stage alert) now; only of one kind where one is named."""
    statement = (
        "SELECT count(DISTINCT verdict), count(DISTINCT callee) FROM alerts INDEXED BY going_on"
        " WHERE ended_ms = 0 AND stage = 'alert'"
    )
    return (f"{statement} AND kind = ?", (kind,)) if kind else (statement, ())


def events_query(after: int, limit: int, stage: str) -> tuple[str, Values]:
    """Events beyond one, in order; only of a stage where one is named."""
    if stage:
        statement = "SELECT * FROM events INDEXED BY events_by_stage WHERE stage = ? AND seq > ? ORDER BY seq LIMIT ?"
        return statement, (stage, after, limit)
    return "SELECT * FROM events WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)


def _merged(it: AlertFilters, most: int, way: str) -> tuple[str, Values]:
    """(seq, time_ms, total_ms) of the first `most` rows in the order of time: SQLite merges walks that are in order."""
    found = list(_branches(it))
    parts = " UNION ALL ".join(part for part, _ in found)
    values = tuple(value for _, some in found for value in some)
    return f"{parts} ORDER BY time_ms {way}, seq {way} LIMIT ?", (*values, most)


def _branches(it: AlertFilters) -> Iterator[tuple[str, Values]]:
    """What is walked, index by index; no row is in two of them."""
    if it.verdict:
        number = (("? IN (caller, callee)", it.number),) if it.number else ()
        yield _branch("by_verdict", (("verdict = ?", it.verdict), *number, *_plain(it)))
    elif it.number:
        yield _branch("by_caller", (("caller = ?", it.number), *_plain(it)))
        yield _branch("by_callee", (("callee = ?", it.number), ("caller <> ?", it.number), *_plain(it)))
    else:
        index = "going_on" if it.state == "on" else "by_rule" if it.rule else "by_kind" if it.kind else "by_stage"
        for stage in (it.stage,) if it.stage else ALERT_STAGES:
            yield _branch(index, _plain(msgspec.structs.replace(it, stage=stage)))


def _branch(index: str, parts: tuple[tuple[str, int | str | None], ...]) -> tuple[str, Values]:
    text = " AND ".join(part for part, _ in parts)
    values = tuple(value for _, value in parts if value is not None)
    return f"SELECT seq, time_ms, total_ms FROM alerts INDEXED BY {index} WHERE {text}", values  # noqa: S608  # as above


def _plain(it: AlertFilters) -> tuple[tuple[str, int | str | None], ...]:
    found: list[tuple[str, int | str | None]] = []
    kind = it.kind
    if it.rule and it.state != "on":
        # A condition is of one kind, which its id tells: the index by condition need not hold it.
        if kind and kind_of(it.rule) != kind:
            found.append(("0", None))
        kind = ""
    for part, value in (("rule = ?", it.rule), ("kind = ?", kind), ("stage = ?", it.stage)):
        if value:
            found.append((part, value))
    if it.state:
        found.append(("ended_ms = 0" if it.state == "on" else "ended_ms > 0", None))
    for part, bound in (("time_ms >= ?", it.since_ms), ("time_ms < ?", it.until_ms), ("seq < ?", it.before)):
        if bound:
            found.append((part, bound))
    return tuple(found)
