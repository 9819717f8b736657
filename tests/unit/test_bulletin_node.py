"""Bulletins of a node: days counted, drafts made by `work`, documents and signatures by command, losses from a file."""

from __future__ import annotations

import io
import json
import threading
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from hutong.app.bulletin_desk import bulletin_desk
from hutong.app.bulletin_work import BulletinWork
from hutong.app.cli import run
from hutong.app.config import load_config
from hutong.bulletins.desk import Doer
from hutong.bulletins.metrics import DAYS, MADE, WAITING
from hutong.bulletins.model import Of
from hutong.bulletins.periods import begin_of, read_period
from hutong.calls.archiving import Archiver
from hutong.kernel.records import Database, database_url
from hutong.kernel.reporter import Reporter
from verdict_records import NOON_MS, traffic

if TYPE_CHECKING:
    from pathlib import Path

ZONE = ZoneInfo("Asia/Shanghai")
DAY = date(2026, 3, 2)
AFTER_MS = begin_of(DAY + timedelta(days=1), ZONE) + 3_600_000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of a node that screened sixty calls on DAY, archived, and has records."""
    traffic(tmp_path, 60)
    archiver = Archiver(tmp_path)
    archiver.run((NOON_MS + 3_600_000) * 1_000_000)
    archiver.close()
    database = Database(database_url("", tmp_path))
    database.open()
    database.close()
    return tmp_path


def test_work_counts_days_and_makes_a_draft_of_each_period_once(data: Path) -> None:
    reporter = Reporter("work", stream=io.StringIO())
    work = BulletinWork(load_config(None, data=data), reporter)
    assert work.count(AFTER_MS - 3_600_000 - 1) == 0
    assert work.draft(AFTER_MS - 3_600_000 - 1) == 3, "days before the archive are not waited for beyond six hours"
    assert work.count(AFTER_MS) == 1
    assert work.draft(AFTER_MS) == 1
    assert work.draft(AFTER_MS) == 0
    (job,) = work.jobs()
    assert job.run(AFTER_MS * 1_000_000) == 0, "it works beside the other jobs"
    for thread in [it for it in threading.enumerate() if it.name == "bulletins"]:
        thread.join()
    figures = reporter.metrics
    assert (figures.value(DAYS), figures.value(MADE), figures.value(WAITING)) == (1, 4, 4)


def test_what_a_node_that_was_away_missed_is_made_once_the_oldest_first(data: Path) -> None:
    reporter = Reporter("work", stream=io.StringIO())
    work = BulletinWork(load_config(None, data=data), reporter)
    work.count(AFTER_MS)
    assert work.draft(AFTER_MS) == 3
    back_ms = AFTER_MS + 40 * 86_400_000  # 2026-04-12
    again = BulletinWork(load_config(None, data=data), reporter)
    done = [again.count(back_ms) + 10 * again.draft(back_ms) for _ in range(16)]
    # Days that can be counted are counted first, three in a turn; a bulletin that says that they lack would stay.
    assert done == [3] * 10 + [3 + 10 * 31, 3, 3, 1 + 10 * 6, 0, 0]
    database = Database(database_url("", data))
    database.open()
    desk = bulletin_desk(load_config(None, data=data), database)
    made = desk.store.all()
    days = [it for it in made if it.kind == "day"]
    assert [it.period for it in days] == [(DAY + timedelta(days=at)).isoformat() for at in (*range(40, 9, -1), 0)], (
        "a month of days at most"
    )
    assert [it.period for it in made if it.kind == "week"] == [
        "2026-W14",
        "2026-W13",
        "2026-W12",
        "2026-W11",
        "2026-W10",
        "2026-W09",
    ]
    assert [it.period for it in made if it.kind == "month"] == ["2026-03", "2026-02"]
    assert all(not it.provisional and not desk.store.get(it.id)[1].missing for it in days)
    database.close()


def test_a_bulletin_of_the_running_day_has_its_calls_and_says_how_far(data: Path) -> None:
    now_ms = NOON_MS + 3_600_000
    config = load_config(None, data=data)
    database = Database(database_url("", data))
    database.open()
    try:
        desk = bulletin_desk(config, database)
        kept, made = desk.store.get(desk.make(read_period("2026-03"), Doer("zhang"), now_ms).id)
        assert made.figure("calls.attempts").now == Of(60, full=False)
        assert (made.provisional, made.calls_ms) == (True, now_ms)
        assert made.missing == ("2026-03-01",), "the day that goes on is not one that lacks"
        for lang, said in (("zh", "本期尚未结束"), ("en", "The period has not ended")):
            assert said in desk.file(kept.id, lang, "html").decode()
            assert f"{datetime.fromtimestamp(now_ms / 1000, ZONE):%Y-%m-%d %H:%M}" in str(
                desk.document(kept, made, lang)
            )
    finally:
        database.close()


def test_commands_make_list_sign_and_take_losses(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*arguments: str, status: int = 0) -> str:
        assert run([*arguments, "--data", str(data)]) == status
        return capsys.readouterr().out

    sheet = data / "losses.csv"
    sheet.write_text("agency,city,period,cases,amount\nPolice,上海,2026-03-02,3,1000\nPolice,上海,2026-03-02,x,1\n")
    assert "1 rows taken, 1 refused" in said("losses", "import", str(sheet), status=1)
    assert json.loads(said("losses", "list"))["amount"] == 100_000
    assert said("bulletin", "count", "2026-03-01", "2026-03-02") == "1 / 2\n"
    made = said("bulletin", "make", "--period", "2026-03-02", "--out", str(data / "out"))
    assert sorted(path.name for path in (data / "out").iterdir()) == [
        f"2026-03-02.1-{lang}.{form}" for lang in ("en", "zh") for form in ("docx", "html", "pdf")
    ]
    page = (data / "out" / "2026-03-02.1-zh.html").read_text()
    assert "共筛查来话 60 次" in page
    assert "群众损失 1,000 元" in page
    digest = made.split()[1]
    assert "draft" in said("bulletin", "list")
    assert len(said("bulletin", "sign", "2026-03-02.1", "--digest", digest).splitlines()) == 6
    assert json.loads(said("bulletin", "list", "--json"))["signed_by"].startswith("local:")
    said("bulletin", "make", "--period", "2026-03-02", status=1)
    assert said("bulletin", "make", "--period", "2026-03-02", "--reason", "x").startswith("2026-03-02.2 ")
