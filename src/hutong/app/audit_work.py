"""The trail in the `work` process: a checkpoint when it grew, and all of it verified again and again, by steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from hutong.app.schedule import Job
from hutong.kernel.audit.checkpoints import Checkpoints, Verification, gather_marks, trail_key
from hutong.kernel.audit.standing import STANDING_FILE, read_standing
from hutong.kernel.metrics import TRAIL_BROKEN, TRAIL_SIGNED, TRAIL_SIGNED_TIME, TRAIL_VERIFIED_TIME
from hutong.kernel.records import Database, database_url
from hutong.kernel.windows.snapshot import write_whole

if TYPE_CHECKING:
    from hutong.app.config import Config
    from hutong.kernel.audit.standing import Standing
    from hutong.kernel.reporter import Reporter

_MS = 1_000_000
_SECOND = 1_000_000_000
_MINUTE = 60 * _SECOND
_STEP_EVERY = 10 * _SECOND
#: From the end of one verification to the start of the next, ms.
_REST_MS = 600_000


class AuditWork:
    """Signs and verifies the trail of one node; what it finds is left in `STANDING_FILE`.

    Args:
        config: the node's settings.
        reporter: logs and figures.
    """

    def __init__(self, config: Config, reporter: Reporter) -> None:
        self._data, self._node, self._reporter = config.data, config.node.name, reporter
        self._database = Database(database_url(config.records.url, config.data))
        self._under_way: Verification | None = None
        self._rests_until_ms = 0
        self._standing = read_standing(config.data)

    def jobs(self) -> list[Job]:
        """A checkpoint each minute; a step of the verification every ten seconds."""
        return [
            Job("trail-checkpoint", _MINUTE, lambda now: self.sign(now // _MS)),
            Job("trail-verification", _STEP_EVERY, lambda now: self.verify(now // _MS)),
        ]

    def sign(self, now_ms: int) -> int:
        """Make a checkpoint if there are new entries; returns how many it is the first to sign.

        Raises:
            HutongError: the trail does not hold, or the checkpoint cannot be kept.
        """
        self._database.open()
        kept = Checkpoints(self._database, self._data, trail_key(self._data, self._node)).make(now_ms)
        if kept is None:
            return 0
        before, size = self._standing.signed, kept.checkpoint.size
        self._leave(replace(self._standing, signed=size, signed_ms=kept.time_ms))
        return size - before

    def verify(self, now_ms: int) -> int:
        """Verify the next few thousand entries; returns how many.

        Raises:
            HutongError: the records or the checkpoints cannot be read.
        """
        if self._under_way is None:
            if now_ms < self._rests_until_ms:
                return 0
            self._database.open()
            keys = [trail_key(self._data, self._node).public]
            self._under_way = Verification(self._database, gather_marks(self._database, self._data, keys).marks)
        it, before = self._under_way, self._under_way.size
        if it.step():
            self._under_way, self._rests_until_ms = None, now_ms + _REST_MS
            self._found(it, now_ms)
        return it.size - before

    def _found(self, it: Verification, now_ms: int) -> None:
        if it.fault is not None and it.fault != self._standing.fault:
            fault = it.fault
            self._reporter.log.error("the trail does not hold", kind=fault.kind, first=fault.first, last=fault.last)
        found = replace(self._standing, verified=it.size, verified_ms=now_ms, compared=it.compared, fault=it.fault)
        self._leave(found)

    def _leave(self, standing: Standing) -> None:
        self._standing = standing
        figures = self._reporter.metrics
        figures.set(TRAIL_SIGNED, standing.signed)
        figures.set(TRAIL_SIGNED_TIME, standing.signed_ms / 1000)
        figures.set(TRAIL_VERIFIED_TIME, standing.verified_ms / 1000)
        figures.set(TRAIL_BROKEN, standing.fault is not None)
        write_whole(self._data / STANDING_FILE, standing)
