"""Signature algorithms of codes: public keys from their bytes, and whether a signature is one.

Nothing here chooses a key or trusts one. The algorithm comes from the key's own record; what a message says of it is
compared there, never believed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from nacl.exceptions import BadSignatureError, CryptoError
from nacl.signing import VerifyKey

from hutong.kernel.errors import CodecError
from hutong.protocols import cose

Algorithm = Literal["EdDSA", "ES256", "PS256"]
VerifyingKey = VerifyKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey

#: RFC 9053 §2 and RFC 8230 §2: how a message names each algorithm.
ALGORITHMS: dict[Algorithm, int] = {"EdDSA": cose.EDDSA, "ES256": cose.ES256, "PS256": cose.PS256}

#: Bytes of each half of an ES256 signature.
_HALF = 32
#: Bits of an RSA modulus: RFC 8230 §6.1 asks for the first; a longer one than the last costs more than a code is worth.
RSA_BITS = (2048, 4096)
_ECDSA = ec.ECDSA(SHA256())
_PSS = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=SHA256.digest_size)
_SHA256 = SHA256()
_KEYS_KEPT = 1024


def read_public_key(algorithm: Algorithm, data: bytes) -> VerifyingKey:
    """A key for `verify_signature`, from bytes.

    Args:
        algorithm: what the key is for.
        data: EdDSA: the 32 bytes of RFC 8032 §5.1.5. ES256: a point of P-256 (SEC 1 §2.3.3), or SubjectPublicKeyInfo.
            PS256: SubjectPublicKeyInfo (RFC 5280 §4.1.2.7).

    Raises:
        CodecError: the bytes are no such key.
    """
    try:
        if algorithm == "EdDSA":
            return VerifyKey(data)
        if algorithm == "ES256" and data[:1] in {b"\x02", b"\x03", b"\x04"}:
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), data)
        key = load_der_public_key(data)
    except (ValueError, TypeError, CryptoError, UnsupportedAlgorithm) as error:
        raise CodecError(f"This is no public key for {algorithm}: {error}.") from error
    return checked_key(algorithm, key)


def checked_key(algorithm: Algorithm, key: object) -> VerifyingKey:
    """The same key, if it is one for this algorithm.

    Raises:
        CodecError: it is not: another kind, another curve, or an RSA modulus outside RSA_BITS.
    """
    if algorithm == "EdDSA" and isinstance(key, VerifyKey):
        return key
    if algorithm == "ES256" and isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    if algorithm == "PS256" and isinstance(key, rsa.RSAPublicKey) and RSA_BITS[0] <= key.key_size <= RSA_BITS[1]:
        return key
    raise CodecError(f"This public key is of another kind than {algorithm} needs.")


# Reading a point of P-256 takes a good part of the time of verifying with it.
_read_once = lru_cache(maxsize=_KEYS_KEPT)(read_public_key)


def verify_signature(algorithm: Algorithm, public_key: VerifyingKey | bytes, message: bytes, signature: bytes) -> bool:
    """Whether this is a signature of this message by the holder of this key.

    Args:
        algorithm: what the key is for.
        public_key: as bytes (see `read_public_key`) or read. A key for another algorithm verifies nothing.
        message: the bytes signed (`protocols.cose.to_be_signed`).
        signature: EdDSA: 64 bytes. ES256: r and s, 32 bytes each. PS256: as long as the modulus.
    """
    try:
        take = _read_once if isinstance(public_key, bytes) else checked_key
        key = take(algorithm, public_key)
    except CodecError:
        return False
    try:
        if isinstance(key, VerifyKey):
            key.verify(message, signature)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            if len(signature) != 2 * _HALF:
                return False
            r, s = int.from_bytes(signature[:_HALF]), int.from_bytes(signature[_HALF:])
            key.verify(utils.encode_dss_signature(r, s), message, _ECDSA)
        else:
            key.verify(signature, message, _PSS, _SHA256)
    except (InvalidSignature, BadSignatureError, ValueError):
        return False
    return True
