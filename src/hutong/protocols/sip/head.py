"""A message's head as lines: splitting, unfolding, canonical names; nothing of what the values mean.

It never fails: what is wrong is kept as the first `fault`, so that a response can still be addressed
(`response_heads`) and a stream can still be framed.
"""

from __future__ import annotations

import msgspec

from hutong.protocols.sip.errors import SipError
from hutong.protocols.sip.grammar import WS, Notes, is_token, shown
from hutong.protocols.sip.values import Header, ResponseHeads, Tolerance

#: Header lines of one message. A call that used up its Max-Forwards of 255 carries 255 Via and 255
#: Record-Route lines.
MAX_HEADERS = 1024

#: RFC 3261 §7.3.3 and the extensions' compact forms (IANA, SIP Header Fields).
COMPACT = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}


class Head(msgspec.Struct, frozen=True):
    """start: the start line. headers: in order. fault: the first thing wrong with the lines, if any."""

    start: bytes
    headers: tuple[Header, ...]
    fault: SipError | None
    tolerated: frozenset[Tolerance]


def split_head(head: bytes) -> Head:
    """Split what stands before the empty line (without the CRLF of its last line)."""
    lines = head.split(b"\r\n")
    ends = len(lines) - 1
    fault = None
    if head.count(b"\n") != ends or head.count(b"\r") != ends:
        fault = SipError("a line ends with a bare CR or LF.", fix="End lines with CRLF.")
    elif ends > MAX_HEADERS:
        fault = SipError(f"more than {MAX_HEADERS} header lines", status=513)
        lines = lines[: MAX_HEADERS + 1]
    headers: list[Header] = []
    notes: Notes = set()
    start = lines.pop(0)
    for number, line in enumerate(_unfold(lines, notes), 2):
        if line is None:
            continue
        name, colon, value = line.partition(b":")
        bare = name.rstrip(WS)
        if not bare or not colon:
            fault = fault or SipError(f"{shown(line)} is no header", where=f"line {number}")
            continue
        headers.append(Header(bare, _key(bare, notes), value.strip(WS), number))
    return Head(start, tuple(headers), fault, frozenset(notes))


def _unfold(lines: list[bytes], notes: Notes) -> list[bytes | None]:
    """Header lines, each joined with its continuations by one space; None in place of a joined line.

    A continuation that begins with a colon continues nothing that has a grammar: it is a header whose name is
    blank, and is ignored like any unknown header (the PROTOS suite counts such requests as valid).
    """
    joined: list[bytes | None] = list(lines)
    parts: list[bytes] = []
    first = -1
    for at, line in enumerate(lines):
        if not line.startswith((b" ", b"\t")):
            _join(joined, first, parts)
            parts, first = [line], at
            continue
        joined[at] = None
        continuation = line.strip(WS)
        if continuation.startswith(b":"):
            notes.add(Tolerance.HEADER_NAME)
        elif first >= 0:
            parts.append(continuation)
        else:
            joined[at] = b""
    _join(joined, first, parts)
    return joined


def _join(joined: list[bytes | None], first: int, parts: list[bytes]) -> None:
    if len(parts) > 1:
        joined[first] = b" ".join([parts[0].rstrip(WS), *(part for part in parts[1:] if part)])


def _key(name: bytes, notes: Notes) -> str:
    if not is_token(name):
        # No known header has such a name, and a server ignores what it does not know (RFC 3261 §8.2.2).
        notes.add(Tolerance.HEADER_NAME)
    key = name.decode("latin-1").lower()
    return COMPACT.get(key, key)


def response_heads(head: Head) -> ResponseHeads | None:
    """What a response to this head would copy, or None where no response can or may be sent.

    That is: it is a request, not an ACK, has a Via, and nothing that is copied could break a line.
    """
    method, space, _ = head.start.partition(b" ")
    if not space or not is_token(method) or method == b"ACK":
        return None
    first: dict[str, bytes] = {}
    vias: list[bytes] = []
    for header in head.headers:
        if header.key == "via":
            vias.append(header.value)
        else:
            first.setdefault(header.key, header.value)
    copied = [first.get(key, b"") for key in ("from", "to", "call-id", "cseq")]
    if not vias or not vias[0] or any(b"\r" in value or b"\n" in value for value in (*vias, *copied)):
        return None
    return ResponseHeads(
        method.decode("ascii"),
        tuple(vias),
        copied[0],
        copied[1],
        copied[2],
        copied[3],
        tagged=has_tag(copied[1]),
    )


def has_tag(to: bytes) -> bool:
    """Whether a To value, well formed or not, has a tag: behind its last ">" if it has one."""
    params = to.rpartition(b">")[2].lower().replace(b" ", b"").replace(b"\t", b"")
    return b";tag=" in params
