"""A whole node with people and calls, and a browser that complains of everything a person would complain of.

`ConsoleNode` is `hutong up` on a folder of its own; `Browsers` gives desks: a page in Chromium with somebody of a role
signed in, in a language. What a desk sees it also watches: the console's errors, failed requests, other hosts.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

import msgspec
from axe_playwright_python.base import AXE_SCRIPT

from e2e.processes import HUTONG, STARTING, Process, free_port
from engines import ABROAD, COMPANY, HOME, NEIGHBOUR, TRUNKS, invite
from hutong.app.demo import people as demo
from hutong.calls.alerts.table import AlertRow, AlertTable
from hutong.calls.live.figures import LiveSource
from hutong.kernel.access.people import People
from hutong.kernel.access.permissions import ROLES
from hutong.kernel.lists.store import ListStore
from hutong.kernel.lists.targets import draft
from hutong.kernel.numbering import Numbering, key_of_digits
from hutong.kernel.records.database import Database, database_url
from stages import put_stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page, Playwright, Response

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LOCALES = {"zh": "zh-CN", "en": "en-GB"}
ZONE = "Asia/Shanghai"
NARROW = 360
WAIT_MS = 15_000
PASSWORD = "umbrella-tide-97-lantern"  # noqa: S105  # of people in tests
_OUTSTANDING = 128
_FIRST_ALERT = 10_000_000  # beyond whatever the node journals meanwhile
_SOURCES = {
    demo.INTERNATIONAL: ABROAD,
    demo.INTERCONNECT: NEIGHBOUR,
    demo.LOCAL: HOME,
    demo.ENTERPRISE: COMPANY,
}
_CONFIG = """\
[node]
name = "e2e"

[sip]
listen = ["udp:127.0.0.1:{sip}"]
next_hop = "{next_hop}"
redress_url = "http://127.0.0.1:{public}/redress"

[calls]
budget_ms = 5000
home_area = "021"

[windows]
memory_mb = 16

[mirror]
listen = ["udp:127.0.0.1:{mirror}"]
calls = 2048

[serve]
listen = "127.0.0.1:{port}"
public_listen = "127.0.0.1:{public}"

{trunks}
{more}
"""
_TRUNKS = "\n".join(
    f'[[trunks]]\nname = "{it.name}"\nkind = "{it.kind}"\nnetworks = {list(it.networks)}\nranges = {list(it.ranges)}\n'
    for it in TRUNKS
)


class ConsoleNode(Process):
    """`hutong up` with a person of each role whose password is `PASSWORD`, and some list entries.

    Args:
        trunks: tables of the settings; the sample trunks unless given. more: further tables.
    """

    def __init__(
        self, folder: Path, *, next_hop: str = "192.0.2.249:5080", trunks: str = _TRUNKS, more: str = ""
    ) -> None:
        self.sip, self.port, self.public = free_port(), free_port(), free_port()
        self.data = folder / "data"
        self.data.mkdir(mode=0o750)
        config = folder / "hutong.toml"
        config.write_text(
            _CONFIG.format(
                sip=self.sip,
                next_hop=next_hop,
                mirror=free_port(),
                port=self.port,
                public=self.public,
                trunks=trunks,
                more=more,
            ),
            encoding="utf-8",
        )
        super().__init__("up", [*HUTONG, "up", "--data", str(self.data), "--config", str(config)], folder)

    @property
    def url(self) -> str:
        """Of the console, without the last slash."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def public_url(self) -> str:
        """Of the public pages."""
        return f"http://127.0.0.1:{self.public}"

    def start(self) -> None:
        """Start it and wait until all of its processes are ready."""
        self._invite_people()
        self._fill_lists()
        (self.data / "labels").mkdir()
        (self.data / "labels" / "listed.csv").write_text("number,label\n13900130007,1\n", encoding="ascii")
        reader, writer = os.pipe()
        self.launch(pass_fds=(writer,), env={"HUTONG_READY_FD": str(writer)})
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            ready, _, _ = select.select([pipe], [], [], 2 * STARTING)
            assert ready, f"up was not ready:\n{self.tail()}"
            assert pipe.read(6) == b"READY\n", f"up did not become ready:\n{self.tail()}"

    def _invite_people(self) -> None:
        database = Database(database_url("", self.data))
        database.open()
        now = time.time_ns() // 1_000_000
        try:
            people = People(database)
            for role in ROLES:
                first = people.add(role, f"{role.title()} One", role, now)
                people.set_password(role, first, PASSWORD, now)
        finally:
            database.close()

    def add_person(self, name: str, role: str) -> str:
        """Make another account while the node runs; returns its one-time password."""
        database = Database(database_url("", self.data))
        database.open()
        try:
            return People(database).add(name, name.title(), role, time.time_ns() // 1_000_000)  # type: ignore[arg-type]
        finally:
            database.close()

    def _fill_lists(self) -> None:
        numbering = Numbering("021")
        store = ListStore(self.data / "lists")
        store.open()
        try:
            numbers = [f"1390013{n:04d}" for n in range(60)]
            entries = [
                draft(number, numbering=numbering, list="block", role="caller", reason=f"sample {number}", who="tester")
                for number in numbers
            ]
            store.add(entries, time.time_ns() // 1_000_000_000)
        finally:
            store.close()

    def make_calls(self, count: int, seed: int = 1) -> None:
        """Send so many calls of the demo's people, and wait until every one is answered and counted."""
        attempts = demo.Population(seed).attempts()
        waiting: set[str] = set()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            peer.bind(("127.0.0.1", 0))
            peer.settimeout(20)
            via = f"Via: SIP/2.0/UDP 127.0.0.1:{peer.getsockname()[1]};branch=z9hG4bK-"
            for number, attempt in enumerate(itertools.islice(attempts, count)):
                call = f"e{seed}-{number}"
                source = _SOURCES[attempt.trunk]
                data = invite(attempt.caller, attempt.callee, source=source, call=call, via=via + call)
                peer.sendto(data, ("127.0.0.1", self.sip))
                waiting.add(call)
                while len(waiting) >= _OUTSTANDING:
                    waiting.discard(_answered(peer))
            while waiting:
                waiting.discard(_answered(peer))
        self.wait_until(lambda: LiveSource(self.data).snapshot().attempts >= count)

    def raise_alert(self, rule: str) -> int:
        """Put an alert on a call that goes on into the table, as `work` does; returns its number."""
        table, now = AlertTable(self.data), time.time_ns() // 1_000_000
        seq = max(table.newest_event(), _FIRST_ALERT) + 1
        row = AlertRow(
            seq=seq,
            time_ms=now,
            rule=rule,
            version=1,
            kind=rule.partition(".")[0],
            stage="alert",
            caller=key_of_digits("8613800138000"),
            callee=key_of_digits("8613900139000"),
            trunk="home",
            verdict=seq,
            call_id="a84b4c@gw1",
            ring_ms=3000,
            talk_ms=181_000,
            answered=True,
            figures={"call.talk_s": 181.0},
            conditions="0" * 16,
            total_ms=181_000,
        )
        table.take([row], table.place())
        return seq

    @contextlib.contextmanager
    def a_rule_demoted(self, rule: str) -> Iterator[None]:
        """The rule stands demoted by no person within; somebody answers it then."""
        put_stage(self.data, rule, "observe", by="hutong")
        try:
            yield
        finally:
            put_stage(self.data, rule, "warn")

    def await_archive(self) -> None:
        """Wait until a first day is in the archive."""
        self.wait_until(lambda: any((self.data / "archive" / "verdicts").glob("day=*/*.parquet")), 120)

    @contextlib.contextmanager
    def screening_suspended(self) -> Iterator[None]:
        """The screening process gets no time within, as on a machine that has too much to do."""
        pid = int((self.data / "run" / "screen.pid").read_text())
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def blocked_call(self) -> int:
        """The number of the latest blocked call's record."""
        return LiveSource(self.data).snapshot().latest[0].seq


def _answered(peer: socket.socket) -> str:
    """The call that the next final answer is to; "" for a provisional one."""
    data = peer.recv(4096)
    if data.startswith(b"SIP/2.0 1"):
        return ""
    _, _, rest = data.partition(b"\r\nCall-ID: call-")
    return rest.partition(b"@")[0].decode()


class Finding(msgspec.Struct):
    """Something that axe-core found, as far as a person wants to read it."""

    id: str
    impact: str
    help: str
    places: list[str]


class Desk:
    """One page in a browser; `complaints` has everything that went wrong on it."""

    def __init__(self, context: BrowserContext, url: str, role: str, language: str) -> None:
        self.context, self.role, self.language = context, role, language
        self._url = url
        self.page: Page = context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.complaints: list[str] = []
        self._expected: set[int] = set()
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("request", self._asked)
        self.page.on("requestfailed", self._failed)
        self.page.on("response", self._answered)

    def _said(self, message: Any) -> None:  # noqa: ANN401  # playwright's
        # A status that was expected is in the answers; the browser says it once more here.
        if message.type in {"error", "warning"} and not (self._expected and "status of" in message.text):
            self.complaints.append(f"console: {message.text}")

    def _asked(self, request: Any) -> None:  # noqa: ANN401
        if not request.url.startswith((f"{self._url}/", "data:", "blob:")):
            self.complaints.append(f"asks another host: {request.url}")

    def _failed(self, request: Any) -> None:  # noqa: ANN401
        left = "ERR_ABORTED" in (request.failure or "")  # a stream or a download that the page was left for
        if not left:
            self.complaints.append(f"failed: {request.url} {request.failure}")

    def _answered(self, response: Any) -> None:  # noqa: ANN401
        if response.status >= 400 and response.status not in self._expected:
            self.complaints.append(f"{response.status}: {response.url}")

    def open(self, path: str, *, expect: int = 200) -> Response:
        """Go to a page; fails where its status is another."""
        self._expected = {expect} if expect >= 400 else set()
        response = self.page.goto(self._url + path, wait_until="load")
        assert response is not None
        assert response.status == expect, f"{self.role} {path}: {response.status}\n{self.page.inner_text('body')[:500]}"
        return response

    @contextlib.contextmanager
    def expecting(self, status: int) -> Iterator[None]:
        """Within, an answer of this status is as it should be."""
        before, self._expected = self._expected, {status}
        try:
            yield
        finally:
            self._expected = before

    @property
    def path(self) -> str:
        """Where the page is now, with its query."""
        return self.page.url.removeprefix(self._url)

    @property
    def heading(self) -> str:
        """The page's one first heading."""
        headings = self.page.get_by_role("heading", level=1).all_inner_texts()
        assert len(headings) == 1, f"{self.path} has the headings {headings}"
        return headings[0].strip()

    @property
    def words(self) -> str:
        """What the page says, without what is quoted: code, and texts that name their own language."""
        return str(
            self.page.evaluate(
                """() => {
                  const copy = document.body.cloneNode(true);
                  for (const it of copy.querySelectorAll("code, pre, script, .runbook, [lang]")) it.remove();
                  return copy.textContent;
                }"""
            )
        )

    @property
    def navigation(self) -> list[str]:
        """The paths in the navigation."""
        links = self.page.locator("nav.nav-wide a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
        return [str(link) for link in links]

    def narrow_overflow(self) -> int:
        """CSS pixels that the page is wider than a small phone."""
        before = self.page.viewport_size
        assert before is not None
        self.page.set_viewport_size({"width": NARROW, "height": 740})
        wide = NARROW + 1
        for _ in range(20):  # charts follow their frame a moment later
            wide = int(self.page.evaluate("document.documentElement.scrollWidth"))
            if wide <= NARROW:
                break
            self.page.wait_for_timeout(50)
        self.page.set_viewport_size(before)
        return max(wide - NARROW, 0)

    def axe(self) -> list[Finding]:
        """What axe-core finds serious or critical."""
        self.page.evaluate(AXE_SCRIPT)
        found = self.page.evaluate("axe.run({resultTypes: ['violations']}).then((found) => found.violations)")
        return [
            Finding(it["id"], it["impact"], it["help"], [node["html"][:160] for node in it["nodes"][:4]])
            for it in found
            if it["impact"] in {"serious", "critical"}
        ]

    def assert_clean(self) -> None:
        """Fails where anything went wrong since the last time."""
        complaints, self.complaints = self.complaints, []
        assert not complaints, f"{self.role} {self.language} {self.path}: {complaints}"

    @contextlib.contextmanager
    def looked_at(self, folder: Path) -> Iterator[Desk]:
        """Take a picture when what is done within fails, and name it in the failure."""
        try:
            yield self
        except BaseException as error:
            picture = folder / f"{self.role}-{self.language}-{len(list(folder.glob('*.png')))}.png"
            with contextlib.suppress(Exception):
                self.page.screenshot(path=picture, full_page=True)
                error.add_note(f"{self.role} {self.language} at {self.path}, picture: {picture}")
            raise

    def close(self) -> None:
        """Leave."""
        self.context.close()


class Browsers:
    """Chromium with desks for people of every role; who has signed in once stays so."""

    def __init__(self, playwright: Playwright, node: ConsoleNode) -> None:
        self._node = node
        self._browser: Browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        self._signed_in: dict[str, Any] = {}

    def desk(self, role: str = "", language: str = "zh", *, host: str = "", **options: object) -> Desk:
        """A desk of its own, at the console unless another host is named; `role` is signed in there, else nobody."""
        state = self._signed_in.get(role)
        desk = self._open(role, language, host or self._node.url, storage_state=state, **options)
        if role and state is None:
            self.sign_in(desk, role, PASSWORD)
            self._signed_in[role] = desk.context.storage_state()
        return desk

    def _open(self, role: str, language: str, url: str, **options: object) -> Desk:
        settings: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}, "timezone_id": ZONE, **options}
        context = self._browser.new_context(locale=LOCALES[language], **settings)
        return Desk(context, url, role, language)

    def sign_in(self, desk: Desk, name: str, password: str) -> None:
        """Fill in the form, as a person would."""
        desk.open("/signin")
        desk.page.locator("input[name=name]").fill(name)
        desk.page.locator("input[name=password]").fill(password)
        desk.page.keyboard.press("Enter")
        desk.page.wait_for_url(lambda url: "/signin" not in url)

    def close(self) -> None:
        """End it."""
        self._browser.close()
