"""The text of an EU Digital COVID Certificate: "HC1:", base45, zlib, COSE, from the outside in.

Electronic Health Certificate Specification 1.0.7 §4.2. Nothing is verified here.
"""

from __future__ import annotations

import zlib

from hutong.codes.frameworks.errors import DccError
from hutong.protocols import base45, cose

PREFIX = "HC1:"


def strip_prefix(text: str) -> str:
    """What follows the context identifier.

    Raises:
        DccError: it is another one, or none.
    """
    if not text.startswith(PREFIX):
        raise DccError(f"It does not begin with {PREFIX}", where="prefix")
    return text.removeprefix(PREFIX)


def inflate(data: bytes) -> bytes:
    """What was compressed; never more than the largest message that is read.

    Raises:
        DccError: it is not one whole zlib stream (RFC 1950), or there is more in it.
    """
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(data, cose.MAX_MESSAGE + 1)
    except zlib.error as error:
        raise DccError(f"It is not compressed as it must be: {error}.", where="compression") from error
    if len(found) > cose.MAX_MESSAGE:
        raise DccError(f"It inflates to more than {cose.MAX_MESSAGE} bytes.", where="compression")
    if not stream.eof or stream.unused_data:
        raise DccError("It is cut short, or followed by something else.", where="compression")
    return found


def read_hc1(text: str) -> bytes:
    """The signed message in a text.

    Raises:
        DccError: the prefix or the compression is wrong.
        Base45Error: it is not base45.
    """
    return inflate(base45.decode(strip_prefix(text)))
