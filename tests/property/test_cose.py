"""What is written is read back; whatever else comes is read or refused, never more."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from hutong.protocols import base45, cose, cwt

labels = st.integers(-(1 << 63), (1 << 64) - 1).filter(lambda label: label not in {1, 2, 4}) | st.text(max_size=8)
values = st.integers(-(1 << 63), (1 << 64) - 1) | st.text(max_size=20) | st.binary(max_size=20) | st.booleans()
headers = st.dictionaries(labels, values, max_size=5)
protected_headers = st.builds(
    lambda known, other: other | known,
    st.fixed_dictionaries({}, optional={1: st.sampled_from([cose.ES256, cose.EDDSA]), 4: st.binary(max_size=8)}),
    headers,
)
seconds = st.none() | st.integers(0, cwt.MAX_TIME) | st.floats(0, cwt.MAX_TIME)
texts = st.none() | st.text(max_size=20)
claims = st.builds(
    cwt.Claims,
    iss=texts,
    sub=texts,
    aud=texts,
    exp=seconds,
    nbf=seconds,
    iat=seconds,
    cti=st.none() | st.binary(max_size=16),
    private=st.dictionaries(
        (st.integers(-(1 << 63), (1 << 64) - 1).filter(lambda key: not 0 < key < 8)) | st.text(max_size=8),
        st.recursive(values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)),
        max_size=4,
    ),
)


@given(data=st.binary(max_size=300))
def test_bytes_survive_base45(data: bytes) -> None:
    text = base45.encode(data)
    assert base45.decode(text) == data
    assert len(text) == len(data) // 2 * 3 + len(data) % 2 * 2


@given(text=st.text(base45.ALPHABET + "a\x00é", max_size=60))
def test_a_text_that_base45_reads_is_the_one_it_writes(text: str) -> None:
    with contextlib.suppress(base45.Base45Error):
        assert base45.encode(base45.decode(text)) == text


@given(protected=protected_headers, beside=headers, claims=claims, signature=st.binary(max_size=80))
def test_a_token_that_is_written_is_read_back(
    protected: cose.Headers, beside: cose.Headers, claims: cwt.Claims, signature: bytes
) -> None:
    header, payload = cose.write_protected(protected), cwt.write_claims(claims)
    message = cose.read_sign1(cose.write_sign1(header, payload, signature, beside))
    assert message == cose.Sign1(header, protected, beside, payload, signature)
    assert cwt.read_claims(message.payload) == claims


@given(
    protected=protected_headers,
    claims=claims,
    cuts=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 3), st.binary(max_size=3)), min_size=1, max_size=3),
)
def test_damage_is_read_or_refused(
    protected: cose.Headers, claims: cwt.Claims, cuts: list[tuple[int, int, bytes]]
) -> None:
    data = cose.write_sign1(cose.write_protected(protected), cwt.write_claims(claims), b"s" * 64)
    for at, removed, added in cuts:
        data = data[:at] + added + data[at + removed :]
    with contextlib.suppress(cose.CoseError, cwt.CwtError):
        cwt.read_claims(cose.read_sign1(data).payload)
