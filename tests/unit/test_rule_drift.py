"""Rules whose live false positives drift: the test, where figures come from, and what follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from hutong.app.cli_terms import in_force
from hutong.app.config import Config, NodeConfig
from hutong.app.rule_drift import rule_drift
from hutong.calls.evidence.drift import Step, drift_of
from hutong.calls.evidence.live import drifted
from hutong.calls.history import History
from hutong.calls.index import VerdictIndex
from hutong.calls.record import KIND_VERDICT
from hutong.calls.rule_book import STAGES_FILE
from hutong.kernel.access.refs import Refs
from hutong.kernel.access.trail import Trail
from hutong.kernel.lists.entries import Entry
from hutong.kernel.lists.store import ListStore
from hutong.kernel.metrics import RULES_DRIFTED, Metrics
from hutong.kernel.records import Database, database_url, tables
from hutong.kernel.rules.stages import find_rule, read_stages
from stages import put_stage
from verdict_records import NOON_MS, key_of, verdict_body, write_journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HOUR_MS = 3_600_000
RULE = "calls.many-callees"
CLINIC, STRANGER = "13811110000", "13822220000"


def hours(*counts: tuple[int, int]) -> list[Step]:
    return [Step(at * HOUR_MS, calls, wrong) for at, (calls, wrong) in enumerate(counts)]


class TestTheTest:
    def test_a_rate_at_the_limit_is_no_drift_and_a_much_higher_one_is(self) -> None:
        million = 1_000_000
        assert not drift_of(hours(*[(million, 10)] * 1000), 10).drifted
        drift = drift_of(hours(*[(million, 10)] * 10, *[(million, 40)] * 10), 10)
        assert drift.since_ms == 10 * HOUR_MS
        assert (drift.calls, drift.wrong) == (20 * million, 500)

    def test_good_years_hide_no_bad_day(self) -> None:
        good = [(1_000_000, 0)] * 10_000
        assert drift_of(hours(*good, (10_000, 12)), 10).drifted

    def test_one_or_two_complaints_are_no_drift(self) -> None:
        for wrong in range(10):
            assert not drift_of(hours((10, wrong)), 10).drifted
        assert drift_of(hours((10, 10)), 10).drifted

    @settings(max_examples=200)
    @given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**3)), max_size=30), st.floats(0.1, 10**6))
    def test_more_false_positives_never_look_better(self, counts: list[tuple[int, int]], limit: float) -> None:
        steps = hours(*counts)
        worse = [step._replace(wrong=step.wrong + 1) for step in steps]
        one, other = drift_of(steps, limit), drift_of(worse, limit)
        assert other.total >= one.total >= 0
        assert other.drifted or not one.drifted

    def test_false_alarms_are_as_rare_as_stated(self) -> None:
        # 400 rules at half their limit for a year of days: the sum's bound makes an alarm improbable.
        wrong = np.random.default_rng(7).poisson(5, size=(400, 365))
        alarms = sum(drift_of([Step(0, 1_000_000, int(it)) for it in year], 10).drifted for year in wrong)
        assert alarms <= 4


@pytest.fixture
def data(tmp_path: Path) -> Path:
    put_stage(tmp_path, RULE, "block")
    # The decision is older than the verdicts.
    stages = tmp_path / STAGES_FILE
    stages.write_bytes(stages.read_bytes().replace(b'"time_ms":', b'"time_ms":0,"x":').split(b',"x":')[0] + b"}\n")
    return tmp_path


@pytest.fixture
def watch(data: Path) -> Iterator[Callable[[], tuple[int, Metrics]]]:
    """Runs the job a day after the verdicts."""
    database = Database(database_url("", data))
    database.open()
    lists = ListStore(data / "lists")
    lists.open()

    def run() -> tuple[int, Metrics]:
        index, metrics = VerdictIndex(data), Metrics()
        history = History(database, "node1")
        history.fold(index)
        config = Config(node=NodeConfig(name="node1", data=str(data)))
        job = rule_drift(config, database, index, history, lists, metrics)
        return job.run((NOON_MS + 24 * HOUR_MS) * 1_000_000), metrics

    yield run
    lists.close()
    database.close()


def write(data: Path, blocked: int, passed: int = 200, caller: str = CLINIC, rule: str = RULE) -> None:
    ruleset = in_force(data)
    ruleset.save(data / "rulesets")
    digest, at = int(ruleset.digest[:16], 16), ruleset.index(rule)
    assert at is not None
    values = [0.0] * len(ruleset.features_of(at))
    digest -= (1 << 64) if digest >= 1 << 63 else 0

    def verdict(n: int) -> bytes:
        if n >= blocked:
            return verdict_body(time_ms=NOON_MS + n * 1000, call_id=f"c{n}", caller=STRANGER, digest=digest)
        return verdict_body(
            time_ms=NOON_MS + n * 1000,
            call_id=f"c{n}",
            caller=caller,
            action="block",
            code=608,
            rule=at,
            fired=[(at, values)],
            digest=digest,
        )

    write_journal(data, [[(KIND_VERDICT, verdict(n))] for n in range(blocked + passed)])


def allow(data: Path, number: str = CLINIC, who: str = "Li", **fields: str) -> None:
    store = ListStore(data / "lists")
    store.open()
    entry = Entry(list="allow", kind="number", key=key_of(number), role="any", reason="a clinic", who=who, **fields)  # type: ignore[arg-type]
    store.add([entry], NOON_MS // 1000 + HOUR_MS)
    store.close()


def test_a_rule_that_blocked_a_rightful_number_again_and_again_is_demoted_by_itself(
    data: Path, watch: Callable[[], tuple[int, Metrics]]
) -> None:
    write(data, blocked=30)
    assert watch()[0] == 0, "nobody has said yet that the number is rightful"
    allow(data)
    demoted, metrics = watch()
    assert (demoted, metrics.value(RULES_DRIFTED)) == (1, 1)
    assert find_rule(in_force(data), RULE).stage == "observe"
    change = read_stages(data / STAGES_FILE)[-1]
    assert (change.by, change.came_from, change.to) == ("hutong", "block", "observe")
    assert "30 / 230" in change.why
    assert "limit 10" in change.why
    database = Database(database_url("", data))
    database.open()
    deed = Trail(database).page()[0]
    database.close()
    assert (deed.who, deed.deed, deed.target, deed.purpose) == ("hutong", "rules.demote", RULE, change.why)
    demoted, metrics = watch()
    assert (demoted, metrics.value(RULES_DRIFTED)) == (0, 1), "once, and marked until somebody decides"
    put_stage(data, RULE, "warn")
    assert drifted(read_stages(data / STAGES_FILE), change.time_ms) == {}


def test_whoever_shows_a_rightful_number_from_abroad_cannot_demote_the_rule_that_refuses_it(
    data: Path, watch: Callable[[], tuple[int, Metrics]]
) -> None:
    forged = "calls.domestic-caller-from-abroad"
    write(data, blocked=30, rule=forged)
    allow(data)
    assert watch()[0] == 0
    assert find_rule(in_force(data), forged).stage == "block"


def test_a_mark_fades_after_a_week(data: Path, watch: Callable[[], tuple[int, Metrics]]) -> None:
    write(data, blocked=30)
    allow(data)
    watch()
    changes = read_stages(data / STAGES_FILE)
    assert set(drifted(changes, changes[-1].time_ms + 6 * 24 * HOUR_MS)) == {RULE}
    assert drifted(changes, changes[-1].time_ms + 7 * 24 * HOUR_MS) == {}


def test_a_label_file_says_so_too(data: Path, watch: Callable[[], tuple[int, Metrics]]) -> None:
    write(data, blocked=30)
    (data / "labels").mkdir()
    (data / "labels" / "march.csv").write_text(f"number,label,class\n{CLINIC},0,hospital\n13833330000,1,\n")
    assert watch()[0] == 1


def test_a_block_that_was_found_wrong_on_appeal_says_so_too(
    data: Path, watch: Callable[[], tuple[int, Metrics]]
) -> None:
    write(data, blocked=30)
    database = Database(database_url("", data))
    database.open()
    texts = dict.fromkeys(("city", "operator", "words", "contact", "who", "reasons"), "")
    row = {"id": "a", "receipt": "r", "number": Refs(data / "keys" / "refs.key").ref(key_of(CLINIC)), "blocks": "[]"}
    row |= {"plan": "{}", "state": "upheld", "found_ms": 1, "due_ms": 2, "decided_ms": 3, "effect_ms": 4}
    with database.write() as connection:
        connection.execute(sa.insert(tables.appeals).values(row | texts))
    assert watch()[0] == 0, "the block stayed"
    with database.write() as connection:
        connection.execute(sa.update(tables.appeals).values(state="lifted"))
    database.close()
    assert watch()[0] == 1


@pytest.mark.parametrize("who", ["hutong work", "hutong"])
def test_what_no_person_said_does_not_count(data: Path, watch: Callable[[], tuple[int, Metrics]], who: str) -> None:
    write(data, blocked=30)
    allow(data, who=who)
    assert watch()[0] == 0


def test_hits_of_others_and_a_few_mistakes_change_nothing(data: Path, watch: Callable[[], tuple[int, Metrics]]) -> None:
    write(data, blocked=9)
    allow(data)
    allow(data, "13844440000")
    assert watch()[0] == 0
    assert find_rule(in_force(data), RULE).stage == "block"


def test_hits_before_the_rule_acted_are_not_held_against_it(
    data: Path, watch: Callable[[], tuple[int, Metrics]]
) -> None:
    write(data, blocked=30)
    allow(data)
    stages = data / STAGES_FILE
    stages.write_bytes(stages.read_bytes().replace(b'"time_ms":0', b'"time_ms":%d' % (NOON_MS + 10 * HOUR_MS)))
    assert watch()[0] == 0
