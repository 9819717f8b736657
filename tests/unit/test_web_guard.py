"""The guard: every route by its permission, whose request it is, from which host, and whether it was meant."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar, Request, get, post
from litestar.params import JSONBody  # noqa: TC002  # Litestar reads the annotation

import authorisation
from access_site import HOST, AccessSite, SiteBadges
from hutong.kernel.access.permissions import PERMISSIONS, ROLES, permissions_of
from hutong.kernel.clock import ManualClock
from hutong.kernel.web.guard import OPEN, UnguardedRouteError, local_path, requires

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


_Request = Request[Any, Any, Any]


@get("/v1/lists", sync_to_thread=False, opt=requires("lists.read"))
def api_lists(request: _Request) -> dict[str, str]:
    return {"who": request.user.name, "via": request.user.via, "address": request.user.address}


@post("/v1/lists", sync_to_thread=False, opt=requires("lists.change"))
def api_change(data: JSONBody[dict[str, str]]) -> dict[str, str]:
    return data


@get("/metrics", sync_to_thread=False, opt=requires("metrics.read"))
def metrics() -> str:
    return "up 1"


@get("/healthz", sync_to_thread=False, opt=OPEN)
def healthz() -> str:
    return "ok"


@pytest.fixture
def site(data_folder: Path) -> Iterator[AccessSite]:
    site = AccessSite(data_folder, more=[api_lists, api_change, metrics, healthz], hosts=["console.example"])
    yield site
    site.database.close()


def test_every_route_goes_by_the_table_of_permissions(site: AccessSite) -> None:
    routes = list(authorisation.routes_of(site.litestar.routes))
    assert {"/signin", "/people", "/trail", "/v1/lists"} <= {route.path for route in routes}
    mistakes = asyncio.run(authorisation.tried(site.application, site.litestar.routes, SiteBadges(site)))
    assert not mistakes, "\n".join(mistakes)


def test_the_trial_finds_a_route_that_lets_the_wrong_people_in(site: AccessSite) -> None:
    """A check that cannot fail proves nothing: this one is shown a table that differs from the routes."""
    route = next(it for it in authorisation.routes_of(site.litestar.routes) if it.path == "/trail")
    wrong = msgspec.structs.replace(route, permission="people.change")
    found = asyncio.run(
        authorisation._in_role(site.application, wrong, "auditor", SiteBadges(site), programs=False)  # noqa: SLF001
    )
    assert found == ["GET /trail as auditor must be refused (people.change): 200"]


def test_a_route_without_a_permission_fails_the_build(site: AccessSite) -> None:
    @get("/secret", sync_to_thread=False)
    def secret() -> str:
        return "s"

    with pytest.raises(UnguardedRouteError, match="names no permission"):
        Litestar([secret], plugins=[site.guard], openapi_config=None)
    with pytest.raises(KeyError):
        requires("secrets.read")


def test_a_page_asks_strangers_to_sign_in_and_come_back(site: AccessSite) -> None:
    reply = site.visitor().get("/trail?who=a&page=2")
    assert (reply.status_code, reply.headers["location"]) == (303, "/signin?next=%2Ftrail%3Fwho%3Da%26page%3D2")
    part = site.visitor().get("/trail", hx_request="true", hx_current_url=f"http://{HOST}/trail?who=b")
    assert (part.status_code, part.headers["hx-redirect"]) == (401, "/signin?next=%2Ftrail%3Fwho%3Db")
    assert site.visitor().post("/signout", csrf="").headers["location"] == "/signin"


def test_programs_get_a_problem_and_prove_themselves_by_token_only(site: AccessSite) -> None:
    site.person("ann", "operator")
    scopes, until = permissions_of("operator") - {"lists.change"}, site.now_ms + 60_000
    _, secret = site.tokens.make("ann", "test", scopes, until, site.now_ms)
    stranger = site.visitor(site.cookie("ann"))
    reply = stranger.get("/v1/lists")
    assert reply.status_code == 401
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["www-authenticate"] == "Bearer"
    assert reply.json()["status"] == 401
    bearer = site.visitor(authorization=f"Bearer {secret}")
    assert bearer.get("/v1/lists").json() == {"who": "ann", "via": "token", "address": "testclient"}
    refused = bearer.client.post("/v1/lists", json={"a": "b"})
    assert (refused.status_code, refused.json()["detail"]) == (403, "This needs the permission lists.change.")
    assert bearer.get("/trail").status_code == 303
    assert bearer.get("/metrics").status_code == 200
    assert stranger.get("/metrics").status_code == 200
    assert site.visitor().get("/metrics").status_code == 401
    assert site.visitor(authorization=f"Bearer {secret[:-1]}_").get("/v1/lists").status_code == 401
    assert isinstance(site.clock, ManualClock)
    site.clock.advance(61_000_000_000)
    assert bearer.get("/v1/lists").status_code == 401


def test_programs_go_on_while_the_records_cannot_be_written(site: AccessSite) -> None:
    """Noting that a token was used must not stop who screens calls."""
    site.person("ann", "operator")
    _, secret = site.tokens.make("ann", "test", ["lists.read"], site.now_ms + 60_000, site.now_ms)
    with site.database.write() as connection:
        connection.exec_driver_sql("CREATE TRIGGER full BEFORE UPDATE ON tokens BEGIN SELECT no_such_function(); END")
    assert site.visitor(authorization=f"Bearer {secret}").get("/v1/lists").status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200), ("localhost:8080", 200), ("127.0.0.1:8080", 200), ("[::1]:8080", 200), ("10.2.3.4", 200),
        ("console.example", 200), ("CONSOLE.example.:443", 200), ("evil.example", 421), ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421), ("console.example@evil.example", 421), ("", 421), ("[", 421),
    ],
)  # fmt: skip
def test_only_our_own_names_are_answered(site: AccessSite, host: str, status: int) -> None:
    for path in ("/healthz", "/signin"):
        assert asyncio.run(authorisation.ask(site.application, "GET", path, {"host": host})).status == status


def test_forms_need_the_token_of_their_own_session(site: AccessSite) -> None:
    site.person("ann", "operator")
    site.person("bob", "operator")
    ann, bob = site.visitor(site.cookie("ann")), site.visitor(site.cookie("bob"))
    own_other = site.visitor(site.cookie("ann"))
    for csrf in ("", "x", bob.csrf, own_other.csrf, f"{ann.csrf} ", "é"):
        reply = ann.post("/account/appearance", {"theme": "dark"}, csrf=csrf)
        assert reply.status_code == 403, csrf
        assert "This form belongs to another session" in reply.text
    assert site.people.account("ann").theme == ""
    assert ann.client.post("/account/appearance", json={"_csrf": ann.csrf}).status_code == 403
    assert ann.post("/account/appearance", {"theme": "dark"}).status_code == 303
    by_header = ann.post("/account/appearance", {"theme": "light"}, csrf="", x_csrf_token=ann.csrf)
    assert by_header.status_code == 303
    multipart = ann.client.post("/account/appearance", files={"_csrf": (None, "wrong"), "theme": (None, "dark")})
    assert multipart.status_code == 403
    assert site.people.account("ann").theme == "light"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"}, {"origin": "null"}, {"origin": f"http://{HOST}.evil.example"},
        {"origin": f"ftp://{HOST}"}, {"origin": f"http://{HOST}:81"}, {"origin": "http://["},
        {"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"},
    ],
)  # fmt: skip
def test_other_sites_cannot_begin_a_request(site: AccessSite, headers: dict[str, str]) -> None:
    site.person("ann", "operator")
    ann = site.visitor(site.cookie("ann"))
    assert ann.post("/account/appearance", {"theme": "dark"}, **headers).status_code == 403
    assert site.visitor().post("/signin", {"name": "ann", "password": "x"}, **headers).status_code == 403
    assert site.people.account("ann").theme == ""


def test_our_own_pages_can(site: AccessSite) -> None:
    site.person("ann", "operator")
    ann = site.visitor(site.cookie("ann"))
    for headers in (
        {"origin": f"http://{HOST}", "sec_fetch_site": "same-origin"},
        {"origin": "https://console.example"},  # a proxy in front has put another Host
        {"sec_fetch_site": "none"},
    ):
        assert ann.post("/account/appearance", {"theme": "dark"}, **headers).status_code == 303, headers


def test_over_https_cookies_and_origins_are_https_only(data_folder: Path) -> None:
    site = AccessSite(data_folder, https=True)
    password = site.person("ann", "operator")
    visitor = site.visitor()
    assert visitor.post("/signin", {"name": "ann", "password": password}, origin=f"http://{HOST}").status_code == 403
    reply = visitor.post("/signin", {"name": "ann", "password": password}, origin=f"https://{HOST}")
    parts = {part.strip().partition("=")[0].lower() for part in reply.headers["set-cookie"].split(";")}
    assert {"__host-hutong", "httponly", "secure", "samesite", "path"} <= parts
    assert not {"domain", "max-age", "expires"} & parts
    site.database.close()


def test_a_one_time_password_leads_to_a_new_one_first(site: AccessSite) -> None:
    site.person("ann", "administrator", one_time=True)
    ann = site.visitor(site.cookie("ann"))
    for path in ("/people", "/account", "/tokens"):
        assert ann.get(path).headers["location"] == "/account/password"
    assert ann.post("/people", {"name": "eve", "title": "Eve", "role": "viewer"}).headers["location"] == (
        "/account/password"
    )
    assert ann.get("/people", hx_request="true").headers["hx-redirect"] == "/account/password"
    assert ann.get("/account/password").status_code == 200
    assert len(site.people.all()) == 1
    assert ann.post("/signout").headers["location"] == "/signin?done=out"


def test_the_address_is_the_nearest_that_is_no_trusted_proxy(data_folder: Path) -> None:
    site = AccessSite(data_folder, proxies=["10.0.0.0/8", "fd00::/8"])

    def address(client: str, *forwarded: str) -> str:
        headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
        return site.guard.address_of(Request({"type": "http", "client": (client, 1), "headers": headers}))  # type: ignore[arg-type, typeddict-item]

    assert address("192.0.2.7", "198.51.100.1") == "192.0.2.7"
    assert address("10.0.0.1", "198.51.100.1") == "198.51.100.1"
    assert address("10.0.0.1", "203.0.113.9, 198.51.100.1, 10.0.0.2") == "198.51.100.1"
    assert address("10.0.0.1", "203.0.113.9", "198.51.100.1") == "198.51.100.1"
    assert address("10.0.0.1", "unknown") == "10.0.0.1"
    assert address("10.0.0.1") == "10.0.0.1"
    assert address("fd00::1", "2001:db8::5") == "2001:db8::5"
    site.database.close()


@pytest.mark.parametrize(
    "place",
    ["//evil.example", "/\\evil.example", "\\\\evil.example", "http:evil.example", "https://evil.example/", "evil",
     "javascript:alert(1)", "/\t/evil.example", "/\n/evil.example", "", " //evil.example", "///evil.example",
     "/%0a\r", "/\u2028x"],
)  # fmt: skip
def test_nobody_is_sent_elsewhere(place: str) -> None:
    assert local_path(place) == "/"


@given(st.text(max_size=30).map(lambda text: f"/{text}") | st.text(max_size=30))
def test_a_place_to_go_on_to_is_on_this_site(text: str) -> None:
    place = local_path(text)
    assert place.startswith("/")
    assert not place.startswith(("//", "/\\"))
    assert "\\" not in place
    assert place.isprintable()


def test_what_was_typed_is_not_kept_by_the_form_reader(site: AccessSite) -> None:
    from litestar._parsers import parse_url_encoded_form_data  # noqa: PLC0415  # what is tested

    before = parse_url_encoded_form_data.cache_info().currsize
    site.visitor().post("/signin", {"name": "ann", "password": "lamp harbour"})
    assert parse_url_encoded_form_data.cache_info().currsize == before


def test_a_form_of_very_many_fields_is_refused(site: AccessSite) -> None:
    reply = site.visitor().client.post(
        "/signin", content="&".join(["a=1"] * 1001), headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert reply.status_code == 400
    assert "The form has too many fields." in reply.text


@pytest.mark.parametrize(
    ("lang", "said"),
    [("zh", "请求的主机名不在 serve.hosts 之中。"), ("en", "The host name that was asked for is not in serve.hosts.")],
)
def test_a_host_that_is_not_served_is_told_in_the_readers_language(site: AccessSite, lang: str, said: str) -> None:
    page = site.visitor().client.get("/signin", headers={"host": "evil.example", "accept-language": lang})
    assert page.status_code == 421
    assert said in page.text


def test_every_permission_has_both_languages_and_somebody() -> None:
    for it in PERMISSIONS.values():
        assert it.zh
        assert it.en
        assert it.roles <= set(ROLES)
        assert it.roles
