"""The live figures of a data folder, as the page, the metrics and the demo read them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from engines import ABROAD, NEIGHBOUR, NOON_NS, invite, node_settings
from hutong.calls import board
from hutong.calls.live.figures import LiveSource
from hutong.calls.node import Node
from hutong.kernel.clock import ManualClock
from hutong.kernel.errors import StateError
from hutong.kernel.reporter import Reporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hutong.calls.engine import Engine

FORGED, WARNED, HONEST = "4008123456", "110", "13800138000"
SECOND = 1_000_000_000


class Screening:
    """A node of this process on a data folder; `call` screens one INVITE the way the loop does."""

    def __init__(self, data: Path, clock: ManualClock) -> None:
        self.clock = clock
        self.log = io.StringIO()
        self._settings = node_settings(data, home_area="021", window_bytes=2 << 20, sync_ms=60_000)
        self._calls = 0

    def open(self) -> None:
        self.node = Node(self._settings, self.clock, Reporter("test", stream=self.log, clock=self.clock).log)
        self.engine: Engine = self.node.open()
        self.tick()

    def close(self) -> None:
        """Close, and let go of the memory, as the end of a process does."""
        self.node.close()
        del self.node, self.engine

    def tick(self) -> None:
        """Publish the figures, as the loop does from time to time."""
        self.clock.advance(SECOND)
        self.node.tick(self.clock.wall())

    def call(
        self, caller: str, callee: str = "13900139000", *, source: str = NEIGHBOUR, call: str = "", kept: bool = True
    ) -> None:
        """Screen a call; not `kept`: the journal refuses its batch."""
        self._calls += 1
        data = invite(caller, callee, source=source, call=call or f"{self.clock.wall()}-{self._calls}")
        inbox = self.engine.inbox
        inbox.data[0, : len(data)] = np.frombuffer(data, dtype=np.uint8)
        inbox.lengths[0] = len(data)
        inbox.addresses[0, :8] = [2, 0, 0x13, 0xCE, 127, 0, 0, 1]
        inbox.control[0, :4] = 0
        now = self.clock.wall()
        done = self.engine.screen_batch(self.engine.moment(now), 0, 1, self.node.begin())
        assert (done.declined, done.next) == (0, 1)
        if kept:
            self.node.commit(done.end, done.records, now)
        else:
            self.node.abandon()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON_NS)


@pytest.fixture
def screening(data_folder: Path, clock: ManualClock) -> Iterator[Screening]:
    it = Screening(data_folder, clock)
    it.open()
    yield it
    it.close()


@pytest.fixture
def source(data_folder: Path) -> LiveSource:
    return LiveSource(data_folder)


def test_before_the_first_start_it_says_what_to_do(source: LiveSource, data_folder: Path) -> None:
    with pytest.raises(StateError, match=r"no screening process has counted here yet.*Start `hutong up`") as raised:
        source.snapshot()
    assert str(data_folder) in str(raised.value)


def test_a_board_of_another_version_is_refused(source: LiveSource, data_folder: Path) -> None:
    (data_folder / "board.bin").write_bytes(b"\0" * 100)
    with pytest.raises(StateError, match="another version"):
        source.snapshot()
    (data_folder / "board.bin").write_bytes(b"\1" * board.CELLS * 8)
    with pytest.raises(StateError, match="another version"):
        source.snapshot()


def test_a_fresh_start_counts_from_nought(screening: Screening, source: LiveSource) -> None:
    figures = source.snapshot()
    assert (figures.attempts, figures.passed, figures.warned, figures.blocked, figures.latest) == (0, 0, 0, 0, [])
    assert figures.started_ns == NOON_NS
    assert figures.time_ns == screening.clock.wall()
    assert figures.capacity_numbers > 1000
    assert {rule.count for rule in figures.rules} == {0}


def test_every_verdict_is_counted_by_what_became_of_it(screening: Screening, source: LiveSource) -> None:
    for caller, times in ((HONEST, 5), (WARNED, 3), (FORGED, 2)):
        for _ in range(times):
            screening.call(caller)
    screening.call(FORGED, "110")
    screening.tick()
    figures = source.snapshot()
    assert (figures.attempts, figures.passed, figures.warned, figures.blocked) == (11, 6, 3, 2)
    assert figures.emergency == 1
    assert (figures.fail_open, figures.malformed, figures.dropped, figures.evicted) == (0, 0, 0, 0)
    assert figures.tracked_numbers == 5  # three callers, of which 110 was called too, another callee, the trunk
    assert figures.list_entries == 0


def test_rules_and_trunks_are_counted_under_their_names(screening: Screening, source: LiveSource) -> None:
    screening.call(FORGED)
    screening.call("+8613800138000", source=ABROAD)
    screening.call(HONEST)
    screening.call(HONEST, source="")
    figures = source.snapshot()
    rules = {rule.id: rule for rule in figures.rules}
    assert rules["calls.shared-cost-as-caller"].count == 1
    assert rules["calls.shared-cost-as-caller"].action == "block"
    assert set(rules["calls.shared-cost-as-caller"].title) == {"zh", "en"}
    assert rules["calls.domestic-caller-from-abroad"].count == 1
    trunks = {trunk.name: (trunk.kind, trunk.attempts, trunk.blocked) for trunk in figures.trunks}
    assert trunks["abroad"] == ("international", 1, 1)
    assert trunks["neighbour"] == ("inter-network", 2, 1)
    assert trunks["home"] == ("local", 0, 0)
    assert trunks["unlisted"] == ("unknown", 1, 0)


def test_the_latest_come_newest_first_with_masked_numbers_and_reasons(screening: Screening, source: LiveSource) -> None:
    screening.call(FORGED, "13900139000", call="blocked")
    screening.call(HONEST, call="passed")
    screening.call(WARNED, "13700137000", call="warned")
    latest = source.snapshot().latest
    assert [(one.call_id.partition("@")[0], one.action, one.code) for one in latest] == [
        ("call-warned", "warn", 302),
        ("call-blocked", "block", 608),
    ]
    blocked = latest[1]
    assert (blocked.caller, blocked.callee, blocked.trunk) == (FORGED, "139****9000", "neighbour")
    assert blocked.rules == ["calls.shared-cost-as-caller"]
    assert blocked.reason == {"zh": "400/800 号码作主叫", "en": "A 400 or 800 number as caller"}
    for one in latest:
        text = msgspec.json.encode(one).decode()
        assert "13900139000" not in text
        assert "13700137000" not in text


def test_the_latest_are_fifty_at_most(screening: Screening, source: LiveSource) -> None:
    for at in range(120):
        screening.call(FORGED, call=f"n{at}")
    calls = [one.call_id.partition("@")[0] for one in source.snapshot().latest]
    assert calls == [f"call-n{at}" for at in range(119, 69, -1)]


def test_a_call_whose_batch_was_not_kept_is_not_shown_under_the_next_one_s_record(
    screening: Screening, source: LiveSource
) -> None:
    screening.call(FORGED, call="lost", kept=False)
    screening.call(HONEST, call="passed")
    assert source.snapshot().latest == []


def test_reading_changes_nothing(screening: Screening, source: LiveSource) -> None:
    screening.call(FORGED)
    assert source.snapshot() == source.snapshot()


def test_a_restart_counts_anew_and_readers_follow_it(screening: Screening, source: LiveSource) -> None:
    screening.call(FORGED)
    assert source.snapshot().blocked == 1
    screening.close()
    assert source.snapshot().blocked == 1  # what was counted stays readable while nobody screens
    screening.open()
    figures = source.snapshot()
    assert (figures.attempts, figures.blocked, figures.latest) == (0, 0, [])
    assert figures.started_ns > NOON_NS
    assert figures.tracked_numbers == 3  # the windows live on
    screening.call(FORGED)
    figures = source.snapshot()
    assert figures.latest[0].code == 608
    assert {rule.id: rule.count for rule in figures.rules}["calls.shared-cost-as-caller"] == 1


def test_a_changed_rule_set_is_shown_under_its_own_names(
    data_folder: Path, screening: Screening, source: LiveSource, wait_until: Callable[..., object]
) -> None:
    screening.call(FORGED)
    before = source.snapshot()
    rules = data_folder / "rules"
    rules.mkdir()
    (rules / "own.yaml").write_text(_OWN, encoding="utf-8")

    def in_force() -> bool:
        screening.tick()
        return "rules in force" in screening.log.getvalue()

    wait_until(in_force)
    screening.call("17000001234")
    figures = source.snapshot()
    names = {rule.id: rule for rule in figures.rules}
    assert len(figures.rules) == len(before.rules) + 1
    assert (names["own.virtual-caller"].count, names["own.virtual-caller"].action) == (1, "warn")
    assert figures.attempts == before.attempts + 1


_OWN = """\
id: own.virtual-caller
version: 1
title: {zh: 虚拟运营商号码, en: Number of a virtual operator}
when: caller.class == "virtual"
action: warn
stage: warn
basis: test
runbook: docs/calls.md#test
samples:
  - {given: {caller.class: virtual}, fires: true}
  - {given: {caller.class: mobile}, fires: false}
"""


def test_names_of_another_form_are_told_and_end_nothing(
    screening: Screening, source: LiveSource, data_folder: Path
) -> None:
    screening.call(FORGED)
    screening.tick()
    legend = data_folder / "board.json"
    written = legend.read_bytes()
    legend.write_bytes(b'{"another": "form"}')
    with pytest.raises(StateError, match="names of the live counters"):
        source.snapshot()
    legend.write_bytes(written)
    assert source.snapshot().attempts == 1
