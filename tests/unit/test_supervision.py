"""The supervision table, in virtual time."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hutong.app.supervision import FINAL, Effect, Event, Lifecycle, Limits, State, diagram

SECOND = 1_000_000_000
LIMITS = Limits()
ALIVE = {State.STARTING, State.READY, State.REPLACING, State.STOPPING, State.KILLING}


def started(now: int = 0) -> Lifecycle:
    life = Lifecycle(LIMITS)
    assert life.handle(Event.START, now) is Effect.SPAWN
    return life


def ready(now: int = 0) -> Lifecycle:
    life = started(now)
    life.handle(Event.READY, now)
    return life


def test_a_process_that_dies_starts_again_after_its_back_off() -> None:
    life = ready()
    assert life.handle(Event.EXITED, SECOND) is Effect.NOTHING
    assert life.state is State.BACKING_OFF
    assert life.deadline == SECOND + SECOND // 10
    assert life.handle(Event.TIMER, life.deadline) is Effect.SPAWN
    assert life.state is State.STARTING
    assert life.restarts == 1


def test_back_off_doubles_to_its_limit_and_starts_over_after_half_a_minute_of_health() -> None:
    life = started()
    now, waits = 0, []
    for _ in range(8):
        life.handle(Event.EXITED, now)
        waits.append(life.back_off / SECOND)
        now += life.back_off
        life.handle(Event.TIMER, now)
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    life.handle(Event.READY, now)
    life.handle(Event.EXITED, now + 29 * SECOND)
    assert life.back_off == 5 * SECOND
    life.handle(Event.TIMER, now := now + 40 * SECOND)
    life.handle(Event.READY, now)
    life.handle(Event.EXITED, now + 30 * SECOND)
    assert life.back_off == SECOND // 10


def test_slow_starting_does_not_count_as_health() -> None:
    life = started()
    life.handle(Event.EXITED, 0)
    life.handle(Event.TIMER, SECOND)
    life.handle(Event.EXITED, 100 * SECOND)
    assert life.back_off == SECOND // 5


def test_a_process_that_never_gets_ready_is_replaced() -> None:
    life = started()
    assert life.deadline == LIMITS.start
    assert life.handle(Event.TIMER, LIMITS.start) is Effect.KILL
    life.handle(Event.EXITED, LIMITS.start)
    assert life.state is State.BACKING_OFF


def test_wrong_usage_is_not_tried_again() -> None:
    life = started()
    life.handle(Event.REFUSED, 0)
    assert life.state is State.FAILED
    assert life.deadline is None


def test_stop_asks_first_and_kills_after_the_grace() -> None:
    life = ready()
    assert life.handle(Event.STOP, 0) is Effect.TERM
    assert life.deadline == 5 * SECOND
    assert life.handle(Event.TIMER, 5 * SECOND) is Effect.KILL
    assert life.handle(Event.EXITED, 5 * SECOND) is Effect.NOTHING
    assert life.state is State.STOPPED
    assert life.killed


def test_a_second_signal_kills_at_once() -> None:
    life = ready()
    life.handle(Event.STOP, 0)
    assert life.handle(Event.HURRY, 1) is Effect.KILL


def test_stopping_while_backing_off_starts_nothing() -> None:
    life = ready()
    life.handle(Event.EXITED, 0)
    life.handle(Event.STOP, 0)
    assert life.state is State.STOPPED
    assert life.handle(Event.TIMER, SECOND) is Effect.NOTHING


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(list(Event)), st.integers(0, 40 * SECOND)), max_size=40))
def test_whatever_happens_at_most_one_process_lives_and_stop_ends_it(
    history: list[tuple[Event, int]],
) -> None:
    life = Lifecycle(LIMITS)
    now, alive = 0, False
    for event, passed in history:
        now += passed
        if event in (Event.EXITED, Event.REFUSED) and not alive:
            continue  # what does not run cannot exit
        effect = life.handle(event, now)
        if event in (Event.EXITED, Event.REFUSED):
            alive = False
        if effect is Effect.SPAWN:
            assert not alive
            alive = True
        if effect in (Effect.TERM, Effect.KILL):
            assert alive
        assert alive == (life.state in ALIVE)
        assert LIMITS.first_back_off <= life.back_off <= LIMITS.longest_back_off or life.back_off == 0
    life.handle(Event.STOP, now)
    life.handle(Event.HURRY, now)
    if alive:
        life.handle(Event.EXITED, now)
    assert life.state in FINAL


def test_every_state_is_in_the_diagram() -> None:
    drawn = diagram()
    assert all(state.value.replace("-", "_") in drawn for state in State)
