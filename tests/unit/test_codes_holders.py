"""Whether a number belongs to the holder of a document: an operator's service on a real socket, and its file."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import threading
from typing import TYPE_CHECKING

import msgspec
import pytest

from ask_servers import until
from fresh_records import lay_out
from hutong.app.cases_work import open_cases
from hutong.app.cli import run
from hutong.app.codes_site import CodesSite
from hutong.app.codes_status_work import status_desk
from hutong.app.codes_work import code_issuer, key_ring
from hutong.app.config import load_config
from hutong.codes.people import holder_files
from hutong.codes.people.documents import read_document
from hutong.codes.people.errors import PersonRefused
from hutong.codes.people.holder_files import write_holders
from hutong.codes.people.holders import Circuit, FileCheck, Holder, HttpCheck
from hutong.codes.people.store import Profile
from hutong.codes.public.desk import Arrival, Confirmation
from hutong.codes.verification import Trust, verify
from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import StateError
from hutong.kernel.reporter import Reporter
from hutong.kernel.webhooks import SIGNATURE, answer_mark

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = b"shared"
NOW = 1_772_416_800_000
CARD, OTHER = "11010519491231002X", "440524188001010014"


def holder(number: str = "8613800138000", card: str = CARD, name: str = "王小明") -> Holder:
    return Holder(read_document("id", card), name, number)


class Operator(http.server.ThreadingHTTPServer):
    """An operator's service, as docs/codes.md has it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)
        self.answer, self.mode, self.asked = "yes", "", list[dict[str, str]]()
        self.go_on = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """Who asked may have gone."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/real-name"


class _Asked(http.server.BaseHTTPRequestHandler):
    server: Operator

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        seconds, _, mark = self.headers[SIGNATURE].removeprefix("t=").partition(",v1=")
        signed = hmac.new(SECRET, f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
        assert mark == signed
        assert abs(int(seconds) - NOW // 1000) <= 30
        asked = msgspec.json.decode(body)
        self.server.asked.append(asked)
        id_ = "another" if self.server.mode == "another" else asked["id"]
        said = msgspec.json.encode({"id": id_, "belongs": self.server.answer})
        if self.server.mode == "slow":
            self.server.go_on.wait(5)
        self.send_response(500 if self.server.mode == "broken" else 200)
        key = b"wrong" if self.server.mode == "forged" else SECRET
        self.send_header(SIGNATURE, answer_mark(key, asked["id"], said))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def operator() -> Iterator[Operator]:
    with Operator() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.go_on.set()
        server.shutdown()
        thread.join()


def check(url: str, troubles: list[str], failures: int = 3, patience_s: float = 5.0) -> HttpCheck:
    ids = (f"q{number}" for number in range(1000))
    return HttpCheck(url, SECRET, patience_s, Circuit(failures, 30_000), lambda: next(ids), troubles.append)


@pytest.mark.enable_socket
def test_an_operator_is_asked_in_a_signed_way_and_its_signed_answer_counts(operator: Operator) -> None:
    troubles: list[str] = []
    it = check(operator.url, troubles)
    for said in ("yes", "no", "unknown"):
        operator.answer = said
        assert it.belongs(holder(), NOW) == said
    assert operator.asked[0] == {
        "id": "q0", "kind": "id", "document": CARD, "name": "王小明", "number": "8613800138000"
    }  # fmt: skip
    assert len({one["id"] for one in operator.asked}) == 3
    assert not troubles


@pytest.mark.enable_socket
@pytest.mark.parametrize("mode", ["broken", "forged", "another"])
def test_an_answer_that_is_not_the_operators_is_none(operator: Operator, mode: str) -> None:
    operator.mode, troubles = mode, list[str]()
    assert check(operator.url, troubles).belongs(holder(), NOW) == "away"
    assert len(troubles) == 1
    assert CARD not in troubles[0]


@pytest.mark.enable_socket
def test_who_does_not_answer_is_spared_and_tried_again_by_one(operator: Operator) -> None:
    operator.mode, troubles = "slow", list[str]()
    it = check(operator.url, troubles, failures=2, patience_s=0.05)
    assert [it.belongs(holder(), NOW) for _ in range(5)] == ["away"] * 5
    assert len(operator.asked) == 2, "after two failures nobody asks"
    operator.mode = ""
    operator.go_on.set()
    it._patience_s = 5.0  # noqa: SLF001  # the machine may be busy
    assert it.belongs(holder(), NOW + 29_999) == "away"
    assert it.belongs(holder(), NOW + 30_000) == "yes"
    assert it.belongs(holder(), NOW + 30_001) == "yes", "it is well again"


def test_of_many_who_come_when_the_rest_is_over_one_tries() -> None:
    circuit = Circuit(1, 1000)
    circuit.note(NOW, answered=False)
    assert not circuit.may_ask(NOW + 999)
    assert [circuit.may_ask(NOW + 1000) for _ in range(3)] == [True, False, False]


def test_a_file_of_hashes_says_the_same_and_names_nobody(tmp_path: Path) -> None:
    file = tmp_path / "holders"
    own = [holder(f"86138{number:08d}", name=f"某{number}") for number in range(300)]
    assert write_holders(SECRET, own, file) == (300, 0)
    it = FileCheck(file, SECRET)
    for one in (own[0], own[150], own[299]):
        assert it.belongs(one, NOW) == "yes"
        assert it.belongs(one._replace(name="王小明"), NOW) == "no"
        assert it.belongs(one._replace(document=read_document("id", OTHER)), NOW) == "no"
    assert it.belongs(holder("8613999999999"), NOW) == "unknown"
    assert FileCheck(file, b"another").belongs(own[0], NOW) == "unknown"
    content = file.read_bytes()
    assert b"86138" not in content
    assert CARD.encode() not in content
    file.write_bytes(b"")
    assert it.belongs(own[0], NOW) == "unknown", "a new file is seen at once"
    for wrong in (content[:-1], content.replace(b" ", b"-"), None):
        file.unlink()
        if wrong is not None:
            file.write_bytes(wrong)
        with pytest.raises(StateError, match="not as it must be"):
            it.belongs(own[0], NOW)


def test_an_operator_writes_the_file_from_a_table_and_is_told_what_is_wrong_with_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holder_files, "AT_ONCE", 7)  # several parts, a number's rows in different ones
    table, out, key = tmp_path / "holders.csv", tmp_path / "out" / "holders", tmp_path / "key"
    out.parent.mkdir()
    key.write_text("shared\n")
    rows = [f"138001380{number:02d},id,{CARD},某{number}" for number in range(40)]
    rows[10:10] = [
        f"13800138000,居民身份证,{OTHER.lower()},王 小明",  # the third row of this number holds
        "02988888888,id,110105194912310021,丙",
        "13900139001,id,110105194912310021,丁",
        f"13900139002,card,{CARD},戊",
        f"13900139003,id,{CARD},",
        f"13900139004,id,{CARD}",
    ]
    rows.append(f"+86 138 0013 8000,id,{CARD},王小明")
    command = ["codes", "holders", "write", str(table), str(out), "--key-file", str(key)]
    for encoding in ("utf-8-sig", "gb18030"):
        table.write_text("\n".join(["手机号,证件类型,证件号,姓名", *rows]), encoding=encoding)
        assert run(command) == 1
        said = capsys.readouterr()
        assert "40 个号码" in said.out
        assert "replaced: 2" in said.out
        assert "wrong: 5" in said.out
        told = said.err.splitlines()
        assert [line.split()[1] for line in told] == ["13", "14", "15", "16", "17"]
        assert "139****9001" in told[1]
        assert not any(secret in said.err for secret in ("139001390", "8888888", CARD, "1101051949", "丁"))
        lines = out.read_bytes().splitlines()
        assert lines == sorted(lines)
        assert out.stat().st_mode & 0o777 == 0o600
        assert [it.name for it in out.parent.iterdir()] == ["holders"], "no part is left"
        it = FileCheck(out, SECRET)
        assert it.belongs(holder(), NOW) == "yes"
        assert it.belongs(holder("8613800138039", name="某39"), NOW) == "yes"
        assert it.belongs(holder("8613900139001", name="丁"), NOW) == "unknown"
    table.write_text("手机号,证件类型,证件号,姓名\n")
    assert run(command) == 1
    assert "not written" in capsys.readouterr().err
    assert out.read_bytes().splitlines() == lines, "the file before is not lost"
    key.write_text("\n")
    assert run(command) == 1
    assert "empty" in capsys.readouterr().err


def test_a_code_says_that_its_phone_is_not_proven() -> None:
    assert Profile("王小明", "id", "2X", proven=True).masked_name == "王*"
    assert Profile("王小明", "id", "2X").masked_name == "王*"
    assert "未核实" in Profile("王小明", "id", "2X", proven=False).masked_name


@pytest.mark.parametrize("unanswered", ["refuse", "register"])
def test_whose_number_it_is_decides_who_is_registered_and_how(tmp_path: Path, unanswered: str) -> None:
    data, holders, letters = tmp_path / "data", tmp_path / "holders", tmp_path / "sent.jsonl"
    data.mkdir()
    lay_out(data / "records.db")
    write_holders(b"shared", [holder(), holder("8613800138001", OTHER)], holders)
    environ = {"APPEALS__CODE_FILE": letters, "CODES__OPERATOR_FILE": holders, "CODES__OPERATOR_SECRET": "shared"}
    environ |= {"CODES__OPERATOR_UNANSWERED": unanswered}
    config = load_config(data=data, environ={f"HUTONG_{name}": str(value) for name, value in environ.items()})
    site = CodesSite(config, SystemClock(), Reporter("codes"))
    site.open()
    try:
        status = status_desk(config, site.database, lambda: open_cases(config, site.database))
        now_ms = SystemClock().wall() // 1_000_000
        desk = site._desk(code_issuer(config, site.database), status)  # noqa: SLF001  # as the process wires it

        tokens: list[str] = []

        def arrived(phone: str, card: str = CARD) -> tuple[str, str]:
            before = len(letters.read_text().splitlines()) if letters.exists() else 0
            ticket = desk.arrive(Arrival("id", card, "王小明", phone), "zh", now_ms)
            until(lambda: letters.exists() and len(letters.read_text().splitlines()) > before)
            code = msgspec.json.decode(letters.read_text().splitlines()[-1])["code"]
            try:
                token = desk.confirm(Confirmation(ticket, code), now_ms)
            except PersonRefused as refused:
                return refused.reason, ""
            tokens.append(token)
            text = desk.wallet(token, now_ms).own.text(0)
            claims = verify(text, Trust([key_ring(config).key_set(now_ms)]), {}, None, now_ms).claims
            assert claims is not None
            return "registered", claims.name

        assert arrived("138 0013 8000") == ("registered", "王*")
        assert arrived("13800138001") == ("operator", ""), "of somebody else"
        assert arrived("13800138002") == ("operator-away", ""), "who is proven is taken over by nobody who is not"
        unknown = arrived("13800138002", OTHER)
        assert unknown == (("registered", "王* 未核实 unproven") if unanswered == "register" else ("operator-away", ""))
        assert arrived("13800138001", OTHER) == ("registered", "王*")
        for stranger in tokens[1:-1]:
            with pytest.raises(PersonRefused, match="may not fetch"):
                desk.wallet(stranger, now_ms)
        assert len(tokens) == (3 if unanswered == "register" else 2)
        for token in (tokens[0], tokens[-1]):
            assert desk.person(token, now_ms)
    finally:
        site.close()
