"""Results of sampling become evidence of colours: a follower of what people are told, in `work`.

The position is written in the transaction of the evidence and of the colours that follow, so each result has its effect
once, whoever is killed when. What one person's damaged rows refuse is owed and tried again; nobody else waits for it.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Final

from hutong.app.cases_work import open_cases
from hutong.app.codes_status_work import status_desk
from hutong.app.sampling_work import open_sampling
from hutong.app.schedule import Job
from hutong.codes.people.day_keys import day_of
from hutong.codes.people.pseudonyms import is_pseudonym
from hutong.codes.status import metrics
from hutong.codes.status.evidence import Result, Withdrawn
from hutong.codes.status.store import BATCH
from hutong.kernel.access.trail import Trail
from hutong.kernel.followers import Follower
from hutong.kernel.records import Database, database_url

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hutong.app.config import Config
    from hutong.codes.status.desk import StatusDesk
    from hutong.codes.status.evidence import Evidence, ResultKind
    from hutong.kernel.records import Connection
    from hutong.kernel.reporter import Reporter
    from hutong.sampling.model import Told
    from hutong.sampling.query import ResultNews
    from hutong.sampling.store import Sampling

NAME: Final = "results"
#: Who brings results, on the trail.
BRINGER: Final = "hutong sampling"
_MS: Final = 1_000_000
_SECOND: Final = 1_000_000_000
_AGAIN_MS: Final = 3_600_000
#: Transactions of one run: 10,000 results, and no other job waits long.
_BATCHES: Final = 50
_MOST_MIXED: Final = 20
#: What is certain is evidence; whoever is to come for a single test is neither. All else takes back what was said.
_KINDS: Final[dict[Told, ResultKind]] = {"negative": "negative", "positive": "positive", "retest": "inconclusive"}


def evidence_of(news: ResultNews, now_ms: int) -> Evidence | Withdrawn:
    """What a result says of a person's colour."""
    id_ = f"tube:{news.tube}"
    kind = _KINDS.get(news.result)
    if kind is None:
        return Withdrawn(id_)
    people, at_ms = min(news.people, _MOST_MIXED), min(news.sampled_ms, now_ms)
    return Result(id=id_, at_ms=at_ms, result=kind, mixed=people, source=news.laboratory)


class ResultsWork:
    """What `work` does so that results reach colours.

    Args:
        config: the node's settings. reporter: figures.
    """

    def __init__(self, config: Config, reporter: Reporter) -> None:
        self._config, self._reporter = config, reporter
        self._database = Database(database_url(config.records.url, config.data))

    def jobs(self) -> list[Job]:
        """The jobs."""
        return [Job("colour-results", 5 * _SECOND, lambda now: self.follow(now // _MS))]

    @cached_property
    def desk(self) -> StatusDesk:
        """The colours, once a job asks. Raises HutongError: records or rules cannot be opened; the next run tries."""
        self._database.open()
        return status_desk(self._config, self._database, lambda: open_cases(self._config, self._database))

    @cached_property
    def _sampling(self) -> Sampling:
        return open_sampling(self._config, self._database)

    def follow(self, now_ms: int) -> int:
        """Take results that are new, and those that are owed; gives how many.

        Raises:
            StateError: the keys of people are not here: nothing was taken, and the next run goes on from here.
        """
        self.desk.statuses.people.check_keys()  # without the keys everybody would be owed
        done = 0
        for _ in range(_BATCHES):
            found = self._take_some(now_ms)
            done += found
            if found < BATCH:
                break
        done += self._take_owed(now_ms)
        self._count()
        return done

    def _take_some(self, now_ms: int) -> int:
        follower = Follower(self._database, NAME)
        with self._database.write() as connection:
            follower.hold(connection)
            position = follower.position(connection)
            news = self._sampling.news(position, BATCH)
            if news:
                self._take(connection, follower, news, now_ms)
                follower.move(connection, news[-1].number)
            elif position > self._sampling.told_last():
                # All that was told was forgotten when the backup was made that this is from: numbers begin at 1 again.
                follower.move(connection, 0)
        return len(news)

    def _take_owed(self, now_ms: int) -> int:
        follower = Follower(self._database, NAME)
        with self._database.write() as connection:
            follower.hold(connection)
            numbers = follower.owed(connection, now_ms, BATCH)
            if numbers:
                follower.paid(connection, numbers)
                self._take(connection, follower, self._sampling.news(0, BATCH, numbers), now_ms)
        return len(numbers)

    def _take(self, connection: Connection, follower: Follower, news: Iterable[ResultNews], now_ms: int) -> None:
        found: dict[str, list[Evidence | Withdrawn]] = {}
        numbers: dict[str, list[int]] = {}
        figures: Counter[str] = Counter()
        for it in news:
            if it.over or not is_pseudonym(it.person) or self._is_old(it, now_ms):
                # Said again later; of a code that is nobody's yet, and told again then; too old.
                figures["passed"] += 1
                continue
            found.setdefault(it.person, []).append(evidence_of(it, now_ms))
            numbers.setdefault(it.person, []).append(it.number)
        if found:
            for outcome in self.desk.statuses.take_all(found, now_ms):
                said = "owed" if outcome.owed else "refused" if outcome.refused else "taken"
                figures[said] += len(found[outcome.person])
                if outcome.owed:
                    follower.owe(connection, numbers[outcome.person], now_ms + _AGAIN_MS)
            # Last: whoever holds the trail waits for nobody.
            after: dict[str, object] = {"people": len(found), "sources": ["sampling"], **figures}
            Trail(self._database).record(BRINGER, "local", "codes.take", after=after, now_ms=now_ms)
        for outcome_, count in figures.items():
            self._reporter.metrics.add(metrics.RESULTS, count, outcome=outcome_)

    def _is_old(self, it: ResultNews, now_ms: int) -> bool:
        last = day_of(it.sampled_ms) + self._config.codes.evidence_days
        return it.result in _KINDS and last < day_of(now_ms)

    def _count(self) -> None:
        follower = Follower(self._database, NAME)
        with self._database.read() as connection:
            behind = self._sampling.told_last() - follower.position(connection)
            owed = follower.count(connection)
        self._reporter.metrics.set(metrics.RESULTS_BEHIND, max(behind, 0))
        self._reporter.metrics.set(metrics.RESULTS_OWED, owed)
