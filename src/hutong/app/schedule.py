"""Which jobs are due: computed from the time that is passed in. No clock, no waiting, no job belongs here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Job(msgspec.Struct, frozen=True):
    """Something to do once in every slot of time.

    Attributes:
        name: for logs and metrics.
        every: length of a slot in nanoseconds; slots are counted from 1970, so all nodes share them.
        run: does it; takes the wall time in nanoseconds, returns how many things it dealt with.
    """

    name: str
    every: int
    run: Callable[[int], int]


def due(jobs: Sequence[Job], last: Mapping[str, int], now: int) -> list[Job]:
    """Jobs that have not run in the present slot, by their last run; a clock set back is a new slot."""
    return [job for job in jobs if job.name not in last or last[job.name] // job.every != now // job.every]


def next_slot(jobs: Sequence[Job], now: int) -> int:
    """When the next slot of any job begins, in nanoseconds; always after `now`."""
    return min((now // job.every + 1) * job.every for job in jobs)
