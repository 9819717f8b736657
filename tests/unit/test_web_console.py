"""The console's frame and components: colours that can be read, tables and charts as markup, errors, zones."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from litestar import Request, get
from litestar.exceptions import HTTPException

from access_site import AccessSite, SiteBadges, Visitor
from hutong.kernel.web.charts import Chart, Series
from hutong.kernel.web.console import Console, NavItem, time_element, zone_named
from hutong.kernel.web.frame import STATIC, Frame, figure
from hutong.kernel.web.guard import requires
from hutong.kernel.web.problems import Problem
from hutong.kernel.web.tables import Column, Filter, TableSpec, page_of, read_query
from hutong.kernel.web.texts import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPEC = TableSpec(
    id="kits",
    columns=(
        Column("name", "people.name"), Column("size", "Size", number=True), Column("deeds", "Deeds", sortable=False),
    ),
    filters=(
        Filter("name", "people.name"),
        Filter("kind", "Kind", "choice", (("a", "people.state_enabled"), ("b", "Plain"))),
        Filter("since", "trail.since", "time"),
    ),
    sort="name",
    sizes=(10, 20),
)  # fmt: skip
CHART = Chart(
    "line", ["10:00", "10:01"], [Series("Blocked", [3, None], "block"), Series("All", [12_345, 0.12345])],
    unit="calls", x_text="Time",
)  # fmt: skip
TEMPLATE = """{% extends "base.html" %}{% import "kit.html" as kit with context %}{% block title %}Kit{% endblock %}
{% block content %}<h1>Kit</h1>
{% call kit.table(view, "No kits", "Make one", "Kits") %}
{% for it in view.rows %}<tr><td>{{ it }}</td></tr>{% endfor %}{% endcall %}
{{ kit.chart("c", "Calls", chart) }}{{ kit.notice("late", "Late", "Wait") }}{% endblock %}"""


def tokens(theme: str) -> dict[str, str]:
    """The colours of a theme as tokens.css gives them."""
    css = re.sub(r"/\*.*?\*/", "", (STATIC / "tokens.css").read_text(encoding="utf-8"), flags=re.DOTALL)
    start = {
        "light": r":root \{\s*color-scheme",
        "dark": r':root\[data-theme="dark"\] \{\s*--',
        "dark by system": r':root:not\(\[data-theme="light"\]\) \{',
    }[theme]
    found = re.search(start + r"[^}]*", css)
    assert found
    return dict(re.findall(r"--([a-z0-9-]+):\s*(#[0-9a-f]{6});", found[0]))


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, relative luminance."""
    lights = []
    for colour in (one, other):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (it / 12.92 if it <= 0.04045 else ((it + 0.055) / 1.055) ** 2.4 for it in parts)
        lights.append(0.2126 * red + 0.7152 * green + 0.0722 * blue)
    return (max(lights) + 0.05) / (min(lights) + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_edges_can_be_told_from_what_is_behind(theme: str) -> None:
    colours = tokens(theme)
    for ink in ("ink", "ink-quiet", "accent", "pass-ink", "warn-ink", "block-ink", "late-ink"):
        for ground in ("paper", "surface"):
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    for mark in ("pass", "warn", "block", "late"):
        for ink in ("ink", f"{mark}-ink"):
            assert contrast(colours[ink], colours[f"{mark}-wash"]) >= 4.5, (ink, mark)
    assert contrast(colours["on-accent"], colours["accent"]) >= 4.5
    assert contrast(colours["ink"], colours["accent-wash"]) >= 4.5
    for shape in ("edge", "focus", *(f"series-{n}" for n in range(1, 7))):
        assert contrast(colours[shape], colours["surface"]) >= 3, shape


def test_dark_is_the_same_by_choice_and_by_the_system() -> None:
    assert tokens("dark") == tokens("dark by system")
    assert set(tokens("dark")) == set(tokens("light"))


@pytest.fixture
def site(data_folder: Path) -> Iterator[AccessSite]:
    (data_folder / "templates").mkdir()
    (data_folder / "templates" / "kit_test.html").write_text(TEMPLATE, encoding="utf-8")
    (data_folder / "texts.toml").write_text("", encoding="utf-8")
    kits = [f"kit {n:02}" for n in range(25)]
    made: list[AccessSite] = []

    @get("/kits", sync_to_thread=False, opt=requires("live.read"))
    def page(request: Request[Any, Any, Any]) -> Any:  # noqa: ANN401  # what Litestar takes
        query = read_query(SPEC, request.query_params)
        view = page_of(SPEC, query, kits, lambda it, key: "b" if key == "kind" else it)
        return made[0].console.page(request, "kit_test.html", view=view, chart=CHART)

    @get("/v1/broken", sync_to_thread=False, opt=requires("live.read"))
    def broken() -> None:
        raise ValueError("inside")

    @get("/v1/full", sync_to_thread=False, opt=requires("live.read"))
    def full() -> None:
        raise Problem(429, "/problems/rate", "Too fast", "Wait a second.", headers={"Retry-After": "1"}, limit=50)

    @get("/broken/{how:str}", sync_to_thread=False, opt=requires("live.read"))
    def broken_page(request: Request[Any, Any, Any]) -> None:
        if request.path_params["how"] == "teapot":
            raise HTTPException("Out of tea.", status_code=418)
        raise ValueError("inside")

    site = AccessSite(data_folder, more=[page, broken, full, broken_page], folders=[data_folder])
    made.append(site)
    SiteBadges(site)
    yield site
    site.database.close()


@pytest.fixture
def analyst(site: AccessSite) -> Visitor:
    return site.visitor(site.cookie("analyst-1"))


def test_a_table_sorts_filters_pages_and_exports(analyst: Visitor) -> None:
    page = analyst.get("/kits?sort=-size&kind=b&lang=en").text
    head = '<th scope="col" class="number" aria-sort="descending"><a class="sort" '
    assert f'{head}href="?lang=en&amp;kind=b&amp;sort=size"' in page
    assert page.count("aria-sort") == 1
    assert '<th scope="col">Deeds</th>' in page
    assert '<option value="b" selected>Plain</option>' in page
    assert '<option value="a">enabled</option>' in page
    assert '<input type="hidden" name="lang" value="en"><input type="hidden" name="sort" value="-size">' in page
    assert "<span>Kind: Plain</span>" in page
    assert 'aria-label="Remove the filter “Kind”"' in page
    assert "Rows 1–10 of 25" in page
    assert 'href="?lang=en&amp;kind=b&amp;sort=-size&amp;page=2"' in page
    assert 'href="?lang=en&amp;kind=b&amp;sort=-size&amp;size=20"' in page
    assert 'class="export" href="?lang=en&amp;kind=b&amp;sort=-size&amp;format=csv"' in page
    assert 'hx-target="#kits" hx-select="#kits"' in page
    assert 'type="datetime-local" name="since"' in page


def test_an_empty_table_says_what_to_do_next(analyst: Visitor) -> None:
    page = analyst.get("/kits?name=absent").text
    assert "No row fits the filters" in page
    assert 'class="chip"' in page
    assert "<table>" not in page.partition("chart-figure")[0]


def test_export_is_offered_to_those_who_may(site: AccessSite) -> None:
    assert "format=csv" not in site.visitor(site.cookie("viewer-1")).get("/kits").text


def test_a_chart_has_a_table_that_says_the_same(analyst: Visitor) -> None:
    page = analyst.get("/kits").text
    found = re.search(r'data-chart="([^"]+)"', page)
    assert found
    drawn = msgspec.json.decode(found[1].replace("&#34;", '"'))
    assert [it["values"] for it in drawn["series"]] == [[3, None], [12_345, 0.12345]]
    assert drawn["series"][0]["mark"] == "block"
    details = page.partition("<details>")[2].partition("</details>")[0]
    assert re.findall(r"<t[dh][^>]*>([^<]*)</t[dh]>", details) == [
        "Time", "Blocked", "All", "10:00", "3", "12,345", "10:01", "–", "0.1235",
    ]  # fmt: skip
    assert [figure(value) for value in (None, 0, 1e6, 0.5)] == ["–", "0", "1,000,000", "0.5"]


def test_a_chart_that_does_not_add_up_is_refused() -> None:
    with pytest.raises(ValueError, match="1 values for 2 x"):
        Chart("bar", ["a", "b"], [Series("x", [1])])
    assert Chart("bar", [], []).empty
    assert Chart("bar", ["a"], [Series("x", [None])]).empty
    assert not CHART.empty


def test_search_is_for_those_who_may_look_numbers_up(site: AccessSite) -> None:
    for role, shown in (("viewer", False), ("analyst", True), ("operator", True), ("auditor", False)):
        page = site.visitor(site.cookie(f"{role}-1")).get("/kits").text
        assert ('action="/search"' in page) is shown, role
        assert ('name="q"' in page) is shown, role


def test_programs_get_problems_that_tell_nothing_of_the_inside(site: AccessSite) -> None:
    _, secret = site.tokens.make("analyst-1", "x", {"live.read"}, site.now_ms + 1000, site.now_ms)
    program = site.visitor(authorization=f"Bearer {secret}")
    reply = program.get("/v1/broken")
    assert (reply.status_code, reply.headers["content-type"]) == (500, "application/problem+json")
    assert reply.json() == {
        "type": "about:blank", "title": "Internal Server Error", "status": 500, "instance": "/v1/broken",
    }  # fmt: skip
    full = program.get("/v1/full")
    assert full.json() == {
        "type": "/problems/rate", "title": "Too fast", "status": 429, "detail": "Wait a second.",
        "instance": "/v1/full", "limit": 50,
    }  # fmt: skip
    assert full.headers["retry-after"] == "1"
    assert program.get("/v1/nowhere").json()["status"] == 404
    assert program.client.post("/v1/full").json()["title"] == "Method Not Allowed"


@pytest.mark.parametrize("language", LANGUAGES)
def test_people_get_a_page_that_says_what_to_do(analyst: Visitor, language: str) -> None:
    for path, status in (("/broken/x", 500), ("/broken/teapot", 418), ("/nowhere", 404)):
        reply = analyst.get(f"{path}?lang={language}")
        assert reply.status_code == status
        assert reply.text.count("<h1") == 1
        assert "inside" not in reply.text.lower().replace("inside the server", "")
        assert 'href="/"' in reply.text
    assert "Out of tea." in analyst.get("/broken/teapot").text


def test_a_navigation_of_unknown_permissions_ends_the_start(site: AccessSite) -> None:
    with pytest.raises(KeyError):
        Console(Frame(), [NavItem("system", "/x", "frame.menu", "moon.read")], "n", site.clock)


def test_no_page_and_no_key_stands_twice_in_the_navigation(site: AccessSite) -> None:
    first = NavItem("watch", "/x", "frame.menu", "live.read", "x")
    wrong = [
        NavItem("system", "/x", "frame.menu", "live.read", "y"),
        NavItem("system", "/y", "frame.menu", "live.read", "x"),
        NavItem("system", "/y", "frame.menu", "live.read", "Y"),
        NavItem("other", "/y", "frame.menu", "live.read", "y"),  # type: ignore[arg-type]
    ]
    for item in wrong:
        with pytest.raises(ValueError, match=r"^The (navigation|key)"):
            Console(Frame(), [first, item], "n", site.clock)


def test_times_are_elements_in_a_zone() -> None:
    zone = zone_named("Asia/Shanghai")
    assert zone is not None
    assert str(time_element(1_767_225_600_123, zone, "milli")) == (
        '<time datetime="2026-01-01T08:00:00.123+08:00" title="2026-01-01T08:00:00.123+08:00 Asia/Shanghai">'
        "2026-01-01 08:00:00.123</time>"
    )
    assert str(time_element(None, zone)) == "–"
    for name in ("", "..", "../UTC", "/etc/passwd", "Asia", "Asia/Nowhere", "a" * 300, "posix/../UTC", "UTC\n"):
        assert zone_named(name) is None, name
