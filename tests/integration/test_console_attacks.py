"""What people and programs try on console and API that they should not: nothing is shown, changed or broken by it."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlencode

import httpx
import pytest
from nodes import ScreenNode

from e2e.processes import running
from engines import NEIGHBOUR, invite
from hutong.app.config import load_config
from hutong.app.services import Services
from hutong.app.site import Site
from hutong.calls.live.figures import LiveSource
from hutong.kernel.access.oidc import Identity
from hutong.kernel.access.passwords import Passwords
from hutong.kernel.access.permissions import ROLES, permissions_of
from hutong.kernel.clock import SystemClock
from hutong.kernel.lists.store import ListStore
from hutong.kernel.lists.targets import draft
from hutong.kernel.numbering import Numbering
from hutong.kernel.reporter import Reporter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hutong.kernel.access.permissions import Role

pytestmark = pytest.mark.enable_socket

CALLER, CALLEE = "13800138001", "01062345678"
WITNESS, VICTIM, CASE = "02161239876", "13711112222", "13622223333"
IN_CALL_ID, AT_ITS_END, NAMED, DIVERTER = "13533334444", "02087654321", "13977778888", "13412345678"
NUMBERS = (CALLER, CALLEE, WITNESS, VICTIM, CASE, IN_CALL_ID, AT_ITS_END, NAMED, DIVERTER)
_ENTRY = {"target": VICTIM, "list": "block", "role": "caller", "reason": "r", "span": "7d"}
_NO_MORE = "CREATE TRIGGER full BEFORE INSERT ON trail BEGIN SELECT RAISE(ABORT, 'full'); END"
_MS = 1_000_000
_DAY_MS = 86_400_000


def whole_numbers(answer: httpx.Response) -> list[str]:
    """Numbers that stand whole in an answer, however their digits are divided; its headers count."""
    plain = re.sub(r"[-\s./]", "", answer.text + str(answer.headers))
    return [number for number in NUMBERS if number.lstrip("0") in plain]


class Attacked:
    """The site of a data folder, asked as somebody in a role."""

    def __init__(self, data: Path) -> None:
        config = load_config(None, data=data, environ={"HUTONG_CALLS__HOME_AREA": "021"})
        self.services = Services(config, SystemClock(), Reporter("serve", level="error"))
        self.services.open()
        self.site = Site(self.services, 0)
        self._tokens: dict[str, str] = {}
        self._runner = asyncio.Runner()
        self._life: asyncio.Queue[str] = asyncio.Queue()
        self._lives = self._runner.run(self._begin())
        for role in ROLES:
            self.services.people.arrive(Identity(f"{role}-1", role, role, f"subject:{role}"), self.now_ms)

    @property
    def now_ms(self) -> int:
        return int(self.services.clock.wall() // _MS)

    def page(self, role: Role, method: str, path: str, /, **form: str) -> httpx.Response:
        """A page, asked with a session; forms are sent as the page itself would."""
        it = self.services
        cookie = it.sessions.start(it.people.account(f"{role}-1"), "127.0.0.1", self.now_ms)
        found = it.sessions.viewer(cookie, "127.0.0.1", self.now_ms)
        assert found is not None
        headers = {"cookie": f"{self.site.guard.cookie_name}={cookie}", "accept": "text/html", "accept-language": "en"}
        data = {"_csrf": found[0].csrf, **form} if method == "POST" else None
        return self._ask(method, path, headers=headers, data=data)

    def program(self, role: Role, method: str, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401  # as httpx's
        """The API, asked with a token that may do all that the role may."""
        it, now = self.services, self.now_ms
        if role not in self._tokens:
            self._tokens[role] = it.tokens.make(f"{role}-1", "api", permissions_of(role), now + _DAY_MS, now)[1]
        headers = {"authorization": f"Bearer {self._tokens[role]}", **more.pop("headers", {})}
        return self._ask(method, path, headers=headers, **more)

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401  # as httpx's
        async def ask() -> httpx.Response:
            way = httpx.ASGITransport(self.site.console, raise_app_exceptions=False)  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=way, base_url="http://localhost") as client:
                return await client.request(method, path, **more)

        return self._runner.run(ask())

    async def _begin(self) -> asyncio.Task[None]:
        begun = asyncio.Event()

        async def receive() -> dict[str, str]:
            return {"type": f"lifespan.{await self._life.get()}"}

        async def send(_message: object) -> None:
            begun.set()

        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        lives = asyncio.ensure_future(self.site.application(scope, receive, send))  # type: ignore[arg-type]
        await self._life.put("startup")
        await begun.wait()
        return lives

    async def _end(self) -> None:
        await self._life.put("shutdown")
        await self._lives

    def chosen_password(self, name: str, *, password: str = "", added: httpx.Response | None = None) -> httpx.Response:
        """Somebody replaces a one-time password, shown in `added` unless it is named."""
        if added is not None:
            password = re.findall(r'id="secret">([^<]+)<', added.text)[0]
        it, new = self.services, "umbrella-tide-97-lantern"
        cookie = it.sessions.start(it.people.account(name), "127.0.0.1", self.now_ms)
        found = it.sessions.viewer(cookie, "127.0.0.1", self.now_ms)
        assert found is not None
        form = {"_csrf": found[0].csrf, "old": password, "new": new, "again": new}
        headers = {"cookie": f"{self.site.guard.cookie_name}={cookie}", "accept": "text/html"}
        return self._ask("POST", "/account/password", headers=headers, data=form)

    def state(self) -> tuple[object, ...]:
        """All that a deed may change, but for sessions and times of sign-in."""
        it = self.services
        with it.database.read() as connection:
            accounts = connection.exec_driver_sql("SELECT name, title, role, password, disabled, theme FROM accounts")
            people = sorted(tuple(row) for row in accounts)
        tokens = [(one.id, one.revoked_ms) for one in it.tokens.all() if one.title != "api"]
        stages = it.config.data / "stages.jsonl"
        return people, tokens, it.lists.count(), it.lists.entry(1), it.lists.version(), stages.exists()

    def close(self) -> None:
        self._runner.run(self._end())
        self._runner.close()
        self.services.close()


@pytest.fixture(scope="module")
def screened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """A node whose calls, names and list reasons are full of numbers."""
    node = ScreenNode(tmp_path_factory.mktemp("attacked"))
    store = ListStore(node.data / "lists")
    node.data.mkdir(exist_ok=True)
    store.open()
    entry = draft(
        CALLER,
        numbering=Numbering("021"),
        list="block",
        role="caller",
        reason=f"举报人{WITNESS}称被 {VICTIM} 所骗",
        source=f"case{CASE}x",
        who="tester",
    )
    store.add([entry], SystemClock().wall() // 10**9)
    store.close()
    with running(node):
        node.start()
        _call(node, f"{IN_CALL_ID}-1655123456789", "")
        _call(node, f"x{AT_ITS_END}y", f'From: "{NAMED}" <sip:{NAMED}@192.0.2.99>;tag=q')
        node.wait_until(lambda: LiveSource(node.data).snapshot().blocked >= 2)
        it = Attacked(node.data)
        yield it
        it.close()


def _call(node: ScreenNode, name: str, from_: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(20)
        via = f"Via: SIP/2.0/UDP 127.0.0.1:{peer.getsockname()[1]};branch=z9hG4bK-{name}"
        extra = f"P-Asserted-Identity: <sip:{CALLER}@192.0.2.99>\nDiversion: <sip:{DIVERTER}@192.0.2.99>"
        data = invite(CALLER, CALLEE, source=NEIGHBOUR, call=name, via=via, from_=from_, extra=extra)
        peer.sendto(data, ("127.0.0.1", node.port))
        assert peer.recv(65536).startswith(b"SIP/2.0 608")


class TestMasking:
    @pytest.mark.parametrize("role", ROLES)
    def test_no_page_shows_a_whole_number(self, screened: Attacked, role: Role) -> None:
        pages = ["/", "/?wall=1", "/verdicts", "/verdicts?format=csv", "/lists", "/lists?format=csv", "/lists/1"]
        pages += ["/trail", "/trail?format=csv", "/live/cities", "/rules", "/trunks", "/health", "/calls/1", "/calls/2"]
        pages += ["/search"]
        assert {path: found for path in pages if (found := whole_numbers(screened.page(role, "GET", path)))} == {}

    @pytest.mark.parametrize("role", ["analyst", "operator", "auditor"])
    def test_no_answer_of_the_api_holds_a_whole_number(self, screened: Attacked, role: Role) -> None:
        for path in ("/v1/verdicts", "/v1/verdicts/1", "/v1/verdicts/2", "/v1/lists", "/v1/lists/1"):
            answer = screened.program(role, "GET", path)
            assert (answer.status_code, whole_numbers(answer)) == (200, []), path

    def test_the_program_that_asks_about_a_call_is_not_told_other_peoples_numbers(self, screened: Attacked) -> None:
        body = {"call_id": "asked", "caller": CALLER, "callee": CALLEE, "source": NEIGHBOUR}
        for _ in range(2):  # the second time it is told what it was told before
            answer = screened.program("operator", "POST", "/v1/calls/screen", json=body)
            assert (answer.status_code, answer.json()["action"], whole_numbers(answer)) == (200, "block", [])

    def test_an_error_does_not_repeat_the_number_that_was_wrong(self, screened: Attacked) -> None:
        wrong = {"target": f"{VICTIM}x", "reason": "r", "list": "block"}
        answer = screened.program("operator", "POST", "/v1/lists", json=wrong)
        assert (answer.status_code, whole_numbers(answer)) == (422, [])
        found = screened.page("auditor", "POST", "/lists/search", number=f"{VICTIM}x")
        assert (found.status_code, whole_numbers(found)) == (422, [])

    def test_a_number_in_a_purpose_is_masked_on_the_trail(self, screened: Attacked) -> None:
        said = {
            "purpose": "complaint",
            "detail": f"投诉人{VICTIM}及 021-6123 9876、+86 136 2222 3333,案号 3101152022030001",
        }
        answer = screened.page("operator", "POST", "/calls/1", **said)
        assert answer.status_code == 200
        assert CALLER in answer.text  # that is what it was for
        trail = screened.page("auditor", "GET", "/trail")
        assert whole_numbers(trail) == []
        assert "3101152022030001" in trail.text  # a case number is not a telephone's


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Attacked]:
    it = Attacked(tmp_path / "data")
    yield it
    it.close()


class TestRecords:
    def test_nobody_holds_the_records_while_a_password_is_hashed(
        self, empty: Attacked, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who signs in has a turn at hashing and waits for the records; the other way round both wait for ever."""
        hashing, waited = Passwords.hash, []

        def write() -> None:
            with empty.services.database.write():
                pass

        def hash_(self: Passwords, password: str) -> str:
            other = threading.Thread(target=write)
            other.start()
            other.join(5)
            waited.append(other.is_alive())
            return hashing(self, password)

        monkeypatch.setattr(Passwords, "hash", hash_)
        added = empty.page("administrator", "POST", "/people", name="wang", title="Wang", role="viewer")
        reset = empty.page("administrator", "POST", "/people/wang/password")
        assert (added.status_code, reset.status_code) == (200, 200)
        empty.chosen_password("wang", added=reset)
        assert waited == [False, False, False]

    @pytest.mark.parametrize("broken", ["DROP TABLE trail", _NO_MORE])
    def test_nothing_is_changed_or_shown_that_the_trail_cannot_keep(self, empty: Attacked, broken: str) -> None:
        it = empty.services
        first = it.people.add("wang", "Wang", "operator", empty.now_ms)
        token = it.tokens.make("viewer-1", "t", ["live.read"], empty.now_ms + _DAY_MS, empty.now_ms)[0]
        entry = draft(CALLER, numbering=it.numbering, list="block", role="caller", reason="r", who="w")
        it.lists.add([entry], empty.now_ms // 1000)
        with it.database.write() as connection:
            connection.exec_driver_sql(broken)
        before = empty.state()
        forms: list[tuple[Role, str, dict[str, str]]] = [
            ("administrator", "/people", {"name": "li", "title": "Li", "role": "viewer"}),
            ("administrator", "/people/viewer-1/standing", {"standing": "disabled"}),
            ("administrator", "/people/wang/password", {}),
            ("administrator", "/people/wang/role", {"role": "auditor"}),
            ("administrator", f"/tokens/{token.id}/revoke", {}),
            ("operator", "/tokens", {"title": "x", "scopes": "live.read", "days": "7"}),
            ("operator", "/lists/new", {**_ENTRY, "confirmed": "yes"}),
            ("operator", "/lists/1/remove", {"why": "x", "confirmed": "yes"}),
            ("operator", "/lists/1/expiry", {"why": "x", "span": "7d", "confirmed": "yes"}),
            ("operator", "/rules/calls.caller-listed/demote", {"to": "observe", "why": "x"}),
            ("operator", "/account", {"theme": "dark", "language": "en", "zone": ""}),
            ("operator", "/lists", {"purpose": "police", "detail": "letter 12"}),
            ("operator", "/lists/1", {"purpose": "police", "detail": "letter 12"}),
            ("operator", f"/numbers/{it.refs.ref(entry.key)}", {"purpose": "police", "detail": "letter 12"}),
        ]
        for role, path, form in forms:
            answer = empty.page(role, "POST", path, **form)
            assert (answer.status_code // 100, whole_numbers(answer)) == (5, []), path
        assert empty.chosen_password("wang", password=first).status_code // 100 == 5
        for path, status in (("/lists", 2), ("/lists/1", 2), ("/lists?format=csv", 5)):
            answer = empty.page("operator", "GET", path)
            assert (answer.status_code // 100, whole_numbers(answer)) == (status, []), path
        why = {"headers": {"Hutong-Purpose": "x"}}
        for method, path, more in (
            ("GET", "/v1/lists?unmask=true", why),
            ("GET", "/v1/lists/1?unmask=true", why),
            ("POST", "/v1/lists", {"json": {"target": VICTIM, "reason": "r", "list": "block"}}),
            ("DELETE", "/v1/lists/1", why),
            ("PUT", "/v1/rules/calls.caller-listed/stage", {"json": {"to": "observe", "why": "x"}}),
            ("POST", "/v1/lists/import", {"content": f"target,reason,who\n{VICTIM},r,w\n".encode()}),
        ):
            answer = empty.program("operator", method, path, **more)
            assert (answer.status_code // 100, whole_numbers(answer)) == (5, []), path
        assert empty.state() == before


class TestJunk:
    @pytest.mark.parametrize("seq", [0, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, 1 << 64, 10**30])
    def test_a_call_that_no_journal_can_hold_is_not_found(self, empty: Attacked, seq: int) -> None:
        form = {"purpose": "police", "detail": "letter 12"}
        assert empty.page("operator", "GET", f"/calls/{seq}").status_code == 404
        assert empty.page("operator", "POST", f"/calls/{seq}", **form).status_code == 404

    @pytest.mark.parametrize("seq", [1 << 31, (1 << 63) - 1, 1 << 63, 10**30])
    def test_nor_in_a_journal_with_calls(self, screened: Attacked, seq: int) -> None:
        assert screened.page("operator", "GET", f"/calls/{seq}").status_code == 404

    @pytest.mark.parametrize("place", ["/verdicts?area=深圳", "/people/张", "/\N{GRINNING FACE}", "/ü"])
    def test_one_is_led_on_to_addresses_in_any_script(self, empty: Attacked, place: str) -> None:
        on = empty.page("operator", "POST", "/account/appearance", theme="dark", next=place)
        assert (on.status_code, unquote(on.headers["location"])) == (303, place)
        assert on.headers["location"].isascii()
        signed_in = empty.page("operator", "GET", f"/signin?{urlencode({'next': place})}")
        assert (signed_in.status_code, unquote(signed_in.headers["location"])) == (303, place)

    @pytest.mark.parametrize("place", ["//evil", "/\\evil", "/\t/evil", "/a\r\nX-A: 1", "https://evil", "/\u2028"])
    def test_one_is_led_nowhere_else(self, empty: Attacked, place: str) -> None:
        on = empty.page("operator", "POST", "/account/appearance", theme="dark", next=place)
        assert (on.status_code, on.headers["location"]) == (303, "/")

    @pytest.mark.parametrize("form", [{"theme": "pink"}, {"language": "fr"}, {"theme": "\0"}])
    def test_an_appearance_that_does_not_exist_is_refused(self, empty: Attacked, form: dict[str, str]) -> None:
        assert empty.page("operator", "POST", "/account/appearance", **form).status_code == 422

    @pytest.mark.parametrize("path", ["/signin", "/account", "/search", "/lists/new", "/tokens", "/calls/1"])
    def test_no_form_is_as_long_as_a_book(self, empty: Attacked, path: str) -> None:
        """Whoever is not signed in could otherwise fill the memory, ten megabytes with each connection."""
        assert empty.page("operator", "POST", path, name="a" * 100_000).status_code == 413

    def test_nor_is_a_body_of_the_api_but_for_lists_and_calls(self, empty: Attacked) -> None:
        wanted = {"number": "1", "call_id": "a" * 100_000}
        assert empty.program("operator", "POST", "/v1/verdicts/search", json=wanted).status_code == 413
        rows = "".join(f"1391111{n:04d},r,w\n" for n in range(8000))
        taken = empty.program("operator", "POST", "/v1/lists/import", content=f"target,reason,who\n{rows}".encode())
        assert (taken.status_code, taken.json()["applied"]) == (200, 8000)
