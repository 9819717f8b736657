"""Reminders and escalation: what a moment asks of the cases whose time has come. Pure, but for `run`, which does it.

A case wakes before something is due (a reminder), when it is late by as much as a step of its chain says (that step
supervises it, 督办), and when an accepted risk is over (work goes on). What was done moves the case's next waking, so a
watch that is killed and begins again does nothing twice and forgets nothing. Nobody is told on who was not reminded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.cases.machine import WATCH
from hutong.kernel.cases.model import Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hutong.kernel.cases.model import Case
    from hutong.kernel.cases.store import Cases


def watch(cases: Iterable[Case], now_ms: int) -> Iterator[tuple[Case, Request]]:
    """What is to be done now, and with which cases."""
    for case in cases:
        if not case.wake_ms or now_ms < case.wake_ms:
            continue
        if case.state == "risk":
            yield case, Request("end-risk", "its term is over")
        elif case.reminded_ms != case.next_due_ms:
            yield case, Request("remind")
        else:
            yield case, Request("escalate", "it is late")


def run(cases: Cases, now_ms: int, limit: int = 1000) -> int:
    """Look at the cases whose time has come, at most `limit`; returns how many something was done with.

    Who works on a case meanwhile comes first: it is looked at again the next time.
    """
    done = 0
    for case, request in watch(cases.waking(now_ms, limit), now_ms):
        try:
            cases.do(case.id, request, WATCH, now_ms, version=case.version)
        except CaseRefused:
            continue
        done += 1
    return done
