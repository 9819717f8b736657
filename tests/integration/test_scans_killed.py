"""Doors and phones that send while one of two processes is killed, and then the other: each scan is there once."""

from __future__ import annotations

import os
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest

from ask_servers import until
from e2e.processes import HUTONG, Process, free_port
from hutong.app.codes_work import code_issuer, key_ring
from hutong.app.config import load_config
from hutong.app.scans_work import scan_parts, venue_key
from hutong.codes.issuing import Bearer
from hutong.codes.scans.device import SERIES_BYTES, Device
from hutong.codes.scans.errors import ScanError
from hutong.codes.scans.model import Answer, Scan
from hutong.codes.scans.remote import RemoteScans, send_all
from hutong.codes.venues import VenueWish, write_poster
from hutong.kernel.access.people import People
from hutong.kernel.access.tokens import Tokens
from hutong.kernel.cases.model import Actor
from hutong.kernel.records import Database, database_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hutong.codes.venues import Venue

pytestmark = pytest.mark.enable_socket

DOORS, SCANS, CHECK_INS = ("gate-1", "gate-2"), 200, 100
MINUTE, DAY = 60_000, 86_400_000
_SETTINGS = """\
[node]
name = "xa"
[codes]
listen = "127.0.0.1:{port}"
processes = 2
"""


def now_ms() -> int:
    return time.time_ns() // 10**6


class Centre:
    """A node with two processes, a venue, a device's token, and a phone with its codes of today."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        settings = folder / "hutong.toml"
        settings.write_text(_SETTINGS.format(port=port), encoding="utf-8")
        (data := folder / "data").mkdir()
        self.config, now = load_config(settings, data=data), now_ms()
        self.database = Database(database_url("", data))
        self.database.open()
        key_ring(self.config).rotate(now - DAY)
        self.parts = scan_parts(self.config, self.database)
        people, tokens = People(self.database), Tokens(self.database, 30)
        self.tokens = {}
        for name in DOORS:
            people.add(name, name, "operator", now)
            self.tokens[name] = tokens.make(name, name, ["codes.merge"], now + DAY, now)[1]
        wish = VenueWish(title="西仓市场", kind="market", district="610104", capacity=300, unit="莲湖区市场办")
        self.venue: Venue = self.parts.venues.issue(wish, Actor("li", frozenset({"codes.venues_change"})), now - DAY)
        self.poster = write_poster(self.venue, "xa", venue_key(data))
        bearer = Bearer(
            person="a1" * 16, who=b"\x07" * 12, kind="own", name="王*", tail="1234", colour="green", as_of_ms=now - DAY
        )
        self.fetched_ms = now - 3 * 60 * MINUTE
        self.bundle = code_issuer(self.config, self.database).prepare(bearer, (), self.fetched_ms).wallet.own
        self.urls = [f"http://127.0.0.1:{port + more}" for more in range(2)]
        common = ("--config", str(settings), "--data", str(data))
        self.processes = [
            Process(f"codes-{it}", [*HUTONG, "codes", "serve", *common, "--process", str(it)], folder) for it in (1, 2)
        ]

    def check_in(self, sequence: int, at_ms: int, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
        code = self.bundle.text(self.bundle.at(at_ms) or 0)
        return {"sequence": sequence, "at_ms": at_ms, "poster": self.poster, "code": code} | fields


class Door(threading.Thread):
    """Scans durably, sends to whichever process answers, and goes on whatever happens."""

    def __init__(self, name: str, folder: Path, centre: Centre) -> None:
        super().__init__(name=name)
        self.device = Device(folder / name)
        self.device.make(name, os.urandom(SERIES_BYTES))
        self._centres = [RemoteScans(url, centre.tokens[name]) for url in centre.urls]
        self._venue, self._begin = centre.venue.id, now_ms() - 60 * MINUTE
        self.sent, self.troubles = 0, 0

    def _scan(self, sequence: int) -> Scan:
        at_ms = self._begin + sequence
        return Scan(sequence=sequence, at_ms=at_ms, venue=self._venue, verdict="valid", who=f"{sequence:024x}")

    def run(self) -> None:
        for _ in range(0, SCANS, 5):
            self.device.keep([self._scan] * 5)
            self._send()
        until(self._send)
        for centre in self._centres:
            centre.close()

    def _send(self) -> bool:
        try:
            self.sent += send_all(self.device, self._centres[0], now_ms, most=7)
        except ScanError:
            self.troubles += 1
            self._centres.reverse()
        return self.device.standing().waiting == 0


class Phone(threading.Thread):
    """Checked in with no network, and sends it later, some of it more than once."""

    def __init__(self, centre: Centre) -> None:
        super().__init__(name="phone")
        self._urls, self._client = list(centre.urls), httpx.Client(timeout=15)
        begin = centre.fetched_ms
        self.waiting = {it: centre.check_in(it, begin + it * MINUTE) for it in range(1, CHECK_INS + 1)}
        self._source = {"device": f"p-{os.urandom(8).hex()}", "series": os.urandom(8).hex()}
        self.taken: list[int] = []
        self.troubles = 0

    def send(self, rows: list[dict[str, Any]]) -> Answer:
        clock_ms = now_ms() + 45 * MINUTE  # what it says here moves nothing
        body = {"source": self._source, "clock_ms": clock_ms, "checkins": rows}
        told = self._client.post(f"{self._urls[0]}/v1/codes/scans", json=body).raise_for_status()
        return msgspec.json.decode(told.content, type=Answer)

    def _send(self) -> bool:
        try:
            answer = self.send(list(self.waiting.values())[:6])
        except httpx.HTTPError:
            self.troubles += 1
            self._urls.reverse()
            return False
        assert not answer.refused, answer.refused
        self.taken += answer.taken
        for it in answer.taken[:-1]:  # the last of each comes again
            self.waiting.pop(it, None)
        if len(self.waiting) == 1:
            self.waiting.clear()
        return not self.waiting

    def run(self) -> None:
        until(self._send)

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Centre]:
    it = Centre(tmp_path)
    try:
        yield it
    finally:
        for process in it.processes:
            process.kill()
        it.database.close()


def test_every_acknowledged_scan_is_there_once(centre: Centre, tmp_path: Path) -> None:
    one, other = centre.processes
    for process in centre.processes:
        process.start_until_ready()
    doors, phone = [Door(name, tmp_path, centre) for name in DOORS], Phone(centre)
    doors[1]._centres.reverse()  # noqa: SLF001  # each process has somebody from the beginning
    for sender in (*doors, phone):
        sender.start()

    def sent() -> int:
        return sum(door.sent for door in doors)

    every = len(DOORS) * SCANS
    until(lambda: sent() > every // 6)
    one.kill()
    until(lambda: sent() > every // 3)
    other.kill()
    one.start_until_ready()
    for sender in (*doors, phone):
        sender.join()

    assert all(door.troubles for door in doors), "nothing was killed under them"
    assert [(door.device.standing().waiting, door.device.standing().refused) for door in doors] == [(0, ())] * 2
    assert sorted(set(phone.taken)) == list(range(1, CHECK_INS + 1))
    found = centre.parts.scans.at_venue(centre.venue.id, now_ms() - DAY, now_ms(), now_ms())
    kept = sorted((it.kept.mode, it.kept.who, it.kept.at_ms) for it in found)
    begin = centre.fetched_ms
    scanned = [("station", f"{at:024x}", door._begin + at) for door in doors for at in range(1, SCANS + 1)]  # noqa: SLF001
    checked = [("person", "07" * 12, begin + at * MINUTE) for at in range(1, CHECK_INS + 1)]
    assert kept == sorted([*scanned, *checked])

    _what_proves_nothing_is_refused_row_by_row(centre, phone)
    one.stop()
    phone.close()
    for door in doors:
        door.device.close()


def _what_proves_nothing_is_refused_row_by_row(centre: Centre, phone: Phone) -> None:
    phone._urls.sort()  # noqa: SLF001  # the first process is the one that lives
    begin = centre.fetched_ms + 130 * MINUTE
    late, good = partial(centre.check_in, at_ms=begin), centre.check_in(900, begin)
    answer = phone.send([
        late(901, poster=centre.poster[:-1]),
        late(902, code=centre.bundle.text(0)),
        late(903, code="HT1:0"),
        {"sequence": 904},
        {"at_ms": 1},
        good,
    ])  # fmt: skip
    assert answer.taken == (900,)
    reasons = {it.place: it.reason for it in answer.refused}
    assert reasons == {901: "poster", 902: "code", 903: "code", 904: "scan", 5: "line"}
    url, token = f"{centre.urls[0]}/v1/codes/scans", centre.tokens[DOORS[0]]
    batch = {"source": {"device": DOORS[1], "series": "00" * 8}, "clock_ms": 0, "scans": []}
    for headers, content, status in (
        ({"Authorization": "Bearer hut_none"}, batch, 401),
        ({"Authorization": f"Bearer {token}"}, batch, 403),
        ({}, batch, 400),
        ({}, {"source": batch["source"], "clock_ms": 0, "checkins": []}, 400),
    ):
        assert httpx.post(url, json=content, headers=headers).status_code == status  # type: ignore[arg-type]
    assert httpx.get(url).status_code == 405
