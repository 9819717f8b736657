"""Document signers of the EU's trust lists: what a certificate says about the key that signs.

A signer is named by the first eight bytes of the SHA-256 of its certificate. Two may share a name, so a list keeps
all (Electronic Health Certificate Specification 1.0.7 §3.3.3, §A.1). Who may be on the list is decided elsewhere.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from hutong.codes.frameworks.certificate import KINDS, Kind
from hutong.codes.frameworks.errors import DccError
from hutong.codes.signatures import Algorithm, VerifyingKey, checked_key
from hutong.kernel.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KID_BYTES = 8
#: The same, §A.4: the purposes 1.3.6.1.4.1.1847.2021.1.1 to .3, as their bytes in DER. The
#: second form, with a 0 in it, stands in many certificates made from the first edition.
_ARCS = (bytes.fromhex("2b060104018e378f6501"), bytes.fromhex("2b06010401008e378f6501"))
_ENDS: dict[int, Kind] = {1: "t", 2: "v", 3: "r"}
_USAGES: dict[bytes, Kind] = {arc + bytes((end,)): kind for arc in _ARCS for end, kind in _ENDS.items()}
_EXTENDED_KEY_USAGE = bytes.fromhex("551d25")
# Tags of DER, and the first byte of a long length.
_OID, _EXTENSIONS, _LONG = 0x06, 0xA3, 0x80


class Signer(msgspec.Struct, frozen=True):
    """A key that may sign certificates.

    Attributes:
        kid: its name, KID_BYTES bytes.
        algorithm: what it signs with.
        key: the public key.
        usages: which kinds of entries it may sign.
        not_before_s, not_after_s: its term, seconds since 1970, both included.
    """

    kid: bytes
    algorithm: Algorithm
    key: VerifyingKey
    usages: frozenset[Kind]
    not_before_s: float
    not_after_s: float


def read_signer(certificate: bytes) -> Signer:
    """Read a signer's certificate.

    Args:
        certificate: X.509 in DER (RFC 5280).

    Raises:
        DccError: it cannot be read, or its key is neither for ES256 nor for PS256.
    """
    try:
        found = x509.load_der_x509_certificate(certificate)
        key = found.public_key()
        algorithm: Algorithm = "PS256" if isinstance(key, rsa.RSAPublicKey) else "ES256"
        return Signer(
            kid=sha256(certificate).digest()[:KID_BYTES],
            algorithm=algorithm,
            key=checked_key(algorithm, key),
            usages=_usages(found.tbs_certificate_bytes),
            not_before_s=found.not_valid_before_utc.timestamp(),
            not_after_s=found.not_valid_after_utc.timestamp(),
        )
    except (ValueError, TypeError, UnsupportedAlgorithm, CodecError) as error:
        raise DccError(f"The signer's certificate cannot be used: {error}.", where="signer") from error


def read_signers(data: bytes) -> tuple[Signer, ...]:
    """The signers in a file: any number of certificates in PEM (RFC 7468), or one in DER.

    Raises:
        DccError: one of them cannot be used.
    """
    if not data.lstrip().startswith(b"-----BEGIN"):
        return (read_signer(data),)
    try:
        found = x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise DccError(f"The signers' certificates cannot be read: {error}.", where="signer") from error
    return tuple(read_signer(it.public_bytes(Encoding.DER)) for it in found)


def by_kid(signers: Iterable[Signer]) -> Mapping[bytes, tuple[Signer, ...]]:
    """A trust list to look signers up in; several may share a name."""
    found: dict[bytes, tuple[Signer, ...]] = {}
    for signer in signers:
        found[signer.kid] = (*found.get(signer.kid, ()), signer)
    return found


def _usages(tbs: bytes) -> frozenset[Kind]:
    """What a signer may sign: all kinds, unless its extended key usage lists purposes (RFC 5280 §4.2.1.12).

    Read from the bytes: an empty list is allowed here though not there, and lists hold signers whose other extensions
    are not quite DER, which a strict reader refuses as a whole.
    """
    for extension in _extensions(tbs):
        name, *_, (_, value) = _parts(extension)
        if name == (_OID, _EXTENDED_KEY_USAGE):
            listed = [purpose for _, usages in _parts(value) for _, purpose in _parts(usages)]
            return frozenset(_USAGES[it] for it in listed if it in _USAGES) if listed else frozenset(KINDS)
    return frozenset(KINDS)


def _extensions(tbs: bytes) -> list[bytes]:
    (_, fields), *_ = _parts(tbs)
    found = [value for tag, value in _parts(fields) if tag == _EXTENSIONS]
    return [extension for value in found for _, listed in _parts(value) for _, extension in _parts(listed)]


def _parts(data: bytes) -> list[tuple[int, bytes]]:
    """The values side by side in DER (X.690 §8.1): tag and content of each.

    Raises:
        ValueError: a length reaches past the end.
    """
    found, at = [], 0
    while at < len(data):
        tag, size, at = data[at], *_length(data, at + 1)
        if at + size > len(data):
            raise ValueError("a length reaches past the end")
        found.append((tag, data[at : at + size]))
        at += size
    return found


def _length(data: bytes, at: int) -> tuple[int, int]:
    """A length, and where the content begins."""
    first = int.from_bytes(data[at : at + 1])
    if first < _LONG:
        return first, at + 1
    end = at + 1 + first - _LONG
    return int.from_bytes(data[at + 1 : end]), end
