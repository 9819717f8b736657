"""Verification at stations and the source of replicas, wired for the `stations` process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.app.cases_work import open_cases
from hutong.app.codes_status_work import status_desk
from hutong.app.codes_work import key_ring
from hutong.app.replica_work import records_source
from hutong.codes.bundles import BundleStore
from hutong.codes.replicas.reading import CodesReplica
from hutong.codes.stations.desk import VerifyDesk
from hutong.codes.stations.knowledge import KeptKeySet, RecordsKnowledge, ReplicaKnowledge
from hutong.codes.stations.wire import VERIFY, VerifyApp
from hutong.codes.status.loading import OWN, rules_of
from hutong.kernel.access.remembered import RememberedViewers
from hutong.kernel.replica.wire import HOME, ReplicaApp

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from litestar.types import ASGIApp

    from hutong.app.config import Config
    from hutong.kernel.access.viewer import Viewer
    from hutong.kernel.clock import Clock
    from hutong.kernel.records import Database
    from hutong.kernel.replica.store import Replica
    from hutong.kernel.reporter import Reporter

_NS_IN_MS = 1_000_000


def verify_desk(config: Config, database: Database, replica: Replica) -> VerifyDesk:
    """Where stations ask; database and replica are opened by whoever made them."""
    ring = key_ring(config)
    key_set = KeptKeySet(ring.key_set)
    status = status_desk(config, database, lambda: open_cases(config, database))
    otherwise = rules_of(config.data / OWN).otherwise.colour
    return VerifyDesk(
        RecordsKnowledge(BundleStore(database), status.statuses.standing, key_set),
        ReplicaKnowledge(CodesReplica(replica), ring.issuer, otherwise, key_set),
    )


def mounted(
    config: Config,
    database: Database,
    replica: Replica,
    viewer: Callable[[str, str], Viewer | None],
    clock: Clock,
    threads: Executor,
    verifying: Executor,
    reporter: Reporter,
) -> dict[str, ASGIApp]:
    """What stands beside sampling on the listener for stations, by path; `verifying`: threads of verification alone."""
    remembered = RememberedViewers(viewer, lambda: clock.wall() // _NS_IN_MS)
    return {
        VERIFY: VerifyApp(verify_desk(config, database, replica), remembered, clock, verifying, reporter),
        HOME: ReplicaApp(records_source(config, database), viewer, threads, reporter),
    }
