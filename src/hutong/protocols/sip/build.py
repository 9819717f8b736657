"""Messages written: responses to a request (RFC 3261 §8.2.6, RFC 3581), and whole requests for clients.

A response's bytes are fixed by this page, because a compiled writer elsewhere must produce the same ones:

1. `SIP/2.0 STATUS PHRASE`
2. one `Via: VALUE` for each Via header line of the request, in order, comma lists kept;
3. `From: VALUE`, `To: VALUE`, `Call-ID: VALUE`, `CSeq: VALUE`, each only where the request has it;
4. the extra headers in the order given, as `NAME: VALUE`;
5. `Content-Length: 0`, an empty line.

A VALUE is what the request has behind the colon, without the white space at both ends, each folding turned
into one space. To gets `;tag=TAG` appended when it has no tag. Lines end with CRLF.

The first via-parm of the first Via line says where the request came from: when it has `rport` without a
value, that becomes `rport=PORT` in place; and when it has any `rport`, or when its host is not, letter for
letter, the source address, `;received=ADDRESS` is put at its end (in place of the value of a `received` that
is there already).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hutong.protocols.sip.grammar import QUOTED, TOKEN_SET, WS
from hutong.protocols.sip.message import Request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hutong.protocols.sip.values import ResponseHeads

# A via-parm ends at the first comma that no quoted string holds.
_FIRST_PARM = re.compile(rb'(?:[^",]++|"%b")*+' % QUOTED)
_QUOTED_STRING = re.compile(rb'"%b"' % QUOTED)
_SENT_BY_HOST = re.compile(rb"[^/]*+/[^/]*+/[ \t]*+[%b]++[ \t]++(\[[^\]]*+\]|[^ \t;,:]*+)" % TOKEN_SET)
_RPORT = re.compile(rb";[ \t]*+rport([ \t]*+=[ \t]*+[0-9]*+)?+(?=[ \t]*+(?:;|$))", re.IGNORECASE)
_RECEIVED = re.compile(rb"(;[ \t]*+received[ \t]*+=[ \t]*+)[^ \t;]*+", re.IGNORECASE)


def build_response(
    request: Request | ResponseHeads,
    status: int,
    phrase: str,
    *,
    to_tag: str = "",
    extra_headers: Iterable[tuple[str, str]] = (),
    via_received: tuple[str, int] | None = None,
) -> bytes:
    """A response without a body.

    Args:
        request: the request, or the heads that a `SipError` kept of a bad one.
        status: 100 to 699.
        phrase: the reason phrase.
        to_tag: appended to a To that has none; empty for 100 (RFC 3261 §8.2.6.2).
        extra_headers: names and values, written as they are.
        via_received: source address (text, IPv6 without brackets) and port of the request's packet.

    Raises:
        ValueError: an extra header holds CR or LF.
    """
    heads = request.heads if isinstance(request, Request) else request
    vias = list(heads.vias)
    if via_received is not None:
        vias[0] = mark_received(vias[0], *via_received)
    to = heads.to
    if to and to_tag and not heads.tagged:
        to = b"%b;tag=%b" % (to, to_tag.encode())
    lines = [b"SIP/2.0 %d %b" % (status, phrase.encode())]
    lines += [b"Via: " + via for via in vias]
    copied = ((b"From: ", heads.from_), (b"To: ", to), (b"Call-ID: ", heads.call_id), (b"CSeq: ", heads.cseq))
    lines += [name + value for name, value in copied if value]
    lines += _lines(extra_headers)
    lines.append(b"Content-Length: 0\r\n\r\n")
    return b"\r\n".join(lines)


def mark_received(via: bytes, address: str, port: int) -> bytes:
    """The Via value with the packet's source in its first via-parm (RFC 3261 §18.2.1, RFC 3581 §4)."""
    first = _first_parm(via)
    behind = via[len(first) :]
    source = address.encode()
    rport = _RPORT.search(_masked(first))
    if rport is not None and rport[1] is None:
        first = b"%b=%d%b" % (first[: rport.end()], port, first[rport.end() :])
    host = _SENT_BY_HOST.match(first)
    if rport is None and host is not None and host[1].strip(b"[]") == source:
        return via
    received = _RECEIVED.search(_masked(first))
    if received is not None:
        return first[: received.end(1)] + source + first[received.end() :] + behind
    return b"%b;received=%b%b" % (first, source, behind)


def _first_parm(via: bytes) -> bytes:
    found = _FIRST_PARM.match(via)
    return (found[0] if found is not None else via).rstrip(WS)


def _masked(parm: bytes) -> bytes:
    """The same length, with nothing that looks like a parameter inside quotes."""
    return _QUOTED_STRING.sub(lambda found: b"_" * len(found[0]), parm) if b'"' in parm else parm


def build_request(method: str, uri: str, *, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> bytes:
    """A request, for tests, benches and sample clients: the headers as given, Content-Length, the body.

    Raises:
        ValueError: a header holds CR or LF.
    """
    lines = [f"{method} {uri} SIP/2.0".encode(), *_lines(headers)]
    lines.append(b"Content-Length: %d\r\n\r\n" % len(body))
    return b"\r\n".join(lines) + body


def _lines(headers: Iterable[tuple[str, str]]) -> list[bytes]:
    lines = [f"{name}: {value}".encode() for name, value in headers]
    if any(b"\r" in line or b"\n" in line for line in lines):
        raise ValueError("a header with a line end in it would become two headers")
    return lines
