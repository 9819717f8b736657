"""The public pages of appeals and the pages that decide them, as a node serves both: one story, and what is refused."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from case_samples import MONDAY
from engines import ABROAD, HOME, Bench, invite, status
from fresh_records import lay_out
from hutong.app import cli
from hutong.app.appeals_config import AppealsConfig
from hutong.app.cli_terms import in_force
from hutong.app.config import Config, NodeConfig
from hutong.app.rule_drift import Appealed
from hutong.app.services import Services
from hutong.app.site import Site
from hutong.appeals.limits import Quota
from hutong.appeals.metrics import REFUSED
from hutong.appeals.store import AppealQuery
from hutong.calls.evidence.labels import read_labels
from hutong.calls.record import KIND_VERDICT
from hutong.kernel.access.oidc import Identity
from hutong.kernel.access.permissions import permissions_of
from hutong.kernel.clock import ManualClock
from hutong.kernel.lists.targets import draft
from hutong.kernel.records import tables
from hutong.kernel.reporter import Reporter
from hutong.orders.model import Actor, Deed
from order_samples import wish
from stages import put_stage
from verdict_records import verdict_body, write_journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hutong.kernel.lists.entries import Entry

NUMBER, FREE = "13800138000", "13900139000"
RULE = "calls.many-callees"
PUBLIC, CONSOLE = 8081, 8080


def services_of(data: Path, clock: ManualClock) -> Services:
    appeals = AppealsConfig(code_file=str(data / "codes.jsonl"))
    config = Config(node=NodeConfig(name="node1", data=str(data)), appeals=appeals)
    lay_out(data / "records.db")
    return Services(config, clock, Reporter("serve", level="error"))


class Node:
    """A node's site, asked as strangers and as people."""

    def __init__(self, data: Path) -> None:
        self.codes = data / "codes.jsonl"
        self.clock = ManualClock(MONDAY * 1_000_000)
        self.services = services_of(data, self.clock)
        self.services.open()
        # Codes go out behind the answers; here, before them.
        self.services.codes.postbox._threads = 0  # noqa: SLF001
        self.site = Site(self.services, PUBLIC)

    def ask(
        self,
        method: str,
        path: str,
        *,
        form: dict[str, str] | None = None,
        who: str = "",
        **more: Any,  # noqa: ANN401
    ) -> httpx.Response:
        headers = {"accept": "text/html", "accept-language": "en", **more.pop("headers", {})}
        address, port = more.pop("address", "203.0.113.5"), CONSOLE if who else PUBLIC
        if who:
            cookie = self.services.sessions.start(self.services.people.account(who), address, self.now_ms)
            found = self.services.sessions.viewer(cookie, address, self.now_ms)
            assert found is not None
            headers["cookie"] = f"{self.site.guard.cookie_name}={cookie}"
            form = None if form is None else {**form, "_csrf": found[0].csrf}

        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self.site.application, client=(address, 1))  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url=f"http://localhost:{port}") as client:
                return await client.request(method, path, data=form, headers=headers, **more)

        return asyncio.run(asked())

    @property
    def now_ms(self) -> int:
        return self.clock.wall() // 1_000_000

    def person(self, name: str, role: Any = "operator") -> str:  # noqa: ANN401
        self.services.people.arrive(Identity(name, role, role, f"s:{name}"), self.now_ms)
        return name

    def code(self) -> str:
        return str(json.loads(self.codes.read_text().splitlines()[-1])["code"])

    def block(self, who: str, number: str = NUMBER) -> Entry:
        entry = draft(number, reason="complaint of Zhang", who=who)
        return self.services.lists.add([entry], self.now_ms // 1000)[0]

    def proven(self, number: str, **more: Any) -> httpx.Response:  # noqa: ANN401
        ticket = field(self.ask("POST", "/appeal/code", form={"number": number}, **more), "ticket")
        return self.ask("POST", "/appeal/why", form={"ticket": ticket, "code": self.code()}, **more)


def field(page: httpx.Response, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found, page.text
    return found[1]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    made = Node(tmp_path_factory.mktemp("appeals"))
    yield made
    made.services.close()


@pytest.fixture
def node(served: Node) -> Node:
    """The one node, an hour later: every limit is whole again."""
    served.clock.advance(3_600_000_000_000)
    return served


def test_from_the_question_to_the_lifted_block(node: Node) -> None:
    maker, judge = node.person("wang"), node.person("li")
    entry = node.block(maker)
    assert "/appeal?lang=en" in node.ask("GET", "/redress").text
    for language in ("zh", "en"):
        start = node.ask("GET", f"/appeal?lang={language}")
        assert (start.status_code, "<script" in start.text, "set-cookie" in start.headers) == (200, False, False)
    ticket = field(node.ask("POST", "/appeal/code", form={"number": NUMBER}), "ticket")
    wrong = node.ask(
        "POST", "/appeal/why", form={"ticket": ticket, "code": "000000" if node.code() != "000000" else "1"}
    )
    assert (wrong.status_code, 'role="alert"' in wrong.text) == (422, True)
    why = node.ask("POST", "/appeal/why", form={"ticket": ticket, "code": node.code()})
    assert "The number is on the block list" in why.text
    assert "Zhang" not in why.text
    assert maker not in why.text
    assert "138****8000" in why.text
    assert NUMBER not in why.text
    form = {"proof": field(why, "proof"), "words": "我们是诊所\n<b>", "contact": "x@example.cn"}
    assert node.ask("POST", "/appeal/file", form={**form, "words": ""}).status_code == 422
    filed = node.ask("POST", "/appeal/file", form=form)
    place = filed.headers["location"]
    assert (filed.status_code, node.ask("POST", "/appeal/file", form=form).headers["location"]) == (303, place)
    receipt = node.ask("GET", place)
    assert "Your appeal is being looked at" in receipt.text
    assert not {NUMBER, "x@example.cn", "诊所"} & set(re.findall(r"\w+@\S+|\d{11}|诊所", receipt.text))
    found = node.ask("POST", "/appeal/receipt", form={"receipt": place.rpartition("/")[2].upper().replace("-", " ")})
    assert found.headers["location"] == place
    (appeal,) = node.services.appeals.store.page(AppealQuery())
    table = node.ask("GET", "/appeals", who=judge)
    assert f"/appeals/{appeal.id}" in table.text
    assert NUMBER not in table.text
    page = node.ask("GET", f"/appeals/{appeal.id}", who=judge)
    assert "&lt;b&gt;" in page.text
    assert "wang" in page.text
    # Its case leads whoever may make evidence packs to the form for it.
    pack = f"/orders/packs?case={appeal.id}"
    assert f'href="{pack}"' in node.ask("GET", f"/cases/{appeal.id}", who=judge).text
    assert f'value="{appeal.id}"' in node.ask("GET", pack, who=judge).text
    assert pack not in node.ask("GET", f"/cases/{appeal.id}", who=node.person("au", "auditor")).text
    decision = {"outcome": "lifted", "reasons": "已核实为诊所"}
    refused = node.ask("POST", f"/appeals/{appeal.id}/decision", form=decision, who=maker)
    assert (refused.status_code, "made the block" in refused.text) == (422, True)
    assert node.ask("POST", f"/appeals/{appeal.id}/decision", form={"outcome": "lifted"}, who=judge).status_code == 422
    assert node.ask("POST", f"/appeals/{appeal.id}/decision", form=decision, who=judge).status_code == 303
    assert node.services.lists.matching(entry.key) == [], "in force when the answer is there"
    assert "Decided: wrongly blocked, and lifted" in node.ask("GET", place).text
    assert "The lifting is in force" in node.ask("GET", f"/appeals/{appeal.id}", who=judge).text
    assert "is not blocked" in node.proven(NUMBER).text
    assert Appealed(node.services.database, node.services.refs).keys() == {entry.key}
    assert node.ask("GET", "/appeals?format=csv", who=judge).text.count("138****8000") == 1


def blocked_by(data: Path, rule: str, **more: Any) -> bytes:  # noqa: ANN401
    """The record of a call of NUMBER an hour ago that a rule blocked."""
    ruleset = in_force(data)
    ruleset.save(data / "rulesets")
    digest, at = int(ruleset.digest[:16], 16), ruleset.index(rule)
    assert at is not None
    digest -= (1 << 64) if digest >= 1 << 63 else 0
    fired = [(at, [777.0] * len(ruleset.features_of(at)))]
    call = {"time_ms": MONDAY - 3_600_000, "caller": NUMBER, "action": "block", "code": 608, "digest": digest}
    return verdict_body(**call, rule=at, fired=fired, **more)


def test_the_basis_of_an_order_is_told_in_both_languages(node: Node) -> None:
    number, orders = "13600136002", node.services.orders
    asking, approving = (Actor(name, permissions_of("operator")) for name in ("chen", "li"))
    order = orders.request(
        wish(target=number, basis=("fraud-act-11", "other"), basis_text="X条例"), asking, node.now_ms
    )
    orders.do(order.order, Deed("approve"), approving, node.now_ms)
    for language, words in (("en", "art. 11: verifying abnormal SIM cards anew"), ("zh", "第十一条：对涉诈异常电话卡")):
        said = node.proven(number, headers={"accept-language": language}).text
        assert words in said
        assert "X条例" in said
        assert ("对涉诈异常电话卡" in said) == (language == "zh")


def test_a_rule_that_blocked_is_named_and_its_measure_is_not(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    put_stage(data, RULE, "block", by="zhao")
    write_journal(data, [[(KIND_VERDICT, blocked_by(data, RULE))]])
    services = services_of(data, ManualClock(MONDAY * 1_000_000))
    services.open()
    try:
        key = services.numbering.read(NUMBER).key
        (block,) = services.appeals.blocks.blocks(key, MONDAY)
        assert (block.kind, block.name.partition("@")[0], block.makers) == ("rule", f"rule:{RULE}", ("zhao",))
        assert "777" not in str(block)
        assert services.appeals.blocks.blocks(key, MONDAY + 8 * 86_400_000) == (), "long ago"
        services.lists.add([draft("138*", reason="x", who="w")], MONDAY // 1000)
        wide = services.appeals.blocks.blocks(key, MONDAY)[0]
        assert (wide.kind, wide.own, wide.makers) == ("list", False, ("w",))
        services.lists.add([draft(NUMBER, list="allow", reason="x", who="w")], MONDAY // 1000)
        assert services.appeals.blocks.blocks(key, MONDAY) == (), "allowed, so nothing blocks"
    finally:
        services.close()


def appealed(node: Node, judge: str) -> tuple[str, str]:
    """Appeal about NUMBER; gives the appeal's id and the place of its receipt."""
    form = {"proof": field(node.proven(NUMBER), "proof"), "words": "不是我打的"}
    place = node.ask("POST", "/appeal/file", form=form).headers["location"]
    (open_,) = node.services.appeals.store.page(AppealQuery("open"))
    assert node.ask("GET", f"/appeals/{open_.id}", who=judge).status_code == 200
    return open_.id, place


def test_whose_number_others_show_is_told_so_and_no_lifting_lets_their_calls_in(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    forged = "calls.domestic-caller-from-abroad"
    write_journal(data, [[(KIND_VERDICT, blocked_by(data, forged, trunk="abroad", kind=1))]])
    node = Node(data)
    bench = Bench(data)
    made = itertools.count()

    def codes() -> tuple[int, int]:
        bench.index.refresh()
        bench.engine.use_lists(bench.index.arrays, bench.engine.tables.roaming)
        spoofed, own = (bench(invite(f"+86{NUMBER}", source=it, call=str(next(made)))) for it in (ABROAD, HOME))
        return status(spoofed), status(own)

    try:
        maker, judge = node.person("wang"), node.person("li")
        for language, words in (("en", "your own calls are not refused"), ("zh", "您自己的呼叫没有被拦截")):
            said = node.proven(NUMBER, headers={"accept-language": language}).text
            assert words in said
            assert ("not put on the allow list" if language == "en" else "不会因此列入放行名单") in said
        id_, place = appealed(node, judge)
        assert "To allow the number would let forged calls in" in node.ask("GET", f"/appeals/{id_}", who=judge).text
        lift = {"outcome": "lifted", "reasons": "本人"}
        refused = node.ask("POST", f"/appeals/{id_}/decision", form=lift, who=judge)
        assert (refused.status_code, "cannot be lifted by allowing it" in refused.text) == (422, True)
        uphold = {"outcome": "upheld", "reasons": "他人冒用"}
        assert node.ask("POST", f"/appeals/{id_}/decision", form=uphold, who=judge).status_code == 303
        assert "stay refused" in node.ask("GET", place).text
        assert codes() == (608, 302)
        # An entry about the number is wrong and goes; a range would need an entry that allows the number, and stays.
        node.clock.advance(3_600_000_000_000)
        entry = node.block(maker)
        wide = node.services.lists.add([draft("1380013*", reason="x", who=maker)], node.now_ms // 1000)[0]
        assert codes() == (608, 608)
        id_, place = appealed(node, judge)
        assert node.ask("POST", f"/appeals/{id_}/decision", form=lift, who=judge).status_code == 422
        node.services.lists.remove(wide, node.now_ms // 1000, who=maker, why="narrowed")
        assert node.ask("POST", f"/appeals/{id_}/decision", form=lift, who=judge).status_code == 303
        assert node.services.lists.matching(entry.key) == []
        assert codes() == (608, 302)
        assert "Those of others that show your number stay refused" in node.ask("GET", place).text
    finally:
        node.services.close()


def test_commands_decide_and_write_labels(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    number, data = "13500135001", node.codes.parent

    def run(*arguments: str) -> str:
        assert cli.run(["appeals", *arguments, "--data", str(data)]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    node.block("wang", number)
    form = {"proof": field(node.proven(number), "proof"), "words": "我的号码"}
    receipt = node.ask("POST", "/appeal/file", form=form).headers["location"].rpartition("/")[2]
    of = node.services.appeals.store.of_receipt(receipt).id
    assert of in run("list", "--state", "open")
    shown = run("show", of)
    assert "135****5001" in shown
    assert number not in shown
    assert "解除 lifted" in run("decide", of, "lifted", "--reasons", "核实")
    assert json.loads(run("show", of, "--json"))["state"] == "lifted"
    assert cli.run(["appeals", "decide", of, "upheld", "--reasons", "x", "--data", str(data)]) == 1
    run("labels")
    file = data / "labels" / "appeals.csv"
    key = node.services.numbering.read(number).key
    labels = read_labels(file, node.services.numbering)
    assert (file.stat().st_mode & 0o777, labels.of_numbers(np.array([key]))[0].tolist()) == (0o600, [0])


@given(st.integers(1, 50), st.integers(1, 3600), st.lists(st.integers(0, 10**12), max_size=200))
def test_a_quota_gives_no_more_than_it_says_and_again_after_the_wait(amount: int, per_s: int, steps: list[int]) -> None:
    quota, now, given_at = Quota(amount, per_s), 0, []
    for step in steps:
        now += step
        if quota.take("a", now) == 0:
            given_at.append(now)
    span = per_s * 1_000_000_000
    assert all(sum(at - span < it <= at for it in given_at) <= 2 * amount for at in given_at)
    while not (wait_s := quota.take("a", now)):
        pass
    assert quota.take("b", now) == 0, "others have their own"
    assert quota.take("a", now + wait_s * 1_000_000_000) == 0


def test_nothing_tells_whether_a_number_is_blocked_before_it_is_proven(node: Node) -> None:
    node.block("wang", "13700137000")
    before = len(node.codes.read_text().splitlines()) if node.codes.exists() else 0
    answers = [node.ask("POST", "/appeal/code", form={"number": number}) for number in ("13700137000", FREE)]
    blind = [re.sub(r'name="ticket" value="[^"]*"', "", it.text) for it in answers]
    assert blind[0] == blind[1]
    assert {it.status_code for it in answers} == {200}
    assert len(node.codes.read_text().splitlines()) == before + 2
    for number in ("110", "+442079460958", "abc", "", "1" * 60):
        assert node.ask("POST", "/appeal/code", form={"number": number}).status_code == 422
    assert node.codes.stat().st_mode & 0o777 == 0o600


def test_a_flood_is_refused_cheaply(node: Node) -> None:
    """Nothing is read or written for what is refused, and others are still served."""
    with node.services.database.read() as connection:
        before = connection.execute(sa.select(sa.func.count()).select_from(tables.appeal_codes)).scalar_one()
    number = "13500135000"
    node.ask("POST", "/appeal/code", form={"number": number})
    answers = [node.ask("POST", "/appeal/why", form={"ticket": "x", "code": "123456"}) for _ in range(70)]
    assert {it.status_code for it in answers} == {422, 429}
    late = answers[-1]
    assert int(late.headers["retry-after"]) >= 1
    assert node.ask("GET", "/appeal").status_code == 429
    assert node.ask("GET", "/appeal", address="203.0.113.6").status_code == 200
    for _ in range(2):
        assert node.ask("POST", "/appeal/code", form={"number": number}, address="203.0.113.7").status_code == 200
    fourth = node.ask("POST", "/appeal/code", form={"number": number}, address="203.0.113.8")
    assert (fourth.status_code, int(fourth.headers["retry-after"]) > 600) == (429, True)
    for n in range(70):
        node.ask("POST", "/appeal/code", form={"number": f"139001390{n:02d}"}, address=f"2001:db8:{n}::1")
    everybody = node.ask("POST", "/appeal/code", form={"number": FREE}, address="203.0.113.9")
    assert everybody.status_code == 429
    metrics = node.services.reporter.metrics
    assert all(metrics.value(REFUSED, limit=it) for it in ("address", "codes-of-number", "codes"))
    with node.services.database.read() as connection:
        assert (
            connection.execute(sa.select(sa.func.count()).select_from(tables.appeal_codes)).scalar_one() <= before + 62
        )
    assert (
        node.ask("POST", "/appeal/file", content=b"words=" + b"x" * 50_000, address="203.0.113.10").status_code == 413
    )


def test_the_public_api_goes_the_same_way(node: Node) -> None:
    number = "13600136000"
    node.block("wang", number)

    def call(method: str, path: str, body: Any = None) -> httpx.Response:  # noqa: ANN401
        return node.ask(method, path, json=body, headers={"accept": "application/json"})

    sent = call("POST", "/v1/appeals/codes", {"number": number, "language": "en"})
    assert sent.status_code == 202
    told = call("POST", "/v1/appeals/proofs", {"ticket": sent.json()["ticket"], "code": node.code()})
    assert (told.json()["number"], len(told.json()["blocks"])) == ("136****6000", 1)
    filed = call("POST", "/v1/appeals", {"proof": told.json()["proof"], "words": "误拦"})
    assert (filed.status_code, filed.json()["state"]) == (201, "open")
    assert call("GET", f"/v1/appeals/receipts/{filed.json()['receipt']}").json() == filed.json()
    wrongs = [
        call("POST", "/v1/appeals/codes", {"number": "110"}),
        call("POST", "/v1/appeals/proofs", {"ticket": "x", "code": "1"}),
        call("POST", "/v1/appeals", {"proof": "x", "words": "y"}),
        call("GET", "/v1/appeals/receipts/nothing"),
        call("POST", "/v1/appeals", {"proof": 7}),
    ]
    assert [it.status_code for it in wrongs] == [422, 403, 403, 404, 400]
    assert {it.headers["content-type"] for it in wrongs} == {"application/problem+json"}
