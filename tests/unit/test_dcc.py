"""EU Digital COVID Certificates: what is judged valid, and what is wrong with those that are not."""

from __future__ import annotations

import zlib
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import cbor2
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

import dcc_samples as samples
from dcc_samples import DAY, NOW_S, Issuer, content
from hutong.app.cli import run
from hutong.codes.frameworks import dcc
from hutong.codes.frameworks.certificate import KINDS, Kind, faults, read_certificate
from hutong.codes.frameworks.errors import DccError
from hutong.codes.frameworks.framework import EuDcc
from hutong.codes.frameworks.hc1 import inflate
from hutong.codes.frameworks.signers import by_kid, read_signer
from hutong.codes.verification import Trust, verify
from hutong.protocols import base45, cose

if TYPE_CHECKING:
    from pathlib import Path


@cache
def issuer(*usages: str, rsa_bits: int = 0) -> Issuer:
    return Issuer(usages or None, rsa_bits)


def judged(text: str, *issuers: Issuer, at: float = NOW_S) -> dcc.Judgement:
    return dcc.judge(text, by_kid(it.signer for it in issuers or (issuer(),)), at)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rsa_bits", [0, 2048])
def test_a_certificate_of_each_kind_and_algorithm_is_valid(kind: Kind, rsa_bits: int) -> None:
    by = issuer(rsa_bits=rsa_bits)
    found = judged(by.text(content(kind)), by)
    assert (found.verdict, found.detail) == ("valid", "")
    assert found.certificate is not None
    assert found.certificate.kinds == {kind}
    assert found.signer is by.signer
    assert by.signer.kid == sha256(by.certificate).digest()[:8]


def test_both_tags_an_untagged_message_and_a_tagged_date_are_read() -> None:
    message = issuer().message(content("t", {"sc": cbor2.CBORTag(0, "2021-05-30T10:12:22Z")}))
    for form in (message, b"\xd8\x3d" + message, message[1:]):
        assert judged(samples.hc1(form)).verdict == "valid"
    for tag, value in ((0, 5), (1, 1622369542), (1004, "2021-05-30")):
        found = judged(issuer().text(content("t", {"sc": cbor2.CBORTag(tag, value)})))
        assert (found.verdict, found.why) == ("malformed", "claims")


def test_the_protected_key_identifier_decides_and_the_other_only_where_it_is_missing() -> None:
    by = issuer()
    algorithm: cose.Headers = {cose.ALGORITHM: cose.ES256}
    right, wrong = {cose.KEY_ID: by.signer.kid}, {cose.KEY_ID: b"foo"}
    for protected, unprotected, verdict in (
        (algorithm | right, {}, "valid"),
        (algorithm, right, "valid"),
        (algorithm | right, wrong, "valid"),
        ({}, algorithm | right, "valid"),
        (algorithm | wrong, right, "unknown-key"),
        (algorithm, wrong, "unknown-key"),
        (algorithm, {}, "unknown-key"),
    ):
        text = by.text(content(), protected=protected, unprotected=unprotected)
        assert judged(text).verdict == verdict, (protected, unprotected)


def test_of_several_signers_of_one_name_the_one_who_signed_is_found() -> None:
    one, other = issuer(), issuer(rsa_bits=2048)
    namesake = msgspec.structs.replace(other.signer, kid=one.signer.kid)
    signers = by_kid([namesake, one.signer])
    assert dcc.judge(one.text(content()), signers, NOW_S).signer is one.signer
    named: cose.Headers = {cose.ALGORITHM: cose.PS256, cose.KEY_ID: namesake.kid}
    assert dcc.judge(other.text(content(), protected=named), signers, NOW_S).signer is namesake


def test_a_message_that_names_another_algorithm_than_its_key_is_forged() -> None:
    by = issuer()
    for named in (cose.PS256, cose.EDDSA, "ES256"):
        text = by.text(content(), protected={cose.ALGORITHM: named, cose.KEY_ID: by.signer.kid})
        assert (judged(text).verdict, judged(text).why) == ("forged", "signature")


def test_any_change_of_what_is_signed_is_forged() -> None:
    message = issuer().message(content())
    changed = message.replace(b"1998-02-26", b"1997-02-26")
    assert changed != message
    assert judged(samples.hc1(changed)).verdict == "forged"
    assert judged(samples.hc1(message[:-1] + bytes((message[-1] ^ 1,)))).verdict == "forged"


@pytest.mark.parametrize(
    ("usages", "kinds"),
    [
        (None, "tvr"),
        ((), "tvr"),
        ((samples.TEST_OID,), "t"),
        ((samples.FIRST_EDITION_TEST_OID,), "t"),
        ((samples.VACCINATION_OID, samples.RECOVERY_OID), "vr"),
        ((samples.SERVER_AUTH, samples.RECOVERY_OID), "r"),
        ((samples.SERVER_AUTH,), ""),
    ],
)
def test_a_signer_signs_the_kinds_that_its_certificate_lists(usages: tuple[str, ...] | None, kinds: str) -> None:
    by = Issuer(usages)
    for kind in KINDS:
        found = judged(by.text(content(kind)), by)
        assert (found.verdict, found.why) == (("valid", "content") if kind in kinds else ("unknown-key", "usage"))


def test_a_signer_whose_other_extensions_are_not_quite_der_is_read() -> None:
    by = Issuer((samples.TEST_OID,), constraints=bytes.fromhex("3003010100"))
    assert by.signer.usages == {"t"}
    assert judged(by.text(content("t")), by).verdict == "valid"


def test_what_is_no_signer_is_refused() -> None:
    for wrong in (b"", b"\x30\x03\x02\x01\x00", issuer().certificate[:-9]):
        with pytest.raises(DccError, match="certificate cannot be used"):
            read_signer(wrong)
    with pytest.raises(DccError, match="another kind than PS256 needs"):
        Issuer(rsa_bits=1024)


@pytest.mark.parametrize(
    ("at", "options", "verdict", "why"),
    [
        (NOW_S - DAY, {}, "valid", "content"),
        (NOW_S - DAY - 1, {}, "not-yet-valid", "term"),
        (NOW_S + DAY, {}, "valid", "content"),
        (NOW_S + DAY + 1, {}, "expired", "term"),
        (NOW_S, {"iat": None}, "malformed", "term"),
        (NOW_S, {"exp": None}, "malformed", "term"),
        (NOW_S, {"iat": NOW_S - 31 * DAY}, "unknown-key", "usage"),
        (NOW_S, {"exp": NOW_S + 401 * DAY}, "unknown-key", "usage"),
    ],
)
def test_it_is_good_from_its_issue_to_its_end_within_its_signers_term(
    at: float, options: dict[str, Any], verdict: str, why: str
) -> None:
    found = judged(issuer().text(content(), **options), at=at)
    assert (found.verdict, found.why) == (verdict, why)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "prefix"),
        ("HC2:" + base45.encode(b"x"), "prefix"),
        ("hc1:" + base45.encode(b"x"), "prefix"),
        ("HC1:===", "base45"),
        ("HC1:" + base45.encode(b"not compressed"), "compression"),
        ("HC1:" + base45.encode(zlib.compress(b"x" * 400)[:-5]), "compression"),
        ("HC1:" + base45.encode(zlib.compress(b"x") + b"y"), "compression"),
        ("HC1:" + base45.encode(zlib.compress(bytes(20_000))), "compression"),
        (samples.hc1(b"x"), "message"),
        (samples.hc1(cose.write_sign1(b"", b"\xa0", b"")), "claims"),
        (samples.hc1(cose.write_sign1(b"", b"\xff", b"")), "claims"),
        (samples.hc1(cose.write_sign1(b"", cbor2.dumps({-260: {2: {}}}), b"")), "claims"),
    ],
)
def test_what_is_not_built_as_it_must_be_is_malformed_and_the_layer_is_told(text: str, why: str) -> None:
    found = judged(text)
    assert (found.verdict, found.why) == ("malformed", why)
    assert found.detail
    assert found.certificate is None


def test_a_small_text_that_inflates_without_end_costs_little() -> None:
    bomb = zlib.compress(bytes(50_000_000), 9)
    for data in (bomb, bomb[: len(bomb) // 2]):
        with pytest.raises(DccError, match="inflates to more than 16384 bytes"):
            inflate(data)


NAME = {"fn": "Li", "fnt": "LI", "gn": "Lei", "gnt": "LEI"}


@pytest.mark.parametrize(
    ("certificate", "members"),
    [
        (content(ver="1.0"), "ver"),
        (content(dob="1899-04-20"), "dob"),
        (content(dob="1998-02-26T00:00:00"), "dob"),
        (content(dob="2021-06-01"), "dob"),
        (content(dob="2022"), "dob"),
        (content(dob=None), "structure"),
        (content(v=None), "v, t, r"),
        (content(v=[samples.VACCINATION] * 2), "v, t, r"),
        (content(t=[samples.TEST]), "v, t, r"),
        (content(v=[{**samples.VACCINATION, "dn": "1"}]), "structure"),
        (content(v=[{**samples.VACCINATION, "dn": True}]), "structure"),
        (content(v={}), "structure"),
        (content(entry={"dn": -1}), "dn"),
        (content(entry={"dt": "18.02.2021"}), "dt"),
        (content(entry={"dt": "2021-02-30"}), "dt"),
        (content(entry={"co": "XY"}), "co"),
        (content(entry={"co": "at"}), "co"),
        (content(entry={"ci": "U" * 81}), "ci"),
        (content("t", {"sc": "2021-05-30"}), "sc"),
        (content("r", {"du": "later"}), "du"),
        (content(nam=NAME | {"gnt": ""}), "nam.gnt"),
        (content(nam=NAME | {"fnt": "Li"}), "nam.fnt"),
        (content(nam=NAME | {"fn": "L" * 81}), "nam.fn"),
        (content(nam={}), "nam"),
        ("text", "structure"),
    ],
)
def test_content_that_breaks_a_rule_is_malformed_and_its_member_is_told(certificate: object, members: str) -> None:
    by = issuer()
    outcome = EuDcc([by.signer]).judge(by.text(certificate), int(NOW_S * 1000))
    assert outcome.verdict == "malformed"
    assert outcome.reasons[0].values == {"members": members}


@pytest.mark.parametrize(
    "certificate",
    [
        content(dob=""),
        content(dob="1998"),
        content(dob="1998-02"),
        content(r=None, t=None),
        content(entry={"co": "", "mp": "", "dn": 0}),
        content(entry={"co": "UNHCR", "mp": "a product made later than this program"}),
        content(entry={"dt": "2021-02-18T22:54:00+02:00"}),
        content("t", {"tc": None, "dr": "2021-05-30T10:30:15Z"}),
        content(nam={"fn": "", "fnt": "", "gn": "Lei", "gnt": "LEI"}),
        content(nam={"gnt": "LEI"}, ver="1.0.0"),
    ],
)
def test_what_issuers_may_leave_open_or_did_in_earlier_versions_is_valid(certificate: dict[str, Any]) -> None:
    assert judged(issuer().text(certificate)).verdict == "valid"
    assert faults(read_certificate(certificate)) == ()


def test_one_function_verifies_it_beside_our_own_codes_and_tells_it_in_both_languages() -> None:
    by, now_ms = issuer(), int(NOW_S * 1000)
    trust = Trust(frameworks=[EuDcc([by.signer], made_ms=now_ms - 5)])
    outcome = verify(by.text(content()), trust, {}, None, now_ms)
    assert (outcome.verdict, outcome.framework, outcome.uses) == ("valid", "HC1", ())
    assert outcome.keys_made_ms == now_ms - 5
    assert outcome.facts == {"name": "Musterfrau-Gößinger, Gabriele", "born": "1998-02-26", "entry": "接种 vaccination"}
    assert outcome.told("en")[0] == "Valid"
    assert "2021-06-02 20:00" in outcome.told("zh")[1]
    foreign = Issuer((samples.SERVER_AUTH,))
    tried = {
        "HC1:===": "base45",
        samples.hc1(b"x"): "message",
        samples.hc1(cose.write_sign1(b"", b"\xa0", b"")): "claims",
        "HC1:00": "compression",
        foreign.text(content()): "usage",
        Issuer().text(content()): "key",
        by.text(content(), exp=NOW_S - 1): "expired",
        by.text(content(), iat=NOW_S + 1): "not-yet-valid",
        by.text(content(), iat=None): "no_term",
        by.text(content(ver="")): "content",
        by.text(content(), protected={cose.KEY_ID: by.signer.kid}): "signature",
    }
    both = Trust(frameworks=[EuDcc([by.signer, foreign.signer])])
    for text, word in tried.items():
        found = verify(text, both, {}, None, now_ms)
        assert found.reasons[0].word == f"dcc_{word}"
        assert all("{" not in line for language in ("zh", "en") for line in found.told(language))


def test_the_command_verifies_certificates_with_the_signers_it_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    der, pem, text = tmp_path / "one.der", tmp_path / "more.pem", issuer().text(content())
    der.write_bytes(issuer().certificate)
    more = (x509.load_der_x509_certificate(it.certificate) for it in (issuer(rsa_bits=2048), issuer()))
    pem.write_bytes(b"".join(it.public_bytes(Encoding.PEM) for it in more))
    for file, at, status in (
        (der, "2021-06-01T12:00:00Z", 0),
        (pem, "2021-06-01T12:00:00Z", 0),
        (pem, "2021-06-03T12:00:00Z", 1),
    ):
        assert run(["codes", "verify", text, "--signers", str(file), "--at", at]) == status
    said = capsys.readouterr().out
    assert said.count("Musterfrau-Gößinger, Gabriele  1998-02-26") == 3
    assert "已于 2021-06-02 20:00 失效" in said
    der.write_bytes(b"-----BEGIN nothing")
    assert run(["codes", "verify", text, "--signers", str(der)]) == 1
    assert "cannot be read" in capsys.readouterr().err
