"""Keys that codes are signed and verified with, and the key set that verifiers keep. Pure: no file, no clock.

A key's id is the beginning of a hash over its raw form: 32 bytes of an Ed25519 key (RFC 8032 §5.1.5), 65 of an
uncompressed point on P-256 (SEC 1 §2.3.3). A key set is signed by the node's root key; whoever has one set knows the
root, and takes further sets from nobody else.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Final, Literal, get_args

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from nacl.bindings import crypto_sign, crypto_sign_seed_keypair

from hutong.codes import signatures
from hutong.codes.signed import SignedError, body_of, read_message, write_signed
from hutong.protocols import cose

if TYPE_CHECKING:
    from collections.abc import Sequence

Algorithm = Literal["EdDSA", "ES256"]
ALGORITHMS: Final[tuple[Algorithm, ...]] = get_args(Algorithm)
KID_BYTES: Final = 8
SECRET_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
KEY_SET: Final = "application/hutong-key-set+cbor"
#: A clock that is set right may still be so far from another.
CLOCK_TOLERANCE_MS: Final = 120_000
#: Order of P-256's base point (SEC 2 §2.4.2): secrets are below it.
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_HALF: Final = SIGNATURE_BYTES // 2


def kid_of(public: bytes) -> bytes:
    """The id of a key in its raw form."""
    return sha256(public).digest()[:KID_BYTES]


class PublicKey(msgspec.Struct, frozen=True):
    """A key that codes are verified with.

    Attributes:
        algorithm: of its signatures. raw: the key, in its raw form.
        not_before_ms: it signed no code earlier. not_after_ms: none that it signed lasts longer.
    """

    algorithm: Algorithm
    raw: bytes
    not_before_ms: int
    not_after_ms: int

    @property
    def kid(self) -> bytes:
        """Its id, 8 bytes."""
        return kid_of(self.raw)

    @property
    def number(self) -> int:
        """The number of its algorithm (RFC 9053 §2)."""
        return signatures.ALGORITHMS[self.algorithm]

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether this key signed the message."""
        return signatures.verify_signature(self.algorithm, self.raw, message, signature)


class SigningKey:
    """A key that signs codes.

    Args:
        algorithm: EdDSA (RFC 8032) or ES256 (RFC 9053 §2.1). secret: 32 bytes; for ES256 a number from 1 to the order.
        not_before_ms: from when it signs. not_after_ms: until when what it signed may last.
    """

    def __init__(self, algorithm: Algorithm, secret: bytes, not_before_ms: int, not_after_ms: int) -> None:
        if algorithm == "EdDSA":
            raw, self._expanded = crypto_sign_seed_keypair(secret)
            self._sign = self._sign_eddsa
        else:
            # Any 32 random bytes make a secret: the bias is below 2^-32, and nobody's signature leaks it.
            number = int.from_bytes(secret) % (_P256_ORDER - 1) + 1
            self._ec = ec.derive_private_key(number, ec.SECP256R1())
            raw = self._ec.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            self._sign = self._sign_es256
        self.public = PublicKey(algorithm, raw, not_before_ms, not_after_ms)
        self.kid = self.public.kid

    @property
    def algorithm(self) -> Algorithm:
        """Of its signatures."""
        return self.public.algorithm

    @property
    def not_before_ms(self) -> int:
        """From when it signs."""
        return self.public.not_before_ms

    @property
    def not_after_ms(self) -> int:
        """Until when what it signed may last."""
        return self.public.not_after_ms

    def sign(self, message: bytes) -> bytes:
        """The signature of a message, 64 bytes."""
        return self._sign(message)

    def _sign_eddsa(self, message: bytes) -> bytes:
        return crypto_sign(message, self._expanded)[:SIGNATURE_BYTES]

    def _sign_es256(self, message: bytes) -> bytes:
        r, s = decode_dss_signature(self._ec.sign(message, _SHA256))
        return r.to_bytes(_HALF) + s.to_bytes(_HALF)


_SHA256: Final = ec.ECDSA(hashes.SHA256())


class _Listed(msgspec.Struct, frozen=True):
    alg: Literal[-8, -7]
    key: Annotated[bytes, msgspec.Meta(max_length=65)]
    nbf: Annotated[int, msgspec.Meta(ge=0)]
    exp: Annotated[int, msgspec.Meta(ge=0)]


class _Body(msgspec.Struct, frozen=True):
    """A key set as it is written; times in whole seconds, as in codes."""

    iss: str
    iat: Annotated[int, msgspec.Meta(ge=0)]
    root: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    keys: list[dict[str, int | bytes]]


class KeySet(msgspec.Struct, frozen=True):
    """The keys of one issuer, as verifiers keep them.

    Attributes:
        issuer: the node's name. made_ms: when the set was signed; its age is told with every verdict.
        root: the Ed25519 key that signed it, raw. document: as it was signed.
        keys: the next one, the one that signs, and older ones whose codes last.
    """

    issuer: str
    made_ms: int
    root: bytes
    keys: tuple[PublicKey, ...]
    document: bytes = b""

    def key(self, kid: bytes) -> PublicKey | None:
        """The key of an id."""
        return next((it for it in self.keys if it.kid == kid), None)


def write_key_set(issuer: str, keys: Sequence[PublicKey], root: SigningKey, now_ms: int) -> KeySet:
    """A key set, signed by the root; times are whole seconds.

    Raises:
        ValueError: the root is no Ed25519 key.
    """
    if root.algorithm != "EdDSA":
        raise ValueError("a key set is signed with Ed25519")
    listed: list[dict[str, int | bytes]] = [
        {"alg": it.number, "key": it.raw, "nbf": it.not_before_ms // 1000, "exp": it.not_after_ms // 1000}
        for it in keys
    ]
    return read_key_set(write_signed(KEY_SET, _Body(issuer, now_ms // 1000, root.public.raw, listed), root))


def read_key_set(data: bytes, known: KeySet | None = None) -> KeySet:
    """A key set that its root signed.

    Args:
        known: the set that is kept already; the new one must have its issuer and its root, and be as new. None for the
            first one, which must have come from where it can be trusted.

    Raises:
        SignedError: it is none, it is older, or another root signed it.
    """
    message = read_message(KEY_SET, data)
    body = body_of(KEY_SET, message, _Body)
    root = PublicKey("EdDSA", body.root, 0, 0)
    if not root.verify(cose.to_be_signed(message.protected, message.payload), message.signature):
        raise SignedError("Its root did not sign it.", where=KEY_SET, fix="Fetch it again.")
    names = {signatures.ALGORITHMS[name]: name for name in ALGORITHMS}
    try:
        listed = msgspec.convert(body.keys, list[_Listed])
    except msgspec.ValidationError as error:
        raise SignedError(f"It is not of the right form: {error}.", where=KEY_SET) from error
    keys = tuple(PublicKey(names[it.alg], it.key, it.nbf * 1000, it.exp * 1000) for it in listed)
    found = KeySet(body.iss, body.iat * 1000, body.root, keys, data)
    if known is not None and (found.issuer, found.root) != (known.issuer, known.root):
        raise SignedError(
            "Another root signed it than the set that is kept.",
            where=KEY_SET,
            fix="If the issuer's root was replaced, take the new set in by hand.",
        )
    if known is not None and found.made_ms < known.made_ms:
        raise SignedError("It is older than the set that is kept.", where=KEY_SET, fix="Fetch it again.")
    return found
