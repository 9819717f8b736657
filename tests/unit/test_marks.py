"""Marks: the table says what the records say, whoever is killed, whatever grows old; a limit ends by itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines import NOON_NS, Bench, invite, node_settings
from hutong.calls.explain import Verdicts
from hutong.calls.features import VOCABULARY
from hutong.calls.node import Node
from hutong.calls.rule_book import RULESETS
from hutong.kernel.clock import ManualClock
from hutong.kernel.errors import StateError
from hutong.kernel.marks import LIMIT, REPORT, WRONG_BLOCK, LimitRefs, Mark, MarkFile, Marks, find_row, no_marks
from hutong.kernel.marks.table import Known, put, rows_for, taken_over
from hutong.kernel.numbering.keys import key_of_digits
from hutong.kernel.records import Database, database_url
from hutong.kernel.reporter import Reporter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = NOON_NS // 1_000_000
DAY = 86_400_000
NUMBER, OTHER = "13800138000", "13900139000"
KEY = key_of_digits(f"86{NUMBER}")
NAMES = ("reporters_24h", "reporters_7d", "reporters_30d", "wrong_blocks", "call_limit", "limit_mark")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(database_url("", tmp_path))
    made.open()
    yield made
    made.close()


def report(key: int, who: str, at_ms: int) -> Mark:
    return Mark(key=key, kind=REPORT, ref=f"{who}-{at_ms}", who=who, at_ms=at_ms)


def limit(calls: int, until_ms: int, ref: str = "order-1") -> Mark:
    return Mark(key=KEY, kind=LIMIT, ref=ref, at_ms=NOW, until_ms=until_ms, value=calls)


def read(bench: Bench, number: str, call: str, way: str = "lane") -> tuple[float, ...]:
    """What a call reads of its caller's marks, by either way in."""
    getattr(bench, way)(invite(number, call=call))
    return tuple(float(bench.engine.scratch.features[VOCABULARY.index(f"caller.{name}")]) for name in NAMES)


def test_a_call_reads_what_is_known_of_its_caller_and_of_nobody_else(tmp_path: Path, database: Database) -> None:
    bench, store, file = Bench(tmp_path), Marks(database, tmp_path / "marks"), MarkFile(tmp_path / "marks")
    assert read(bench, NUMBER, "before") == (0, 0, 0, 0, 0, 0)
    with database.write() as connection:
        for who, age in (("a", 0), ("a", 1), ("e", DAY - 30_000), ("b", 3 * DAY), ("c", 20 * DAY), ("d", 31 * DAY)):
            change = store.add(connection, report(KEY, who, NOW - age), NOW)
        store.add(connection, Mark(key=KEY, kind=WRONG_BLOCK, ref="case-1", at_ms=NOW - 300 * DAY), NOW)
    assert file.refresh() is False
    store.publish(NOW)
    assert file.refresh() is True
    assert file.version > change
    bench.engine.use_marks(file.rows)
    for way in ("lane", "full"):
        assert read(bench, NUMBER, f"{way}-1", way) == (2, 3, 4, 1, 0, 0)
        assert read(bench, OTHER, f"{way}-2", way) == (0, 0, 0, 0, 0, 0)
    # Rows change under the reader, which looks for no new file.
    with database.write() as connection:
        store.drop(connection, REPORT, f"c-{NOW - 20 * DAY}", NOW)
    store.publish(NOW)
    assert read(bench, NUMBER, "dropped") == (2, 3, 3, 1, 0, 0)
    store.publish(NOW + 61_000)
    assert read(bench, NUMBER, "aged") == (1, 3, 3, 1, 0, 0)
    # Nobody has published for days: a table of then is not brought up, but made anew.
    store.publish(NOW + 5 * DAY)
    assert file.refresh() is True
    bench.engine.use_marks(file.rows)
    assert read(bench, NUMBER, "later") == (0, 2, 3, 1, 0, 0)
    bench.engine.use_marks(no_marks())
    assert read(bench, NUMBER, "after") == (0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("way", ["lane", "full"])
def test_a_limit_refuses_the_call_beyond_it_and_ends_by_itself(tmp_path: Path, database: Database, way: str) -> None:
    bench, store, file = Bench(tmp_path), Marks(database, tmp_path / "marks"), MarkFile(tmp_path / "marks")
    with database.write() as connection:
        store.add(connection, limit(5, NOW + DAY, "order-5"))
        store.add(connection, limit(2, NOW + 60_000, "order-2"))
        store.add(connection, Mark(key=KEY, kind=LIMIT, ref="order-7", at_ms=NOW, value=7))
    store.publish(NOW)
    file.refresh()
    bench.engine.use_marks(file.rows)

    def answer(number: str, call: str) -> bytes:
        said = getattr(bench, way)(invite(number, call=call))
        return bytes(said if isinstance(said, bytes) else said[0])[8:11]

    assert [answer(NUMBER, f"{way}-{n}") for n in range(3)] == [b"302", b"302", b"608"]
    rule = bench.engine.ruleset.rules[int(bench.engine.scratch.verdict[2])]
    assert (rule.id, rule.stage) == ("calls.caller-over-limit", "block")
    mark = int(bench.engine.scratch.features[VOCABULARY.index("caller.limit_mark")])
    assert LimitRefs(tmp_path / "marks").order_of(mark) == "order-2"
    bench.engine.ruleset.save(tmp_path / RULESETS)
    verdicts = Verdicts(tmp_path)
    story = verdicts.explain(verdicts.decoded(3, memoryview(bench.records[-1])[8:]))
    assert "by order order-2" in story.reason["en"]
    assert "依据指令 order-2" in story.reason["zh"]
    assert answer(OTHER, f"{way}-other") == b"302"
    bench.list(NUMBER, "allow")
    assert answer(NUMBER, f"{way}-allowed") == b"302"
    # Nobody publishes any more: the strictest order's term ends all the same.
    bench.now_ns += 61 * 10**9
    assert read(bench, NUMBER, f"{way}-late", way)[4] == 0
    store.publish(NOW + 61_000)
    assert read(bench, NUMBER, f"{way}-next", way)[4] == 5
    with database.write() as connection:
        store.drop(connection, LIMIT, "order-5", NOW)
    store.publish(NOW + 62_000)
    assert read(bench, NUMBER, f"{way}-last", way)[4] == 7
    with pytest.raises(ValueError, match="at least one"), database.write() as connection:
        store.add(connection, limit(0, 0))


def test_a_table_that_is_lost_damaged_or_of_before_a_crash_is_made_anew(tmp_path: Path, database: Database) -> None:
    folder = tmp_path / "marks"
    store, file = Marks(database, folder), MarkFile(folder)
    with database.write() as connection:
        store.add(connection, report(KEY, "a", NOW))
    # Killed between commit and publishing: the next turn, or another process, brings it.
    Marks(database, folder).publish(NOW)
    file.refresh()
    assert find_row(file.rows, KEY) >= 0
    for harm in (os.unlink, lambda path: path.write_bytes(b"nonsense" * 10_000)):
        harm(folder / "marks.table")
        store.publish(NOW)
        assert find_row(_read(folder).rows, KEY) >= 0
    (folder / "marks.table").write_bytes(b"short")
    with pytest.raises(StateError, match="too short"):
        file.refresh()
    assert find_row(file.rows, KEY) >= 0
    assert file.refresh() is False


def _read(folder: Path) -> MarkFile:
    file = MarkFile(folder)
    file.refresh()
    return file


def test_records_of_before_are_followed_and_a_table_that_is_made_anew_is_shown_whole(
    tmp_path: Path, database: Database
) -> None:
    store, file = Marks(database, tmp_path / "marks"), MarkFile(tmp_path / "marks")
    with database.write() as connection:
        for key in range(1, 2001):
            store.add(connection, report(key, "a", NOW))
    store.publish(NOW)
    file.refresh()
    shown: list[int] = []
    put_in = store._writer.put  # noqa: SLF001  # what others see while it is written

    def seen(key: int, known: Known) -> None:
        put_in(key, known)
        file.refresh()
        shown.append(find_row(file.rows, 2000))

    store._writer.put = seen  # type: ignore[method-assign]  # noqa: SLF001  # as above
    store.publish(NOW + DAY)
    assert len(shown) == 2000
    assert min(shown) >= 0
    before = Database(database_url("", tmp_path / "before"))
    before.open()
    again = Marks(before, tmp_path / "marks")
    with before.write() as connection:
        again.add(connection, report(KEY, "b", NOW + DAY))
    again.publish(NOW + DAY + 1000)
    before.close()
    file.refresh()
    assert find_row(file.rows, KEY) >= 0
    assert find_row(file.rows, 1) < 0


def test_a_node_takes_up_marks_and_says_which_are_in_force(data_folder: Path, database: Database) -> None:
    clock = ManualClock(NOON_NS)
    node = Node(node_settings(data_folder), clock, Reporter("test", clock=clock).log)
    engine = node.open()
    store = Marks(database, data_folder / "marks")
    with database.write() as connection:
        change = store.add(connection, report(KEY, "a", NOW))
    store.publish(NOW)
    clock.advance(10**9)
    node.tick(clock.wall())
    assert find_row(engine.judge.marks, KEY) >= 0
    assert node._board.cells[46] == change  # noqa: SLF001  # what other processes read
    node.close()


def test_forgetting_leaves_what_still_counts(tmp_path: Path, database: Database) -> None:
    store = Marks(database, tmp_path / "marks")
    with database.write() as connection:
        for who, age in (("a", 0), ("b", 32 * DAY)):
            store.add(connection, report(KEY, who, NOW - age), NOW)
    store.publish(NOW)
    assert store.forget(NOW) == 1
    with database.read() as connection:
        assert store.known(connection, KEY, NOW).reporters == (1, 1, 1)


counts = st.integers(0, 70_000)
known = st.builds(
    Known,
    reporters=st.tuples(counts, counts, counts),
    wrong=st.integers(0, 40_000),
    limit=st.integers(0, 2**21),
    mark=st.integers(0, 2**42 - 1),
    until=st.integers(0, 2**40),
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(1, 40), known), max_size=60))
def test_every_number_has_what_was_written_last(written: list[tuple[int, Known]]) -> None:
    rows = rows_for(0)
    expected = {}
    for key, what in written:
        put(rows, key, what)
        expected[key] = what
    for table in (rows, taken_over(rows)):
        for key, what in expected.items():
            at = find_row.py_func(table, key)
            if at < 0:
                assert what == Known()
                continue
            words = [int(word) for word in table[at]]
            assert tuple(words[1] >> shift & 0xFFFF for shift in (0, 16, 32)) == tuple(
                min(count, 0xFFFF) for count in what.reporters
            )
            assert words[1] >> 48 == min(what.wrong, 0x7FFF)
            assert (words[2] & 0xFFFFF, words[2] >> 20, words[3]) == (min(what.limit, 0xFFFFF), what.mark, what.until)
        assert find_row.py_func(table, 41) == -1


def test_a_table_grows_before_it_is_half_full(tmp_path: Path, database: Database) -> None:
    store, file = Marks(database, tmp_path / "marks"), MarkFile(tmp_path / "marks")
    store.publish(NOW)
    file.refresh()
    before = len(file.rows)
    with database.write() as connection:
        for key in range(1, before + 1):
            store.add(connection, report(key, "a", NOW))
    assert store.publish(NOW) == before
    assert file.refresh() is True
    assert len(file.rows) >= 2 * before
    assert all(find_row(file.rows, key) >= 0 for key in range(1, before + 1))
