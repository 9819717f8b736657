"""Events and batches that come at the same time share a transaction (`kernel.group_commit`), and are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from hutong.kernel.group_commit import Committer
from hutong.sampling import metrics
from hutong.sampling.errors import SamplingRefused
from hutong.sampling.model import Batch, MergeAnswer
from hutong.sampling.store import Outcome, Taking, check_batch

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from hutong.kernel.metrics import Metrics
    from hutong.sampling.model import Action
    from hutong.sampling.store import Sampling

MOST_AT_ONCE: Final = 200
MOST_WAITING: Final = 2000


class GroupCommit:
    """One thread that takes events and batches into the records for many.

    Args:
        sampling: the records of sampling. now_ms: the time, ms since 1970. figures: counts what was done.
        at_once: events after which a transaction takes no more. waiting: most events that wait.
    """

    def __init__(
        self,
        sampling: Sampling,
        now_ms: Callable[[], int],
        figures: Metrics,
        *,
        at_once: int = MOST_AT_ONCE,
        waiting: int = MOST_WAITING,
    ) -> None:
        self._sampling, self._now_ms, self._figures = sampling, now_ms, figures
        self._committer: Committer[Taking | Batch, Outcome | MergeAnswer] = Committer(
            self._take, _weight, self._full, at_once=at_once, waiting=waiting, name="sampling-commit"
        )
        self.start, self.stop = self._committer.start, self._committer.stop

    def submit(self, taking: Taking) -> asyncio.Future[Outcome]:
        """An event's outcome, once it is durable or refused.

        Raises:
            SamplingRefused: "busy": too many wait; nothing was done.
        """
        return cast("asyncio.Future[Outcome]", self._committer.put(taking))

    def merge(self, batch: Batch) -> asyncio.Future[MergeAnswer]:
        """The answer to a station, once what it says is durable. Raises SamplingRefused: "busy", or too large."""
        check_batch(batch)
        return cast("asyncio.Future[MergeAnswer]", self._committer.put(batch))

    def _full(self) -> SamplingRefused:
        self._figures.add(metrics.REFUSED, reason="busy")
        return SamplingRefused("busy", "Too many events wait to be kept.", fix="Send it again in a moment.")

    def _take(self, items: list[Taking | Batch]) -> list[Outcome | MergeAnswer]:
        events = [it for it in items if isinstance(it, Taking)]
        batches = [it for it in items if isinstance(it, Batch)]
        done = self._sampling.group(events, batches, self._now_ms())
        for action, outcome in done.counted:
            self._count(action, outcome)
        outcomes, answers = iter(done.outcomes), iter(done.answers)
        return [next(outcomes) if isinstance(it, Taking) else next(answers) for it in items]

    def _count(self, action: Action, outcome: Outcome) -> None:
        if outcome.refusal is not None:
            self._figures.add(metrics.REFUSED, reason=outcome.refusal.reason)
        elif outcome.again:
            self._figures.add(metrics.AGAIN)
        else:
            self._figures.add(metrics.TAKEN, action=action)


def _weight(item: Taking | Batch) -> int:
    return max(len(item.events), 1) if isinstance(item, Batch) else 1
