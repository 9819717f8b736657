"""Token buckets: what is there may be taken, what is taken comes back with time, and nobody takes another's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hutong.kernel.web.api.limits import Buckets

SECOND = 1_000_000_000


def test_a_full_bucket_holds_a_second_and_fills_at_its_rate() -> None:
    buckets = Buckets(10)
    assert buckets.take("a", 10, 0) == 0
    assert buckets.take("a", 1, 0) == 0.1
    assert buckets.take("a", 1, SECOND // 10) == 0
    assert buckets.take("a", 5, SECOND // 2 + SECOND // 10) == 0
    assert buckets.take("a", 1, SECOND // 2 + SECOND // 10) > 0
    assert buckets.take("b", 10, 0) == 0, "another has its own"


def test_a_request_as_large_as_allowed_fits_a_slow_bucket() -> None:
    buckets = Buckets(10, burst=100)
    assert buckets.take("a", 100, 0) == 0
    assert buckets.take("a", 100, SECOND) == 9.0
    assert buckets.take("a", 100, 10 * SECOND) == 0


def test_a_clock_that_is_set_back_gives_and_takes_nothing() -> None:
    buckets = Buckets(10)
    assert buckets.take("a", 10, 100 * SECOND) == 0
    assert buckets.take("a", 1, 0) > 0
    assert buckets.take("a", 1, SECOND) == 0


def test_askers_are_forgotten_the_least_recent_first() -> None:
    buckets = Buckets(1)
    buckets.take("kept", 1, 0)
    for n in range(10_000):
        buckets.take(f"asker {n}", 1, 0)
        assert buckets.take("kept", 1, 0) > 0


@given(
    rate=st.integers(1, 1000),
    asked=st.lists(st.tuples(st.integers(1, 50), st.integers(0, 2 * SECOND)), min_size=1, max_size=60),
)
def test_never_more_is_given_than_the_rate_and_one_bucket(rate: int, asked: list[tuple[int, int]]) -> None:
    buckets, now, given_out = Buckets(rate), 0, 0
    for amount, pause in asked:
        now += pause
        wait = buckets.take("a", amount, now)
        assert wait >= 0
        if wait == 0:
            given_out += amount
        elif amount <= rate:
            again = Buckets(rate)
            again._kept.update(buckets._kept)  # noqa: SLF001  # a look ahead, without changing what is tried
            assert again.take("a", amount, now + int(wait * SECOND) + 1000) == 0
    assert given_out <= rate + rate * now / SECOND + 1e-6
