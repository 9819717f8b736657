"""`hutong sampling`: a day from the station to the recall, by commands alone; nobody's number is shown."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from fresh_records import lay_out
from hutong.app.cli import run
from hutong.app.config import load_config
from hutong.app.persons_work import persons_of
from hutong.app.sampling_desk import open_desk
from hutong.codes.people.documents import read_document
from hutong.kernel.access.oidc_identity import Identity
from hutong.kernel.access.people import People
from hutong.kernel.access.trail import Trail
from hutong.kernel.clock import SystemClock
from hutong.kernel.records import Database, database_url
from hutong.sampling.errors import SamplingRefused
from hutong.sampling.model import Register
from hutong.sampling.station.store import StationStore
from sampling_samples import CARD, CARD_2, OTHER, TUBE

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def data(tmp_path: Path) -> Path:
    database = Database(database_url("", tmp_path))
    lay_out(Path(database.place))
    database.open()
    for name, role in (("chen", "analyst"), ("li", "operator"), ("zhao", "viewer")):
        People(database).arrive(Identity(name, name, role, f"subject:{name}"), 1_700_000_000_000)
    database.close()
    return tmp_path


def test_each_person_answers_for_themselves(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "s1"
    assert run(["sampling", "station", "prepare", "s1", "--store", str(folder), "--data", str(data)]) == 0
    lines = f"{CARD}\tcontact=13800000000\tresidence=Gate 3\n\n{CARD_2}\n{CARD}\tcontact\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    shared = ("--field", "contact=hotel")
    assert run(["sampling", "station", "register", TUBE, "--store", str(folder), "--size", "5", *shared]) == 1
    store = StationStore(folder)
    store.open()
    told = [it.deed.fields for it in store.events(9) if isinstance(it.deed, Register)]
    store.close()
    assert told == [{"contact": "13800000000", "residence": "Gate 3"}, {"contact": "hotel"}]
    assert "refused field" in capsys.readouterr().out


def test_a_day(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at, store = ("--data", str(data)), ("--store", str(tmp_path / "s1"))
    heard = []

    def said(*words: str, status: int = 0) -> str:
        assert run(["sampling", *words]) == status, capsys.readouterr()
        out, err = capsys.readouterr()
        heard.append(out + err)
        return out + err

    asked = ("--hours", "24", "--agency", "市指挥部", "--document", "1号", "--reason", "疫情")
    order = said("emergency", "request", "610100", "district", *asked, "--by", "chen", *at).strip()
    assert "sampling.approve" in said("emergency", "approve", order, "--by", "chen", *at, status=1)
    assert "in-force" in said("emergency", "approve", order, "--by", "li", *at)
    assert order in said("emergency", "list", *at)
    said("station", "prepare", "s1", *store, "--district", "610100", *at)
    assert "There is a store" in said("station", "prepare", "s1", *store, *at, status=1)
    register = ("station", "register", TUBE)
    assert "refused size" in said(*register, CARD, *store, "--size", "20", status=1)
    assert "refused field" in said(*register, CARD, *store, "--size", "5", status=1)
    asked = (*store, "--size", "5", "--field", "contact=13800000000")
    told = said(*register, CARD, CARD_2, CARD, CARD[:-1] + "1", *asked, status=1).splitlines()
    assert [line.split()[0] for line in told] == ["ok", "ok", "refused", "refused"]
    assert TUBE in said("station", "status", *store)
    said("station", "seal", TUBE, *store, "--people", "2")
    assert "person-elsewhere" in said("station", "register", OTHER, CARD, *asked, status=1)
    said("station", "register", OTHER, CARD, *asked, "--twice")
    assert "not possible" in said("station", "hand-over", "B1", TUBE, OTHER, *store, "--courier", "周", status=1)
    said("station", "seal", OTHER, *store, "--people", "1")
    assert "ok B1 2" in said("station", "hand-over", "B1", TUBE, OTHER, *store, "--courier", "周")
    _merge_by_file(said, tmp_path, store, at)
    assert "sampling.results" in said("receive", "B1", "--laboratory", "市疾控", "--by", "zhao", *at, status=1)
    assert f"missing: {OTHER}@s1" in said("receive", "B1", TUBE, "--laboratory", "市疾控", "--by", "li", *at, status=1)
    assert "received: 2/2" in said("receive", "B1", "--laboratory", "市疾控", "--by", "li", *at)
    when = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    file = tmp_path / "results.csv"
    file.write_text(f"tube,result,tested\n{TUBE},positive,{when}\n{OTHER},negative,{when}\nXA?,negative,{when}\n")
    assert "2 收下 taken" in said("results", str(file), "--laboratory", "cdc1", *at, status=1)
    assert "person-in-two-tubes" in said("conflicts", *at)
    assert f"{TUBE}@s1" in said("recall", *at)
    assert "sampling.recall" in said("recall", TUBE, "--by", "zhao", *at, status=1)
    said("recall", TUBE, "--by", "li", *at)
    shown = msgspec.json.decode(said("show", TUBE, "--json", *at))
    assert (shown["tubes"][0]["state"], shown["tubes"][0]["members"][0]["told"]) == ("recalled", "retest")
    assert "已召回复核" in said("show", TUBE, *at)
    assert "retest" in said("person", "id-card", CARD, "--by", "chen", "--purpose", "本人查询", *at)
    assert "a purpose" in said("person", "id-card", CARD, "--by", "chen", "--purpose", " ", *at, status=1)
    assert "negative" in said("settle", TUBE, "negative", "--reason", "复检", "--by", "li", *at)
    assert not [text for text in heard if CARD in text or CARD_2 in text or "13800000000" in text]


def _merge_by_file(said: Callable[..., str], tmp_path: Path, store: tuple[str, ...], at: tuple[str, ...]) -> None:
    exported, answer = tmp_path / "s1.jsonl", tmp_path / "answer"
    assert "7 事件" in said("station", "export", str(exported), *store)
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(exported.read_bytes()[:1200])
    assert "the file was cut" in said("station", "merge", str(cut), *at, status=1)
    changed = tmp_path / "changed.jsonl"
    changed.write_bytes(exported.read_bytes().replace(b'"people":2', b'"people":3'))
    assert "was changed" in said("station", "merge", str(changed), *at, status=1)
    said("station", "merge", str(exported), "--answer", str(answer), *at)
    assert "waiting: 0" in said("station", "acknowledge", str(answer), *store)
    assert "0 已收 taken" in said("station", "merge", str(tmp_path / "s1"), *at)
    assert "forgotten: 0" in said("station", "forget", *store, "--hours", "1")
    assert "forgotten: 7" in said("station", "forget", *store, "--hours", "0")


def test_codes_are_taken_with_no_network_and_become_their_people_at_the_merge(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at, folder = ("--data", str(data)), tmp_path / "s1"
    store = ("--store", str(folder))

    def said(*words: str, status: int = 0) -> str:
        assert run([*words]) == status, capsys.readouterr()
        told = capsys.readouterr()
        return told.out + told.err

    database = Database(database_url("", data))
    database.open()
    ann, bob = (persons_of(load_config(data=data), database).of(read_document("id", it)) for it in (CARD, CARD_2))
    said("codes", "keys", "make", *at)

    def paper(name: str, person: str) -> tuple[str, str]:
        """The text of a code, and its handle."""
        text, about = said("codes", "issue", "--name", name, "--person", person, "--paper", *at).splitlines()
        return text, about.split()[-1]

    (of_ann, _), (of_bob, _), (lost, handle) = paper("安", ann), paper("波", bob), paper("丢", bob)
    said("sampling", "station", "prepare", "s1", *store, *at)
    register = ("sampling", "station", "register")
    assert said(*register, TUBE, of_ann, of_bob, *store, "--size", "5", "--kind", "paper").count("ok ") == 2
    assert said(*register, OTHER, CARD, *store, "--size", "5").startswith("ok ")
    assert "person-twice" in said(*register, TUBE, of_ann, *store, "--size", "5", "--kind", "code", status=1)
    for wrong in (of_ann[:-3] + "000", "HT1:", CARD):
        assert "refused identity" in said(*register, TUBE, wrong, *store, "--size", "5", "--kind", "code", status=1)
    said("codes", "revoke", handle, "--why", "遗失", *at)
    said("sampling", "station", "renew", *store, *at)
    assert "Revoked" in said(*register, OTHER, lost, *store, "--size", "5", "--kind", "code", status=1)
    assert "3 " in said("sampling", "station", "merge", str(folder), *at)
    desk = open_desk(load_config(data=data), database, Trail(database), SystemClock())
    assert (desk.comers().person("code", of_ann), desk.identities().person("code", lost)) == (ann, bob)
    with pytest.raises(SamplingRefused, match="Revoked"):
        desk.comers().person("code", lost)
    shown = said("sampling", "show", TUBE, *at)
    assert f"{ann[:6]}…" in shown
    assert f"{bob[:6]}…" in shown
    assert "code-unknown" not in shown
    assert "person-in-two-tubes" in shown
    look_up = ("sampling", "person", "code", of_ann, "--by", "li", "--purpose", "本人来电", *at)
    assert {TUBE, OTHER} <= {line.split()[1].partition("@")[0] for line in said(*look_up).splitlines()}
    database.close()
