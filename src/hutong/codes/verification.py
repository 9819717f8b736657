"""Verifies codes offline: `verify` is pure, and all that it knows is passed in.

What is checked, in this order; the first that fails is the verdict: form, key, signature, claims, the key's term, the
verifier's own clock, the code's window, revocation, copies. A verdict is told with its reasons and with how fresh the
keys and the revocation list are. Codes of other issuing schemes are judged by a `Framework` under the same function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from hutong.codes.claims import PREFIX, ClaimError, Claims, checked
from hutong.codes.keys import CLOCK_TOLERANCE_MS
from hutong.codes.outcome import USES, Outcome, Reason, Verdict, Warning_
from hutong.protocols import base45, cose, cwt
from hutong.protocols.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from hutong.codes.keys import KeySet, PublicKey
    from hutong.codes.seen import Seen

_HOUR_MS: Final = 3_600_000
#: Longer than any code of ours.
LONGEST_TEXT: Final = 2_000


class Framework(Protocol):
    """Another scheme of signed codes, told by the beginning of its text."""

    prefix: str

    def judge(self, text: str, now_ms: int) -> Outcome:
        """What comes of a code with this prefix."""


class RevocationList(Protocol):
    """What is known of an issuer's revocations: `Revocations`, or whoever can look a bundle up."""

    @property
    def made_ms(self) -> int:
        """As of when it stands."""

    @property
    def floor_ms(self) -> int:
        """No clock that shows less may be judged by."""

    def __contains__(self, handle: bytes) -> bool:
        """Whether a bundle is revoked."""


class Limits(msgspec.Struct, frozen=True):
    """From which age on a warning stands beside the verdict, ms: of keys, of the revocation list, of the colour."""

    keys_ms: int = 7 * 24 * _HOUR_MS
    revocations_ms: int = 24 * _HOUR_MS
    colour_ms: int = 48 * _HOUR_MS


class Trust:
    """Whom a verifier trusts.

    Args:
        key_sets: of the issuers. limits: what is stale. frameworks: other schemes.
    """

    def __init__(
        self,
        key_sets: Iterable[KeySet] = (),
        limits: Limits = Limits(),  # noqa: B008  # frozen
        frameworks: Iterable[Framework] = (),
    ) -> None:
        self.key_sets = tuple(key_sets)
        self.limits, self.frameworks = limits, tuple(frameworks)
        self._keys = {key.kid: (key, each) for each in self.key_sets for key in each.keys}

    def key(self, kid: bytes) -> tuple[PublicKey, KeySet] | None:
        """The key of an id, and the set that it is in."""
        return self._keys.get(kid)

    @property
    def oldest_ms(self) -> int:
        """When the oldest of the key sets was made; 0 without one."""
        return min((it.made_ms for it in self.key_sets), default=0)


class _Refused(Exception):  # noqa: N818  # ends the checks, and never leaves this module
    def __init__(self, verdict: Verdict, word: str, **values: str | int) -> None:
        super().__init__(word)
        self.verdict, self.reason = verdict, Reason(word, values)


def verify(
    text: str, trust: Trust, revocations: Mapping[str, RevocationList], seen: Seen | None, now_ms: int
) -> Outcome:
    """Judge one code.

    Args:
        text: as the QR code holds it. trust: keys and schemes.
        revocations: by issuer; an issuer's list may be missing, which is warned of.
        seen: what this verifier has seen; None where copies are not looked for. Nothing is noted there: call
            `seen.note(outcome, now_ms)` once the code was acted on.
        now_ms: the time here, corrected by what is known of the clock (`station_clock`).
    """
    text = text.strip()
    for framework in trust.frameworks:
        if text.startswith(framework.prefix):
            return framework.judge(text, now_ms)
    claims, key_set = None, None
    try:
        message = _message(text)
        key, key_set = _key(message, trust)
        claims = _claims(message, key, key_set)
        revoked = revocations.get(claims.issuer)
        _check_clock(claims, key_set, revoked, now_ms)
        _check_window(claims, seen, now_ms)
        _check_revoked(claims, revoked)
        copied = None if seen is None else seen.judge(claims, now_ms)
        verdict, reason = copied or ("valid", Reason("valid_until", {"at": claims.expires_ms}))
    except _Refused as refused:
        verdict, reason = refused.verdict, refused.reason
    found = list(_warnings(claims, key_set, trust, revocations, now_ms))
    return Outcome(
        verdict=verdict,
        reasons=(reason, *(it for _, it in found)),
        warnings=tuple(it for it, _ in found),
        claims=claims,
        uses=USES[claims.kind] if verdict == "valid" and claims is not None else (),
        keys_made_ms=key_set.made_ms if key_set else trust.oldest_ms,
        revocations_made_ms=revocations[claims.issuer].made_ms if claims and claims.issuer in revocations else 0,
    )


def _message(text: str) -> cose.Sign1:
    if not text.startswith(PREFIX):
        raise _Refused("malformed", "no_prefix")
    if len(text) > LONGEST_TEXT:
        raise _Refused("malformed", "too_long")
    try:
        return cose.read_sign1(base45.decode(text[len(PREFIX) :]))
    except base45.Base45Error:
        raise _Refused("malformed", "not_base45") from None
    except ProtocolError:
        raise _Refused("malformed", "not_cose") from None


def _key(message: cose.Sign1, trust: Trust) -> tuple[PublicKey, KeySet]:
    kid = message.protected_headers.get(cose.KEY_ID)
    found = trust.key(kid) if isinstance(kid, bytes) else None
    if found is None:
        raise _Refused("unknown-key", "unknown_key", kid=kid.hex() if isinstance(kid, bytes) else "-")
    return found


def _claims(message: cose.Sign1, key: PublicKey, key_set: KeySet) -> Claims:
    """What the code says, once its key signed it and may say so.

    Only the protected header counts: the other one is not signed, and no code of ours has anything in it.
    """
    if message.protected_headers.get(cose.ALGORITHM) != key.number or message.unprotected:
        raise _Refused("forged", "other_header")
    if not key.verify(cose.to_be_signed(message.protected, message.payload), message.signature):
        raise _Refused("forged", "bad_signature")
    try:
        claims = checked(cwt.read_claims(message.payload))
    except (ProtocolError, ClaimError) as error:
        raise _Refused("malformed", "bad_claims", claim=error.where or "-") from None
    if claims.issuer != key_set.issuer or cose.CONTENT_TYPE in message.protected_headers:
        raise _Refused("forged", "other_issuer", issuer=claims.issuer)
    if claims.issued_ms < key.not_before_ms - CLOCK_TOLERANCE_MS or claims.expires_ms > key.not_after_ms:
        raise _Refused("unknown-key", "key_term", kid=key.kid.hex())
    return claims


def _check_clock(claims: Claims, key_set: KeySet, revoked: RevocationList | None, now_ms: int) -> None:
    """What was signed already cannot lie ahead: then this clock is behind."""
    floors = [("clock_keys", key_set.made_ms), ("clock_code", claims.issued_ms)]
    if revoked is not None:
        floors.append(("clock_list", revoked.floor_ms))
    for word, floor_ms in floors:
        if now_ms < floor_ms - CLOCK_TOLERANCE_MS:
            values = {"now": now_ms, "at": floor_ms}
            raise _Refused("clock-wrong", word, **values)


def _check_window(claims: Claims, seen: Seen | None, now_ms: int) -> None:
    if claims.not_before_ms <= now_ms < claims.expires_ms:
        return
    error_ms = 0 if seen is None else seen.clock_error_ms()
    if now_ms >= claims.expires_ms:
        if error_ms > 0:
            raise _Refused("clock-wrong", "clock_ahead", minutes=-(-error_ms // 60_000))
        raise _Refused("expired", "expired", at=claims.expires_ms)
    if error_ms < 0:
        raise _Refused("clock-wrong", "clock_behind", minutes=-(error_ms // 60_000))
    raise _Refused("not-yet-valid", "not_yet", at=claims.not_before_ms)


def _check_revoked(claims: Claims, revoked: RevocationList | None) -> None:
    if revoked is not None and claims.handle in revoked:
        raise _Refused("revoked", "revoked")


def _warnings(
    claims: Claims | None,
    key_set: KeySet | None,
    trust: Trust,
    revocations: Mapping[str, RevocationList],
    now_ms: int,
) -> Iterator[tuple[Warning_, Reason]]:
    made_ms = key_set.made_ms if key_set else trust.oldest_ms
    if made_ms and now_ms - made_ms > trust.limits.keys_ms:
        yield "stale-keys", Reason("stale_keys", {"at": made_ms})
    if claims is None:
        return
    revoked = revocations.get(claims.issuer)
    if revoked is None:
        yield "no-revocations", Reason("no_revocations")
    elif now_ms - revoked.made_ms > trust.limits.revocations_ms:
        yield "stale-revocations", Reason("stale_revocations", {"at": revoked.made_ms})
    if claims.kind == "paper":
        yield "paper", Reason("paper")
    elif claims.as_of_ms is not None and now_ms - claims.as_of_ms > trust.limits.colour_ms:
        yield "old-colour", Reason("old_colour", {"at": claims.as_of_ms})
