"""Read replicas of a node, from its settings: what is in them, where they come from, what `work` does for them."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hutong.app.codes_work import key_ring
from hutong.app.schedule import Job
from hutong.codes.replicas.topics import tables as code_tables
from hutong.codes.replicas.topics import tell_keys
from hutong.kernel.errors import ConfigError
from hutong.kernel.records import Database, database_url
from hutong.kernel.replica import log
from hutong.kernel.replica.remote import RemoteSource
from hutong.kernel.replica.source import RecordsSource
from hutong.kernel.replica.store import FOLDER, Replica
from hutong.sampling.replicas import tables as sampling_tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.app.config import Config
    from hutong.kernel.replica.source import Source, Table

_MS: Final = 1_000_000
_SECOND: Final = 1_000_000_000
_DAY_MS: Final = 86_400_000
#: A key set whose keys stay the same is told again after so long: verifiers warn of an old one.
_KEYS_MS: Final = 3_600_000
#: Transactions of one run of forgetting.
_BATCHES: Final = 20


def replica_tables(config: Config) -> tuple[Table, ...]:
    """What replicas of this node hold."""
    return (*code_tables(config.codes.person_days), *sampling_tables(config.sampling.keep_days * _DAY_MS))


def records_source(config: Config, database: Database) -> RecordsSource:
    """This node's records as a source; `database` is opened by whoever made it."""
    return RecordsSource(database, replica_tables(config))


def replica_of(config: Config) -> Replica:
    """The replica in this data folder; to be opened."""
    return Replica(config.data / FOLDER)


@contextmanager
def open_source(config: Config) -> Iterator[Source]:
    """What the replica of this data folder follows, open within.

    Raises:
        ConfigError: an address is set without a token. RecordsError: the records cannot be opened.
    """
    it = config.replica
    if it.url:
        if not it.token_file:
            fix = "Set it to a file with a token that may replica.follow."
            raise ConfigError("An address without a token.", where="replica.token_file", fix=fix)
        remote = RemoteSource(it.url, Path(it.token_file).read_text(encoding="ascii").strip())
        try:
            yield remote
        finally:
            remote.close()
        return
    database = Database(database_url(config.records.url, config.data))
    database.open()
    try:
        yield records_source(config, database)
    finally:
        database.close()


class ReplicaWork:
    """What `work` does for replicas: tells them of keys, forgets changes.

    Args:
        config: the node's settings.
    """

    def __init__(self, config: Config) -> None:
        self._config, self._ring = config, key_ring(config)
        self._database = Database(database_url(config.records.url, config.data))
        self._parts = tuple(part for it in replica_tables(config) for part in it.topic.parts)

    def jobs(self) -> list[Job]:
        """The jobs."""
        return [
            Job("replica-keys", 10 * _SECOND, lambda now: self.tell_keys(now // _MS)),
            Job("replica-forgetting", 600 * _SECOND, lambda now: self.forget(now // _MS)),
        ]

    def tell_keys(self, now_ms: int) -> int:
        """Tell replicas of the key set, once there is a key; gives 1 where it did.

        Raises:
            StateError: the keys cannot be read. RecordsError: the records fail.
        """
        if not self._ring.terms(now_ms):
            return 0
        self._database.open()
        return int(tell_keys(self._database, self._ring.key_set(now_ms), now_ms, _KEYS_MS))

    def forget(self, now_ms: int) -> int:
        """Forget changes that are older than they are kept; gives how many.

        Raises:
            RecordsError: the records fail; the next run goes on.
        """
        self._database.open()
        before_ms = now_ms - self._config.replica.keep_days * _DAY_MS
        gone = 0
        for _ in range(_BATCHES):
            some = log.forget(self._database, self._parts, before_ms, now_ms)
            gone += some
            if not some:
                break
        return gone
