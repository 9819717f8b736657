"""What the live page says, computed from a series of snapshots: pure, fed with snapshots and `now`.

Belongs here: rates, shares and counts over the last five minutes, and the one word for the state of screening.
Not here: cities (`live.areas`), reading the counters (`live.figures`), words and markup (`texts.toml`, `templates/`),
time (`live.feed`).
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from hutong.calls.live.areas import AreaHistory, AreaRow
from hutong.calls.trunks import UNLISTED

if TYPE_CHECKING:
    from hutong.calls.live.figures import LatestVerdict, LiveSnapshot

SPAN = 300
"""Seconds that the page looks back."""
STALE_AFTER = 5
"""Seconds without fresh counters from the screening process until the page says so; it writes every second."""
RATE_OVER = 5
"""Seconds over which “now” is averaged: one second jumps about, ten hide the start of an attack."""
FAILING_SHARE = 0.01
"""Of the calls of the last seconds passed unscreened: from here on that is the headline, below it a remark."""
IDLE_AFTER = 15
"""Seconds without a call attempt until the page says that no calls arrive."""
TOP_RULES = 8
LATEST_SHOWN = 20
_TABLE_STEP = 30
_URGENCY = {"block": 0, "warn": 1, "observe": 2}  # what is blocked comes first: that is what the page is asked

_NANOSECONDS = 1_000_000_000
_PLAIN = (
    "attempts",
    "passed",
    "warned",
    "blocked",
    "fail_open",
    "emergency",
    "retransmits",
    "malformed",
    "dropped",
    "evicted",
)

_MIRRORED = (
    "packets",
    "malformed",
    "unauthorised",
    "lost",
    "orphans",
    "late",
    "answered",
    "ended",
    "judged",
    "unended",
)

State = Literal["screening", "idle", "failing_open", "stale", "absent"]


class Second(Struct, frozen=True):
    """One step of the chart; rates in calls per second."""

    at: int
    """Seconds since the epoch at the step's end."""
    passed: float
    warned: float
    blocked: float


class RuleRow(Struct, frozen=True):
    """A rule that fired within the span."""

    id: str
    title: dict[str, str]
    action: str
    recent: int
    total: int
    share: float
    """Of all calls within the span, 0 … 1."""


class TrunkRow(Struct, frozen=True):
    """A trunk and its calls: `rate` is now, the counts are within the span."""

    name: str
    kind: str
    recent: int
    rate: float
    blocked: int
    blocked_share: float


class LiveView(Struct, frozen=True):
    """Everything that the page shows at one moment; `snapshot` is None until there has been one."""

    state: State
    now_ns: int
    silent_s: float
    """Seconds since the screening process last wrote its counters."""
    trouble: str
    """Why there is no snapshot, as the reader of the data folder put it; empty where there is one."""
    span_s: float
    """Seconds that the counts of the span cover: SPAN, or less soon after the start."""
    rate: float
    warned_rate: float
    blocked_rate: float
    recent: dict[str, int]
    """Counts within the span: attempts, passed, warned, blocked, fail_open, …"""
    rules: list[RuleRow]
    trunks: list[TrunkRow]
    areas: list[AreaRow]
    """Areas of callees with calls within the span: most blocked first, then most calls."""
    mirrored: dict[str, int]
    """What mirrored signalling gained within the span, by `MirrorCount`'s names."""
    asked: int
    """Calls that were screened over HTTP within the span."""
    latest: list[LatestVerdict]
    seconds: list[Second]
    snapshot: LiveSnapshot | None

    @property
    def placed(self) -> int:
        """Calls within the span whose callee's area is known."""
        return sum(row.recent for row in self.areas)

    def half_minutes(self) -> list[Second]:
        """The chart as a table: averages over 30 seconds, newest first."""
        groups: dict[int, list[Second]] = {}
        for second in self.seconds:
            groups.setdefault(second.at // _TABLE_STEP, []).append(second)
        return [_mean(group) for _, group in sorted(groups.items(), reverse=True)]


class _Step(Struct, frozen=True):
    at: int
    span_s: float
    counts: Counter[str]


def _totals(snapshot: LiveSnapshot) -> Counter[str]:
    totals = Counter({name: getattr(snapshot, name) for name in _PLAIN})
    totals.update({f"mirror {name}": getattr(snapshot.mirror, name) for name in _MIRRORED})
    totals["asked"] = snapshot.ask.calls
    for rule in snapshot.rules:
        totals[f"rule {rule.id}"] = rule.count
    for trunk in snapshot.trunks:
        totals[f"trunk {trunk.name}"] = trunk.attempts
        totals[f"trunk-blocked {trunk.name}"] = trunk.blocked
    return totals


class LiveHistory:
    """The last `SPAN` seconds of counters. A restart of the screening process counts from nought, never below it."""

    def __init__(self) -> None:
        self._last: LiveSnapshot | None = None
        self._last_totals: Counter[str] = Counter()
        self._steps: deque[_Step] = deque()
        self._recent: Counter[str] = Counter()
        self._areas = AreaHistory(SPAN)
        self._last_call_ns = 0

    def add(self, snapshot: LiveSnapshot) -> None:
        """Take a snapshot; one that is no newer than the last one changes nothing."""
        last, totals = self._last, _totals(snapshot)
        if last is not None and snapshot.time_ns <= last.time_ns:
            return
        restarted = last is not None and (
            snapshot.started_ns != last.started_ns or totals["attempts"] < self._last_totals["attempts"]
        )
        areas = {area.area: (area.attempts, area.blocked) for area in snapshot.areas}
        self._areas.add(snapshot.time_ns // _NANOSECONDS, areas, first=last is None, restarted=restarted)
        if last is not None:
            before: Counter[str] = Counter() if restarted else self._last_totals
            gained = Counter({name: n - before[name] for name, n in totals.items() if n > before[name]})
            span_s = (snapshot.time_ns - last.time_ns) / _NANOSECONDS
            self._steps.append(_Step(snapshot.time_ns // _NANOSECONDS, span_s, gained))
            self._recent.update(gained)
            called = gained["attempts"] > 0
        else:
            called = totals["attempts"] > 0  # when they came is not known, so they count as just now
        if called:
            self._last_call_ns = snapshot.time_ns
        self._last, self._last_totals = snapshot, totals
        self._forget(snapshot.time_ns // _NANOSECONDS - SPAN)

    def _forget(self, until: int) -> None:
        while self._steps and self._steps[0].at <= until:
            self._recent.subtract(self._steps.popleft().counts)
        self._areas.forget(until + SPAN)

    def view(self, now_ns: int, trouble: str = "") -> LiveView:
        """The page's figures at `now_ns`; `trouble` says why the latest snapshot could not be read, if so."""
        self._forget(now_ns // _NANOSECONDS - SPAN)
        snapshot = self._last
        silent_s = (now_ns - snapshot.time_ns) / _NANOSECONDS if snapshot else 0.0
        span_s = sum(step.span_s for step in self._steps)
        attempts = self._recent["attempts"]
        current = self._steps_since(now_ns // _NANOSECONDS - RATE_OVER)
        return LiveView(
            state=self._state(now_ns, silent_s, trouble),
            now_ns=now_ns,
            silent_s=max(silent_s, 0.0),
            trouble=trouble,
            span_s=min(span_s, float(SPAN)),
            rate=_per_second(current, "attempts"),
            warned_rate=_per_second(current, "warned"),
            blocked_rate=_per_second(current, "blocked"),
            recent={name: self._recent[name] for name in _PLAIN},
            rules=self._rules(snapshot, attempts),
            trunks=self._trunks(snapshot, current),
            areas=self._areas.rows(),
            mirrored={name: self._recent[f"mirror {name}"] for name in _MIRRORED},
            asked=self._recent["asked"],
            latest=snapshot.latest[:LATEST_SHOWN] if snapshot else [],
            seconds=[_second(step) for step in self._steps],
            snapshot=snapshot,
        )

    def _steps_since(self, at: int) -> list[_Step]:
        return [step for step in self._steps if step.at > at]

    def _state(self, now_ns: int, silent_s: float, trouble: str) -> State:
        if self._last is None:
            return "absent"
        if trouble or silent_s > STALE_AFTER:
            return "stale"
        lately = self._steps_since(now_ns // _NANOSECONDS - IDLE_AFTER)
        unscreened = sum(step.counts["fail_open"] for step in lately)
        if unscreened and unscreened >= FAILING_SHARE * sum(step.counts["attempts"] for step in lately):
            return "failing_open"
        if not self._last.attempts or now_ns - self._last_call_ns > IDLE_AFTER * _NANOSECONDS:
            return "idle"
        return "screening"

    def _rules(self, snapshot: LiveSnapshot | None, attempts: int) -> list[RuleRow]:
        rows = [
            RuleRow(
                id=rule.id,
                title=rule.title,
                action=rule.action,
                recent=self._recent[f"rule {rule.id}"],
                total=rule.count,
                share=self._recent[f"rule {rule.id}"] / attempts if attempts else 0.0,
            )
            for rule in (snapshot.rules if snapshot else [])
            if rule.count
        ]
        rows.sort(key=lambda row: (_URGENCY.get(row.action, len(_URGENCY)), -row.recent, -row.total, row.id))
        return rows[:TOP_RULES]

    def _trunks(self, snapshot: LiveSnapshot | None, current: list[_Step]) -> list[TrunkRow]:
        rows = []
        for trunk in snapshot.trunks if snapshot else []:
            if not trunk.attempts and trunk.name == UNLISTED:
                continue  # nobody calls from outside the configured networks: nothing to show
            recent, blocked = self._recent[f"trunk {trunk.name}"], self._recent[f"trunk-blocked {trunk.name}"]
            rows.append(
                TrunkRow(
                    name=trunk.name,
                    kind=trunk.kind,
                    recent=recent,
                    rate=_per_second(current, f"trunk {trunk.name}"),
                    blocked=blocked,
                    blocked_share=blocked / recent if recent else 0.0,
                )
            )
        return sorted(rows, key=lambda row: (-row.recent, row.name))


def _per_second(steps: list[_Step], name: str) -> float:
    span_s = sum(step.span_s for step in steps)
    return sum(step.counts[name] for step in steps) / span_s if span_s else 0.0


def _mean(seconds: list[Second]) -> Second:
    return Second(
        at=seconds[-1].at,
        passed=sum(second.passed for second in seconds) / len(seconds),
        warned=sum(second.warned for second in seconds) / len(seconds),
        blocked=sum(second.blocked for second in seconds) / len(seconds),
    )


def _second(step: _Step) -> Second:
    """Passed is what was neither warned about nor blocked, so that the three always add up to the attempts."""
    warned, blocked = step.counts["warned"], step.counts["blocked"]
    passed = max(step.counts["attempts"] - warned - blocked, 0)
    return Second(
        at=step.at,
        passed=round(passed / step.span_s, 1),
        warned=round(warned / step.span_s, 1),
        blocked=round(blocked / step.span_s, 1),
    )
