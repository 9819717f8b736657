"""Messages: from a datagram's bytes to a checked `Request` or `Response`.

Order of work: start line, header lines, every header of headers.py against its grammar, then what must hold
between them (RFC 3261 §8.1.1, §8.2, §18.3). The body is cut out and not looked into.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from hutong.protocols.sip.errors import SipError
from hutong.protocols.sip.grammar import Notes, is_token, shown, text
from hutong.protocols.sip.head import Head, response_heads, split_head
from hutong.protocols.sip.headers import PARSERS, SINGLE
from hutong.protocols.sip.keys import is_cookie_branch
from hutong.protocols.sip.uri import parse_uri
from hutong.protocols.sip.values import (
    AccessNetwork,
    CSeq,
    Header,
    HistoryEntry,
    Identity,
    Media,
    NameAddr,
    Reason,
    ResponseHeads,
    Tolerance,
    Uri,
    Via,
)

#: Bytes of one message. UDP carries at most 65,507; the PROTOS suite has valid requests of 128 KiB for
#: streams.
MAX_MESSAGE = 262_144
#: Commas and semicolons in the checked headers of one message: what bounds the work that a message can cause (about
#: 10 µs each). 255 hops with a dozen parameters each stay below it.
MAX_PARTS = 4096

#: RFC 3261 and its extensions (IANA, SIP Methods).
_BASE_METHODS = frozenset({"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER"})
_EXTENSION_METHODS = frozenset({"PRACK", "SUBSCRIBE", "NOTIFY", "PUBLISH", "INFO", "REFER", "MESSAGE", "UPDATE"})
KNOWN_METHODS = _BASE_METHODS | _EXTENSION_METHODS

_VERSION = re.compile(rb"(?i:SIP)/([0-9]++)\.([0-9]++)")
_STATUS_LINE = re.compile(rb"(?i:SIP)/2\.0 ([1-6][0-9]{2}) (.*+)", re.DOTALL)


class _Message(msgspec.Struct, frozen=True):
    """What requests and responses share.

    headers: every header line in order. body: cut at Content-Length. vias: top first. fields: the values of
    all other checked headers by canonical name. tolerated: where the grammar was not followed (docs/sip.md).
    """

    headers: tuple[Header, ...]
    body: bytes
    vias: tuple[Via, ...]
    from_: NameAddr
    to: NameAddr
    call_id: bytes
    cseq: CSeq
    fields: dict[str, tuple[Any, ...]]
    tolerated: frozenset[Tolerance]

    def values(self, key: str) -> tuple[bytes, ...]:
        """The values of all header lines with this canonical (lower-case) name, in order, as written."""
        return tuple(header.value for header in self.headers if header.key == key)

    def _one(self, key: str) -> Any:  # noqa: ANN401  # each accessor below states the type
        found = self.fields.get(key)
        return found[0] if found else None

    @property
    def max_forwards(self) -> int | None:
        """0 to 255; None where absent (an RFC 2543 client)."""
        number: int | None = self._one("max-forwards")
        return number

    @property
    def content_length(self) -> int | None:
        """As stated; None where absent."""
        number: int | None = self._one("content-length")
        return number

    @property
    def content_type(self) -> Media | None:
        """None where absent."""
        media: Media | None = self._one("content-type")
        return media

    @property
    def expires(self) -> int | None:
        """Seconds, below 2**32; None where absent."""
        seconds: int | None = self._one("expires")
        return seconds

    @property
    def contact(self) -> tuple[NameAddr, ...]:
        """All contacts; empty where there are none or the value is `*`."""
        return self.fields.get("contact", ())

    @property
    def require(self) -> tuple[str, ...]:
        """Option tags that the server must know, else 420."""
        return self.fields.get("require", ())

    @property
    def proxy_require(self) -> tuple[str, ...]:
        """Option tags that a proxy must know, else 420."""
        return self.fields.get("proxy-require", ())

    @property
    def supported(self) -> tuple[str, ...]:
        """Option tags that the sender knows."""
        return self.fields.get("supported", ())

    @property
    def p_asserted_identity(self) -> tuple[NameAddr, ...]:
        """All asserted identities (RFC 3325); `asserted_sip` and `asserted_tel` pick the ones that count."""
        return self.fields.get("p-asserted-identity", ())

    @property
    def asserted_sip(self) -> NameAddr | None:
        """The first sip or sips identity; more of the same scheme are ignored (RFC 5876 §4.5)."""
        return next((a for a in self.p_asserted_identity if a.uri.scheme in {"sip", "sips"}), None)

    @property
    def asserted_tel(self) -> NameAddr | None:
        """The first tel identity; more are ignored (RFC 5876 §4.5)."""
        return next((a for a in self.p_asserted_identity if a.uri.scheme == "tel"), None)

    @property
    def p_preferred_identity(self) -> tuple[NameAddr, ...]:
        """RFC 3325 §9.2."""
        return self.fields.get("p-preferred-identity", ())

    @property
    def privacy(self) -> tuple[str, ...]:
        """Lower-case privacy values (RFC 3323 §4.2)."""
        return self.fields.get("privacy", ())

    @property
    def diversion(self) -> tuple[NameAddr, ...]:
        """RFC 5806, latest diversion first; `params` has reason, counter, privacy, …."""
        return self.fields.get("diversion", ())

    @property
    def history_info(self) -> tuple[HistoryEntry, ...]:
        """RFC 7044, in the order written, oldest first."""
        return self.fields.get("history-info", ())

    @property
    def p_access_network_info(self) -> tuple[AccessNetwork, ...]:
        """RFC 7315 §5.4."""
        return self.fields.get("p-access-network-info", ())

    @property
    def identity(self) -> tuple[Identity, ...]:
        """RFC 8224; shape only."""
        return self.fields.get("identity", ())

    @property
    def reason(self) -> tuple[Reason, ...]:
        """RFC 3326."""
        return self.fields.get("reason", ())

    @property
    def route(self) -> tuple[NameAddr, ...]:
        """RFC 3261 §20.34."""
        return self.fields.get("route", ())


class Request(_Message, frozen=True, kw_only=True):
    """A well-formed request. method: case as written. uri: the Request-URI, never with headers."""

    method: str
    uri: Uri

    @property
    def heads(self) -> ResponseHeads:
        """What a response copies; see `build_response`."""
        first = {header.key: header.value for header in reversed(self.headers)}
        to = first.get("to") or b"<" + self.uri.raw + b">"
        return ResponseHeads(
            self.method,
            self.values("via"),
            first["from"],
            to,
            first["call-id"],
            first["cseq"],
            bool(self.to.tag),
        )


class Response(_Message, frozen=True, kw_only=True):
    """A well-formed response. status: 100 to 699."""

    status: int
    phrase: str


Message = Request | Response


def parse_datagram(data: bytes) -> Message:
    """Read the one message of a datagram; bytes behind its Content-Length are ignored (RFC 3261 §18.3).

    Raises:
        SipError: it is not a well-formed SIP/2.0 message. `status` and `heads` say how to answer it.
    """
    at = 0
    while data.startswith(b"\r\n", at):
        at += 2
    end = data.find(b"\r\n\r\n", at)
    if end < 0:
        head = split_head(data[at:].removesuffix(b"\r\n"))
        raise refusal(head, SipError("no empty line ends the headers."))
    head = split_head(data[at:end])
    if len(data) > MAX_MESSAGE:
        raise refusal(head, SipError(f"the message is longer than {MAX_MESSAGE} bytes", status=513))
    return read_message(head, data[end + 4 :])


def refusal(head: Head, error: SipError) -> SipError:
    """The error with what an answer to this head would copy."""
    error.heads = response_heads(head)
    return error


def read_message(head: Head, rest: bytes) -> Message:
    """Read a message whose head is already split; `rest` is the body and whatever follows it.

    Raises:
        SipError: as `parse_datagram`.
    """
    try:
        return _read(head, rest)
    except SipError as error:
        raise refusal(head, error) from None


def _read(head: Head, rest: bytes) -> Message:
    notes: Notes = set(head.tolerated)
    status_line = _STATUS_LINE.fullmatch(head.start)
    if status_line is not None:
        fields = _fields(head, notes)
        return Response(*_shared(head, fields, rest, notes), status=int(status_line[1]), phrase=text(status_line[2]))
    method, raw_uri = _request_line(head.start)
    uri = _request_uri(raw_uri, notes)
    fields = _fields(head, notes)
    if "to" not in fields and "via" in fields:
        # Outside a dialog To says no more than the Request-URI, which routes (RFC 3261 §8.1.1.1, §8.1.1.2).
        fields["to"] = (NameAddr("", uri),)
        notes.add(Tolerance.NO_TO)
    request = Request(*_shared(head, fields, rest, notes), method=method, uri=uri)
    _check_request(request)
    return request


def _request_line(line: bytes) -> tuple[str, bytes]:
    parts = line.split(b" ")
    if len(parts) != len(("method", "uri", "version")) or not is_token(parts[0]):
        raise SipError(
            f"{shown(line)} is no start line.",
            where="line 1",
            fix="Write method, URI and SIP/2.0 with one space between them.",
        )
    version = _VERSION.fullmatch(parts[2])
    if version is None:
        raise SipError(f"{shown(parts[2])} is no SIP version.", where="line 1", fix="Write SIP/2.0.")
    if version.groups() != (b"2", b"0"):
        raise SipError(f"{shown(parts[2])} is not spoken here.", where="line 1", fix="Use SIP/2.0.", status=505)
    return parts[0].decode("ascii"), parts[1]


def _request_uri(raw: bytes, notes: Notes) -> Uri:
    if raw.count(b";") > MAX_PARTS:
        raise SipError(f"more than {MAX_PARTS} parameters", where="Request-URI", status=513)
    try:
        uri = parse_uri(raw, notes)
    except SipError as error:
        error.where = "Request-URI"
        raise
    if uri.headers:
        raise SipError("it has headers (RFC 3261 §19.1.1 allows none)", where="Request-URI")
    return uri


def _fields(head: Head, notes: Notes) -> dict[str, tuple[Any, ...]]:
    """The values of every header that has a parser, by canonical name."""
    if head.fault is not None:
        raise head.fault
    fields: dict[str, tuple[Any, ...]] = {}
    parts = 0
    for header in head.headers:
        parser = PARSERS.get(header.key)
        if parser is None:
            continue
        parts += header.value.count(b",") + header.value.count(b";")
        if parts > MAX_PARTS:
            raise SipError(f"more than {MAX_PARTS} values and parameters", where=_place(header), status=513)
        try:
            values = parser(header.value, notes)
        except SipError as error:
            error.where = _place(header)
            raise
        if header.key not in fields:
            fields[header.key] = values
        elif header.key in SINGLE:
            raise SipError("it comes twice", where=_place(header))
        else:
            fields[header.key] += values
    return fields


def _place(header: Header) -> str:
    return f"{header.name.decode('latin-1')} (line {header.line})"


def _shared(head: Head, fields: dict[str, tuple[Any, ...]], rest: bytes, notes: Notes) -> tuple[Any, ...]:
    """The values that every message has, in the order of `_Message`; takes them out of `fields`."""
    missing = [name for name in ("Via", "From", "To", "Call-ID", "CSeq") if name.lower() not in fields]
    if missing:
        raise SipError(f"mandatory headers are missing: {', '.join(missing)}")
    length = fields.get("content-length")
    if length is not None and length[0] > len(rest):
        raise SipError(f"it says {length[0]}, but {len(rest)} bytes of body came", where="Content-Length")
    return (
        head.headers,
        rest if length is None else rest[: length[0]],
        fields.pop("via"),
        fields.pop("from")[0],
        fields.pop("to")[0],
        fields.pop("call-id")[0],
        fields.pop("cseq")[0],
        fields,
        frozenset(notes),
    )


def _check_request(request: Request) -> None:
    if request.cseq.method != request.method:
        # Of a method that nobody here knows, 501 says more than 400 (RFC 4475 §3.1.2.18).
        raise SipError(
            f"{request.cseq.method} is not the method of the request, {request.method}",
            where="CSeq",
            status=400 if request.method in KNOWN_METHODS else 501,
        )
    if not request.from_.tag and is_cookie_branch(request.vias[0].branch):
        # Only an RFC 2543 client may leave the tag out (RFC 3261 §8.1.1.3), and it knows no magic cookie.
        raise SipError("there is no tag", where="From")
