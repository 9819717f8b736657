"""Stations that merge at load while everything behind them is killed, two processes: each sample is there once."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from ask_servers import until
from e2e.processes import HUTONG, Process, free_port
from hutong.app.config import load_config
from hutong.app.sampling_work import open_sampling
from hutong.kernel.access.people import People
from hutong.kernel.access.tokens import Tokens
from hutong.kernel.records import Database
from hutong.kernel.records import sampling_tables as tables
from hutong.sampling.errors import SamplingError
from hutong.sampling.model import Register, Seal
from hutong.sampling.station.exchange import merge_all
from hutong.sampling.station.remote import RemoteCentre
from hutong.sampling.station.store import About, StationStore
from postgres import PROGRAMS, Postgres, running_postgres
from sampling_samples import person

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not installed on this machine"),
]

STATIONS, TUBES, PEOPLE = ("s1", "s2", "s3"), 24, 5
_SETTINGS = """\
[node]
name = "centre"

[records]
url = "{url}"

[sampling]
listen = "127.0.0.1:{port}"
processes = 2
"""


def now_ms() -> int:
    return time.time_ns() // 10**6


class Station(threading.Thread):
    """Registers people tube by tube, durably, and sends whenever a tube is full; goes on whatever the centre says.

    What one process did not answer is sent to the other, as the edge does.
    """

    def __init__(self, name: str, folder: Path, urls: list[str], token: str) -> None:
        super().__init__(name=name)
        self.store = StationStore(folder / name)
        self.store.make(About(name, "610100"))
        self._centres = [RemoteCentre(url, token) for url in urls]
        self.troubles = 0
        self.sent = 0

    def run(self) -> None:
        for number in range(TUBES):
            tube = f"{self.name.upper()}{number:08}"
            for at in range(PEOPLE):
                deed = Register(tube=tube, size=PEOPLE, person=person((self.name, number, at)), district="610100")
                self.store.do(deed, "zhao", now_ms(), os.urandom(8))
            self.store.do(Seal(tube=tube, people=PEOPLE), "zhao", now_ms(), os.urandom(8))
            self._send()
        until(self._send)
        for centre in self._centres:
            centre.close()

    def _send(self) -> bool:
        """Whether the centre has everything."""
        try:
            self.sent += merge_all(self.store, self._centres[0], now_ms(), now_ms()).taken
        except SamplingError:
            self.troubles += 1
            self._centres.reverse()
        return self.store.standing().waiting == 0


@pytest.fixture
def server() -> Iterator[Postgres]:
    with running_postgres(lasting=True) as started:
        yield started


def test_every_acknowledged_sample_is_there_once(server: Postgres, tmp_path: Path) -> None:
    port, url = free_port(), server.url()
    settings = tmp_path / "hutong.toml"
    settings.write_text(_SETTINGS.format(port=port, url=url), encoding="utf-8")
    (data := tmp_path / "data").mkdir()
    database = Database(url)
    database.open()
    people, tokens = People(database), Tokens(database, 30)
    secrets = {}
    for name in STATIONS:
        people.add(name, name, "operator", now_ms())
        secrets[name] = tokens.make(name, name, ["sampling.register"], now_ms() + 86_400_000, now_ms())[1]
    command = [*HUTONG, "sampling", "serve", "--config", str(settings), "--data", str(data)]
    serving, other = (Process(f"stations-{it}", [*command, "--process", str(it)], tmp_path) for it in (1, 2))
    serving.start_until_ready()
    other.start_until_ready()
    urls = [f"http://127.0.0.1:{port + more}" for more in range(2)]
    stations = [Station(name, tmp_path, urls, secrets[name]) for name in STATIONS]
    for station in stations:
        station.start()

    def sent() -> int:
        return sum(it.sent for it in stations)

    every = len(STATIONS) * TUBES * (PEOPLE + 1)
    until(lambda: sent() > every // 10)
    serving.kill()
    until(lambda: sent() > every // 6)
    serving.start_until_ready()
    until(lambda: sent() > every // 4)
    server.kill()
    server.start()
    until(lambda: sent() > every // 2)
    serving.kill()
    other.kill()
    server.kill()
    server.start()
    serving.start_until_ready()
    for station in stations:
        station.join()
    serving.stop()

    assert all(station.troubles for station in stations), "nothing was killed under them"
    assert [station.store.standing().waiting for station in stations] == [0] * len(stations)
    assert [station.store.standing().refused for station in stations] == [()] * len(stations)
    acknowledged = sorted(it.id for station in stations for it in station.store.events(10_000))
    centre = open_sampling(load_config(settings, data=data), database)
    with database.read() as connection:
        kept = sorted(connection.execute(sa.select(tables.sampling_events.c.id)).scalars())
    assert kept == acknowledged
    for station in stations:
        for number in range(TUBES):
            (tube,) = centre.story(f"{station.name.upper()}{number:08}").tubes
            assert (len(tube.members), tube.counted, tube.state) == (PEOPLE, PEOPLE, "sealed")
    for station in stations:
        station.store.close()
    database.close()
