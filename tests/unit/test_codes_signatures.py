"""Signatures of codes: what verifies, what does not, and which keys are none."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

import cose_vectors as vectors
from hutong.codes.signatures import Algorithm, checked_key, read_public_key, verify_signature
from hutong.kernel.errors import CodecError
from hutong.protocols import cose

RSA_KEY = rsa.generate_private_key(65537, 2048)
RSA_SHORT = rsa.generate_private_key(65537, 1024)  # noqa: S505  # too short: that is the point
P384 = ec.generate_private_key(ec.SECP384R1())


def spki(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def samples() -> dict[Algorithm, tuple[bytes, bytes, bytes]]:
    """For each algorithm: public key, message, signature, made by another library or printed in a standard."""
    edwards = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    token = cose.read_sign1(vectors.CWT_A3)
    return {
        "EdDSA": (edwards.public_key().public_bytes_raw(), b"message", edwards.sign(b"message")),
        "ES256": (vectors.KEY_A23, cose.to_be_signed(token.protected, token.payload), token.signature),
        "PS256": (spki(RSA_KEY.public_key()), b"message", RSA_KEY.sign(b"message", pss, hashes.SHA256())),
    }


@pytest.mark.parametrize(("algorithm", "sample"), samples().items())
def test_a_signature_verifies_and_any_change_of_it_does_not(
    algorithm: Algorithm, sample: tuple[bytes, bytes, bytes]
) -> None:
    data, message, signature = sample
    key = read_public_key(algorithm, data)
    assert verify_signature(algorithm, key, message, signature)
    assert verify_signature(algorithm, data, message, signature)
    assert not verify_signature(algorithm, key, message + b"\x00", signature)
    for wrong in (b"", signature[:-1], signature + b"\x00", bytes(len(signature)), b"\xff" * len(signature)):
        assert not verify_signature(algorithm, key, message, wrong)
    for at in (0, len(signature) // 2, len(signature) - 1):
        changed = bytearray(signature)
        changed[at] ^= 1
        assert not verify_signature(algorithm, key, message, bytes(changed))


def test_an_es256_signature_in_der_is_refused_as_cose_has_no_such_form() -> None:
    data, message, signature = samples()["ES256"]
    der = utils.encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))
    assert not verify_signature("ES256", read_public_key("ES256", data), message, der)


@pytest.mark.parametrize(
    ("algorithm", "data"),
    [
        ("EdDSA", b"\x00" * 31),
        ("ES256", b"\x04" + b"\x01" * 64),
        ("ES256", b""),
        ("ES256", spki(P384.public_key())),
        ("ES256", spki(RSA_KEY.public_key())),
        ("PS256", spki(RSA_SHORT.public_key())),
        ("PS256", b"not a key"),
        ("PS256", vectors.KEY_A23),
    ],
)
def test_bytes_that_are_no_key_for_an_algorithm_are_refused(algorithm: Algorithm, data: bytes) -> None:
    with pytest.raises(CodecError, match=algorithm):
        read_public_key(algorithm, data)


def test_a_key_serves_its_own_algorithm_only() -> None:
    edwards = read_public_key("EdDSA", samples()["EdDSA"][0])
    assert checked_key("EdDSA", edwards) is edwards
    with pytest.raises(CodecError, match="another kind"):
        checked_key("ES256", edwards)
    _, message, signature = samples()["EdDSA"]
    assert verify_signature("EdDSA", edwards, message, signature)
    assert not verify_signature("ES256", edwards, message, signature)
    assert not verify_signature("ES256", samples()["EdDSA"][0], message, signature)
    assert checked_key("ES256", read_public_key("ES256", vectors.KEY_A23))
