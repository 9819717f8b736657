"""Codes in a real browser, from `hutong codes serve`: fetched once, shown for a day and verified with no network."""

from __future__ import annotations

import io
import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
import zxingcpp
from axe_playwright_python.base import AXE_SCRIPT
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from ask_servers import until
from case_samples import EVERYTHING
from e2e.browser import ARGUMENTS, CHROMIUM
from e2e.processes import HUTONG, Process, free_port
from hutong.app.cases_work import open_cases
from hutong.app.codes_status_work import people_of, status_desk
from hutong.app.codes_work import code_issuer, key_ring
from hutong.app.config import load_config
from hutong.app.results_work import ResultsWork
from hutong.app.sampling_work import open_sampling
from hutong.app.scans_work import scan_parts, venue_key
from hutong.codes.bundles import BundleStore
from hutong.codes.keys import SigningKey
from hutong.codes.people.documents import read_document
from hutong.codes.revocation import no_revocations, read_news
from hutong.codes.status.appeals import Correction
from hutong.codes.status.changes import Actor
from hutong.codes.venues import VenueWish, write_poster
from hutong.codes.verification import Trust, verify
from hutong.kernel.cases.model import Actor as CaseActor
from hutong.kernel.records import Database, database_url
from hutong.kernel.reporter import Reporter
from hutong.sampling.model import Event, Register, Report, Result, event_id
from hutong.sampling.store import Taking

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = [pytest.mark.peer("chromium"), pytest.mark.enable_socket]

#: Of GB 11643-1999's own example.
DOCUMENT: Final = "11010519491231002X"
_PHONES = itertools.count(13_800_138_000)
_SETTINGS = """\
[node]
name = "e2e"

[codes]
listen = "127.0.0.1:{port}"

[appeals]
code_file = "{sent}"
"""


#: The disk is full: what was asked is undone after it was answered.
_FULL: Final = """
() => {
  const put = IDBObjectStore.prototype.put;
  IDBObjectStore.prototype.put = function (...given) {
    const request = put.apply(this, given);
    request.addEventListener("success", () => this.transaction.abort());
    return request;
  };
}
"""


class Service:
    """`hutong codes serve` on a folder of its own, and what it knows."""

    def __init__(self, folder: Path) -> None:
        self.base = f"http://127.0.0.1:{(port := free_port())}"
        self._sent, data, settings = folder / "sent.jsonl", folder / "data", folder / "hutong.toml"
        data.mkdir()
        settings.write_text(_SETTINGS.format(port=port, sent=self._sent), encoding="utf-8")
        self.config = load_config(settings, data=data)
        self.database = Database(database_url("", data))
        self.database.open()
        command = [*HUTONG, "codes", "serve", "--config", str(settings), "--data", str(data)]
        self.process = Process("codes", command, folder)

    def last_code(self) -> str:
        """The digits of the newest message."""
        return str(json.loads(self._sent.read_text(encoding="utf-8").splitlines()[-1])["code"])

    def messages(self) -> int:
        """How many were sent."""
        return len(self._sent.read_text(encoding="utf-8").splitlines()) if self._sent.exists() else 0

    def person(self) -> str:
        """The pseudonym of whoever arrived."""
        people = people_of(self.config, self.database)
        return people.pseudonyms.of(read_document("id", DOCUMENT))

    def sampled(self, person: str, tube: str, told: Result, at_ms: int) -> None:
        """Somebody's single tube has its result."""
        deeds = (Register(tube=tube, size=1, person=person), Report(tube=tube, result=told, tested_ms=at_ms + 1000))
        events = [
            Event(id=event_id(station, 0, bytes([number]) * 8), station=station, at_ms=at_ms, deed=deed)
            for number, (station, deed) in enumerate(zip(("s1", "lab"), deeds, strict=True))
        ]
        open_sampling(self.config, self.database).take([Taking(it, judged=False) for it in events], now_ms())

    def verdict(self, text: str, at_ms: int) -> str:
        """What the library says of a code."""
        issuer, keys = code_issuer(self.config, self.database), key_ring(self.config).key_set(now_ms())
        revoked = no_revocations("e2e").applied(read_news(issuer.news(0, now_ms()), [keys]))
        return verify(text, Trust([keys]), {"e2e": revoked}, None, at_ms).verdict


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    served = Service(tmp_path_factory.mktemp("codes"))
    served.process.start_until_ready()
    yield served
    served.process.stop()
    served.database.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def phone(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(locale="zh-CN", timezone_id="Asia/Shanghai", viewport={"width": 390, "height": 844})
    yield context
    context.close()


def now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


def arrived(phone: BrowserContext, service: Service) -> Page:
    """The page of somebody who has fetched a first bundle, and which the phone keeps."""
    page = phone.new_page()
    page.goto(f"{service.base}/codes/")
    arrive(page, service)
    expect(page.locator("#installed")).to_be_visible()
    return page


def arrive(page: Page, service: Service) -> None:
    """Say who one is, and wait for the code."""
    page.fill("#f-document", DOCUMENT)
    page.fill("#f-name", "王小明")
    page.fill("#f-phone", str(next(_PHONES)))
    before = service.messages()
    page.click("#arrive button")
    expect(page.locator("#otp")).to_be_visible()
    until(lambda: service.messages() > before)
    page.fill("#otp", service.last_code())
    page.click("#confirm button")
    expect(page.locator("#card")).to_be_visible()


def kept(page: Page, work: str) -> Any:  # noqa: ANN401  # whatever was kept
    """Do something with what the page's device keeps."""
    begin = 'const { Kept } = await import("/codes/static/kept.js"); const kept = new Kept();'
    return page.evaluate(f"async () => {{ {begin} {work} }}")


def shown(page: Page) -> str:
    """The text of the code on the screen, as another reader reads it."""
    picture = Image.open(io.BytesIO(page.locator("#code").screenshot()))
    return zxingcpp.read_barcodes(picture)[0].text


def test_a_code_is_shown_for_a_day_with_no_network(phone: BrowserContext, service: Service) -> None:
    page = arrived(phone, service)
    expect(page.locator("#name")).to_have_text("王*")
    expect(page.locator("#colour")).to_have_text("绿码")
    began = now_ms()
    assert service.verdict(shown(page), began) == "valid"
    phone.set_offline(True)
    texts = set()
    for hours in (0, 1, 6, 12, 23):
        at = datetime.fromtimestamp(began / 1000, UTC) + timedelta(hours=hours)
        page.clock.set_fixed_time(at)
        page.reload()
        expect(page.locator("#card")).to_be_visible()
        text = shown(page)
        assert service.verdict(text, int(at.timestamp() * 1000)) == "valid"
        texts.add(text)
    assert len(texts) == 5
    page.clock.set_fixed_time(datetime.fromtimestamp(began / 1000, UTC) + timedelta(hours=26))
    page.reload()
    expect(page.locator("#over")).to_contain_text("用完")
    expect(page.locator("#card")).to_be_hidden()


def test_codes_are_verified_with_no_network(phone: BrowserContext, service: Service) -> None:
    code = shown(arrived(phone, service))
    page = phone.new_page()
    page.goto(f"{service.base}/codes/check?lang=en")
    expect(page.locator("#installed")).to_be_visible()
    expect(page.locator("#fresh")).to_contain_text("Keys")
    phone.set_offline(True)
    page.reload()
    expect(page.locator("#network")).to_be_visible()
    told = [typed(page, text) for text in (code, code[:-4] + "0000", "HT1:", code)]
    assert told[0] == "Green"
    assert told[1] == "Forged: the signature does not fit"
    assert told[2] == "Not a code of this system"
    assert told[3] == "Green"
    phone.set_offline(False)
    assert BundleStore(service.database).revoke_person(service.person(), now_ms()) > 0
    page.wait_for_function("() => navigator.onLine")
    until(lambda: _after_update(page, code) == "Revoked")


def _after_update(page: Page, code: str) -> str:
    page.click("#update")
    return typed(page, code)


def test_wrong_digits_and_documents_are_told_and_nothing_is_lost(phone: BrowserContext, service: Service) -> None:
    page = phone.new_page()
    page.goto(f"{service.base}/codes/?lang=en")
    page.fill("#f-document", "110105194912310021")
    page.fill("#f-name", "王小明")
    page.fill("#f-phone", str(next(_PHONES)))
    page.click("#arrive button")
    expect(page.locator("#told")).to_contain_text("check every digit")
    page.fill("#f-document", DOCUMENT)
    page.click("#arrive button")
    expect(page.locator("#otp")).to_be_visible()
    page.fill("#otp", "000000x")
    page.click("#confirm button")
    expect(page.locator("#told")).to_contain_text("digits are not right")


def test_results_and_reasons_are_read_and_an_appeal_is_followed_to_its_end(
    phone: BrowserContext, service: Service
) -> None:
    page = arrived(phone, service)
    person, sampled_ms = service.person(), now_ms() - 3_600_000
    service.sampled(person, "XA20261122001", "positive", sampled_ms)
    assert ResultsWork(service.config, Reporter("work")).follow(now_ms()) == 1
    page.click("#ask-mine")
    expect(page.locator("#results")).to_contain_text("阳性。请不要外出")
    expect(page.locator("#mine-colour")).to_contain_text("红码")
    expect(page.locator("#reasons")).to_contain_text("检测结果阳性")
    expect(page.locator("#appealed")).to_be_hidden()
    page.fill("#objection", "我没有去采样，是别人用了我的码。")
    page.click("#appeal button")
    expect(page.locator("#appealed")).to_contain_text("前由人裁定")
    expect(page.locator("#appeal")).to_be_hidden()
    page.evaluate(AXE_SCRIPT)
    found = page.evaluate("() => axe.run().then((it) => it.violations)")
    assert [it["id"] for it in found if it["impact"] in {"serious", "critical"}] == []

    desk = status_desk(service.config, service.database, lambda: open_cases(service.config, service.database))
    (appeal,) = desk.appeals.of_person(person)
    assert desk.appeals.words(appeal.id, now_ms()).startswith("我没有去采样")
    wrong = Correction(void=("tube:XA20261122001@s1",))
    desk.appeals.decide(appeal.id, "corrected", "采样登记有误", Actor("zhao", EVERYTHING), now_ms(), wrong)
    page.click("#ask-mine")
    expect(page.locator("#appealed")).to_contain_text("予以更正：采样登记有误")
    expect(page.locator("#mine-colour")).to_contain_text("绿码")
    phone.set_offline(True)
    page.reload()
    page.click("#ask-mine")
    expect(page.locator("#told")).to_contain_text("上次看到的情况")
    expect(page.locator("#appealed")).to_contain_text("予以更正")
    phone.set_offline(False)
    give_the_phone_to_somebody_else(page, service)


def give_the_phone_to_somebody_else(page: Page, service: Service) -> None:
    """Nothing of the last holder stays, neither when the service ended the device nor when it was removed there."""
    of_last = 'Promise.all(["wallet", "mine", "checkins-done"].map((it) => kept.get(it)))'
    kept(page, 'await kept.put("device", "ended"); await kept.put("checkins-done", [1]);')
    page.click("#refresh")
    arrive(page, service)
    expect(page.locator("#mine")).to_be_hidden()
    assert [it is None for it in kept(page, f"return await {of_last}")] == [False, True, True]
    kept(page, 'await kept.put("checkins-done", [1]);')
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#forget")
    expect(page.locator("#arrive")).to_be_visible()
    assert kept(page, f"return await {of_last}") == [None, None, None]


@pytest.mark.parametrize("path", ["/codes/", "/codes/check", "/codes/checkin"])
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_first_view_is_small_and_axe_finds_nothing_serious(
    browser: Browser, service: Service, path: str, lang: str
) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, service_workers="block")
    page = context.new_page()
    sizes: list[int] = []
    page.on("response", lambda answer: sizes.append(len(answer.body())))
    page.goto(f"{service.base}{path}?lang={lang}", wait_until="networkidle")
    assert 0 < sum(sizes) < 100_000
    page.evaluate(AXE_SCRIPT)
    found = page.evaluate("() => axe.run().then((it) => it.violations)")
    assert [it["id"] for it in found if it["impact"] in {"serious", "critical"}] == []
    context.close()


def test_a_phone_checks_in_at_a_venue_with_no_network_and_sends_it_later(
    phone: BrowserContext, service: Service
) -> None:
    parts, actor = scan_parts(service.config, service.database), CaseActor("li", frozenset({"codes.venues_change"}))
    wish = VenueWish(title="西仓市场", kind="market", district="610104", capacity=300, unit="莲湖区市场办")
    venue = parts.venues.issue(wish, actor, now_ms() - 60_000)
    poster = write_poster(venue, "e2e", venue_key(service.config.data))
    stranger = write_poster(venue, "e2e", SigningKey("EdDSA", b"s" * 32, 0, 1 << 52))
    arrived(phone, service)
    page = phone.new_page()
    page.goto(f"{service.base}/codes/checkin")
    expect(page.locator("#installed")).to_be_visible()
    phone.set_offline(True)
    page.reload()
    expect(page.locator("#network")).to_be_visible()
    told, began = {}, now_ms() / 1000
    for later_s, text in ((0, stranger), (0, "HT1:x"), (0, poster), (8, poster), (16, poster)):  # held on: one scan
        page.clock.set_fixed_time(began + later_s)
        told[text] = typed(page, text)
    page.clock.set_fixed_time(began)
    assert told == {
        stranger: "这个场所码不是本系统签发的，请告知场所。",
        "HT1:x": "这不是场所码。",
        poster: "已登记：西仓市场",
    }
    page.reload()
    expect(page.locator("#waiting")).to_contain_text("待上送 1 条")
    page.evaluate(AXE_SCRIPT)
    assert page.evaluate("async () => (await axe.run()).violations.map((it) => it.id)") == []
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    phone.set_offline(False)
    expect(page.locator("#waiting")).to_have_text("没有待上送的登记")
    expect(page.locator("#list")).to_contain_text("西仓市场 · 已上送")
    (found,) = parts.scans.at_venue(venue.id, now_ms() - 600_000, now_ms(), now_ms())
    assert (found.kept.mode, found.kept.verdict, found.kept.serial) == ("person", "valid", 1)
    kept(page, 'const it = await kept.get("wallet"); it.said.family = [it.said.own]; await kept.put("wallet", it);')
    page.reload()
    expect(page.locator("#list li")).to_have_count(1)
    typed(page, poster)
    page.select_option("#person", "1")
    typed(page, poster)
    expect(page.locator("#list li")).to_have_count(3)
    expect(page.locator("#lasting")).to_be_hidden()
    page.evaluate(_FULL)
    page.select_option("#person", "0")
    typed(page, poster)
    expect(page.locator("#lasting")).to_be_visible()


def typed(page: Page, text: str) -> str:
    """What the page says of a sign or code that was typed."""
    page.fill("#text", text)
    page.click("#typed button")
    expect(page.locator("#text")).to_have_value("")
    return page.locator("#verdict").inner_text()
