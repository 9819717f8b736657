"""Signing in at an OpenID provider: authorization code with PKCE (RFC 7636), state and nonce.

This is the conversation with the provider; what its answer is worth is judged in `oidc_identity`. The provider's own
description and keys are asked for when they are needed and kept for an hour.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import ssl
import threading
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from hutong.kernel.access.errors import OidcRefused
from hutong.kernel.access.oidc_identity import Identity, check_claims, groups_of, identity_of, verified_claims
from hutong.kernel.access.permissions import Role  # noqa: TC001  # msgspec reads the annotation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Identity", "OidcRefused", "OidcSettings", "Provider"]

_SCOPES = "openid profile email"
_TIMEOUT_S = 5.0
_MOST_BYTES = 1 << 20
_KEPT_MS = 3_600_000
_AGAIN_MS = 60_000  # keys that we lack are asked for again at most so often
_PENDING_MS = 600_000  # how long a person may take at the provider
_SECRET_BYTES = 32
_LONGEST_WORD = 60


class OidcSettings(msgspec.Struct, frozen=True):
    """How a provider is reached, and what its groups mean.

    Attributes:
        redirect_url: where the provider sends people back to.
        roles: (group, role); the first that fits counts.
    """

    issuer: str
    client_id: str
    client_secret: str
    redirect_url: str
    groups_claim: str
    roles: tuple[tuple[str, Role], ...]


class _Pending(msgspec.Struct, frozen=True):
    """What the browser keeps while the person is at the provider."""

    state: str
    nonce: str
    verifier: str
    started_ms: int


class Metadata(msgspec.Struct, frozen=True):
    """OpenID Connect Discovery 1.0 §3, as far as we use it."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class Provider:
    """The provider that the settings name. Blocks while it asks; safe to use from many threads."""

    def __init__(self, settings: OidcSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None
        self._metadata: tuple[int, Metadata] | None = None
        self._keys: tuple[int, Sequence[object]] | None = None

    def begin(self, now_ms: int) -> tuple[str, str]:
        """Where to send the person, and what the browser must keep until then.

        The second is for a cookie that scripts cannot read and that lives ten minutes.

        Raises:
            OidcRefused: the provider cannot be asked.
        """
        metadata = self._described(now_ms)
        state, nonce, verifier = (secrets.token_urlsafe(_SECRET_BYTES) for _ in range(3))
        parameters = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._settings.redirect_url,
            "scope": _SCOPES,
            "state": state,
            "nonce": nonce,
            "code_challenge": _base64(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        url = httpx.URL(metadata.authorization_endpoint).copy_merge_params(parameters)
        return str(url), _base64(msgspec.json.encode(_Pending(state, nonce, verifier, now_ms)))

    def finish(self, pending: str, params: Mapping[str, str], now_ms: int) -> Identity:
        """Whom the provider vouches for, from what it sent back with the person.

        Args:
            pending: what `begin` gave for the browser to keep. params: of the request to the redirect address.

        Raises:
            OidcRefused: this is not the answer to what the browser asked, or not to be trusted, or nobody may come in.
        """
        kept = _read_pending(pending, now_ms)
        if not hmac.compare_digest(params.get("state", "").encode(), kept.state.encode()):
            raise _refused("The answer is not to what this browser asked.", "Sign in again.")
        if params.get("error"):
            raise _refused(f"The OpenID provider refuses: {_word(params['error'])}.", "Sign in again, or ask there.")
        metadata = self._described(now_ms)
        # RFC 9207: an answer of another provider must not be taken for this one's.
        says_who = metadata.authorization_response_iss_parameter_supported or "iss" in params
        if says_who and params.get("iss") != self._settings.issuer:
            raise _refused("The answer comes from another provider.", "Sign in again.")
        tokens = self._exchange(metadata, params.get("code", ""), kept.verifier)
        claims = self._claims(metadata, str(tokens.get("id_token", "")), now_ms)
        settings = self._settings
        check_claims(
            claims, issuer=settings.issuer, client_id=settings.client_id, nonce=kept.nonce, now_s=now_ms // 1000
        )
        groups = groups_of(claims, settings.groups_claim)
        if groups is None:
            more = self._userinfo(metadata, str(tokens.get("access_token", "")), claims["sub"])
            groups = groups_of(more, settings.groups_claim) or frozenset()
            claims = more | claims
        return identity_of(claims, groups, settings.roles)

    def close(self) -> None:
        """Let go of connections; a second call does nothing."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    # What the provider says

    def _described(self, now_ms: int) -> Metadata:
        with self._lock:
            if self._metadata is not None and 0 <= now_ms - self._metadata[0] < _KEPT_MS:
                return self._metadata[1]
            issuer = self._settings.issuer
            answer = self._ask("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            metadata = read_metadata(answer, issuer)
            self._metadata = (now_ms, metadata)
            return metadata

    def _claims(self, metadata: Metadata, id_token: str, now_ms: int) -> dict[str, Any]:
        """The claims of a token that the provider signed; its keys are asked for again where they do not fit."""
        for oldest in (_KEPT_MS, _AGAIN_MS):
            claims = verified_claims(id_token, self._known_keys(metadata, now_ms, oldest))
            if claims is not None:
                return claims
        raise _refused("The OpenID provider did not sign its ID token.", "Sign in again; else check oidc.issuer.")

    def _known_keys(self, metadata: Metadata, now_ms: int, oldest_ms: int) -> Sequence[object]:
        with self._lock:
            if self._keys is None or not 0 <= now_ms - self._keys[0] < oldest_ms:
                found = self._ask("GET", metadata.jwks_uri).get("keys")
                self._keys = (now_ms, found if isinstance(found, list) else [])
            return self._keys[1]

    def _exchange(self, metadata: Metadata, code: str, verifier: str) -> dict[str, Any]:
        settings = self._settings
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": settings.redirect_url,
            "code_verifier": verifier,
        }
        by_header = "client_secret_basic" in metadata.token_endpoint_auth_methods_supported
        if settings.client_secret and by_header:
            user, password = (_form_encoded(part) for part in (settings.client_id, settings.client_secret))
            return self._ask("POST", metadata.token_endpoint, data=form, auth=(user, password))
        form["client_id"] = settings.client_id
        if settings.client_secret:
            form["client_secret"] = settings.client_secret
        return self._ask("POST", metadata.token_endpoint, data=form)

    def _userinfo(self, metadata: Metadata, access_token: str, subject: str) -> dict[str, Any]:
        """More claims (OpenID Connect Core 1.0 §5.3); of this person and nobody else."""
        if not metadata.userinfo_endpoint or not access_token:
            return {}
        found = self._ask("GET", metadata.userinfo_endpoint, headers={"Authorization": f"Bearer {access_token}"})
        if found.get("sub") != subject:
            raise _refused("The OpenID provider answers about somebody else.", "Sign in again.")
        return found

    def _ask(self, method: str, url: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401  # the library's own options
        if self._client is None:
            # The machine's own certificates, so that a provider inside the network can have one of a private authority.
            self._client = httpx.Client(timeout=_TIMEOUT_S, verify=ssl.create_default_context(), trust_env=False)
        body = b""
        headers = {"Accept": "application/json"} | more.pop("headers", {})
        try:
            with self._client.stream(method, url, headers=headers, **more) as answer:
                for part in answer.iter_bytes():
                    body += part
                    if len(body) > _MOST_BYTES:
                        raise _refused("The OpenID provider's answer is too long.", "Check oidc.issuer.")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            fix = "Check oidc.issuer and the network to it."
            raise _refused(f"The OpenID provider cannot be asked: {type(error).__name__}.", fix) from error
        try:
            found = msgspec.json.decode(body)
        except (ValueError, msgspec.DecodeError):
            found = None
        if answer.status_code != httpx.codes.OK:
            said = found.get("error") if isinstance(found, dict) else None
            raise _refused(
                f"The OpenID provider answers {answer.status_code} {_word(said)}".strip() + ".", "Check [oidc]."
            )
        if not isinstance(found, dict):
            raise _refused("The OpenID provider does not answer in JSON.", "Check oidc.issuer.")
        return found


def read_metadata(answer: Mapping[str, Any], issuer: str) -> Metadata:
    """What a provider says of itself, once it is found to be the provider that we mean.

    Raises:
        OidcRefused: it is another one, leaves something out, or would be asked without HTTPS although it has it.
    """
    try:
        metadata = msgspec.convert(answer, Metadata)
    except msgspec.ValidationError as error:
        raise _refused("The OpenID provider's description lacks what is needed.", "Check oidc.issuer.") from error
    if metadata.issuer != issuer:
        raise _refused("The OpenID provider calls itself by another name.", "Set oidc.issuer as it does.")
    places = (metadata.authorization_endpoint, metadata.token_endpoint, metadata.jwks_uri, metadata.userinfo_endpoint)
    if issuer.startswith("https:") and not all(place.startswith("https:") for place in places if place):
        raise _refused("The OpenID provider names addresses without HTTPS.", "Have them corrected there.")
    return metadata


def _read_pending(text: str, now_ms: int) -> _Pending:
    try:
        kept = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=_Pending)
    except (ValueError, msgspec.DecodeError) as error:
        raise _refused("This browser has not begun to sign in.", "Sign in again; cookies must be allowed.") from error
    if not 0 <= now_ms - kept.started_ms < _PENDING_MS:
        raise _refused("Signing in took too long.", "Sign in again.")
    return kept


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _form_encoded(text: str) -> str:
    """RFC 6749 §2.3.1: client id and secret are form-encoded before they go into the header."""
    return str(httpx.QueryParams({"x": text}))[2:]


def _word(text: object) -> str:
    """What a provider calls its error, as far as it is fit to be repeated."""
    return "".join(c for c in str(text or "") if c.isalnum() or c in "_-")[:_LONGEST_WORD]


def _refused(what: str, fix: str) -> OidcRefused:
    return OidcRefused("provider", what, fix=fix)
