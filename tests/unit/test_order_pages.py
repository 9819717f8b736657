"""The pages of orders: what waits stands first, two persons decide, numbers are whole only for a purpose."""

from __future__ import annotations

import fcntl
import re
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

import lmdb
import pytest

from console_pages import NOW, ConsoleSite
from hutong import orders as package
from hutong.orders import pages
from hutong.orders.errors import OrderRefused
from hutong.orders.model import Actor
from order_samples import EVERYTHING, Station, wish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from httpx import Response

HOME = Path(package.__file__).parent
NUMBER = "13900001111"
FORM = {
    "kind": "block",
    "target": NUMBER,
    "role": "caller",
    "agency": "示例市公安局",
    "document": "示公〔2027〕1号",
    "basis": "fraud-act-11",
    "reason": f"涉案号码 {NUMBER}",
    "days": "30",
    "key": "k1",
}


class Packs:
    """Makes packs of nothing."""

    def of_order(self, of: str, purpose: str, actor: Actor, now_ms: int) -> bytes:
        return f"{of} {purpose} {actor.name} {now_ms}".encode()

    def of_case(self, of: str, _purpose: str, _actor: Actor, _now_ms: int) -> bytes:
        raise OrderRefused("busy", of)

    def of_number(self, number: str, since_ms: int, until_ms: int, purpose: str, _actor: Actor, now_ms: int) -> bytes:
        assert until_ms == now_ms
        return f"{number} {since_ms} {purpose}".encode()


class Site(ConsoleSite):
    """With orders."""

    def __init__(self, data: Path) -> None:
        super().__init__(data, texts=[], folders=[HOME])
        self.station = Station(self.database, data)
        self.station.told.at_ms = NOW * 1000
        self.build(
            pages.routes(self.console, desk=self.station.desk, trail=self.trail, evidence=Packs)  # type: ignore[arg-type]
        )

    def asked(self, **fields: object) -> str:
        by = Actor("analyst-1", EVERYTHING)
        return self.station.desk.request(wish(target=NUMBER, **fields), by, NOW * 1000).order


@pytest.fixture
def site(data_folder: Path) -> Iterator[Site]:
    one = Site(data_folder)
    yield one
    one.station.lists.close()
    one.close()


def text_of(response: Response) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", response.text)))


def test_an_order_is_asked_for_approved_by_another_and_lifted(site: Site) -> None:
    analyst, operator = site.browser("analyst"), site.browser("operator")
    assert analyst.get("/orders/new", lang="en").status_code == 200
    asked = analyst.post("/orders/new", **FORM)
    assert asked.status_code == 303
    place = asked.headers["location"].partition("?")[0]
    assert analyst.post("/orders/new", **FORM).headers["location"].startswith(place)  # sent twice: one order
    first = text_of(operator.get("/orders", lang="en"))
    assert "1 orders wait for approval" in first
    assert NUMBER not in first
    assert analyst.post(f"{place}/approve").status_code == 403
    assert operator.post(f"{place}/approve", version="1").status_code == 303
    told = text_of(operator.get(place, lang="en"))
    assert "in force after 0 ms" in told
    assert "Art. 11" in told or "art. 11" in told
    assert operator.post(f"{place}/lift", reason="").status_code == 422
    assert operator.post(f"{place}/lift", reason=f"误封 {NUMBER}").status_code == 303
    ended = operator.get(f"{place}?done=lifted", lang="zh")
    assert "已解除" in text_of(ended)
    assert NUMBER not in ended.text
    assert operator.post(f"{place}/lift", reason="再次").status_code == 409
    assert site.station.lists.count() == 0
    assert site.errors == []


def test_the_export_holds_every_order_masked_and_is_on_the_trail(site: Site) -> None:
    ids = [site.asked(document=f"{n}号") for n in range(3)]
    lines = site.browser("auditor").get("/orders?format=csv", lang="zh").text.splitlines()
    assert lines[0].removeprefix("\ufeff").startswith("编号,类别,范围,发文机关,文号,状态")
    assert {line.partition(",")[0] for line in lines[1:]} == set(ids)
    assert all("139****1111" in line for line in lines[1:])
    chosen = site.browser("auditor").get("/orders?text=2&format=csv").text
    assert chosen.count(NUMBER[-4:]) == 1
    assert [entry.target for entry in site.deeds("tables.export")] == ["orders", "orders"]


def test_what_is_wrong_is_said_and_what_was_written_stays(site: Site) -> None:
    operator = site.browser("operator")
    for change, status, words in (
        ({"target": "110", "role": "callee"}, 422, "must always be reached"),
        ({"target": "95588"}, 422, "confirm it"),
        ({"days": "4000"}, 422, "beyond what is allowed"),
        ({"basis": ""}, 422, "Choose a legal basis"),
        ({"kind": "nothing"}, 422, "missing or wrong"),
        ({"begins": "2027-13-99"}, 422, "missing or wrong: Begins"),
        ({"begins": "2027-12-31T08:00"}, 422, "within 90 days"),
        ({"agency": " "}, 422, "missing or wrong: Issuing agency"),
    ):
        answer = operator.post("/orders/new", **{**FORM, **change})
        assert (answer.status_code, words in text_of(answer)) == (status, True), change
        assert "示公〔2027〕1号" in answer.text
    mine = site.station.desk.request(wish(target=NUMBER), Actor("operator-1", EVERYTHING), NOW * 1000).order
    assert "Another person must approve it" in text_of(operator.get(f"/orders/{mine}", lang="en"))
    answer = operator.post(f"/orders/{mine}/approve")
    assert (answer.status_code, "Nobody decides" in text_of(answer)) == (422, True)
    assert operator.get("/orders/none").status_code == 404


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_what_hinders_the_effect_is_not_told_as_a_failed_approval(
    site: Site, lang: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = site.asked()
    second = site.browser("operator")

    def failing(*_: object) -> None:
        raise lmdb.Error("the lists are busy")

    with monkeypatch.context() as patch:
        patch.setattr(site.station.lists, "add", failing)
        approved = second.post(f"/orders/{of}/approve")
    assert approved.headers["location"] == f"/orders/{of}?done=approved"
    page = second.get(f"/orders/{of}?done=approved", lang=lang).text
    assert {"zh": "已批准并记录在案", "en": "Approved and on record"}[lang] in page
    assert {"zh": "无需再次办理", "en": "Nothing needs to be done again"}[lang] in page
    # Somebody else has the turn and keeps it: whoever lifts does not wait for them.
    with (site.data / "run" / "orders.lock").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        monkeypatch.setattr("hutong.orders.effect._TRIES", 2)
        lifted = second.post(f"/orders/{of}/lift", reason="测试")
    assert lifted.headers["location"] == f"/orders/{of}?done=lifted"
    assert site.station.orders.order(of).state == "lifted"


def test_numbers_are_whole_only_for_a_purpose_that_is_on_the_trail(site: Site) -> None:
    of = site.asked(reason=f"涉案 {NUMBER}")
    operator = site.browser("operator")
    assert NUMBER not in operator.get(f"/orders/{of}").text
    assert operator.post(f"/orders/{of}", purpose="police").status_code == 422
    whole = operator.post(f"/orders/{of}", purpose="police", detail="示公〔2027〕1号")
    assert NUMBER in whole.text
    assert NUMBER not in whole.text.partition("</title>")[0]
    assert site.trail.page()[0].deed == "numbers.unmask"
    found = operator.post("/orders/search", number=NUMBER)
    assert of in found.text
    assert NUMBER not in found.text
    assert operator.post("/orders/search", number="nothing").status_code == 422
    auditor = site.browser("auditor")
    assert auditor.get(f"/orders/{of}").status_code == 200
    assert auditor.post(f"/orders/{of}", purpose="police", detail="abcdef").status_code == 403


def test_a_pack_is_a_download_for_a_purpose(site: Site) -> None:
    of = site.asked()
    made = site.browser("operator").post(f"/orders/{of}/pack", purpose="配合侦查")
    assert made.headers["content-disposition"] == f'attachment; filename="evidence-{of}.zip"'
    assert "配合侦查 operator-1" in made.content.decode()
    assert site.browser("analyst").post(f"/orders/{of}/pack", purpose="配合侦查").status_code == 403
    operator = site.browser("operator")
    assert operator.get("/orders/packs?case=node1-x").status_code == 200
    fields = {"number": NUMBER, "since": "2027-01-15T08:00", "purpose": "配合侦查"}
    assert operator.post("/orders/packs", **fields).content.decode() == f"{NUMBER} 1799971200000 配合侦查"
    wrong = operator.post("/orders/packs", **{**fields, "since": "2027-13-99"})
    assert (wrong.status_code, "missing or wrong: From" in text_of(wrong)) == (422, True)
    full = operator.post("/orders/packs", case="busy", purpose="配合侦查")
    assert (full.status_code, "Other evidence packs are being made" in text_of(full)) == (503, True)
    both = operator.post("/orders/packs", **fields, case="x")
    assert (both.status_code, NUMBER in both.text) == (422, False)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_table_filters_and_pages_in_both_languages(site: Site, lang: str) -> None:
    site.asked(document="甲1")
    site.asked(document="乙2", kind="limit", per_hour=5)
    page = site.browser("analyst").get("/orders?kind=limit&state=requested&sort=ends&text=乙", lang=lang)
    assert page.status_code == 200
    region = page.text[page.text.index('id="orders"') :]
    assert "乙2" in region
    assert "甲1" not in region
