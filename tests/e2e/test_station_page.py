"""The page of a station in a real browser: a day with no network, and every sample at the centre once.

Beside it, in the same page, JavaScript is held to Python: the same person, the same judgement, the same event.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
from axe_playwright_python.base import AXE_SCRIPT
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from ask_servers import until
from e2e.browser import ARGUMENTS, CHROMIUM, WAIT_MS
from e2e.processes import hutong
from e2e.station_centre import DISTRICT, OTHER_DISTRICT, Centre, now_ms
from hutong.app.codes_work import code_issuer
from hutong.app.sampling_work import open_emergencies, open_sampling
from hutong.app.stations_site import pairings_of
from hutong.codes import qr
from hutong.codes.bundles import BundleStore
from hutong.codes.issuing import Bearer
from hutong.codes.paper import LEVEL
from hutong.kernel.access.tokens import Tokens
from hutong.kernel.identity_documents import Document, canonical
from hutong.kernel.persons import person_of
from hutong.sampling.emergency.model import Actor, Wish
from hutong.sampling.errors import SamplingRefused
from hutong.sampling.model import FIELDS, Deed, Event, HandOver, Register, Seal, Terms
from hutong.sampling.station.exchange import merge_lines
from hutong.sampling.station.store import About, StationStore
from hutong.sampling.station.web.files import station_rules
from sampling_samples import CARD, CARD_2, OTHER, TUBE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import BrowserContext, Page, Playwright

pytestmark = [pytest.mark.peer("chromium"), pytest.mark.enable_socket]

THIRD: Final = "XA20220415003"
#: The answer to so many merges is lost on its way, after the centre has kept everything; what is asked of `busy` is to
#: wait; an answer on a code never comes while `silent`.
_LOSES: Final = """
Object.assign(window, { lost: 0, busy: null, told: 0, silent: false });
const real = window.fetch;
window.fetch = async (address, options) => {
  if (window.busy && String(address).includes(window.busy)) {
    window.told += 1;
    return new Response("", { status: 503, headers: { "Retry-After": "600" } });
  }
  const answer = await real(address, options);
  if (window.silent && String(address).includes("/verify")) await new Promise(() => {});
  if (String(address).includes("/merge") && window.lost > 0) {
    window.lost -= 1;
    throw new TypeError("lost on its way");
  }
  return answer;
};
"""


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    made = Centre(tmp_path_factory.mktemp("stations"))
    made.process.start_until_ready()
    yield made
    made.process.stop()
    made.database.close()


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as started:
        yield started


@pytest.fixture
def tablet(playwright: Playwright, tmp_path: Path) -> Iterator[Callable[[], BrowserContext]]:
    """A tablet, switched on; called again, it is switched off and on."""
    on: list[BrowserContext] = []

    def start() -> BrowserContext:
        for context in on:
            context.close()
        context = playwright.chromium.launch_persistent_context(
            tmp_path / "tablet", executable_path=CHROMIUM, args=ARGUMENTS, locale="en-GB", timezone_id="Asia/Shanghai",
            viewport={"width": 800, "height": 1200}, accept_downloads=True,
        )  # fmt: skip
        context.add_init_script(_LOSES)
        context.set_default_timeout(WAIT_MS)
        on[:] = [context]
        return context

    yield start
    for context in on:
        context.close()


def paired(context: BrowserContext, centre: Centre, code: str) -> Page:
    page = context.new_page()
    page.goto(f"{centre.base}/station/?lang=en")
    page.fill("#pair-code", code)
    page.click("#pair button")
    expect(page.locator("#contact")).to_contain_text("last contact")
    expect(page.locator("#working")).to_have_attribute("data-installed", "true")
    return page


def take(page: Page, tube: str, size: int) -> None:
    page.locator(".sizes label", has_text=str(size)).first.click()
    page.fill("#barcode", tube)
    page.press("#barcode", "Enter")
    expect(page.locator("#tube")).to_have_text(tube)


def scan(page: Page, text: str) -> str:
    """What a scanner types, with Enter behind it; gives what the page says of it."""
    page.evaluate("document.getElementById('told').hidden = true")
    page.fill("#person", text)
    page.press("#person", "Enter")
    expect(page.locator("#told")).to_be_visible()
    return page.locator("#told-what").inner_text()


def begin_the_day(page: Page, by_code: str) -> None:
    """People by card and by code, and all that is refused."""
    take(page, TUBE, 5)
    assert scan(page, CARD) == "Registered"
    assert scan(page, CARD) == "The person is in the tube already"
    assert scan(page, CARD[:-1] + "1") == "The number or code is wrong"
    assert scan(page, OTHER) == "This is no number of a document, and no code"
    assert scan(page, by_code) == "Registered"
    assert scan(page, by_code[:-3] + "000") == "This code is not good for registering"
    expect(page.locator("#count")).to_have_text("2 of 5")
    page.click("#aside")
    take(page, OTHER, 1)
    assert scan(page, CARD) == "The person is in another tube of today"
    page.click("#twice")
    expect(page.locator("#told-what")).to_have_text("Registered")
    expect(page.locator("#unmerged")).to_have_text("3 not merged")


def end_the_day(page: Page, file: Path) -> None:
    """Seal, hand over, and write a file that could be carried."""
    take(page, TUBE, 5)
    expect(page.locator("#count")).to_have_text("2 of 5")
    page.fill("#counted", "3")
    page.click("#seal button")
    expect(page.locator("#told-why")).to_contain_text("Count again")
    page.fill("#counted", "2")
    page.click("#seal button")
    expect(page.locator("#told-what")).to_have_text(f"Sealed {TUBE}")
    page.click("[data-part=tubes]")
    page.fill("#batch", "B1")
    page.fill("#courier", "周")
    page.click("#hand-over button")
    expect(page.locator("#hand-told")).to_contain_text("handed over")
    page.click("[data-part=device]")
    with page.expect_download() as download:
        page.click("#export")
    download.value.save_as(file)


def carry(context: BrowserContext, page: Page, centre: Centre, folder: Path) -> None:
    """The network does not come back: a file goes to the centre, and its answer comes back."""
    context.set_offline(True)
    page.click("[data-part=register]")
    take(page, THIRD, 1)
    assert scan(page, CARD_2) == "Registered"  # away from the centre nobody knows whose the code was
    page.click("[data-part=device]")
    with page.expect_download() as download:
        page.click("#export")
    lines = download.value.path().read_bytes().splitlines(keepends=True)
    _, answer = merge_lines(lines, "s1", open_sampling(centre.config, centre.database), now_ms())
    (folder / "other").write_text('{"taken": ["s2.1.00"]}', encoding="utf-8")
    page.set_input_files("#answer", folder / "other")
    expect(page.locator("#device-told")).to_contain_text("no answer for this station")
    (folder / "answer").write_bytes(msgspec.json.encode(answer))
    page.set_input_files("#answer", folder / "answer")
    expect(page.locator("#unmerged")).to_have_text("0 not merged")
    assert centre.people(THIRD) == [[centre.person(CARD_2)]]


def test_a_day_with_no_network_and_every_sample_once(
    tablet: Callable[[], BrowserContext], centre: Centre, tmp_path: Path
) -> None:
    context = tablet()
    page = paired(context, centre, hutong("sampling", "station", "pair", "s1", "--district", DISTRICT, *centre.common))
    by_code = centre.paper(known := centre.person(CARD_2))
    until(lambda: page.evaluate(_KEPT, "revocations"))
    context.set_offline(True)
    expect(page.locator("#network")).to_have_text("no network: go on")
    begin_the_day(page, by_code)
    page.reload()
    expect(page.locator("#unmerged")).to_have_text("3 not merged")
    context = tablet()
    context.set_offline(True)
    page = context.new_page()
    page.goto(f"{centre.base}/station/?lang=en")
    expect(page.locator("#unmerged")).to_have_text("3 not merged")
    end_the_day(page, file := tmp_path / "s1.jsonl")
    assert centre.people(TUBE) == []

    page.evaluate("window.lost = 2")
    context.set_offline(False)
    expect(page.locator("#trouble")).to_contain_text("cannot be reached")
    assert centre.people(TUBE) == [[centre.person(CARD), known]]
    until(lambda: page.locator("#send").click() or page.evaluate("window.lost") == 0)
    expect(page.locator("#unmerged")).to_have_text("0 not merged")
    assert hutong("sampling", "station", "merge", str(file), *centre.common).startswith(f"{file}: 5 已收 taken (5 重复")
    assert centre.people(TUBE) == [[centre.person(CARD), known]]
    assert centre.people(OTHER) == [[centre.person(CARD)]]
    carry(context, page, centre, tmp_path)
    tube = open_sampling(centre.config, centre.database).story(TUBE).tubes[0]
    assert (tube.state, tube.counted, tube.batch, tube.courier) == ("in-transit", 2, "B1", "周")


def test_the_centre_is_asked_while_it_answers_and_not_waited_for_in_an_emergency(
    tablet: Callable[[], BrowserContext], centre: Centre
) -> None:
    page = paired(tablet(), centre, centre.code("s4", OTHER_DISTRICT))
    until(lambda: page.evaluate(_KEPT, "revocations"))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(centre.base)))
    code, tube = centre.paper(person := centre.person(CARD)), "XA20220415021"
    page.click("[data-part=verify]")
    page.fill("#code", code)
    page.click("#verify button")
    expect(page.locator("#by-whom")).to_contain_text("Verified by the centre")
    BundleStore(centre.database).revoke_person(person, now_ms())
    page.click("[data-part=register]")
    take(page, tube, 5)
    assert scan(page, code) == "This code is not good for registering"
    expect(page.locator("#told-why")).to_contain_text("Revoked")
    slow = go_on_elsewhere_while_the_centre_is_waited_for(page, centre, tube)

    orders = open_emergencies(centre.config, centre.database)
    both = frozenset({"sampling.order", "sampling.approve"})
    wish = Wish(district=OTHER_DISTRICT, preset="district", term_h=48, agency="市指挥部", document="1", reason="全员")
    order = orders.request(wish, Actor("chen", both), now_ms())
    orders.do(order.id, "approve", Actor("li", both), now_ms())
    page.click("[data-part=device]")
    page.click("#send")
    expect(page.locator("#facts")).to_contain_text("Offline firstyes")
    page.click("[data-part=register]")
    asked.clear()
    code = centre.paper(known := centre.person(CARD_2))
    assert scan(page, code) == "Something is not as it must be"
    expect(page.locator("#told-why")).to_have_text("The contact is asked here.")
    page.fill("#field-contact", "13800138000")
    assert scan(page, code) == "Registered"
    assert "/v1/codes/verify" not in asked
    page.click("#aside")
    assert page.locator(".sizes label:visible").all_inner_texts() == ["5", "10"]
    until(lambda: centre.people(tube) == [[slow, known]])

    bearer = Bearer(person=known, who=b"w" * 12, kind="own", name="王*", tail="2X", colour="green", as_of_ms=now_ms())
    own = code_issuer(centre.config, centre.database).wallet(bearer, (), now_ms()).own
    page.reload()
    expect(page.locator("#contact")).to_contain_text("last contact")
    page.click("[data-part=verify]")
    for later_s, told in ((0, "Green"), (15, "Replayed")):
        page.clock.set_fixed_time((now_ms() + later_s * 1000) / 1000)
        page.fill("#code", own.text(0))
        page.click("#verify button")
        expect(page.locator("#verdict")).to_contain_text(told)
    expect(page.locator("#by-whom")).not_to_contain_text("Verified by the centre")


def go_on_elsewhere_while_the_centre_is_waited_for(page: Page, centre: Centre, tube: str) -> str:
    """Whoever was registered to the tube that was shown when the code was read."""
    other, slow = "XA20220415022", "ab" * 16
    page.click("#aside")
    take(page, other, 5)
    assert scan(page, CARD) == "Registered"
    page.click("#aside")
    take(page, tube, 5)
    page.evaluate("window.silent = true")
    page.fill("#person", centre.paper(slow))
    page.press("#person", "Enter")
    page.click("[data-part=tubes]")
    page.get_by_label(f"Go on {other}").click()
    until(lambda: centre.people(tube) == [[slow]])
    page.evaluate("window.silent = false")
    page.click("#aside")
    take(page, tube, 5)
    return slow


_KEPT: Final = """
(name) => new Promise((done) => {
  const request = indexedDB.open("hutong-station");
  request.onsuccess = () => {
    const asked = request.result.transaction("about").objectStore("about").get(name);
    asked.onsuccess = () => { request.result.close(); done(asked.result !== undefined); };
  };
})
"""
_JUDGE: Final = """
async ([rules, name, deeds, terms, nowMs, apartMs]) => {
  const { Store } = await import("/station/static/store.js");
  const { Machine } = await import("/station/static/tubes.js");
  const store = new Store(new Machine(rules));
  await store.open();
  const key = await crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  await store.pair({ station: name, district: "", token: "", terms, apart_ms: apartMs, sequence: 0 }, key);
  await store.keep("station", { ...(await store.about()), by: "赵" });
  const said = [];
  for (const [at, [some, chances]] of deeds.entries()) {
    try {
      const done = await store.doAll(some, nowMs + at * 60_000, { chances });
      said.push(JSON.stringify(done));
    } catch (error) {
      if (!error.reason) throw error;
      said.push(error.reason);
    }
  }
  return said;
}
"""
_PERSONS: Final = """
async ([key, given]) => {
  const { importKey, personOf, canonical } = await import("/station/static/persons.js");
  const imported = await importKey(Uint8Array.from(key.match(/../g), (it) => parseInt(it, 16)));
  const readable = await crypto.subtle.exportKey("raw", imported).then(() => true, () => false);
  const found = [];
  for (const [kind, text] of given) found.push(await personOf(imported, kind, text).catch((error) => error.message));
  return [readable, found];
}
"""


def cards(chance: random.Random) -> Iterator[str]:
    """Numbers of every kind of right and wrong."""
    yield from (
        CARD,
        CARD_2,
        CARD.lower(),
        f" {CARD[:6]} {CARD[6:14]}-{CARD[14:]} ",
        "１１０１０５１９４９１２３１００２Ｘ",
    )
    yield from ("", "110105", CARD[:-1], CARD + "1", "0" + CARD[1:], "110105194902300021", "11010500001231002X")
    for _ in range(200):
        day = f"{chance.choice((1900, 1949, 2000, 2024))}{chance.randrange(14):02}{chance.randrange(33):02}"
        yield f"{chance.randrange(100000, 700000)}{day}{chance.randrange(1000):03}{chance.choice('0123456789X')}"


def test_the_page_knows_people_and_tubes_as_python_does(
    tablet: Callable[[], BrowserContext], centre: Centre, tmp_path: Path
) -> None:
    page = tablet().new_page()
    page.goto(f"{centre.base}/station/static/tubes.js")
    chance, key = random.Random(6), bytes(range(32))
    given = [("id-card", it) for it in cards(chance)]
    given += [("passport", it) for it in ("E12345678", "e 1234-5678", "E1", "护照12345", "A" * 21)]
    given += [("permit", "H01234567"), ("permit", "")]
    readable, there = page.evaluate(_PERSONS, [key.hex(), given])
    assert not readable
    here = []
    for kind, text in given:
        found = canonical("id" if kind == "id-card" else kind, text)  # type: ignore[arg-type]  # of the table
        here.append(person_of(key, found) if isinstance(found, Document) else found)
    assert there == here
    assert {"form", "check", "birthday"} < set(here)

    terms, apart_ms, now = Terms(sizes=(1, 5, 10), fields=("contact",)), 3_600_000, 1_790_000_000_000
    store = StationStore(tmp_path)
    store.make(About("s9", "", terms, apart_ms))
    wanted = [(some, [chance.randbytes(8) for _ in some]) for some in deeds(chance)]
    said = []
    for at, (some, chances) in enumerate(wanted):
        try:
            done = store.do_all(some, "赵", now + at * 60_000, chances)
            said.append(msgspec.json.encode(done).decode())
        except SamplingRefused as refused:
            said.append(refused.reason)
    store.close()
    plain: list[Any] = [
        [json.loads(msgspec.json.encode(some)), [it.hex() for it in chances]] for some, chances in wanted
    ]
    rules = json.loads(msgspec.json.encode(station_rules()))
    assert page.evaluate(_JUDGE, [rules, "s9", plain, msgspec.to_builtins(terms), now, apart_ms]) == said
    kept = [it for it in said if it.startswith("[")]
    assert all(isinstance(it, Event) for one in kept for it in msgspec.json.decode(one, type=list[Event]))
    reasons = set(said) - set(kept)
    assert reasons == {
        *("field", "size", "no-tube", "full", "size-differs", "person-twice", "person-elsewhere", "not-from-here"),
    }


def deeds(chance: random.Random) -> Iterator[list[Deed]]:
    """What somebody may try at a station in some hours."""
    tubes = ["T0000001", "T0000002", "T0000003", "T0000004", "t1", "T-00-05"]
    people = [f"{at:032x}" for at in range(9)] + ["code:0123456789abcdef", "code:01", "王"]
    for _ in range(400):
        tube = chance.choice(tubes)
        fields = chance.choice(
            [{"contact": "138"}] * 8 + [{}, {"contact": " "}, {"contact": "1", "pet": "cat"}, {"contact": "\n"}]
        )
        match chance.randrange(12):
            case 0:
                yield [Seal(tube=tube, people=chance.randrange(6))]
            case 1:
                yield [HandOver(tube=tube, batch=chance.choice(("B1", "批")), expected=1, courier="周")]
            case 2:
                some = chance.sample(tubes[:4], 2)
                yield [HandOver(tube=it, batch="B2", expected=2, courier="周") for it in some]
            case _:
                size = chance.choice((1, 1, 5, 5, 5, 5, 10, 20, 3))
                retest = not chance.randrange(4)
                district = chance.choice(("", "610100", "6101"))
                yield [
                    Register(
                        tube=tube,
                        size=size,
                        person=chance.choice(people),
                        district=district,
                        retest=retest,
                        fields=fields,
                    )
                ]
    assert FIELDS[0] == "contact"


_BOTH: Final = """
async ([tube, people]) => {
  const { Store } = await import("/station/static/store.js");
  const tubes = await import("/station/static/tubes.js");
  const { RULES } = await import("/station/static/page.js");
  const store = new Store(new tubes.Machine(RULES));
  await store.open();
  const put = (it) => store.doAll([tubes.register(tube, 20, it)], Date.now());
  return Promise.all(people.map((it) => put(it).then(() => "ok", (error) => error.reason)));
}
"""


def test_two_tabs_do_not_double_and_a_device_that_is_cut_off_goes_on(
    tablet: Callable[[], BrowserContext], centre: Centre
) -> None:
    context = tablet()
    page = paired(context, centre, centre.code("s2"))
    other = context.new_page()
    other.goto(f"{centre.base}/station/?lang=en")
    expect(other.locator("#who")).to_contain_text("s2")
    people = [f"{at:032x}" for at in range(12)]
    start = f"(given) => {{ window.done = ({_BOTH})(given) }}"
    for tab in (page, other):
        tab.evaluate(start, [TUBE + "2", people])
    said = [tab.evaluate("() => window.done") for tab in (page, other)]
    assert sorted(it for tab in said for it in tab) == ["ok"] * 12 + ["person-twice"] * 12
    page.click("[data-part=device]")
    page.click("#send")
    expect(other.locator("#unmerged")).to_have_text("0 not merged")
    assert [sorted(it) for it in centre.people(TUBE + "2")] == [people]

    tokens = Tokens(centre.database, 30)
    for it in tokens.of("s2"):
        tokens.revoke(it.id, now_ms())
    page.click("[data-part=register]")
    take(page, "XA20220415009", 5)
    assert scan(page, CARD) == "Registered"
    until(lambda: _refused(page))
    expect(page.locator("#unmerged")).to_have_text("1 not merged")
    page.click("[data-part=device]")
    page.click("details summary")
    page.click("#re-pair")
    page.fill("#pair-code", code := centre.code("s3"))
    page.click("#pair button")
    expect(page.locator("#pair-trouble")).to_contain_text("Records that nobody else has")
    assert pairings_of(centre.config, centre.database).finish(code, now_ms()).station == "s3"  # it was not used up
    page.fill("#pair-code", centre.code("s2"))
    page.click("#pair button")
    expect(page.locator("#unmerged")).to_have_text("0 not merged")
    assert centre.people("XA20220415009") == [[centre.person(CARD)]]
    other.close()
    be_told_to_wait_by_a_clock_that_is_ahead(page, "/codes/revocations", "E12345678")
    be_told_to_wait_by_a_clock_that_is_ahead(page, "/merge", "E12345679")


def be_told_to_wait_by_a_clock_that_is_ahead(page: Page, path: str, passport: str) -> None:
    """On the next day an open tube is still there; merging does not wait until then once the clock is right."""
    page.clock.set_fixed_time(now_ms() / 1000 + 86_400)
    page.click("[data-part=tubes]")
    expect(page.get_by_label("Go on XA20220415009")).to_be_visible()
    page.evaluate("(path) => { window.busy = path; window.told = 0; }", path)
    page.click("[data-part=device]")
    page.click("#send")
    until(lambda: page.evaluate("window.told"))
    page.evaluate("window.busy = null")
    page.clock.set_fixed_time(now_ms() / 1000)
    page.click("[data-part=register]")
    page.select_option("#kind", "passport")
    assert scan(page, passport) == "Registered"
    expect(page.locator("#unmerged")).to_have_text("0 not merged")


def _refused(page: Page) -> bool:
    """Whether the centre refused the token: it knows one for a second after it was ended."""
    page.evaluate("document.getElementById('send').click()")
    return "token no more" in page.locator("#trouble").inner_text()


def test_the_camera_reads_a_code(playwright: Playwright, centre: Centre, tmp_path: Path) -> None:
    film = filmed(centre.paper(centre.person(CARD)), tmp_path / "film.y4m")
    eyes = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    browser = playwright.chromium.launch(
        executable_path=CHROMIUM, args=[*ARGUMENTS, *eyes, f"--use-file-for-fake-video-capture={film}"]
    )
    page = paired(browser.new_context(), centre, centre.code("s3"))
    until(lambda: page.evaluate(_KEPT, "revocations"))
    take(page, "XA20220415031", 1)
    page.click("#camera")
    expect(page.locator("#told-what")).to_have_text("Registered")
    expect(page.locator("#count")).to_have_text("1 of 1")
    browser.close()


def filmed(code: str, file: Path) -> Path:
    """A still film of a code held before a camera, YUV4MPEG2."""
    rows = qr.matrix(code, LEVEL)
    symbol = Image.new("L", (len(rows) + 8, len(rows) + 8), 255)
    for y, row in enumerate(rows):
        for x, dark in enumerate(row):
            symbol.putpixel((x + 4, y + 4), 0 if dark else 255)
    scale = 460 // symbol.width
    picture = Image.new("L", (640, 480), 200)
    picture.paste(symbol.resize((symbol.width * scale, symbol.height * scale), Image.Resampling.NEAREST), (90, 10))
    grey = bytes([128]) * (320 * 240 * 2)
    frames = b"".join(b"FRAME\n" + picture.tobytes() + grey for _ in range(5))
    file.write_bytes(b"YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420\n" + frames)
    return file


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_first_view_is_small_and_axe_finds_nothing_serious(
    playwright: Playwright, centre: Centre, lang: str
) -> None:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    page = browser.new_page(viewport={"width": 360, "height": 740}, service_workers="block")
    sizes: list[int] = []
    page.on("response", lambda answer: sizes.append(len(answer.body())))
    page.goto(f"{centre.base}/station/?lang={lang}", wait_until="networkidle")
    assert 0 < sum(sizes) < 100_000
    page.evaluate(AXE_SCRIPT)
    found = serious(page)
    page.fill("#pair-code", centre.code("s3"))
    page.click("#pair button")
    for part in ("register", "tubes", "verify", "device"):
        page.click(f"[data-part={part}]")
        expect(page.locator(f"[data-shows={part}]")).to_be_visible()
        found += serious(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert found == []
    browser.close()


def serious(page: Page) -> list[str]:
    violations = page.evaluate("() => axe.run().then((it) => it.violations)")
    return [it["id"] for it in violations if it["impact"] in {"serious", "critical"}]
