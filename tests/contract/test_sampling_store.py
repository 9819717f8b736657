"""Sampling in the records, on each engine."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from hutong.kernel.access.trail import Trail, TrailQuery
from hutong.kernel.metrics import Metrics
from hutong.sampling import metrics
from hutong.sampling.commit import GroupCommit
from hutong.sampling.desk import SamplingDesk
from hutong.sampling.emergency.machine import EmergencyRefused
from hutong.sampling.emergency.model import Actor, Wish
from hutong.sampling.emergency.store import Emergencies
from hutong.sampling.errors import SamplingError, SamplingRefused
from hutong.sampling.figures import Figures
from hutong.sampling.identity import KeyedIdentities
from hutong.sampling.listing import Listing, TubeQuery
from hutong.sampling.model import Batch, Event, Recall, Register, Seal, Settle, Terms
from hutong.sampling.projection import MOST_TOGETHER
from hutong.sampling.results_csv import take_in
from hutong.sampling.rooms import BATCH_ROOMS, ROOMS, batch_rooms, tube_rooms
from hutong.sampling.store import Bounds, Sampling, Taking
from sampling_samples import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    OTHER,
    TUBE,
    event,
    filled,
    kept,
    person,
    received,
    result,
    sampling,
)

if TYPE_CHECKING:
    from hutong.kernel.records import Database
    from hutong.sampling.model import MergeAnswer
    from hutong.sampling.store import Outcome

SHANGHAI = ZoneInfo("Asia/Shanghai")
LATER = NOW + 3 * HOUR


def merge(it: Sampling, events: list[Event], now_ms: int = LATER, clock_ms: int = 0) -> None:
    answer = it.merge(Batch(events[0].station, clock_ms or now_ms, tuple(events), district="610100"), now_ms)
    assert not answer.refused
    assert set(answer.taken) == {one.id for one in events}


def test_a_tube_from_the_station_to_the_person(database: Database) -> None:
    it = sampling(database)
    events = filled(people=3)
    merge(it, events[2:])  # a batch that was cut: the seal comes before two of its people
    assert it.conflicts(rule="count-differs")
    merge(it, events)
    assert not it.conflicts(), "with the rest, nothing is missing"
    batch = it.batch("B-s1")
    assert batch is not None
    assert (batch.state, batch.expected, batch.known, batch.received) == ("in-transit", 1, 1, 0)
    it.do(received(), NOW + HOUR)
    assert it.batch("B-s1").state == "received"  # type: ignore[union-attr]  # it is there
    states = Figures(database, HOUR).states()
    assert {state: count for state, count in states.items() if count} == {"received": 1}
    it.do(result(told="positive"), LATER)
    who = person((TUBE, 1))
    number, told = it.told_since(0)
    assert {(one.person, one.result) for one in told} == {(person((TUBE, n)), "retest") for n in range(3)}
    assert it.told_since(number) == (number, [])
    assert [(one.tube, one.result) for one in it.results_of(who)] == [(f"{TUBE}@s1", "retest")]
    story = it.do(event(Recall(tube=TUBE, of=events[0].id), 0, LATER, "node1"), LATER)
    assert story.tubes[0].state == "recalled"
    merge(it, [event(Register(tube=OTHER, size=1, person=who, retest=True), 9, LATER)], LATER + HOUR)
    assert it.close_calls() == 0
    (called,) = it.calls()
    assert set(called.open) == {person((TUBE, 0)), person((TUBE, 2))}, "who was tested singly is not called any more"
    for n in (0, 2):
        retest = Register(tube=f"{OTHER}-{n}", size=1, person=person((TUBE, n)), retest=True)
        merge(it, [event(retest, 10 + n, LATER)], LATER + HOUR)
    assert it.calls() == []
    assert (it.close_calls(), it.close_calls()) == (1, 0)
    assert it.calls() == []
    assert not it.conflicts(rule="person-in-two-tubes"), "the single test of a recall is no second tube"
    assert it.turnaround_ms(NOW) == 2 * HOUR - MINUTE
    assert it.recount() == []


def test_a_single_test_from_before_a_tube_ends_no_recall_of_it(database: Database) -> None:
    it = sampling(database)
    for tube, at_ms in ((TUBE, NOW), (OTHER, NOW - 2 * DAY)):
        station = f"s-{tube[-1]}"
        merge(it, filled(tube, people=1, station=station, at_ms=at_ms))
        it.do(result(tube, "positive", at_ms + HOUR), LATER)
    early = Register(tube="XA20220415009", size=1, person=person((TUBE, 0)), retest=True)
    merge(it, [event(early, 50, NOW - DAY)])
    assert it.close_calls() == 0
    assert {one.tube.barcode: one.open for one in it.calls()} == {
        OTHER: (person((OTHER, 0)),),
        TUBE: (person((TUBE, 0)),),
    }


async def answer_of(group: GroupCommit, batch: Batch) -> MergeAnswer:
    return await group.merge(batch)


def test_stations_that_merge_at_the_same_time_over_the_same_people(database: Database) -> None:
    """Four stations with the same people and barcodes, every batch twice, all at once, by way of two processes."""
    it, figures = sampling(database), Metrics()
    groups = [GroupCommit(it, lambda: LATER, figures) for _ in range(2)]
    stations = [f"s{n}" for n in range(4)]
    gate = threading.Barrier(len(stations))

    def work(at: int) -> None:
        name = stations[at]
        gate.wait(20)
        events = [
            event(Register(tube=tube, size=20, person=person(n)), 20 * at + n + 1, NOW, name)
            for at, tube in enumerate((TUBE, OTHER))
            for n in range(8)
        ]
        for part in (events[:9], events[5:], events):
            answer = asyncio.run(answer_of(groups[at % 2], Batch(name, LATER, tuple(part))))
            assert set(answer.taken) == {one.id for one in part}

    for group in groups:
        group.start()
    with ThreadPoolExecutor(len(stations)) as pool:
        list(pool.map(work, range(len(stations))))
    for group in groups:
        group.stop()
    assert figures.value(metrics.TAKEN, action="register") == 16 * len(stations)
    assert figures.value(metrics.AGAIN) == (4 + 16) * len(stations)
    for barcode in (TUBE, OTHER):
        story = it.story(barcode)
        assert [(one.station, len(one.members), one.contested) for one in story.tubes] == [
            (s, 8, True) for s in stations
        ]
    pairs = {(one.tube, one.about) for one in it.conflicts(rule="person-in-two-tubes", limit=1000)}
    tubes = [f"{barcode}@{name}" for barcode in (TUBE, OTHER) for name in stations]
    assert pairs == {(a, b) for a in tubes for b in tubes if a != b}, "whoever came second saw the first"
    assert [one.sequence for one in it.stations()] == [28] * len(stations)
    assert it.recount() == []


def test_hand_overs_at_the_centre_wait_for_each_other_and_for_merges_in_no_circle(database: Database) -> None:
    """Two people hand the same tubes over, one from the last to the first, while a station merges these barcodes."""
    it, trail = sampling(database), Trail(database)
    emergencies = Emergencies(database, "node1", Terms(), longest_h=72)
    desk = SamplingDesk(database, it, emergencies, trail, KeyedIdentities, "node1", "Asia/Shanghai")  # type: ignore[arg-type]  # nobody is asked for
    tubes = [f"XA{n:06}" for n in range(12)]
    deeds = [
        deed for tube in tubes for deed in (Register(tube=tube, size=1, person=person(tube)), Seal(tube=tube, people=1))
    ]
    done = it.take([Taking(event(deed, n, NOW, "node1")) for n, deed in enumerate(deeds, 1)], NOW)
    assert not [one for one in done if one.refusal is not None]
    elsewhere = [event(Register(tube=tube, size=1, person=person(tube)), n) for n, tube in enumerate(tubes, 1)]
    li, gate = Actor("li", frozenset({"sampling.register"})), threading.Barrier(3)

    def hand_over(order: list[str]) -> str:
        gate.wait(20)
        return desk.hand_over("B1", order, "周", li, LATER).state

    def merging() -> str:
        gate.wait(20)
        merge(it, elsewhere)
        return "merged"

    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(hand_over, tubes), pool.submit(hand_over, tubes[::-1]), pool.submit(merging)]
        assert [one.result(60) for one in asked] == ["in-transit", "in-transit", "merged"]
    assert sorted(one.target for one in trail.page(TrailQuery(deed="sampling.hand_over"))) == sorted(2 * tubes)
    assert it.recount() == []


def test_a_list_of_a_district_has_its_communities_and_every_condition_holds(database: Database) -> None:
    if not database.is_sqlite:
        # As in a database of that language, where a colon comes before the digits.
        collated = 'ALTER TABLE sampling_tubes ALTER COLUMN district TYPE text COLLATE "zh-x-icu"'
        with database.write() as connection:
            connection.execute(sa.text(collated))
    it, listing = sampling(database), Listing(database)
    places = ("610102", "610102001", "610102999999", "610103", "610101999999")
    for n, place in enumerate(places):
        tube = f"XA{n:06}"
        merge(it, [event(Register(tube=tube, size=1, person=person(n), district=place), n + 1, NOW + n)])
        if n < 2:
            told = [result(tube, "positive"), result(tube, "negative", NOW + 2 * HOUR + MINUTE)]
            it.take([Taking(one, judged=False) for one in told], LATER)

    def listed(query: TubeQuery) -> list[str]:
        return [row.district for row in listing.tubes(query, 50).rows]

    assert listed(TubeQuery("open", "610102")) == ["610102999999"]
    assert set(listed(TubeQuery(district="610102"))) == set(places[:3])
    assert listed(TubeQuery("reported", held=True)) == list(places[:2])
    assert listed(TubeQuery("waiting", held=True)) == []


def test_large_merges_of_several_writers_take_little_room(database: Database) -> None:
    """Five hundred events name as many people and tubes: all writers together must fit among a database's locks."""
    it, writers = sampling(database), 3
    parts = [
        [
            event(Register(tube=f"XA{n % 70:06}", size=20, person=person(n)), n + 1, NOW + n, f"s{writer}")
            for n in range(500)
        ]
        for writer in range(writers)
    ]
    gate = threading.Barrier(writers)

    def work(writer: int) -> int:
        gate.wait(20)
        with database.write() as connection:
            merge(it, parts[writer])
            held = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
            return 1 if database.is_sqlite else int(connection.execute(held).scalar_one())

    with ThreadPoolExecutor(writers) as pool:
        held = list(pool.map(work, range(writers)))
    assert 0 < max(held) <= ROOMS + BATCH_ROOMS + 1
    assert all(len(it.story(f"XA{n:06}").tubes) == writers for n in (0, 69))
    pairs = {(one.tube, one.about) for one in it.conflicts(barcode="XA000007", rule="person-in-two-tubes", limit=1000)}
    tubes = [f"XA000007@s{writer}" for writer in range(writers)]
    assert pairs == {(a, b) for a in tubes for b in tubes if a != b}
    if not database.is_sqlite:
        # Batches are held after barcodes and people: none may be taken for one of those, or writers wait in a circle.
        names = [*(f"sampling:{n}" for n in range(ROOMS)), *(f"sampling-batch:{n}" for n in range(BATCH_ROOMS))]
        assert tube_rooms(map(str, range(50_000))) | batch_rooms(map(str, range(5_000))) == set(names)
        same = sa.text("SELECT count(DISTINCT hashtext(name)) FROM unnest(CAST(:names AS text[])) AS name")
        with database.read() as connection:
            assert connection.execute(same, {"names": [*names, "sampling-told"]}).scalar_one() == len(names) + 1


def test_what_is_asked_of_a_connected_centre_is_judged_and_shares_transactions(database: Database) -> None:
    it, figures = sampling(database, Terms(sizes=(5,))), Metrics()
    group = GroupCommit(it, lambda: NOW, figures, waiting=60)
    wanted = [event(Register(tube=TUBE, size=5, person=person(n % 7)), n, NOW) for n in range(1, 41)]

    async def asked() -> list[Outcome]:
        group.submit(Taking(wanted[0])).cancel()
        futures = [group.submit(Taking(one)) for one in [*wanted, *wanted[:9]]]
        futures += [group.submit(Taking(one)) for one in wanted[:10]]
        with pytest.raises(SamplingRefused, match="Too many"):
            group.submit(Taking(wanted[0]))
        group.start()
        return await asyncio.gather(*futures)

    outcomes = asyncio.run(asked())
    group.stop()
    assert [one.refusal is None for one in outcomes[:5]] == [True] * 5
    assert {one.refusal.reason for one in outcomes[5:40] if one.refusal} == {"full", "person-twice"}
    assert all(one.again for one in [*outcomes[40:45], *outcomes[49:54]]), "what comes again is answered as before"
    members = it.story(TUBE).tubes[0].members
    assert [one.person for one in members] == [person(n) for n in (1, 2, 3, 4, 5)]
    assert figures.value(metrics.TAKEN, action="register") == 5
    (wrong,) = it.take([Taking(event(Register(tube=OTHER, size=10, person=person(1)), 99, NOW))], NOW)
    assert wrong.refusal is not None
    assert wrong.refusal.reason == "size"
    assert it.recount() == []


def test_a_laboratory_s_file_goes_in_row_by_row_and_twice_with_one_effect(database: Database) -> None:
    it = sampling(database)
    third = "XA20220415003"
    for tube in (TUBE, OTHER, third):
        merge(it, filled(tube, 10, 3, f"s-{tube[-1]}"))
    merge(it, filled(third, 10, 2, "s9"))
    rows = [
        "管号,检测结果,检测时间",
        f"{TUBE},阴性,2022-04-15 15:30",
        f"{TUBE},阴性,2022-04-15 15:30",  # again
        f"{OTHER},阳性,2022/4/15 15:31",
        f"{OTHER},阴性,2022-04-15 15:32",  # contradicts
        f"{third},阴性,2022-04-15",  # contested: two stations
        "XA20220415999,阴性,2022-04-15 15:30",  # no station has merged it yet
        f"{TUBE},阴性,2022-04-15 09:00",  # before the sampling
        f"{TUBE},阴性,2032-04-15 09:00",  # in the future
        f"{TUBE},不明,2022-04-15 15:30",
        "管?,阴性,2022-04-15 15:30",
        f"{TUBE},阴性",
    ]
    content = "\r\n".join(rows).encode("gb18030")
    for first in (True, False):
        done = take_in(it, content, "cdc1", SHANGHAI, LATER)
        assert (done.rows, done.refused, done.encoding) == (11, 5, "gb18030")
        assert (done.taken, done.again) == ((5, 1) if first else (0, 6))
        refused = {(note.row, note.column) for note in done.notes if not note.taken}
        assert refused == {(8, "tested"), (9, "tested"), (10, "result"), (11, "tube"), (12, "")}
        doubted = {note.row for note in done.notes if note.taken}
        assert doubted == ({5, 6, 7} if first else set())
    by_tube = {(one.tube, one.result) for one in it.told_since(0)[1]}
    assert by_tube >= {(f"{TUBE}@s-1", "negative"), (f"{OTHER}@s-2", "retest"), (f"{third}@s-3", "held")}
    assert not {(tube, said) for tube, said in by_tube if tube.startswith((OTHER, third)) and said == "negative"}
    merge(it, filled("XA20220415999", 10, 1, "s4"), LATER + MINUTE)
    assert it.story("XA20220415999").tubes[0].result == "negative", "the result waited for its tube"
    assert [one.about for one in it.conflicts(rule="late-after-result")]
    of = it.story(OTHER).tubes[0].known_by
    it.do(event(Settle(tube=OTHER, of=of, result="negative", reason="复检"), 0, LATER, "node1"), LATER)
    assert it.results_of(person((OTHER, 0)))[0].result == "negative"
    assert it.recount() == []
    with pytest.raises(SamplingError, match="lacks tested"):
        take_in(it, b"tube,result\n", "cdc1", SHANGHAI, LATER)


def test_ids_and_numbers_that_stand_for_two_things(database: Database) -> None:
    it = sampling(database)
    first = event(Register(tube=TUBE, size=5, person=person(1)), 1)
    merge(it, [first])
    forged = Event(
        id=first.id, station="s1", sequence=1, at_ms=NOW, deed=Register(tube=OTHER, size=5, person=person(2))
    )
    foreign = event(Register(tube=OTHER, size=5, person=person(3)), 7, NOW, "s2")
    old = event(Register(tube=OTHER, size=5, person=person(4)), 8, NOW - 40 * DAY)
    bad = event(Register(tube="?", size=5, person=person(4)), 9)
    beyond = event(Register(tube=OTHER, size=5, person=person(4)), 10, 1 << 52)
    answer = it.merge(Batch("s1", LATER, (forged, foreign, old, bad, beyond)), LATER)
    assert {one.reason for one in answer.refused} == {"id-twice", "not-yours", "too-old", "field", "date"}
    assert not answer.taken
    merge(it, [event(Register(tube=TUBE, size=5, person=person(5)), 1, salt="a store that was lost")])
    assert len(it.story(TUBE).tubes[0].members) == 2, "nobody is lost with a store"
    assert {one.about for one in it.conflicts(rule="sequence-twice")} >= {first.id}


def test_a_decision_and_what_is_told_follow_the_swab_when_an_earlier_use_of_the_barcode_comes_late(
    database: Database,
) -> None:
    it = sampling(database)
    first, second = filled(people=2), [event(one.deed, 9 + n, LATER + n) for n, one in enumerate(filled(people=1))]
    second[0] = event(Register(tube=TUBE, size=5, person=person("later")), 9, LATER)
    merge(it, second, LATER + HOUR)
    it.do(result(told="positive", tested_ms=LATER + HOUR), LATER + HOUR)
    called = event(Recall(tube=TUBE, of=it.story(TUBE).tubes[0].known_by), 0, LATER + 2 * HOUR, "node1")
    it.do(called, LATER + 2 * HOUR)
    (one,) = it.take([Taking(result(), judged=False)], LATER + 2 * HOUR)
    assert one.refusal is None
    merge(it, first, LATER + 2 * HOUR)
    tubes = {one.id: one for one in it.story(TUBE).tubes}
    assert [(name, one.result, bool(one.recalled_ms)) for name, one in tubes.items()] == [
        (f"{TUBE}@s1", "negative", False),
        (f"{TUBE}@s1.2", "positive", True),
    ]
    said = {(one.tube, one.person): one.result for one in it.told_since(0)[1]}
    assert said == {
        (f"{TUBE}@s1", person("later")): "",  # what was said of another's tube is taken back
        (f"{TUBE}@s1.2", person("later")): "retest",
        **{(f"{TUBE}@s1", person((TUBE, n))): "negative" for n in range(2)},
    }
    assert it.recount() == []


def test_one_pseudonym_in_many_tubes_is_a_conflict_and_not_ever_more_of_them(database: Database) -> None:
    it = sampling(database)
    tubes = 3 * MOST_TOGETHER
    everywhere = [
        event(Register(tube=f"XA{n:06}", size=1, person=person("everybody")), n + 1, NOW + n) for n in range(tubes)
    ]
    for one in everywhere:
        merge(it, [one])
    pairs = {(one.tube, one.about) for one in it.conflicts(rule="person-in-two-tubes", limit=10_000)}
    assert {tube for tube, _ in pairs} == {f"XA{n:06}@s1" for n in range(tubes)}
    assert len(pairs) <= 2 * tubes * MOST_TOGETHER


def test_a_person_in_two_tubes_is_found_in_the_tubes_that_these_are_now(database: Database) -> None:
    it = sampling(database)
    later = [event(Register(tube=TUBE, size=5, person=person("both")), 9, LATER)]
    merge(it, later)
    merge(it, [event(Register(tube=OTHER, size=5, person=person("both")), 1, LATER, "s2")])
    (one, _) = it.conflicts(rule="person-in-two-tubes")
    assert {one.tube, one.about} == {f"{TUBE}@s1", f"{OTHER}@s2"}
    merge(it, filled(people=2), LATER + HOUR)
    found = it.conflicts(rule="person-in-two-tubes")
    assert {(one.tube, one.about) for one in found} == {
        (f"{TUBE}@s1.2", f"{OTHER}@s2"),
        (f"{OTHER}@s2", f"{TUBE}@s1.2"),
    }


def test_a_wrong_clock_is_measured_and_both_times_are_kept(database: Database) -> None:
    it = sampling(database)
    events = filled(at_ms=NOW - 5 * DAY)
    merge(it, events, LATER, clock_ms=LATER - 5 * DAY)
    member = it.story(TUBE).tubes[0].members[0]
    assert (member.at_ms, member.said_ms) == (NOW + MINUTE, NOW - 5 * DAY + MINUTE)
    assert it.conflicts(rule="clock-wrong")
    assert it.stations()[0].offset_ms == 5 * DAY
    assert it.merge(Batch("s1", LATER - HOUR, (), live=False), LATER).offset_ms == 0, "a file may have been on its way"
    assert it.merge(Batch("s1", LATER + HOUR, (), live=False), LATER).offset_ms == -HOUR, "but not from the future"


def test_what_is_old_is_forgotten_whole(database: Database) -> None:
    it = sampling(database, bounds=Bounds(keep_ms=DAY))
    merge(it, filled())
    it.do(result(), NOW + 2 * HOUR)
    (orphan,) = it.take([Taking(result(OTHER), judged=False)], NOW + 2 * HOUR)
    assert orphan.refusal is None
    assert it.forget(NOW + DAY) == 0
    assert it.forget(NOW + 2 * DAY) == 2
    assert it.events(TUBE) == it.events(OTHER) == kept()
    assert it.results_of(person((TUBE, 0))) == []
    assert it.told_since(0)[1] == []
    assert not it.conflicts()
    assert it.recount(since_ms=NOW + DAY) == []
    assert sum(Figures(database, HOUR).states().values()) == 0, "what is forgotten is counted no more"


def test_an_emergency_takes_two_persons_a_term_and_is_on_the_trail(database: Database) -> None:
    usual = Terms(sizes=(1, 5, 10, 20), fields=("residence",))
    it = Emergencies(database, "node1", usual, longest_h=72)
    chen = Actor("chen", frozenset({"sampling.order", "sampling.approve"}))
    li = Actor("li", frozenset({"sampling.order", "sampling.approve"}))
    wish = Wish(district="610100", preset="city-wide", term_h=48, agency="市指挥部", document="1号", reason="全员采样")
    order = it.request(wish, chen, NOW)
    assert it.terms("610100", NOW) == usual
    with pytest.raises(EmergencyRefused, match="does not decide"):
        it.do(order.id, "approve", chen, NOW)
    it.do(order.id, "approve", li, NOW)
    terms = it.terms("610100001", NOW + HOUR)
    assert (terms.sizes, terms.fields, terms.offline_first, terms.order) == ((10, 20), (), True, order.id)
    assert it.terms("610200", NOW) == usual
    second = it.request(Wish(**{name: getattr(wish, name) for name in wish.__struct_fields__}), li, NOW + HOUR)
    it.do(second.id, "approve", chen, NOW + HOUR)
    assert {one.id: one.state for one in it.listing()} == {order.id: "lifted", second.id: "in-force"}
    assert it.expire(NOW + 48 * HOUR) == 0
    assert it.terms("610100", NOW + 50 * HOUR) == usual, "over when its term is, whether or not anybody looks"
    assert it.expire(NOW + 50 * HOUR) == 1
    with pytest.raises(EmergencyRefused, match="1 to 72"):
        it.request(Wish(district="610100", preset="district", term_h=73, agency="a", document="b", reason="c"), li, NOW)
    deeds = [one.deed for one in Trail(database).page(TrailQuery(deed="sampling"), descending=False)]
    assert deeds == [
        f"sampling.emergency_{name}" for name in ("request", "approve", "request", "lift", "approve", "expire")
    ]
