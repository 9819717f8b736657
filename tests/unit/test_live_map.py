"""The cities of callees: what each gained, and where it lies on the map."""

from __future__ import annotations

import math
import random  # noqa: TC003  # hypothesis reads the annotation

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hutong.calls.console import live_map
from hutong.calls.live.areas import AreaHistory, AreaRow
from hutong.kernel.numbering import AREAS, label

# Known from any atlas, to a third of a degree.
PLACES = {
    "010": (39.9, 116.4),
    "020": (23.1, 113.3),
    "021": (31.2, 121.5),
    "023": (29.6, 106.5),
    "024": (41.8, 123.4),
    "028": (30.7, 104.1),
    "029": (34.3, 108.9),
    "0431": (43.9, 125.3),
    "0451": (45.8, 126.6),
    "0457": (50.4, 124.1),
    "0470": (49.2, 119.7),
    "0532": (36.1, 120.4),
    "0577": (28.0, 120.7),
    "0592": (24.5, 118.1),
    "0728": (30.4, 113.4),
    "0755": (22.5, 114.1),
    "0871": (25.0, 102.7),
    "0886": (25.9, 98.9),
    "0891": (29.65, 91.1),
    "0897": (32.5, 80.1),
    "0898": (20.0, 110.3),
    "0931": (36.1, 103.8),
    "0971": (36.6, 101.8),
    "0976": (33.0, 97.0),
    "0979": (36.4, 94.9),
    "0991": (43.8, 87.6),
    "0998": (39.5, 76.0),
}
# South, north, west, east of each province and a little more; by the first digits of its area codes where these tell.
PROVINCES = {
    "031": (36, 42.7, 113.4, 119.9),
    "035": (34.5, 40.8, 110.2, 114.6),
    "037": (31.3, 36.5, 110.3, 116.7),
    "041": (38.7, 43.5, 118.8, 125.8),
    "043": (40.8, 46.4, 121.6, 131.4),
    "045": (43.4, 53.6, 121.1, 135.2),
    "051": (30.7, 35.2, 116.3, 122.0),
    "055": (29.4, 34.7, 114.8, 119.7),
    "057": (27.0, 31.3, 118.0, 122.9),
    "059": (23.5, 28.4, 115.8, 120.8),
    "071": (29.0, 33.4, 108.3, 116.2),
    "073": (24.6, 30.2, 108.7, 114.3),
    "075": (20.2, 25.6, 109.6, 117.3),
    "077": (20.9, 26.4, 104.4, 112.1),
    "079": (24.4, 30.1, 113.5, 118.5),
    "081": (26.0, 34.4, 97.3, 108.6),
    "083": (26.0, 34.4, 97.3, 108.6),
    "085": (24.6, 29.3, 103.5, 109.7),
    "087": (21.1, 29.3, 97.5, 106.3),
    "089": (18.1, 36.6, 78.3, 111.1),
    "091": (31.7, 39.6, 105.4, 111.3),
    "093": (32.5, 42.9, 92.3, 108.8),
    "095": (35.2, 39.4, 104.2, 107.7),
    "097": (31.5, 39.3, 89.4, 103.1),
    "099": (34.3, 49.3, 73.4, 96.4),
}


def test_every_area_of_the_plan_has_its_place() -> None:
    assert set(live_map.cities()) == set(AREAS[1:])


def test_known_cities_lie_where_the_atlas_has_them() -> None:
    for area, (latitude, longitude) in PLACES.items():
        city = live_map.cities()[area]
        assert math.hypot(city.latitude - latitude, city.longitude - longitude) < 0.35, city


def test_every_city_lies_in_its_province() -> None:
    for city in live_map.cities().values():
        south, north, west, east = PROVINCES.get(city.area[:3], (18.1, 53.6, 73.4, 135.2))
        assert south < city.latitude < north, city
        assert west < city.longitude < east, city


def test_no_two_codes_share_a_place_but_the_one_prefecture_with_two() -> None:
    places: dict[tuple[float, float], list[str]] = {}
    for city in live_map.cities().values():
        places.setdefault((city.latitude, city.longitude), []).append(city.area)
    assert [areas for areas in places.values() if len(areas) > 1] == [["0977", "0978"]]


def test_the_cities_bear_the_names_of_the_plan() -> None:
    for city in live_map.cities().values():
        if city.area == "0898":
            continue  # the whole of Hainan; on the map it is its capital
        for language, name in city.names.items():
            assert name in label("area", city.area, language)


def test_the_map_is_the_right_way_up_and_within_its_frame() -> None:
    at = live_map.cities()
    assert at["0451"].y < at["010"].y < at["021"].y < at["0755"].y < at["0898"].y
    assert at["0998"].x < at["0891"].x < at["028"].x < at["021"].x < at["0454"].x
    for city in at.values():
        assert 0 < city.x < live_map.WIDTH
        assert 0 < city.y < live_map.height()
    assert live_map.every_dot().count("M") == len(at)


def _rows(**calls: tuple[int, int]) -> list[AreaRow]:
    return [AreaRow(area[1:], n, blocked, blocked / n) for area, (n, blocked) in calls.items()]


def test_discs_are_as_large_as_their_calls_and_the_largest_lies_beneath() -> None:
    beijing, shenzhen, lhasa = live_map.discs(_rows(a0891=(1, 0), a010=(1600, 400), a0755=(400, 400)), "zh")
    assert (beijing.city.area, shenzhen.city.area, lhasa.city.area) == ("010", "0755", "0891")
    assert beijing.radius == live_map.LARGEST_DISC
    assert shenzhen.radius == pytest.approx(beijing.radius / 2)
    assert lhasa.radius == live_map.SMALLEST_DISC
    assert beijing.blocked_radius == pytest.approx(beijing.radius / 2)
    assert shenzhen.blocked_radius == shenzhen.radius
    assert lhasa.blocked_radius == 0


@pytest.mark.parametrize("language", ["zh", "en"])
@given(dice=st.randoms(use_true_random=False))
def test_names_cover_neither_one_another_nor_a_large_disc(language: str, dice: random.Random) -> None:
    areas = dice.sample(AREAS[1:], 60)
    rows = [AreaRow(area, dice.randrange(1, 1000), 0, 0.0) for area in areas]
    discs = live_map.discs(rows, language)
    named = [disc for disc in discs if disc.label]
    assert 1 <= len(named) <= live_map.LABELS
    for disc in named:
        wide = sum(14 if ord(letter) < 128 else 28 for letter in disc.city.names[language])
        left = disc.label_x if disc.label == "start" else disc.label_x - wide
        assert left >= 0
        assert left + wide <= live_map.WIDTH
        for other in discs:
            if other is disc or other.radius <= 14:
                continue
            slack = 0.05  # half of the tenth that places are rounded to
            beside = other.city.x + other.radius <= left + slack or left + wide <= other.city.x - other.radius + slack
            assert beside or abs(other.city.y - disc.city.y) >= other.radius + 12.9


def test_an_area_without_a_place_is_left_out() -> None:
    assert live_map.discs([AreaRow("0000", 5, 0, 0.0)], "en") == []


def test_what_was_counted_before_the_first_look_is_not_recent() -> None:
    history = AreaHistory(300)
    history.add(1000, {"010": (50, 5)}, first=True, restarted=False)
    assert history.rows() == []
    history.add(1001, {"010": (53, 6), "021": (2, 0)}, first=False, restarted=False)
    assert history.rows() == [AreaRow("010", 3, 1, 1 / 3), AreaRow("021", 2, 0, 0.0)]


def test_a_restart_counts_from_nought() -> None:
    history = AreaHistory(300)
    history.add(1000, {"010": (50, 5)}, first=True, restarted=False)
    history.add(1001, {"010": (4, 1)}, first=False, restarted=True)
    assert history.rows() == [AreaRow("010", 4, 1, 0.25)]


def test_what_is_older_than_the_span_is_forgotten() -> None:
    history = AreaHistory(300)
    history.add(1000, {}, first=True, restarted=False)
    history.add(1005, {"010": (7, 7)}, first=False, restarted=False)
    history.add(1200, {"010": (8, 7)}, first=False, restarted=False)
    history.forget(1300)
    assert [row.recent for row in history.rows()] == [8]
    history.forget(1311)
    assert history.rows() == [AreaRow("010", 1, 0, 0.0)]
    history.forget(1600)
    assert history.rows() == []


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 50), st.integers(0, 9), st.booleans()), max_size=40))
def test_whatever_the_counters_do_no_area_has_less_than_nothing(steps: list[tuple[int, int, int, bool]]) -> None:
    history, at, calls, blocked = AreaHistory(300), 0, 0, 0
    for number, (gap, gained, stopped, restarted) in enumerate(steps):
        at += gap
        calls, blocked = (gained, 0) if restarted else (calls + gained, blocked + min(stopped, gained))
        history.add(at, {"010": (calls, blocked)}, first=not number, restarted=restarted)
        history.forget(at)
        assert all(0 <= row.blocked <= row.recent for row in history.rows())
