"""What every roaming look-up does, run on each adapter; and what only the HTTP one has to withstand."""

from __future__ import annotations

import json
import select
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

import pytest

from hutong.calls import roaming as roaming_module
from hutong.calls.features import ROAMING
from hutong.calls.roaming import CONFIRMED, UNCONFIRMED, UNKNOWN, HttpRoaming, RoamingLookup, RoamingTable
from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import ListError
from hutong.kernel.lists.index import ROLE_CALLER, allow_id, look_up
from hutong.kernel.numbering.keys import key_of_digits, text_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.enable_socket

ABROAD, AT_HOME = "8613800138000", "8613900139000"
NOW = SystemClock().wall() // 10**9


class Service(BaseHTTPRequestHandler):
    """Answers as the number says; "held" ones wait until they are released."""

    release: ClassVar[threading.Event]
    bodies: ClassVar[dict[str, tuple[int, bytes]]] = {
        ABROAD: (200, b'{"roaming": true, "country": "TH"}'),
        AT_HOME: (200, b'{"roaming": false}'),
        "404": (404, b'{"roaming": true}'),
        "500": (500, b""),
        "302": (302, b'{"roaming": true}'),
        "1": (200, b"not json"),
        "2": (200, b'{"roaming": "yes"}'),
        "3": (200, b'{"answer": 1}'),
        "4": (200, json.dumps({"roaming": True, "x": "y" * 100_000}).encode()),
    }
    asked: ClassVar[list[str]]

    def do_GET(self) -> None:
        number = self.path.rsplit("/", 1)[-1]
        self.asked.append(number)
        if number.startswith("9"):
            self.release.wait(30)
        status, body = self.bodies.get(number, self.bodies[ABROAD])
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass  # the caller had no more time

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Service.release = threading.Event()
    Service.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/roaming"
    Service.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["table", "http"])
def lookup(request: pytest.FixtureRequest, tmp_path: Path, url: str) -> Iterator[RoamingLookup]:
    if request.param == "http":
        made: RoamingLookup = HttpRoaming(url, 5000)
    else:
        made = table = RoamingTable(tmp_path / "roaming")
        table.open()
        table.put([(key_of_digits(ABROAD), NOW + 3600)], NOW, "home network")
    made.start()
    yield made
    made.stop()
    made.stop()


def wait_for(lookup: RoamingLookup, count: int = 1) -> dict[int, int]:
    found: dict[int, int] = {}
    while len(found) < count:
        assert select.select([lookup.fileno()], [], [], 10)[0], "no answer came"
        found |= dict(lookup.answers())
    return found


def test_codes_are_those_of_the_vocabulary() -> None:
    assert [ROAMING[code] for code in (CONFIRMED, UNCONFIRMED, UNKNOWN)] == ["confirmed", "unconfirmed", "unknown"]


def test_each_ticket_gets_its_answer(lookup: RoamingLookup) -> None:
    assert lookup.answers() == []
    assert lookup.ask(7, ABROAD)
    assert lookup.ask(8, AT_HOME)
    assert wait_for(lookup, 2) == {7: CONFIRMED, 8: UNCONFIRMED}
    assert lookup.answers() == []
    assert not select.select([lookup.fileno()], [], [], 0)[0]
    assert lookup.ask(9, ABROAD)
    assert wait_for(lookup) == {9: CONFIRMED}


def test_a_stopped_lookup_starts_again(lookup: RoamingLookup) -> None:
    lookup.stop()
    lookup.start()
    lookup.start()
    assert lookup.ask(1, ABROAD)
    assert wait_for(lookup) == {1: CONFIRMED}


def test_constructors_are_inert(tmp_path: Path) -> None:
    threads = threading.active_count()
    RoamingTable(tmp_path / "none")
    HttpRoaming("http://127.0.0.1:1", 100)
    assert not (tmp_path / "none").exists()
    assert threading.active_count() == threads


def test_the_table_forgets_by_itself_and_is_asked_by_compiled_code(tmp_path: Path) -> None:
    table = RoamingTable(tmp_path / "roaming")
    table.open()
    key = key_of_digits(ABROAD)
    assert table.put([(key, NOW + 10)], NOW, "w") == 1
    assert not table.get(key, NOW)
    assert table.refresh()
    assert table.get(key, NOW + 9)
    assert allow_id(look_up(table.arrays, key, NOW, ROLE_CALLER)) == 1
    assert not table.get(key, NOW + 10)
    table.put([(key, NOW + 20)], NOW, "w")
    table.refresh()
    assert table.get(key, NOW + 10)
    assert [entry.expires for entry in table.entries()] == [NOW + 20]
    for wrong in ((text_key("alice"), NOW + 1), (key, NOW)):
        with pytest.raises(ListError):
            table.put([wrong], NOW, "w")
    table.close()


@pytest.mark.parametrize("number", ["404", "500", "302", "1", "2", "3", "4"])
def test_what_is_no_answer_is_unknown_and_not_kept(url: str, number: str) -> None:
    http = HttpRoaming(url, 5000)
    http.start()
    for ticket in (1, 2):
        assert http.ask(ticket, number)
        assert wait_for(http) == {ticket: UNKNOWN}
    http.stop()
    assert http.counts.failed == 2
    assert Service.asked == [number, number]


def test_answers_are_kept_for_a_while(url: str) -> None:
    http = HttpRoaming(url, 5000)
    http.start()
    for ticket in range(5):
        assert http.ask(ticket, AT_HOME)
        assert wait_for(http) == {ticket: UNCONFIRMED}
    http.stop()
    assert (http.counts.answered, http.counts.from_cache) == (1, 4)
    assert Service.asked == [AT_HOME]


def test_silence_is_unknown_when_the_budget_is_over(url: str) -> None:
    http = HttpRoaming(url, 50)
    http.start()
    assert http.ask(1, "9")
    assert wait_for(http) == {1: UNKNOWN}
    Service.release.set()
    http.stop()
    assert http.counts.late + http.counts.failed == 1


def test_too_much_under_way_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roaming_module, "MOST_UNDER_WAY", 3)
    http = HttpRoaming(url, 300)
    http.start()
    assert [http.ask(ticket, f"9{ticket}") for ticket in range(5)] == [True, True, True, False, False]
    assert wait_for(http, 3) == dict.fromkeys(range(3), UNKNOWN)
    assert http.ask(6, ABROAD)
    assert wait_for(http) == {6: CONFIRMED}
    Service.release.set()
    http.stop()
    assert (http.counts.asked, http.counts.refused) == (4, 2)


def test_nobody_there_is_unknown() -> None:
    for url in ("http://127.0.0.1:1/x", "no address at all"):
        http = HttpRoaming(url, 2000)
        http.start()
        assert http.ask(1, ABROAD)
        assert wait_for(http) == {1: UNKNOWN}
        http.stop()
    assert not http.ask(2, ABROAD)
