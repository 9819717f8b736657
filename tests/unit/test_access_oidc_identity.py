"""Which ID tokens count, and whom they name."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from joserfc import jwk, jws, jwt

from hutong.kernel.access.errors import OidcRefused
from hutong.kernel.access.oidc_identity import check_claims, groups_of, identity_of, verified_claims

if TYPE_CHECKING:
    from hutong.kernel.access.permissions import Role

NOW = 1_650_000_000
ISSUER, CLIENT, NONCE = "https://id.example.cn", "hutong", "n-0S6_WzA2Mj"
CLAIMS: dict[str, Any] = {"iss": ISSUER, "sub": "1", "aud": CLIENT, "exp": NOW + 300, "iat": NOW, "nonce": NONCE}
RSA = jwk.RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
OTHER = jwk.RSAKey.generate_key(2048, {"kid": "rsa"})
EC = jwk.ECKey.generate_key("P-256", {"kid": "ec"})
OCT = jwk.OctKey.import_key("secret-of-the-client-is-no-key-of-the-provider")
ROLES: tuple[tuple[str, Role], ...] = (("duty", "operator"), ("audit", "auditor"), ("everybody", "viewer"))


def signed(key: jwk.Key = RSA, alg: str = "RS256", **header: object) -> str:
    return jwt.encode({"alg": alg, **header}, CLAIMS, key, algorithms=[alg])


def public(*keys: jwk.Key) -> list[object]:
    return [key.as_dict(private=False) for key in keys]


def check(**changes: object) -> None:
    check_claims(
        {name: value for name, value in (CLAIMS | changes).items() if value is not None},
        issuer=ISSUER,
        client_id=CLIENT,
        nonce=NONCE,
        now_s=NOW,
    )


@pytest.mark.parametrize(
    ("key", "alg"),
    [(RSA, "RS256"), (RSA, "RS512"), (RSA, "PS256"), (EC, "ES256")],
    ids=["RS256", "RS512", "PS256", "ES256"],
)
def test_a_signature_with_a_key_of_the_provider_counts(key: jwk.Key, alg: str) -> None:
    keys = [{"kty": "odd"}, "junk", *public(OTHER, EC, RSA)]
    assert verified_claims(signed(key, alg), keys) == CLAIMS
    assert verified_claims(signed(key, alg, kid=key.kid), keys) == CLAIMS


def test_a_signature_with_another_key_does_not() -> None:
    assert verified_claims(signed(OTHER), public(RSA, EC)) is None
    assert verified_claims(signed(RSA, kid="another"), public(RSA, EC)) is None
    assert verified_claims(signed(), []) is None
    head, body, signature = signed().split(".")
    assert verified_claims(f"{head}.{body[:-2]}AA.{signature}", public(RSA)) is None


def test_a_key_for_encryption_signs_nothing() -> None:
    assert verified_claims(signed(), [RSA.as_dict(private=False, use="enc")]) is None


def test_what_is_not_signed_with_a_public_key_is_refused() -> None:
    by_secret = jwt.encode({"alg": "HS256"}, CLAIMS, OCT, algorithms=["HS256"])
    by_public_key_as_secret = jws.serialize_compact(
        {"alg": "HS256"}, b"{}", jwk.OctKey.import_key(str(RSA.as_dict(private=False)["n"])), algorithms=["HS256"]
    )
    unsigned = base64.urlsafe_b64encode(b'{"alg": "none"}').decode().rstrip("=")
    nobody = f"{unsigned}.{signed().split('.')[1]}."
    for token in (by_secret, by_public_key_as_secret, nobody, "", "a.b.c", "a.b", "\udcff", "." * 100):
        with pytest.raises(OidcRefused):
            verified_claims(token, [*public(RSA), OCT.as_dict(private=True)])


def test_what_is_signed_but_no_object_does_not_count() -> None:
    token = jws.serialize_compact({"alg": "RS256"}, b"[1]", RSA, algorithms=["RS256"])
    assert verified_claims(token, public(RSA)) is None


def test_claims_of_this_provider_for_us_for_this_sign_in_and_of_now_count() -> None:
    check()
    check(aud=[CLIENT])
    check(aud=[CLIENT, "other"], azp=CLIENT)
    check(exp=NOW - 59, iat=NOW + 60)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"iss": ISSUER + "/"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"aud": "other"}, "somebody else"),
        ({"aud": None}, "somebody else"),
        ({"aud": []}, "somebody else"),
        ({"azp": "other"}, "somebody else"),
        ({"aud": [CLIENT, "other"]}, "several parties"),
        ({"exp": NOW - 60}, "is over"),
        ({"exp": None}, "no time"),
        ({"exp": "soon"}, "no time"),
        ({"exp": True}, "no time"),
        ({"iat": None}, "no time"),
        ({"iat": NOW + 61}, "time to come"),
        ({"iat": NOW - 3601}, "is over"),
        ({"nonce": "another"}, "this sign-in"),
        ({"nonce": None}, "this sign-in"),
        ({"nonce": ""}, "this sign-in"),
        ({"sub": None}, "nobody"),
        ({"sub": 1}, "nobody"),
        ({"sub": ""}, "nobody"),
        ({"sub": "1\0"}, "nobody"),
        ({"sub": "1" * 256}, "nobody"),
    ],
)
def test_other_claims_are_refused_and_it_is_said_why(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(OidcRefused, match=why):
        check(**changes)


def test_groups_are_listed_or_written_with_spaces() -> None:
    assert groups_of({"groups": ["a", 1]}, "groups") == {"a", "1"}
    assert groups_of({"roles": "a b"}, "roles") == {"a", "b"}
    assert groups_of({"groups": []}, "groups") == frozenset()
    assert groups_of({}, "groups") is None


def test_the_first_group_that_fits_says_the_role() -> None:
    claims = CLAIMS | {"preferred_username": "Zhao.Min", "email": "zm@example.cn", "name": " 赵  敏\x1b "}
    found = identity_of(claims, frozenset({"everybody", "audit"}), ROLES)
    assert (found.name, found.title, found.role, found.subject) == ("zhao.min", "赵 敏", "auditor", f"{ISSUER} 1")
    assert identity_of(CLAIMS | {"email": "zm@example.cn"}, frozenset({"duty"}), ROLES).name == "zm@example.cn"
    assert identity_of(CLAIMS, frozenset({"duty"}), ROLES).title == "1"


def test_who_is_in_no_group_with_a_role_stays_out() -> None:
    for groups in (frozenset(), frozenset({"Duty", "strangers"})):
        with pytest.raises(OidcRefused) as refused:
            identity_of(CLAIMS, groups, ROLES)
        assert refused.value.reason == "provider-group"


def test_a_name_that_no_account_can_have_is_refused() -> None:
    with pytest.raises(OidcRefused) as refused:
        identity_of(CLAIMS | {"preferred_username": "赵敏"}, frozenset({"duty"}), ROLES)
    assert refused.value.reason == "provider-account"
