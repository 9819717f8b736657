"""Scans in the records, on each engine: none lost, none doubled, found under an order alone, gone with their day."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
import sqlalchemy as sa

from fresh_records import lay_out
from hutong.app.backup_records import export_records, import_records
from hutong.codes.people.day_keys import day_of, day_text
from hutong.codes.people.sealing import unseal
from hutong.codes.scans import emptying, metrics, store
from hutong.codes.scans.errors import ScanRefused
from hutong.codes.scans.group import GroupCommit
from hutong.codes.scans.lookup_model import Scope, Seeker
from hutong.codes.scans.lookup_orders import Used
from hutong.codes.scans.model import Source
from hutong.codes.scans.venue_book import VenueQuery
from hutong.kernel.access.trail import Trail, TrailQuery
from hutong.kernel.metrics import Metrics
from hutong.kernel.records import Database, database_url
from hutong.kernel.records.scan_tables import SLOTS, code_scan_days, code_scan_findings, code_scan_sources, code_scans
from scan_worlds import CLERK, DAY, DUTY, HOUR, LI, MINUTE, NOW, WANG, ZHAO, World, batch, of_venue, scan, wish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.codes.scans.model import Answer, Batch

TESTS = Path(__file__).resolve().parents[1]
#: Of what happens before the records are asked, one engine says enough.
SQLITE = pytest.mark.parametrize("records_url", ["sqlite"], indirect=True)


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    return World(database, tmp_path / "keys")


@SQLITE
def test_both_times_are_kept_and_wrong_clocks_are_named(world: World) -> None:
    venue = world.venue()
    right = world.scans.merge([batch(scan(1, venue, who="0a" * 12))], NOW).answers[0]
    assert (right.taken, right.ahead_ms, right.wrong) == ((1,), 0, ())
    fast = Source("gate-2", "11" * 8)
    off = batch(scan(1, venue, NOW + HOUR), source=fast, clock_ms=NOW + 2 * HOUR)
    assert world.scans.merge([off], NOW).answers[0].ahead_ms == 2 * HOUR
    # A file says nothing new about a clock that is behind: what was measured holds.
    late = batch(scan(2, venue, NOW + HOUR + MINUTE), source=fast, clock_ms=NOW + HOUR, live=False)
    assert world.scans.merge([late], NOW + DAY // 2).answers[0].ahead_ms == 2 * HOUR
    unset = batch(scan(1, venue, 1_000_000), scan(2, venue, NOW + DAY), source=Source("gate-3", "22" * 8))
    assert world.scans.merge([unset], NOW).answers[0].wrong == (1, 2)
    found = [it.kept for it in world.scans.at_venue(venue.id, NOW - DAY, NOW + DAY, NOW + DAY // 2)]
    assert [(it.at_ms - NOW, it.said_ms - NOW, it.clock) for it in found] == [
        (-HOUR, -HOUR, "right"),
        (-HOUR, HOUR, "corrected"),
        (MINUTE - HOUR, HOUR + MINUTE, "corrected"),
        (0, 1_000_000 - NOW, "wrong"),
        (0, DAY, "wrong"),
    ]
    assert {(it[0].device, it[1], it[2]) for it in world.scans.clocks(NOW)} == {
        ("gate-2", 2 * HOUR, False),
        ("gate-3", 0, True),
    }


@SQLITE
def test_what_cannot_be_taken_is_named_and_what_is_over_is_not_kept(world: World) -> None:
    venue = world.venue()
    stranger = msgspec.structs.replace(scan(2, venue), venue="xa-nowhere")
    answer = world.scans.merge([batch(scan(1, venue), stranger, scan(3, venue, NOW - 9 * DAY))], NOW).answers[0]
    assert (answer.taken, answer.over) == ((1, 3), 1)
    assert [(it.place, it.reason) for it in answer.refused] == [(2, "no-venue")]
    gaps = world.scans.merge([batch(*(scan(2 * it, venue) for it in range(10, 520)))], NOW).answers[0]
    assert {it.reason for it in gaps.refused} == {"gaps"}
    assert world.scans.merge([batch(*(scan(it, venue) for it in range(2, 1040)))], NOW).answers[0].refused == ()
    assert world.scans.count() == 1039 - 1  # all but what is over


async def answer_of(group: GroupCommit, sent: Batch) -> Answer:
    return await group.submit(sent)


def test_many_devices_at_once_share_transactions_and_lose_nothing(world: World) -> None:
    venue = world.venue()
    figures = Metrics()
    group = GroupCommit(world.scans, lambda: NOW, figures, waiting=10_000)
    group.start()
    taken: list[int] = []

    def station(number: int) -> None:
        source = Source(f"gate-{number}", f"{number:016x}")
        for at in range(1, 40, 4):
            sent = batch(*(scan(it, venue) for it in range(max(at - 2, 1), at + 4)), source=source)
            taken.append(len(asyncio.run(answer_of(group, sent)).taken))

    threads = [threading.Thread(target=station, args=(it,)) for it in range(6)]
    for it in threads:
        it.start()
    for it in threads:
        it.join()
    group.stop()
    assert len(taken) == 60
    assert world.scans.count() == 6 * 40
    with world.database.read() as connection:
        ranges = set(connection.execute(sa.select(code_scan_sources.c.ranges)).scalars())
    assert ranges == {"[[1,40]]"}
    small = GroupCommit(world.scans, lambda: NOW, figures, waiting=3)

    async def full() -> Answer:
        waits = small.submit(batch(scan(41, venue), scan(42, venue)))
        with pytest.raises(ScanRefused, match="Too many"):
            small.submit(batch(scan(43, venue), scan(44, venue)))
        small.start()
        return await waits

    assert asyncio.run(full()).taken == (41, 42)
    small.stop()
    assert figures.value(metrics.REFUSED, reason="busy") == 1


@SQLITE
def test_copied_codes_are_found_whichever_scan_comes_first(world: World) -> None:
    near, far, beside = world.venue(), world.venue("610115", "华清池"), world.venue("610102", "火车站")
    first = scan(1, near, NOW - HOUR, code="c1" * 8, who="0a" * 12)
    sights = {
        "cloned": scan(2, far, NOW - HOUR + MINUTE, code="c1" * 8, who="0a" * 12),
        "replayed": scan(3, near, NOW - HOUR + 2 * MINUTE, code="c1" * 8, who="0a" * 12),
    }
    honest = [
        scan(4, near, NOW - HOUR, code="c2" * 8),
        scan(5, near, NOW - HOUR + 5_000, code="c2" * 8),  # the camera read it twice
        scan(6, beside, NOW - HOUR + 5 * MINUTE, code="c2" * 8),
        scan(7, far, NOW - HOUR + 40 * MINUTE, code="c2" * 8),
    ]
    merged = [world.scans.merge([batch(it)], NOW) for it in (sights["cloned"], *honest, sights["replayed"], first)]
    copies = {(it.kind, it.venues) for one in merged for it in one.copies}
    assert copies == {("cloned", (far.id, near.id)), ("replayed", (near.id, near.id))}
    assert [len(it.copies) for it in merged[:5]] == [0, 0, 0, 0, 0]
    again = world.scans.merge([batch(first, *sights.values(), *honest)], NOW)
    assert again.copies == ()
    found = world.scans.at_venue(far.id, NOW - DAY, NOW, NOW)
    assert [it.copies for it in found] == [("cloned", "replayed"), ()]


def test_a_look_up_needs_an_order_stays_in_its_scope_and_is_on_the_trail_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.agencies()
    venue, other = world.venue(), world.venue(title="回民街")
    who = world.codes.who(WANG, day_of(NOW - HOUR))
    world.scans.merge([batch(scan(1, venue, who=who), scan(2, venue, NOW - 5 * HOUR), scan(3, other, who=who))], NOW)
    scope = of_venue(venue, NOW - 3 * HOUR)
    order = world.orders.request(wish(scope), LI, NOW)

    def refused(seeker: Seeker, wanted: Scope, at: int = NOW) -> str:
        with pytest.raises(ScanRefused) as error:
            world.desk.look_up(order.id, wanted, seeker, "流调", at)
        return error.value.reason

    assert refused(LI, scope) == "not-approved"
    with pytest.raises(ScanRefused, match="does not decide"):
        world.orders.do(order.id, "approve", LI, NOW)
    world.orders.do(order.id, "approve", DUTY, NOW)
    answer = world.desk.look_up(order.id, scope, ZHAO, "流调第 3 例", NOW + MINUTE)
    assert [it.kept.who for it in answer.found] == [who]
    assert refused(ZHAO, of_venue(other, NOW - 3 * HOUR)) == "scope"
    assert refused(ZHAO, of_venue(venue, NOW - 4 * HOUR)) == "scope"
    assert refused(Seeker("x", ZHAO.permissions, "police", "police"), scope) == "agency"
    assert refused(DUTY, scope) == "not-allowed"
    assert refused(ZHAO, scope, NOW + 2 * DAY) == "over"
    assert world.orders.expire(NOW + 2 * DAY) == 1
    assert refused(ZHAO, scope, NOW + 2 * DAY) == "not-approved"
    assert world.orders.used(order.id) == Used(1, 1)
    deeds = [it.deed for it in Trail(world.database).page(TrailQuery(deed="scans"), descending=False)]
    assert deeds[:6] == [
        "scans.order_request",
        "scans.lookup_refused",
        "scans.order_approve",
        "scans.lookup",
        "scans.lookup_answer",
        "scans.lookup_refused",
    ]
    wide = world.orders.request(wish(of_venue(venue)), LI, NOW)
    world.orders.do(wide.id, "approve", DUTY, NOW)
    assert len(world.desk.look_up(wide.id, of_venue(venue), ZHAO, "流调", NOW).found) == 2
    monkeypatch.setattr(store, "MOST_FOUND", 1)
    with pytest.raises(ScanRefused, match="more than 1 scans"):
        world.desk.look_up(wide.id, of_venue(venue), ZHAO, "流调", NOW)
    last = [it.deed for it in Trail(world.database).page(TrailQuery(deed="scans"))][:2]
    assert last == ["scans.lookup_refused", "scans.lookup"]


@SQLITE
def test_nothing_is_answered_that_the_trail_could_not_take(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.agencies()
    venue = world.venue()
    world.scans.merge([batch(scan(1, venue, who="0a" * 12))], NOW)
    order = world.orders.request(wish(of_venue(venue)), LI, NOW)
    world.orders.do(order.id, "approve", DUTY, NOW)
    read: list[str] = []
    inner = world.scans.at_venue

    def reads(*args: object) -> object:
        trail = Trail(world.database).page(TrailQuery(deed="scans.lookup"))
        read.append(trail[0].deed)
        return inner(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(world.scans, "at_venue", reads)
    assert len(world.desk.look_up(order.id, of_venue(venue), LI, "流调", NOW).found) == 1
    assert read == ["scans.lookup"]

    def fails(*_args: object, **_more: object) -> int:
        raise OSError("the disk is full")

    monkeypatch.setattr(world.desk._trail, "record", fails)  # noqa: SLF001  # the disk that fails
    with pytest.raises(OSError, match="full"):
        world.desk.look_up(order.id, of_venue(venue), LI, "流调", NOW)
    assert read == ["scans.lookup"]


def test_a_person_is_told_in_plain_words_once_the_order_allows_it(world: World) -> None:
    world.agencies()
    venue = world.venue()
    day = day_of(NOW - HOUR)
    world.scans.merge([batch(scan(1, venue, who=world.codes.who(WANG, day)))], NOW)
    scope = Scope(kind="person", about=WANG, since_ms=NOW - DAY, until_ms=NOW)
    police = Seeker("qian", LI.permissions, "police", "police")
    given = {"basis": ("criminal",), "basis_text": "第五十四条", "quiet_s": 20 * 86_400, "quiet_why": "侦查中"}
    quiet = world.orders.request(wish(scope, **given), police, NOW)
    world.orders.do(quiet.id, "approve", DUTY, NOW)
    assert len(world.desk.look_up(quiet.id, scope, police, "案件 7", NOW).found) == 1
    names = [*world.codes.names(WANG, day), *world.codes.names(WANG, day - 1)]
    assert world.notices.of(names, NOW + 19 * DAY) == []
    world.scans.forget(NOW + 19 * DAY)  # the scans are long gone, the notice waits
    told = world.notices.of(names, NOW + 21 * DAY)
    assert {it.day for it in told} == {day, day - 1}
    for language, said in (("zh", "police局"), ("en", "police office")):
        text = told[0].told(language)
        assert said in text
        assert quiet.id in text
        assert venue.id not in text
    assert world.notices.of(world.codes.names("b2" * 16, day), NOW + 21 * DAY) == []
    world.scans.forget(NOW + 300 * DAY)
    assert world.notices.of(names, NOW + 300 * DAY) == []


def restored(tmp_path: Path, backup: Path, rows: dict[str, int]) -> Iterator[World]:
    lay_out(tmp_path / "again" / "records.db")
    database = Database(database_url("", tmp_path / "again"))
    database.open()
    import_records(database, backup, rows, lambda _rows: None)
    again = World(database, tmp_path / "keys")
    yield again
    database.close()


def test_after_retention_nothing_is_found_the_keys_are_gone_and_a_backup_brings_nothing_back(
    world: World, tmp_path: Path
) -> None:
    venue = world.venue()
    who = world.codes.who(WANG, day_of(NOW))
    sent = batch(scan(1, venue, NOW, who=who, code="c1" * 8), scan(2, venue, NOW - DAY, who=who))
    world.scans.merge([sent], NOW)
    world.scans.merge([batch(scan(3, venue, NOW - MINUTE, code="c1" * 8), clock_ms=NOW)], NOW)
    days = [day_of(NOW - DAY), day_of(NOW)]
    assert world.keys.days() == days
    key = world.keys.make(days[1], NOW)
    backup = tmp_path / "backup"
    backup.mkdir()
    rows = export_records(world.database, backup, lambda _rows: None)
    (tmp_path / "again").mkdir()
    for again in restored(tmp_path, backup, rows):  # within the term a backup is good for something
        assert len(again.scans.at_venue(venue.id, NOW - 2 * DAY, NOW + 1, NOW)) == 3

    later = NOW + 7 * DAY
    assert world.scans.forget(later).days == 1  # yesterday's; today's is kept for seven days
    assert len(world.scans.at_venue(venue.id, NOW - 2 * DAY, later, later)) == 2
    gone = world.scans.forget(later + DAY)
    assert (gone.keys, gone.days, gone.sources) == (1, 1, 1)
    assert world.keys.days() == []
    assert world.scans.count() == 0
    with world.database.read() as connection:
        for table in (code_scan_days, code_scan_findings, *code_scans):
            assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 0

    (tmp_path / "again" / "records.db").unlink()
    for again in restored(tmp_path, backup, rows):
        assert again.scans.count() == 3  # the rows are back
        assert again.scans.at_venue(venue.id, 0, later + DAY, later + DAY) == []
        assert again.scans.of_person(lambda day: world.codes.names(WANG, day), 0, later + DAY, later + DAY) == []
        with again.database.read() as connection:
            kept = [row for table in code_scans for row in connection.execute(sa.select(table))]
        text = b"".join(part for row in kept for part in row if isinstance(part, bytes))
        assert who.encode() not in text
        assert bytes.fromhex(who) not in text
        assert venue.id.encode() not in text
        # Whoever reads the rows needs the key of the day, which was only ever in the folder of keys, and is not now.
        about = f"hutong-scan:{days[1]}"
        assert sum(unseal(key, row.sealed, about) is not None for row in kept) == 2
        assert not [path for path in (tmp_path / "keys").rglob("*") if day_text(days[1]) in path.name]
        assert not any(key.hex() in path.read_text("latin-1") for path in backup.iterdir())
        assert again.scans.forget(later + DAY).days == 2


class _Died(Exception):  # noqa: N818  # says what happened
    """A process was killed."""


@SQLITE
@pytest.mark.parametrize("parts", range(6))
def test_a_day_goes_in_parts_and_what_a_process_leaves_of_it_goes_with_the_next(
    world: World, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emptying, "AT_ONCE", 3)
    venue, later = world.venue(), NOW + 8 * DAY
    world.scans.merge([batch(*(scan(n, venue, NOW) for n in range(1, 8)))], NOW)
    slot = day_of(NOW) % SLOTS
    with world.database.read() as connection:
        indexes = sa.inspect(connection).get_indexes(code_scans[slot].name)
    assert len(indexes) == 3
    went: list[float] = []

    def pause(seconds: float) -> None:
        went.append(seconds)
        # Whoever writes comes between two parts.
        fresh = scan(100 + len(went), venue, later - HOUR)
        assert not world.scans.merge([batch(fresh, clock_ms=later)], later).answers[0].refused
        if len(went) > parts:
            raise _Died

    with contextlib.suppress(_Died):
        emptying.let_days_go(world.database, day_of(NOW) + 1, pause)
    assert len(went) == parts + 1
    assert world.scans.forget(later).days == 1
    with world.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(code_scans[slot])).scalar_one() == 0
        assert sorted(sa.inspect(connection).get_indexes(code_scans[slot].name), key=str) == sorted(indexes, key=str)
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    assert len(world.scans.at_venue(venue.id, later - DAY, later + 1, later)) == len(went)


def test_a_day_that_somebody_reads_keeps_nobody_waiting_and_goes_with_the_next_run(world: World) -> None:
    later, table = NOW + 8 * DAY, code_scans[day_of(NOW) % SLOTS]
    world.scans.merge([batch(scan(1, world.venue(), NOW))], NOW)
    with world.database.read() as backup:
        assert len(backup.execute(sa.select(table)).all()) == 1
        with ThreadPoolExecutor(1) as another:
            went = another.submit(world.scans.forget, later).result(20).days
    assert went == (1 if world.database.is_sqlite else 0)
    assert went + world.scans.forget(later).days == 1


@SQLITE
def test_a_days_table_is_given_to_the_next_day_in_turn_only_when_it_is_over(world: World) -> None:
    venue = world.venue()
    for day in range(40):
        world.scans.merge([batch(scan(day + 1, venue, NOW + day * DAY), clock_ms=NOW + day * DAY)], NOW + day * DAY)
    end = NOW + 39 * DAY
    found = world.scans.at_venue(venue.id, 0, end + 1, end)
    assert [it.kept.at_ms for it in found] == [end - it * DAY for it in range(7, -1, -1)]
    with pytest.raises(Exception, match="later day"):
        world.scans.merge(
            [batch(scan(99, venue, NOW - DAY), clock_ms=NOW, source=Source("b", "1" * 16))], NOW - 9 * DAY
        )


@SQLITE
def test_when_the_rule_becomes_seven_days_the_other_seven_go_at_once(world: World) -> None:
    begins = 1_657_209_600_000  # 2022-07-08 in China
    venue = world.venue()
    sent = [scan(day + 1, venue, begins - 1 - day * DAY) for day in range(14)]
    world.scans.merge([batch(*sent, clock_ms=begins - 1)], begins - 1)
    assert world.scans.forget(begins - 1).days == 0
    assert (world.scans.forget(begins).days, len(world.keys.days())) == (7, 7)
    assert len(world.scans.at_venue(venue.id, 0, begins, begins)) == 7


@SQLITE
def test_look_ups_and_copies_go_by_indexes(world: World) -> None:
    with world.database.read() as connection:
        for column in ("who", "place", "code"):
            asked = f"EXPLAIN QUERY PLAN SELECT sealed FROM code_scans_00 WHERE {column} IN (x'00', x'01')"  # noqa: S608  # our own words
            plan = connection.execute(sa.text(asked))
            assert f"USING INDEX ix_code_scans_00_{column}" in str(plan.all())
        ends = connection.execute(sa.text("EXPLAIN QUERY PLAN SELECT max(number) FROM code_scans_00"))
        assert "SEARCH" in str(ends.all())


@SQLITE
def test_venues_change_with_reasons_and_are_found_by_district_and_unit(world: World) -> None:
    venue, other = world.venue(), world.venue("610115")
    replaced = world.book.do(venue.id, "replace", "海报被涂改", CLERK, NOW)
    assert (replaced.serial, replaced.code_ms) == (2, NOW)
    with pytest.raises(ScanRefused) as refused:
        world.book.do(venue.id, "withdraw", "停业", CLERK, NOW, version=1)
    assert refused.value.reason == "changed-meanwhile"
    assert world.book.do(venue.id, "withdraw", "停业", CLERK, NOW, version=2).state == "withdrawn"
    assert world.book.figures() == {"issued": 1, "withdrawn": 1}
    assert [it.id for it in world.book.listing(VenueQuery(district="610115", state="issued"), 10)] == [other.id]
    assert world.book.venue(venue.id).why == "停业"
    deeds = [it.deed for it in Trail(world.database).page(TrailQuery(deed="venues"), descending=False)]
    assert deeds == ["venues.issue", "venues.issue", "venues.replace", "venues.withdraw"]


def acknowledged(url: str, keys: Path, venue: str, least: int) -> list[int]:
    """Numbers that were said to be taken until SIGKILL came, somewhere within a merge."""
    path = os.pathsep.join([str(TESTS), str(TESTS / "contract")])
    command = [sys.executable, str(TESTS / "contract" / "scan_victim.py"), url, str(keys), venue]
    said: list[int] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}) as victim:
        assert victim.stdout is not None
        for line in victim.stdout:
            said += map(int, line.split())
            if len(said) >= least:
                victim.kill()
    return said


def test_what_was_answered_outlives_a_kill_and_is_there_once(records_url: str, tmp_path: Path) -> None:
    if records_url.startswith("sqlite"):
        lay_out(tmp_path / "records.db")
    database = Database(records_url)
    database.open()
    world = World(database, tmp_path / "keys")
    venue = world.venue()
    said = set(acknowledged(records_url, tmp_path / "keys", venue.id, 60))
    assert len(said) >= 40
    # The device did not hear every answer: it sends everything again, and what it scanned since.
    last = max(said) + 50
    answer = world.scans.merge([batch(*(scan(it, venue) for it in range(1, last + 1)))], NOW).answers[0]
    assert said <= set(answer.taken) == set(range(1, last + 1))
    found = world.scans.at_venue(venue.id, NOW - DAY, NOW, NOW)
    assert len(found) == last
    assert answer.again >= len(said)
    database.close()
