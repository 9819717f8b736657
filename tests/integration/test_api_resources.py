"""Verdicts, lists, rules and windows under /v1: what is told, what is masked, what the trail knows of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from api_servers import ApiServer
from e2e.processes import hutong
from engines import NEIGHBOUR

if TYPE_CHECKING:
    import httpx
    from nodes import ScreenNode

    from hutong.kernel.access.permissions import Role

pytestmark = pytest.mark.enable_socket

PROBLEM = "application/problem+json"
FORGED, CALLEE = "4008123456", "13912345678"
UNMASK = {"unmask": "true"}


def says(purpose: str) -> dict[str, str]:
    """The header that says what for."""
    return {"Hutong-Purpose": quote(purpose)}


def place(client: httpx.Client, name: str, caller: str = FORGED, callee: str = CALLEE) -> dict[str, Any]:
    """Screen a call."""
    body = {"call_id": name, "caller": caller, "callee": callee, "source": NEIGHBOUR}
    answer = client.post("/v1/calls/screen", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def good(answer: httpx.Response, status: int = 200) -> Any:  # noqa: ANN401  # JSON
    assert answer.status_code == status, answer.text
    return answer.json()


def bad(answer: httpx.Response, status: int, says: str = "") -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), answer.text
    assert says in answer.json().get("detail", "")


class TestVerdicts:
    def test_the_newest_come_first_and_numbers_are_masked(self, client: httpx.Client) -> None:
        seqs = [place(client, f"v{n}")["seq"] for n in range(3)]
        page = good(client.get("/v1/verdicts", params={"limit": 3}))
        assert [it["seq"] for it in page["verdicts"]] == seqs[::-1]
        first = page["verdicts"][0]
        assert (first["caller"], first["callee"]) == (FORGED, "139****5678"), "a service's number points to no person"
        assert CALLEE not in str(page)
        assert first["rules"] == [{"id": "calls.shared-cost-as-caller", "decided": True}]

    def test_a_cursor_goes_through_all_without_gap_or_repetition(self, client: httpx.Client) -> None:
        for n in range(25):
            place(client, f"page{n}")
        seen: list[int] = []
        cursor: str | None = ""
        while cursor is not None:
            page = good(client.get("/v1/verdicts", params={"limit": 7, "cursor": cursor}))
            seen += [it["seq"] for it in page["verdicts"]]
            cursor = page["cursor"]
        assert seen == list(range(max(seen), 0, -1))

    def test_filters(self, client: httpx.Client) -> None:
        one = place(client, "filter-me", "13811112222", "13811115555")
        for params, wanted in (
            ({"call_id": "filter-me"}, True),
            ({"call_id": "filter-me", "action": "block"}, False),
            ({"call_id": "filter-me", "rule": "calls.shared-cost-as-caller"}, False),
            ({"action": one["action"], "trunk": "neighbour"}, True),
            ({"trunk": "home"}, False),
            ({"rule": "calls.shared-cost-as-caller"}, False),
            ({"since": "2020-01-01T00:00:00Z", "until": "2099-01-01T00:00:00+08:00"}, True),
            ({"until": "2020-01-01T00:00:00Z"}, False),
            ({"since": "2099-01-01T00:00:00Z"}, False),
        ):
            found = good(client.get("/v1/verdicts", params={**params, "limit": 500}))["verdicts"]
            assert (one["seq"] in [it["seq"] for it in found]) == wanted, params

    def test_a_calls_verdicts_are_narrowed_like_all_others(self, client: httpx.Client) -> None:
        one = place(client, "narrow-me")
        for params, wanted in (
            ({"rule": "calls.shared-cost-as-caller", "action": one["action"]}, [one["seq"]]),
            ({"rule": "calls.anonymous-from-abroad"}, []),
        ):
            page = good(client.get("/v1/verdicts", params={"call_id": "narrow-me", **params}))
            assert [it["seq"] for it in page["verdicts"]] == wanted
        for wrong in ({"since": "yesterday"}, {"until": "tomorrow"}):
            bad(client.get("/v1/verdicts", params={"call_id": "nobody's", **wrong}), 422)

    def test_a_number_is_searched_in_the_body(self, client: httpx.Client) -> None:
        one = place(client, "by number", "13877776666", "13811113333")
        for number, role, wanted in (
            ("+86 138 7777 6666", "any", True),
            ("13877776666", "caller", True),
            ("13877776666", "callee", False),
            ("13811113333", "callee", True),
            ("13899999999", "any", False),
        ):
            page = good(client.post("/v1/verdicts/search", json={"number": number, "role": role}))
            assert (one["seq"] in [it["seq"] for it in page["verdicts"]]) == wanted
        assert client.get("/v1/verdicts", params={"number": "13877776666"}).status_code == 200
        bad(client.post("/v1/verdicts/search", json={"number": "1", "rolle": "any"}), 400)

    @pytest.mark.parametrize(
        "params",
        [{"since": "yesterday"}, {"until": "2026-01-01T00:00:00"}, {"cursor": "x"}, {"cursor": "1.x"}],
    )
    def test_what_cannot_be_read_is_told(self, client: httpx.Client, params: dict[str, str]) -> None:
        bad(client.get("/v1/verdicts", params=params), 422)

    @pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 501}, {"limit": "x"}, {"action": "refuse"}])
    def test_what_is_out_of_bounds_is_told(self, client: httpx.Client, params: dict[str, Any]) -> None:
        bad(client.get("/v1/verdicts", params=params), 400)

    def test_the_story_is_masked(self, client: httpx.Client) -> None:
        seq = place(client, "story")["seq"]
        older = seq
        again = place(client, "story", "13811114444")["seq"]
        story = good(client.get(f"/v1/verdicts/{seq}"))
        assert story["masked"] is True
        assert (story["caller"], story["callee"]) == (FORGED, "139****5678")
        assert CALLEE not in str(story)
        assert story["rules"][0]["because"]["en"]
        assert good(client.get(f"/v1/verdicts/{again}"))["earlier"] == [older]
        bad(client.get("/v1/verdicts/999999999"), 404)
        bad(client.get("/v1/verdicts/0"), 400)

    def test_whole_numbers_are_shown_once_the_trail_knows_what_for(
        self, server: ApiServer, client: httpx.Client
    ) -> None:
        seq = place(client, "whole")["seq"]
        before = server.trail.count()
        bad(client.get(f"/v1/verdicts/{seq}", params=UNMASK), 422, "Hutong-Purpose")
        bad(client.get(f"/v1/verdicts/{seq}", params={**UNMASK, "purpose": "in the address"}), 422, "Hutong-Purpose")
        for wrong in ("", "%20%09", "%E4%B8", "%FF", "%E4%B8%BA" * 501):
            answer = client.get(f"/v1/verdicts/{seq}", params=UNMASK, headers={"Hutong-Purpose": wrong})
            bad(answer, 400 if len(wrong) > 4500 else 422, "" if len(wrong) > 4500 else "Hutong-Purpose")
        too_long = client.get(f"/v1/verdicts/{seq}", params=UNMASK, headers={"Hutong-Purpose": "x" * 501})
        bad(too_long, 422, "500 characters")
        raw = client.get(f"/v1/verdicts/{seq}", params=UNMASK, headers=[(b"Hutong-Purpose", "张三".encode())])
        bad(raw, 400)
        assert server.trail.count() == before
        answer = client.get(f"/v1/verdicts/{seq}", params=UNMASK, headers=says("张三的申诉, case 12"))
        story = good(answer)
        assert (story["caller"], story["callee"], story["masked"]) == (FORGED, CALLEE, False)
        deed = server.deeds()[0]
        assert (deed.who, deed.deed, deed.target, deed.purpose) == (
            "operator",
            "numbers.unmask",
            f"verdict {seq}",
            "张三的申诉, case 12",
        )
        keys = {name: server.refs.key(ref) for name, ref in deed.after.items()}
        assert keys == {
            name: server.numbering.read(text).key for name, text in (("caller", FORGED), ("callee", CALLEE))
        }
        assert deed.address == "127.0.0.1"

    def test_who_may_not_unmask_does_not(self, server: ApiServer, client: httpx.Client) -> None:
        seq = place(client, "not whole")["seq"]
        with server.client("auditor") as auditor:
            bad(auditor.get(f"/v1/verdicts/{seq}", params=UNMASK, headers=says("x")), 403, "numbers.unmask")
            assert good(auditor.get(f"/v1/verdicts/{seq}"))["masked"] is True

    def test_nothing_is_shown_when_the_trail_cannot_be_written(self, node: ScreenNode) -> None:
        with ApiServer(node.data / "broken") as broken, broken.client() as client:
            (broken.data / "run").symlink_to(node.data / "run")
            (broken.data / "journal").symlink_to(node.data / "journal")
            (broken.data / "rulesets").symlink_to(node.data / "rulesets")
            seq = place(client, "unseen")["seq"]
            entry = good(client.post("/v1/lists", json={"target": CALLEE, "reason": "r"}), 201)["id"]
            with broken.database.write() as connection:
                connection.exec_driver_sql("ALTER TABLE trail RENAME TO gone")
            for path in (f"/v1/verdicts/{seq}", "/v1/lists", f"/v1/lists/{entry}"):
                answer = client.get(path, params=UNMASK, headers=says("x"))
                bad(answer, 503, "could not be recorded")
                assert CALLEE not in answer.text
            for answer in (
                client.post("/v1/lists", json={"target": "13800001111", "reason": "r"}),
                client.delete(f"/v1/lists/{entry}", headers=says("w")),
                client.post("/v1/lists/import", content=b"target,reason\n13800002222,r\n"),
                client.put("/v1/rules/calls.many-callees/stage", json={"to": "observe", "why": "w"}),
            ):
                bad(answer, 503)
            assert broken.lists.count() == 1
            assert not (broken.data / "stages.jsonl").exists()


class TestLists:
    def test_an_entry_comes_and_goes_on_record(self, server: ApiServer, client: httpx.Client) -> None:
        entry = good(
            client.post(
                "/v1/lists",
                json={
                    "target": "137 0000 5555",
                    "reason": "complaint 9",
                    "source": "12321",
                    "expires": "2099-03-01T00:00:00+08:00",
                    "respond": 607,
                },
            ),
            201,
        )
        assert (entry["list"], entry["kind"], entry["role"], entry["who"]) == ("block", "number", "caller", "operator")
        assert (entry["target"], entry["masked"], entry["expires"]) == ("137****5555", True, "2099-02-28T16:00:00Z")
        deed = server.deeds()[0]
        assert (deed.who, deed.deed, deed.purpose, deed.before) == ("operator", "lists.add", "complaint 9", None)
        assert (deed.after["respond"], deed.after["target"]) == (607, "137****5555")
        assert server.refs.key(deed.target) is not None
        again = good(client.post("/v1/lists", json={"target": "13700005555", "reason": "complaint 10"}), 201)
        assert server.deeds()[0].before["reason"] == "complaint 9"
        assert good(client.get(f"/v1/lists/{entry['id']}"))["removed"] is not None
        gone = good(client.delete(f"/v1/lists/{again['id']}", headers=says("objection upheld, 张三")))
        assert gone["removed"]
        deed = server.deeds()[0]
        assert (deed.deed, deed.purpose, deed.before["id"]) == ("lists.remove", "objection upheld, 张三", again["id"])
        bad(client.delete(f"/v1/lists/{again['id']}", headers=says("again")), 409)
        bad(client.delete("/v1/lists/2000000000", headers=says("x")), 404)
        bad(client.delete(f"/v1/lists/{again['id']}"), 400, "")
        bad(client.delete(f"/v1/lists/{again['id']}", headers=says("  ")), 422, "Hutong-Purpose")

    def test_whole_numbers_for_a_purpose(self, server: ApiServer, client: httpx.Client) -> None:
        entry = good(client.post("/v1/lists", json={"target": "13700006666", "reason": "of 13700006666"}), 201)
        assert "13700006666" not in str(good(client.get(f"/v1/lists/{entry['id']}")))
        whole = good(client.get(f"/v1/lists/{entry['id']}", params=UNMASK, headers=says("case 3")))
        assert (whole["target"], whole["reason"]) == ("13700006666", "of 13700006666")
        assert (server.deeds()[0].deed, server.deeds()[0].purpose) == ("numbers.unmask", "case 3")
        page = good(client.get("/v1/lists", params={**UNMASK, "limit": 1}, headers=says("case 4")))
        assert page["entries"][0]["target"] == "13700006666"
        assert server.deeds()[0].after == {"entries": [entry["id"]]}

    @pytest.mark.parametrize(
        ("body", "status", "says"),
        [
            ({"target": "no number", "reason": "r"}, 422, "target"),
            ({"target": "110", "role": "callee", "reason": "r"}, 422, "must always be reached"),
            ({"target": "13700001111", "reason": " "}, 422, "reason"),
            ({"target": "13700001111", "reason": "r", "expires": "tomorrow"}, 422, "expires"),
            ({"target": "13700001111", "reason": "r", "expires": "2020-01-01T00:00:00Z"}, 422, "already over"),
            ({"target": "13700001111", "reason": "r", "respond": 404}, 400, ""),
            ({"target": "13700001111"}, 400, ""),
            ({"target": "13700001111", "reason": "r", "who": "somebody else"}, 400, ""),
        ],
    )
    def test_a_wrong_entry_is_told_what_is_wrong(
        self, client: httpx.Client, body: dict[str, Any], status: int, says: str
    ) -> None:
        bad(client.post("/v1/lists", json=body), status, says)

    def test_pages_and_filters(self, server: ApiServer, client: httpx.Client) -> None:
        made = [
            good(client.post("/v1/lists", json={"target": f"+44700090{n:04d}", "reason": "r", "list": "allow"}), 201)[
                "id"
            ]
            for n in range(12)
        ]
        seen: list[int] = []
        cursor: str | None = "0"
        while cursor is not None:
            page = good(client.get("/v1/lists", params={"limit": 5, "cursor": cursor, "list": "allow"}))
            assert all(it["list"] == "allow" for it in page["entries"])
            seen += [it["id"] for it in page["entries"]]
            cursor = page["cursor"]
        assert seen == sorted(seen, reverse=True)
        assert set(made) <= set(seen)
        assert len(seen) == len(set(seen))
        assert good(client.get("/v1/lists", params={"who": "nobody"}))["entries"] == []
        assert server.lists.count() >= len(made)

    def test_an_import_tells_each_wrong_row(self, server: ApiServer, client: httpx.Client) -> None:
        rows = ["target,reason,who,list,role"]
        rows += [f"1360000{n:04d},import,Mallory,block,caller" for n in range(30)]
        rows[3] = "13600001111 or so,import,Mallory,block,caller"
        rows[5] = "110,import,Mallory,block,callee"
        told = good(client.post("/v1/lists/import", content="\n".join(rows).encode()))
        assert (told["rows"], told["applied"], told["bad"], told["stopped"]) == (30, 28, 2, 0)
        assert [(it["line"], it["column"]) for it in told["errors"]] == [(4, "target"), (6, "target")]
        assert "136****1111 or so" in told["errors"][0]["detail"]
        newest = good(client.get("/v1/lists", params={"limit": 1}))["entries"][0]
        assert newest["who"] == "operator", "whatever the file says"
        assert [it.deed for it in server.deeds()[:2]] == ["lists.import_done", "lists.import"]
        assert server.deeds()[0].after == {"applied": 28, "bad": 2}

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"", ""),
            (b"target\n13600001111\n", "reason"),
            (b"target,reason,colour\n1,2,3\n", "colour"),
            (b"\xff\xff\xff", "UTF-8"),
        ],
    )
    def test_a_file_that_is_none_applies_nothing(
        self, server: ApiServer, client: httpx.Client, content: bytes, says: str
    ) -> None:
        before = server.lists.count()
        bad(client.post("/v1/lists/import", content=content), 422, says)
        assert server.lists.count() == before

    def test_a_file_of_mostly_wrong_rows_stops(self, client: httpx.Client) -> None:
        told = good(client.post("/v1/lists/import", content=b"target,reason\n" + b"junk,r\n" * 50))
        assert (told["applied"], told["bad"]) == (0, 50)
        assert told["stopped"] > 0

    def test_gb18030_and_quoted_lines(self, client: httpx.Client) -> None:
        content = 'target,reason\n13600009999,"两行\n原因"\njunk,x\n'.encode("gb18030")
        told = good(client.post("/v1/lists/import", content=content))
        assert (told["applied"], [it["line"] for it in told["errors"]]) == (1, [4])


class TestRules:
    def test_they_are_told_and_demoted_on_record(
        self, server: ApiServer, client: httpx.Client, node: ScreenNode
    ) -> None:
        rule_id = "calls.many-callees"
        every = good(client.get("/v1/rules"))
        assert len(every["digest"]) == 16
        one = good(client.get(f"/v1/rules/{rule_id}"))
        assert one in every["rules"]
        assert (one["stage"], set(one["title"])) == ("warn", {"zh", "en"})
        moved = good(client.put(f"/v1/rules/{rule_id}/stage", json={"to": "observe", "why": "two complaints"}))
        assert moved["stage"] == "observe"
        deed = server.deeds()[0]
        said = (deed.who, deed.deed, deed.target, deed.purpose)
        assert said == ("operator", "rules.demote", rule_id, "two complaints")
        assert (deed.before["stage"], deed.after["stage"]) == ("warn", "observe")
        assert "observe *" in hutong("rules", "list", "--data", str(node.data), "--lang", "en")
        assert good(client.get(f"/v1/rules/{rule_id}"))["stage"] == "observe"
        bad(client.put(f"/v1/rules/{rule_id}/stage", json={"to": "observe", "why": "again"}), 409)
        bad(client.put(f"/v1/rules/{rule_id}/stage", json={"to": "warn", "why": "up"}), 422, "two persons")

    def test_what_cannot_be(self, client: httpx.Client) -> None:
        bad(client.get("/v1/rules/calls.nothing"), 404)
        bad(client.put("/v1/rules/calls.nothing/stage", json={"to": "warn", "why": "w"}), 404)
        bad(client.put("/v1/rules/calls.callee-flooded/stage", json={"to": "block", "why": "w"}), 400)
        bad(client.put("/v1/rules/calls.callee-flooded/stage", json={"to": "pass", "why": "w"}), 400)

    @pytest.mark.parametrize("role", ["viewer", "analyst", "auditor", "administrator"])
    def test_only_an_operator_demotes(self, server: ApiServer, role: Role) -> None:
        with server.client(role) as other:
            bad(other.put("/v1/rules/calls.callee-flooded/stage", json={"to": "observe", "why": "w"}), 403)


class TestWindows:
    def test_what_a_number_did_is_told(self, client: httpx.Client) -> None:
        caller = "13866660001"
        for n in range(7):
            place(client, f"w{n}", caller, f"1376666{n:04d}")
        told = good(client.post("/v1/windows", json={"number": f"+86{caller}"}))
        assert (told["number"], told["tracked"]) == ("138****0001", True)
        assert told["values"]["attempts_10m"] == 7
        assert 4 <= told["values"]["distinct_callees_10m"] <= 7  # an estimate: callees may share a bin

    def test_a_number_that_nobody_knows(self, client: httpx.Client) -> None:
        told = good(client.post("/v1/windows", json={"number": "13800009999"}))
        assert (told["tracked"], told["values"]) == (False, {})
        bad(client.post("/v1/windows", json={"number": "alice"}), 422)
        bad(client.post("/v1/windows", json={"number": ""}), 400)

    def test_without_a_screening_process_there_are_none(self, server: ApiServer) -> None:
        with ApiServer(server.data / "empty") as empty, empty.client() as client:
            bad(client.post("/v1/windows", json={"number": "13800009999"}), 503)


class TestKept:
    def test_nobody_on_the_way_keeps_an_answer(self, server: ApiServer, client: httpx.Client) -> None:
        seq = place(client, "not kept")["seq"]
        entry = good(client.post("/v1/lists", json={"target": "13700007777", "reason": "r"}), 201)["id"]
        call = {"call_id": "kept", "caller": FORGED, "callee": CALLEE, "source": NEIGHBOUR}
        for answer in (
            client.post("/v1/calls/screen", json=call),
            client.get("/v1/verdicts"),
            client.get(f"/v1/verdicts/{seq}", params=UNMASK, headers=says("case 5")),
            client.post("/v1/verdicts/search", json={"number": CALLEE}),
            client.get("/v1/lists"),
            client.get(f"/v1/lists/{entry}", params=UNMASK, headers=says("case 5")),
            client.post("/v1/windows", json={"number": CALLEE}),
            client.get("/v1/rules"),
            client.get("/v1/nothing"),
            client.get("/v1/verdicts/999999999"),
        ):
            assert answer.headers.get_list("cache-control") == ["no-store"], answer.request.url
        with server.client(None) as anybody:
            assert anybody.get("/v1/lists").headers["cache-control"] == "no-store"


class TestDocument:
    def test_the_purpose_is_a_header_and_never_part_of_an_address(self, server: ApiServer) -> None:
        found = {
            (operation["operationId"], parameter["name"], parameter["in"], parameter["required"])
            for path in server.api.document["paths"].values()
            for operation in path.values()
            for parameter in operation.get("parameters", [])
            if parameter["name"].lower() in {"purpose", "why", "hutong-purpose"}
        }
        assert found == {
            ("listAlerts", "Hutong-Purpose", "header", False),
            ("readVerdict", "Hutong-Purpose", "header", False),
            ("listEntries", "Hutong-Purpose", "header", False),
            ("readEntry", "Hutong-Purpose", "header", False),
            ("removeEntry", "Hutong-Purpose", "header", True),
            ("readCase", "Hutong-Purpose", "header", False),
            ("exportRegister", "Hutong-Purpose", "header", False),
            ("readOrder", "Hutong-Purpose", "header", False),
            ("packOrder", "Hutong-Purpose", "header", False),
            ("makePack", "Hutong-Purpose", "header", False),
            ("explainColour", "Hutong-Purpose", "header", False),
            ("issuePaperCode", "Hutong-Purpose", "header", False),
            ("readFamily", "Hutong-Purpose", "header", False),
            ("revokeCodes", "Hutong-Purpose", "header", False),
            ("runLookup", "Hutong-Purpose", "header", False),
            ("readPersonResults", "Hutong-Purpose", "header", False),
        }

    def test_it_and_its_page_are_open(self, server: ApiServer) -> None:
        with server.client(None) as anybody:
            document = good(anybody.get("/v1/openapi.json"))
            assert document["openapi"].startswith("3.1")
            for language, word in (("zh", "程序接口"), ("en", "HTTP API")):
                page = anybody.get("/v1/docs", params={"lang": language})
                assert page.status_code == 200
                assert word in page.text
                for path in document["paths"]:
                    assert path in page.text
                assert "<script" not in page.text
                assert not re.search(r'(src|href)="(?!/|#|\?)', page.text), "nothing comes from elsewhere"

    def test_every_operation_says_who_may_and_what_may_come_back(self, server: ApiServer) -> None:
        for path in server.api.document["paths"].values():
            for operation in path.values():
                assert operation["summary"]
                assert "Needs the permission" in operation["description"]
                assert {"401", "403", "429"} <= set(operation["responses"])
                assert all(it["description"] for it in operation["responses"].values())
