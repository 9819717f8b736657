"""A node's data folder: what is opened, recovered and kept across starts."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engines import NOON_NS, invite, node_settings
from hutong.calls import board
from hutong.calls.explain import Verdicts
from hutong.calls.node import Node
from hutong.kernel import windows
from hutong.kernel.clock import ManualClock
from hutong.kernel.errors import RuleError
from hutong.kernel.reporter import Reporter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_BROKEN = "- id: calls.broken\n  when: caller.nonsense > 1\n"


class Opened:
    """A node with its clock and what it logged."""

    def __init__(self, data: Path) -> None:
        self.log = io.StringIO()
        self.clock = ManualClock(NOON_NS)
        self.node = Node(node_settings(data), self.clock, Reporter("test", stream=self.log, clock=self.clock).log)
        self.engine = self.node.open()

    def call(self, data: bytes) -> None:
        """Judge and journal one call, as the loop does."""
        inbox = self.engine.inbox
        inbox.data[0, : len(data)] = np.frombuffer(data, dtype=np.uint8)
        inbox.lengths[0] = len(data)
        inbox.addresses[0, :8] = (2, 0, 0x13, 0xC4, 127, 0, 0, 1)
        seq = self.node.begin()
        done = self.engine.screen_batch(self.engine.moment(self.clock.wall()), 0, 1, seq)
        assert done.records == 1
        self.node.commit(done.end, done.records, self.clock.wall())


def attempts(it: Opened, number: int) -> float:
    """Calls of a number in the last minute, as its window has it."""
    table = it.engine.tables.windows
    values = np.zeros(len(windows.WINDOW_FEATURES))
    windows.read_features(table, windows.find(table, number), it.clock.wall() // 10**9, values, 0)
    return float(values[windows.WINDOW_FEATURES.index("attempts_1m")])


def test_windows_that_missed_the_last_batches_are_counted_again(data_folder: Path) -> None:
    it = Opened(data_folder)
    for call in range(3):
        it.call(invite(call=str(call)))
    key = it.engine.caller_key
    it.node.close()
    (data_folder / "windows.bin").unlink()
    again = Opened(data_folder)
    assert attempts(again, key) == 3
    assert "counted again" in again.log.getvalue()
    again.node.close()


def test_an_abandoned_batch_leaves_no_trace(data_folder: Path) -> None:
    it = Opened(data_folder)
    it.call(invite(call="1"))
    key = it.engine.caller_key
    it.node.begin()
    table = it.engine.tables.windows
    windows.note_inbound(table, windows.touch(table, key + 1, NOON_NS // 10**9), NOON_NS // 10**9)
    it.node.abandon()
    assert windows.find(table, key + 1) == -1
    assert attempts(it, key) == 1
    it.node.close()


def test_a_rule_file_that_is_refused_at_the_start_leaves_the_last_set_in_force(data_folder: Path) -> None:
    first = Opened(data_folder)
    digest = first.engine.ruleset.digest
    first.node.close()
    (data_folder / "rules").mkdir()
    (data_folder / "rules" / "mine.yaml").write_text(_BROKEN)
    second = Opened(data_folder)
    assert second.engine.ruleset.digest == digest
    assert "mine.yaml:" in second.log.getvalue()
    second.node.close()


def test_without_an_earlier_set_a_refused_rule_file_stops_the_start(data_folder: Path) -> None:
    (data_folder / "rules").mkdir()
    (data_folder / "rules" / "mine.yaml").write_text(_BROKEN)
    with pytest.raises(RuleError, match=r"mine\.yaml"):
        Opened(data_folder)


def test_a_verdict_is_explained_from_the_folder_alone(data_folder: Path) -> None:
    it = Opened(data_folder)
    it.call(invite("4008123456", call="9"))
    it.node.close()
    verdicts = Verdicts(data_folder)
    [verdict] = verdicts.by_call_id("call-9@192.0.2.99")
    story = verdicts.explain(verdict)
    assert [rule.id for rule in story.fired if rule.decided] == ["calls.shared-cost-as-caller"]
    assert set(story.reason) == {"zh", "en"}


def test_old_records_are_deleted_by_the_node_itself(data_folder: Path, wait_until: Callable[..., object]) -> None:
    it = Opened(data_folder)
    it.call(invite(call="1"))
    it.clock.advance(3 * 3600 * 10**9)
    wait_until(lambda: list(Verdicts(data_folder).all()) == [])
    it.node.tick(it.clock.wall())
    assert it.engine.cells[board.JOURNAL_SEQ] == 1
    it.node.close()


def test_other_users_cannot_read_what_the_command_writes(data_folder: Path) -> None:
    data = data_folder / "node"
    arguments = ["lists", "add", "13800138000", "--reason", "test", "--who", "me", "--data", str(data)]
    subprocess.run([sys.executable, "-m", "hutong", *arguments], check=True, capture_output=True)
    written = [data, *data.rglob("*")]
    assert len(written) > 2
    assert [path for path in written if path.stat().st_mode & 0o007] == []
