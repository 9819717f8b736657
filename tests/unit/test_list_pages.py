"""The pages of lists: found, masked, changed on record, imported with what is wrong in each row."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from console_pages import CALLS, NOW, ConsoleSite
from hutong.calls import console as package
from hutong.calls.console import list_import, list_table, lists
from hutong.calls.console.error_words import say_error
from hutong.calls.console.list_import import LARGEST
from hutong.kernel.errors import ListError
from hutong.kernel.lists.csv_file import import_file
from hutong.kernel.lists.store import ListStore
from hutong.kernel.lists.targets import draft
from hutong.kernel.numbering import Numbering
from hutong.kernel.web.frame import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from httpx import Response

    from hutong.kernel.lists.entries import Entry

TEXTS = [Path(package.__file__).parent / "texts" / f"{name}.toml" for name in ("lists", "error_words")]
LANGUAGES = ("zh", "en")
PURPOSE = {"purpose": "complaint", "detail": "ticket 2027-15"}


class Site(ConsoleSite):
    """With lists."""

    def __init__(self, data: Path, store: type[ListStore] = ListStore) -> None:
        super().__init__(data, texts=TEXTS)
        self.store = store(data / "lists")
        self.store.open()
        self.build(
            lists.routes(
                self.console,
                store=self.store,
                numbering=Numbering("010"),
                trail=self.trail,
                refs=self.refs,
                clock=self.clock,
                imports=data / "run" / "imports",
            )
        )

    def add(self, target: str, **fields: object) -> Entry:
        made = draft(target, **{"reason": "reported", "who": "duty", **fields})  # type: ignore[arg-type]
        return self.store.add([made], NOW - 5)[0]


@pytest.fixture
def site(data_folder: Path) -> Iterator[Site]:
    one = Site(data_folder)
    yield one
    one.store.close()
    one.close()


def text_of(response: Response) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", response.text)))


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("role", ["analyst", "operator", "auditor"])
def test_the_overview_opens_for_whoever_may_read(site: Site, role: str, lang: str) -> None:
    site.add("13800138000", expires=NOW + 60)
    site.add("0755*", list="allow")
    response = site.browser(role).get("/lists", lang=lang)
    assert response.status_code == 200
    said = text_of(response)
    assert ("1 entries block, 1 entries allow" if lang == "en" else "拦截名单 1 条，放行名单 1 条") in said
    assert "+86755*" in said


@pytest.mark.parametrize("role", ["viewer", "administrator"])
def test_the_overview_is_closed_to_others(site: Site, role: str) -> None:
    assert site.browser(role).get("/lists").status_code == 403


def whole_numbers(response: Response) -> list[str]:
    """Numbers of the entry below that stand whole in an answer."""
    plain = re.sub(r"[-\s]", "", response.text.replace('placeholder="13800138000"', ""))
    return [it for it in ("13800138000", "13900139000", "13700137000", "2161231000") if it in plain]


def add_telling(site: Site) -> Entry:
    """An entry whose every word tells a number, taken off again."""
    entry = site.add("13800138000", reason="posed as 13900139000", source="heard from 13900139000")
    site.store.remove(entry, NOW - 1, who="duty", why="belongs to 13700137000")
    return site.add("13800138000", reason="posed as 13900139000", source="heard from 13900139000")


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("role", ["analyst", "operator", "auditor"])
def test_no_page_shows_a_whole_number(site: Site, role: str, lang: str) -> None:
    listed = add_telling(site)
    site.add("02161231000-02161231999")
    site.add("1380013800*")
    browser = site.browser(role)
    pages = [
        browser.get(path, lang=lang) for path in ("/lists", "/lists/1", f"/lists/{listed.id}", "/lists?sort=target")
    ]
    pages += [browser.post("/lists/search", lang=lang, number=it) for it in ("13800138000", "02161231000")]
    pages += [browser.get("/lists?format=csv", lang=lang)]
    if role == "operator":
        pages += [
            browser.post(f"/lists/{listed.id}/{it}", lang=lang, why="w", span="7d") for it in ("remove", "expiry")
        ]
    for page in pages:
        assert page.status_code == 200
        assert whole_numbers(page) == []
        assert "138****8000" in page.text or "+8621****1000" in page.text or "021-****1000" in page.text
    assert site.deeds("numbers.") == site.deeds("lists.") == []


def test_numbers_of_services_name_no_person_and_are_whole(site: Site) -> None:
    for target in ("4008123456", "95588", "12345", "4008120000-4008129999"):
        site.add(target)
    page = text_of(site.browser("auditor").get("/lists"))
    assert all(it in page for it in ("4008123456", "95588", "12345", "+864008120000-+864008129999"))
    entry = site.browser().get("/lists/1").text
    assert 'name="purpose"' not in entry, "there is nothing to unmask"


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("role", ["analyst", "operator"])
def test_an_entry_is_shown_whole_for_a_purpose_that_is_on_the_trail_first(site: Site, role: str, lang: str) -> None:
    add_telling(site)
    browser = site.browser(role)
    assert 'action="/lists/1"' in browser.get("/lists/1", lang=lang).text
    page = browser.post("/lists/1", lang=lang, **PURPOSE)
    assert whole_numbers(page) == ["13800138000", "13900139000", "13700137000"]
    assert page.headers["cache-control"] == "no-store"
    (deed,) = site.deeds("numbers.")
    assert (deed.who, deed.deed, deed.target) == (f"{role}-1", "numbers.unmask", "lists/1")
    assert deed.purpose.endswith("ticket 2027-15")
    ref = site.refs.ref(Numbering().read("13800138000").key)
    assert deed.after == {"purpose": "complaint", "numbers": [ref]}
    assert whole_numbers(browser.get("/lists/1", lang=lang)) == []


@pytest.mark.parametrize(
    "said", [{}, {"purpose": "curiosity", "detail": "let me see"}, {"purpose": "police", "detail": " x "}]
)
def test_without_a_purpose_nothing_is_shown_or_exported(site: Site, said: dict[str, str]) -> None:
    listed = add_telling(site)
    for path in ("/lists", f"/lists/{listed.id}"):
        answer = site.browser().post(path, **said)
        assert answer.status_code == 422
        assert answer.headers["content-type"].startswith("text/html")
        assert 'aria-invalid="true"' in answer.text
        assert whole_numbers(answer) == []
    assert site.deeds() == []
    assert site.browser().post("/lists/99", **PURPOSE).status_code == 404


@pytest.mark.parametrize("role", ["viewer", "auditor", "administrator"])
def test_who_may_not_unmask_does_not(site: Site, role: str) -> None:
    listed = add_telling(site)
    for path in ("/lists", f"/lists/{listed.id}"):
        assert site.browser(role).post(path, **PURPOSE).status_code == 403
        assert 'name="purpose"' not in site.browser(role).get(path).text
    assert site.deeds() == []


def test_nothing_is_shown_or_sent_when_the_trail_cannot_be_written(site: Site) -> None:
    listed = add_telling(site)
    with site.database.write() as connection:
        connection.exec_driver_sql("CREATE TRIGGER full BEFORE INSERT ON trail BEGIN SELECT RAISE(FAIL, 'full'); END")
    browser = site.browser()
    for answer in (
        browser.post(f"/lists/{listed.id}", **PURPOSE),
        browser.post("/lists", **PURPOSE),
        browser.get("/lists?format=csv"),
    ):
        assert answer.status_code >= 500
        assert "content-disposition" not in answer.headers
        assert whole_numbers(answer) == []
    assert len(site.errors) == 3
    site.errors.clear()


def test_the_filters_do_not_tell_hidden_digits(site: Site) -> None:
    add_telling(site)
    browser = site.browser("analyst")
    assert "Rows 1–1 of 1" in text_of(browser.get("/lists?text=posed%20as%20139"))
    for digits in ("1390", "0013", "13900139000"):
        assert "No row fits the filters" in text_of(browser.get(f"/lists?text={digits}"))
        assert "No row fits the filters" in text_of(browser.get(f"/lists?source={digits}"))
    assert "The text filter sees no numbers" in text_of(browser.get("/lists?text=13900139000"))


def test_an_empty_list_says_what_to_do_next(site: Site) -> None:
    assert "Add a number, or import a CSV file." in text_of(site.browser().get("/lists"))
    assert site.deeds() == []


def test_filters_sort_and_pages(site: Site) -> None:
    for at in range(60):
        site.add(f"138001380{at:02}", source="odd" if at % 2 else "even", expires=NOW + 86_400 * (1 + at))
    site.add("+44*", list="allow", reason="Some roamers")
    browser = site.browser("analyst")
    assert "Rows 1–25 of 61" in text_of(browser.get("/lists"))
    assert "Rows 51–61 of 61" in text_of(browser.get("/lists?page=3"))
    assert "Rows 51–61 of 61" in text_of(browser.get("/lists?page=99"))
    assert "Rows 1–25 of 30" in text_of(browser.get("/lists?source=ODD"))
    assert "Rows 1–1 of 1" in text_of(browser.get("/lists?list=allow&kind=prefix&role=any&text=roam"))
    assert "Rows 1–7 of 7" in text_of(browser.get("/lists?expiry=soon"))
    assert "No row fits the filters" in text_of(browser.get("/lists?expiry=over"))

    def ids(path: str) -> list[int]:
        return [int(it) for it in re.findall(r'<td><a href="/lists/(\d+)"', browser.get(path).text)]

    assert ids("/lists")[:3] == [61, 60, 59]
    assert ids("/lists?sort=id")[:3] == [1, 2, 3]
    assert ids("/lists?sort=expires")[:3] == [1, 2, 3]
    assert ids("/lists?sort=-expires")[0] == 61
    assert ids("/lists?sort=target")[:2] == [1, 2]
    assert ids("/lists?sort=source&size=100")[:2] == [61, 59]


def test_a_look_that_ended_early_leads_further_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_table, "MOST_EXAMINED", 2)
    monkeypatch.setattr(list_table, "_SLICE", 2)
    for at in range(5):
        site.add(f"1380013800{at}", source="odd" if at == 0 else "even")
    browser = site.browser("auditor")
    page = browser.get("/lists?source=odd")
    assert "Looked at 2 of 5 entries" in text_of(page)
    assert "No row fits" not in page.text
    further = unescape(re.findall(r'<a href="([^"]*start=2[^"]*)"', page.text)[0])
    page = browser.get(f"/lists{further}")
    assert "Looked at 4 of 5 entries" in text_of(page)
    further = unescape(re.findall(r'<a href="([^"]*start=4[^"]*)"', page.text)[0])
    page = browser.get(f"/lists{further}")
    assert re.findall(r'<td><a href="/lists/(\d+)"', page.text) == ["1"]
    assert "start=" not in re.findall(r'<a href="([^"]*)">Look further', page.text)
    assert "Too many entries to sort by this column" in text_of(browser.get("/lists?sort=who"))


KERNEL_SAYS = [
    ("13800138000x0", {}),
    ("x*", {}),
    ("1234567890123456*", {}),
    ("0*", {}),
    ("010123456789*", {}),
    ("10*", {}),
    ("02161239999-02161230000", {}),
    ("1", {"list": "grey"}),
    ("1", {"role": "both"}),
    ("1", {"respond": 200}),
    ("1", {"reason": " "}),
    ("1", {"who": " "}),
    ("1", {"expires": 1 << 40}),
    ("110", {"role": "callee"}),
]


@pytest.mark.parametrize(("target", "fields"), KERNEL_SAYS)
def test_what_the_lists_refuse_is_said_in_both_languages(target: str, fields: dict[str, object]) -> None:
    texts = Frame([CALLS], TEXTS).texts
    with pytest.raises(ListError) as raised:
        draft(target, **{"reason": "r", "who": "w", **fields})  # type: ignore[arg-type]
    zh, en = (say_error(texts, raised.value, lang) for lang in LANGUAGES)
    assert re.search("[\u4e00-\u9fff]", zh.what)
    assert re.search("[\u4e00-\u9fff]", zh.fix)
    assert not re.search("[\u4e00-\u9fff]", en.what + en.fix)


def test_a_number_is_looked_up_without_an_address_that_names_it(site: Site) -> None:
    site.add("13800138000")
    site.add("138*", list="allow", role="callee")
    page = text_of(site.browser("analyst").post("/lists/search", number="138 0013 8000"))
    assert "138****8000 is blocked as caller, allowed as callee" in page
    assert page.index("138****8000 number" if "138****8000 number" in page else "138****8000") < page.index("+86138*")
    assert "is on no list" in text_of(site.browser("analyst").post("/lists/search", number="13900139000"))
    wrong = site.browser("analyst").post("/lists/search", number="nobody", lang="zh")
    assert wrong.status_code == 422
    assert "不是 1 至 15 位的电话号码" in text_of(wrong)
    assert site.deeds() == []


def test_an_entry_is_checked_then_confirmed_then_on_record(site: Site) -> None:
    browser = site.browser()
    fields = {"target": "13800138000", "list": "block", "role": "", "reason": "举报核实", "source": "12321"}
    fields |= {"span": "30d", "until": "", "respond": "608"}
    check = browser.post("/lists/new", **fields)
    assert "will be blocked" in text_of(check)
    assert site.store.count() == 0
    done = browser.post("/lists/new", confirmed="yes", **fields)
    assert (done.status_code, done.headers["location"]) == (303, "/lists/1?done=added")
    stored = site.store.entry(1)
    assert stored is not None
    assert (stored.who, stored.role, stored.reason) == ("operator-1", "caller", "举报核实")
    assert stored.expires == NOW + 30 * 86_400
    (deed,) = site.deeds("lists.add")
    assert (deed.who, deed.purpose, deed.before) == ("operator-1", "举报核实", None)
    assert site.refs.key(deed.target) == stored.key
    assert deed.after["target"] == "138****8000"
    again = browser.post("/lists/new", **{**fields, "reason": "another"})
    assert "This replaces entry 1" in text_of(again)
    assert "13800138000 will be blocked" in text_of(again), "who wrote it checks what was written"
    assert browser.post("/lists/new", confirmed="yes", **{**fields, "reason": "another"}).status_code == 303
    assert site.deeds("lists.add")[0].before["reason"] == "举报核实"


@pytest.mark.parametrize(
    ("fields", "zh"),
    [
        ({"target": "nobody"}, "不是 1 至 15 位的电话号码"),
        ({"target": "110", "role": "callee"}, "必须始终可以接通"),
        ({"reason": " "}, "没有写原因"),
        ({"until": "2001-01-01T00:00"}, "已经过去"),
        ({"until": "soon"}, "不是带时区的时间"),
        ({"span": "9d"}, "不是带时区的时间"),
        ({"list": "grey"}, "没有名为"),
        ({"respond": "200"}, "不能用作拦截应答"),
        ({"target": "010*x"}, "不是 1 至 15 位的电话号码"),
    ],
)
def test_a_wrong_entry_is_refused_in_the_readers_language(site: Site, fields: dict[str, str], zh: str) -> None:
    form = {"target": "13800138000", "list": "block", "reason": "r", "span": "30d", "respond": "608", **fields}
    response = site.browser().post("/lists/new", lang="zh", confirmed="yes", **form)
    assert response.status_code == 422
    assert zh in text_of(response)
    assert site.store.count() == 0
    assert site.deeds("lists.add") == []


def test_who_checks_a_new_entry_is_not_shown_what_others_wrote_of_numbers(site: Site) -> None:
    add_telling(site)
    site.add("138*", list="allow", reason="as 13900139000 says")
    fields = {"target": "13800138000", "list": "block", "reason": "r", "span": "30d", "respond": "608"}
    page = site.browser().post("/lists/new", **fields)
    assert "Its reason was: posed as 139****9000" in text_of(page)
    assert "as 139****9000 says" in text_of(page)
    assert whole_numbers(page) == ["13800138000"]
    assert site.deeds() == []


def test_wider_targets_stand_on_the_trail_by_reference(site: Site) -> None:
    fields = {"list": "allow", "reason": "r", "span": "30d", "respond": "608", "confirmed": "yes"}
    for target in ("02161231000-02161231999", "1380013800*"):
        assert site.browser().post("/lists/new", target=target, **fields).status_code == 303
    prefix, range_ = site.deeds("lists.add")
    assert [site.refs.key(it) for it in range_.target.split("-")] == [site.store.entry(1).key, site.store.entry(1).last]  # type: ignore[union-attr]
    assert site.refs.key(prefix.target.removesuffix("*")) == site.store.entry(2).key  # type: ignore[union-attr]
    assert not re.search(r"\d{8}", f"{prefix.target}{range_.target}{prefix.after}{range_.after}")


def test_an_entry_goes_with_a_reason(site: Site) -> None:
    entry = site.add("13800138000")
    browser = site.browser()
    assert browser.post(f"/lists/{entry.id}/remove", why=" ").status_code == 422
    assert "will be taken off" in text_of(browser.post(f"/lists/{entry.id}/remove", why="mistake"))
    assert site.store.count() == 1
    assert browser.post(f"/lists/{entry.id}/remove", why="mistake", confirmed="yes").status_code == 303
    gone = site.store.entry(entry.id)
    assert gone is not None
    assert (gone.removed_by, gone.removed_why) == ("operator-1", "mistake")
    (deed,) = site.deeds("lists.remove")
    assert (deed.purpose, deed.before["id"], site.refs.key(deed.target)) == ("mistake", entry.id, entry.key)
    again = browser.post(f"/lists/{entry.id}/remove", why="mistake", confirmed="yes")
    assert again.headers["location"].endswith("done=gone")
    assert "was taken off the list" in text_of(browser.get(f"/lists/{entry.id}?done=gone"))
    assert browser.post("/lists/99/remove", why="x").status_code == 404


def test_an_expiry_is_replaced(site: Site) -> None:
    entry = site.add("0755*", expires=NOW + 60)
    browser = site.browser()
    form = {"why": "still going on", "span": "7d", "until": ""}
    assert "The expiry of entry 1 will be changed" in text_of(browser.post(f"/lists/{entry.id}/expiry", **form))
    done = browser.post(f"/lists/{entry.id}/expiry", confirmed="yes", **form)
    fresh = site.store.entry(2)
    assert done.headers["location"] == "/lists/2?done=renewed"
    assert fresh is not None
    assert (fresh.expires, fresh.reason, fresh.who) == (NOW + 7 * 86_400, "reported", "operator-1")
    (deed,) = site.deeds("lists.expiry")
    assert (deed.target, deed.before["expires"][:4], deed.purpose) == ("+86755*", "2027", "still going on")
    assert browser.post(f"/lists/{fresh.id}/expiry", why="x", span="7d", until="2001-01-01T00:00").status_code == 422
    local = browser.post(f"/lists/{fresh.id}/expiry", confirmed="yes", why="x", span="", until="2030-01-01T08:00")
    assert local.status_code == 303
    newest = site.store.entry(3)
    assert newest is not None
    assert newest.expires == 1_893_456_000, "08:00 in Shanghai is midnight UTC"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/lists/new"),
        ("post", "/lists/new"),
        ("post", "/lists/1/remove"),
        ("post", "/lists/1/expiry"),
        ("get", "/lists/import"),
        ("post", "/lists/import"),
        ("get", "/lists/import/x"),
        ("get", "/lists/import/x/refused"),
    ],
)
@pytest.mark.parametrize("role", ["viewer", "analyst", "auditor", "administrator"])
def test_only_an_operator_changes_lists(site: Site, role: str, method: str, path: str) -> None:
    assert getattr(site.browser(role), method)(path).status_code == 403


def test_an_export_is_masked_and_whole_only_for_a_purpose_on_the_trail(site: Site, tmp_path: Path) -> None:
    site.add("13800138000", expires=NOW + 86_400, reason="=1+1")
    site.add("+44*", list="allow")
    for role in ("auditor", "operator"):
        masked = site.browser(role).get("/lists?format=csv&list=block")
        assert masked.headers["content-disposition"] == 'attachment; filename="lists.csv"'
        assert "138****8000" in masked.text
        assert "'=1+1" in masked.text
        assert "0044" not in masked.text
        assert whole_numbers(masked) == []
        assert site.deeds("tables.export")[0].after == {"filters": {"list": "block"}}
    assert site.deeds("numbers.") == []
    page = site.browser("analyst").get("/lists?list=block").text
    assert re.search(r'action="/lists\?[^"]*list=block[^"]*"', page), "the filters go with the form"
    answer = site.browser("analyst").post("/lists", **PURPOSE)
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["cache-control"] == "no-store"
    (deed,) = site.deeds("numbers.")
    assert (deed.who, deed.deed, deed.target) == ("analyst-1", "numbers.export", "lists")
    assert deed.after == {"purpose": "complaint", "filters": {}}
    assert deed.purpose.endswith("ticket 2027-15")
    whole_file = answer.content
    assert "008613800138000" in answer.text
    before = {(entry.kind, entry.key, entry.list, entry.expires) for entry in site.store.entries()}
    other = ListStore(tmp_path / "other")
    other.open()
    path = tmp_path / "back.csv"
    path.write_bytes(whole_file)
    done = import_file(other, path, numbering=Numbering(), now=NOW, errors=tmp_path / "bad.csv")
    assert (done.applied, done.bad) == (2, 0)
    assert {(entry.kind, entry.key, entry.list, entry.expires) for entry in other.entries()} == before
    other.close()


CSV = (
    "target,reason,who,expires\n13800138000,举报,李\nnobody,举报,李,\n0755*,举报,李,\n13900139000,,李,\n13900139001,举报,李,soon\n"
    "13900139002,举报,李,2030-01-01T00:00:00+08:00\n13700137000 or so,举报,李,\n"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_file_is_looked_through_first_and_taken_in_when_confirmed(
    site: Site, encoding: str, wait_until: Callable[..., Any]
) -> None:
    browser = site.browser()
    brought = browser.post("/lists/import", files={"file": ("三月.csv", CSV.encode(encoding), "text/csv")})
    assert brought.status_code == 303
    page = brought.headers["location"]
    wait_until(lambda: "every 1s" not in browser.get(page).text)
    said = text_of(browser.get(page))
    assert "2 rows accepted, 5 refused; nothing is imported yet" in said
    assert "“137****7000 or so” is not a telephone number" in said
    assert whole_numbers(browser.get(page)) == []
    assert site.deeds("lists.") == []
    assert "The row has 3 fields, the header 4." in said
    assert "“nobody” is not a telephone number" in said
    assert "没有写原因" in text_of(browser.get(page, lang="zh"))
    assert "GB 18030" in said or encoding != "gb18030"
    assert site.store.count() == 0
    refused = browser.get(f"{page}/refused")
    assert refused.headers["content-type"].startswith("text/csv")
    assert refused.text.count("\n") == 6
    assert "13700137000 or so" in refused.text, "the rows are the viewer's own, to be repaired"
    assert (site.deeds("lists.refused")[0].target, site.deeds("lists.refused")[0].who) == ("三月.csv", "operator-1")
    assert browser.post(page, why=" ").status_code == 422
    assert site.deeds("lists.import") == []
    assert browser.post(page, why="letter 12").status_code == 303
    wait_until(lambda: site.deeds("lists.import_done"))
    assert "2 rows imported, 5 refused" in text_of(browser.get(page))
    assert {entry.who for entry in site.store.entries()} == {"李"}
    began = site.deeds("lists.import")[-1]
    assert (began.purpose, began.target) == ("letter 12", "三月.csv")
    assert (began.after["accepted"], began.after["refused"]) == (2, 5)
    assert browser.post(page, why="letter 12").status_code == 303
    assert len(site.deeds("lists.import_done")) == 1, "a second confirmation does nothing"


def test_a_file_that_is_none_says_why(site: Site, wait_until: Callable[..., Any]) -> None:
    browser = site.browser()
    assert browser.post("/lists/import", files={"file": ("a.csv", b"", "text/csv")}).status_code == 422
    assert browser.post("/lists/import").status_code == 422
    brought = browser.post("/lists/import", files={"file": ("a.csv", b"number,why\n1,2\n", "text/csv")})
    page = brought.headers["location"]
    wait_until(lambda: "every 1s" not in browser.get(page).text)
    assert "Column “number” is unknown." in text_of(browser.get(page))
    assert browser.post(page, do="give-up").headers["location"] == "/lists"
    assert browser.get(page).status_code == 404


def test_what_is_told_of_bad_rows_does_not_fill_the_disk(
    site: Site, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., Any]
) -> None:
    monkeypatch.setattr(list_import, "MOST_REFUSED", 200_000)
    browser = site.browser()
    content = b"target,reason,who\n" + b"a\n" * 100_000
    page = browser.post("/lists/import", files={"file": ("a.csv", content, "text/csv")}).headers["location"]
    wait_until(lambda: "every 1s" not in browser.get(page).text)
    assert "Too many rows of this file are wrong." in text_of(browser.get(page))
    imports = Path(site.data) / "run" / "imports"
    assert sum(file.stat().st_size for file in imports.iterdir()) < 2_000_000


class _BrokenStore(ListStore):
    """Lists whose writing fails by a fault of ours."""

    def add(self, entries: Sequence[Entry], now: int) -> list[Entry]:
        raise RuntimeError(f"{len(entries)} entries at {now}")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_import_that_breaks_off_ends_on_the_trail_and_says_so(
    data_folder: Path, wait_until: Callable[..., Any]
) -> None:
    site = Site(data_folder, _BrokenStore)
    browser = site.browser()
    content = b"target,reason,who\n13800138000,r,w\n"
    page = browser.post("/lists/import", files={"file": ("a.csv", content, "text/csv")}).headers["location"]
    wait_until(lambda: "every 1s" not in browser.get(page).text)
    assert browser.post(page, why="letter 12").status_code == 303
    wait_until(lambda: site.deeds("lists.import_failed"))
    said = text_of(browser.get(page, lang="zh"))
    assert "导入中断" in said
    assert "再次导入同一文件" in said
    assert not list((data_folder / "run" / "imports").glob("*.csv"))
    site.store.close()
    site.close()


def test_too_large_a_file_is_refused(site: Site) -> None:
    content = b"target,reason,who\n" + b"x" * LARGEST
    response = site.browser().post("/lists/import", files={"file": ("a.csv", content, "text/csv")})
    assert response.status_code == 413


def test_a_change_without_the_sessions_token_is_refused(site: Site) -> None:
    entry = site.add("13800138000")
    for path in ("/lists", f"/lists/{entry.id}"):
        assert site.browser().post(path, _csrf="wrong", **PURPOSE).status_code == 403
    assert site.deeds() == []
    response = site.browser().post(f"/lists/{entry.id}/remove", why="x", confirmed="yes", _csrf="wrong")
    assert response.status_code == 403
    assert site.store.count() == 1
