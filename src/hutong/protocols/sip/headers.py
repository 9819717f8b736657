"""One parser for each header whose content matters here; every value that gets through follows its grammar.

What a redirect server never looks at (Date, Accept, User-Agent, Warning, …) is not checked beyond being a
header line: an element should not refuse a request for a header that it has no use for (RFC 4475 §3.1.2.12).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hutong.protocols.sip import grammar
from hutong.protocols.sip.errors import SipError
from hutong.protocols.sip.grammar import QUOTED, TOKEN_SET, WS, Notes, shown
from hutong.protocols.sip.uri import parse_uri, unescape
from hutong.protocols.sip.values import (
    AccessNetwork,
    CSeq,
    HistoryEntry,
    Identity,
    Media,
    NameAddr,
    Params,
    Reason,
    Tolerance,
    Via,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_VIA = re.compile(
    rb"(?i:SIP)[ \t]*+/[ \t]*+2\.0[ \t]*+/[ \t]*+([%b]++)[ \t]++"
    rb'([^ \t;,"]++(?:[ \t]*+:[ \t]*+[0-9]++|(?<=:)[ \t]++[0-9]++)?+)' % TOKEN_SET
)
_SENT_BY = re.compile(rb"([A-Za-z0-9_.\-]++|\[[0-9A-Fa-f:.]++\])(?::([0-9]++))?+")
# An unquoted display name is tokens; anything that is no delimiter of the grammar is let through
# (Tolerance.DISPLAY_NAME).
_NAMED = re.compile(rb'(?:"(%b)"[ \t]*+|([^<>",:]*+))<([^<>"\x00-\x20\x7f]++)>' % QUOTED)
_PLAIN_DISPLAY = re.compile(rb"(?:[%b]++[ \t]*+)*+" % TOKEN_SET)
# A URI without angle brackets ends at ";", "," or "?": behind it come header parameters (RFC 3261 §20.10).
_BARE = re.compile(rb'[^ \t;,?<>"\x00-\x1f\x7f]++')
_BARE_WITH_PARAMS = re.compile(rb'[^ \t,?<>"\x00-\x1f\x7f]++')
_WORD = rb"A-Za-z0-9\-.!%*_+`'~()<>:\\\"/\[\]?{}"
_CALL_ID = re.compile(rb"[%b]++(?:@[%b]++)?+" % (_WORD, _WORD))
_CALL_ID_TOLERATED = re.compile(rb"[^ \t\r\n]++")
_CSEQ = re.compile(rb"([0-9]++)[ \t]++([%b]++)" % TOKEN_SET)
_MEDIA = re.compile(rb"([%b]++)[ \t]*+/[ \t]*+([%b]++)" % (TOKEN_SET, TOKEN_SET))
_ACCESS = re.compile(rb"[%b]++" % TOKEN_SET)
_IDENTITY = re.compile(
    rb"([A-Za-z0-9+/=_.\-]++)"
    rb'(?:[ \t]*+;[ \t]*+(?i:info)[ \t]*+=[ \t]*+<([^<>"\x00-\x20\x7f]++)>)?+[ \t]*+'
)
# As deep as Max-Forwards lets a call be sent on.
_INDEX = re.compile(r"[0-9]++(?:\.[0-9]++){0,255}+")
_QVALUE = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")

_MAX_CSEQ = 2**31 - 1
_MAX_SECONDS = 2**32 - 1
_MAX_FORWARDS = 255
_MAX_TTL = 255
_MAX_CAUSE = 999
_CELLS = ("cgi-3gpp", "utran-cell-id-3gpp", "utran-sai-3gpp", "ci-3gpp2", "ci-3gpp2-femto")


def _vias(value: bytes, notes: Notes) -> tuple[Via, ...]:
    vias = []
    at, end = 0, len(value)
    while True:
        found = _VIA.match(value, at)
        if found is None:
            raise SipError(f"{shown(value[at:])} is no Via of SIP/2.0")
        params, behind = grammar.read_params(value, found.end())
        vias.append(_via(value[at:behind].rstrip(WS), found[1], b"".join(found[2].split()), params, notes))
        at = grammar.next_element(value, behind)
        if at == end:
            return tuple(vias)


def _via(raw: bytes, transport: bytes, sent_by: bytes, params: Params, notes: Notes) -> Via:
    host, port = "", None
    # Answers go to where the request came from, so an impossible sent-by harms nobody.
    try:
        found = _SENT_BY.fullmatch(sent_by)
        if found is None:
            notes.add(Tolerance.SENT_BY)
        else:
            port = None if found[2] is None else grammar.read_port(found[2])
            host = grammar.read_host(found[1], notes)
    except SipError:
        port = None
        notes.add(Tolerance.SENT_BY)
    branch = grammar.require_token_param(params, "branch")
    rport = None
    if "rport" in params:
        rport = grammar.read_port(params["rport"].encode()) if params["rport"] is not None else 0
    if "ttl" in params:
        grammar.read_integer((params["ttl"] or "").encode(), _MAX_TTL)
    received = params.get("received") or ""
    return Via(raw, transport.decode("ascii").upper(), sent_by, host, port, params, branch, received, rport)


def _address(value: bytes, at: int, notes: Notes, bare: re.Pattern[bytes] | None = _BARE) -> tuple[NameAddr, int]:
    """One name-addr, or addr-spec as far as `bare` reaches, with its parameters; and where it ends."""
    found = _NAMED.match(value, at)
    if found is not None:
        quoted, plain, raw = found.groups()
        if quoted is not None:
            display = grammar.unescape(quoted)
        else:
            plain = plain.strip(WS)
            if _PLAIN_DISPLAY.fullmatch(plain) is None:
                notes.add(Tolerance.DISPLAY_NAME)
            display = grammar.text(plain)
    else:
        found = bare.match(value, at) if bare is not None else None
        if found is None:
            raise SipError(f"{shown(value[at:])} is no address")
        display, raw = "", found[0]
    params, behind = grammar.read_params(value, found.end())
    return NameAddr(display, parse_uri(raw, notes), params), behind


def _one_address(value: bytes, notes: Notes) -> tuple[NameAddr, ...]:
    address, behind = _address(value, 0, notes)
    grammar.expect_end(value, behind)
    grammar.require_token_param(address.params, "tag")
    return (address,)


def _list(value: bytes, notes: Notes, bare: re.Pattern[bytes] | None = _BARE) -> tuple[NameAddr, ...]:
    addresses = []
    at, end = 0, len(value)
    while True:
        address, behind = _address(value, at, notes, bare)
        addresses.append(address)
        at = grammar.next_element(value, behind)
        if at == end:
            return tuple(addresses)


def _contacts(value: bytes, notes: Notes) -> tuple[NameAddr, ...]:
    if value == b"*":
        return ()
    contacts = _list(value, notes)
    for contact in contacts:
        if "expires" in contact.params:
            grammar.read_integer((contact.params["expires"] or "").encode(), _MAX_SECONDS)
        if "q" in contact.params and _QVALUE.fullmatch(contact.params["q"] or "") is None:
            raise SipError("the parameter q is no number from 0 to 1 with at most three decimals")
    return contacts


def _routes(value: bytes, notes: Notes) -> tuple[NameAddr, ...]:
    return _list(value, notes, None)


def _asserted(value: bytes, notes: Notes) -> tuple[NameAddr, ...]:
    # RFC 3325 §9.1 gives these values no header parameters: what follows ";" belongs to the URI, brackets or
    # not.
    return _list(value, notes, _BARE_WITH_PARAMS)


def _history(value: bytes, notes: Notes) -> tuple[HistoryEntry, ...]:
    entries = []
    for address in _list(value, notes, None):
        index = address.params.get("index") or ""
        if _INDEX.fullmatch(index) is None:
            raise SipError("an entry has no index such as 1.2.", fix="RFC 7044 §5 requires one.")
        numbers = tuple(grammar.read_integer(part.encode(), _MAX_SECONDS) for part in index.split("."))
        entries.append(HistoryEntry(address, numbers, _history_cause(address)))
    return tuple(entries)


def _history_cause(address: NameAddr) -> int | None:
    """The cause of a redirection: a URI parameter (RFC 4458), else an embedded Reason (RFC 7044 §10.2)."""
    cause = address.uri.params.get("cause")
    if cause is not None:
        return int(cause) if cause.isascii() and cause.isdigit() and len(cause) <= len("999") else None
    for part in address.uri.headers.split(b"&"):
        name, _, value = part.partition(b"=")
        if unescape(name).lower() == b"reason":
            try:
                return _reasons(unescape(value), set())[0].cause
            except SipError:
                return None
    return None


def _reasons(value: bytes, _notes: Notes) -> tuple[Reason, ...]:
    reasons = []
    for protocol, params in _token_list(value):
        cause = params.get("cause")
        if "cause" in params:
            number = grammar.read_integer((cause or "").encode(), _MAX_CAUSE)
            reasons.append(Reason(protocol.upper(), number, params.get("text") or "", params))
        else:
            reasons.append(Reason(protocol.upper(), None, params.get("text") or "", params))
    return tuple(reasons)


def _access_networks(value: bytes, _notes: Notes) -> tuple[AccessNetwork, ...]:
    found = []
    for access, params in _token_list(value):
        cell = next((params[name] for name in _CELLS if params.get(name)), None)
        found.append(AccessNetwork(access, cell or "", params))
    return tuple(found)


def _token_list(value: bytes) -> list[tuple[str, Params]]:
    elements = []
    at, end = 0, len(value)
    while True:
        found = _ACCESS.match(value, at)
        if found is None:
            raise SipError(f"{shown(value[at:])} is not a token")
        params, behind = grammar.read_params(value, found.end())
        elements.append((found[0].decode("ascii"), params))
        at = grammar.next_element(value, behind)
        if at == end:
            return elements


def _privacy(value: bytes, _notes: Notes) -> tuple[str, ...]:
    # RFC 3323 §4.2 separates by ";"; many write ",".
    return tuple(grammar.read_token(part.strip(WS)).lower() for part in value.replace(b",", b";").split(b";"))


def _identities(value: bytes, notes: Notes) -> tuple[Identity, ...]:
    # RFC 4474, which came before, quotes the digest and has no parameters (RFC 4475 §3.1.1.11 shows it
    # unquoted).
    quoted = value[:1] == b'"' and value[-1:] == b'"'
    bare = value[1:-1] if quoted else value
    found = _IDENTITY.match(bare)
    if found is None:
        raise SipError(f"{shown(value)} is no Identity")
    info = "" if found[2] is None else parse_uri(found[2], notes).raw.decode("ascii")
    params, behind = grammar.read_params(bare, found.end())
    grammar.expect_end(bare, behind)
    if "info" in params:
        raise SipError("its info is no <URI>")
    return (Identity(found[1].decode("ascii"), info, params.get("alg") or "", params.get("ppt") or ""),)


def _call_id(value: bytes, notes: Notes) -> tuple[bytes, ...]:
    if _CALL_ID.fullmatch(value) is None:
        # An opaque string that is only ever compared and copied; white space would make its end uncertain.
        if _CALL_ID_TOLERATED.fullmatch(value) is None:
            raise SipError(f"{shown(value)} is no Call-ID")
        notes.add(Tolerance.CALL_ID)
    return (value,)


def _cseq(value: bytes, _notes: Notes) -> tuple[CSeq, ...]:
    found = _CSEQ.fullmatch(value)
    if found is None:
        raise SipError(f"{shown(value)} is no sequence number and method")
    return (CSeq(grammar.read_integer(found[1], _MAX_CSEQ), found[2].decode("ascii")),)


def _media(value: bytes, notes: Notes) -> tuple[Media, ...]:
    found = _MEDIA.match(value)
    if found is not None:
        params, behind = grammar.read_params(value, found.end())
        if behind == len(value):
            return (Media(found[1].decode("ascii").lower(), found[2].decode("ascii").lower(), params),)
    if not value:
        raise SipError("it is empty")
    # Bodies are not looked into, so what they are called matters to nobody here.
    notes.add(Tolerance.CONTENT_TYPE)
    return (Media(grammar.text(value).lower(), ""),)


def _tokens(value: bytes, _notes: Notes) -> tuple[str, ...]:
    return grammar.read_tokens(value)


def _forwards(value: bytes, _notes: Notes) -> tuple[int, ...]:
    return (grammar.read_integer(value, _MAX_FORWARDS),)


def _seconds(value: bytes, _notes: Notes) -> tuple[int, ...]:
    return (grammar.read_integer(value, _MAX_SECONDS),)


#: Canonical name → its parser: one header line to its values.
PARSERS: dict[str, Callable[[bytes, Notes], tuple[object, ...]]] = {
    "via": _vias,
    "from": _one_address,
    "to": _one_address,
    "call-id": _call_id,
    "cseq": _cseq,
    "max-forwards": _forwards,
    "contact": _contacts,
    "content-length": _seconds,
    "content-type": _media,
    "expires": _seconds,
    "allow": _tokens,
    "require": _tokens,
    "proxy-require": _tokens,
    "supported": _tokens,
    "unsupported": _tokens,
    "route": _routes,
    "record-route": _routes,
    "reply-to": _one_address,
    "refer-to": _one_address,
    "referred-by": _one_address,
    "p-asserted-identity": _asserted,
    "p-preferred-identity": _asserted,
    "privacy": _privacy,
    "diversion": _list,
    "history-info": _history,
    "p-access-network-info": _access_networks,
    "identity": _identities,
    "reason": _reasons,
}

#: Headers of which a message has at most one (RFC 3261 §7.3.1).
SINGLE = frozenset({"from", "to", "call-id", "cseq", "max-forwards", "content-length", "content-type", "expires"})
