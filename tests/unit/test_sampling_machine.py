"""What a station allows, what is made of events that do not fit, who is told what, and identity numbers."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hutong.codes.people.documents import read_document
from hutong.codes.people.pseudonyms import Pseudonyms
from hutong.kernel.errors import StateError
from hutong.kernel.identity_cards import check_character
from hutong.kernel.persons import Persons, station_key
from hutong.sampling import machine
from hutong.sampling.errors import SamplingRefused
from hutong.sampling.fold import fold
from hutong.sampling.identity import KeyedIdentities, document, give_key, masked_person
from hutong.sampling.model import Deed, Event, HandOver, Kept, Register, Seal, Settle, Terms
from hutong.sampling.table import MOVES
from sampling_samples import (
    CARD,
    CARD_2,
    DAY,
    HOUR,
    NOW,
    TUBE,
    event,
    filled,
    kept,
    person,
    received,
    result,
)

if TYPE_CHECKING:
    from pathlib import Path

LATE = NOW + 5 * HOUR


def registered(who: object, sequence: int, station: str = "s1", size: int = 5, at_ms: int = NOW) -> Event:
    return event(Register(tube=TUBE, size=size, person=person(who)), sequence, at_ms, station)


def found(*events: Event) -> set[tuple[str, str]]:
    return {(it.rule, it.tube) for it in fold(TUBE, kept(*events)).conflicts}


HERE = f"{TUBE}@s1"
CONFLICTS: list[tuple[str, list[Event], set[tuple[str, str]], dict[str, str]]] = [
    ("nothing", [*filled(), received(), result()], set(), {HERE: "negative"}),
    (
        "person twice",
        [registered(1, 1), registered(1, 2), received(), result()],
        {("person-twice", HERE), ("step-missing", HERE)},
        {HERE: "negative"},
    ),
    (
        "over its size",
        [
            *(registered(n, n, size=1) for n in (1, 2)),
            event(Seal(tube=TUBE, people=2), 3),
            received(),
            result(told="positive"),
        ],
        {("over-size", HERE)},
        {HERE: "retest"},
    ),
    (
        "two stations, negative",
        [*filled(), *filled(station="s2", people=1), result()],
        {("tube-at-two-stations", HERE), ("tube-at-two-stations", f"{TUBE}@s2")},
        {HERE: "held", f"{TUBE}@s2": "held"},
    ),
    (
        "two stations, positive",
        [*filled(), *filled(station="s2", people=1), result(told="positive")],
        {("tube-at-two-stations", HERE), ("tube-at-two-stations", f"{TUBE}@s2")},
        {HERE: "retest", f"{TUBE}@s2": "retest"},
    ),
    (
        "used again after its result",
        [
            *filled(),
            received(),
            result(),
            *filled(station="s2", at_ms=LATE),
            result(told="positive", tested_ms=LATE + HOUR),
        ],
        {("tube-reused", f"{TUBE}@s2")},
        {HERE: "negative", f"{TUBE}@s2": "retest"},
    ),
    (
        "contradiction",
        [*filled(), received(), result(), result(told="positive", tested_ms=LATE)],
        {("contradicting-results", HERE)},
        {HERE: "retest"},
    ),
    (
        "tested before the sampling",
        [*filled(), result(tested_ms=NOW - DAY)],
        {("result-before-sampling", "")},
        {HERE: ""},
    ),
    ("unknown tube", [received(), result()], {("unknown-tube", "")}, {}),
    (
        "sampled after the test",
        [*filled(size=5, people=1), registered("late", 1, at_ms=LATE), received(), result()],
        {("sample-after-result", HERE), ("count-differs", HERE)},
        {HERE: "negative again"},
    ),
    (
        "not sealed",
        [registered(1, 1), event(HandOver(tube=TUBE, batch="B", expected=1, courier=""), 2)],
        {("step-missing", HERE)},
        {HERE: ""},
    ),
]


@pytest.mark.parametrize(("events", "conflicts", "told"), [it[1:] for it in CONFLICTS], ids=[it[0] for it in CONFLICTS])
def test_what_does_not_fit_is_said_and_nobody_is_told_too_much(
    events: list[Event], conflicts: set[tuple[str, str]], told: dict[str, str]
) -> None:
    assert found(*events) == conflicts
    story = fold(TUBE, kept(*events))
    said: dict[str, set[str]] = {it.id: set() for it in story.tubes}
    for (tube, _), it in story.told().items():
        said[tube].add(it)
    assert said == {tube: set(words.split()) or {""} for tube, words in told.items()}


@given(st.integers(0, 2**32), st.sampled_from([it[1] for it in CONFLICTS]))
def test_the_order_in_which_events_come_does_not_count(seed: int, events: list[Event]) -> None:
    mixed = list(events)
    random.Random(seed).shuffle(mixed)
    assert fold(TUBE, kept(*mixed)) == fold(TUBE, kept(*events))


def test_a_person_settles_one_of_two_contested_tubes() -> None:
    events = [*filled(), *filled(station="s2", people=1), result()]
    settled = event(Settle(tube=TUBE, of=events[0].id, result="negative", reason="查明"), 0, LATE, "node1")
    story = fold(TUBE, kept(*events, settled))
    assert {(tube, told) for (tube, _), told in story.told().items()} == {(HERE, "negative"), (f"{TUBE}@s2", "held")}


def test_a_registration_that_is_merged_after_the_result_is_the_tube_s_all_the_same() -> None:
    early = [Kept(it, 0, NOW) for it in [*filled()[1:], received(), result()]]
    story = fold(TUBE, [*early, Kept(filled()[0], 0, LATE)])
    assert [it.rule for it in story.conflicts] == ["late-after-result"]
    assert set(story.told().values()) == {"negative"}


Refusal = tuple[list[Event], Deed, str]
REFUSALS: list[Refusal] = [
    (filled(), Register(tube=TUBE, size=5, person=person(9)), "not-from-here"),
    ([registered(1, 1)], Register(tube=TUBE, size=5, person=person(1)), "person-twice"),
    ([registered(1, 1)], Register(tube=TUBE, size=10, person=person(2)), "size-differs"),
    ([registered(1, 1, size=1)], Register(tube=TUBE, size=1, person=person(2)), "full"),
    ([], Register(tube=TUBE, size=20, person=person(2)), "size"),
    ([], Register(tube=TUBE, size=7, person=person(2)), "size"),
    ([], Register(tube="XA 1", size=5, person=person(2)), "field"),
    ([], Register(tube=TUBE, size=5, person=CARD), "field"),
    ([], Register(tube=TUBE, size=5, person=person(2), fields={"name": "王"}), "field"),
    ([registered(1, 1, "s2")], Register(tube=TUBE, size=5, person=person(2)), "at-another-station"),
    ([], Seal(tube=TUBE, people=0), "no-tube"),
    ([registered(1, 1)], Seal(tube=TUBE, people=2), "field"),
    ([registered(1, 1)], HandOver(tube=TUBE, batch="B", expected=1, courier=""), "not-from-here"),
    ([registered(1, 1)], Settle(tube=TUBE, of=registered(1, 1).id, result="negative", reason="x"), "not-from-here"),
    ([registered(1, 1)], Settle(tube=TUBE, of=registered(2, 2).id, result="negative", reason="x"), "no-tube"),
    ([registered(1, 1)], Settle(tube=TUBE, of=HERE, result="negative", reason="x"), "field"),
]


@pytest.mark.parametrize(("before", "deed", "reason"), REFUSALS, ids=[it[2] for it in REFUSALS])
def test_a_station_refuses(before: list[Event], deed: Deed, reason: str) -> None:
    with pytest.raises(SamplingRefused) as refused:
        machine.judge(fold(TUBE, kept(*before)), event(deed, 99, LATE), Terms(sizes=(1, 5, 10)), LATE)
    assert refused.value.reason == reason


def test_a_district_that_asks_for_more_gets_it() -> None:
    deed = Register(tube=TUBE, size=5, person=person(1))
    with pytest.raises(SamplingRefused, match="contact"):
        machine.register(None, deed, Terms(fields=("contact",)))
    machine.register(
        None, Register(tube=TUBE, size=5, person=person(1), fields={"contact": "x"}), Terms(fields=("contact",))
    )


def test_the_way_of_a_tube_is_that_of_the_table() -> None:
    events = [*filled(), received(), result()]
    states = [fold(TUBE, kept(*events[:n])).tubes[0].state for n in range(1, len(events) + 1)]
    assert states == [MOVES[it.action].to for it in events]
    assert fold(TUBE, kept(*events)).tubes[0].received_ms == NOW + HOUR


def test_identity_numbers_are_checked_and_pseudonyms_are_the_same_wherever_the_key_is(tmp_path: Path) -> None:
    assert document("id-card", f" {CARD.lower()} ").number == CARD
    assert check_character(CARD) == "X"
    for wrong in (CARD_2[:-1] + "5", CARD[:-1], "11010519491331002" + check_character("11010519491331002"), "名字"):
        with pytest.raises(SamplingRefused) as refused:
            document("id-card", wrong)
        assert wrong not in str(refused.value)
    persons, station = Pseudonyms(tmp_path / "node").persons, tmp_path / "station"
    give_key(persons, station)
    assert (station / "persons.key").stat().st_mode & 0o777 == 0o600
    node, away = KeyedIdentities(persons), KeyedIdentities(Persons(lambda: station_key(station)))
    who = away.person("id-card", f" {CARD[:6]}-{CARD[6:].lower()} ")
    assert who == node.person("id-card", CARD) != node.person("id-card", CARD_2)
    assert who == persons.of(read_document("id", CARD)), "codes call them so too"
    assert away.person("passport", "e1234-5678") == persons.of(read_document("passport", "E12345678"))
    assert away.person("permit", "E12345678") != away.person("passport", "E12345678")
    with pytest.raises(SamplingRefused, match="cannot be verified"):
        away.person("code", "HT1:ABC")
    with pytest.raises(StateError, match="Prepare"):
        station_key(tmp_path / "elsewhere")
    assert CARD[:6] not in who
    assert len(masked_person(who)) < len(who) // 2
