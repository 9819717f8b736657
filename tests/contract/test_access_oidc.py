"""Signing in at an OpenID provider: against oidc-provider-mock, and against one that misbehaves."""

from __future__ import annotations

import base64
import hashlib
import time
from typing import TYPE_CHECKING, Any

import pytest
from joserfc import jwk

from hutong.kernel.access.oidc import OidcRefused, OidcSettings, Provider, read_metadata
from oidc_providers import ToldProvider, returned, running_mock, running_told, sign_in_at_mock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.enable_socket

NOW = 1_790_000_000_000
MINUTE, HOUR = 60_000, 3_600_000
REDIRECT = "http://127.0.0.1:8080/signin/oidc/callback"


def settings(issuer: str, **changes: object) -> OidcSettings:
    values: dict[str, Any] = {
        "client_id": "hutong",
        "client_secret": "s e:c%ret",
        "redirect_url": REDIRECT,
        "groups_claim": "groups",
        "roles": (("duty", "operator"), ("everybody", "viewer")),
    }
    return OidcSettings(issuer=issuer, **(values | changes))


@pytest.fixture
def made() -> Iterator[Callable[..., Provider]]:
    providers: list[Provider] = []

    def make(issuer: str, **changes: object) -> Provider:
        providers.append(Provider(settings(issuer, **changes)))
        return providers[-1]

    yield make
    for provider in providers:
        provider.close()
        provider.close()


# A provider that behaves


def machine_ms() -> int:
    """What the mock's own clock says."""
    return int(time.time()) * 1000


@pytest.fixture
def issuer(free_port: Callable[..., int], wait_until: Callable[..., object]) -> Iterator[str]:
    with running_mock(free_port(), wait_until) as address:
        yield address


def test_somebody_of_a_known_group_comes_in_and_others_do_not(issuer: str, made: Callable[..., Provider]) -> None:
    now = machine_ms()
    provider = made(issuer)
    url, pending = provider.begin(now)
    asked = returned(url)
    assert (asked["response_type"], asked["client_id"], asked["redirect_uri"]) == ("code", "hutong", REDIRECT)
    assert asked["code_challenge_method"] == "S256"
    assert asked["state"] not in (asked["nonce"], "")
    claims = {"preferred_username": "zhao.min", "name": "赵敏", "groups": ["everybody", "duty"]}
    params = sign_in_at_mock(url, issuer, "4711", **claims)
    found = provider.finish(pending, params, now)
    assert (found.name, found.title, found.role) == ("zhao.min", "赵敏", "operator")
    assert found.subject == f"{issuer} 4711"

    with pytest.raises(OidcRefused, match="400"):
        provider.finish(pending, params, now)  # a code is good for one use

    url, pending = provider.begin(now)
    params = sign_in_at_mock(url, issuer, "1", groups=["strangers"])
    with pytest.raises(OidcRefused) as refused:
        provider.finish(pending, params, now)
    assert refused.value.reason == "provider-group"


def test_an_answer_to_what_this_browser_did_not_ask_is_refused(issuer: str, made: Callable[..., Provider]) -> None:
    now = machine_ms()
    provider = made(issuer)
    url, pending = provider.begin(now)
    params = sign_in_at_mock(url, issuer, "1", groups=["duty"])
    _, other = provider.begin(now)
    for kept, sent in (
        (pending, params | {"state": "another"}),
        (pending, {name: value for name, value in params.items() if name != "state"}),
        (pending, params | {"iss": "http://127.0.0.1:1"}),
        (other, params),
        ("", params),
        ("junk", params),
        ("\udcff", params),
    ):
        with pytest.raises(OidcRefused):
            provider.finish(kept, sent, now)
    with pytest.raises(OidcRefused, match="too long"):
        provider.finish(pending, params, now + 10 * MINUTE)
    assert provider.finish(pending, params, now).role == "operator", "the code has not been used up by any of these"


def test_another_nonce_is_refused(issuer: str, made: Callable[..., Provider]) -> None:
    now = machine_ms()
    provider = made(issuer)
    url, pending = provider.begin(now)
    changed = url.replace(returned(url)["nonce"], "somebody-elses")
    params = sign_in_at_mock(changed, issuer, "1", groups=["duty"])
    with pytest.raises(OidcRefused, match="not made for this sign-in"):
        provider.finish(pending, params, now)


def test_an_id_token_that_is_over_is_refused(issuer: str, made: Callable[..., Provider]) -> None:
    now = machine_ms()
    provider = made(issuer)
    url, pending = provider.begin(now + 2 * HOUR)
    params = sign_in_at_mock(url, issuer, "1", groups=["duty"])
    with pytest.raises(OidcRefused, match="is over"):
        provider.finish(pending, params, now + 2 * HOUR)


def test_a_provider_of_another_name_is_refused(issuer: str, made: Callable[..., Provider]) -> None:
    now = machine_ms()
    with pytest.raises(OidcRefused, match="another name"):
        made(f"{issuer}/").begin(now)


def test_a_person_who_refuses_there_does_not_come_in(issuer: str, made: Callable[..., Provider]) -> None:
    now = machine_ms()
    provider = made(issuer)
    url, pending = provider.begin(now)
    params = {"error": "access_denied\n<b>", "state": returned(url)["state"]}
    with pytest.raises(OidcRefused, match=r"refuses: access_deniedb\."):
        provider.finish(pending, params, now)


def test_a_provider_that_is_not_there_is_said_so(made: Callable[..., Provider], free_port: Callable[..., int]) -> None:
    now = machine_ms()
    with pytest.raises(OidcRefused, match="cannot be asked: ConnectError"):
        made(f"http://127.0.0.1:{free_port()}").begin(now)


# A provider that misbehaves


@pytest.fixture
def told(free_port: Callable[..., int]) -> Iterator[ToldProvider]:
    with running_told(free_port()) as provider:
        yield provider


def begun(provider: Provider, told: ToldProvider, now_ms: int = NOW, **claims: object) -> tuple[str, dict[str, str]]:
    """A sign-in up to where the person comes back, with a good ID token waiting but for `claims`."""
    url, pending = provider.begin(now_ms)
    asked = returned(url)
    good = {"iss": told.issuer, "sub": "1", "aud": "hutong", "nonce": asked["nonce"], "groups": ["duty"]}
    told.claims = good | {"iat": now_ms // 1000, "exp": now_ms // 1000 + 300} | claims
    return pending, {"code": "c", "state": asked["state"]}


def test_a_provider_that_tells_the_truth_is_believed(told: ToldProvider, made: Callable[..., Provider]) -> None:
    provider = made(told.issuer)
    url, _ = provider.begin(NOW)
    assert returned(url)["tenant"] == "1"
    pending, params = begun(provider, told)
    assert provider.finish(pending, params, NOW).role == "operator"
    path, form, headers = next(one for one in told.asked if one[0] == "/token")
    assert path == "/token"
    assert (form["grant_type"], form["code"], form["redirect_uri"]) == ("authorization_code", "c", REDIRECT)
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"hutong:s+e%3Ac%25ret"
    assert "client_secret" not in form
    assert len(form["code_verifier"]) == 43


def test_the_verifier_is_what_the_challenge_was_made_of(told: ToldProvider, made: Callable[..., Provider]) -> None:
    provider = made(told.issuer)
    url, pending = provider.begin(NOW)
    with pytest.raises(OidcRefused):
        provider.finish(pending, {"code": "c", "state": returned(url)["state"]}, NOW)
    verifier = told.asked[-2][1].get("code_verifier") or told.asked[-1][1]["code_verifier"]
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert returned(url)["code_challenge"] == challenge


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"aud": "other"}, "somebody else"),
        ({"iss": "http://127.0.0.1:1"}, "another issuer"),
        ({"exp": NOW // 1000 - 61}, "is over"),
        ({"nonce": "x"}, "this sign-in"),
    ],
)
def test_wrong_claims_are_refused(
    told: ToldProvider, made: Callable[..., Provider], claims: dict[str, Any], why: str
) -> None:
    provider = made(told.issuer)
    pending, params = begun(provider, told, **claims)
    with pytest.raises(OidcRefused, match=why):
        provider.finish(pending, params, NOW)


def test_a_signature_with_an_unpublished_key_is_refused(told: ToldProvider, made: Callable[..., Provider]) -> None:
    provider = made(told.issuer)
    told.published = [jwk.RSAKey.generate_key(2048, {"kid": "one"})]
    pending, params = begun(provider, told)
    with pytest.raises(OidcRefused, match="did not sign"):
        provider.finish(pending, params, NOW)


def test_new_keys_of_the_provider_are_taken_up_but_not_asked_for_at_every_attempt(
    told: ToldProvider, made: Callable[..., Provider]
) -> None:
    provider = made(told.issuer)
    pending, params = begun(provider, told)
    provider.finish(pending, params, NOW)
    told.key = jwk.RSAKey.generate_key(2048, {"kid": "two"})
    told.published = [told.key]
    for after, heard in ((1000, False), (2000, False), (2 * MINUTE, True)):
        pending, params = begun(provider, told, NOW + after)
        if heard:
            assert provider.finish(pending, params, NOW + after).name == "1"
        else:
            with pytest.raises(OidcRefused):
                provider.finish(pending, params, NOW + after)
    assert [path for path, _, _ in told.asked].count("/jwks") == 2


def test_groups_that_are_not_in_the_token_are_asked_for(told: ToldProvider, made: Callable[..., Provider]) -> None:
    provider = made(told.issuer)
    told.userinfo = {"sub": "1", "groups": ["everybody"], "name": "赵敏", "aud": "changes nothing"}
    pending, params = begun(provider, told, groups=None)
    found = provider.finish(pending, params, NOW)
    assert (found.role, found.title) == ("viewer", "赵敏")
    told.userinfo = {"sub": "2", "groups": ["duty"]}
    pending, params = begun(provider, told, groups=None)
    with pytest.raises(OidcRefused, match="somebody else"):
        provider.finish(pending, params, NOW)


def test_the_secret_goes_in_the_form_where_the_provider_wants_it_there(
    told: ToldProvider, made: Callable[..., Provider]
) -> None:
    told.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    provider = made(told.issuer)
    pending, params = begun(provider, told)
    provider.finish(pending, params, NOW)
    _, form, headers = next(one for one in told.asked if one[0] == "/token")
    assert (form["client_id"], form["client_secret"]) == ("hutong", "s e:c%ret")
    assert "Authorization" not in headers


def test_an_answer_must_name_its_provider_where_the_provider_says_that_it_does(
    told: ToldProvider, made: Callable[..., Provider]
) -> None:
    told.metadata["authorization_response_iss_parameter_supported"] = True
    provider = made(told.issuer)
    pending, params = begun(provider, told)
    with pytest.raises(OidcRefused, match="another provider"):
        provider.finish(pending, params, NOW)
    assert provider.finish(pending, params | {"iss": told.issuer}, NOW).name == "1"


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/jwks"])
@pytest.mark.parametrize(
    "answer",
    [
        (200, b"<html>"),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"keys": 1, "id_token": 5}'),
        (200, b"\xff" * 100),
        (200, b" " * (2 << 20)),
        (302, b""),
        (500, b'{"error": "s\x1b[2J"}'),
    ],
    ids=["page", "array", "empty", "types", "bytes", "long", "redirect", "error"],
)
def test_junk_from_a_provider_lets_nobody_in(
    told: ToldProvider, made: Callable[..., Provider], path: str, answer: tuple[int, bytes]
) -> None:
    provider = made(told.issuer)
    if path == "/.well-known/openid-configuration":
        told.answers[path] = answer
        with pytest.raises(OidcRefused) as refused:
            provider.begin(NOW)
    else:
        pending, params = begun(provider, told)
        told.answers[path] = answer
        with pytest.raises(OidcRefused) as refused:
            provider.finish(pending, params, NOW)
    assert str(refused.value).isprintable()
    assert "s e:c%ret" not in str(refused.value)


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"])
def test_addresses_without_https_are_refused_where_the_provider_has_it(told: ToldProvider, name: str) -> None:
    described = {key: value.replace("http:", "https:") for key, value in told.metadata.items()}
    assert read_metadata(described, described["issuer"]).issuer == described["issuer"]
    with pytest.raises(OidcRefused, match="without HTTPS"):
        read_metadata(described | {name: told.metadata[name]}, described["issuer"])
