"""CBOR (RFC 8949) as strangers may send it: one data item, bounded, without surprises.

The library reads far more than a signed code needs: tags that become dates, patterns or enormous numbers, shared and
cyclic values, maps in which a name stands twice. None of that is let in; who needs a tag names it.
"""

from __future__ import annotations

from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any

import cbor2

from hutong.protocols.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    #: What the library calls with a tagged value, and with whether the result must be hashable.
    Untag = Callable[[Any, bool], object]


class CborError(ProtocolError):
    """Bytes that are not one acceptable data item, or a value that CBOR does not carry."""


class _Tags(dict[int, "Untag"]):
    """What becomes of each tag; asked for any other, it answers with a refusal."""

    def __missing__(self, tag: int) -> Untag:
        def refuse(*_: object) -> object:
            raise CborError(f"Tag {tag} has no place here.")

        return refuse


def known_tags(tags: Mapping[int, Callable[[Any], object]]) -> Mapping[int, Untag]:
    """What `read_cbor` lets in: for each tag, what makes the value of it, or raises ValueError for another one."""
    return _Tags({tag: partial(_untagged, untag) for tag, untag in tags.items()})


def _untagged(untag: Callable[[Any], object], value: object, *_: object) -> object:
    return untag(value)


NO_TAGS = known_tags({})


def read_cbor(
    data: bytes,
    where: str,
    refusal: type[ProtocolError] = CborError,
    *,
    most: int,
    depth: int,
    tags: Mapping[int, Untag] = NO_TAGS,
) -> Any:  # noqa: ANN401  # whatever the bytes say
    """Read one data item and nothing after it.

    Args:
        data: the bytes.
        where: what they are, for the error.
        refusal: the error that is raised.
        most: how many bytes there may be.
        depth: how deep arrays, maps and tags may nest.
        tags: of `known_tags`; none unless given.

    Raises:
        refusal: anything else; also a name that stands twice in a map (RFC 8949 §5.6).
    """
    if len(data) > most:
        raise refusal(f"{len(data)} bytes; {most} are read at most.", where=where)
    decoder = cbor2.CBORDecoder(BytesIO(data), semantic_decoders=tags, max_depth=depth, allow_duplicate_keys=False)
    try:
        value = decoder.decode()
    except cbor2.CBORDecodeError as error:
        why = str(error.__cause__ or error).rstrip(".")
        raise refusal(f"This is not acceptable CBOR: {why}.", where=where) from error
    try:
        decoder.read(1)
    except cbor2.CBORDecodeEOF:
        return value
    raise refusal("More bytes follow the data item.", where=where)


def write_cbor(value: object, where: str, refusal: type[ProtocolError] = CborError, *, most: int) -> bytes:
    """Write one data item; maps in one fixed order (RFC 8949 §4.2.3), so that equal values give equal bytes.

    Raises:
        refusal: CBOR has no form for this value, or it takes more than `most` bytes.
    """
    try:
        data = cbor2.dumps(value, canonical=True)
    except (cbor2.CBOREncodeError, ValueError, TypeError, OverflowError) as error:
        raise refusal(f"This cannot be written as CBOR: {error}.", where=where) from error
    if len(data) > most:
        raise refusal(f"{len(data)} bytes; {most} are written at most.", where=where)
    return data
