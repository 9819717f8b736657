"""The signed contact card of RFC 8688 §4: a jCard (RFC 7095) in a JWS (RFC 7515), ES256.

The key and its self-signed certificate are made at the first start and stay in DATA/keys. Rebuilt at each asking,
because `iat` says when the card was true. The settings name no telephone number or mail address, so the card gives
the node's name and the address of the page that says how to appeal (RFC 8688 asks for at least one of the two kinds).
"""

from __future__ import annotations

import base64
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from hutong.kernel.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.kernel.clock import Clock

KEY_FILE = "redress-es256.pem"
CERTIFICATE_FILE = "redress-es256.crt"
_CERTIFICATE_DAYS = 3650
_COORDINATE = 32  # bytes of r and of s in an ES256 signature (RFC 7518 §3.4)
_NANOSECONDS = 1_000_000_000


class RedressCard:
    """Says, signed, where a blocked caller may appeal.

    Args:
        keys: folder of the node's keys.
        node: the node's name.
        page_url: the address of the redress page, as the 608's Call-Info gives it.
        clock: for `iat` and for the certificate's dates.
    """

    def __init__(self, keys: Path, node: str, page_url: str, clock: Clock) -> None:
        self._keys = keys
        self._node = node
        self._page_url = page_url
        self._clock = clock
        self._key: ec.EllipticCurvePrivateKey | None = None
        self.certificate_pem = b""

    def open(self) -> None:
        """Read the key, or make one at the first start.

        Raises:
            StateError: the key file is no P-256 key.
        """
        self._keys.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._keys / KEY_FILE
        if not path.exists():
            _write_private(path, _new_key())
        self._key = _read_key(path)
        certificate = self._keys / CERTIFICATE_FILE
        if not certificate.exists():
            certificate.write_bytes(self._self_signed(self._key))
        self.certificate_pem = certificate.read_bytes()

    def signed(self) -> str:
        """The card as a JWS in compact serialisation."""
        if self._key is None:
            raise StateError("The card was asked for before its key was opened.", where=KEY_FILE)
        header = {"alg": "ES256", "typ": "vcard+json", "x5u": f"{self._page_url}/certificate"}
        payload = {"iat": self._clock.wall() // _NANOSECONDS, "jcard": self._jcard()}
        signing_input = f"{_encode(msgspec.json.encode(header))}.{_encode(msgspec.json.encode(payload))}"
        r, s = decode_dss_signature(self._key.sign(signing_input.encode(), ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(_COORDINATE, "big") + s.to_bytes(_COORDINATE, "big")
        return f"{signing_input}.{_encode(signature)}"

    def _jcard(self) -> list[object]:
        return [
            "vcard",
            [
                ["version", {}, "text", "4.0"],
                ["fn", {}, "text", f"Hutong 护通 {self._node}"],
                ["url", {}, "uri", self._page_url],
            ],
        ]

    def _self_signed(self, key: ec.EllipticCurvePrivateKey) -> bytes:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._node)])
        now = datetime.fromtimestamp(self._clock.wall() // _NANOSECONDS, UTC)
        builder = x509.CertificateBuilder(
            subject_name=name,
            issuer_name=name,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - timedelta(minutes=5),
            not_valid_after=now + timedelta(days=_CERTIFICATE_DAYS),
        )
        return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _new_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write_private(path: Path, content: bytes) -> None:
    """Readable by the owner only from the first moment, and whole or absent after a crash."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise StateError(
            "The redress key cannot be read.", where=str(path), fix="Remove it and its .crt; new ones are made."
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise StateError(
            "The redress key is not a P-256 key.", where=str(path), fix="Remove it and its .crt; new ones are made."
        )
    return key
