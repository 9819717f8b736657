"""Sampling in the demo's city: stations with stores of their own merge over HTTP, and a laboratory reports by file.

A process of its own, so that it takes no turn from the gateway's calls. It begins with the hours before the demo and
goes on until it is told to stop; people are random pseudonyms, all else is done as stations and laboratories do it.
"""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import msgspec

from hutong.app.config import load_config
from hutong.app.demo.city_plan import Plan
from hutong.app.sampling_work import open_sampling
from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import HutongError
from hutong.kernel.readiness import announce_ready
from hutong.kernel.records.database import Database, database_url
from hutong.sampling.model import Event, HandOver, Receive, Register, Seal, event_id
from hutong.sampling.results_csv import take_in
from hutong.sampling.station.exchange import merge_all
from hutong.sampling.station.remote import RemoteCentre
from hutong.sampling.station.store import About, StationStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hutong.sampling.model import Deed, Result
    from hutong.sampling.store import Sampling

LABORATORY: Final = "lab1"
_SIZE: Final = 10
_TUBES_A_BATCH: Final = 4
_MINUTE_MS: Final = 60_000
_BEFORE_MS: Final = 6 * 60 * _MINUTE_MS
#: Between two tubes of a station before the demo, and between two of all stations during it; from courier to result.
_APART_MS: Final = 12 * _MINUTE_MS
_PAUSE_S: Final = 5
_NICE: Final = 15  # calls first
_TESTED_MS: Final = 90 * _MINUTE_MS
#: Results of so many of a hundred tubes.
_RESULTS: Final[dict[Result, int]] = {"negative": 96, "positive": 2, "inconclusive": 1, "invalid": 1}


class Station:
    """One station: fills tubes, hands them over four at a time, merges when it is asked to.

    Args:
        name: its account. district: six digits. folder: of its store.
    """

    def __init__(self, name: str, district: str, folder: Path) -> None:
        self.name, self._district, self._batches = name, district, 0
        self._full: list[str] = []
        self._handed: list[tuple[int, str, str]] = []
        self.store = StationStore(folder / name)
        self.store.make(About(name, district))

    def fill(self, at_ms: int) -> None:
        """Ten people into a tube, and the courier if that makes a batch."""
        tube = f"{self._district}{secrets.token_hex(4).upper()}"
        deeds: list[Deed] = [
            Register(tube=tube, size=_SIZE, person=secrets.token_hex(16), district=self._district) for _ in range(_SIZE)
        ]
        self._do([*deeds, Seal(tube=tube, people=_SIZE)], at_ms)
        self._full.append(tube)
        if len(self._full) == _TUBES_A_BATCH:
            self._batches += 1
            batch = f"{self._district}-{self._batches}"
            self._do(
                [HandOver(tube=it, batch=batch, expected=_TUBES_A_BATCH, courier="周") for it in self._full], at_ms
            )
            self._handed += [(at_ms, it, batch) for it in self._full]
            self._full.clear()

    def brought(self, before_ms: int) -> list[tuple[int, str, str]]:
        """What the courier got before a time: when, tubes and their batches; each is given once."""
        brought = [it for it in self._handed if it[0] < before_ms]
        del self._handed[: len(brought)]
        return brought

    def _do(self, deeds: list[Deed], at_ms: int) -> None:
        self.store.do_all(deeds, self.name, at_ms, [secrets.token_bytes(8) for _ in deeds])


class Laboratory:
    """Receives what couriers have brought, and reports it some time later by a file.

    Args:
        sampling: of the node. zone: of the times in its files. draw: results.
    """

    def __init__(self, sampling: Sampling, zone: ZoneInfo, draw: random.Random) -> None:
        self._sampling, self._zone, self._draw = sampling, zone, draw

    def test(self, brought: list[tuple[int, str, str]], now_ms: int) -> None:
        """Receive and report tubes of batches."""
        if not brought:
            return
        for _, tube, batch in brought:
            deed = Receive(tube=tube, batch=batch, laboratory=LABORATORY)
            of = event_id(LABORATORY, 0, secrets.token_bytes(8))
            self._sampling.do(Event(id=of, station=LABORATORY, at_ms=now_ms, by=LABORATORY, deed=deed), now_ms)
        words, weights = list(_RESULTS), list(_RESULTS.values())
        lines = [f"{tube},{self._draw.choices(words, weights)[0]},{_tested(at_ms)}" for at_ms, tube, _ in brought]
        take_in(self._sampling, "\n".join(["tube,result,tested", *lines]).encode(), LABORATORY, self._zone, now_ms)


def _tested(handed_ms: int) -> str:
    """When a tube was tested that the courier got then, as laboratories write it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime((handed_ms + _TESTED_MS) / 1000))


class City:
    """The stations and the laboratory, as a plan says. A context manager.

    Args:
        plan: see `Plan`. folder: where stations have their stores. now_ms: the time.
    """

    def __init__(self, plan: Plan, folder: Path, now_ms: Callable[[], int]) -> None:
        config = load_config(Path(plan.config), data=Path(plan.data))
        self._plan, self._now_ms = plan, now_ms
        self._database = Database(database_url(config.records.url, config.data))
        self._stations = [Station(name, name[1:], folder / "stations") for name in plan.tokens]
        draw = random.Random(secrets.token_bytes(8))  # noqa: S311  # made-up results
        self._laboratory = Laboratory(open_sampling(config, self._database), ZoneInfo(config.calls.time_zone), draw)

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Open the records for as long as this lasts."""
        self._database.open()
        try:
            yield
        finally:
            self._database.close()

    def begin(self) -> None:
        """What happened before: some hours of sampling, merged; the rest waits for couriers and the laboratory."""
        now_ms = self._now_ms()
        for number, station in enumerate(self._stations):
            for at_ms in range(now_ms - _BEFORE_MS + number * _MINUTE_MS, now_ms, _APART_MS):
                station.fill(at_ms)
        for station in self._stations:
            self._serve(station)

    def turn(self, number: int) -> None:
        """One station's turn; the last station merges no more: it is away."""
        *there, away = self._stations
        station = there[number % len(there)]
        (station if number % len(self._stations) else away).fill(self._now_ms())
        self._serve(station)

    def _serve(self, station: Station) -> None:
        """Give the node what a station has, and the laboratory its tubes; both wait where the node is not there."""
        centre = RemoteCentre(self._plan.url, self._plan.tokens[station.name])
        try:
            with contextlib.suppress(HutongError):
                merge_all(station.store, centre, self._now_ms(), self._now_ms())
                self._laboratory.test(station.brought(self._now_ms() - _TESTED_MS), self._now_ms())
        finally:
            centre.close()


def main(file: Path) -> None:
    """Run the city of a plan until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    os.nice(_NICE)
    clock, turns = SystemClock(), 0
    plan = msgspec.json.decode(file.read_bytes(), type=Plan)
    city = City(plan, file.parent, lambda: clock.wall() // 1_000_000)
    with city.opened():
        city.begin()
        announce_ready()
        while not stop.wait(_PAUSE_S):
            city.turn(turns)
            turns += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]))
