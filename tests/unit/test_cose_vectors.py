"""Base45, COSE_Sign1 and CWT against what their standards print."""

from __future__ import annotations

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

import cose_vectors as vectors
from hutong.protocols import base45, cose, cwt

ALGORITHM, KEY_ID = cose.ALGORITHM, cose.KEY_ID


def verified(key: bytes, signed: bytes, signature: bytes) -> None:
    """Raise unless the peer's library verifies it."""
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    public.verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"AB", "BB8"), (b"Hello!!", "%69 VD92EX0"), (b"base-45", "UJCLQE7W581"), (b"ietf!", "QED8WEX0"), (b"", "")],
)
def test_base45_reads_and_writes_the_examples_of_rfc_9285(data: bytes, text: str) -> None:
    assert base45.encode(data) == text
    assert base45.decode(text) == data


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("GGW", "more than 65535"),
        (":::", "more than 65535"),
        ("BB8U5/", "more than 65535"),
        ("::", "more than 255"),
        ("BB8A", "left over"),
        ("BB8aa", "'a' is not in the alphabet"),
        ("BB8\n", "not in the alphabet"),
        ("BB\u0661", "not in the alphabet"),
        ("0" * 4299, "holds 4296"),
    ],
)
def test_base45_refuses_what_no_encoder_makes(text: str, said: str) -> None:
    with pytest.raises(base45.Base45Error, match=said):
        base45.decode(text)


@pytest.mark.parametrize(
    ("data", "protected", "external", "signed"),
    [
        (vectors.RFC9052_C21, b"\xa1\x01\x26", b"", vectors.SIGNED_03),
        (vectors.SIGN1_PASS_01, b"\xa0", b"", vectors.SIGNED_01),
        (vectors.SIGN1_PASS_02, b"\xa1\x01\x26", vectors.EXTERNAL_02, vectors.SIGNED_02),
        (vectors.SIGN1_PASS_03, b"\xa1\x01\x26", b"", vectors.SIGNED_03),
    ],
)
def test_published_messages_are_read_and_their_signatures_verify(
    data: bytes, protected: bytes, external: bytes, signed: bytes
) -> None:
    message = cose.read_sign1(data)
    assert (message.protected, message.payload) == (protected, vectors.CONTENT)
    assert (message.algorithm, message.kid) == (cose.ES256, b"11")
    assert cose.to_be_signed(message.protected, message.payload, external) == signed
    verified(vectors.KEY_11, signed, message.signature)
    tagged = cose.write_sign1(message.protected, message.payload, message.signature, message.unprotected)
    assert tagged == (data if data[0] == 0xD2 else b"\xd2" + data)


def test_the_signed_token_of_rfc_8392_is_read_written_and_verifies() -> None:
    message = cose.read_sign1(vectors.CWT_A3)
    verified(vectors.KEY_A23, cose.to_be_signed(message.protected, message.payload), message.signature)
    assert cose.read_sign1(b"\xd8\x3d" + vectors.CWT_A3) == message
    claims = cwt.read_claims(message.payload)
    assert claims == cwt.Claims(
        iss="coap://as.example.com",
        sub="erikw",
        aud="coap://light.example.com",
        exp=1444064944,
        nbf=1443944944,
        iat=1443944944,
        cti=b"\x0b\x71",
    )
    assert cwt.write_claims(claims) == vectors.CLAIMS_A1
    with pytest.raises(cose.CoseError, match="Tag 17"):
        cose.read_sign1(vectors.MACED_A4)


def message(protected: object, unprotected: object, *rest: object) -> bytes:
    first = protected if isinstance(protected, bytes) else cbor2.dumps(protected)
    return cbor2.dumps(cbor2.CBORTag(18, [first, unprotected, *(rest or (b"payload", b"signature"))]))


def test_the_protected_header_speaks_first_and_the_other_where_it_is_silent() -> None:
    both = cose.read_sign1(message({ALGORITHM: cose.EDDSA, KEY_ID: b"right"}, {KEY_ID: b"wrong", "x": 1}))
    assert (both.kid, both.algorithm, both.header("x"), both.header(9)) == (b"right", cose.EDDSA, 1, None)
    assert cose.read_sign1(message({ALGORITHM: cose.EDDSA}, {KEY_ID: b"there"})).kid == b"there"
    assert cose.read_sign1(message(b"", {})).algorithm is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not acceptable CBOR"),
        (vectors.RFC9052_C21[:-1], "not acceptable CBOR"),
        (vectors.RFC9052_C21 + b"\x00", "More bytes follow"),
        (cbor2.dumps([b"", {}, b""]), "array of four"),
        (cbor2.dumps(cbor2.CBORTag(18, cbor2.CBORTag(18, [b"", {}, b"", b""]))), "array of four"),
        (message(b"", {}, None, b""), "payload: It is not a byte string"),
        (message(b"", [], b"", b""), "A header is a map"),
        (message([1], {}), "A header is a map"),
        (message(bytes.fromhex("a201260126"), {}), "twice|Duplicate"),
        (message(b"", {}).replace(b"\xa0", bytes.fromhex("a204410104 4102")), "Duplicate"),
        (message({ALGORITHM: -7}, {ALGORITHM: -8}), "stands in both"),
        (message({True: -7}, {}), "True is no label"),
        (message({1.0: -7}, {}), "1.0 is no label"),
        (message({ALGORITHM: True}, {}), "algorithm is a number"),
        (message({ALGORITHM: b"ES256"}, {}), "algorithm is a number"),
        (message({KEY_ID: "11"}, {}), "identifier is a byte string"),
        (message({}, {cose.CRITICAL: [1]}), "crit must be protected"),
        (message({cose.CRITICAL: []}, {}), "crit is a list"),
        (message({cose.CRITICAL: ["x"]}, {}), "not protected"),
        (message({cose.CRITICAL: ["x"], "x": 1}, {}), "not understood"),
        (message(dict.fromkeys(range(100, 117), 0), {}), "16 are read"),
        (message(b"", {9: [[[[[0]]]]]}), "depth"),
        (message({9: [[[[0]]]]}, {}), "depth"),
        (message(b"", {9: cbor2.CBORTag(35, "(a+)+$")}), "Tag 35"),
        (message(b"", {9: cbor2.CBORTag(5, [10**9, 1])}), "Tag 5"),
        (message(b"", {}, b"\x00" * cose.MAX_MESSAGE, b""), "are read at most"),
        (bytes.fromhex("9b7fffffffffffffff"), "not acceptable CBOR"),
    ],
)
def test_what_a_message_may_not_be_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(cose.CoseError, match=said):
        cose.read_sign1(data)


def test_what_would_not_be_read_is_not_written() -> None:
    protected = cose.write_protected({ALGORITHM: cose.EDDSA})
    assert cose.write_protected({}) == b""
    with pytest.raises(cose.CoseError, match="both"):
        cose.write_sign1(protected, b"", b"", {ALGORITHM: cose.ES256})
    with pytest.raises(cose.CoseError, match="at most"):
        cose.write_sign1(protected, b"\x00" * cose.MAX_MESSAGE, b"")
    with pytest.raises(cose.CoseError, match="cannot be written"):
        cose.write_protected({9: object()})
    with pytest.raises(cwt.CwtError, match="no key of a private claim"):
        cwt.write_claims(cwt.Claims(private={4: 0}))
    with pytest.raises(cwt.CwtError, match="exp: It is not a number"):
        cwt.write_claims(cwt.Claims(exp=-1))


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (cbor2.dumps([1]), "Claims are a map"),
        (cbor2.dumps({True: "iss"}), "no claim key"),
        (cbor2.dumps({1: 7}), "iss: It is not a text"),
        (cbor2.dumps({4: "tomorrow"}), "exp"),
        (cbor2.dumps({4: True}), "exp"),
        (cbor2.dumps({5: float("nan")}), "nbf"),
        (cbor2.dumps({6: float("inf")}), "iat"),
        (cbor2.dumps({6: cwt.MAX_TIME + 1}), "iat"),
        (cbor2.dumps({7: "id"}), "cti: It is not a byte string"),
        (bytes.fromhex("a204010402"), "Duplicate"),
        (cbor2.dumps({9: cbor2.CBORTag(1, 0)}), "Tag 1 "),
        (cbor2.dumps({9: [[[[[[[[0]]]]]]]]}), "depth"),
    ],
)
def test_what_claims_may_not_be_is_refused(payload: bytes, said: str) -> None:
    with pytest.raises(cwt.CwtError, match=said):
        cwt.read_claims(payload)
