"""`hutong replica`: the read replica of a data folder followed, looked at, made anew. `hutong up` runs `follow`."""

from __future__ import annotations

import selectors
import sys
from contextlib import ExitStack, suppress
from pathlib import Path  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from cyclopts import App, Parameter

from hutong.app.config import load_config
from hutong.app.replica_work import open_source, replica_of
from hutong.app.signals import signal_pipe
from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import HutongError
from hutong.kernel.metrics import REPLICA_AGE, REPLICA_CHANGES, REPLICA_ENTRIES, REPLICA_FAILURES
from hutong.kernel.readiness import announce_ready
from hutong.kernel.replica.follower import Follower
from hutong.kernel.reporter import Reporter

if TYPE_CHECKING:
    from hutong.app.config import Config
    from hutong.kernel.clock import Clock
    from hutong.kernel.replica.store import Replica

app = App(name="replica", help="只读副本:跟随、查看、重建 / Read replicas: follow, look, make anew")

_NS_IN_MS: Final = 1_000_000
#: How often a source is asked that has nothing more, seconds.
_PAUSE_S: Final = 1.0
ConfigFile = Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")]
DataFolder = Annotated[Path | None, Parameter(help="数据目录 / data folder")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="JSON 输出 / as JSON")]


class PartStatus(msgspec.Struct, frozen=True):
    """How far a part goes: `number` of the last event; `ready`: it is read; `making`: it is being made anew."""

    part: str
    number: int
    ready: bool
    making: bool


class ReplicaStatus(msgspec.Struct, frozen=True):
    """A replica: as of when everything in it stands (0 = it was never whole), how old that is, entries and parts."""

    heard_ms: int
    age_ms: int
    entries: int
    parts: tuple[PartStatus, ...]


@app.command
def follow(*, config: ConfigFile = None, data: DataFolder = None) -> int:
    """跟随变更,直到收到停止信号 / Follow changes until told to stop."""
    settings = load_config(config, data=data)
    return run(settings, SystemClock(), Reporter("replica", level=settings.log.level, form=settings.log.format))


@app.command
def status(*, config: ConfigFile = None, data: DataFolder = None, json: Json = False) -> int:
    """查看副本的进度;从未完整则以 1 退出 / Show as of when it stands; exit status 1 if it was never whole."""
    replica, found = replica_of(load_config(config, data=data)), ReplicaStatus(0, 0, 0, ())
    if (replica.folder / "data.mdb").is_file():  # opening makes one, and health asks after whatever is there
        replica.open()
        try:
            found = status_of(replica, SystemClock().wall() // _NS_IN_MS)
        finally:
            replica.close()
    if json:
        sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
        return int(not found.heard_ms)
    sys.stdout.write(
        f"age_s\t{found.age_ms / 1000:.1f}\nentries\t{found.entries}\n" if found.heard_ms else "not whole\n"
    )
    for it in found.parts:
        state = "making" if it.making else "ready" if it.ready else "-"
        sys.stdout.write(f"{it.part}\t{it.number}\t{state}\n")
    return int(not found.heard_ms)


@app.command
def rebuild(*, config: ConfigFile = None, data: DataFolder = None) -> None:
    """全部重新建立;其间仍读旧的 / Make every part anew; what is there is read meanwhile."""
    settings = load_config(config, data=data)
    replica = replica_of(settings)
    replica.open()
    try:
        with replica.alone(), open_source(settings) as source:
            for part in source.parts():
                replica.begin(part)
            follower, more = Follower(source, replica), True
            while more:
                more = follower.round(SystemClock().wall() // _NS_IN_MS).more
    finally:
        replica.close()


def status_of(replica: Replica, now_ms: int) -> ReplicaStatus:
    """How a replica stands."""
    heard_ms = replica.heard_ms()
    parts = (
        PartStatus(part, state.position, state.ready, state.making is not None)
        for part, state in sorted(replica.states().items())
    )
    return ReplicaStatus(heard_ms, max(now_ms - heard_ms, 0) if heard_ms else 0, replica.count(), tuple(parts))


def run(config: Config, clock: Clock, reporter: Reporter) -> int:
    """Follow until SIGTERM or SIGINT; 0 after a clean stop. A source that is away is asked again.

    Raises:
        StateError: another process follows, or the folder cannot be used.
    """
    replica = replica_of(config)
    replica.open()
    try:
        with replica.alone(), signal_pipe() as pipe, selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            announce_ready()
            wait, line = 0.0, _Line(config, replica, clock, reporter)
            while not selector.select(wait):
                wait = 0.0 if line.round() else _PAUSE_S
            line.close()
    finally:
        replica.close()
    reporter.log.info("stopped")
    return 0


class _Line:
    """The way to the source, opened once it can be; what breaks later is the source's own to mend."""

    def __init__(self, config: Config, replica: Replica, clock: Clock, reporter: Reporter) -> None:
        self._config, self._replica, self._clock, self._reporter = config, replica, clock, reporter
        self._open, self._away = ExitStack(), False
        self._follower: Follower | None = None

    def round(self) -> bool:
        """Ask once and say how it stands; whether there is more to ask for."""
        now_ms, figures, more = self._clock.wall() // _NS_IN_MS, self._reporter.metrics, False
        try:
            if self._follower is None:
                self._follower = Follower(self._open.enter_context(open_source(self._config)), self._replica)
            done = self._follower.round(now_ms)
        except (HutongError, OSError) as error:
            figures.add(REPLICA_FAILURES)
            if not self._away:
                self._reporter.log.warning("the replica cannot follow", reason=str(error))
            self._away = True
            with suppress(HutongError):  # a full disk: what is over is given to nobody, and goes once there is room
                self._replica.forget(now_ms)  # also while nobody can be asked
        else:
            figures.add(REPLICA_CHANGES, done.applied)
            if self._away:
                self._reporter.log.info("the replica follows again")
            more, self._away = done.more, False
        self._tell(now_ms)
        return more

    def close(self) -> None:
        """Let go of the source."""
        self._open.close()

    def _tell(self, now_ms: int) -> None:
        figures, heard_ms = self._reporter.metrics, self._replica.heard_ms()
        if heard_ms:
            figures.set(REPLICA_AGE, max(now_ms - heard_ms, 0) / 1000)
        figures.set(REPLICA_ENTRIES, self._replica.count())
        folder = self._config.data / "run"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            figures.write(folder / "replica.prom")
        except OSError as error:
            self._reporter.log.warning("metrics not written", folder=str(folder), reason=str(error))
