"""CBOR Web Token claims (RFC 8392 §3): the payload of a signed code to checked `Claims` and back.

Whether a claim is true, or still true, is not judged here; nor is the signature around it (`protocols.cose`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from hutong.protocols.cbor import NO_TAGS, read_cbor, write_cbor
from hutong.protocols.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hutong.protocols.cbor import Untag

# Claim keys of RFC 8392 §4.
ISS, SUB, AUD, EXP, NBF, IAT, CTI = 1, 2, 3, 4, 5, 6, 7

#: Longest claims, bytes.
MAX_CLAIMS = 16_384
#: How deep a claim may nest.
MAX_DEPTH = 8
#: Last moment of the year 9999, seconds since 1970: no later time can be shown to anyone.
MAX_TIME = 253_402_300_799

_FIELDS = {ISS: "iss", SUB: "sub", AUD: "aud", EXP: "exp", NBF: "nbf", IAT: "iat", CTI: "cti"}


class CwtError(ProtocolError):
    """Bytes that are no acceptable claims, or claims that cannot be written; `where` is the claim."""


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says. A claim that it does not make is None.

    Attributes:
        iss: issuer.
        sub: subject.
        aud: audience.
        exp: from when it is not accepted any more, seconds since 1970 (as for nbf and iat; maybe a fraction).
        nbf: from when it is accepted.
        iat: when it was issued.
        cti: the token's own identifier.
        private: every other claim by its key.
    """

    iss: str | None = None
    sub: str | None = None
    aud: str | None = None
    exp: int | float | None = None
    nbf: int | float | None = None
    iat: int | float | None = None
    cti: bytes | None = None
    private: dict[int | str, Any] = msgspec.field(default_factory=dict)


def read_claims(payload: bytes, tags: Mapping[int, Untag] = NO_TAGS) -> Claims:
    """Read the payload of a token.

    Args:
        payload: the claims as CBOR.
        tags: as `read_cbor` takes them; the claims of RFC 8392 need none.

    Raises:
        CwtError: more than MAX_CLAIMS bytes, nested deeper than MAX_DEPTH, a claim twice, a claim of the wrong type, a
            time outside the years 1970 to 9999.
    """
    found = read_cbor(payload, "claims", CwtError, most=MAX_CLAIMS, depth=MAX_DEPTH, tags=tags)
    if not isinstance(found, dict):
        raise CwtError("Claims are a map.", where="claims")
    known: dict[str, Any] = {}
    private: dict[int | str, Any] = {}
    for key, value in found.items():
        # True and 1.0 are equal to 1, and would pass for the issuer.
        if type(key) is not int and type(key) is not str:
            raise CwtError(f"{key!r} is no claim key.", where="claims")
        name = _FIELDS.get(key)  # type: ignore[arg-type]  # a text is not among them
        if name is None:
            private[key] = value
        else:
            known[name] = _checked(name, value)
    return Claims(**known, private=private)


def _checked(name: str, value: object) -> object:
    if name in {"exp", "nbf", "iat"}:
        good = type(value) in {int, float} and math.isfinite(value) and 0 <= value <= MAX_TIME  # type: ignore[arg-type,operator]
        kind = "a number of seconds between the years 1970 and 9999"
    elif name == "cti":
        good, kind = isinstance(value, bytes), "a byte string"
    else:
        good, kind = isinstance(value, str), "a text"
    if not good:
        raise CwtError(f"It is not {kind}.", where=name)
    return value


def write_claims(claims: Claims) -> bytes:
    """Write the payload of a token; equal claims give equal bytes.

    Raises:
        CwtError: claims that `read_claims` would refuse.
    """
    said: dict[int | str, object] = {}
    for key, name in _FIELDS.items():
        value = getattr(claims, name)
        if value is not None:
            said[key] = _checked(name, value)
    for other in claims.private:
        if other in _FIELDS or type(other) not in {int, str}:
            raise CwtError(f"{other!r} is no key of a private claim.", where="claims")
    return write_cbor(said | claims.private, "claims", CwtError, most=MAX_CLAIMS)
