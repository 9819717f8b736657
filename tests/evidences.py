"""A rule to be tested on calls of the past, and results of such tests with chosen figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hutong.calls.evidence import intervals
from hutong.calls.evidence.model import (
    FORMAT,
    Backtest,
    Case,
    ClassHits,
    Count,
    Day,
    Effect,
    Hits,
    Labelled,
    Over,
    RuleEffect,
)

if TYPE_CHECKING:
    from hutong.kernel.rules.ruleset import Rule

ENOUGH = 1_000_000
#: A rule of a node's own that blocks who calls twenty times in ten minutes.
BUSY = """\
id: own.busy
version: 1
title: {zh: 十分钟内呼叫繁忙, en: Busy in ten minutes}
when: caller.attempts_10m >= 20
action: block
basis: law
runbook: https://intranet.example/busy
samples:
  - {given: {caller.attempts_10m: 20}, fires: true}
  - {given: {}, fires: false}
"""


def evidence_of(
    rule: Rule, made_ms: int, *, calls: int = ENOUGH, wrong: int = 0, protected: int = 0, by: str = "analyst"
) -> Backtest:
    """A backtest of one rule: `wrong` of so many legitimate calls were hit, of `protected` callers' so many."""
    callers = min(1000, max(calls, 1))
    made = np.full(callers, calls // callers, dtype=np.int64)
    made[0] += calls - int(made.sum())
    hit = np.zeros(callers, dtype=np.int64)
    hit[: wrong + protected] = 1
    all_wrong = Count(wrong + protected, wrong + protected)
    hits = Hits(Count(90 + all_wrong.calls, 9), Count(90, 9), all_wrong, Count())
    case = Case(
        call_id="c1",
        time_ms=made_ms - 86_400_000,
        trunk="local",
        caller="0216123****",
        callee="138****0000",
        label="legitimate" if all_wrong.calls else "fraud",
        class_="hospital" if protected else "",
        score=0.9,
        rule=rule.id,
        zh=("十分钟内的呼出次数 = 43 (≥ 30)",),
        en=("calls made in 10 min = 43 (≥ 30)",),
    )
    effect = Effect(
        hits=hits,
        confirmed=0.9,
        rate=intervals.rate(hit, made),
        protected=Count(protected, protected),
        classes=(
            ClassHits("hospital", fraud=False, protected=True, hit=Count(protected, protected), of=Count(500, 50)),
            ClassHits("emergency", fraud=False, protected=True, hit=Count(), of=Count()),
        ),
        adds=hits,
        days=(Day("2026-03-01", 90, 90, all_wrong.calls),),
        cases=(case,),
    )
    return Backtest(
        format=FORMAT,
        made_ms=made_ms,
        by=by,
        ruleset="0" * 16,
        time_zone="Asia/Shanghai",
        over=Over(("calls.parquet",), "0" * 16, made_ms - 86_400_000, made_ms, calls + 90, 0),
        labels=Labelled("labels.csv", "0" * 16, 9, callers, 0, Count(90, 9), Count(calls, callers), Count()),
        rules=(RuleEffect(rule.id, rule.version, rule.title, rule.when, rule.action, rule.stage, effect, ()),),
        whole=effect,
    )
