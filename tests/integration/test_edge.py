"""The real nginx before an application: what it refuses, keeps and says when the application is gone."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Self

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge_nodes import LUA, Application, Edge, GatedApplication
from hutong.app.edge.writing import Pages
from hutong.kernel.metrics import OVERLOAD_LEVEL
from hutong.kernel.overload.board import read_board
from hutong.kernel.overload.classes import Kind, Level
from hutong.kernel.overload.tickets import Standing, Ticket, holder_of, sign, verify
from hutong.kernel.web.installed import file_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.peer("nginx"),
    pytest.mark.skipif(not LUA.exists(), reason="libnginx-mod-http-lua is not installed"),
]

HOLDER = "0123456789abcdef0123456789abcdef"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def asker(port: int) -> httpx.Client:
    """Somebody who asks the edge, and who keeps no cookies."""
    forgetful = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    return httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, cookies=forgetful)


class Town:
    """An edge for everybody, the application behind it, and somebody who asks."""

    def __init__(
        self,
        folder: Path,
        free_port: Callable[[], int],
        wait_until: Callable[..., object],
        **more: Any,  # noqa: ANN401
    ) -> None:
        root = folder / "root"
        (root / "static").mkdir(parents=True)
        (root / "index.html").write_text("<p>first page")
        (root / "static" / "a.css").write_text("p{}")
        self.edge = Edge(folder, more.pop("name", "public"), free_port, root=str(root), **more)
        self.application = Application(self.edge.application_port)
        self.wait_until = wait_until
        self.client = asker(self.edge.port)

    def __enter__(self) -> Self:
        if not self.edge.boards[0].exists():
            self.edge.say(now_ms())
        self.edge.start(self.wait_until)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.edge.stop()
        self.application.stop()

    def ask(self, path: str, ticket: str = "", holder: str = HOLDER, **headers: str) -> httpx.Response:
        shown = {"Hutong-Ticket": ticket, "Hutong-Holder": holder} if ticket else {}
        return self.client.get(path, headers={**shown, **headers})

    def answers(self, path: str) -> int:
        """The status; 0 where the connection broke."""
        try:
            return self.ask(path).status_code
        except httpx.TransportError:
            return 0

    def hold(self, path: str) -> threading.Thread:
        """Ask, and have the application not answer until told."""
        before = len(self.application.reached)
        url = f"http://127.0.0.1:{self.edge.port}{path}"
        thread = threading.Thread(target=_get, args=(url,))
        thread.start()
        self.wait_until(lambda: len(self.application.reached) > before, what=f"{path} reached the application")
        return thread

    def sign(self, kind: Kind, due_ms: int, holder: str = HOLDER, number: str = "00" * 8) -> str:
        return sign(Ticket(kind, due_ms, 60_000, number, holder_of(holder)), self.edge.keys.keys(), now_ms())


def _said(edge: Edge) -> list[int]:
    return [int(it) for it in edge.says.read_text().split()] if edge.says.exists() else []


def _get(url: str) -> None:
    with contextlib.suppress(httpx.TransportError):
        httpx.get(url, timeout=30)


@pytest.fixture
def town(tmp_path: Path, free_port: Callable[[], int], wait_until: Callable[..., object]) -> Iterator[Town]:
    with Town(tmp_path, free_port, wait_until) as it:
        yield it


def test_who_finds_no_place_is_refused_at_the_edge_with_a_ticket_that_the_application_knows(town: Town) -> None:
    held = town.hold("/codes/wallet/hold")
    before = now_ms()
    refused = town.ask("/codes/wallet/2", accept="text/html", **{"hutong-edge-refused": "9,9,9,9"})
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == refused.headers["refresh"]
    assert refused.headers["hutong-level"] == "normal"
    for said in ("请稍后再来", f"约 {refused.headers['retry-after']} 秒后", "Please come back", "已为您留了位置"):
        assert said in refused.text
    ticket, holder = refused.headers["hutong-ticket"], refused.headers["hutong-holder"]
    assert f"hutong_ticket_issue={ticket}; Path=/; Max-Age=" in refused.headers["set-cookie"]
    keys = town.edge.keys.keys()
    standing, read = verify(ticket, holder, Kind.ISSUE, keys, now_ms() - 5000)
    assert standing is Standing.EARLY
    assert read is not None
    assert verify(ticket, holder, Kind.ISSUE, keys, read.due_ms)[0] is Standing.DUE
    assert before <= read.due_ms <= now_ms() + 1100
    assert now_ms() + 1000 * int(refused.headers["retry-after"]) in range(read.due_ms, read.due_ms + 40_000)

    early = town.ask("/codes/wallet/2", town.sign(Kind.ISSUE, now_ms() + 30_000))
    assert early.status_code == 429
    assert early.json()["retry_after"] == int(early.headers["retry-after"]) >= 20

    assert town.application.paths() == ["/codes/wallet/hold"]
    town.application.held.set()
    held.join()
    assert town.ask("/codes/wallet/3").text == "answer to /codes/wallet/3"
    told = town.application.reached[-1][1]
    assert told["hutong-edge-refused"] == "0,0,2,0", "the application hears it from the edge, and from nobody else"
    town.ask("/codes/wallet/4", **{"hutong-edge-refused": "9,9,9,9"})
    assert "hutong-edge-refused" not in town.application.reached[-1][1]


def test_a_due_ticket_goes_before_those_without_and_is_let_in_once(town: Town) -> None:
    town.edge.say(now_ms(), queues=1)
    held = town.hold("/scan/hold")
    mine = town.sign(Kind.SCAN, now_ms() - 1000)
    for wrong in (
        "",
        mine[:-1] + ("0" if mine[-1] != "0" else "1"),
        town.sign(Kind.ISSUE, now_ms() - 1000),
        town.sign(Kind.SCAN, now_ms() - 1000, "another holder"),
        town.sign(Kind.SCAN, now_ms() - 70_000),
    ):
        assert town.ask("/scan/wrong", wrong).status_code == 503
    town.wait_until(lambda: town.ask("/scan/mine", mine).status_code == 200, what="the board is read")
    assert town.ask("/scan/again", mine).status_code == 503
    assert town.application.paths() == ["/scan/hold", "/scan/mine"]
    town.application.held.set()
    held.join()


def test_the_application_gone_the_edge_serves_what_it_has_and_says_so_honestly(town: Town) -> None:
    town.edge.say(now_ms(), rooms=2)
    for path in ("/codes/revocations/long", "/codes/revocations/short"):
        first = town.ask(path)
        assert (first.status_code, first.headers["hutong-copy"]) == (200, "MISS")
    assert town.ask("/codes/revocations/long").headers["hutong-copy"] == "HIT"
    assert town.application.paths() == ["/codes/revocations/long", "/codes/revocations/short"]
    town.application.stop()

    assert town.ask("/").text == "<p>first page"
    assert town.ask("/static/a.css").headers["content-type"] == "text/css; charset=utf-8"
    assert town.ask("/codes/revocations/long").text == "answer to /codes/revocations/long"
    short = "/codes/revocations/short"
    town.wait_until(lambda: town.ask(short).headers["hutong-copy"] in {"STALE", "UPDATING"}, seconds=15)
    assert town.ask(short).text == "answer to /codes/revocations/short"
    for _ in range(5):
        gone = town.ask("/scan/1", accept="text/html")
        assert gone.status_code == 503
        assert 5 <= int(gone.headers["retry-after"]) <= 15
        assert "服务暂时中断" in gone.text
        assert "The service is away" in gone.text
    assert town.ask("/codes/revocations/unknown").json()["why"] == "away"
    assert town.edge.log.read_text() == "", "a path may be a person's secret"

    town.application = Application(town.edge.application_port)
    assert [town.ask("/scan/2").status_code for _ in range(5)] == [200] * 5, "no failed request is still counted"


def test_the_public_pages_are_there_while_the_application_is_not(
    tmp_path: Path, free_port: Callable[[], int], wait_until: Callable[..., object]
) -> None:
    files = {
        "/codes/?lang=zh": file_of(".html", "<p>亮码</p>".encode()),
        "/codes/?lang=en": file_of(".html", b"<p>show " + 50 * b"x"),
        "/codes/check?lang=en": file_of(".html", b"<p>verify"),
        "/codes/static/a.js": file_of(".js", b"let a;"),
        "/codes/manifest.webmanifest": file_of(".webmanifest", b"{}"),
        "/codes/files": file_of(".json", b"{}"),
        "/static/b.css": file_of(".css", b"p{}"),
    }
    with Town(tmp_path, free_port, wait_until, pages=Pages("/codes/", files)) as town:
        assert town.ask("/codes/wallet/x").text == "answer to /codes/wallet/x"
        town.application.stop()

        def told(path: str, language: str = "") -> str:
            answer = town.ask(path, **{"accept-language": language})
            assert answer.status_code == 200, path
            assert answer.headers["content-security-policy"].startswith("default-src 'none'"), path
            return f"{answer.headers['content-type']} {answer.text[:7].strip()}"

        assert (
            told("/codes/", "fr, en;q=0.8, zh;q=0.5") == told("/codes/?lang=en") == "text/html; charset=utf-8 <p>show"
        )
        assert told("/codes/", "fr, zh-CN, en") == told("/codes/?lang=xx") == told("/codes/?lang=zh", "en")
        assert told("/codes/") == "text/html; charset=utf-8 <p>亮码</"
        assert told("/codes/check", "en-GB") == "text/html; charset=utf-8 <p>veri"
        assert told("/codes/static/a.js") == "text/javascript; charset=utf-8 let a;"
        assert told("/codes/manifest.webmanifest") == "application/manifest+json {}"
        assert told("/codes/files") == "application/json {}"
        packed = town.ask("/codes/?lang=en")
        assert (packed.headers["content-encoding"], packed.headers["cache-control"]) == ("gzip", "no-cache")
        again = town.ask("/codes/?lang=en", **{"if-none-match": packed.headers["etag"]})
        assert (again.status_code, town.ask("/static/b.css").text) == (304, "p{}")
        assert town.ask("/codes/wallet").status_code == town.ask("/codes/check?lang=zh").status_code == 503


def test_files_of_the_stations_page_carry_the_tags_that_its_list_has(
    tmp_path: Path, free_port: Callable[[], int], wait_until: Callable[..., object]
) -> None:
    files = {
        "/station/?lang=en": file_of(".html", b"<p>station " + 50 * b"x"),
        "/station/files": file_of(".json", b"{}"),
        "/station/static/a.js": file_of(".js", b"let a;"),
        "/codes/static/b.js": file_of(".js", b"let b;"),
        "/static/c.css": file_of(".css", b"p{}"),
    }
    with Town(tmp_path, free_port, wait_until, pages=Pages("/station/", files, "/codes/static/", tagged=True)) as town:
        assert town.ask("/station/pair").text == town.ask("/codes/static/x.js").text.replace(
            "/codes/static/x.js", "/station/pair"
        )
        town.application.stop()
        for path, it in files.items():
            answer = town.ask(path)
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (200, it.body, it.tag), path
        assert town.ask("/station/?lang=en").headers["content-encoding"] == "gzip"


def test_when_only_critical_requests_are_taken_stations_go_on_at_their_own_listener(
    town: Town, tmp_path: Path, free_port: Callable[[], int], wait_until: Callable[..., object]
) -> None:
    town.edge.say(now_ms() + 60_000, Level.CRITICAL_ONLY, rooms=8)
    town.wait_until(lambda: town.ask("/scan/1").status_code == 503, what="the board is read")
    assert town.ask("/v1/sampling/tubes").headers["hutong-level"] == "critical-only"
    assert not any("sampling" in path for path in town.application.paths())
    folder = tmp_path / "s"
    folder.mkdir()
    with Town(folder, free_port, wait_until, name="stations") as station:
        station.edge.say(now_ms() + 60_000, Level.CRITICAL_ONLY, rooms=8)
        station.wait_until(lambda: station.ask("/scan/1").status_code == 503, what="the board is read")
        assert station.ask("/v1/sampling/tubes").status_code == 200
    folder = tmp_path / "o"
    folder.mkdir()
    with Town(folder, free_port, wait_until, name="stations", stations_networks=("192.0.2.0/24",)) as other:
        assert other.ask("/v1/sampling/tubes").status_code == 403


def test_a_killed_worker_and_a_reload_leave_the_count_of_requests_right(town: Town) -> None:
    """With one place, a request counted twice would shut the edge, one forgotten would let two in."""
    town.edge.say(now_ms() + 60_000, rooms=2)
    held = town.hold("/scan/hold-1")
    town.edge.kill_worker()
    held.join()
    town.edge.say(now_ms() + 60_000, rooms=1)
    town.wait_until(lambda: town.answers("/scan/2") == 200, what="the place is free again")
    held = town.hold("/scan/hold-3")
    town.edge.reload(town.wait_until)
    town.wait_until(lambda: town.answers("/scan/4") == 503, what="the new worker answers")
    assert [town.answers("/scan/5") for _ in range(3)] == [503] * 3
    town.application.held.set()
    held.join()
    town.application.held.clear()
    town.wait_until(lambda: town.answers("/scan/6") == 200, what="the place is free again")
    held = town.hold("/scan/hold-7")
    assert [town.answers("/scan/8") for _ in range(3)] == [503] * 3
    town.application.held.set()
    held.join()


def test_an_application_behind_its_gate_and_the_edge_before_it_agree(
    tmp_path: Path, free_port: Callable[[], int], wait_until: Callable[..., object]
) -> None:
    """Many scans at once: some are served, the rest is refused by either; whoever comes back when told is served."""
    edge = Edge(tmp_path, "public", free_port)
    served = GatedApplication(tmp_path, edge.application_port)
    edge.start(wait_until)
    wait_until(served.is_up, what="the application answers")
    try:
        with ThreadPoolExecutor(60) as crowd, asker(edge.port) as client:
            asked = [crowd.submit(client.get, f"/scan/{at}") for at in range(60)]
            wait_until(lambda: any(it.done() for it in asked), what="somebody is refused")
            served.release()
            answers = [it.result() for it in asked]
            assert {it.status_code for it in answers} == {200, 503}
            assert sum(it.status_code == 200 for it in answers) == served.count == 60 - len(served.refused(answers))
            assert read_board(edge.boards[0].read_text()).rooms[Kind.SCAN] >= 1
            ticket = min(it.headers["hutong-ticket"] for it in answers if it.status_code == 503)
            its = next(it for it in answers if it.headers.get("hutong-ticket") == ticket)
            shown = {name: its.headers[name] for name in ("hutong-ticket", "hutong-holder")}
            wait_until(lambda: now_ms() >= int(ticket.split(".")[3]), what="the ticket is due")
            assert client.get("/scan/again", headers=shown).status_code == 200
            assert served.metrics.value(OVERLOAD_LEVEL, process="public-1") in {0, 1, 2}
    finally:
        edge.stop()
        served.stop()


def test_several_processes_share_out_what_comes_and_one_that_dies_is_left_out(
    tmp_path: Path, free_port: Callable[[], int], wait_until: Callable[..., object]
) -> None:
    """Places are summed, requests shared out, a ticket is good once, and a dead process costs nobody an answer."""
    town, far = Town(tmp_path, free_port, wait_until, processes=2), now_ms() + 60_000
    for process in (1, 2):
        town.edge.say(far, rooms=10, queues=process - 1, process=process)
    with town:
        other = Application(town.edge.application_port + 1)
        try:
            held = []
            for at in range(20):
                before = len(town.application.reached) + len(other.reached)
                held.append(threading.Thread(target=_get, args=(f"http://127.0.0.1:{town.edge.port}/scan/hold{at}",)))
                held[-1].start()
                wait_until(
                    lambda count=before: len(town.application.reached) + len(other.reached) > count,
                    what="a place at one of them",
                )
            assert [len(town.application.reached), len(other.reached)] == [10, 10]
            mine = town.sign(Kind.SCAN, now_ms() - 1000)
            assert town.ask("/scan/without").status_code == 503, "20 places, and no more"
            assert [town.ask("/scan/mine", mine).status_code for _ in range(3)] == [200, 503, 503]
            for one in (town.application, other):
                one.held.set()
            for thread in held:
                thread.join()

            town.edge.say(far, Level.CRITICAL_ONLY, rooms=10, process=2)
            wait_until(lambda: town.answers("/scan/1") == 503, what="of two, the worse level counts")
            town.edge.say(1, Level.CRITICAL_ONLY, rooms=10, process=2)
            wait_until(lambda: town.answers("/scan/1") == 200, what="a board that is not renewed counts for nothing")
            other.stop()
            assert [town.answers(f"/scan/{at}") for at in range(20)] == [200] * 20
            wait_until(lambda: _said(town.edge)[2:3] == [0], what="the edge says that nobody is under way")
            version, made, _, *counts = _said(town.edge)
            assert (version, len(counts)) == (1, 8)
            assert 0 <= now_ms() - made < 10_000
        finally:
            other.stop()


def test_secrets_stay_in_the_key_file(town: Town) -> None:
    secret = town.edge.keys.keys().one.secret.hex()
    files = [it for it in town.edge.folder.rglob("*") if it.is_file()]
    assert len(files) > 5
    assert not any(secret in it.read_text(errors="replace") for it in files)


def test_full_handshakes_beyond_the_budget_are_not_begun_and_sessions_resume(
    tmp_path: Path, free_port: Callable[[], int], wait_until: Callable[..., object]
) -> None:
    certificate, key = _certificate(tmp_path)
    more = {"tls_certificate": str(certificate), "tls_key": str(key), "handshakes": 1}
    with Town(tmp_path, free_port, wait_until, **more) as town:
        context = ssl.create_default_context(cafile=str(certificate))
        session = None
        while session is None:
            session = _handshake(town.edge.port, context, None)
        full = [_handshake(town.edge.port, context, None) is not None for _ in range(8)]
        assert full.count(True) <= 4
        resumed = [_handshake(town.edge.port, context, session) for _ in range(8)]
        assert all(resumed)


def _handshake(port: int, context: ssl.SSLContext, session: ssl.SSLSession | None) -> ssl.SSLSession | None:
    """The session of a connection; None where the edge did not go on with the handshake."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), 10) as plain,
            context.wrap_socket(plain, server_hostname="localhost", session=session) as secure,
        ):
            secure.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert secure.recv(12) == b"HTTP/1.1 200"
            assert secure.session_reused is (session is not None)
            return secure.session
    except (ssl.SSLError, ConnectionError):
        return None


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    begin = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate, secret = folder / "edge.crt", folder / "edge.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem = serialization.PrivateFormat.PKCS8
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, pem, serialization.NoEncryption()))
    return certificate, secret
