"""Pages about verdicts, numbers and calls: what they find, what they mask, and that nothing is whole off the record."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

import pytest

from console_pages import NOW, ConsoleSite
from hutong.calls import console as package
from hutong.calls.alerts.views import AlertViews
from hutong.calls.console import alerts, call, numbers, search, verdicts
from hutong.calls.console.verdict_table import areas_of
from hutong.calls.index import Filters, VerdictIndex
from hutong.calls.record import KIND_VERDICT
from hutong.calls.stories.stories import Stories
from hutong.kernel.access.permissions import PERMISSIONS, ROLES
from hutong.kernel.numbering import AREAS, Numbering
from story_data import BUSY, DIVERTER, QUIET, TELLING, fill
from verdict_records import key_of, verdict_body, write_journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from httpx import Response

LANGUAGES = ("zh", "en")
NUMBERS = (BUSY, QUIET, TELLING, DIVERTER)
PURPOSE = {"purpose": "police", "detail": "letter 2027-15"}


class Site(ConsoleSite):
    """With verdicts."""

    def __init__(self, data: Path) -> None:
        super().__init__(data, texts=package.TEXTS)
        self.index = VerdictIndex(data)
        self.stories = Stories(data, self.index, self.refs.ref, "021")
        self.alerts = AlertViews(data, "node1", Numbering("021"), self.refs.ref)
        common = {"stories": self.stories, "index": self.index, "trail": self.trail}
        self.build(
            [
                *verdicts.routes(self.console, **common),
                *numbers.routes(self.console, **common, refs=self.refs),
                *call.routes(self.console, **common, alerts=self.alerts),
                *alerts.routes(self.console, alerts=self.alerts, trail=self.trail),
                *search.routes(self.console, stories=self.stories, refs=self.refs),
            ]
        )

    def path_of(self, number: str) -> str:
        return f"/numbers/{self.refs.ref(key_of(number))}"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    data = tmp_path_factory.mktemp("pages")
    fill(data)
    site = Site(data)
    yield site
    site.close()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.close()


def holds_whole_number(response: Response) -> list[str]:
    """Numbers that stand whole in an answer: as digits, however they are divided."""
    plain = re.sub(r"[-\s.]", "", response.text)
    return [number for number in NUMBERS if number in plain or number.lstrip("0") in plain]


def rows(response: Response) -> list[str]:
    body = response.text.split('id="verdicts"', 1)[1].split("<tbody>", 1)[1].split("</tbody>", 1)[0]
    return re.findall(r"/calls/(\d+)", body)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("path", ["/verdicts", "/search"])
def test_pages_open_on_an_empty_node(empty: Site, path: str, lang: str) -> None:
    assert empty.browser().get(path, lang=lang).status_code == 200


@pytest.mark.parametrize("lang", LANGUAGES)
def test_an_unknown_number_has_a_page_that_says_so(empty: Site, lang: str) -> None:
    answer = empty.browser().get(empty.path_of("10086"), lang=lang)
    assert answer.status_code == 200
    assert {"zh": "没有这个号码的记录", "en": "There is no record of this number"}[lang] in answer.text


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_page_shows_a_whole_number(shared: Site, lang: str) -> None:
    paths = ["/verdicts", "/verdicts?size=100", shared.path_of(BUSY), f"{shared.path_of(QUIET)}?span=72h", "/search"]
    paths += [f"/calls/{seq}" for seq in shared.index.by_number(key_of(QUIET), limit=3)]
    paths += [f"/calls/{seq}" for seq in shared.index.by_number(key_of(BUSY), "caller", limit=3)]
    before = len(shared.deeds("numbers.unmask"))
    for role in ("analyst", "operator", "auditor"):
        for path in paths:
            answer = shared.browser(role).get(path, lang=lang)
            assert answer.status_code in {200, 403}, path
            assert not holds_whole_number(answer), path
    assert len(shared.deeds("numbers.unmask")) == before


@pytest.mark.parametrize("role", ROLES)
def test_each_role_sees_what_the_table_of_permissions_says(shared: Site, role: str) -> None:
    seq = shared.index.by_number(key_of(BUSY), limit=1)[0]
    number, one = shared.path_of(BUSY), f"/calls/{seq}"
    asked = {
        ("GET", "/verdicts"): "verdicts.read",
        ("GET", one): "verdicts.read",
        ("POST", one): "numbers.unmask",
        ("GET", number): "numbers.read",
        ("POST", number): "numbers.unmask",
        ("GET", "/search"): "numbers.read",
        ("POST", "/search"): "numbers.read",
    }
    browser = shared.browser(role)
    for (method, path), permission in asked.items():
        answer = browser.get(path) if method == "GET" else browser.post(path, q=BUSY, **PURPOSE)
        allowed = role in PERMISSIONS[permission].roles
        assert (answer.status_code != 403) == allowed, (method, path)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_number_is_shown_whole_for_a_purpose_that_is_on_the_trail_first(shared: Site, lang: str) -> None:
    path = shared.path_of(QUIET)
    before = len(shared.deeds("numbers.unmask"))
    answer = shared.browser("analyst").post(path, lang=lang, **PURPOSE)
    assert QUIET in answer.text
    assert answer.headers["cache-control"] == "no-store"
    deed = shared.deeds("numbers.unmask")[0]
    assert len(shared.deeds("numbers.unmask")) == before + 1
    assert (deed.who, deed.target) == ("analyst-1", path.removeprefix("/"))
    assert deed.purpose.endswith("letter 2027-15")
    assert deed.after == {"purpose": "police", "numbers": [shared.refs.ref(key_of(QUIET))]}
    assert QUIET not in str(deed)
    assert not holds_whole_number(shared.browser("analyst").get(path, lang=lang))


def test_a_call_is_shown_whole_for_a_purpose_that_is_on_the_trail_first(shared: Site) -> None:
    seq = shared.index.by_number(key_of(QUIET), limit=1)[0]
    answer = shared.browser().post(f"/calls/{seq}", **PURPOSE)
    assert set(holds_whole_number(answer)) == set(NUMBERS)
    deed = shared.deeds("numbers.unmask")[0]
    assert deed.target == f"calls/{seq}"
    assert deed.after["numbers"] == [shared.refs.ref(key_of(it)) for it in (QUIET, BUSY)]


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"purpose": "curiosity", "detail": "let me see"},
        {"purpose": "police"},
        {"purpose": "police", "detail": " x "},
    ],
)
def test_without_a_purpose_nothing_is_shown(shared: Site, said: dict[str, str]) -> None:
    seq = shared.index.by_number(key_of(QUIET), limit=1)[0]
    before = len(shared.deeds("numbers.unmask"))
    for path in (shared.path_of(QUIET), f"/calls/{seq}"):
        answer = shared.browser().post(path, **said)
        assert answer.status_code == 422
        assert 'aria-invalid="true"' in answer.text
        assert not holds_whole_number(answer)
    assert len(shared.deeds("numbers.unmask")) == before


def test_nothing_is_shown_when_the_trail_cannot_be_written(tmp_path: Path) -> None:
    fill(tmp_path, calls=6)
    site = Site(tmp_path)
    browser, path = site.browser(), site.path_of(BUSY)
    with site.database.write() as connection:
        connection.exec_driver_sql("CREATE TRIGGER full BEFORE INSERT ON trail BEGIN SELECT RAISE(FAIL, 'full'); END")
    answer = browser.post(path, **PURPOSE)
    assert answer.status_code >= 500
    assert not holds_whole_number(answer)
    assert len(site.errors) == 1
    site.errors.clear()
    site.close()


def test_the_table_filters_sorts_and_pages(shared: Site) -> None:
    browser = shared.browser()
    total = shared.index.count(Filters())
    assert f"<h1>{total} verdicts</h1>" in browser.get("/verdicts").text
    newest = [str(seq) for seq in shared.index.page(Filters(), limit=25).seqs]
    assert rows(browser.get("/verdicts")) == newest
    second = shared.index.page(Filters(), offset=25, limit=25).seqs
    assert rows(browser.get("/verdicts?page=2")) == [str(seq) for seq in second]
    last = -(-total // 25)
    assert rows(browser.get("/verdicts?page=999")) == rows(browser.get(f"/verdicts?page={last}"))
    blocked = shared.index.page(Filters(action="block"), limit=25)
    found = browser.get("/verdicts?action=block")
    assert rows(found) == [str(seq) for seq in blocked.seqs]
    assert f"<h1>{blocked.total} verdicts</h1>" in found.text
    by_trunk = shared.index.page(Filters(), sort="trunk", descending=False, limit=25).seqs
    assert rows(browser.get("/verdicts?sort=trunk")) == [str(seq) for seq in by_trunk]
    rule = next(iter(shared.index.rules_of_number(key_of(BUSY))))
    assert rows(browser.get(f"/verdicts?rule={rule}")) == [
        str(seq) for seq in shared.index.page(Filters(rule=rule), limit=25).seqs
    ]
    assert rows(browser.get("/verdicts?flags=diverted&trunk=neighbour")) == [
        str(seq) for seq in shared.index.page(Filters(flags=32), limit=25).seqs
    ]
    assert "No row fits the filters" in browser.get("/verdicts?area=0755").text
    assert "No row fits the filters" in browser.get("/verdicts?area=Nowhere").text


def test_time_filters_are_read_in_the_viewers_zone(tmp_path: Path) -> None:
    at_ms = NOW * 1000  # 2027-01-15 16:00 in Shanghai
    frames = [[(KIND_VERDICT, verdict_body(time_ms=at_ms + hour * 3_600_000))] for hour in range(4)]
    write_journal(tmp_path, frames)
    site = Site(tmp_path)
    found = site.browser().get("/verdicts?since=2027-01-15T17:00&until=2027-01-15T19:00")
    assert rows(found) == ["3", "2"]
    site.close()


def test_areas_are_found_by_code_and_by_name() -> None:
    shenzhen = (AREAS.index("0755"),)
    assert areas_of("0755") == areas_of("755") == areas_of(" 深圳 ") == areas_of("shenzhen") == shenzhen
    assert set(shenzhen) < set(areas_of("广东")) == set(areas_of("Guangdong"))
    assert min(areas_of("Atlantis")) >= len(AREAS)


def test_the_table_of_a_number_is_about_that_number(shared: Site) -> None:
    browser, path = shared.browser(), shared.path_of(BUSY)
    as_callee = shared.index.page(Filters(number=key_of(BUSY), role="callee"), limit=25).seqs
    assert rows(browser.get(f"{path}?vrole=callee")) == [str(seq) for seq in as_callee]
    second = shared.index.page(Filters(number=key_of(BUSY)), offset=25, limit=25).seqs
    assert rows(browser.get(f"{path}?vpage=2&span=1h")) == [str(seq) for seq in second]


@pytest.mark.parametrize("path", ["/verdicts?format=csv", "number"])
def test_exports_are_masked_complete_and_on_the_trail(shared: Site, path: str) -> None:
    number = path == "number"
    asked = f"{shared.path_of(BUSY)}?vformat=csv&vaction=block" if number else path
    before = len(shared.deeds("tables.export"))
    answer = shared.browser("analyst").get(asked)
    assert answer.headers["content-type"].startswith("text/csv")
    lines = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    wanted = Filters(number=key_of(BUSY), action="block") if number else Filters()
    assert [int(line[0]) for line in lines[1:]] == shared.index.page(wanted, limit=10_000).seqs
    assert not holds_whole_number(answer)
    deed = shared.deeds("tables.export")[0]
    assert len(shared.deeds("tables.export")) == before + 1
    assert deed.target == (shared.path_of(BUSY).removeprefix("/") if number else "verdicts")
    assert deed.after == {"filters": {"action": "block"} if number else {}}


def test_the_search_leads_to_numbers_and_calls_and_carries_no_number(shared: Site) -> None:
    browser = shared.browser()
    for text in (BUSY, f"+86 {BUSY}", "138-0013-8000", f" 0086{BUSY} "):
        answer = browser.post("/search", q=text)
        assert answer.status_code == 303
        assert answer.headers["location"] == shared.path_of(BUSY)
    assert browser.post("/search", q="10086").headers["location"] == shared.path_of("10086")
    found = browser.post("/search", q="call-b0@192.0.2.99")
    assert found.headers["location"] == "/calls/1"
    for text in ("call-b0", "nobody", "", "' OR 1=1 --", "\x00", "a" * 3000):
        assert browser.post("/search", q=text).status_code == 404


def test_a_caller_without_a_number_is_found_by_name(tmp_path: Path) -> None:
    write_journal(tmp_path, [[(KIND_VERDICT, verdict_body(caller="alice"))]])
    site = Site(tmp_path)
    place = site.browser().post("/search", q="Alice").headers["location"]
    assert place == site.path_of("alice")
    story = site.browser().get(place)
    assert story.status_code == 200
    assert "alice" not in story.text
    site.close()


@pytest.mark.parametrize("path", ["/calls/999999", "/calls/0", "/numbers/x", "/numbers/" + "a" * 26])
def test_what_is_not_there_is_not_found(shared: Site, path: str) -> None:
    assert shared.browser().get(path).status_code == 404
    assert shared.browser().post(path, **PURPOSE).status_code == 404


def test_what_strangers_write_is_text_on_every_page(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    body = verdict_body(caller=evil, from_=evil, diverter=evil, call_id=evil, trunk=evil)
    write_journal(tmp_path, [[(KIND_VERDICT, body)]])
    site = Site(tmp_path)
    for path in ("/verdicts", "/calls/1", site.path_of(evil)):
        answer = site.browser().get(path)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
    assert "<script>alert" not in site.browser().post("/calls/1", **PURPOSE).text
    site.close()
