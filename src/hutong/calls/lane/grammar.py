"""The part of the SIP grammar that the fast lane reads, over spans of bytes (RFC 3261 §25.1).

Each reader gives one past what it read, or -1 where the bytes are not that simple. Which headers there are is `lane`'s
business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hutong.kernel.compiled import compiled, signed

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Sets of bytes, as bits of a class.
TOKEN, USER, HOST, PARAM, QUOTED, NAME, CALL_ID_BYTES, DIGIT = 1, 2, 4, 8, 16, 32, 64, 128
CR, LF, SP, QUOTE, COMMA, DOT = 0x0D, 0x0A, 0x20, 0x22, 0x2C, 0x2E
COLON, SEMI, LT, EQ, GT, AT = 0x3A, 0x3B, 0x3C, 0x3D, 0x3E, 0x40
ZERO, SLASH = 0x30, 0x2F


def _classes() -> NDArray[np.uint8]:
    """uint8[256]: which of the sets above each byte belongs to (each a subset of its production in RFC 3261 §25.1)."""
    table = np.zeros(256, dtype=np.uint8)
    alphanumeric = [*range(0x30, 0x3A), *range(0x41, 0x5B), *range(0x61, 0x7B)]
    for members, bit in (
        (b"-.!%*_+`'~", TOKEN),
        (b"-_.!~*'()+", USER),
        (b"-.", HOST),
        (b"-", NAME),
        (b"-._+", PARAM),
        (b"-.!%*_+`'~@", CALL_ID_BYTES),
    ):
        table[[*alphanumeric, *members]] |= bit
    table[[code for code in range(0x20, 0x7F) if code not in b'"\\']] |= QUOTED
    table[0x30:0x3A] |= DIGIT
    return table


_CLASS = _classes()
_RADIX = np.uint64(131)

_SIP_SCHEME = np.frombuffer(b"sip:", dtype=np.uint8)
W_TAG = np.frombuffer(b"tag", dtype=np.uint8)
W_UDP = np.frombuffer(b"udp", dtype=np.uint8)
W_TCP = np.frombuffer(b"tcp", dtype=np.uint8)


def name_hash(name: str) -> int:
    """The number that `hash_name` gives for a header's name."""
    value = 0
    for byte in name.encode():
        value = value * int(_RADIX) + (byte | 0x20)
    return (value + 2**63) % 2**64 - 2**63


_H_TTL, _H_MADDR, _H_METHOD = name_hash("ttl"), name_hash("maddr"), name_hash("method")


@compiled
def starts(data: NDArray[np.uint8], at: int, end: int, word: NDArray[np.uint8]) -> bool:
    """Whether the word stands at `at`, letter for letter."""
    if end - at < word.size:
        return False
    first = np.uint64(at)
    for i in range(np.uint64(word.size)):
        if data[first + i] != word[i]:
            return False
    return True


@compiled
def equals(data: NDArray[np.uint8], start: int, end: int, word: NDArray[np.uint8]) -> bool:
    """Whether the span is the lower-case word, letters compared without case."""
    if end - start != word.size:
        return False
    first = np.uint64(start)
    for i in range(np.uint64(word.size)):
        if (data[first + i] | 0x20) != word[i]:
            return False
    return True


@compiled
def run(data: NDArray[np.uint8], at: int, end: int, members: int) -> int:
    """One past the last byte of the run of `members` that begins at `at`."""
    # Unsigned places spare each byte the test for a negative index; most of the lane's time is spent here.
    place, stop = np.uint64(at), np.uint64(end)
    while place < stop and (_CLASS[data[place]] & members) != 0:
        place += np.uint64(1)
    return signed(place)


@compiled
def host_port(data: NDArray[np.uint8], at: int, end: int) -> tuple[int, int]:
    """Read host [":" port]; gives one past the host and one past the whole, or -1 where it is not that simple.

    A host is a dotted quad, or labels of letters, digits and inner hyphens whose last begins with a letter.
    """
    start = at
    label = at
    letter_last = False
    labels = 0
    numeric = True
    while at < end and (_CLASS[data[at]] & HOST) != 0:
        byte = data[at]
        if byte == DOT:
            if at == label or data[at - 1] == 0x2D or data[label] == 0x2D:
                return -1, -1
            labels += 1
            label = at + 1
        elif (_CLASS[byte] & DIGIT) == 0:
            numeric = False
        at += 1
    if at == label or data[at - 1] == 0x2D or data[label] == 0x2D:
        return -1, -1
    letter_last = (_CLASS[data[label]] & DIGIT) == 0
    if numeric:
        if labels != 3 or not is_quad(data, start, at):
            return -1, -1
    elif not letter_last:
        return -1, -1
    host_end = at
    if at < end and data[at] == COLON:
        port_start = at + 1
        at = run(data, port_start, end, DIGIT)
        if at == port_start or at - port_start > 5:
            return -1, -1
        port = 0
        for i in range(port_start, at):
            port = port * 10 + signed(data[i]) - ZERO
        if port == 0 or port > 65535:
            return -1, -1
    return host_end, at


@compiled
def is_quad(data: NDArray[np.uint8], start: int, end: int) -> bool:
    """Whether the span is four decimal octets without leading zeros."""
    return quad_value(data, start, end) >= 0


@compiled
def quad_value(data: NDArray[np.uint8], start: int, end: int) -> int:
    """The 32-bit value of a dotted quad, -1 when the span is none."""
    value = 0
    octets = 0
    at = start
    while at < end:
        first = at
        octet = 0
        while at < end and (_CLASS[data[at]] & DIGIT) != 0:
            octet = octet * 10 + signed(data[at]) - ZERO
            at += 1
            if at - first > 3:
                return -1
        if at == first or octet > 255 or (at - first > 1 and data[first] == ZERO):
            return -1
        value = value * 256 + octet
        octets += 1
        if at < end:
            if data[at] != DOT or octets == 4:
                return -1
            at += 1
            if at == end:
                return -1
    return value if octets == 4 else -1


@compiled
def read_uri(data: NDArray[np.uint8], at: int, end: int, spans: NDArray[np.int64], slot: int) -> int:
    """Read user@host[:port] and a few parameters; `at` is after "sip:".

    Writes the user's span to `slot` (when slot >= 0). Gives one past the URI, or -1.
    """
    user_end = run(data, at, end, USER)
    if user_end < end and data[user_end] == AT and user_end > at:
        if slot >= 0:
            spans[slot] = at
            spans[slot + 1] = user_end
        at = user_end + 1
    elif slot >= 0:
        return -1
    _, at = host_port(data, at, end)
    if at < 0:
        return -1
    return _read_uri_params(data, at, end)


@compiled
def _read_uri_params(data: NDArray[np.uint8], at: int, end: int) -> int:
    """Read up to three ;name or ;name=value of different names whose values have no grammar of their own."""
    one, two, three = 0, 0, 0
    while at < end and data[at] == SEMI:
        name = at + 1
        at = run(data, name, end, PARAM)
        known = hash_name(data, name, at)
        if at == name or known in (one, two, three, _H_TTL, _H_MADDR, _H_METHOD) or three != 0:
            return -1
        one, two, three = known, one, two
        if at < end and data[at] == EQ:
            value = at + 1
            at = run(data, value, end, PARAM)
            if at == value:
                return -1
    return at


@compiled
def read_name_addr(data: NDArray[np.uint8], at: int, end: int, spans: NDArray[np.int64], slot: int, tags: int) -> int:
    """Read [display] "<" sip URI ">" and at most one ;tag (exactly `tags` of them, 0 or 1)."""
    if at < end and data[at] == QUOTE:
        at = run(data, at + 1, end, QUOTED)
        if at >= end or data[at] != QUOTE:
            return -1
        at += 1
        if at < end and data[at] == SP:
            at += 1
    else:
        word = run(data, at, end, TOKEN)
        if word > at:
            if word >= end or data[word] != SP:
                return -1
            at = word + 1
    if at >= end or data[at] != LT or not starts(data, at + 1, end, _SIP_SCHEME):
        return -1
    at = read_uri(data, at + 5, end, spans, slot)
    if at < 0 or at >= end or data[at] != GT:
        return -1
    at += 1
    if tags == 1:
        if at >= end or data[at] != SEMI:
            return -1
        name_end = run(data, at + 1, end, PARAM)
        if not equals(data, at + 1, name_end, W_TAG) or name_end >= end or data[name_end] != EQ:
            return -1
        at = run(data, name_end + 1, end, TOKEN)
        if at == name_end + 1:
            return -1
    return at


@compiled
def read_number(data: NDArray[np.uint8], at: int, end: int, digits: int) -> tuple[int, int]:
    """Read at most `digits` decimal digits; gives the value and one past it, or (-1, -1)."""
    stop = run(data, at, end, DIGIT)
    if stop == at or stop - at > digits:
        return -1, -1
    value = 0
    for i in range(at, stop):
        value = value * 10 + signed(data[i]) - ZERO
    return value, stop


@compiled
def read_tokens(data: NDArray[np.uint8], at: int, end: int) -> int:
    """Read token *("," [SP] token); gives one past it, or -1."""
    while True:
        stop = run(data, at, end, TOKEN)
        if stop == at:
            return -1
        at = stop
        if at >= end or data[at] != COMMA:
            return at
        at += 1
        if at < end and data[at] == SP:
            at += 1


@compiled
def hash_name(data: NDArray[np.uint8], start: int, end: int) -> int:
    """A number for a header's name, letters without case. Names that meet are declined by their values' readers."""
    # Unsigned, because only unsigned arithmetic may overflow in compiled code.
    value = np.uint64(0)
    for place in range(np.uint64(start), np.uint64(end)):
        value = value * _RADIX + np.uint64(data[place] | 0x20)
    return signed(value)
