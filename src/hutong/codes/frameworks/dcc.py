"""Judges an EU Digital COVID Certificate: form, signer, signature, what the signer may sign, term, content.

Electronic Health Certificate Specification (HCERT) 1.0.7 §3 and §6.3, and the rules of `certificate`. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from hutong.codes.frameworks.certificate import Certificate, faults, read_certificate
from hutong.codes.frameworks.errors import DccError
from hutong.codes.frameworks.hc1 import read_hc1
from hutong.codes.frameworks.signers import Signer  # noqa: TC001  # msgspec reads the annotation
from hutong.codes.signatures import ALGORITHMS, verify_signature
from hutong.protocols import base45, cose, cwt
from hutong.protocols.cbor import known_tags
from hutong.protocols.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

    Signers = Mapping[bytes, tuple[Signer, ...]]

#: Claims: the health certificate, and within it the EU's first version.
HCERT, EU_V1 = -260, 1
_DATE_TEXT = 0

_LAYERS: dict[type[Exception], str] = {
    base45.Base45Error: "base45",
    cose.CoseError: "message",
    cwt.CwtError: "claims",
}

DccVerdict = Literal["valid", "expired", "not-yet-valid", "forged", "unknown-key", "malformed"]


def _date_text(value: object) -> object:
    """A date that its issuer tagged as one (RFC 8949 §3.4.1): the schema asks for its text."""
    if not isinstance(value, str):
        raise ValueError("a tagged date is a text")  # noqa: TRY004  # what `known_tags` asks for
    return value


_TAGS = known_tags({_DATE_TEXT: _date_text})


class Token(msgspec.Struct, frozen=True):
    """A token that was read; nothing of it is verified."""

    message: cose.Sign1
    claims: cwt.Claims
    content: object


class Judgement(msgspec.Struct, frozen=True):
    """What came of a text.

    Attributes:
        verdict: in the words of our own codes.
        why: the layer that decided: prefix, base45, compression, message, claims, key, signature, usage, term, content.
        detail: what was wrong there; empty where nothing was. Of the content, each fault as "member: what", with "; "
            between them.
        signer: whose signature holds; None where none does.
        claims: what was signed; None where no signature holds.
        certificate: what it says; None unless its structure is right as well.
    """

    verdict: DccVerdict
    why: str
    detail: str = ""
    signer: Signer | None = None
    claims: cwt.Claims | None = None
    certificate: Certificate | None = None


def read_token(data: bytes) -> Token:
    """Read a signed message down to its content.

    Raises:
        ProtocolError: it is no COSE_Sign1 message, or its payload no claims.
        DccError: there is no health certificate among its claims.
    """
    message = cose.read_sign1(data)
    claims = cwt.read_claims(message.payload, _TAGS)
    return Token(message, claims, content_of(claims))


def content_of(claims: cwt.Claims) -> object:
    """The certificate's content among the claims.

    Raises:
        DccError: there is none.
    """
    found = claims.private.get(HCERT)
    if not isinstance(found, dict) or EU_V1 not in found:
        raise DccError("There is no health certificate of the EU's first version in it.", where="claims")
    return found[EU_V1]


def signer_of(message: cose.Sign1, signers: Signers) -> Signer | None:
    """Who signed a message: of all that have the key identifier, the first whose signature it is (HCERT §3.3.3).

    The algorithm is the key's own. A message that names another is nobody's.
    """
    signed = cose.to_be_signed(message.protected, message.payload)
    for signer in signers.get(message.kid or b"", ()):
        named = message.algorithm == ALGORITHMS[signer.algorithm]
        if named and verify_signature(signer.algorithm, signer.key, signed, message.signature):
            return signer
    return None


def term_fault(claims: cwt.Claims, now_s: float) -> tuple[DccVerdict, str] | None:
    """What is wrong with the time (HCERT §3.3.5, §3.3.6); None where nothing is.

    "Issued At" and "Expiration Time" must both stand there; the certificate is good from the one to the other, both
    included: a verifier refuses it after its end.
    """
    if claims.iat is None or claims.exp is None:
        return "malformed", "The claims say no time of issue or no end."
    if now_s < claims.iat:
        return "not-yet-valid", "It is issued later than now."
    if now_s > claims.exp:
        return "expired", "It has expired."
    return None


def _outlasts(claims: cwt.Claims, signer: Signer) -> bool:
    """Whether a certificate begins before its signer's term, or ends after it, which no issuer may let happen."""
    if claims.iat is None or claims.exp is None:
        return False
    return claims.iat < signer.not_before_s or claims.exp > signer.not_after_s


def judge(text: str, signers: Signers, now_s: float) -> Judgement:
    """Judge a text.

    Args:
        text: as the QR code holds it.
        signers: the trust list (`signers.by_kid`).
        now_s: seconds since 1970.
    """
    try:
        token = read_token(read_hc1(text))
    except (ProtocolError, DccError) as error:
        return Judgement("malformed", _LAYERS.get(type(error), error.where), str(error))
    if (token.message.kid or b"") not in signers:
        return Judgement("unknown-key", "key", "No signer of that name is on the trust list.")
    signer = signer_of(token.message, signers)
    if signer is None:
        return Judgement("forged", "signature", "The signature is not that of the signer it names.")
    return _judge_signed(token, signer, now_s)


def _judge_signed(token: Token, signer: Signer, now_s: float) -> Judgement:
    try:
        certificate = read_certificate(token.content)
    except DccError as error:
        return Judgement("malformed", "content", f"structure: {error.what}", signer, token.claims)
    verdict: DccVerdict = "valid"
    why, detail = "content", ""
    if not certificate.kinds <= signer.usages:
        verdict, why, detail = "unknown-key", "usage", "The signer may not sign this kind of entry."
    elif wrong := term_fault(token.claims, now_s):
        verdict, why, detail = wrong[0], "term", wrong[1]
    elif _outlasts(token.claims, signer):
        verdict, why, detail = "unknown-key", "usage", "It begins or ends outside its signer's term."
    elif broken := faults(certificate, token.claims.iat):
        verdict, detail = "malformed", "; ".join(broken)
    return Judgement(verdict, why, detail, signer, token.claims, certificate)
