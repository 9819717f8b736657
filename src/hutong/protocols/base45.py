"""Base45 (RFC 9285): bytes to the alphanumeric alphabet of QR codes and back.

Two bytes become three characters, a byte left over becomes two; the least significant character comes first. There is
one text for every run of bytes, and `decode` refuses every other text.
"""

from __future__ import annotations

import struct

from hutong.protocols.errors import ProtocolError

#: RFC 9285 table 1: the character for each value from 0 to 44.
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
#: Longest text that is decoded, characters: what the largest QR code holds in alphanumeric mode (version 40-L).
MAX_TEXT = 4296

_BASE = len(ALPHABET)
_BASE2 = _BASE * _BASE
_GROUP = 3
_NOT_ONE = 255
_MOST_OF_ONE, _MOST_OF_TWO = 0xFF, 0xFFFF
#: The two lower characters of a group, by their value.
_PAIRS = tuple(low + high for high in ALPHABET for low in ALPHABET)
_VALUES = bytes(max(ALPHABET.find(chr(code)), -1) % (_NOT_ONE + 1) for code in range(256))


class Base45Error(ProtocolError):
    """Text that no encoder makes."""


def encode(data: bytes) -> str:
    """The text for these bytes."""
    even = len(data) & ~1
    words = struct.unpack(f">{even // 2}H", data[:even])
    text = "".join([_PAIRS[word % _BASE2] + ALPHABET[word // _BASE2] for word in words])
    return text + _PAIRS[data[-1]] if even < len(data) else text


def decode(text: str) -> bytes:
    """The bytes of this text.

    Raises:
        Base45Error: a character outside the alphabet, a group that says more than its bytes can hold, a length that
            no encoder makes (RFC 9285 §6), or more than MAX_TEXT characters.
    """
    if len(text) > MAX_TEXT:
        raise Base45Error(f"The text has {len(text)} characters; a QR code holds {MAX_TEXT}.")
    try:
        values = text.encode("latin-1").translate(_VALUES)
    except UnicodeEncodeError as error:
        raise _stranger(text, error.start) from None
    if _NOT_ONE in values:
        raise _stranger(text, values.index(_NOT_ONE))
    whole = len(values) // _GROUP * _GROUP
    groups = zip(values[:whole:_GROUP], values[1:whole:_GROUP], values[2:whole:_GROUP], strict=True)
    words = [low + _BASE * middle + _BASE2 * high for low, middle, high in groups]
    try:
        data = struct.pack(f">{len(words)}H", *words)
    except struct.error:
        at = next(index for index, word in enumerate(words) if word > _MOST_OF_TWO) * _GROUP
        raise Base45Error("These three characters say more than 65535.", where=f"character {at + 1}") from None
    return data + _tail(values[whole:], whole)


def _tail(values: bytes, at: int) -> bytes:
    if not values:
        return b""
    if len(values) == 1:
        raise Base45Error("One character is left over.", where=f"character {at + 1}")
    value = values[0] + _BASE * values[1]
    if value > _MOST_OF_ONE:
        raise Base45Error("These two characters say more than 255.", where=f"character {at + 1}")
    return bytes((value,))


def _stranger(text: str, at: int) -> Base45Error:
    return Base45Error(f"{text[at]!r} is not in the alphabet of base45.", where=f"character {at + 1}")
