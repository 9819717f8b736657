"""The trail and its fellow tables as people meet them: filters, what changed, exports."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access_site import AccessSite, sign_in
from hutong.kernel.access import trail
from hutong.kernel.access.pages.trail import changes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def site(data_folder: Path) -> Iterator[AccessSite]:
    site = AccessSite(data_folder)
    yield site
    site.database.close()


def test_the_trail_is_filtered_sorted_and_shows_what_changed(site: AccessSite) -> None:
    site.person("ann", "auditor")
    ann = sign_in(site, "ann")
    for n in range(60):
        who = "bob" if n % 2 else "eve"
        before, after = {"stage": "warn", "same": 1}, {"stage": "block", "same": 1}
        site.trail.record(who, "192.0.2.1", "rules.promote", f"rule-{n:02}", before, after, "tested", now_ms=n * 1000)
    page = ann.get("/trail?who=bob&target=rule-03").text
    assert page.count("<tr>") == 2
    assert "<del>warn</del> <ins>block</ins>" in page
    assert "<dt>same</dt>" not in page
    assert "moved a rule to another stage" in page
    assert "Rows 1–50 of 61" in ann.get("/trail").text
    assert "rule-00" in ann.get("/trail?sort=time").text
    assert "rule-00" not in ann.get("/trail?since=1970-01-01T08:01").text
    assert "No row fits the filters" in ann.get("/trail?deed=people").text
    assert ann.get("/trail?page=99999").text.count("<tr>") == 12
    assert "Rows 1–50" in ann.get("/trail?page=%00&size=x&sort=;&since=yesterday").text


def test_a_text_is_looked_for_in_the_latest_lines_and_the_page_says_so(
    site: AccessSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail.Trail.reach, "__defaults__", (10,))
    site.person("ann", "auditor")
    ann = sign_in(site, "ann")
    for n in range(100):
        site.trail.record("bob", "192.0.2.1", "rules.promote", f"rule-{n:03}", now_ms=site.now_ms + n)
    page = ann.get("/trail?text=rule").text
    assert page.count("<tr>") == 11
    assert re.search(r"The earliest is of <time [^>]*>2027-01-15 16:00</time>", page)
    assert "rule-089" not in page
    for path in ("/trail?text=rule&since=2020-01-01T00:00&size=100", "/trail?who=bob&size=100"):
        page = ann.get(path).text
        assert page.count("<tr>") == 101, path
        assert "Looked through" not in page
    assert "Rows 1–50" in ann.get("/trail?text=rule&since=2020-01-01T00:00").text
    assert "rule-000" in ann.get("/trail?text=rule&format=csv").text


def test_taking_the_trail_away_is_recorded_and_harmless(site: AccessSite) -> None:
    site.person("ann", "auditor")
    ann = sign_in(site, "ann")
    site.trail.record("eve", "192.0.2.1", "lists.add", "=cmd()", None, {"a": "b"}, "@x", now_ms=site.now_ms)
    reply = ann.get("/trail?who=eve&format=csv")
    assert reply.headers["content-disposition"] == 'attachment; filename="trail.csv"'
    assert reply.content.startswith(b"\xef\xbb\xbf")
    lines = reply.content.decode("utf-8-sig").splitlines()
    assert lines[0] == "No.,Time,Account,Address,Deed,Target,Before,After,Purpose"
    assert lines[1].endswith(""",eve,192.0.2.1,lists.add,'=cmd(),,"{""a"":""b""}",'@x""")
    latest = site.trail.page(limit=1)[0]
    assert (latest.who, latest.deed, latest.target, latest.after) == ("ann", "tables.export", "trail", {"who": "eve"})


@pytest.mark.parametrize("path", ["/people", "/tokens"])
def test_other_tables_are_exported_by_those_who_may(site: AccessSite, path: str) -> None:
    for name, role in (("ann", "auditor"), ("root", "administrator")):
        site.person(name, role)  # type: ignore[arg-type]
    ann, root = sign_in(site, "ann"), sign_in(site, "root")
    assert ann.get(f"{path}?format=csv").headers["content-type"].startswith("text/csv")
    latest = site.trail.page(limit=1)[0]
    assert (latest.who, latest.deed, latest.target) == ("ann", "tables.export", path[1:])
    assert root.get(f"{path}?format=csv").status_code == 403, "lacks tables.export"
    assert "format=csv" not in root.get(path).text


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(values, values)
def test_any_two_values_can_be_compared(before: object, after: object) -> None:
    found = changes(before, after)
    assert all(it.before != it.after for it in found if it.before is not None and it.after is not None) or found
    if before == after:
        assert found == []
    elif before is not None and after is not None and not isinstance(before, dict) and not isinstance(after, dict):
        assert [it.name for it in found] == [""]
