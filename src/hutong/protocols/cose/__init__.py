"""COSE_Sign1 (RFC 9052 §4.2): bytes to a message and back, and the bytes that its signature covers.

No keys and no algorithms: `to_be_signed` goes to whoever holds a key. What belongs to a code's meaning is
in `protocols.cwt` and further out.
"""

from hutong.protocols.cose.errors import CoseError
from hutong.protocols.cose.headers import (
    ALGORITHM,
    CONTENT_TYPE,
    CRITICAL,
    EDDSA,
    ES256,
    KEY_ID,
    MAX_MESSAGE,
    PS256,
    Headers,
    Label,
    write_protected,
)
from hutong.protocols.cose.sign1 import MAX_DEPTH, Sign1, read_sign1, to_be_signed, write_sign1

__all__ = [
    "ALGORITHM",
    "CONTENT_TYPE",
    "CRITICAL",
    "EDDSA",
    "ES256",
    "KEY_ID",
    "MAX_DEPTH",
    "MAX_MESSAGE",
    "PS256",
    "CoseError",
    "Headers",
    "Label",
    "Sign1",
    "read_sign1",
    "to_be_signed",
    "write_protected",
    "write_sign1",
]
