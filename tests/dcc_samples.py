"""EU Digital COVID Certificates made here: signers with their certificates, and texts that they sign."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hutong.codes.frameworks.signers import Signer, read_signer
from hutong.protocols import base45, cose, cwt

NOW = datetime(2021, 6, 1, 12, tzinfo=UTC)
NOW_S = NOW.timestamp()
DAY = 86_400
TEST_OID, VACCINATION_OID, RECOVERY_OID = (f"1.3.6.1.4.1.1847.2021.1.{end}" for end in (1, 2, 3))
FIRST_EDITION_TEST_OID = "1.3.6.1.4.1.0.1847.2021.1.1"
SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH.dotted_string

VACCINATION: dict[str, Any] = {
    "tg": "840539006",
    "vp": "1119349007",
    "mp": "EU/1/20/1528",
    "ma": "ORG-100030215",
    "dn": 1,
    "sd": 2,
    "dt": "2021-02-18",
    "co": "AT",
    "is": "Ministry of Health",
    "ci": "URN:UVCI:01:AT:10807843F94AEE0EE5093FBC254BD813#B",
}
TEST: dict[str, Any] = {
    "tg": "840539006",
    "tt": "LP6464-4",
    "sc": "2021-05-30T10:12:22Z",
    "tr": "260415000",
    "tc": "Centre 1",
    "co": "AT",
    "is": "Ministry of Health",
    "ci": "URN:UVCI:01:AT:B5921A35D6A0D696421B3E2462178297#I",
}
RECOVERY: dict[str, Any] = {
    "tg": "840539006",
    "fr": "2021-02-20",
    "co": "AT",
    "is": "Ministry of Health",
    "df": "2021-04-04",
    "du": "2021-10-04",
    "ci": "URN:UVCI:01:AT:858CC18CFCF5965EF82F60E493349AA5#K",
}
ENTRIES = {"v": VACCINATION, "t": TEST, "r": RECOVERY}


def content(kind: str = "v", entry: dict[str, Any] | None = None, **changed: Any) -> dict[str, Any]:  # noqa: ANN401
    """A certificate's content; a member that is changed to None is left out."""
    found = {
        "ver": "1.3.0",
        "nam": {"fn": "Musterfrau-Gößinger", "fnt": "MUSTERFRAU<GOESSINGER", "gn": "Gabriele", "gnt": "GABRIELE"},
        "dob": "1998-02-26",
        kind: [{**ENTRIES[kind], **(entry or {})}],
        **changed,
    }
    return {name: value for name, value in found.items() if value is not None}


class Issuer:
    """A signer with its key.

    Args:
        usages: what its extended key usage lists; None for no such extension, empty for an empty list.
        rsa_bits: of an RSA key; 0 for P-256.
        constraints: raw basicConstraints, as some signers have them.
    """

    def __init__(
        self, usages: tuple[str, ...] | None = None, rsa_bits: int = 0, constraints: bytes = b"", days: int = 400
    ) -> None:
        self.key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = (
            rsa.generate_private_key(65537, rsa_bits) if rsa_bits else ec.generate_private_key(ec.SECP256R1())
        )
        name = x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "AT")])
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(7)
            .not_valid_before(NOW - timedelta(days=30))
            .not_valid_after(NOW + timedelta(days=days))
        )
        if usages:
            listed = x509.ExtendedKeyUsage([x509.ObjectIdentifier(usage) for usage in usages])
            made = made.add_extension(listed, critical=False)
        elif usages is not None:
            made = made.add_extension(_raw("2.5.29.37", b"\x30\x00"), critical=False)
        if constraints:
            made = made.add_extension(_raw("2.5.29.19", constraints), critical=True)
        self.certificate = made.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
        self.signer: Signer = read_signer(self.certificate)

    @property
    def algorithm(self) -> int:
        """What its messages name."""
        return cose.PS256 if isinstance(self.key, rsa.RSAPrivateKey) else cose.ES256

    def sign(self, message: bytes) -> bytes:
        """A signature as COSE has it."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(message, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
        r, s = utils.decode_dss_signature(self.key.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)

    def message(
        self,
        certificate: object,
        *,
        protected: cose.Headers | None = None,
        unprotected: cose.Headers | None = None,
        iat: float | None = NOW_S - DAY,
        exp: float | None = NOW_S + DAY,
    ) -> bytes:
        """A signed message; unless told otherwise it names this signer in the protected header."""
        known: cose.Headers = {cose.ALGORITHM: self.algorithm, cose.KEY_ID: self.signer.kid}
        header = cose.write_protected(known if protected is None else protected)
        payload = cwt.write_claims(cwt.Claims(iss="AT", iat=iat, exp=exp, private={-260: {1: certificate}}))
        return cose.write_sign1(header, payload, self.sign(cose.to_be_signed(header, payload)), unprotected)

    def text(self, certificate: object, **options: Any) -> str:  # noqa: ANN401
        """A message as the QR code has it."""
        return hc1(self.message(certificate, **options))


def hc1(message: bytes) -> str:
    """Wrap a message up."""
    return "HC1:" + base45.encode(zlib.compress(message))


def _raw(name: str, value: bytes) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(name), value)
