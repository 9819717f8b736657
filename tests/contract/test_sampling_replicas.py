"""What people are told of their tubes reaches replicas, is taken back there, and ends there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.kernel.replica.follower import Follower
from hutong.kernel.replica.source import RecordsSource
from hutong.kernel.replica.store import Replica
from hutong.sampling.model import Batch
from hutong.sampling.replicas import KEPT_MS, results_of, tables
from hutong.sampling.store import Bounds
from sampling_samples import HOUR, NOW, OTHER, TUBE, filled, person, received, result, sampling

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.kernel.records import Database

DAY = 24 * HOUR


def test_results_told_are_read_from_a_replica_until_their_end(database: Database, tmp_path: Path) -> None:
    it, who = sampling(database, bounds=Bounds(keep_ms=DAY)), person((TUBE, 0))
    replica = Replica(tmp_path / "replica")
    replica.open()

    def told(now_ms: int, keep_ms: int = DAY) -> dict[str, str]:
        while Follower(RecordsSource(database, tables(keep_ms)), replica).round(now_ms).more:
            pass
        return {tube.partition("@")[0]: found.result for tube, found in results_of(replica, who, now_ms)}

    assert told(NOW) == {}
    it.merge(Batch("s1", NOW, tuple(filled()), live=True), NOW)
    it.do(received(), NOW + HOUR)
    it.do(result(), NOW + 2 * HOUR)
    assert told(NOW + 2 * HOUR) == {TUBE: "negative"}, "of what stood there before it was followed"
    it.do(result(told="positive", tested_ms=NOW + 3 * HOUR), NOW + 3 * HOUR)
    assert told(NOW + 3 * HOUR) == {TUBE: "retest"}
    assert told(NOW + 3 * HOUR + DAY - 1) == {TUBE: "retest"}
    assert told(NOW + 3 * HOUR + DAY) == {}, "no longer than the records keep it"
    assert not list(results_of(replica, person((OTHER, 0)), NOW))
    assert KEPT_MS > DAY
    replica.close()
