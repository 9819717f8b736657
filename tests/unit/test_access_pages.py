"""Pages of access as people meet them: signing in and out, passwords, tokens, accounts, the trail."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from access_site import PASSWORD, AccessSite, sign_in
from hutong.kernel.access.errors import REASONS, OidcRefused
from hutong.kernel.access.oidc_identity import Identity, identity_of
from hutong.kernel.access.permissions import ROLE_TITLES, ROLES
from hutong.kernel.clock import ManualClock
from hutong.kernel.metrics import RECORDS_LOST
from hutong.kernel.web.guard import permission_of
from hutong.kernel.web.texts import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PAGES = ("/account", "/account/password", "/tokens", "/people", "/people/ann", "/trail")


class MemoryProvider:
    """An OpenID provider that vouches for whoever brings the right state."""

    def __init__(self) -> None:
        self.identity = Identity("kim", "Kim", "analyst", "https://id.example|7")
        self.refusal: OidcRefused | None = None

    def begin(self, now_ms: int) -> tuple[str, str]:
        return "https://id.example/authorize?state=s1", f"s1-{now_ms}"

    def finish(self, pending: str, params: Mapping[str, str], now_ms: int) -> Identity:
        if self.refusal:
            raise self.refusal
        if pending != f"{params.get('state')}-{now_ms}":
            raise OidcRefused("provider", "Not the answer to what was asked.")
        return self.identity


@pytest.fixture
def provider() -> MemoryProvider:
    return MemoryProvider()


@pytest.fixture
def site(data_folder: Path, provider: MemoryProvider) -> Iterator[AccessSite]:
    site = AccessSite(data_folder, provider=provider)
    yield site
    site.database.close()


def deeds(site: AccessSite) -> list[tuple[str, str, str]]:
    """Who, deed, target; oldest first."""
    return [(it.who, it.deed, it.target) for it in reversed(site.trail.page())]


def secret_of(text: str) -> str:
    found = re.search(r'<code class="secret"[^>]*>([^<]+)</code>', text)
    assert found
    return found[1]


# --- signing in and out ---


def test_signing_in_leads_to_where_one_wanted_to_go_and_is_recorded(site: AccessSite) -> None:
    site.person("ann", "auditor")
    visitor = site.visitor()
    form = visitor.get("/signin?next=%2Ftrail%3Fwho%3Dbob").text
    assert '<input type="hidden" name="next" value="/trail?who=bob">' in form
    reply = visitor.post("/signin", {"name": " ANN ", "password": PASSWORD, "next": "/trail?who=bob"})
    assert (reply.status_code, reply.headers["location"]) == (303, "/trail?who=bob")
    assert "HttpOnly" in reply.headers["set-cookie"]
    assert visitor.get("/trail").status_code == 200
    assert visitor.get("/signin?next=/tokens").headers["location"] == "/tokens"
    assert deeds(site) == [("ann", "session.start", "")]


@pytest.mark.parametrize("place", ["//evil.example", "/\\evil.example", "http:evil.example", "https://evil.example"])
def test_signing_in_leads_nowhere_else(site: AccessSite, place: str) -> None:
    site.person("ann", "auditor")
    reply = site.visitor().post("/signin", {"name": "ann", "password": PASSWORD, "next": place})
    assert reply.headers["location"] == "/"
    assert 'name="next" value="/"' in site.visitor().client.get("/signin", params={"next": place}).text


def test_a_refusal_says_the_same_whatever_was_wrong(site: AccessSite) -> None:
    site.person("ann", "auditor")
    site.person("bob", "auditor")
    site.people.set_disabled("bob", disabled=True, now_ms=site.now_ms)
    said = set()
    for name, password in (("ann", "wrong"), ("nobody", "wrong"), ("bob", PASSWORD)):
        reply = site.visitor().post("/signin", {"name": name, "password": password, "next": "/trail"})
        assert reply.status_code == 422
        assert "set-cookie" not in reply.headers
        assert PASSWORD not in reply.text
        said.add(reply.text.replace(f'value="{name}"', ""))
    assert len(said) == 1
    assert "or the account is disabled" in said.pop()
    assert deeds(site) == [(who, "session.refused", "") for who in ("ann", "", "bob")]


def test_many_failures_make_one_wait_and_say_how_long(site: AccessSite) -> None:
    site.person("ann", "auditor")
    replies = [site.visitor().post("/signin", {"name": "ann", "password": "wrong"}) for _ in range(6)]
    assert [reply.status_code for reply in replies] == [422] * 5 + [429]
    assert replies[-1].headers["retry-after"] == "1"
    assert "Try again in 1 s." in replies[-1].text
    assert len(deeds(site)) == 5, "attempts that were not looked at do not fill the trail"
    assert isinstance(site.clock, ManualClock)
    site.clock.advance(2_000_000_000)
    assert site.visitor().post("/signin", {"name": "ann", "password": PASSWORD}).status_code == 303


def test_a_session_that_was_planted_before_is_not_the_one_after(site: AccessSite) -> None:
    site.person("ann", "auditor")
    site.person("eve", "viewer")
    for planted in ("attacker-chosen", site.cookie("eve")):
        visitor = site.visitor(planted)
        visitor.post("/signout")
        visitor = site.visitor(planted)
        reply = visitor.client.post("/signin", data={"name": "ann", "password": PASSWORD})
        assert reply.status_code == 303
        fresh = reply.cookies[site.guard.cookie_name]
        assert fresh != planted
        assert site.visitor(planted).get("/account").status_code == 303
        assert site.visitor(fresh).get("/account").status_code == 200


def test_signing_in_again_ends_the_session_before(site: AccessSite) -> None:
    site.person("ann", "auditor")
    before = site.cookie("ann")
    reply = site.visitor(before).post("/signin", {"name": "ann", "password": PASSWORD})
    assert reply.status_code == 303
    assert site.sessions.viewer(before, "x", site.now_ms + 2000) is None


def test_signing_out_ends_the_session_and_takes_the_cookie(site: AccessSite) -> None:
    site.person("ann", "auditor")
    visitor = sign_in(site, "ann")
    cookie = visitor.cookie
    reply = visitor.post("/signout")
    assert reply.headers["location"] == "/signin?done=out"
    assert "Max-Age=0" in reply.headers["set-cookie"]
    assert site.visitor(cookie).get("/account").status_code == 303
    assert "You have signed out" in site.visitor().get("/signin?done=out").text
    assert [deed for _, deed, _ in deeds(site)] == ["session.start", "session.end"]


@pytest.mark.parametrize("fails", ["trail", "sessions"])
def test_signing_out_ends_the_session_whatever_the_records_do(site: AccessSite, fails: str) -> None:
    site.person("ann", "auditor")
    visitor = sign_in(site, "ann")
    cookie = visitor.cookie
    with site.database.write() as connection:
        deed = "INSERT" if fails == "trail" else "DELETE"
        connection.exec_driver_sql(
            f"CREATE TRIGGER full BEFORE {deed} ON {fails} BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
    reply = visitor.post("/signout")
    assert (reply.status_code, reply.headers["location"]) == (303, "/signin?done=out")
    assert "Max-Age=0" in reply.headers["set-cookie"]
    assert isinstance(site.clock, ManualClock)
    site.clock.advance(2_000_000_000)
    assert site.visitor(cookie).get("/account").status_code == 303, "not even for who kept the cookie"
    assert site.reporter.metrics.value(RECORDS_LOST, deed="session.end") == 1
    assert "records failed" in site.log.getvalue()


def test_records_that_cannot_be_written_can_still_be_read(site: AccessSite) -> None:
    """Noting that a session is used must not take the pages away while the disk is full, signing out least of all."""
    site.person("ann", "auditor")
    visitor = sign_in(site, "ann")
    assert isinstance(site.clock, ManualClock)
    site.clock.advance(120_000_000_000)
    with site.database.write() as connection:
        connection.exec_driver_sql("CREATE TRIGGER full BEFORE UPDATE ON sessions BEGIN SELECT no_such_function(); END")
    assert visitor.get("/trail").status_code == 200
    assert visitor.post("/signout").status_code == 303


def test_who_comes_back_after_the_end_is_told_so(site: AccessSite) -> None:
    site.person("ann", "auditor")
    visitor = sign_in(site, "ann")
    assert isinstance(site.clock, ManualClock)
    site.clock.advance(3_601_000_000_000)
    assert visitor.get("/trail").headers["location"] == "/signin?next=%2Ftrail"
    assert "Your session has ended" in visitor.get("/signin?next=%2Ftrail").text
    assert "Your session has ended" not in site.visitor().get("/signin").text


def test_a_provider_vouches_for_people(site: AccessSite, provider: MemoryProvider) -> None:
    visitor = site.visitor()
    assert 'href="/signin/oidc?next=%2Ftokens"' in visitor.get("/signin?next=/tokens").text
    there = visitor.get("/signin/oidc?next=/tokens")
    assert there.headers["location"] == "https://id.example/authorize?state=s1"
    assert "HttpOnly" in there.headers["set-cookie"]
    other = site.visitor().get("/signin/oidc/callback?state=s1&code=c")
    assert other.status_code == 422, "begun in another browser"
    back = visitor.get("/signin/oidc/callback?state=s1&code=c")
    assert back.headers["location"] == "/tokens"
    assert visitor.get("/tokens").status_code == 200
    assert site.people.account("kim").external
    provider.refusal = OidcRefused("provider-group", "No group of theirs has a role.")
    again = site.visitor()
    again.get("/signin/oidc")
    refused = again.get("/signin/oidc/callback?state=s1&code=c")
    assert (refused.status_code, "None of your groups has a role" in refused.text) == (422, True)


def test_what_a_provider_changes_of_an_account_is_on_the_trail_as_its_deed(
    site: AccessSite, provider: MemoryProvider
) -> None:
    def arrive() -> None:
        visitor = site.visitor()
        visitor.get("/signin/oidc")
        assert visitor.get("/signin/oidc/callback?state=s1&code=c").status_code == 303

    provider.identity = Identity("kim", "Kim", "analyst", "https://id.example/realms/office 7")
    arrive()
    arrive()
    provider.identity = Identity("kim", "Kim Min", "viewer", "https://id.example/realms/office 7")
    arrive()
    by = "oidc:id.example/realms/office"
    told = [(it.who, it.deed, it.target, it.before, it.after) for it in reversed(site.trail.page())]
    signed_in = ("kim", "session.start", "", None, {"by": "provider"})
    assert told == [
        (by, "people.add", "kim", None, {"title": "Kim", "role": "analyst"}),
        signed_in,
        signed_in,
        (by, "people.role", "kim", "analyst", "viewer"),
        (by, "account.title", "kim", "Kim", "Kim Min"),
        signed_in,
    ]


def test_a_provider_changes_nothing_that_the_trail_cannot_keep(site: AccessSite) -> None:
    with site.database.write() as connection:
        connection.exec_driver_sql("CREATE TRIGGER full BEFORE INSERT ON trail BEGIN SELECT RAISE(ABORT, 'full'); END")
    visitor = site.visitor()
    visitor.get("/signin/oidc")
    assert visitor.get("/signin/oidc/callback?state=s1&code=c").status_code == 500
    assert site.people.all() == []


# --- one's own account ---


def test_a_one_time_password_is_replaced_before_anything_else(site: AccessSite) -> None:
    password = site.person("ann", "administrator", one_time=True)
    visitor = site.visitor()
    reply = visitor.post("/signin", {"name": "ann", "password": password, "next": "/people"})
    assert reply.headers["location"] == "/account/password"
    first = visitor.cookie
    assert "Choose a password of your own" in visitor.get("/account/password").text
    for fields, words in (
        ({"old": password, "new": PASSWORD, "again": PASSWORD + "x"}, "are not the same"),
        ({"old": password, "new": "short", "again": "short"}, "too short"),
        ({"old": password, "new": password, "again": password}, "is the old one"),
        ({"old": "wrong", "new": PASSWORD, "again": PASSWORD}, "current password is wrong"),
    ):
        reply = visitor.post("/account/password", fields)
        assert (reply.status_code, words in reply.text) == (422, True), words
        assert PASSWORD not in reply.text
    reply = visitor.post("/account/password", {"old": password, "new": PASSWORD, "again": PASSWORD})
    assert reply.headers["location"] == "/account?done=password"
    assert visitor.cookie != first
    assert site.sessions.viewer(first, "x", site.now_ms + 2000) is None
    assert visitor.get("/people").status_code == 200
    assert [deed for _, deed, _ in deeds(site)] == ["session.start", "account.password_refused", "account.password"]
    assert not [it for it in site.trail.page() if PASSWORD in str(it) or password in str(it)]


def test_preferences_show_at_once_and_are_recorded(site: AccessSite) -> None:
    site.person("ann", "viewer")
    visitor = sign_in(site, "ann")
    assert '<html lang="en" data-theme="auto"' in visitor.get("/account").text
    fields = {"title": "Ann Ahn", "language": "zh", "zone": "Asia/Urumqi", "theme": "dark"}
    assert visitor.post("/account", fields).headers["location"] == "/account?done=saved"
    page = visitor.get("/account?done=saved").text
    assert '<html lang="zh-CN" data-theme="dark" data-zone="Asia/Urumqi" data-zone-origin="account">' in page
    assert "已保存" in page
    changed = {(it.deed, str(it.before), str(it.after)) for it in site.trail.page()[:2]}
    assert ("account.title", "Ann 张", "Ann Ahn") in changed
    assert [it.after for it in site.trail.page() if it.deed == "account.preferences"] == [
        {"language": "zh", "zone": "Asia/Urumqi", "theme": "dark"}
    ]
    wrong = visitor.post("/account", {**fields, "title": "Other", "zone": "Mars/Olympus"})
    assert wrong.status_code == 422
    assert site.people.account("ann").title == "Ann Ahn", "what is half wrong is wholly refused"


def test_the_frames_switches_change_one_thing_and_stay_on_the_page(site: AccessSite) -> None:
    site.person("ann", "viewer")
    visitor = sign_in(site, "ann")
    reply = visitor.post("/account/appearance", {"theme": "dark", "next": "/account?x=1"})
    assert reply.headers["location"] == "/account?x=1"
    assert visitor.post("/account/appearance", {"language": "zh", "next": "//evil"}).headers["location"] == "/"
    assert (site.people.account("ann").theme, site.people.account("ann").language) == ("dark", "zh")


def test_other_sessions_can_be_ended(site: AccessSite) -> None:
    site.person("ann", "viewer")
    visitor, other = sign_in(site, "ann"), sign_in(site, "ann")
    page = visitor.get("/account").text
    assert page.count('<td class="mono">testclient') == 2
    assert page.count("this one") == 1
    assert visitor.post("/account/sessions/end").headers["location"] == "/account?done=ended"
    assert other.get("/account").status_code == 303
    assert visitor.get("/account").status_code == 200
    assert deeds(site)[-1] == ("ann", "session.end_others", "ann")


# --- tokens ---


def test_a_token_is_shown_once_and_does_what_it_may(site: AccessSite) -> None:
    site.person("ann", "analyst")
    visitor = sign_in(site, "ann")
    page = visitor.get("/tokens").text
    assert 'value="lists.read"' in page
    assert 'value="lists.change"' not in page
    reply = visitor.post("/tokens", {"title": "Prometheus", "scopes": ["lists.read", "metrics.read"], "days": "7"})
    secret = secret_of(reply.text)
    viewer = site.tokens.viewer(secret, "x", site.now_ms)
    assert viewer is not None
    assert viewer.permissions == {"lists.read", "metrics.read"}
    assert secret not in visitor.get("/tokens").text
    token = site.tokens.of("ann")[0]
    assert token.expires_ms == site.now_ms + 7 * 86_400_000
    assert not [it for it in site.trail.page() if secret[-43:] in str(it)]
    assert visitor.post(f"/tokens/{token.id}/revoke").headers["location"] == "/tokens?done=revoked"
    assert site.tokens.viewer(secret, "x", site.now_ms + 2000) is None
    assert deeds(site)[-2:] == [("ann", "tokens.make", token.id), ("ann", "tokens.revoke", token.id)]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"title": "x", "days": "7"}, "at least one permission"),
        ({"title": "x", "scopes": "lists.change", "days": "7"}, "all among those of your role"),
        ({"title": "x", "scopes": "account.own", "days": "7"}, "at least one permission"),
        ({"title": " ", "scopes": "lists.read", "days": "7"}, "what uses the token"),
        ({"title": "x", "scopes": "lists.read", "days": "36500"}, "how long"),
        ({"title": "x", "scopes": "lists.read"}, "how long"),
    ],
)
def test_a_token_beyond_bounds_is_refused(site: AccessSite, fields: dict[str, Any], words: str) -> None:
    site.person("ann", "analyst")
    reply = sign_in(site, "ann").post("/tokens", fields)
    assert (reply.status_code, words in reply.text) == (422, True)
    assert site.tokens.all() == []


def test_only_administrators_see_and_revoke_other_peoples_tokens(site: AccessSite) -> None:
    for name, role in (("ann", "analyst"), ("bob", "operator"), ("root", "administrator")):
        site.person(name, role)  # type: ignore[arg-type]
    token, _ = site.tokens.make("ann", "Ann's", {"lists.read"}, site.now_ms + 1000, site.now_ms)
    bob, root = sign_in(site, "bob"), sign_in(site, "root")
    assert token.id not in bob.get("/tokens").text
    assert bob.post(f"/tokens/{token.id}/revoke").status_code == 404
    assert token.id in root.get("/tokens").text
    assert root.post(f"/tokens/{token.id}/revoke").status_code == 303
    assert root.post("/tokens/absent/revoke").status_code == 404


# --- people ---


def test_an_administrator_makes_changes_and_unmakes_accounts(site: AccessSite) -> None:
    site.person("root", "administrator")
    root = sign_in(site, "root")
    made = root.post("/people", {"name": "Kim", "title": "Kim K", "role": "viewer"})
    password = secret_of(made.text)
    assert password not in root.get("/people").text
    kim = site.visitor()
    assert kim.post("/signin", {"name": "kim", "password": password}).headers["location"] == "/account/password"
    assert root.post("/people/kim/role", {"role": "operator"}).headers["location"] == "/people/kim?done=role"
    assert kim.get("/account/password").status_code == 303, "a new role ends the sessions"
    again = secret_of(root.post("/people/kim/password").text)
    assert again != password
    assert site.visitor().post("/signin", {"name": "kim", "password": password}).status_code == 422
    assert root.post("/people/kim/standing", {"standing": "disabled"}).headers["location"].endswith("done=disabled")
    assert site.visitor().post("/signin", {"name": "kim", "password": again}).status_code == 422
    assert root.post("/people/kim/standing", {"standing": "enabled"}).headers["location"].endswith("done=enabled")
    own = [(deed, target) for who, deed, target in deeds(site) if who == "root"]
    assert own == [("session.start", "")] + [
        (f"people.{deed}", "kim") for deed in ("add", "role", "reset", "disable", "enable")
    ]
    role = next(it for it in site.trail.page() if it.deed == "people.role")
    assert (role.before, role.after) == ("viewer", "operator")
    assert not [it for it in site.trail.page() if password in str(it) or again in str(it)]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "root", "title": "x", "role": "viewer"}, "There is an account of that name"),
        ({"name": "a b", "title": "x", "role": "viewer"}, "Latin letters"),
        ({"name": "kim", "title": " ", "role": "viewer"}, "person&#39;s name"),
        ({"name": "kim", "title": "x", "role": "emperor"}, "no such role"),
        ({}, "Latin letters"),
    ],
)
def test_an_account_that_cannot_be_is_refused(site: AccessSite, fields: dict[str, str], words: str) -> None:
    site.person("root", "administrator")
    reply = sign_in(site, "root").post("/people", fields)
    assert (reply.status_code, words in reply.text) == (422, True)
    assert len(site.people.all()) == 1


def test_the_last_administrator_stays(site: AccessSite) -> None:
    site.person("root", "administrator")
    root = sign_in(site, "root")
    for path, fields in (("role", {"role": "viewer"}), ("standing", {"standing": "disabled"})):
        reply = root.post(f"/people/root/{path}", fields)
        assert (reply.status_code, "the last administrator" in reply.text) == (422, True)
    assert root.get("/people/nobody").status_code == 404
    assert root.post("/people/nobody/role", {"role": "viewer"}).status_code == 404


def test_an_auditor_reads_accounts_without_a_form_to_change_them(site: AccessSite) -> None:
    site.person("ann", "auditor")
    ann = sign_in(site, "ann")
    for path in ("/people", "/people/ann"):
        page = ann.get(path).text
        assert 'action="/people' not in page, path
    assert ann.post("/people/ann/role", {"role": "administrator"}).status_code == 403


# --- every page ---


@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_speak_both_languages_and_need_nothing_inline(site: AccessSite, language: str) -> None:
    for role in ROLES:
        site.person("ann" if role == "auditor" else role, role)
    texts = [site.visitor().get(f"/signin?lang={language}").text]
    for name in ("ann", "administrator", "viewer"):
        visitor = site.visitor(site.cookie(name))
        for path in PAGES:
            reply = visitor.get(f"{path}?lang={language}")
            assert reply.status_code in {200, 403}, path
            assert reply.headers["content-language"] == language
            assert reply.headers["cache-control"] == "no-store"
            texts.append(reply.text)
    for text in texts:
        assert f'<html lang="{"zh-CN" if language == "zh" else "en"}"' in text
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)
        assert not re.search(r"<script(?![^>]*\ssrc=\"/static/)", text)
        assert not re.search(r"(?:src|href|action)=\"(?!/|\?|#)", text)
        assert text.count("<h1") == 1
    assert not [error for error in site.errors if type(error).__name__ != "RefusedError"]


def test_what_people_typed_never_becomes_markup(site: AccessSite) -> None:
    hostile = "\"><script>alert(1)</script>'&"
    site.person("ann", "auditor")
    site.people.set_title("ann", hostile)
    site.trail.record(hostile, hostile, hostile, hostile, {hostile: hostile}, hostile, hostile, now_ms=site.now_ms)
    ann = sign_in(site, "ann")
    texts = [ann.client.get(path, params={"who": hostile, "next": hostile}).text for path in (*PAGES, "/signin")]
    texts.append(site.visitor().post("/signin", {"name": hostile, "password": hostile, "next": hostile}).text)
    assert not [text for text in texts if "<script>alert" in text]


@pytest.mark.parametrize(
    ("claimed", "shown"),
    [
        ("\u202eniM miK\u2066\u200b", "niM miK"),
        ("\u202e \u202e", "kim"),
        ("Kim\r\n\u2028\u0085Min", "Kim Min"),
        ("K" * 5000, "K" * 100),
        ({"first": "<b>"}, "{&#39;first&#39;: &#39;&lt;b&gt;&#39;}"),
        ("<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)&gt;"),
        ("</title><script>alert(1)</script>", "&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;"),
    ],
)
def test_what_a_provider_calls_people_harms_no_page_that_says_it(
    site: AccessSite, provider: MemoryProvider, claimed: object, shown: str
) -> None:
    claims = {"iss": "https://id.example", "sub": "7", "preferred_username": "kim", "name": claimed}
    provider.identity = identity_of(claims, frozenset({"office"}), [("office", "administrator")])
    kim = site.visitor()
    kim.get("/signin/oidc")
    assert kim.get("/signin/oidc/callback?state=s1&code=c").status_code == 303
    site.person("ann", "auditor")
    pages = [kim.get(path).text for path in ("/account", "/people", "/people/kim")]
    pages.append(sign_in(site, "ann").get("/trail").text)
    for text in pages:
        assert shown in text
        assert not re.search(r"<script>alert|<img src=x|[\u202e\u2066\u200b\u2028\u0085]", text)


def test_a_persons_name_is_no_formula_in_an_export(site: AccessSite, provider: MemoryProvider) -> None:
    provider.identity = identity_of(
        {"iss": "https://id.example", "sub": "7", "preferred_username": "kim", "name": '=HYPERLINK("http://x")'},
        frozenset({"office"}),
        [("office", "auditor")],
    )
    kim = site.visitor()
    kim.get("/signin/oidc")
    kim.get("/signin/oidc/callback?state=s1&code=c")
    for path in ("/people?format=csv", "/trail?format=csv"):
        assert "HYPERLINK" in kim.get(path).text
        assert not re.search(r'(^|,)"?=HYPERLINK', kim.get(path).text, re.MULTILINE)


def test_the_navigation_shows_what_one_may_open(site: AccessSite) -> None:
    for role in ROLES:
        site.person(role, role)
        page = site.visitor(site.cookie(role)).get("/account").text
        shown = set(re.findall(r'<a href="(/[a-z]+)"(?: aria-current="page")? data-key', page))
        allowed = {
            route.path
            for route in site.litestar.routes
            if route.path in {"/people", "/trail", "/tokens"}
            for handler in route.route_handlers  # type: ignore[attr-defined]
            if "GET" in handler.http_methods and site.visitor(site.cookie(role)).get(route.path).status_code == 200
            if permission_of(handler)
        }
        assert shown == allowed, role


def test_the_times_zone_is_the_accounts_else_the_browsers_else_the_nodes(site: AccessSite) -> None:
    site.person("ann", "auditor")
    ann = sign_in(site, "ann")
    assert "Times in Asia/Shanghai (the node)" in ann.get("/trail").text
    for zone, said in (
        ("Europe/Oslo", "Times in Europe/Oslo (your browser)"),
        ("../../etc/passwd", "Times in Asia/Shanghai (the node)"),
        ("Mars/Olympus", "Times in Asia/Shanghai (the node)"),
        ("x" * 5000, "Times in Asia/Shanghai (the node)"),
    ):
        cookie = f"{site.guard.cookie_name}={ann.cookie}; zone={zone}"
        assert said in site.visitor().get("/trail", cookie=cookie).text
    ann.post("/account", {"title": "Ann", "zone": "Asia/Tokyo"})
    assert "Times in Asia/Tokyo (your account)" in ann.get("/trail").text


def test_every_refusal_and_every_role_has_words(site: AccessSite) -> None:
    for language in LANGUAGES:
        for reason in REASONS:
            assert site.frame.texts.say(f"reason.{reason}", language, seconds=1)
        for role in ROLES:
            assert site.frame.texts.say(f"role.{role}", language) == ROLE_TITLES[role][language]


def test_failing_pages_say_what_to_do_next(site: AccessSite) -> None:
    site.person("sun", "viewer")
    sun = sign_in(site, "sun")
    refused = sun.get("/people")
    assert (refused.status_code, "permission to see accounts" in refused.text) == (403, True)
    assert "There is no such page" in sun.get("/nowhere").text
    site.database.close()
    assert isinstance(site.clock, ManualClock)
    site.clock.advance(2_000_000_000)
    down = sun.get("/account")
    assert (down.status_code, "Not available at the moment" in down.text) == (503, True)
    assert "records.db" not in down.text
    site.database.open()
