"""Signed documents beside the codes: key sets and heads of revocation lists, as COSE_Sign1 over one CBOR map. Pure.

The content type stands in the protected header (RFC 9052 §3.1), so that no code passes for a document, nor one
document for another, though the same key may sign them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from hutong.kernel.errors import HutongError
from hutong.protocols import cose
from hutong.protocols.cbor import read_cbor, write_cbor
from hutong.protocols.errors import ProtocolError

if TYPE_CHECKING:
    from hutong.codes.keys import SigningKey

_DEPTH: Final = 6
_MOST: Final = 16_000
_Body = TypeVar("_Body", bound=msgspec.Struct)


class SignedError(HutongError):
    """A key set or a revocation list is not what it should be."""


def write_signed(kind: str, body: msgspec.Struct, key: SigningKey) -> bytes:
    """A document of a content type, signed."""
    header: cose.Headers = {cose.ALGORITHM: key.public.number, cose.CONTENT_TYPE: kind, cose.KEY_ID: key.kid}
    protected, payload = cose.write_protected(header), write_cbor(msgspec.structs.asdict(body), kind, most=_MOST)
    return cose.write_sign1(protected, payload, key.sign(cose.to_be_signed(protected, payload)))


def read_message(kind: str, data: bytes) -> cose.Sign1:
    """The message that a document of this content type is; nothing of it is verified yet.

    Raises:
        SignedError: it is another document, or none.
    """
    try:
        message = cose.read_sign1(data)
    except ProtocolError as error:
        raise SignedError(f"This is no such document: {error}", where=kind) from error
    if message.protected_headers.get(cose.CONTENT_TYPE) != kind:
        raise SignedError("This is another document.", where=kind)
    return message


def body_of(kind: str, message: cose.Sign1, form: type[_Body]) -> _Body:
    """What a message says, in its form.

    Raises:
        SignedError: it is of another form.
    """
    try:
        found = read_cbor(message.payload, kind, most=_MOST, depth=_DEPTH)
        return msgspec.convert(found, form)
    except (ProtocolError, msgspec.ValidationError) as error:
        raise SignedError(f"It is not of the right form: {error}.", where=kind) from error
