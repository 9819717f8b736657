"""Phones and stations that are made up, and the bytes that they send.

A wallet and a history are a phone's, by its token; so is a check-in: the sign of a venue, and the phone's own code of
that moment. A merge is a station's: a tube of ten people and its seal, each with ids of its own. Every one is new work.
"""

from __future__ import annotations

import itertools
import os
import time
from typing import TYPE_CHECKING, Final

from hutong.app.codes_status_work import people_of
from hutong.app.codes_work import code_issuer, key_ring
from hutong.app.config import load_config
from hutong.app.scans_work import scan_parts, venue_key
from hutong.codes.devices import Devices
from hutong.codes.issuing import Bearer
from hutong.codes.people.documents import read_document
from hutong.codes.venues import VenueWish, write_poster
from hutong.kernel.access.people import People
from hutong.kernel.access.tokens import Tokens
from hutong.kernel.cases.model import Actor
from hutong.kernel.overload.classes import Kind
from hutong.kernel.records import Database, database_url

if TYPE_CHECKING:
    from pathlib import Path

    from bench.crowd.people import Caller
    from hutong.codes.minting import Bundle

PEOPLE, STATIONS = 400, 20
IN_TUBE: Final = 10
_DAY_MS: Final = 86_400_000
_EVENT: Final = '{"id":"%s.%d.%s%08x","station":"%s","sequence":%d,"at_ms":%d,"deed":%s}'
_REGISTER: Final = f'{{"type":"register","tube":"%s","size":{IN_TUBE},"person":"%032x"}}'
_CHECK_IN: Final = (
    '{"source":{"device":"p-%016x","series":"%s%s"},"clock_ms":%d,'
    '"checkins":[{"sequence":%d,"at_ms":%d,"poster":"%s","code":"%s"}]}'
)
_SEAL: Final = f'{{"type":"seal","tube":"%s","people":{IN_TUBE}}}'


class Asked:
    """The bytes of requests.

    Args:
        phones, stations: tokens. codes: a phone's codes of the day. poster: the text of a venue's sign.
    """

    def __init__(self, phones: list[str], stations: list[str], codes: Bundle, poster: str) -> None:
        self._phones = [_bearer(it) for it in phones]
        self._codes, self._poster, self._shown = codes, poster, (-1, "")
        self._stations = [(f"s{at}", _bearer(it)) for at, it in enumerate(stations)]
        self._numbers = itertools.count(1)
        self._series = os.urandom(4).hex()

    def __call__(self, caller: Caller) -> bytes:
        """One request, with what the caller was given when it was refused."""
        shown = b""
        if caller.ticket:
            shown = b"Hutong-Ticket: %b\r\nHutong-Holder: %b\r\n" % (caller.ticket, caller.holder)
        phone = self._phones[caller.number % len(self._phones)]
        match caller.kind:
            case Kind.CRITICAL:
                return self._merge(caller.number)
            case Kind.ISSUE:
                return b"POST /codes/wallet HTTP/1.1\r\n%b%bContent-Length: 0\r\n\r\n" % (phone, shown)
            case Kind.HISTORY:
                return b"GET /codes/why HTTP/1.1\r\n%b%b\r\n" % (phone, shown)
            case _:
                return self._check_in(shown)

    def _check_in(self, shown: bytes) -> bytes:
        # Each is a phone's first of the day: no phone leaves gaps in its own numbers.
        number, now_ms = next(self._numbers), time.time_ns() // 1_000_000
        slot = self._codes.at(now_ms) or 0
        if slot != self._shown[0]:
            self._shown = slot, self._codes.text(slot)
        body = (
            _CHECK_IN % (number, self._series, self._series, now_ms, 1, now_ms, self._poster, self._shown[1])
        ).encode()
        return b"POST /v1/codes/scans HTTP/1.1\r\nHost: 127.0.0.1\r\n%bContent-Length: %d\r\n\r\n%b" % (
            shown,
            len(body),
            body,
        )

    def _merge(self, number: int) -> bytes:
        station, bearer = self._stations[number % len(self._stations)]
        first, now_ms = next(self._numbers) * (IN_TUBE + 1), time.time_ns() // 1_000_000
        series, tube = self._series, f"{station.upper()}{self._series}{first:09}"
        events = [
            _EVENT % (station, first + at, series, first + at, station, first + at, now_ms, deed)
            for at, deed in enumerate([*(_REGISTER % (tube, first + at) for at in range(IN_TUBE)), _SEAL % tube])
        ]
        body = f'{{"station":"{station}","clock_ms":{now_ms},"events":[{",".join(events)}]}}'.encode()
        head = b"POST /v1/sampling/merge HTTP/1.1\r\n%bContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        return head % (bearer, len(body)) + body


def made_up(config: Path, data: Path, people: int, stations: int) -> Asked:
    """Register so many people with a phone each, and so many stations with a token each."""
    settings = load_config(config, data=data, environ={})
    database = Database(database_url(settings.records.url, data))
    database.open()
    try:
        now_ms = time.time_ns() // 1_000_000
        known, devices = people_of(settings, database), Devices(database, settings.codes.person_days)
        phones = []
        for at in range(people):
            person = known.register(read_document("passport", f"E{at:08}"), "王小明", f"138{at:08}", now_ms)
            phones.append(devices.add(person, now_ms))
        accounts, tokens = People(database), Tokens(database, settings.access.token_days)
        secrets = []
        for at in range(stations):
            accounts.add(f"s{at}", f"s{at}", "operator", now_ms)
            until_ms = now_ms + _DAY_MS
            secrets.append(tokens.make(f"s{at}", "bench", ["sampling.register"], until_ms, now_ms)[1])
        wish = VenueWish(title="西仓市场", kind="market", district="610104", capacity=300, unit="bench")
        may = Actor("bench", frozenset({"codes.venues_change"}))
        venue = scan_parts(settings, database).venues.issue(wish, may, now_ms - _DAY_MS)
        key_ring(settings).rotate(now_ms - _DAY_MS)
        own = Bearer(
            person="a1" * 16, who=bytes(12), kind="own", name="王*", tail="1X", colour="green", as_of_ms=now_ms
        )
        codes = code_issuer(settings, database).prepare(own, (), now_ms).wallet.own
        return Asked(phones, secrets, codes, write_poster(venue, settings.node.name, venue_key(data)))
    finally:
        database.close()


def _bearer(token: str) -> bytes:
    return b"Host: 127.0.0.1\r\nAuthorization: Bearer %b\r\n" % token.encode()
