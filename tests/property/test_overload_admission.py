"""Admission under any order of events: priority, bounds, deadlines, no idle place while somebody waits."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hutong.kernel.overload.admission import Admission, Place, State
from hutong.kernel.overload.classes import CLASSES, Kind, Level

MS = 1_000_000


class AnyOrder(RuleBasedStateMachine):
    """A service with few places, driven at random; every request is followed to its end."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.admission = Admission(20 * MS, most=12)
        self.open: list[Place] = []
        self.asked = 0
        self.left = 0
        self.seen: dict[Place, State] = {}

    def changed(self, places: list[Place]) -> None:
        for place in places:
            assert place.state in {State.AT_WORK, State.REFUSED}
            assert self.seen[place] is State.WAITING
            self.seen[place] = place.state
            if place.state is State.AT_WORK:
                assert self.now <= place.deadline_ns
        self.open = [it for it in self.open if it.state in {State.WAITING, State.AT_WORK}]

    @rule(kind=st.sampled_from(Kind), due=st.booleans())
    def arrive(self, kind: Kind, due: bool) -> None:  # noqa: FBT001
        waiting_before = self.admission.waiting(kind)
        place, gave_way = self.admission.arrive(kind, self.now, due=due)
        self.asked += 1
        self.open.append(place)
        self.seen[place] = place.state
        self.changed(gave_way)
        for other in gave_way:
            assert due
            assert not other.due
            assert other.kind is kind
            assert waiting_before == CLASSES[kind].queue
        self.open = [it for it in self.open if it.state in {State.WAITING, State.AT_WORK}]

    @precondition(lambda self: any(it.state is State.AT_WORK for it in self.open))
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from([it for it in self.open if it.state is State.AT_WORK]))
        waited = {kind: [it for it in self.open if it.kind is kind and it.state is State.WAITING] for kind in Kind}
        changed = self.admission.finish(place, self.now)
        self.changed(changed)
        for one in changed:
            if one.state is State.AT_WORK:
                better = [it for kind in Kind if kind < one.kind for it in waited[kind]]
                assert all(it.state is not State.WAITING for it in better), "a better class waits on"
                if not one.due:
                    assert all(it.state is not State.WAITING for it in waited[one.kind] if it.due)

    @precondition(lambda self: any(it.state is State.WAITING for it in self.open))
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from([it for it in self.open if it.state is State.WAITING]))
        self.admission.withdraw(place)
        self.left += 1
        self.changed([])

    @rule(ms=st.sampled_from([1, 5, 25, 120, 600]), lag=st.sampled_from([0, 0, 40]))
    def pass_time(self, ms: int, lag: int) -> None:
        self.now += ms * MS
        self.changed(self.admission.tick(self.now, lag * MS))
        assert all(it.deadline_ns >= self.now for it in self.open if it.state is State.WAITING)

    @rule(kind=st.sampled_from(Kind), count=st.integers(1, 50))
    def the_edge_refused(self, kind: Kind, count: int) -> None:
        self.admission.told(kind, count)

    @invariant()
    def bounds_hold(self) -> None:
        admission = self.admission
        at_work = [it for it in self.open if it.state is State.AT_WORK]
        assert admission.at_work == len(at_work)
        assert 2 <= admission.limit <= 12
        for kind in Kind:
            waiting = sum(it.kind is kind and it.state is State.WAITING for it in self.open)
            assert admission.waiting(kind) == waiting <= CLASSES[kind].queue
            assert not waiting or admission.at_work >= admission.room(kind), "a place is idle while somebody waits"

    @invariant()
    def everybody_is_counted_once(self) -> None:
        admission = self.admission
        assert sum(admission.asked) == self.asked
        refused = sum(sum(by.values()) for by in admission.refused)
        assert self.asked == refused + sum(admission.served) + len(self.open) + self.left


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


def test_the_level_needs_two_looks_to_rise_and_half_a_second_to_fall() -> None:
    admission = Admission(20 * MS)
    levels = []
    for at in range(0, 2000, 100):
        if 300 <= at <= 600:
            admission.told(Kind.SCAN, 1)
        admission.tick((at + 1000) * MS)
        levels.append(admission.level)
    assert levels == [Level.NORMAL] * 4 + [Level.CROWDED] * 7 + [Level.NORMAL] * 9


def test_when_even_critical_requests_fail_nothing_else_is_let_in() -> None:
    admission = Admission(20 * MS)
    for at in (1000, 1100, 1200):
        admission.told(Kind.CRITICAL, 1)
        admission.tick(at * MS)
    assert admission.level is Level.CRITICAL_ONLY
    refused, _ = admission.arrive(Kind.SCAN, 1201 * MS, due=True)
    assert (refused.state, refused.why) == (State.REFUSED, "level")
    let_in, _ = admission.arrive(Kind.CRITICAL, 1201 * MS)
    assert let_in.state is State.AT_WORK


def test_requests_that_take_no_time_are_no_trouble() -> None:
    admission = Admission(20 * MS, most=12)
    for look in range(1, 6):
        waiting = [admission.arrive(Kind.CRITICAL, look * 1000 * MS)[0] for _ in range(64)]
        while at_work := [it for it in waiting if it.state is State.AT_WORK]:
            admission.finish(at_work[0], look * 1000 * MS)
        admission.tick((look * 1000 + 999) * MS)
    assert admission.limit > 8


def test_a_slow_spell_is_forgotten_once_requests_are_quick_again() -> None:
    """Estimates that made queueing look vain must not outlive what made them so."""
    admission = Admission(20 * MS, most=4)
    now = 1000 * MS
    stuck = [admission.arrive(Kind.CRITICAL, now)[0] for _ in range(4)]
    now += 5000 * MS
    for place in stuck:
        admission.finish(place, now)
    for _ in range(200):
        now += MS
        admission.finish(admission.arrive(Kind.CRITICAL, now - MS)[0], now)
        admission.tick(now)
    busy = [admission.arrive(Kind.CRITICAL, now)[0] for _ in range(4)]
    one, _ = admission.arrive(Kind.CRITICAL, now)
    assert [it.state for it in busy if it.state is not State.AT_WORK] == []
    assert one.state is State.WAITING
