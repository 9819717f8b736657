"""Header parameters of COSE (RFC 9052 §3): the two buckets, what they may hold, and which one speaks first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.protocols.cbor import read_cbor, write_cbor
from hutong.protocols.cose.errors import CoseError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: How a parameter is named (RFC 9052 §1.4).
Label = int | str
Headers = dict[Label, object]

# Labels of RFC 9052 §3.1.
ALGORITHM, CRITICAL, CONTENT_TYPE, KEY_ID = 1, 2, 3, 4
_UNDERSTOOD = frozenset({ALGORITHM, CRITICAL, CONTENT_TYPE, KEY_ID})

# Algorithms of RFC 9053 §2 and RFC 8230 §2.
ES256, EDDSA, PS256 = -7, -8, -37

#: Longest message, bytes: several times what the largest QR code holds, as codes may be compressed.
MAX_MESSAGE = 16_384
#: Most parameters in one bucket.
MAX_HEADERS = 16
#: How deep a parameter may nest.
MAX_HEADER_DEPTH = 4


def read_protected(data: bytes) -> Headers:
    """The parameters in the protected bucket, which stands in the message as bytes (RFC 9052 §3).

    Raises:
        CoseError: these bytes are no acceptable bucket, or `crit` asks for what is not understood here.
    """
    if not data:
        return {}
    found = read_cbor(data, "protected header", CoseError, most=MAX_MESSAGE, depth=MAX_HEADER_DEPTH)
    headers = check_headers(found, "protected header")
    _check_critical(headers)
    return headers


def check_unprotected(found: object, protected: Headers) -> Headers:
    """The parameters in the unprotected bucket, against those in the protected one.

    A key identifier may stand in both: it only says where to look for a key, and the protected one speaks first. The
    algorithm may not, nor may `crit` stand here at all (RFC 9052 §3.1).

    Raises:
        CoseError: this is no acceptable bucket beside the protected one.
    """
    headers = check_headers(found, "unprotected header")
    if CRITICAL in headers:
        raise CoseError("crit must be protected.", where="unprotected header")
    if ALGORITHM in headers and ALGORITHM in protected:
        raise CoseError("The algorithm stands in both headers.", where="unprotected header", fix="Protect it.")
    return headers


def check_headers(found: object, where: str) -> Headers:
    """A bucket in which every label is one, and the labels known here have values of their types.

    Raises:
        CoseError: it is not.
    """
    if not isinstance(found, dict):
        raise CoseError("A header is a map.", where=where)
    if len(found) > MAX_HEADERS:
        raise CoseError(f"{len(found)} parameters; {MAX_HEADERS} are read at most.", where=where)
    for label in found:
        # True and 1.0 are equal to 1, and would pass for the algorithm.
        if type(label) is not int and type(label) is not str:
            raise CoseError(f"{label!r} is no label.", where=where)
    if type(found.get(ALGORITHM, 0)) not in {int, str}:
        raise CoseError("The algorithm is a number or a name.", where=where)
    if not isinstance(found.get(KEY_ID, b""), bytes):
        raise CoseError("A key identifier is a byte string.", where=where)
    return found


def _check_critical(headers: Headers) -> None:
    if CRITICAL not in headers:
        return
    listed = headers[CRITICAL]
    if not isinstance(listed, list) or not listed:
        raise CoseError("crit is a list of labels.", where="protected header")
    for label in listed:
        if type(label) not in {int, str} or label not in headers:
            raise CoseError(f"crit lists {label!r}, which is not protected.", where="protected header")
        if label not in _UNDERSTOOD:
            raise CoseError(f"crit lists {label!r}, which is not understood here.", where="protected header")


def write_protected(headers: Mapping[Label, object]) -> bytes:
    """The protected bucket as bytes; an empty one is no bytes at all (RFC 9052 §3).

    Raises:
        CoseError: a parameter that cannot be written, or that would not be read.
    """
    checked = check_headers(dict(headers), "protected header")
    _check_critical(checked)
    if not checked:
        return b""
    return write_cbor(checked, "protected header", CoseError, most=MAX_MESSAGE)
