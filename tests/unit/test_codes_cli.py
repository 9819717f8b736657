"""`hutong codes`: keys, a bundle, a paper code, verified offline on another machine, revoked."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
import zxingcpp
from PIL import Image

from fresh_records import lay_out
from hutong.app.cli import run
from hutong.app.codes_work import CodeWork, key_ring
from hutong.app.config import load_config
from hutong.codes import metrics
from hutong.codes.minting import Bundle
from hutong.codes.rotation import DAY_MS
from hutong.kernel.access.trail import Trail
from hutong.kernel.records import Database, database_url
from hutong.kernel.reporter import Reporter

if TYPE_CHECKING:
    from collections.abc import Callable

    Said = Callable[..., str]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    lay_out(Path(Database(database_url("", folder)).place))
    return folder


@pytest.fixture
def said(capfdbinary: pytest.CaptureFixture[bytes]) -> Said:
    def answer(*words: str, status: int = 0) -> str:
        assert run(["codes", *words]) == status, capfdbinary.readouterr()
        out, err = capfdbinary.readouterr()
        return (err if status and not out else out).decode()

    return answer


def test_the_whole_way(data: Path, tmp_path: Path, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    at = ("--data", str(data))
    assert "codes keys make" in said("issue", "--name", "王小明", *at, status=1)
    kid = said("keys", "make", *at).strip()
    assert "already" in said("keys", "make", *at, status=1)
    assert said("keys", "rotate", *at) == said("keys", "rotate", *at), "one next key at a time"
    listed = [msgspec.json.decode(line) for line in said("keys", "list", "--json", *at).splitlines()]
    assert [(it["state"], it["kid"] == kid) for it in listed] == [("signing", True), ("next", False)]
    assert "在签 signing" in said("keys", "list", *at)

    # A bundle for tests, a picture, paper.
    text = said("issue", "--name", "王小明", "--tail", "1X", "--person", "b" * 32, "--out", f"{tmp_path}/b.json", *at)
    bundle = msgspec.json.decode((tmp_path / "b.json").read_bytes(), type=Bundle)
    assert text.strip() in set(bundle.texts())
    assert "王小明" not in text
    shown = said("issue", "--name", "李", "--colour", "red", "--out", f"{tmp_path}/c.png", *at).strip()
    (read,) = zxingcpp.read_barcodes(np.array(Image.open(tmp_path / "c.png").convert("L")))
    assert read.text == shown
    paper = said("issue", "--name", "陈", "--paper", "--out", f"{tmp_path}/p.svg", *at).strip()
    assert "One code, on paper" in (tmp_path / "p.svg").read_text()
    assert "Name it .svg" in said("issue", "--name", "陈", "--out", f"{tmp_path}/p.pdf", *at, status=1)

    # Verified elsewhere, with nothing but two files.
    keys, codes, news = tmp_path / "keys.cbor", tmp_path / "codes.txt", tmp_path / "revoked.bin"
    assert "2 把 keys" in said("keys", "export", "--out", str(keys), *at)
    assert said("revocations", "--out", str(news), *at) == ""
    codes.write_text(f"{text}\n{shown}\n{paper}\n", encoding="utf-8")
    offline = ("verify", "--keys", str(keys), "--revocations", str(news))
    told = said(*offline, str(codes))
    assert told.count("有效 / Valid") == 3
    assert "红码 red  李* ···  own  node1" in told
    assert "sampling and check-in only" in told
    monkeypatch.setattr("sys.stdin", io.StringIO(shown))
    assert msgspec.json.decode(said(*offline, "-", "--json"))["claims"]["colour"] == "red"
    assert "已过期" in said(*offline, shown, "--at", "2099-01-01T00:00:00+08:00", status=1)
    assert "时钟" in said(*offline, shown, "--at", "2020-01-01T00:00:00+08:00", status=1)
    assert "Not a code" in said(*offline, "HT1:NO", status=1)
    assert "Valid" in said("verify", shown, *at), "with this node's own keys"

    # Taken back.
    assert "no bundle" in said("revoke", "0" * 16, "--why", "lost", *at, status=1)
    assert said("revoke", bundle.handle.hex(), "--person", "b" * 32, "--why", "遗失", *at).startswith("1 ")
    further = tmp_path / "further.bin"
    said("revocations", "--out", str(further), *at)
    told = said(*offline, "--revocations", str(further), str(codes), status=1)
    assert (told.count("已注销 / Revoked"), told.count("有效 / Valid")) == (1, 2)
    further.write_bytes(further.read_bytes()[:-1])
    assert "not those that were signed" in said(*offline, "--revocations", str(further), shown, status=1)
    database = Database(database_url("", data))
    database.open()
    deeds = [it.deed for it in Trail(database).page()]
    database.close()
    assert deeds.count("codes.issue") == 3
    assert {"codes.key_make", "codes.key_rotate", "codes.revoke"} <= set(deeds)


def test_a_key_that_others_may_know_is_taken_out(data: Path, said: Said) -> None:
    at = ("--data", str(data))
    old = said("keys", "make", *at).strip()
    void = said("issue", "--name", "王", *at).strip()
    assert "no id of a key" in said("keys", "withdraw", "xyz", "--why", "lost", *at, status=1)
    assert old not in said("keys", "withdraw", old, "--why", "泄露", *at)
    assert "unknown-key" in said("verify", void, "--json", *at, status=1)


def test_jobs_keep_keys_in_time_and_delete_what_is_over(data: Path) -> None:
    config, reporter = load_config(data=data, environ={}), Reporter("work")
    work, now_ms = CodeWork(config, reporter), 1_772_416_800_000
    assert {job.name for job in work.jobs()} == {"code-keys", "code-forgetting"}
    assert work.keep_keys(now_ms) == 0, "a node that issues no codes has no keys"
    key_ring(config).upkeep(now_ms)
    assert work.keep_keys(now_ms + 80 * DAY_MS) == 0
    assert work.keep_keys(now_ms + 88 * DAY_MS) == 1
    assert reporter.metrics.value(metrics.KEYS, state="next") == 1
    assert reporter.metrics.value(metrics.KEY_LEFT) == 3 * 86_400
    assert work.keep_keys(now_ms + 150 * DAY_MS) == 1, "the old key is dropped once its last code is over"
    assert work.forget(now_ms) == 0
