"""Keys, people and codes to test with. Seeded: the same in every run."""

from __future__ import annotations

import random

import msgspec

from hutong.codes.claims import Claims
from hutong.codes.keys import KeySet, SigningKey, write_key_set
from hutong.codes.minting import Bundle, Pace, mint
from hutong.codes.revocation import Revocations, Revoked, no_revocations, read_news, write_news
from hutong.codes.verification import Trust

NOW = 1_772_416_800_000  # 2026-03-02T02:00:00Z
HOUR = 3_600_000
DAY = 24 * HOUR
ISSUER = "xian"
PACE = Pace(step_s=300, early_s=60, late_s=60, count=12)

_random = random.Random(6)
ROOT = SigningKey("EdDSA", _random.randbytes(32), 0, 1 << 52)
KEY = SigningKey("EdDSA", _random.randbytes(32), NOW - DAY, NOW + 90 * DAY)
ES_KEY = SigningKey("ES256", _random.randbytes(32), NOW - DAY, NOW + 90 * DAY)
OTHER_KEY = SigningKey("EdDSA", _random.randbytes(32), NOW - DAY, NOW + 90 * DAY)


def claims(**changes: object) -> Claims:
    """Of Wang, green, at NOW."""
    made = Claims(
        issuer=ISSUER,
        issued_ms=NOW,
        not_before_ms=NOW,
        expires_ms=NOW + HOUR,
        id=b"\1" * 8,
        who=b"\2" * 12,
        handle=b"\3" * 8,
        kind="own",
        name="王*",
        tail="1X",
        colour="green",
        as_of_ms=NOW - HOUR,
    )
    return msgspec.structs.replace(made, **changes)


def bundle(key: SigningKey = KEY, pace: Pace = PACE, **changes: object) -> Bundle:
    """Signed at NOW; ids follow from the handle."""
    it = claims(**changes)
    return mint(it, pace, key, random.Random(it.handle).randbytes(8 * pace.count))


def key_set(made_ms: int = NOW) -> KeySet:
    return write_key_set(ISSUER, [KEY.public, ES_KEY.public], ROOT, made_ms)


def trust(made_ms: int = NOW) -> Trust:
    return Trust([key_set(made_ms)])


def revoked(*handles: bytes, made_ms: int = NOW, until_ms: int = NOW + DAY) -> dict[str, Revocations]:
    """The issuer's list with these handles in it."""
    entries = [Revoked(NOW + at, handle, until_ms) for at, handle in enumerate(handles, 1)]
    news = read_news(write_news(ISSUER, 0, NOW + len(handles), entries, KEY, made_ms), [key_set()])
    return {ISSUER: no_revocations(ISSUER).applied(news)}
