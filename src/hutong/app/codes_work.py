"""Codes as a node has them, from its settings, and what `work` does for them: keys in time, what is over deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hutong.app.schedule import Job
from hutong.codes import metrics
from hutong.codes.bundles import AT_ONCE, BundleStore
from hutong.codes.devices import Devices
from hutong.codes.issuing import Issue, Issuer
from hutong.codes.key_ring import KeyRing
from hutong.codes.scans.day_names import PersonNames
from hutong.kernel import one_time
from hutong.kernel.records import Database, database_url, device_tables

if TYPE_CHECKING:
    from hutong.app.config import Config
    from hutong.codes.people.store import People
    from hutong.kernel.metrics import Metrics
    from hutong.kernel.reporter import Reporter

_MS: Final = 1_000_000
_MINUTE: Final = 60_000_000_000
_DAY_MS: Final = 86_400_000
#: Transactions of one run: enough for ten million people a day.
_BATCHES: Final = 20


def issue_of(config: Config) -> Issue:
    """How this node issues codes."""
    it = config.codes
    return Issue(it.hours, it.step_seconds, it.slack_seconds, it.paper_days)


def key_ring(config: Config) -> KeyRing:
    """This node's keys."""
    it = config.codes
    lasting_ms = issue_of(config).longest_ms
    return KeyRing(config.data, config.node.name, it.algorithm, it.key_days * _DAY_MS, lasting_ms)


def code_issuer(config: Config, database: Database, figures: Metrics | None = None) -> Issuer:
    """What issues this node's codes; `database` is opened by whoever made it."""
    return Issuer(key_ring(config), BundleStore(database), issue_of(config), figures)


def day_names(config: Config, people: People) -> PersonNames:
    """What codes of this node show of people."""
    return PersonNames(people.pseudonyms, -(-issue_of(config).longest_ms // _DAY_MS))


class CodeWork:
    """What `work` does for codes.

    Args:
        config: the node's settings. reporter: figures.
    """

    def __init__(self, config: Config, reporter: Reporter) -> None:
        self._ring, self._figures = key_ring(config), reporter.metrics
        self._database = Database(database_url(config.records.url, config.data))
        self._store = BundleStore(self._database)
        self._devices = Devices(self._database, config.codes.person_days)
        self._late_ms = config.codes.handle_days * _DAY_MS

    def jobs(self) -> list[Job]:
        """The jobs."""
        return [
            Job("code-keys", 10 * _MINUTE, lambda now: self.keep_keys(now // _MS)),
            Job("code-forgetting", _MINUTE, lambda now: self.forget(now // _MS)),
        ]

    def keep_keys(self, now_ms: int) -> int:
        """Make the next key in time and drop those that are over, once there is a first one; gives how many.

        Raises:
            StateError: the keys cannot be read or written.
        """
        done = self._ring.upkeep(now_ms) if self._ring.terms(now_ms) else 0
        known = self._ring.terms(now_ms)
        for state in ("next", "signing", "kept"):
            self._figures.set(metrics.KEYS, sum(it.state == state for it in known), state=state)
        left_ms = max((it.signs_until_ms - now_ms for it in known if it.state == "signing"), default=0)
        self._figures.set(metrics.KEY_LEFT, left_ms / 1000)
        return done

    def forget(self, now_ms: int) -> int:
        """Delete what is over, some thousand rows at a time; gives how many.

        Raises:
            RecordsError: the records fail; the next run goes on.
        """
        self._database.open()
        gone = 0
        for _ in range(_BATCHES):
            some = self._store.purge(now_ms, self._late_ms)
            gone += some
            if some < AT_ONCE:
                break
        self._figures.add(metrics.PURGED, gone)
        gone += self._devices.forget(now_ms) + one_time.forget(self._database, device_tables.code_arrivals, now_ms)
        self._figures.set(metrics.REVOKED, self._store.count_revoked())
        return gone
