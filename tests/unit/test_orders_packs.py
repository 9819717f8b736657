"""Evidence packs: everything is in them, they verify offline, and whatever is done to one is found and named."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pypdf
import pytest

from case_samples import CALENDAR, TYPES
from console_pages import NOW as NOW_S
from fresh_records import lay_out
from hutong.app.config import load_config
from hutong.app.evidence_calls import evidence_desk
from hutong.calls.index import VerdictIndex
from hutong.calls.stories.stories import Stories
from hutong.kernel.access.trail import Trail, TrailQuery
from hutong.kernel.audit.checkpoints import trail_key
from hutong.kernel.audit.notes import Signer
from hutong.kernel.cases.model import Actor as CaseActor
from hutong.kernel.cases.model import Finding
from hutong.kernel.cases.purview import WHOLE
from hutong.kernel.cases.store import Cases
from hutong.kernel.records import Database, database_url
from hutong.orders.errors import OrderRefused
from hutong.orders.evidence.gathering import Turns
from hutong.orders.evidence.material import CallMaterial, Material, Subject
from hutong.orders.evidence.pack import data_files, sealed
from hutong.orders.evidence.verify import PackError, verify_pack
from hutong.orders.model import Actor, Deed
from order_samples import CHEN, LI, Station, wish
from story_data import BUSY, fill

if TYPE_CHECKING:
    from hutong.kernel.audit.notes import PublicKey

NOW = NOW_S * 1000
MAKER = Actor("li", frozenset({"evidence.pack"}))
PURPOSE = "配合侦查 示公反诈〔2022〕12号"


class Made:
    """A pack of an order and its key; and one of the number."""

    def __init__(self, data: Path) -> None:
        fill(data, calls=20)
        config = load_config(None, data=data, environ={})
        database = Database(database_url("", data))
        lay_out(Path(database.place))
        database.open()
        station = Station(database, data)
        cases = Cases(database, TYPES, CALENDAR, "node1", WHOLE)
        finder = CaseActor("chen", frozenset({"cases.find"}))
        self.case = cases.find(Finding("fraud-number", "冒充客服", {"number": BUSY}), finder, NOW).case
        self.order = station.desk.request(wish(target=BUSY, case=self.case), CHEN, NOW).order
        station.desk.do(self.order, Deed("approve"), LI, NOW)
        index, self.turns = VerdictIndex(data), Turns(1)
        stories = Stories(data, index, lambda key: f"ref{key % 97}")
        self.desk = evidence_desk(config, database, station.orders, cases, index, stories, station.lists, self.turns)
        self.key: PublicKey = trail_key(data, "node1").public
        self.pack = self.desk.of_order(self.order, PURPOSE, MAKER, NOW + 1000)
        # One pack has real papers; of the others what they tell is looked at, and setting them costs seconds.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("hutong.orders.evidence.paper.pdf_of", str.encode)
            self.by_case = self.desk.of_case(self.case, PURPOSE, MAKER, NOW + 2000)
            self.by_number = self.desk.of_number(BUSY, NOW - 3_600_000, NOW + 9_000_000, PURPOSE, MAKER, NOW + 3000)
            patch.setattr("hutong.app.evidence_calls.MOST", 7)
            patch.setattr("hutong.orders.evidence.gathering._MOST_PROOFS", 0)
            patch.setattr("hutong.orders.evidence.gathering._MOST_ORDERS", 0)
            self.cut = self.desk.of_case(self.case, PURPOSE, MAKER, NOW + 3500)
            with self.turns.taken(), pytest.raises(OrderRefused, match="Other packs"):
                self.desk.of_case(self.case, PURPOSE, MAKER, NOW + 3600)
            elsewhere = station.desk.request(wish(target="13900009999", case="other-1"), CHEN, NOW).order
            self.elsewhere = self.desk.of_order(elsewhere, PURPOSE, MAKER, NOW + 4000)
            with pytest.raises(OrderRefused, match="period"):
                self.desk.of_number(BUSY, NOW + 5000, NOW + 9000, PURPOSE, MAKER, NOW + 4000)
        self.trail = [msgspec.to_builtins(it) for it in Trail(database).page(TrailQuery(deed="evidence"))]
        with pytest.raises(OrderRefused, match="permission"):
            self.desk.of_order(self.order, PURPOSE, LI, NOW)
        with pytest.raises(OrderRefused, match="purpose"):
            self.desk.of_order(self.order, " ", MAKER, NOW)
        station.lists.close()
        database.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("packs"))


def members(pack: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(pack)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: dict[str, bytes], *more: tuple[str, bytes]) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in [*files.items(), *more]:
            archive.writestr(name, content)
    out.seek(0)
    return out


def test_a_pack_holds_what_was_judged_and_decided_and_proves_it(made: Made) -> None:
    manifest = verify_pack(io.BytesIO(made.pack), [made.key])
    files = members(made.pack)
    assert (manifest.made_by, manifest.purpose, manifest.about["id"]) == ("li", PURPOSE, made.order)
    rows = list(csv.DictReader(io.StringIO(files["calls.csv"].decode("utf-8-sig"))))
    assert len(rows) == manifest.counts["calls"] > 20
    assert all(BUSY in {row["caller"], row["callee"]} for row in rows)
    calls: list[dict[str, Any]] = msgspec.json.decode(files["calls.json"])["calls"]
    assert {call["outcome"]["answered"] for call in calls if call["outcome"]} == {True, False}
    fired = [rule for call in calls for rule in call["rules"]]
    assert any(rule["values"] for rule in fired)
    assert {f"rules/{rule['id']}@{rule['version']}.json" for rule in fired} <= files.keys()
    windows = msgspec.json.decode(files["windows.json"])[BUSY]["values"]
    assert max(windows["attempts_1h"]) > 0
    (entry,) = [it for it in msgspec.json.decode(files["lists.json"]) if it["source"] == f"order:{made.order}"]
    assert entry["target"] == BUSY
    order = msgspec.json.decode(files[f"orders/{made.order}.json"])
    assert [it["action"] for it in order["events"]][:2] == ["request", "approve"]
    assert f"cases/{made.case}.json" in files
    entries = msgspec.json.decode(files["proofs/entries.json"])
    deeds = [it["deed"] for it in entries]
    assert {"orders.request", "orders.approve", "cases.find", "evidence.pack"} <= set(deeds)
    assert manifest.counts["proofs"] == len(entries) == len([it for it in files if it.endswith(".tlog-proof")])


def test_it_can_be_read_in_both_languages_on_screen_and_on_paper(made: Made) -> None:
    files = members(made.pack)
    for name, word in (("index", "证据包"), ("index.en", "Evidence pack")):
        page = files[f"{name}.html"].decode()
        assert word in page
        assert BUSY in page
        text = "".join(it.extract_text() for it in pypdf.PdfReader(io.BytesIO(files[f"{name}.pdf"])).pages)
        assert made.order[-10:] in text.replace("\n", "")
    assert "第十一条" in files["index.html"].decode()


def test_packs_of_a_case_and_of_a_number_have_its_calls_and_orders(made: Made) -> None:
    for pack in (made.by_case, made.by_number):
        manifest = verify_pack(io.BytesIO(pack), [made.key])
        assert manifest.counts["orders"] == 1
        assert manifest.counts["calls"] > 0
    assert [it["purpose"] for it in made.trail] == [PURPOSE] * 5, "what was refused is not on it"
    elsewhere = verify_pack(io.BytesIO(made.elsewhere), [made.key])
    assert (elsewhere.counts["orders"], elsewhere.counts["cases"]) == (1, 0)
    assert not [it for it in made.trail if BUSY in str(it)]


def test_what_a_limit_leaves_out_is_told_in_manifest_pages_and_papers(made: Made) -> None:
    assert verify_pack(io.BytesIO(made.by_case), [made.key]).cuts == []
    manifest, files = verify_pack(io.BytesIO(made.cut), [made.key]), members(made.cut)
    calls, orders, proofs = manifest.cuts
    assert (calls.what, calls.number, calls.kept, manifest.counts["calls"]) == ("calls", BUSY, 7, 7)
    assert (orders.what, orders.kept, orders.of) == ("orders", 0, 1)
    assert (proofs.what, proofs.kept) == ("proofs", manifest.counts["proofs"])
    assert proofs.of > proofs.kept == 1
    for name, words in (("index", "只收最近 7 次"), ("index.en", "only the newest 7 are here")):
        assert "section" not in members(made.by_case)[f"{name}.html"].decode()
        for ending in ("html", "pdf"):  # a paper is the page set: see `Made`
            page = files[f"{name}.{ending}"].decode()
            assert words in page
            assert page.count("<li>") >= 3


def test_the_same_material_gives_the_same_bytes() -> None:
    subject = Subject(kind="number", title="x", since_ms=0, until_ms=1)
    empty: dict[str, Any] = {"orders": [], "cases": [], "proofs": {}, "entries": [], "checkpoint": "c"}
    call = {"caller": "=1+1", "reason": {"zh": "", "en": ""}}
    calls = CallMaterial([call, call | {"seq": 2}])
    it = Material(node="n", made_ms=NOW, made_by="li", purpose="p", key="k", subject=subject, calls=calls, **empty)
    signer = Signer("node1/trail", bytes(32))
    one, other = (sealed(it, data_files(it), signer) for _ in range(2))
    assert one == other
    assert b"'=1+1" in members(one)["calls.csv"]


@pytest.mark.parametrize("name", ["calls.csv", "index.pdf", "proofs/checkpoint.txt", "manifest.json", "manifest.sig"])
def test_whatever_is_changed_is_named(made: Made, name: str) -> None:
    files = members(made.pack)
    files[name] = files[name].replace(b"1", b"2", 1) if name != "index.pdf" else files[name][:-1]
    with pytest.raises(PackError) as bad:
        verify_pack(packed(files), [made.key])
    assert bad.value.where == name


def test_what_is_missing_added_doubled_or_signed_by_another_is_named(made: Made) -> None:
    files = members(made.pack)
    lacking = {name: content for name, content in files.items() if name != "calls.json"}
    with pytest.raises(PackError, match="missing") as bad:
        verify_pack(packed(lacking), [made.key])
    assert bad.value.where == "calls.json"
    with pytest.raises(PackError, match="added") as bad:
        verify_pack(packed(files, ("more.txt", b"x")), [made.key])
    assert bad.value.where == "more.txt"
    with pytest.warns(UserWarning, match="Duplicate"):
        doubled = packed(files, ("calls.csv", files["calls.csv"]))
    with pytest.raises(PackError, match="twice"):
        verify_pack(doubled, [made.key])
    with pytest.raises(PackError, match="No key"):
        verify_pack(io.BytesIO(made.pack), [Signer("other/trail", bytes(32)).public])
    with pytest.raises(PackError, match="no whole ZIP"):
        verify_pack(io.BytesIO(made.pack[: len(made.pack) // 2]), [made.key])
    flipped = bytearray(made.pack)
    flipped[len(flipped) // 3] ^= 0xFF
    with pytest.raises(PackError):
        verify_pack(io.BytesIO(bytes(flipped)), [made.key])
