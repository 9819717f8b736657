"""Is it well? Each question with its measure and its limits, as data; what to do about each is in `texts.toml`.

Pure: facts in, findings out. Texts of a check are `health_page.check.KEY.{title, warn, bad, do}`.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.app.console.health_facts import Facts, ProcessFact

Level = Literal["ok", "warn", "bad", "unknown"]
Form = Literal["seconds", "share", "count", "days", "ms", "state"]

_HOUR_S = 3600
_RANK: Final[dict[Level, int]] = {"bad": 0, "warn": 1, "unknown": 2, "ok": 3}
_PASSING = frozenset({"waiting", "starting", "replacing", "backing-off"})
_LATELY_S = 3600


class Check(msgspec.Struct, frozen=True):
    """A question about the node.

    Attributes:
        key: names its texts. form: how its value is written.
        measure: the value, inf where it is beyond all measure; None where it cannot be had: unknown, a remark.
        warn, bad: from this value on; where `low`, from this value down. Without `bad` it is never more than a remark.
        silent: whether not to be had means that there is nothing to ask about.
    """

    key: str
    form: Form
    measure: Callable[[Facts], float | None]
    warn: float
    bad: float | None = None
    low: bool = False
    silent: bool = False


class Finding(msgspec.Struct, frozen=True):
    """An answer: the check, the value that was measured, and how it stands."""

    check: Check
    level: Level
    value: float | None


def _screening(facts: Facts) -> float:
    return inf if facts.live.snapshot is None else facts.live.silent_s


def _processes(facts: Facts) -> float | None:
    """0 all ready, 1 some on their way, 2 some gone for good."""
    if not facts.supervised:
        return None
    states = {it.state for it in facts.processes}
    return 2.0 if states - _PASSING - {"ready"} else 1.0 if states & _PASSING else 0.0


def _restarted(facts: Facts) -> float:
    """Processes that were restarted within the last hour."""
    return sum(bool(it.restarts) and _young(it) for it in facts.processes)


def _young(it: ProcessFact) -> bool:
    return it.uptime_s is None or it.uptime_s < _LATELY_S


def _recent(name: str) -> Callable[[Facts], float]:
    def share(facts: Facts) -> float:
        attempts = facts.live.recent["attempts"]
        return facts.live.recent[name] / max(attempts, facts.live.recent[name], 1)

    return share


def _lost(facts: Facts) -> float | None:
    if not facts.mirrored:
        return None
    lost, packets = (facts.live.mirrored.get(name, 0) for name in ("lost", "packets"))
    return lost / max(lost + packets, 1)


def _unauthorised(facts: Facts) -> float | None:
    return float(facts.live.mirrored.get("unauthorised", 0)) if facts.mirrored else None


def _days_left(facts: Facts) -> float | None:
    if facts.disk is None:
        return None
    return inf if facts.disk.days_left is None else facts.disk.days_left


def _free_share(facts: Facts) -> float | None:
    return facts.disk.free / max(facts.disk.total, 1) if facts.disk else None


def _database(facts: Facts) -> float:
    return inf if facts.database_ms is None else facts.database_ms


def _backup_age(facts: Facts) -> float:
    return inf if facts.backup is None else max(facts.now_ms - facts.backup.time_ms, 0) / 1000


def _clock(facts: Facts) -> float | None:
    return None if facts.timekeeping is None else float(not facts.timekeeping.synchronised)


CHECKS: Final[tuple[Check, ...]] = (
    Check("screening", "seconds", _screening, warn=3, bad=6),
    Check("processes", "state", _processes, warn=1, bad=2),
    Check("fail_open", "share", _recent("fail_open"), warn=1e-9, bad=0.01),
    Check("dropped", "share", _recent("dropped"), warn=1e-9, bad=0.01),
    Check("disk", "days", _days_left, warn=7, bad=2, low=True),
    Check("space", "share", _free_share, warn=0.1, bad=0.03, low=True),
    Check("database", "ms", _database, warn=500, bad=60_000),
    Check("memory", "share", lambda facts: facts.memory.available / facts.memory.total, warn=0.1, bad=0.03, low=True),
    Check("restarted", "count", _restarted, warn=1),
    Check("windows", "share", _recent("evicted"), warn=1e-9),
    Check("malformed", "share", _recent("malformed"), warn=0.01),
    Check("history", "seconds", lambda facts: facts.counted_lag_s, warn=300, bad=_HOUR_S),
    Check("index", "count", lambda facts: float(facts.unindexed), warn=3, bad=24),
    Check("lists", "seconds", lambda facts: facts.lists_differ_s, warn=10, bad=60),
    Check("demoted", "count", lambda facts: float(facts.demoted), warn=1),
    Check("mirror_lost", "share", _lost, warn=1e-9, bad=0.01, silent=True),
    Check("mirror_keys", "count", _unauthorised, warn=1, silent=True),
    Check("replica", "seconds", lambda facts: facts.replica_s, warn=30, bad=600, silent=True),
    Check("clock", "state", _clock, warn=1),
    Check("clock_back", "seconds", lambda facts: facts.ahead_s, warn=1, bad=5),
    Check("backup", "seconds", _backup_age, warn=26 * _HOUR_S),
)
"""Every question, the gravest first."""


def assess(facts: Facts, checks: tuple[Check, ...] = CHECKS) -> list[Finding]:
    """The answers, what is wrong first, each kind in the order of the questions."""
    found = []
    for check in checks:
        value = check.measure(facts)
        if value is None and check.silent:
            continue
        found.append(Finding(check, level_of(check, value), value))
    return sorted(found, key=lambda it: _RANK[it.level])


def level_of(check: Check, value: float | None) -> Level:
    """How a value stands."""
    if value is None:
        return "unknown"
    if check.bad is not None and _beyond(value, check.bad, low=check.low):
        return "bad"
    return "warn" if _beyond(value, check.warn, low=check.low) else "ok"


def _beyond(value: float, limit: float, *, low: bool) -> bool:
    return value <= limit if low else value >= limit


def overall(findings: list[Finding]) -> Level:
    """The one answer: bad where anything is, warn where anything is not known or wants attention."""
    levels = {it.level for it in findings}
    if "bad" in levels:
        return "bad"
    return "warn" if levels & {"warn", "unknown"} else "ok"
