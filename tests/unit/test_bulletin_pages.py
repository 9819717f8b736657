"""The pages of bulletins: made, read in both languages, traced to their rows, signed, taken away; losses imported."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from bulletin_samples import TEXTS
from console_pages import NOW, ConsoleSite
from hutong.bulletins import pages
from hutong.bulletins.desk import Desk
from hutong.bulletins.errors import REASONS
from hutong.bulletins.losses import Losses
from hutong.kernel.access.permissions import PERMISSIONS
from hutong.kernel.records import tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: The day before that of the site's clock.
DAY, ID = "2027-01-14", "2027-01-14.1"
CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ConsoleSite]:
    made = ConsoleSite(tmp_path, texts=[], folders=[pages.HOME])
    desk = Desk(made.database, tmp_path, "node1", "Asia/Shanghai", made.trail, TEXTS, {}, dict)
    losses = Losses(made.database, made.trail)
    made.build(pages.routes(pages.BulletinPages(made.console, desk, losses, made.trail)))
    with made.database.write() as connection:
        at = {"node": "node1", "day": DAY}
        for name, value in (("attempts", 50_000), ("blocked", 321)):
            row = at | {"name": f"calls.{name}", "item": "", "city": "021", "operator": "mobile", "value": value}
            connection.execute(sa.insert(tables.daily_figures).values(row))
        counted = at | {"until_ms": NOW * 1000, "counted_ms": NOW * 1000}
        connection.execute(sa.insert(tables.daily_counted).values(counted))
    yield made
    made.close()


def words(page: str) -> str:
    return re.sub(r"<[^>]+>", " ", page.partition("<main")[2].partition("</main>")[0])


def test_made_read_traced_and_signed(site: ConsoleSite) -> None:
    person = site.browser("operator")
    assert "There are no bulletins yet" in person.get("/bulletins").text
    assert person.post("/bulletins", period="2027-13").status_code == 422
    refused = person.post("/bulletins", lang="zh", period="2027-02")
    assert "该周期尚未开始" in refused.text
    assert "has not begun" not in refused.text
    assert person.post("/bulletins", period=DAY).headers["location"] == f"/bulletins/{ID}"
    page = person.get(f"/bulletins/{ID}").text
    assert "321" in words(page)
    assert not CHINESE.findall(words(page).replace("中文", ""))
    assert "<svg" in page
    assert "style=" not in page, "the policy allows no style within the page"
    figure = person.get(f"/bulletins/{ID}/figures/calls.blocked").text
    assert "daily_figures" in figure
    assert f":first = {DAY}" in figure
    assert re.search(rf'href="/verdicts\?action=block&amp;since={DAY}T00%3A00&amp;until=2027-01-15T00%3A00"', figure)
    rows = person.get(f"/bulletins/{ID}/figures/calls.blocked?format=csv").text
    assert rows.splitlines()[1].endswith(",321")
    assert person.get(f"/bulletins/{ID}/figures/calls.blocked_share").status_code == 200
    assert person.get(f"/bulletins/{ID}/figures/reports.received").status_code == 200
    assert person.get(f"/bulletins/{ID}/figures/nothing").status_code == 404
    digest = re.search(r'name="digest" value="([0-9a-f]{64})"', page)
    assert digest is not None
    assert person.post(f"/bulletins/{ID}/sign", digest="0" * 64).status_code == 409
    assert person.post(f"/bulletins/{ID}/sign", digest=digest[1]).status_code == 303
    assert "Signed by operator-1" in person.get(f"/bulletins/{ID}").text
    for form, begin in (("pdf", b"%PDF-"), ("docx", b"PK"), ("html", b"<!doctype html>")):
        file = person.get(f"/bulletins/{ID}/files/{ID}-zh.{form}")
        assert file.content.startswith(begin)
        assert "attachment" in file.headers["content-disposition"]
    for name in (f"{ID}-fr.pdf", f"{ID}-zh.exe", "../../keys", "2027-01-14.2-zh.pdf"):
        assert person.get(f"/bulletins/{ID}/files/{name}").status_code == 404
    assert [it.deed for it in site.deeds("bulletins")] == ["bulletins.sign", "bulletins.make"]


def test_losses_are_imported_and_wrong_rows_told(site: ConsoleSite) -> None:
    person = site.browser("operator")
    sheet = f"agency,city,period,cases,amount\nPolice,上海,{DAY},3,1000.5\nPolice,,{DAY},x,1\n"
    done = person.post("/bulletins/losses", files={"file": ("a.csv", sheet.encode(), "text/csv")})
    assert "1 rows taken, 1 refused" in done.text
    assert "It is no count" in done.text
    assert "1,000.50" in done.text
    assert person.post("/bulletins/losses", files={"file": ("a.csv", b"\xff\xff\xff", "text/csv")}).status_code == 422


def test_every_refusal_has_its_text() -> None:
    for reason in REASONS:
        assert TEXTS.say(f"bulletins.wrong.{reason}", "zh") != TEXTS.say(f"bulletins.wrong.{reason}", "en")


@pytest.mark.parametrize("role", ["viewer", "analyst", "administrator"])
def test_who_may_not_make_or_sign_sees_no_way_to_and_is_refused(site: ConsoleSite, role: str) -> None:
    person = site.browser(role)
    may = {deed: role in PERMISSIONS[f"bulletins.{deed}"].roles for deed in ("read", "make", "sign")}
    page = person.get("/bulletins", lang="zh")
    assert (page.status_code == 200) == may["read"]
    assert ('name="period"' in page.text) == may["make"]
    assert (person.post("/bulletins", period=DAY).status_code == 303) == may["make"]
    if not may["sign"]:
        assert person.post(f"/bulletins/{ID}/sign", digest="").status_code == 403
