"""The console in a real browser, on a real node: every page for every role that may see it, in both languages.

One node and one browser serve all tests; a session is begun once for each role.
"""

from __future__ import annotations

import csv
import io
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_socket
from playwright.sync_api import expect, sync_playwright

from e2e.browser import PASSWORD, WAIT_MS, Browsers, ConsoleNode, Desk
from e2e.case_flow import live_through, some_cases
from e2e.console_places import PLACES, TABLES, Place
from e2e.processes import free_port
from e2e.sampling_flow import some_samples
from hutong.app.site import NAV
from hutong.kernel.access.permissions import ROLES, permissions_of
from hutong.kernel.web.console import GROUPS

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.peer("chromium"), pytest.mark.enable_socket]

CALLS = 2000
LANGUAGES = ("zh", "en")
CHINESE = re.compile(r"[\u4e00-\u9fff]+")
LISTED = "13900130007"
LISTED_AT = "/lists/8"
OWN_WORDS = "plough-lantern-42-orchard"


NAVIGATION = {it.path: it.permission for group in GROUPS for it in NAV if it.group == group}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleNode]:
    pytest_socket.enable_socket()
    # With a process for stations, so that the page of load has something to say.
    stations = f'[sampling]\nlisten = "127.0.0.1:{free_port()}"\n'
    node = ConsoleNode(tmp_path_factory.mktemp("console"), more=stations)
    try:
        node.start()
        node.make_calls(CALLS)
        yield node
    finally:
        node.stop()


@pytest.fixture(scope="module")
def browsers(node: ConsoleNode) -> Iterator[Browsers]:
    with sync_playwright() as playwright:
        browsers = Browsers(playwright, node)
        yield browsers
        browsers.close()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def paths(node: ConsoleNode, browsers: Browsers) -> dict[str, str]:
    """What stands for the places in the paths."""
    desk = browsers.desk("analyst")
    desk.open("/live/cities")
    desk.page.locator("#search").fill(LISTED)
    desk.page.keyboard.press("Enter")
    desk.page.wait_for_url("**/numbers/*")
    ref = desk.path.rpartition("/")[2]
    desk.close()
    assert LISTED not in ref
    now_ms = time.time_ns() // 1_000_000
    made = {**some_cases(node.data, now_ms), **some_samples(node.data, now_ms)}
    return {"seq": str(node.blocked_call()), "ref": ref, **made}


def _may(role: str, place: Place) -> bool:
    return place.permission in permissions_of(role) and not _is_others(role, place)  # type: ignore[arg-type]


def _is_others(role: str, place: Place) -> bool:
    """Whether it is about cases that partners do not see: to them they are not there."""
    return role == "partner" and place.path.endswith(("{case}", "{register}"))


def test_no_page_of_the_navigation_is_forgotten() -> None:
    assert set(NAVIGATION.items()) <= {(place.path, place.permission) for place in PLACES}


def _shown(role: str, language: str) -> list[Place]:
    """In Chinese every page of a role; in English those that no role before it has shown."""
    before = ROLES[: ROLES.index(role)] if language == "en" else ()  # type: ignore[arg-type]
    return [place for place in PLACES if _may(role, place) and not any(_may(it, place) for it in before)]


@pytest.mark.parametrize(("role", "language"), [(r, it) for r in ROLES for it in LANGUAGES if _shown(r, it)])
def test_every_page_that_a_role_may_see(
    browsers: Browsers, paths: dict[str, str], pictures: Path, role: str, language: str
) -> None:
    desk = browsers.desk(role, language)
    with desk.looked_at(pictures):
        for place in _shown(role, language):
            desk.open(place.path.format(**paths))
            assert desk.heading
            assert desk.page.locator("html").get_attribute("lang") == {"zh": "zh-CN", "en": "en"}[language]
            chinese = CHINESE.findall(desk.words)
            assert bool(chinese) == (language == "zh"), f"{place.path}: {chinese[:5]}"
            assert desk.navigation == [path for path, need in NAVIGATION.items() if need in permissions_of(role)]  # type: ignore[arg-type]
            assert desk.narrow_overflow() == 0, place.path
            desk.assert_clean()
    desk.close()


@pytest.mark.parametrize("role", ROLES)
def test_a_page_that_a_role_may_not_see_says_so(
    browsers: Browsers, paths: dict[str, str], pictures: Path, role: str
) -> None:
    desk = browsers.desk(role, "en")
    with desk.looked_at(pictures):
        for place in PLACES:
            if _may(role, place):
                continue
            desk.open(place.path.format(**paths), expect=404 if _is_others(role, place) else 403)
            assert desk.heading
            expect(desk.page.locator("main a[href='/']")).to_be_visible()
            desk.assert_clean()
    desk.close()


@pytest.mark.parametrize(("scheme", "language"), [("light", "zh"), ("dark", "en")])
def test_axe_finds_nothing_serious(
    browsers: Browsers, paths: dict[str, str], pictures: Path, scheme: str, language: str
) -> None:
    found = {}
    for role in ("operator", "auditor", "administrator", "partner"):
        seen = [place for place in PLACES if _may(role, place) and f"{place.path}" not in found]
        desk = browsers.desk(role, language, color_scheme=scheme)
        with desk.looked_at(pictures):
            for place in seen:
                desk.open(place.path.format(**paths))
                found[place.path] = desk.axe()
        desk.close()
    stranger = browsers.desk("", language, color_scheme=scheme)
    stranger.open("/signin")
    found["/signin"] = stranger.axe()
    stranger.close()
    assert len(found) == len(PLACES) + 1
    assert not {path: findings for path, findings in found.items() if findings}


@pytest.mark.parametrize(("path", "role"), TABLES)
def test_a_table_sorts_filters_pages_and_exports(browsers: Browsers, pictures: Path, path: str, role: str) -> None:
    desk = browsers.desk(role, "en")
    page = desk.page
    with desk.looked_at(pictures):
        desk.open(path)
        region = page.locator(".table-region").first
        expect(region.locator("tbody tr").first).to_be_visible()
        _sort(desk)
        _change_size(desk)
        _export(desk)
        _filter_away(desk)
        desk.assert_clean()
    desk.close()


def _sort(desk: Desk) -> None:
    """By its last sortable column: the heading says so, and so does the address."""
    region = desk.page.locator(".table-region").first
    name = region.locator("th a.sort").last.inner_text()
    region.locator("th a.sort").last.click()
    heading = desk.page.locator(".table-region th[aria-sort]").first
    expect(heading).to_have_text(re.compile(re.escape(name)))
    first = heading.get_attribute("aria-sort")
    desk.page.locator(".table-region th[aria-sort] a.sort").first.click()
    expect(desk.page.locator(".table-region th[aria-sort]").first).not_to_have_attribute("aria-sort", first or "")
    assert "sort=" in desk.path


def _change_size(desk: Desk) -> None:
    sizes = desk.page.locator(".table-region .sizes").first
    if sizes.count():
        sizes.get_by_role("link").last.click()
        expect(desk.page).to_have_url(re.compile("size="))


def _export(desk: Desk) -> None:
    with desk.page.expect_download() as waiting:
        desk.page.locator(".table-region a.export").first.click()
    download = waiting.value
    assert download.suggested_filename.endswith(".csv")
    text = Path(download.path()).read_bytes()
    assert text.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(text.decode("utf-8-sig"))))
    assert len(rows) > 1
    assert {len(row) for row in rows} == {len(rows[0])}


def _filter_away(desk: Desk) -> None:
    """A filter that nothing fits: said so, and taken away again with one link."""
    fields = desk.page.locator(".table-region form.filters input[type=search]")
    if not fields.count():
        return
    fields.first.fill("nothing-like-this")
    desk.page.keyboard.press("Enter")
    expect(desk.page.locator(".table-region .chip").first).to_be_visible()
    expect(desk.page.locator(".table-region tbody tr")).to_have_count(0)
    desk.page.locator(".table-region .chip").first.click()
    expect(desk.page.locator(".table-region tbody tr").first).to_be_visible()


def test_a_case_lives_from_finding_to_closing_in_two_browsers(
    browsers: Browsers, pictures: Path, tmp_path: Path
) -> None:
    one, other = browsers.desk("operator", "en"), browsers.desk("analyst", "en")
    evidence = tmp_path / "note.txt"
    evidence.write_text("dialled at ten, answered by a machine\n", encoding="utf-8")
    with one.looked_at(pictures), other.looked_at(pictures):
        live_through(one, other, evidence)
    one.close()
    other.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_listed_number_is_whole_for_a_purpose_and_masked_again(
    browsers: Browsers, pictures: Path, language: str
) -> None:
    desk = browsers.desk("operator", language)
    main = desk.page.locator("main")
    with desk.looked_at(pictures):
        desk.open(LISTED_AT)
        expect(main).to_contain_text("139****0007")
        assert LISTED not in desk.page.content()
        main.locator("details.disclosure > summary").click()
        _say_what_for(desk)
        desk.page.keyboard.press("Enter")
        expect(main).to_contain_text(LISTED)
        assert desk.narrow_overflow() == 0
        desk.assert_clean()
        desk.open(LISTED_AT)
        assert LISTED not in desk.page.content()
        desk.open("/lists?kind=number")
        main.locator("details.disclosure > summary").click()
        _say_what_for(desk)
        with desk.page.expect_download() as waiting:
            desk.page.keyboard.press("Enter")
        assert f"0086{LISTED}" in Path(waiting.value.path()).read_text("utf-8")
        assert LISTED not in desk.page.content()
        assert not desk.axe()
        desk.assert_clean()
    desk.close()


def _say_what_for(desk: Desk) -> None:
    desk.page.locator("select[name=purpose]").select_option("complaint")
    desk.page.locator("input[name=detail]").fill("2027-15 / 张三")


@pytest.mark.parametrize("language", LANGUAGES)
def test_from_a_one_time_password_to_signing_out(
    node: ConsoleNode, browsers: Browsers, pictures: Path, language: str
) -> None:
    one_time = node.add_person(f"newcomer-{language}", "analyst")
    desk = browsers.desk("", language)
    page = desk.page
    with desk.looked_at(pictures):
        desk.open("/verdicts")
        assert desk.path == "/signin?next=%2Fverdicts"
        browsers.sign_in(desk, f"newcomer-{language}", one_time)
        assert desk.path == "/account/password"
        desk.open("/lists")
        assert desk.path == "/account/password"
        for name, value in (("old", one_time), ("new", OWN_WORDS), ("again", OWN_WORDS)):
            page.locator(f"input[name={name}]").fill(value)
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "/account/password" not in url)
        desk.open("/lists")
        desk.assert_clean()
        page.locator("details.menu:not(.nav-narrow) > summary[aria-label]").click()
        page.locator("form[action='/signout'] button").click()
        page.wait_for_url("**/signin*")
        desk.open("/lists")
        assert desk.path.startswith("/signin")
        desk.assert_clean()
    desk.close()


def test_a_wrong_password_says_no_more_than_that(browsers: Browsers, pictures: Path) -> None:
    desk = browsers.desk("", "en")
    said = set()
    with desk.looked_at(pictures):
        for name, password in (("operator", "not-this-one-4711"), ("nobody", PASSWORD)):
            desk.open("/signin")
            desk.page.locator("input[name=name]").fill(name)
            desk.page.locator("input[name=password]").fill(password)
            desk.page.keyboard.press("Enter")
            said.add(desk.page.get_by_role("alert").inner_text(timeout=WAIT_MS))
    assert len(said) == 1
    desk.close()


def test_the_keyboard_alone_reaches_everything(browsers: Browsers, pictures: Path) -> None:
    desk = browsers.desk("operator", "en")
    page = desk.page
    with desk.looked_at(pictures):
        desk.open("/live/cities")
        stops = _tab_through(desk)
        assert stops[0] == "#content"
        order = [stop for stop in stops if stop in NAVIGATION]
        allowed = [path for path, need in NAVIGATION.items() if need in permissions_of("operator")]
        assert order[: len(allowed) + 1] == ["/", *allowed]  # the brand leads home too
        desk.open("/")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()
        page.keyboard.press("g")
        page.keyboard.press(page.locator('.nav-wide a[href="/lists"]').get_attribute("data-key") or "?")
        page.wait_for_url("**/lists")
        page.keyboard.press("/")
        expect(page.locator("#search")).to_be_focused()
        page.keyboard.type(LISTED)
        page.keyboard.press("Enter")
        page.wait_for_url("**/numbers/*")
        desk.assert_clean()
    desk.close()


def _tab_through(desk: Desk) -> list[str]:
    """Where Tab leads, from the first stop until it leaves the page; every stop must be seen. Groups are opened."""
    stops: list[str] = []
    for _ in range(200):
        desk.page.keyboard.press("Tab")
        if desk.page.evaluate("document.activeElement.matches('.nav-wide summary')"):
            desk.page.keyboard.press("Enter")
        stop = desk.page.evaluate(
            """() => {
              const it = document.activeElement;
              if (!it || it === document.body) return null;
              const box = it.getBoundingClientRect(), { outlineStyle, outlineWidth } = getComputedStyle(it);
              const seen = box.width > 0 && box.height > 0 && outlineStyle !== "none" && outlineWidth !== "0px";
              return { at: it.getAttribute("href") ?? it.id ?? it.tagName, seen };
            }"""
        )
        if stop is None:
            return stops
        assert stop["seen"], f"the focus at {stop['at']} of {desk.path} cannot be seen"
        stops.append(stop["at"])
    raise AssertionError(f"Tab does not leave {desk.path}: {stops[-10:]}")


def test_the_wall_leads_on(browsers: Browsers, node: ConsoleNode, pictures: Path) -> None:
    desk = browsers.desk("operator", "en")
    page = desk.page
    with desk.looked_at(pictures):
        desk.open("/")
        node.make_calls(300, seed=2)
        disc = page.locator("#map [data-area]").last  # the smallest lies on top
        expect(disc).to_be_visible(timeout=WAIT_MS)
        disc.hover()
        expect(page.locator("#map-tip")).to_contain_text("calls")
        page.locator("#cities tbody a").first.click()
        page.wait_for_url("**/verdicts?area=*")
        desk.open("/")
        page.locator("#latest tbody a").first.click()
        page.wait_for_url("**/calls/*")
        desk.assert_clean()
    desk.close()


def test_a_new_alert_appears_on_page_and_wall_without_reloading(
    browsers: Browsers, node: ConsoleNode, pictures: Path
) -> None:
    page_desk, wall_desk = browsers.desk("operator", "en"), browsers.desk("analyst", "zh")
    page = page_desk.page
    with page_desk.looked_at(pictures), wall_desk.looked_at(pictures):
        # What only rules in observe say of the node's own calls, which ring for long, is not awaited here.
        page_desk.open("/alerts?stage=alert")
        wall_desk.open("/?wall=1")
        expect(page.locator("#alerts .empty")).to_be_visible()
        page.evaluate("window.stillTheSame = true")
        first = node.raise_alert("victim.long-talk")
        expect(page.locator(f"[data-alert='{first}']")).to_be_visible(timeout=WAIT_MS)
        expect(page.locator("#alerts-head h1")).to_contain_text("flagged callers are working on 1 people")
        expect(page.locator("#alerts-news")).to_have_text("1 new alert")
        expect(wall_desk.page.locator("#duty .notice")).to_contain_text("正在告警的通话", timeout=WAIT_MS)
        # A row must not move away under a pointer that is about to click.
        page.locator(f"[data-alert='{first}'] td").first.hover()
        second = node.raise_alert("costly.premium")
        expect(page.locator("#alerts-news")).to_contain_text("There is news", timeout=WAIT_MS)
        expect(page.locator(f"[data-alert='{second}']")).to_have_count(0)
        page.mouse.move(2, 2)
        expect(page.locator("[data-alert]").first).to_have_attribute("data-alert", str(second), timeout=WAIT_MS)
        # Filters are kept, and so is what is half written in them.
        page.locator("select[name=kind]").select_option("costly")
        expect(page).to_have_url(re.compile("kind=costly"))
        expect(page.locator("[data-alert]")).to_have_count(1)
        third = node.raise_alert("costly.premium")
        expect(page.locator("[data-alert]").first).to_have_attribute("data-alert", str(third), timeout=WAIT_MS)
        node.raise_alert("victim.long-talk")
        expect(page.locator("#alerts-head h1")).to_contain_text("4 calls under alert", timeout=WAIT_MS)
        expect(page.locator("[data-alert]")).to_have_count(2)
        assert page.evaluate("window.stillTheSame")
        assert page_desk.narrow_overflow() == 0
        assert page_desk.axe() == []
        page_desk.assert_clean()
        wall_desk.assert_clean()
    page_desk.close()
    wall_desk.close()


def test_a_page_of_alerts_ends_with_its_session(browsers: Browsers, pictures: Path) -> None:
    desk = browsers.desk("analyst", "en")
    with desk.looked_at(pictures):
        desk.page.route("**/live/stream*", lambda route: route.fulfill(status=401))
        desk.open("/alerts")
        desk.context.clear_cookies()
        desk.page.wait_for_url("**/signin*", timeout=2 * WAIT_MS)
    desk.close()


def test_a_rule_that_was_demoted_by_itself_is_seen_by_whoever_is_on_duty(
    browsers: Browsers, node: ConsoleNode, pictures: Path
) -> None:
    desk = browsers.desk("operator", "en")
    with desk.looked_at(pictures):
        desk.open("/")
        notice = desk.page.locator("#duty .notice.block")
        expect(notice).to_have_count(0)
        with node.a_rule_demoted("calls.many-callees"):
            expect(notice).to_contain_text("was demoted to observe by itself", timeout=WAIT_MS)
            assert desk.axe() == []
            assert desk.narrow_overflow() == 0
            notice.get_by_role("link").click()
            desk.page.wait_for_url("**/rules/calls.many-callees")
            expect(desk.page.locator("main")).to_contain_text("Demoted to observe by itself")
            assert "<time" not in desk.page.locator("main").inner_text()
            desk.open("/health")
            expect(desk.page.locator(".health-list .notice")).to_contain_text(["Rules demoted by themselves"])
            desk.assert_clean()
    desk.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_backtest_is_started_from_a_rules_page_and_shows_what_came_out(
    browsers: Browsers, node: ConsoleNode, pictures: Path, language: str
) -> None:
    node.await_archive()
    desk = browsers.desk("analyst", language)
    page = desk.page
    with desk.looked_at(pictures):
        desk.open("/rules/calls.many-callees")
        page.locator("#evidence header a.button").click()
        page.wait_for_url("**/backtests")
        page.locator("select[name=labels]").select_option("listed.csv")
        page.locator("form.wide button").click()
        done = page.locator("#backtests .verdict.pass").first
        expect(done).to_be_visible(timeout=240_000)
        expect(page.locator("#backtests figure.interval")).to_be_visible()
        assert desk.narrow_overflow() == 0
        assert desk.axe() == []
        desk.assert_clean()
        desk.open("/rules/calls.many-callees")
        expect(page.locator("#evidence figure.interval")).to_be_visible()
        expect(page.locator("#backtests tbody tr").first).to_be_visible()
        desk.assert_clean()
    desk.close()


def test_the_wall_of_a_session_that_ended_leads_to_signing_in(browsers: Browsers, pictures: Path) -> None:
    desk = browsers.desk("viewer", "en")
    with desk.looked_at(pictures):
        desk.page.route("**/live/stream*", lambda route: route.fulfill(status=401))
        desk.open("/")
        desk.context.clear_cookies()
        desk.page.wait_for_url("**/signin")
    desk.close()


@pytest.mark.parametrize(("language", "words"), [("zh", "来话被拦截怎么办"), ("en", "Your call was blocked")])
def test_blocked_callers_have_a_public_page(
    browsers: Browsers, node: ConsoleNode, pictures: Path, language: str, words: str
) -> None:
    desk = browsers.desk("", language, host=node.public_url)
    with desk.looked_at(pictures):
        desk.open("/redress")
        assert desk.heading == words
        assert desk.narrow_overflow() == 0
        assert desk.axe() == []
        for path in (
            "/appeal",
            "/report",
            "/report?kind=call",
            "/report?kind=message",
            "/report?kind=web",
            "/report/receipt",
        ):
            desk.open(path)
            assert desk.heading
            assert desk.narrow_overflow() == 0, path
            assert desk.axe() == [], path
        for path in ("/", "/signin", "/verdicts", "/v1/verdicts", "/metrics"):
            desk.open(path, expect=404)
        desk.assert_clean()
    desk.close()


def test_the_wall_says_when_screening_is_gone(browsers: Browsers, node: ConsoleNode, pictures: Path) -> None:
    desk = browsers.desk("viewer", "en")
    headline = desk.page.get_by_role("heading", level=1)
    with desk.looked_at(pictures):
        desk.open("/")
        expect(headline).not_to_contain_text("No screening data")
        with node.screening_suspended():
            expect(headline).to_contain_text("No screening data for", timeout=WAIT_MS)
            expect(desk.page).to_have_title(re.compile("^⚠"))
            assert not [finding for finding in desk.axe() if finding.id == "color-contrast"]
        expect(headline).not_to_contain_text("No screening data", timeout=WAIT_MS)
        desk.assert_clean()
    desk.close()
