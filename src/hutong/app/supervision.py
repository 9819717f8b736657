"""What to do with a supervised process, and when: a pure table. No process, signal or clock belongs here.

`docs/operate/processes.md` holds the diagram that `diagram()` draws from the table.
"""

from __future__ import annotations

from enum import Enum

import msgspec

_SECOND = 1_000_000_000


class State(Enum):
    """Where a supervised process stands."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    REPLACING = "replacing"
    BACKING_OFF = "backing-off"
    STOPPING = "stopping"
    KILLING = "killing"
    STOPPED = "stopped"
    FAILED = "failed"


class Event(Enum):
    """What can happen to it."""

    START = "start"
    READY = "ready"
    EXITED = "exited"
    REFUSED = "refused"
    TIMER = "timer"
    STOP = "stop"
    HURRY = "hurry"


class Effect(Enum):
    """What the shell does."""

    NOTHING = "nothing"
    SPAWN = "spawn"
    TERM = "SIGTERM"
    KILL = "SIGKILL"


class Limits(msgspec.Struct, frozen=True):
    """Times in nanoseconds.

    Attributes:
        start: to become ready; long, because compiled code may have to be made afresh.
        health: ready for so long, a process has earned a short back-off again.
        first_back_off: before the first restart; it doubles each time.
        longest_back_off: and goes no further.
        grace: between SIGTERM and SIGKILL.
    """

    start: int = 300 * _SECOND
    health: int = 30 * _SECOND
    first_back_off: int = _SECOND // 10
    longest_back_off: int = 5 * _SECOND
    grace: int = 5 * _SECOND


# REFUSED is exit status 2 (wrong usage): the same arguments would be refused again, so nobody tries.
# What the table does not hold changes nothing.
TRANSITIONS: dict[tuple[State, Event], tuple[State, Effect]] = {
    (State.WAITING, Event.START): (State.STARTING, Effect.SPAWN),
    (State.WAITING, Event.STOP): (State.STOPPED, Effect.NOTHING),
    (State.STARTING, Event.READY): (State.READY, Effect.NOTHING),
    (State.STARTING, Event.EXITED): (State.BACKING_OFF, Effect.NOTHING),
    (State.STARTING, Event.REFUSED): (State.FAILED, Effect.NOTHING),
    (State.STARTING, Event.TIMER): (State.REPLACING, Effect.KILL),
    (State.STARTING, Event.STOP): (State.STOPPING, Effect.TERM),
    (State.READY, Event.EXITED): (State.BACKING_OFF, Effect.NOTHING),
    (State.READY, Event.REFUSED): (State.BACKING_OFF, Effect.NOTHING),
    (State.READY, Event.STOP): (State.STOPPING, Effect.TERM),
    (State.REPLACING, Event.EXITED): (State.BACKING_OFF, Effect.NOTHING),
    (State.REPLACING, Event.REFUSED): (State.FAILED, Effect.NOTHING),
    (State.REPLACING, Event.STOP): (State.KILLING, Effect.NOTHING),
    (State.BACKING_OFF, Event.TIMER): (State.STARTING, Effect.SPAWN),
    (State.BACKING_OFF, Event.STOP): (State.STOPPED, Effect.NOTHING),
    (State.STOPPING, Event.EXITED): (State.STOPPED, Effect.NOTHING),
    (State.STOPPING, Event.REFUSED): (State.STOPPED, Effect.NOTHING),
    (State.STOPPING, Event.TIMER): (State.KILLING, Effect.KILL),
    (State.STOPPING, Event.HURRY): (State.KILLING, Effect.KILL),
    (State.KILLING, Event.EXITED): (State.STOPPED, Effect.NOTHING),
    (State.KILLING, Event.REFUSED): (State.STOPPED, Effect.NOTHING),
}

FINAL = frozenset({State.STOPPED, State.FAILED})


class Lifecycle:
    """One supervised process: state, timer, back-off. Times are nanoseconds of a monotonic clock.

    Attributes:
        state: where it stands.
        deadline: when the shell must deliver `Event.TIMER`; None while nothing is awaited.
        restarts: starts after the first.
        back_off: nanoseconds that the next restart waits (meaningful while backing off).
        killed: whether it had to be killed to stop.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._since = 0
        self._failures = 0
        self._starts = 0
        self.state = State.WAITING
        self.deadline: int | None = None
        self.back_off = 0
        self.killed = False

    @property
    def restarts(self) -> int:
        """Starts after the first."""
        return max(self._starts - 1, 0)

    def handle(self, event: Event, now: int) -> Effect:
        """Take the transition for this event; an event that the table does not hold here changes nothing."""
        found = TRANSITIONS.get((self.state, event))
        if found is None:
            return Effect.NOTHING
        before = self.state
        self.state, effect = found
        if self.state is State.BACKING_OFF:
            self._count_failure(healthy=before is State.READY and now - self._since >= self._limits.health)
        self._starts += effect is Effect.SPAWN
        self.killed = self.killed or self.state is State.KILLING
        self._since = now
        allowed = self._allowed()
        self.deadline = None if allowed is None else now + allowed
        return effect

    def _count_failure(self, *, healthy: bool) -> None:
        self._failures = 0 if healthy else self._failures
        # Beyond 2**32 the limit has long been reached; the shift must not grow for ever.
        doubled = self._limits.first_back_off << min(self._failures, 32)
        self.back_off = min(doubled, self._limits.longest_back_off)
        self._failures += 1

    def _allowed(self) -> int | None:
        """How long the present state may last."""
        limits = self._limits
        times = {
            State.STARTING: limits.start,
            State.BACKING_OFF: self.back_off,
            State.STOPPING: limits.grace,
        }
        return times.get(self.state)


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {_node(State.WAITING)}"]
    for (state, event), (target, effect) in TRANSITIONS.items():
        action = "" if effect is Effect.NOTHING else f" / {effect.value}"
        lines.append(f"    {_node(state)} --> {_node(target)}: {event.value}{action}")
    lines += [f"    {_node(state)} --> [*]" for state in State if state in FINAL]
    return "\n".join(lines) + "\n"


def _node(state: State) -> str:
    return state.value.replace("-", "_")
