"""The page of trunks: as configured, with what comes in on them now and over time."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest

from console_pages import CALLS, NOW, ConsoleSite
from hutong.calls.console import trunks
from hutong.calls.console.spans import span_of
from hutong.calls.history import History, Point
from hutong.calls.live.figures import TrunkCount
from hutong.calls.live.view import LiveHistory
from hutong.calls.trunks import UNLISTED, Trunk
from live_samples import snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from httpx import Response

TRUNKS = (
    Trunk("intl-1", "international", ("198.51.100.0/24", "2001:db8::/32")),
    Trunk("bank", "enterprise", ("192.0.2.1/32",), ("02161230000-02161239999",), "127.0.0.1:5090"),
)


class Site(ConsoleSite):
    """With trunks."""

    def __init__(self, data: Path) -> None:
        super().__init__(data, texts=[CALLS / "console" / "texts" / "trunks.toml"])
        self.live = LiveHistory()
        self.build(
            trunks.routes(
                self.console,
                trunks=TRUNKS,
                next_hop="127.0.0.1:5080",
                live=lambda: self.live.view(NOW * 1_000_000_000),
                history=History(self.database, "node1"),
                trail=self.trail,
            )
        )

    def count(self, minutes_ago: int, name: str, attempts: int, blocked: int = 0) -> None:
        counts = {(NOW // 60 - minutes_ago, "trunk", name): [attempts, 0, blocked]}
        assert History(self.database, "node1")._keep(0, 0, counts)  # noqa: SLF001  # as if they had been folded


@pytest.fixture
def site(data_folder: Path) -> Iterator[Site]:
    one = Site(data_folder)
    yield one
    one.close()


def text_of(response: Response) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", response.text)))


@pytest.mark.parametrize("role", ["viewer", "analyst", "operator", "auditor", "administrator"])
def test_everybody_sees_every_trunk_as_configured(site: Site, role: str) -> None:
    for lang in ("zh", "en"):
        response = site.browser(role).get("/trunks", lang=lang)
        assert response.status_code == 200
        said = text_of(response)
        for part in ("intl-1", "2001:db8::/32", "bank", "02161230000-02161239999", "127.0.0.1:5090", "127.0.0.1:5080"):
            assert part in said
    assert "Screening writes no live figures" in said
    assert "2 trunks are configured, 0 carried calls" in said


def test_figures_come_from_the_counters_and_the_minutes(site: Site) -> None:
    site.count(3, "intl-1", 80, 20)
    site.count(30, "intl-1", 20)
    site.count(3000, "bank", 5)
    site.count(10, UNLISTED, 4)
    said = text_of(site.browser().get("/trunks?sort=-day"))
    assert "2 trunks are configured, 1 carried calls" in said
    assert "4 calls of the last 24 hours came from addresses that no trunk claims" in said
    assert re.search(r"intl-1 international – 100 20\.0% 2027-01-15 15:57", said)
    assert re.search(r"bank enterprise – 0 – 2027-01-13 14:00", said)
    export = site.browser().get("/trunks?format=csv&kind=enterprise").text.splitlines()
    assert len(export) == 2
    assert "192.0.2.1/32" in export[1]
    assert [deed.target for deed in site.deeds("tables.export")] == ["trunks"]


def test_the_chart_has_the_busiest_trunks_and_its_table(site: Site) -> None:
    site.count(3, "intl-1", 60, 30)
    site.count(4, UNLISTED, 6)
    page = site.browser().get("/trunks?span=1h").text
    assert "data-chart" in page
    assert re.search(r'<th scope="col" class="number">intl-1</th><th scope="col" class="number">unlisted</th>', page)
    assert '<td class="number">1</td>' in page, "60 calls in a minute are one a second"
    assert '<td class="number">50</td>' in page


def test_calls_a_second_are_live(site: Site) -> None:
    for ago, attempts in ((2, 100), (1, 140), (0, 200)):
        site.live.add(
            snapshot(
                0,
                attempts,
                time_ns=(NOW - ago) * 1_000_000_000,
                trunks=[TrunkCount("intl-1", "international", attempts, 0), TrunkCount("bank", "enterprise", 0, 0)],
            )
        )
    said = text_of(site.browser().get("/trunks"))
    assert "Screening writes no live figures" not in said
    assert re.search(r"intl-1 international 50 ", said)
    assert re.search(r"bank enterprise 0 ", said)


def test_the_records_may_be_away(site: Site) -> None:
    site.live.add(snapshot(0, 1, time_ns=NOW * 1_000_000_000))
    browser = site.browser()
    with site.database.write() as connection:
        connection.exec_driver_sql("DROP TABLE calls_minutes")
    assert "The figures over time cannot be read at the moment" in text_of(browser.get("/trunks"))


def test_a_step_that_still_runs_is_not_drawn() -> None:
    span = span_of({"span": "24h"})
    points = [Point(at * 600_000, 1, 0, 0) for at in range(4)]
    assert [it.at_ms for it in span.ended(points, 3 * 600_000 - 1)] == [0, 600_000]
    assert len(span.ended(points, 3 * 600_000)) == 3
    assert span_of({"span": "century"}) == span, "24 hours where nothing sensible is asked"
