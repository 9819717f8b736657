"""What is counted, and how it reads."""

from __future__ import annotations

import numpy as np
import pytest

from hutong.kernel.windows import (
    WINDOW_FEATURES,
    WindowArrays,
    find,
    format_buffer,
    note_answered,
    note_attempt,
    note_ended,
    note_inbound,
    read_features,
    size_for,
    touch,
)
from hutong.kernel.windows.distinct import AREAS, CALLEES

DAY = 86_400
NOW = 20_000 * DAY  # all buckets begin here
SPANS = {"1m": 60, "10m": 600, "1h": 3600, "24h": DAY}


@pytest.fixture
def w() -> WindowArrays:
    return format_buffer(bytearray(size_for(2000)), 2000, (0x9C4F_1D2B_77A1_E305, 0xD1B5_4A32_D192_ED03))


def read(w: WindowArrays, slot: int, now: int) -> dict[str, float]:
    out = np.full(len(WINDOW_FEATURES) + 2, np.nan)
    read_features(w, slot, now, out, 1)
    assert np.isnan(out[[0, -1]]).all()
    return dict(zip(WINDOW_FEATURES, out[1:-1].tolist(), strict=True))


def attempt(w: WindowArrays, callee: int, now: int, *, area: int = 0, night: int = 0, caller: int = 7) -> int:
    slot = touch(w, caller, now)
    note_attempt(w, slot, callee, area, now, night)
    return int(slot)


def test_names_are_in_the_agreed_order() -> None:
    assert len(WINDOW_FEATURES) == 49
    assert WINDOW_FEATURES[:3] == ("attempts_1m", "inbound_1m", "distinct_callees_1m")
    assert WINDOW_FEATURES[11] == "attempts_10m"
    assert WINDOW_FEATURES[-5:] == ("run_sequential", "run_same", "active_calls", "age", "idle")


def test_a_number_never_seen_reads_zeros(w: WindowArrays) -> None:
    assert set(read(w, -1, NOW).values()) == {0.0}


def test_notes_about_a_number_no_longer_tracked_have_no_effect(w: WindowArrays) -> None:
    before = w.rows.base.tobytes()  # type: ignore[attr-defined]
    note_attempt(w, -1, 5, 1, NOW, 1)
    note_inbound(w, -1, NOW)
    note_answered(w, -1, NOW)
    note_ended(w, -1, NOW, 1, 5, 5)
    assert w.rows.base.tobytes() == before  # type: ignore[attr-defined]


def test_counts_shares_and_means_are_exact_within_the_current_bucket(w: WindowArrays) -> None:
    for i in range(10):
        slot = attempt(w, 1000 + 10 * (i % 3), NOW + i, area=1 + i % 2, night=int(i < 4))
    for i in range(5):
        note_inbound(w, slot, NOW + 10 + i)
    for ring, talk in ((4000, 15_000), (6000, 15_001), (5000, 60_000), (9000, 500)):
        note_answered(w, slot, NOW + 20)
        note_ended(w, slot, NOW + 30, 1, ring, talk)
    note_ended(w, slot, NOW + 30, 0, 26_000, 99_999)
    values = read(w, slot, NOW + 40)
    for span in SPANS:
        got = {name: values[f"{name}_{span}"] for name in ("attempts", "inbound", "ended")}
        assert got == {"attempts": 10, "inbound": 5, "ended": 5}
        assert values[f"distinct_callees_{span}"] == 3
        assert values[f"areas_{span}"] == 2
        assert values[f"answer_share_{span}"] == 0.8
        assert values[f"short_share_{span}"] == 0.5
        assert values[f"mean_ring_{span}"] == pytest.approx(10.0)
        assert values[f"mean_talk_{span}"] == pytest.approx((15.0 + 15.0 + 60.0 + 0.5) / 4)
        assert values[f"night_share_{span}"] == 0.4
        assert values[f"out_share_{span}"] == pytest.approx(10 / 15)
    assert (values["age"], values["active_calls"]) == (40, 0)


@pytest.mark.parametrize(("name", "span"), SPANS.items())
def test_the_previous_bucket_fades_in_proportion(w: WindowArrays, name: str, span: int) -> None:
    for _ in range(8):
        slot = attempt(w, 5, NOW + span - 2, night=1)  # the end of one bucket …
    touch(w, 7, NOW + span)  # … and the beginning of the next
    assert read(w, slot, NOW + span)[f"attempts_{name}"] == 8
    assert read(w, slot, NOW + span + span // 4)[f"attempts_{name}"] == pytest.approx(6)
    late = read(w, slot, NOW + 2 * span - 3)
    assert 0 < late[f"attempts_{name}"] < 1.2
    assert late[f"night_share_{name}"] == pytest.approx(1)
    assert read(w, slot, NOW + 2 * span)[f"attempts_{name}"] == 0


def test_reading_later_equals_touching_later(w: WindowArrays) -> None:
    for i in range(30):
        slot = attempt(w, 100 + i, NOW + 13 * i, area=i)
    for later in (0, 5, 59, 61, 300, 601, 3000, 3601, 40_000, DAY - 1, DAY, DAY + 7, 5 * DAY):
        moment = NOW + 13 * 29 + later
        untouched = read(w, slot, moment)
        copy = bytearray(w.rows.base[: slot + 1].tobytes())  # type: ignore[attr-defined]
        note_answered(w, slot, moment)
        note_ended(w, slot, moment, 1, 0, 0)
        touched = read(w, slot, moment)
        row = w.rows.base  # type: ignore[attr-defined]
        row[: slot + 1] = np.frombuffer(copy, row.dtype)
        counted = ("attempts", "inbound", "distinct", "areas", "night", "out", "run", "age", "idle")
        for name, value in untouched.items():
            if name.startswith(counted):
                assert touched[name] == value, (name, later)


def test_the_first_second_of_the_clock_and_a_clock_that_steps_back(w: WindowArrays) -> None:
    slot = attempt(w, 5, NOW + 100)
    attempt(w, 6, NOW + 40)
    values = read(w, slot, NOW)
    assert values["attempts_1m"] == 2
    assert values["age"] == values["idle"] == 0


def test_idle_is_the_time_since_the_call_before(w: WindowArrays) -> None:
    slot = attempt(w, 5, NOW)
    assert read(w, slot, NOW)["idle"] == 0
    attempt(w, 5, NOW + 9 * DAY)
    values = read(w, slot, NOW + 9 * DAY)
    assert (values["idle"], values["age"]) == (9 * DAY, 9 * DAY)


def test_after_a_day_of_silence_only_the_acquaintance_is_left(w: WindowArrays) -> None:
    for i in range(20):
        slot = attempt(w, 5 + i, NOW + i, area=i)
    note_answered(w, slot, NOW + 20)
    attempt(w, 900, NOW + DAY + 30)
    values = read(w, slot, NOW + DAY + 30)
    for span in SPANS:
        assert values[f"attempts_{span}"] == values[f"distinct_callees_{span}"] == 1
        assert values[f"areas_{span}"] == 0
    assert values["active_calls"] == 0
    assert values["run_sequential"] == values["run_same"] == 1
    assert values["age"] == DAY + 30


def test_bins_do_not_come_back_when_their_stamps_wrap(w: WindowArrays) -> None:
    for i in range(60):
        slot = attempt(w, 100 + i, NOW)
    for hours in range(1, 100):
        attempt(w, 5, NOW + hours * 5000)
        values = read(w, slot, NOW + hours * 5000)
        assert values["distinct_callees_1h"] == 1
        assert (values["distinct_callees_24h"] > 30) == (hours * 5000 < DAY)


def test_runs_of_callees_in_sequence(w: WindowArrays) -> None:
    callees = [100, 101, 102, 102, 103, 102, 101, 55, 56, 54]
    slot = 0
    sequential, same = [], []
    for i, callee in enumerate(callees):
        slot = attempt(w, callee, NOW + i)
        values = read(w, slot, NOW + i)
        sequential.append(values["run_sequential"])
        same.append(values["run_same"])
    assert sequential == [1, 2, 3, 3, 4, 2, 3, 1, 2, 1]
    assert same == [1, 1, 1, 2, 1, 1, 1, 1, 1, 1]


def test_a_run_ends_with_ten_minutes_of_silence(w: WindowArrays) -> None:
    attempt(w, 100, NOW)
    slot = attempt(w, 101, NOW + 5)
    assert read(w, slot, NOW + 605)["run_sequential"] == 2
    assert read(w, slot, NOW + 606)["run_sequential"] == 0
    attempt(w, 102, NOW + 606)
    assert read(w, slot, NOW + 606)["run_sequential"] == 1


def test_active_calls_never_go_below_nothing(w: WindowArrays) -> None:
    slot = touch(w, 7, NOW)
    note_ended(w, slot, NOW, 1, 0, 0)
    assert read(w, slot, NOW)["active_calls"] == 0
    note_answered(w, slot, NOW)
    note_answered(w, slot, NOW)
    note_ended(w, slot, NOW, 0, 0, 0)  # this one had never been answered
    assert read(w, slot, NOW)["active_calls"] == 2
    note_ended(w, slot, NOW, 1, 0, 0)
    assert read(w, slot, NOW)["active_calls"] == 1


def test_a_full_bucket_keeps_its_shares_and_means(w: WindowArrays) -> None:
    slot = touch(w, 7, NOW)
    for i in range(100_000):
        note_ended(w, slot, NOW, int(i % 4 == 0), 8_000, 10_000 if i % 8 == 0 else 70_000)
    values = read(w, slot, NOW)
    assert 30_000 < values["ended_1m"] < 65_536
    assert values["answer_share_1m"] == pytest.approx(0.25, abs=0.001)
    assert values["short_share_1m"] == pytest.approx(0.5, abs=0.001)
    assert values["mean_ring_1m"] == pytest.approx(8.0, rel=0.001)
    assert values["mean_talk_1m"] == pytest.approx(40.0, rel=0.001)


def test_sums_too_large_for_a_bucket_are_halved_and_absurd_times_are_cut(w: WindowArrays) -> None:
    slot = touch(w, 7, NOW)
    for _ in range(6000):
        note_ended(w, slot, NOW, 1, -5, 10**15)
    values = read(w, slot, NOW)
    assert values["mean_talk_1m"] == pytest.approx(DAY, rel=0.001)
    assert values["mean_ring_1m"] == 0


def test_full_counters_stay_full(w: WindowArrays) -> None:
    slot = attempt(w, 5, NOW)
    row = w.rows.base[slot]  # type: ignore[attr-defined]
    row.attempts[:4] = row.inbound[:4] = 0xFFFFFFFF
    row.sequential = row.same = 0xFFFF
    row.active = 0xFFFFFFFF
    attempt(w, 6, NOW)
    attempt(w, 6, NOW)
    note_inbound(w, slot, NOW)
    note_answered(w, slot, NOW)
    values = read(w, slot, NOW)
    assert values["attempts_24h"] == values["inbound_24h"] == values["active_calls"] == 0xFFFFFFFF
    assert values["run_sequential"] == 0xFFFF


def test_nobody_called_is_an_attempt_but_no_callee(w: WindowArrays) -> None:
    slot = attempt(w, 0, NOW)
    values = read(w, slot, NOW)
    assert (values["attempts_1m"], values["distinct_callees_1m"], values["areas_1m"]) == (1, 0, 0)


def test_repeated_calls_to_one_callee_are_one_callee(w: WindowArrays) -> None:
    for i in range(500):
        slot = attempt(w, 5, NOW + i % 60, area=3)
    values = read(w, slot, NOW + 59)
    assert values["distinct_callees_1m"] == values["areas_1m"] == 1
    assert values["run_same"] == 500


@pytest.mark.parametrize(
    ("n", "bias", "spread"), [(5, 0.06, 0.2), (20, 0.06, 0.2), (50, 0.08, 0.25), (200, 0.15, 0.45)]
)
def test_distinct_callees_are_estimated_within_the_documented_error(
    w: WindowArrays, n: int, bias: float, spread: float
) -> None:
    rng = np.random.default_rng(n)
    ratios = []
    for caller in range(1, 301):
        for callee in rng.integers(1, 1 << 60, n).tolist():
            attempt(w, callee, NOW, caller=caller)
            attempt(w, callee, NOW, caller=caller)  # so that the number of attempts gives nothing away
        ratios.append(read(w, find(w, caller), NOW)["distinct_callees_1h"] / n)
    assert abs(np.mean(ratios) - 1) < bias
    assert np.std(ratios) < spread


def test_many_more_callees_than_bins_read_as_at_least_400(w: WindowArrays) -> None:
    for callee in range(1, 5001):
        slot = attempt(w, callee * 977, NOW)
    assert 400 <= read(w, slot, NOW)["distinct_callees_1h"] <= 5000


def test_estimates_grow_with_every_bin_and_are_never_below_it() -> None:
    assert (np.diff(CALLEES, axis=0) >= 0).all()
    assert (np.diff(CALLEES, axis=1) >= 0).all()
    assert (np.diff(AREAS) >= 1).all()
    assert CALLEES[0, 0] == AREAS[0] == 0
    hits = np.add.outer(np.arange(CALLEES.shape[0]), np.arange(CALLEES.shape[1]))
    assert (hits <= CALLEES).all()
