"""Codes: signed, drawn and verified a second, beside what the libraries under them do alone. `python -m bench codes`.

One core, one thread. Contestants take turns, round after round; a share is the median of the rounds' shares.
"""

from __future__ import annotations

import io
import os
import time
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import cbor2
import segno
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair

from bench.tables import table
from hutong.codes import qr
from hutong.codes.claims import Claims, told_claims
from hutong.codes.keys import SigningKey, write_key_set
from hutong.codes.minting import Pace, mint
from hutong.codes.revocation import Revoked, no_revocations, read_news, write_news
from hutong.codes.seen import Seen
from hutong.codes.verification import Trust, verify
from hutong.protocols import cwt

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.codes.keys import Algorithm

ROUNDS = 7
SECONDS = 0.4
REVOKED = 1_000_000
_NOW = 1_772_416_800_000
_DAY = 86_400_000
_PACE = Pace(step_s=300, early_s=60, late_s=60, count=288)


class Contest(NamedTuple):
    """What is measured: its name, and by contestant what does it once and how often that counts; the first is ours."""

    what: str
    work: dict[str, tuple[Callable[[], object], int]]


def codes_table(rounds: int = ROUNDS, seconds: float = SECONDS) -> str:
    """The table of `python -m bench codes`."""
    rows = []
    for contest in contests():
        runs = {name: list[float]() for name in contest.work}
        for work, _ in contest.work.values():
            work()  # tables and caches are made
        for _ in range(rounds):
            for name, (work, counts) in contest.work.items():
                runs[name].append(_rate(work, counts, seconds))
        ours = next(iter(runs))
        for name, rates in runs.items():
            shares = [mine / theirs for mine, theirs in zip(runs[ours], rates, strict=True)]
            share = "" if name == ours else f"{median(shares):.2f} ({min(shares):.2f} – {max(shares):.2f})"
            spread = f"{min(rates):,.0f} – {max(rates):,.0f}"
            rows.append((contest.what, name, f"{median(rates):,.0f}", spread, share))
    return table(("what", "by", "a second", "min – max", "hutong × this"), rows)


def contests() -> list[Contest]:
    """What is measured."""
    return [*(_signing(algorithm) for algorithm in ("EdDSA", "ES256")), _drawing("SVG"), _drawing("PNG"), *_verifying()]


def _signing(algorithm: Algorithm) -> Contest:
    key, claims = _key(algorithm), _claims()
    bundle = mint(claims, _PACE, key, os.urandom(8 * _PACE.count))
    message, token = bundle.message(0), told_claims(claims)
    _, secret = crypto_sign_seed_keypair(bytes(32))
    header = {1: key.public.number, 4: key.kid}

    def one_by_one() -> bytes:
        payload, protected = cwt.write_claims(token), cbor2.dumps(header)
        signature = key.sign(cbor2.dumps(["Signature1", protected, b"", payload]))
        return cbor2.dumps(cbor2.CBORTag(18, [protected, {}, payload, signature]))

    limits: dict[str, tuple[Callable[[], object], int]]
    if algorithm == "EdDSA":
        other = ed25519.Ed25519PrivateKey.generate()
        limits = {
            "PyNaCl, signature alone": (lambda: crypto_sign(message, secret), 1),
            "cryptography, signature alone": (lambda: other.sign(message), 1),
        }
    else:
        curve, sha = ec.generate_private_key(ec.SECP256R1()), ec.ECDSA(hashes.SHA256())
        limits = {"cryptography, signature alone": (lambda: curve.sign(message, sha), 1)}
    work = lambda: mint(claims, _PACE, key, os.urandom(8 * _PACE.count))  # noqa: E731
    return Contest(
        f"codes signed, {algorithm}",
        {"hutong, bundles of 288": (work, _PACE.count), "each through CBOR": (one_by_one, 1), **limits},
    )


def _drawing(form: str) -> Contest:
    text = mint(_claims(), _PACE, _key("EdDSA"), os.urandom(8 * _PACE.count)).text(0)

    def library() -> bytes:
        out = io.BytesIO()
        made = segno.make(text, error="M", micro=False, boost_error=False)
        made.save(out, kind=form.lower())
        return out.getvalue()

    ours = (lambda: qr.svg(qr.matrix(text))) if form == "SVG" else (lambda: qr.png(qr.matrix(text)))
    masked = lambda: segno.make(text, error="M", mode="alphanumeric", mask=qr.MASK, micro=False, boost_error=False)  # noqa: E731
    return Contest(
        f"QR codes as {form}",
        {"hutong": (ours, 1), "segno": (library, 1), "segno, one mask, not drawn": (masked, 1)},
    )


def _verifying() -> list[Contest]:
    found = []
    for algorithm in ("EdDSA", "ES256"):
        key = _key(algorithm)
        bundle = mint(_claims(), _PACE, key, os.urandom(8 * _PACE.count))
        text, message = bundle.text(0), bundle.message(0)
        trust = Trust([write_key_set("bench", [key.public], _key("EdDSA"), _NOW)])
        entries = [Revoked(at + 1, (at << 20).to_bytes(8), _NOW + _DAY) for at in range(REVOKED)]
        news = read_news(write_news("bench", 0, REVOKED, entries, key, _NOW), trust.key_sets)
        lists, seen = {"bench": no_revocations("bench").applied(news)}, Seen("gate")
        assert verify(text, trust, lists, seen, _NOW).is_valid  # noqa: S101  # a figure of something else is none
        found.append(
            Contest(
                f"codes verified, {algorithm}",
                {
                    "hutong, 1 million revoked": (_verifier(text, trust, lists, seen), 1),
                    **_bare_verifiers(algorithm, message),
                },
            )
        )
    return found


def _verifier(text: str, trust: Trust, lists: dict[str, object], seen: Seen) -> Callable[[], object]:
    return lambda: verify(text, trust, lists, seen, _NOW)


def _bare_verifiers(algorithm: Algorithm, message: bytes) -> dict[str, tuple[Callable[[], object], int]]:
    if algorithm == "ES256":
        curve, sha = ec.generate_private_key(ec.SECP256R1()), ec.ECDSA(hashes.SHA256())
        der, point = curve.sign(message, sha), curve.public_key()
        return {"cryptography, signature alone": (lambda: point.verify(der, message, sha), 1)}
    public, secret = crypto_sign_seed_keypair(bytes(32))
    signed, other = crypto_sign(message, secret), ed25519.Ed25519PrivateKey.generate()
    signature, verifying = other.sign(message), other.public_key()
    return {
        "PyNaCl, signature alone": (lambda: crypto_sign_open(signed, public), 1),
        "cryptography, signature alone": (lambda: verifying.verify(signature, message), 1),
    }


def _key(algorithm: Algorithm) -> SigningKey:
    return SigningKey(algorithm, bytes(range(32)), _NOW - _DAY, _NOW + 90 * _DAY)


def _claims() -> Claims:
    return Claims(
        issuer="bench",
        issued_ms=_NOW,
        not_before_ms=_NOW,
        expires_ms=_NOW + _DAY,
        id=bytes(8),
        who=bytes(12),
        handle=b"\xff" * 8,
        kind="own",
        name="王*",
        tail="1X",
        colour="green",
        as_of_ms=_NOW,
    )


def _rate(work: Callable[[], object], counts: int, seconds: float) -> float:
    done, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        for _ in range(8):
            work()
        done += 8 * counts
    return done / spent
