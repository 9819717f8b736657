"""Notices with real receivers: a mail server with STARTTLS and passwords, one that greylists, slow ones; a webhook."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import http.server
import resource
import signal
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from case_samples import CALENDAR, DUTY, MONDAY, TYPES, number_case
from hutong.kernel.cases.delivery import FIRST_WAIT_MS, PATIENT, deliver
from hutong.kernel.cases.model import Request
from hutong.kernel.cases.notices import (
    FileNotices,
    Mailbox,
    MailNotices,
    MemoryNotices,
    Notice,
    NoticeError,
    NoticeUnreachedError,
    WebhookNotices,
)
from hutong.kernel.cases.purview import WHOLE
from hutong.kernel.cases.store import Cases
from hutong.kernel.records import Database, database_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.enable_socket

NOTICE = Notice("node1-x.3", "unit:移动", "assigned", "node1-x", "fraud-number", "核查 138****8000", "assigned", 0, "")
TO = {"unit:移动": ["duty@example.cn", "chief@example.cn"]}
VICTIM = Path(__file__).with_name("notice_victim.py")


class Identity:
    """A certificate of 127.0.0.1 and localhost that nobody else has signed."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = dt.datetime.now(dt.UTC)
        names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(names, critical=False)
            .sign(key, hashes.SHA256())
        )
        own = folder / "own.pem"
        plain = serialization.NoEncryption()
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        own.write_bytes(certificate.public_bytes(pem) + key.private_bytes(pem, pkcs8, plain))
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(own)
        self.trusting = ssl.create_default_context(cafile=str(own))


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return Identity(tmp_path_factory.mktemp("tls"))


class Post:
    """What a mail server got; `says` answers for a recipient, once each."""

    def __init__(self, **says: list[str]) -> None:
        self.letters: list[tuple[list[str], str]] = []
        self.says = says

    async def handle_RCPT(self, _server: object, _session: object, envelope: Any, address: str, _o: object) -> str:  # noqa: ANN401, N802  # as the library calls it
        waiting = self.says.get(address.partition("@")[0])
        if waiting:
            return waiting.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: ANN401, N802  # as above
        self.letters.append((envelope.rcpt_tos, envelope.content.decode()))
        return "250 taken"


@contextmanager
def mail_server(post: Post, **options: Any) -> Iterator[int]:  # noqa: ANN401  # the library's own
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    controller = Controller(post, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


@contextmanager
def talker(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """Whoever is spoken to on a port, in a thread of their own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            line, _ = listener.accept()
            with line:
                talk(line)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        thread.join(20)


def dripping(beginning: bytes) -> Callable[[socket.socket], None]:
    """Sends a letter again and again, and never comes to an end; the line is not idle."""

    def talk(line: socket.socket) -> None:
        line.settimeout(0.02)
        try:
            line.sendall(beginning)
            while True:
                try:
                    if not line.recv(4096):
                        return
                except TimeoutError:
                    line.sendall(b"-")
        except OSError:
            return

    return talk


def test_letters_go_encrypted_to_who_proves_their_name_and_takes_the_password(identity: Identity) -> None:
    post, asked = Post(), []

    def check(_server: object, _session: object, _envelope: object, _way: str, given: Any) -> AuthResult:  # noqa: ANN401
        asked.append((given.login, given.password))
        return AuthResult(success=given.password == b"right", handled=False)

    with mail_server(
        post, tls_context=identity.server, require_starttls=True, authenticator=check, auth_required=True
    ) as port:
        box = Mailbox("localhost", port, "hutong@example.cn", "hutong", "right")
        MailNotices(box, TO, tls=identity.trusting).deliver(NOTICE)
        with pytest.raises(NoticeError, match="SSLCertVerificationError"):
            MailNotices(box, TO).deliver(NOTICE)
        wrong = msgspec.structs.replace(box, password="wrong")  # noqa: S106  # none
        with pytest.raises(NoticeError, match="SMTPAuthenticationError"):
            MailNotices(wrong, TO, tls=identity.trusting).deliver(NOTICE)
        for careless in (msgspec.structs.replace(box, tls=False), msgspec.structs.replace(box, user="")):
            with pytest.raises(NoticeError):
                MailNotices(careless, TO, tls=identity.trusting).deliver(NOTICE)
    ((to, letter),) = post.letters
    assert to == TO["unit:移动"]
    assert f"Message-ID: <{NOTICE.id}@hutong>" in letter
    assert {password for _, password in asked} == {b"right", b"wrong"}


def test_a_server_without_encryption_gets_no_letter_that_is_to_be_encrypted() -> None:
    post = Post()
    with mail_server(post) as port, pytest.raises(NoticeError, match="SMTPNotSupportedError"):
        MailNotices(Mailbox("127.0.0.1", port, "a@b", "hutong", "secret"), TO).deliver(NOTICE)
    assert post.letters == []


def test_who_is_put_off_is_written_to_again_and_who_does_not_exist_is_not() -> None:
    post = Post(duty=["451 greylisted, come again"], chief=[])
    with mail_server(post) as port:
        mail = MailNotices(Mailbox("127.0.0.1", port, "a@b", tls=False), TO)
        with pytest.raises(NoticeError, match="1 of 2"):
            mail.deliver(NOTICE)
        mail.deliver(NOTICE)
        post.says["duty"] = ["550 nobody of that name"]
        mail.deliver(NOTICE)
        post.says = {"duty": ["451 later"], "chief": ["451 later"]}
        with pytest.raises(NoticeError, match="SMTPRecipientsRefused"):
            mail.deliver(NOTICE)
    assert [to for to, _ in post.letters] == [["chief@example.cn"], TO["unit:移动"], ["chief@example.cn"]]
    assert len({letter[letter.index("Message-ID") :].splitlines()[0] for _, letter in post.letters}) == 1


@pytest.mark.parametrize("beginning", [b"", b"220-wait\r\n220-", b"220 here\r\n250-"])
def test_a_mail_server_that_goes_on_for_ever_is_left(beginning: bytes) -> None:
    with talker(dripping(beginning)) as port, pytest.raises(NoticeError):
        MailNotices(Mailbox("127.0.0.1", port, "a@b", tls=False), TO, patience_s=0.2).deliver(NOTICE)


@pytest.mark.parametrize(
    "beginning", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 ", b"HTTP/1.1 500 x\r\na:b"]
)
def test_a_webhook_that_goes_on_for_ever_is_left(beginning: bytes) -> None:
    with talker(dripping(beginning)) as port, pytest.raises(NoticeError, match="cannot be reached"):
        WebhookNotices(f"http://127.0.0.1:{port}/", "s", lambda: 0, patience_s=0.2).deliver(NOTICE)


def test_an_answer_without_end_is_an_answer() -> None:
    with talker(dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n")) as port:
        WebhookNotices(f"http://127.0.0.1:{port}/", "s", lambda: 0, patience_s=20).deliver(NOTICE)


class Hook(http.server.BaseHTTPRequestHandler):
    """A receiver; answers in this order, and then 204."""

    protocol_version = "HTTP/1.1"
    answers: ClassVar[list[int]] = []
    seen: ClassVar[list[tuple[str, dict[str, str], bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, dict(self.headers.items()), body))
        self.send_response(self.answers.pop(0) if self.answers else 204)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        del format, args


@contextmanager
def hook(*answers: int, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    Hook.seen.clear()
    Hook.answers[:] = answers
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Database]:
    """Records in which two notices wait."""
    database = Database(database_url("", tmp_path))
    database.open()
    cases = Cases(database, TYPES, CALENDAR, "node1", WHOLE)
    for number in ("13800138000", "13900139000"):
        of = cases.find(number_case(number), DUTY, MONDAY).case
        cases.do(of, Request("assign", unit="移动"), DUTY, MONDAY)
    yield database
    database.close()


def test_a_webhook_that_fails_or_leads_elsewhere_gets_the_same_again_later(records: Database) -> None:
    with hook(500, 302, 204, 307) as port:
        port_ = WebhookNotices(f"http://127.0.0.1:{port}/in?a=1", "secret", lambda: MONDAY * 10**6)
        assert deliver(records, [port_], MONDAY) == 0
        assert deliver(records, [port_], MONDAY) == 0, "not at once"
        assert deliver(records, [port_], MONDAY + FIRST_WAIT_MS) == 1
        assert deliver(records, [port_], MONDAY + 10 * FIRST_WAIT_MS) == 1
        assert deliver(records, [port_], MONDAY + 100 * FIRST_WAIT_MS) == 0
        seen = list(Hook.seen)
    assert {path for path, _, _ in seen} == {"/in?a=1"}, "nothing was followed"
    keys = [headers["Idempotency-Key"] for _, headers, _ in seen]
    assert (len(keys), len(set(keys)), keys[:2]) == (5, 2, keys[2:4])
    _, headers, body = seen[0]
    mark = hmac.new(b"secret", f"{MONDAY // 1000}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["Hutong-Signature"] == f"t={MONDAY // 1000},v1={mark}"
    assert b"13800138000" not in body


def test_a_port_that_took_a_notice_does_not_get_it_again_for_another_ones_sake(records: Database) -> None:
    class Down(MemoryNotices):
        name = "webhook"

    letters, tried = MemoryNotices(), []
    down = Down(*[NoticeUnreachedError("away")] * PATIENT)
    assert deliver(records, [letters, down], MONDAY, tell=lambda port, _: tried.append(port)) == 0
    assert deliver(records, [letters, down], MONDAY + FIRST_WAIT_MS, tell=lambda port, _: tried.append(port)) == 1
    assert deliver(records, [letters, down], MONDAY + 10 * FIRST_WAIT_MS) == 1
    assert tried == ["webhook"] * PATIENT
    assert len(letters.got) == len({it.id for it in letters.got}) == 2
    assert {it.id for it in down.got} == {it.id for it in letters.got}


def test_who_does_not_answer_is_not_waited_for_again_and_again(records: Database) -> None:
    cases = Cases(records, TYPES, CALENDAR, "node1", WHOLE)
    for _ in range(PATIENT):
        of = cases.find(number_case(), DUTY, MONDAY).case
        cases.do(of, Request("assign", unit="移动"), DUTY, MONDAY)
    tried: list[str] = []
    away = MemoryNotices(*[NoticeUnreachedError("away")] * 100)
    assert deliver(records, [away], MONDAY, tell=lambda port, _: tried.append(port)) == 0
    assert len(tried) == PATIENT, "of 5"
    assert deliver(records, [MemoryNotices()], MONDAY + FIRST_WAIT_MS) == 2 + PATIENT, "none is lost"


def test_a_notice_that_does_not_fit_on_the_disk_leaves_no_half_line(tmp_path: Path) -> None:
    told = tmp_path / "told.jsonl"
    port = FileNotices(told)
    port.deliver(NOTICE)
    before = told.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 9, limits[1]))
    try:
        with pytest.raises(NoticeError, match="disk is full"):
            port.deliver(NOTICE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert told.read_bytes() == before


def test_a_webhook_proves_its_name(identity: Identity) -> None:
    with hook(tls=identity.server) as port:
        url = f"https://localhost:{port}/"
        WebhookNotices(url, "s", lambda: 0, tls=identity.trusting).deliver(NOTICE)
        for tls, at in ((None, url), (identity.trusting, f"https://127.0.0.1:{port}/")):
            with pytest.raises(NoticeError, match="SSLCertVerificationError"):
                WebhookNotices(at, "s", lambda: 0, tls=tls).deliver(NOTICE)
        assert len(Hook.seen) == 1


def test_what_was_sent_when_a_kill_came_is_sent_again_with_the_same_id(records: Database, tmp_path: Path) -> None:
    post = Post()

    def victim(url: str, mail: int, fate: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(VICTIM), database_url("", tmp_path), url, str(mail), fate]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    with hook() as port, mail_server(post) as mail:
        url = f"http://127.0.0.1:{port}/"
        assert victim(url, mail, "killed").returncode == -signal.SIGKILL
        after = victim(url, mail, "spared")
        assert (after.returncode, after.stdout) == (0, "2\n"), after.stderr
        assert victim(url, mail, "spared").stdout == "0\n"
        keys = [headers["Idempotency-Key"] for _, headers, _ in Hook.seen]
    assert len(keys) == 3
    assert keys[0] == keys[1] != keys[2]
    letters = [letter[letter.index("Message-ID") :].splitlines()[0] for _, letter in post.letters]
    assert [f"Message-ID: <{key}@hutong>" for key in keys] == letters
    del records
