"""The pages of hand-offs: an answer that is refused keeps what was typed, the export holds every hand-off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from case_samples import CALENDAR, TYPES
from console_pages import ConsoleSite
from hutong.handoff import pages
from hutong.handoff.model import Victim
from hutong.handoff.store import Handoffs
from hutong.kernel.cases.purview import WHOLE
from hutong.kernel.cases.store import Cases
from hutong.kernel.numbering import Numbering

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NUMBERING = Numbering("021")
TITLE = {"zh": "与可疑主叫通话", "en": "Talks to a flagged caller"}


class Site(ConsoleSite):
    """With hand-offs."""

    def __init__(self, data: Path) -> None:
        super().__init__(data, texts=[], folders=[pages.HOME])
        cases = Cases(self.database, TYPES, CALENDAR, "node1", WHOLE)
        self.handoffs = Handoffs(self.database, lambda: cases, self.refs, NUMBERING, "node1", 1)
        it = pages.Pages(self.console, self.handoffs, NUMBERING, self.trail, enabled=True)
        self.build(pages.routes(it))

    def take(self, count: int) -> None:
        key = NUMBERING.read("13800138000").key
        victims = [
            Victim(f"node1-{n}", n, self.console_now, key + n, key, "victim.long", TITLE, answered=True, talk_s=9.0)
            for n in range(1, count + 1)
        ]
        self.handoffs.take(victims, count, self.console_now)


@pytest.fixture
def site(data_folder: Path) -> Iterator[Site]:
    it = Site(data_folder)
    yield it
    it.close()


def test_an_answer_that_is_refused_keeps_what_was_typed(site: Site) -> None:
    site.take(1)
    browser = site.browser()
    typed = {"answer": "not-reached", "saved": "five", "lost": " 12 ", "note": "家属 <b>在场</b>"}
    for change in ({}, {"saved": "7", "note": f"\x01{typed['note']}"}):
        answer = browser.post("/handoffs/node1-1/outcome", **(typed | change))
        assert answer.status_code == 422
        assert '<option value="not-reached" selected>' in answer.text
        assert f'value="{(typed | change)["saved"]}"' in answer.text
        assert 'value=" 12 "' in answer.text
        assert "家属 &lt;b&gt;在场&lt;/b&gt;</textarea>" in answer.text
    assert browser.post("/handoffs/node1-1/outcome", **(typed | {"saved": ""})).status_code == 303
    shown = browser.get("/handoffs/node1-1").text
    assert 'value="12"' in shown
    assert '<option value="not-reached" selected>' in shown


def test_an_export_holds_every_hand_off_and_a_page_beyond_the_end_the_last(site: Site) -> None:
    site.take(30)
    auditor = site.browser("auditor")
    assert auditor.get("/handoffs?format=csv").text.count("\r\nnode1-") == 30
    assert auditor.get("/handoffs?page=9").text.count('href="/handoffs/node1-') == 5
    assert site.deeds("tables.export")[0].target == "handoffs"
