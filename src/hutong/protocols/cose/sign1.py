"""One COSE_Sign1 message (RFC 9052 §4.2, §4.4): bytes to a checked `Sign1` and back.

message    [protected: bstr, unprotected: map, payload: bstr, signature: bstr], tagged 18, maybe tagged 61 (CWT)
signed     ["Signature1", protected: bstr, external data: bstr, payload: bstr]
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

import cbor2
import msgspec

from hutong.protocols.cbor import known_tags, read_cbor, write_cbor
from hutong.protocols.cose.errors import CoseError
from hutong.protocols.cose.headers import (
    ALGORITHM,
    KEY_ID,
    MAX_HEADER_DEPTH,
    MAX_MESSAGE,
    Headers,
    check_unprotected,
    read_protected,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hutong.protocols.cose.headers import Label

#: Longest run of bytes that is signed: a message and as much again of external data.
MAX_SIGNED = 2 * MAX_MESSAGE
#: Tags, the array, and a parameter.
MAX_DEPTH = 3 + MAX_HEADER_DEPTH

#: RFC 9052 §2 and RFC 8392 §6.
TAG_SIGN1, TAG_CWT = 18, 61
_CONTEXT = "Signature1"
_PARTS = 4


class Sign1(msgspec.Struct, frozen=True):
    """A message that was read.

    Attributes:
        protected: the protected header as it stood there, which the signature covers.
        protected_headers: what it says.
        unprotected: what anyone may have changed on the way.
        payload: what was signed.
        signature: over `to_be_signed(message.protected, message.payload)`.
    """

    protected: bytes
    protected_headers: Headers
    unprotected: Headers
    payload: bytes
    signature: bytes

    def header(self, label: Label) -> object:
        """A parameter; the protected bucket speaks first (RFC 9052 §3). None where neither has it."""
        if label in self.protected_headers:
            return self.protected_headers[label]
        return self.unprotected.get(label)

    @property
    def algorithm(self) -> int | str | None:
        """The algorithm that the message names. The key decides, not the message: compare before verifying."""
        return cast("int | str | None", self.header(ALGORITHM))

    @property
    def kid(self) -> bytes | None:
        """Where to look for the key."""
        return cast("bytes | None", self.header(KEY_ID))


_TAGS = known_tags({tag: partial(cbor2.CBORTag, tag) for tag in (TAG_SIGN1, TAG_CWT)})


def read_sign1(data: bytes) -> Sign1:
    """Read one message, with its tags or without.

    Raises:
        CoseError: more than MAX_MESSAGE bytes, nested deeper than MAX_DEPTH, bytes after the message, a detached
            payload, or anything that RFC 9052 does not allow.
    """
    found = read_cbor(data, "message", CoseError, most=MAX_MESSAGE, depth=MAX_DEPTH, tags=_TAGS)
    for tag in (TAG_CWT, TAG_SIGN1):
        if isinstance(found, cbor2.CBORTag) and found.tag == tag:
            found = found.value
    if not isinstance(found, list) or len(found) != _PARTS:
        raise CoseError("A COSE_Sign1 message is an array of four.", where="message")
    protected, unprotected, payload, signature = found
    for name, part in (("protected header", protected), ("payload", payload), ("signature", signature)):
        if not isinstance(part, bytes):
            raise CoseError("It is not a byte string.", where=name)
    headers = read_protected(protected)
    return Sign1(protected, headers, check_unprotected(unprotected, headers), payload, signature)


def to_be_signed(protected: bytes, payload: bytes, external: bytes = b"") -> bytes:
    """The bytes that the signature covers (RFC 9052 §4.4).

    Args:
        protected: the protected header as it stands in the message. One that says nothing is signed as no bytes,
            however it stands there.
        payload: the payload.
        external: what both sides know and the message does not carry.
    """
    if protected and not read_protected(protected):
        protected = b""
    whole = [_CONTEXT, protected, external, payload]
    return write_cbor(whole, "what is signed", CoseError, most=MAX_SIGNED)


def write_sign1(
    protected: bytes, payload: bytes, signature: bytes, unprotected: Mapping[Label, object] | None = None
) -> bytes:
    """Write one message, tagged 18.

    Args:
        protected: the header that was signed, of `write_protected`.
        payload: what was signed.
        signature: over `to_be_signed(protected, payload)`.
        unprotected: parameters that anyone may change.

    Raises:
        CoseError: a message that `read_sign1` would refuse.
    """
    beside = check_unprotected(dict(unprotected or {}), read_protected(protected))
    whole = cbor2.CBORTag(TAG_SIGN1, [protected, beside, payload, signature])
    return write_cbor(whole, "message", CoseError, most=MAX_MESSAGE)
