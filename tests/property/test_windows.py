"""The table against a model in plain Python that forgets nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hutong.kernel.windows import (
    WINDOW_FEATURES,
    begin,
    commit,
    find,
    format_buffer,
    note_answered,
    note_attempt,
    note_ended,
    note_inbound,
    read_features,
    recover,
    size_for,
    touch,
)

START = 20_000 * 86_400
SPANS = {"1m": 60, "10m": 600, "1h": 3600, "24h": 86_400}
CALLERS = 3

steps = st.tuples(
    st.sampled_from(["attempt", "inbound", "answered", "ended", "refused", "cut", "back"]),
    st.integers(1, CALLERS),
    st.one_of(st.just(0), st.integers(0, 90), st.integers(0, 5000), st.integers(0, 100_000)),
    st.integers(0, 12),
)


@dataclass
class Number:
    """Everything that ever happened to a number, with its time."""

    first: int
    before: int
    seen: int
    attempts: list[tuple[int, int, int, int]] = field(default_factory=list)  # time, callee, area, night
    inbound: list[tuple[int, ...]] = field(default_factory=list)
    ended: list[tuple[int, ...]] = field(default_factory=list)
    active: int = 0


class Model:
    """Keeps all events; knows what an estimate may say at most and at least."""

    def __init__(self) -> None:
        self.numbers: dict[int, Number] = {}

    def touch(self, key: int, now: int) -> Number:
        number = self.numbers.setdefault(key, Number(now, now, now))
        if now - number.seen >= 86_400:
            number.active = 0
        number.before = number.seen
        number.seen = now
        return number


def bounds(events: list[tuple[int, ...]], now: int, span: int) -> tuple[int, int]:
    current = now // span * span
    low = sum(time >= current for time, *_ in events)
    return low, low + sum(current - span <= time < current for time, *_ in events)


def check(number: Number, got: dict[str, float], now: int) -> None:
    assert got["age"] == now - number.first
    assert got["idle"] == now - number.before
    assert got["active_calls"] == number.active >= 0
    for name, span in SPANS.items():
        for kind, events in (("attempts", number.attempts), ("inbound", number.inbound), ("ended", number.ended)):
            low, high = bounds(events, now, span)  # type: ignore[arg-type]
            assert low - 1e-9 <= got[f"{kind}_{name}"] <= high + 1e-9
            true = sum(time > now - span for time, *_ in events)
            share = (now % span) / span
            assert abs(got[f"{kind}_{name}"] - true) <= (high - low) * max(share, 1 - share) + 1e-9
        recent = [a for a in number.attempts if a[0] > now - span - 2]
        sure = {callee for time, callee, *_ in recent if time > now - span + 2}
        callees = {callee for _, callee, *_ in recent}
        distinct = got[f"distinct_callees_{name}"]
        assert bool(sure) <= distinct <= max(np.ceil(got[f"attempts_{name}"]), len(callees))
        areas = {area for _, _, area, _ in recent if area}
        assert got[f"areas_{name}"] <= max(distinct, len(areas))
        if bounds(number.attempts, now, span)[0] == bounds(number.attempts, now, span)[1] > 0:  # type: ignore[arg-type]
            inside = [a for a in number.attempts if a[0] >= now // span * span]
            assert np.isclose(got[f"night_share_{name}"], np.mean([a[3] for a in inside]))
        low, high = bounds(number.ended, now, span)  # type: ignore[arg-type]
        if low == high > 0:
            done = [e for e in number.ended if e[0] >= now // span * span]
            taken = [e for e in done if e[1]]
            assert np.isclose(got[f"answer_share_{name}"], len(taken) / len(done))
            assert np.isclose(got[f"mean_ring_{name}"], np.mean([e[2] for e in done]) / 1000)
            talk = np.mean([e[3] for e in taken]) / 1000 if taken else 0
            assert np.isclose(got[f"mean_talk_{name}"], talk)
            short = np.mean([e[3] <= 15_000 for e in taken]) if taken else 0
            assert np.isclose(got[f"short_share_{name}"], short)
        for share_name in ("answer_share", "short_share", "night_share", "out_share"):
            assert 0 <= got[f"{share_name}_{name}"] <= 1 + 1e-12


@settings(max_examples=120, deadline=None)
@given(st.lists(steps, max_size=60), st.integers(0, 2**64 - 1), st.integers(0, 86_400))
def test_estimates_stay_within_their_bounds(script: list[tuple[str, int, int, int]], salt: int, offset: int) -> None:
    w = format_buffer(bytearray(size_for(CALLERS)), CALLERS, (salt, salt ^ 0xABCDEF))
    model = Model()
    out = np.zeros(len(WINDOW_FEATURES))
    now = START + offset
    for kind, key, wait, what in script:
        if kind == "cut":  # a batch that a kill interrupts leaves no trace
            begin(w, 1)
            note_attempt(w, touch(w, 99, now + wait), 1, 1, now + wait, 1)
            note_attempt(w, touch(w, key, now + wait), 1, 1, now + wait, 1)
            recover(w)
            continue
        now += wait
        number = model.touch(key, now)
        begin(w, 1)
        slot = touch(w, key, now)
        if kind == "attempt":
            note_attempt(w, slot, 1000 + what, what % 4, now, what % 2)
            number.attempts.append((now, 1000 + what, what % 4, what % 2))
        elif kind == "back":  # an event that arrives late counts as if it came now
            note_attempt(w, slot, 1000 + what, 0, now - what, 0)
            number.attempts.append((now, 1000 + what, 0, 0))
        elif kind == "inbound":
            note_inbound(w, slot, now)
            number.inbound.append((now,))
        elif kind == "answered":
            note_answered(w, slot, now)
            number.active += 1
        else:
            taken = int(kind == "ended")
            note_ended(w, slot, now, taken, 700 * what, 2500 * what)
            number.active = max(number.active - taken, 0)
            number.ended.append((now, taken, 700 * what, 2500 * what))
        commit(w, 1)
        for other, seen in model.numbers.items():
            read_features(w, find(w, other), now, out, 0)
            got = dict(zip(WINDOW_FEATURES, out.tolist(), strict=True))
            if other == key:
                check(seen, got, now)
            assert got["active_calls"] >= 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 40), max_size=200), st.integers(1, 20), st.integers(0, 2**64 - 1))
def test_whatever_is_touched_the_newest_numbers_are_found(keys: list[int], capacity: int, salt: int) -> None:
    w = format_buffer(bytearray(size_for(capacity)), capacity, (salt, salt))
    for at, key in enumerate(keys):
        touch(w, key, START + at)
    newest = list(dict.fromkeys(reversed(keys)))
    assert all(find(w, key) >= 0 for key in newest[:capacity])
    assert all(find(w, key) == -1 for key in newest[capacity:])
