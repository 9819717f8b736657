"""The desk of sampling as a node has it: for its pages, its API and its commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hutong.app.persons_work import node_identities
from hutong.app.sampling_work import open_emergencies, open_sampling
from hutong.sampling.desk import SamplingDesk

if TYPE_CHECKING:
    from hutong.app.config import Config
    from hutong.kernel.access.trail import Trail
    from hutong.kernel.clock import Clock
    from hutong.kernel.records import Database

_NS_IN_MS: Final = 1_000_000


def open_desk(config: Config, database: Database, trail: Trail, clock: Clock) -> SamplingDesk:
    """Sampling for those who work at the centre. `database`: opened by whoever made it."""

    def now_ms() -> int:
        return clock.wall() // _NS_IN_MS

    return SamplingDesk(
        database,
        open_sampling(config, database),
        open_emergencies(config, database),
        trail,
        lambda: node_identities(config, database, now_ms, whenever=True),
        config.node.name,
        config.calls.time_zone,
        lambda: node_identities(config, database, now_ms, whenever=False),
    )
