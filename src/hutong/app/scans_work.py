"""Venues, scans and look-ups as a node has them, and what `work` does: let days go, end orders, count."""

from __future__ import annotations

import secrets
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from hutong.app.persons_work import key_folder, pseudonyms_of
from hutong.app.schedule import Job
from hutong.codes.keys import SECRET_BYTES, SigningKey
from hutong.codes.people.day_keys import NODE_KEY, DayKeys
from hutong.codes.scans import metrics
from hutong.codes.scans.day_names import PersonNames
from hutong.codes.scans.lookup_machine import Bounds
from hutong.codes.scans.lookup_orders import LookupOrders
from hutong.codes.scans.lookups import LookupDesk
from hutong.codes.scans.notices import Notices
from hutong.codes.scans.store import Scans
from hutong.codes.scans.venue_book import VenueBook
from hutong.kernel.districts import load_districts
from hutong.kernel.errors import StateError
from hutong.kernel.key_files import kept_secret
from hutong.kernel.key_marks import KeyMarks
from hutong.kernel.records import Database, database_url

if TYPE_CHECKING:
    from hutong.app.config import Config
    from hutong.kernel.metrics import Metrics
    from hutong.kernel.reporter import Reporter

#: Within the folder of keys that no backup has: the keys of days of scans.
KEYS: Final = "scans"
VENUE_KEY: Final = "venues.key"
_MS: Final = 1_000_000
_MINUTE: Final = 60_000_000_000
_DAY_MS: Final = 86_400_000
_FOREVER_MS: Final = 1 << 52
_HOURS: Final = 24
#: For so long an ended order still says about whom it was.
_ORDER_DAYS: Final = 180


class ScanParts(msgspec.Struct, frozen=True):
    """What belongs to scanning; `names`: from people to the pseudonyms that their codes show."""

    venues: VenueBook
    scans: Scans
    orders: LookupOrders
    notices: Notices
    names: PersonNames
    desk: LookupDesk


def scan_parts(config: Config, database: Database, figures: Metrics | None = None) -> ScanParts:
    """The venues, scans and look-ups of a node; `database` is opened by whoever made it.

    Raises:
        ConfigError: the file of districts is not as it must be.
    """
    it, node = config.scans, config.node.name
    districts = load_districts(Path(it.districts) if it.districts else None)
    scans = Scans(database, scan_keys(config, database), districts)
    orders = LookupOrders(database, node, Bounds(it.lookup_days, quiet_days=it.quiet_days, decide_days=it.decide_days))
    notices = Notices(database)
    lasting = max(config.codes.paper_days, -(-config.codes.hours // _HOURS)) + 1
    names = PersonNames(pseudonyms_of(config, database), lasting)
    desk = LookupDesk(database, scans, orders, notices, names, figures)
    return ScanParts(VenueBook(database, node), scans, orders, notices, names, desk)


def scan_keys(config: Config, database: Database) -> DayKeys:
    """The keys of days of scans, wrapped by the node's; `database` is opened by whoever made it."""
    folder = key_folder(config)
    node_key = Path(config.codes.node_key_file) if config.codes.node_key_file else folder / NODE_KEY
    return DayKeys(folder / KEYS, node_key, KeyMarks(database))


def venue_key(data: Path) -> SigningKey:
    """The key that signs the codes of venues, made at the first use.

    It is another than those of personal codes: a sign above a door lasts for years.

    Raises:
        StateError: its file cannot be made or read.
    """
    file = data / "keys" / VENUE_KEY
    try:
        secret = kept_secret(file, lambda: secrets.token_bytes(SECRET_BYTES))
    except OSError as error:
        raise StateError(f"The key of venues cannot be used: {error.strerror}.", where=str(file)) from error
    return SigningKey("EdDSA", secret, 0, _FOREVER_MS)


class ScanWork:
    """What `work` does for scanning.

    Args:
        config: the node's settings. reporter: logs and figures.
    """

    def __init__(self, config: Config, reporter: Reporter) -> None:
        self._config, self._reporter = config, reporter
        self._database = Database(database_url(config.records.url, config.data))

    @cached_property
    def _parts(self) -> ScanParts:
        """Venues, scans and look-ups, once a job asks. Raises ScanError: of the districts."""
        return scan_parts(self._config, self._database)

    def jobs(self) -> list[Job]:
        """The jobs."""
        return [
            Job("scan-forgetting", 10 * _MINUTE, lambda now: self.forget(now // _MS)),
            Job("lookup-orders", _MINUTE, lambda now: self.expire(now // _MS)),
            Job("scan-figures", 5 * _MINUTE, lambda now: self.count(now // _MS)),
        ]

    def forget(self, now_ms: int) -> int:
        """Let go of the days whose time is over; gives how many.

        Raises:
            RecordsError, StateError: the next run goes on.
        """
        self._database.open()
        gone = self._parts.scans.forget(now_ms)
        self._parts.orders.forget(now_ms - _ORDER_DAYS * _DAY_MS)
        self._reporter.metrics.add(metrics.EMPTIED, gone.days)
        return gone.days

    def expire(self, now_ms: int) -> int:
        """End orders whose time is over; gives how many."""
        self._database.open()
        return self._parts.orders.expire(now_ms)

    def count(self, now_ms: int) -> int:
        """Set the gauges; gives how many scans there are."""
        self._database.open()
        figures, kept = self._reporter.metrics, self._parts.scans.count()
        figures.set(metrics.KEPT, kept)
        for state, count in self._parts.venues.figures().items():
            figures.set(metrics.VENUES, count, state=state)
        for state, count in self._parts.orders.figures().items():
            figures.set(metrics.ORDERS, count, state=state)
        figures.set(metrics.CLOCKS, len(self._parts.scans.clocks(now_ms)))
        return kept
