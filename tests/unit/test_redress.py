"""The signed contact card of RFC 8688: what it says, that its signature holds, that its key is kept and private."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from hutong.calls.redress import KEY_FILE, RedressCard
from hutong.kernel.clock import ManualClock
from hutong.kernel.errors import StateError
from live_samples import SECOND, START

if TYPE_CHECKING:
    from pathlib import Path

URL = "http://127.0.0.1:8080/redress"


def _card(folder: Path) -> RedressCard:
    card = RedressCard(folder / "keys", "node1", URL, ManualClock(START))
    card.open()
    return card


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_the_card_says_where_to_appeal(tmp_path: Path) -> None:
    header, payload, _ = _card(tmp_path).signed().split(".")
    assert msgspec.json.decode(_decode(header)) == {"alg": "ES256", "typ": "vcard+json", "x5u": f"{URL}/certificate"}
    claims = msgspec.json.decode(_decode(payload))
    assert claims["iat"] == START // SECOND
    kind, properties = claims["jcard"]
    assert kind == "vcard"
    assert properties[0] == ["version", {}, "text", "4.0"]
    assert ["url", {}, "uri", URL] in properties


def test_the_signature_holds_under_the_certificate(tmp_path: Path) -> None:
    card = _card(tmp_path)
    signed, _, signature = card.signed().rpartition(".")
    raw = _decode(signature)
    assert len(raw) == 64
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key = x509.load_pem_x509_certificate(card.certificate_pem).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(der, signed.encode(), ec.ECDSA(hashes.SHA256()))


def test_the_key_is_private_and_stays(tmp_path: Path) -> None:
    first = _card(tmp_path)
    path = tmp_path / "keys" / KEY_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    assert _card(tmp_path).certificate_pem == first.certificate_pem
    assert path.read_bytes() == before


def test_a_damaged_key_is_named(tmp_path: Path) -> None:
    _card(tmp_path)
    (tmp_path / "keys" / KEY_FILE).write_bytes(b"nonsense")
    with pytest.raises(StateError, match="cannot be read") as caught:
        _card(tmp_path)
    assert KEY_FILE in caught.value.where
