"""How long one waits after failures: what holds whatever the counts are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hutong.kernel.access.throttle import (
    CAP_MS,
    FREE,
    SHARE,
    Count,
    Standing,
    bucket_of,
    place_of,
    wait_ms,
    wait_of,
)

NOW = 1_650_000_000_000
times = st.integers(min_value=0, max_value=4 * NOW)
counts = st.builds(Count, failures=st.integers(0, 10**6), last_ms=times)
standings = st.builds(Standing, pair=counts, place=counts, others=counts, known=st.booleans())


@given(counts, times)
def test_a_wait_is_never_negative_and_never_above_the_cap(count: Count, now_ms: int) -> None:
    assert 0 <= wait_of(count, now_ms) <= CAP_MS


@given(counts, times, st.integers(0, 100))
def test_more_failures_never_make_a_wait_shorter(count: Count, now_ms: int, more: int) -> None:
    assert wait_of(Count(count.failures + more, count.last_ms), now_ms) >= wait_of(count, now_ms)


@given(counts, times, st.integers(0, 10**9))
def test_waiting_helps(count: Count, now_ms: int, later: int) -> None:
    assert wait_of(count, now_ms + later) <= wait_of(count, now_ms)
    assert wait_of(count, max(now_ms, count.last_ms) + CAP_MS) == 0


@given(st.integers(0, FREE - 1), times, times)
def test_the_first_failures_cost_nothing(failures: int, last_ms: int, now_ms: int) -> None:
    assert wait_of(Count(failures, last_ms), now_ms) == 0


def test_waits_double_from_a_second_to_a_quarter_of_an_hour() -> None:
    waits = [wait_of(Count(failures, NOW), NOW) for failures in range(FREE, FREE + 12)]
    assert waits == [1000 * min(900, 2**doublings) for doublings in range(12)]


@given(standings, times)
def test_who_was_here_before_waits_for_the_own_failures_alone(standing: Standing, now_ms: int) -> None:
    known = Standing(standing.pair, standing.place, standing.others, known=True)
    assert wait_ms(known, now_ms) == wait_of(standing.pair, now_ms) <= wait_ms(standing, now_ms)


@given(st.integers(0, 10**6), times, times)
def test_one_other_place_makes_nobody_wait(failures: int, last_ms: int, now_ms: int) -> None:
    assert wait_ms(Standing(others=Count(min(failures, SHARE), last_ms)), now_ms) == 0


@given(st.text())
def test_every_name_and_place_has_a_short_form(text: str) -> None:
    assert 0 <= bucket_of(text) < 1 << 16
    assert len(place_of(text)) <= 64


def test_places() -> None:
    assert place_of("192.0.2.1") == "192.0.2.1"
    assert place_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert place_of("2001:db8:1:2:3:4:5:6") == place_of("2001:db8:1:2::") == "2001:db8:1:2::/64"
    assert place_of("fe80::1%eth0") == "fe80::/64"
    assert place_of("local") == "local"
    assert bucket_of(" Wang ") == bucket_of("wang")
