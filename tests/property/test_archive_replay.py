"""A live run, its journal, the archive made of it, and the archive judged again: the same verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_live_equals_replay import RULES, events, listed, live_run

from hutong.calls.archiving import FOLDER
from hutong.calls.records.columns import call_batch
from hutong.calls.records.dead_letters import DeadLetters
from hutong.calls.records.reading import Reading, Source
from replayed import Live, archived, journalled, judged

if TYPE_CHECKING:
    import pytest


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rules=st.sampled_from(sorted(RULES)),
    happened=events.filter(lambda some: any(what[0] == "call" for _, what in some)),
    entries=listed,
    together=st.integers(1, 9),
    rows_at_once=st.integers(1, 50),
)
def test_an_archive_of_a_live_run_is_judged_as_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    rules: str,
    happened: list[tuple[int, tuple[object, ...]]],
    entries: list[tuple[str, str]],
    together: int,
    rows_at_once: int,
) -> None:
    data = tmp_path_factory.mktemp("node")
    live = Live(data, RULES[rules]())
    for target, kind in entries:
        live.bench.list(target, kind)
    live_run(live, happened)
    journalled(live, data, together)
    archived(data, rows_at_once)
    dead, replay = DeadLetters(data / "errors.csv"), live.replay()
    reading = Reading(Source([data / FOLDER], live.bench.engine.tables.trunks.names), dead)
    found = [verdict for rows in reading.batches() for verdict in judged(replay.feed(call_batch(rows)))]
    assert dead.count == 0
    assert found == live.judgements()
