"""Runs the processes of a node as `supervision` decides: spawning, readiness, signals. One thread."""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import subprocess
from typing import TYPE_CHECKING

import msgspec

from hutong.app.process_states import ProcessState, write_note
from hutong.app.signals import signal_pipe
from hutong.app.supervision import FINAL, Effect, Event, Lifecycle, Limits, State
from hutong.kernel.metrics import PROCESS_RESTARTS
from hutong.kernel.readiness import READY_LINE, READY_VARIABLE, announce_ready

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hutong.kernel.clock import Clock
    from hutong.kernel.reporter import Reporter

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_REFUSED_STATUS = 2
_NS_PER_MS = 1_000_000


class Program(msgspec.Struct, frozen=True):
    """A process to supervise: its name and its command line."""

    name: str
    arguments: tuple[str, ...]


class _Child:
    """A program, where it stands, and the handles of its present process."""

    def __init__(self, program: Program, limits: Limits) -> None:
        self.program = program
        self.life = Lifecycle(limits)
        self.process: subprocess.Popen[bytes] | None = None
        self.pidfd = -1
        self.ready_fd = -1
        self.said = b""
        self.since_ms = 0
        self.started_ms = 0


class Supervisor:
    """Starts programs, restarts each alone when it dies, stops all on SIGTERM or SIGINT.

    Children never outlive it: the kernel kills them when it dies, however it dies.

    Args:
        programs: what to run.
        reporter: where transitions are logged and restarts counted.
        clock: monotonic time for deadlines, wall time for the notes.
        run_folder: an existing folder that gets `<name>.pid` for each running process, `up.json` and `up.prom`.
        limits: times; the defaults are those of the documentation.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        reporter: Reporter,
        clock: Clock,
        run_folder: Path,
        limits: Limits | None = None,
    ) -> None:
        self._children = [_Child(program, limits or Limits()) for program in programs]
        self._reporter = reporter
        self._clock = clock
        self._run_folder = run_folder
        self._selector = selectors.DefaultSelector()
        self._signals = 0
        self._announced = False

    def run(self) -> int:
        """Supervise until told to stop; must be called in the main thread, which receives signals.

        Returns:
            0 after a clean stop, 1 when a process refused its arguments or had to be killed to stop.
        """
        with signal_pipe() as pipe, contextlib.closing(self._selector):
            self._selector.register(pipe, selectors.EVENT_READ, self._on_signal)
            try:
                for child in self._children:
                    self._apply(child, Event.START)
                while any(child.life.state not in FINAL for child in self._children):
                    self._turn()
            finally:
                self._kill_all()
        failed = any(child.life.state is State.FAILED or child.life.killed for child in self._children)
        return int(failed)

    def _turn(self) -> None:
        now = self._clock.monotonic()
        deadlines = [child.life.deadline for child in self._children if child.life.deadline is not None]
        wait = max(min(deadlines) - now, 0) / 1e9 if deadlines else None
        for key, _ in self._selector.select(wait):
            handler: Callable[[int], None] = key.data
            handler(key.fd)
        now = self._clock.monotonic()
        for child in self._children:
            if child.life.deadline is not None and now >= child.life.deadline:
                self._apply(child, Event.TIMER)

    def _apply(self, child: _Child, event: Event) -> None:
        before = child.life.state
        effect = child.life.handle(event, self._clock.monotonic())
        if child.life.state is not before:
            child.since_ms = self._clock.wall() // _NS_PER_MS
            self._log(child, before, event)
            self._tell_states()
        if effect is Effect.SPAWN:
            self._spawn(child)
        elif effect is Effect.TERM:
            self._signal(child, signal.SIGTERM)
        elif effect is Effect.KILL:
            self._signal(child, signal.SIGKILL)
        if not self._announced and all(one.life.state is State.READY for one in self._children):
            self._announced = True
            self._reporter.log.info("all processes are ready")
            announce_ready()

    def _log(self, child: _Child, before: State, event: Event) -> None:
        state = child.life.state
        bad = state in (State.BACKING_OFF, State.REPLACING, State.KILLING, State.FAILED)
        detail: dict[str, object] = {}
        if event in (Event.EXITED, Event.REFUSED) and child.process is not None:
            detail["status"] = child.process.returncode
        if state is State.BACKING_OFF:
            detail["restart_in_s"] = child.life.back_off / 1e9
        say = self._reporter.log.warning if bad else self._reporter.log.info
        say(state.value, child=child.program.name, was=before.value, because=event.value, **detail)

    def _spawn(self, child: _Child) -> None:
        self._reporter.metrics.set(PROCESS_RESTARTS, child.life.restarts, process=child.program.name)
        child.ready_fd, write_end = os.pipe()
        os.set_blocking(child.ready_fd, False)
        parent = os.getpid()
        try:
            child.process = subprocess.Popen(  # noqa: S603  # the command line is our own
                child.program.arguments,
                stdin=subprocess.DEVNULL,
                pass_fds=(write_end,),
                env={**os.environ, READY_VARIABLE: str(write_end)},
                process_group=0,
                preexec_fn=lambda: _die_with(parent),  # noqa: PLW1509  # there is one thread
            )
        except OSError as error:
            self._reporter.log.warning("cannot be started", child=child.program.name, reason=str(error))
            child.process = None
            self._forget_ready(child)
            self._apply(child, Event.EXITED)
            return
        finally:
            os.close(write_end)
        child.said = b""
        child.started_ms = self._clock.wall() // _NS_PER_MS
        child.pidfd = os.pidfd_open(child.process.pid)
        self._selector.register(child.pidfd, selectors.EVENT_READ, lambda _fd: self._on_exit(child))
        self._selector.register(child.ready_fd, selectors.EVENT_READ, lambda _fd: self._on_ready(child))
        self._leave_notes(child, child.process.pid)

    def _on_ready(self, child: _Child) -> None:
        if child.ready_fd < 0:
            return
        said = os.read(child.ready_fd, 64)
        child.said = (child.said + said)[-64:]
        if READY_LINE in child.said:
            self._forget_ready(child)
            self._apply(child, Event.READY)
        elif not said:
            self._forget_ready(child)

    def _on_exit(self, child: _Child) -> None:
        if child.process is None or child.pidfd < 0:
            return
        # Until it is waited for, the dead process keeps its number, so the group can be nobody else's.
        self._signal(child, signal.SIGKILL)
        status = child.process.wait()
        self._selector.unregister(child.pidfd)
        os.close(child.pidfd)
        child.pidfd = -1
        self._forget_ready(child)
        self._leave_notes(child, 0)
        self._apply(child, Event.REFUSED if status == _REFUSED_STATUS else Event.EXITED)

    def _on_signal(self, pipe: int) -> None:
        for number in os.read(pipe, 64):
            self._signals += 1
            event = Event.STOP if self._signals == 1 else Event.HURRY
            self._reporter.log.info("signal", name=signal.Signals(number).name, doing=event.value)
            for child in self._children:
                self._apply(child, event)

    def _forget_ready(self, child: _Child) -> None:
        if child.ready_fd < 0:
            return
        with contextlib.suppress(KeyError):
            self._selector.unregister(child.ready_fd)
        os.close(child.ready_fd)
        child.ready_fd = -1

    def _kill_all(self) -> None:
        """What is left when the loop ends by an error of its own."""
        for child in self._children:
            if child.process is not None and child.pidfd >= 0:
                self._signal(child, signal.SIGKILL)
                child.process.wait()

    @staticmethod
    def _signal(child: _Child, number: signal.Signals) -> None:
        if child.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.process.pid, number)

    def _leave_notes(self, child: _Child, pid: int) -> None:
        """Files for others to read. A full disk must not end the supervisor, and with it the node."""
        note = self._run_folder / f"{child.program.name}.pid"
        try:
            if pid:
                note.write_text(f"{pid}\n")
                self._reporter.metrics.write(self._run_folder / "up.prom")
            else:
                note.unlink(missing_ok=True)
        except OSError as error:
            self._reporter.log.warning("notes not written", folder=str(self._run_folder), reason=str(error))
        self._tell_states()

    def _tell_states(self) -> None:
        """Say how every process stands; who cannot be told must not end the node either."""
        states = []
        for child in self._children:
            running = child.process is not None and child.pidfd >= 0
            states.append(
                ProcessState(
                    name=child.program.name,
                    state=child.life.state.value,
                    pid=child.process.pid if running and child.process is not None else 0,
                    since_ms=child.since_ms,
                    started_ms=child.started_ms if running else 0,
                    restarts=child.life.restarts,
                )
            )
        with contextlib.suppress(OSError):
            write_note(self._run_folder, os.getpid(), self._clock.wall() // _NS_PER_MS, states)


def _die_with(parent: int) -> None:
    """Runs in the child before its program: the kernel is to kill it when the supervisor is gone."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # the supervisor died before the kernel knew
