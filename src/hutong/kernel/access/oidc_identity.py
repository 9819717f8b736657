"""Whom an ID token vouches for: its signature, its claims, the role of its groups. Pure; no network, no clock.

OpenID Connect Core 1.0 §3.1.3.7 is followed in full, and only signatures with a provider's public key count: whoever
knows the client's secret could make the others.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any, Final

import msgspec
from joserfc import jwk, jws
from joserfc.errors import JoseError

from hutong.kernel.access.account import read_name
from hutong.kernel.access.errors import AccessError, OidcRefused
from hutong.kernel.access.permissions import Role  # noqa: TC001  # msgspec reads the annotation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
LEEWAY_S: Final = 60  # how far the provider's clock may be from ours
_OLDEST_S = 3600  # a token that was issued earlier was not made for this sign-in
_MOST_KEYS = 32
_LONGEST_TITLE = 100
_LONGEST_SUBJECT = 255  # OpenID Connect Core 1.0 §2


class Identity(msgspec.Struct, frozen=True):
    """Whom a provider vouches for.

    Attributes:
        name: for the account. title: the person's name. role: by the first group that fits.
        subject: issuer and subject, which never change hands as names do.
    """

    name: str
    title: str
    role: Role
    subject: str

    @property
    def provider(self) -> str:
        """Who vouches, as the trail names it: `oidc:` and the issuer without its scheme."""
        return f"oidc:{self.subject.partition(' ')[0].partition('://')[2]}"


def verified_claims(id_token: str, keys: Sequence[object]) -> dict[str, Any] | None:
    """The claims of a token that one of these JSON Web Keys signed; None where none of them did.

    Raises:
        OidcRefused: no token at all, or one signed in a way that does not count.
    """
    try:
        header = jws.extract_compact(id_token.encode()).headers()
    except (JoseError, ValueError) as error:
        raise _untrusted("it sent no ID token that can be read") from error
    if header.get("alg") not in ALGORITHMS:
        raise _untrusted("its ID token is not signed with its public key")
    for key in _candidates(keys, header.get("kid")):
        try:
            claims = msgspec.json.decode(jws.deserialize_compact(id_token, key, algorithms=list(ALGORITHMS)).payload)
        except (JoseError, ValueError, msgspec.DecodeError):
            continue
        if isinstance(claims, dict):
            return claims
    return None


def _candidates(keys: Sequence[object], kid: object) -> list[jwk.Key]:
    found = []
    for one in keys[:_MOST_KEYS]:
        if not isinstance(one, dict) or one.get("kty") not in ("RSA", "EC") or one.get("use", "sig") != "sig":
            continue
        if kid is not None and one.get("kid", kid) != kid:
            continue
        try:
            found.append(jwk.import_key(one))
        except (JoseError, ValueError):
            continue  # a key of a kind that we do not know is no reason to refuse the others
    return found


def check_claims(claims: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str, now_s: int) -> None:
    """Whether the claims are this provider's, for us, for this sign-in, and of now.

    Raises:
        OidcRefused: one of them is not; the message says which.
    """
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    expires, issued = _time(claims, "exp"), _time(claims, "iat")
    if claims.get("iss") != issuer:
        raise _untrusted("its ID token names another issuer")
    if client_id not in audiences or claims.get("azp", client_id) != client_id:
        raise _untrusted("its ID token is for somebody else")
    if len(audiences) > 1 and "azp" not in claims:
        raise _untrusted("its ID token is for several parties and does not say for which of them it was made")
    if now_s >= expires + LEEWAY_S or now_s > issued + _OLDEST_S:
        raise _untrusted("its ID token is over")
    if issued > now_s + LEEWAY_S:
        raise _untrusted("its ID token is of a time to come; compare the clocks")
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        raise _untrusted("its ID token was not made for this sign-in")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.isprintable():
        raise _untrusted("its ID token names nobody")


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _untrusted("its ID token says no time")
    return value


def groups_of(claims: Mapping[str, Any], claim: str) -> frozenset[str] | None:
    """The groups that a claim lists; None where it is not there."""
    found = claims.get(claim)
    if found is None:
        return None
    return frozenset(str(one) for one in found) if isinstance(found, list) else frozenset(str(found).split())


def identity_of(claims: Mapping[str, Any], groups: frozenset[str], roles: Sequence[tuple[str, Role]]) -> Identity:
    """Name, title and role from checked claims.

    Raises:
        OidcRefused: no group of this person has a role (`provider-group`), or the name cannot be an account's.
    """
    role = next((role for group, role in roles if group in groups), None)
    if role is None:
        raise OidcRefused(
            "provider-group",
            "No group of this person may come in.",
            fix="Add the person to a group that [[oidc_roles]] names, or the group to [[oidc_roles]].",
        )
    given = next((str(claims[at]) for at in ("preferred_username", "email", "sub") if claims.get(at)), "")
    try:
        name = read_name(given)
    except AccessError as error:
        raise OidcRefused(
            "provider-account", "The provider's name for this person cannot be the name of an account.", fix=error.fix
        ) from error
    return Identity(name, _title_of(claims.get("name")) or name, role, f"{claims['iss']} {claims['sub']}")


def _title_of(given: object) -> str:
    """A person's name as it can be shown: one line, without signs that are not seen or turn the writing's direction."""
    seen = "".join(c if c.isprintable() else " " if c.isspace() else "" for c in str(given or ""))
    return " ".join(seen.split())[:_LONGEST_TITLE].strip()


def _untrusted(why: str) -> OidcRefused:
    return OidcRefused(
        "provider",
        f"The OpenID provider's answer is not to be trusted: {why}.",
        fix="Sign in again; if it goes on so, check [oidc].",
    )
