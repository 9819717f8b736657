"""URIs: sip and sips (RFC 3261 §19.1), tel (RFC 3966), and whatever else has a scheme.

Nothing here knows where a URI may stand; headers.py does.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from hutong.protocols.sip import grammar
from hutong.protocols.sip.errors import SipError
from hutong.protocols.sip.grammar import Notes, shown
from hutong.protocols.sip.values import Params, Tolerance, Uri

_UNRESERVED = rb"A-Za-z0-9\-_.!~*'()"
_HEX = rb"%[0-9A-Fa-f]{2}"
_USER = rb"(?:[%b&=+$,;?/]++|%b)*+" % (_UNRESERVED, _HEX)
_PASSWORD = rb"(?:[%b&=+$,]++|%b)*+" % (_UNRESERVED, _HEX)
_PARAM_TEXT = rb"(?:[%b\[\]/:&+$]++|%b)++" % (_UNRESERVED, _HEX)
_HEADER_TEXT = rb"(?:[%b\[\]/?:+$]++|%b)" % (_UNRESERVED, _HEX)

_SIP = re.compile(
    rb"(?:(%b)(?::(%b))?+(@))?+"  # user, password
    rb"([A-Za-z0-9_.\-]++|\[[0-9A-Fa-f:.]++\])(?::([0-9]++))?+"  # host, port
    rb"((?:;%b(?:=%b)?+)*+)"  # parameters
    rb"(?:\?(%b++=%b*+(?:&%b++=%b*+)*+))?+"  # headers
    % (_USER, _PASSWORD, _PARAM_TEXT, _PARAM_TEXT, _HEADER_TEXT, _HEADER_TEXT, _HEADER_TEXT, _HEADER_TEXT)
)
_TEL = re.compile(
    rb"(\+?[0-9A-Fa-f*#\-.()]++)((?:;[A-Za-z0-9\-]++(?:=%b)?+)*+)" % _PARAM_TEXT,
)
_TEL_DIGIT = re.compile(rb"[0-9A-Fa-f*#]")
_TEL_GLOBAL = re.compile(rb"\+[0-9\-.()]*+")
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+\-.]*+")
_OPAQUE = re.compile(rb"[\x21\x23-\x3b\x3d\x3f-\x7e]++")

_MAX_TTL = 255


def parse_uri(raw: bytes, notes: Notes) -> Uri:
    """Read one URI, without angle brackets or surrounding white space.

    An unknown scheme is no error (the server answers 416, RFC 3261 §8.2.2.1); what a redirect server has no
    need to read of it is not read.

    Raises:
        SipError: there is no scheme, or the text breaks its scheme's grammar.
    """
    scheme, colon, rest = raw.partition(b":")
    if not colon:
        raise SipError(f"{shown(raw)} is no URI: it has no scheme")
    name = scheme.lower()
    if name in {b"sip", b"sips"}:
        return _sip(raw, name.decode("ascii"), rest, notes)
    if name == b"tel":
        return _tel(raw, rest, notes)
    if _OPAQUE.fullmatch(rest) is None or _OPAQUE.fullmatch(scheme) is None:
        raise SipError(f"{shown(raw)} is no URI")
    if _SCHEME.fullmatch(scheme) is None:
        notes.add(Tolerance.URI_SCHEME)
    return Uri(raw, name.decode("ascii"), rest)


def _sip(raw: bytes, scheme: str, rest: bytes, notes: Notes) -> Uri:
    found = _SIP.fullmatch(rest)
    if found is None:
        raise SipError(f"{shown(raw)} is no {scheme} URI")
    user, password, at_sign, host, port, params, headers = found.groups()
    if at_sign is not None and not user:
        notes.add(Tolerance.EMPTY_USER)
    raw_user = user or b""
    user_params: Params = {}
    if user and b";" in user:
        user, _, behind = user.partition(b";")
        user_params = _split_params(behind, strict=False)
    read = _split_params(params[1:], strict=True) if params else {}
    if read:
        _check_params(read, notes)
    return Uri(
        raw,
        scheme,
        unescape(user or b""),
        user_params,
        password,
        grammar.read_host(host, notes),
        None if port is None else grammar.read_port(port),
        read,
        headers or b"",
        raw_user,
    )


def _check_params(params: Params, notes: Notes) -> None:
    for name in ("transport", "user", "method"):
        grammar.require_token_param(params, name)
    if "ttl" in params:
        grammar.read_integer((params["ttl"] or "").encode(), _MAX_TTL)
    if "maddr" in params:
        grammar.read_host((params["maddr"] or "").encode(), notes)


def _tel(raw: bytes, rest: bytes, notes: Notes) -> Uri:
    found = _TEL.fullmatch(rest)
    if found is None or _TEL_DIGIT.search(found[1]) is None:
        raise SipError(f"{shown(raw)} is no tel URI")
    number, params = found.groups()
    read = _split_params(params[1:], strict=True) if params else {}
    if number.startswith(b"+"):
        if _TEL_GLOBAL.fullmatch(number) is None:
            raise SipError(f"{shown(raw)} is no tel URI: a global number has decimal digits only")
    elif not read.get("phone-context"):
        notes.add(Tolerance.NO_PHONE_CONTEXT)
    return Uri(raw, "tel", number, params=read, raw_user=number)


def _split_params(joined: bytes, *, strict: bool) -> Params:
    """`a=b;c` as parameters; within a user part, which is free text, the first of a name wins."""
    params: Params = {}
    for part in joined.split(b";"):
        raw_name, equals, value = part.partition(b"=")
        name = grammar.text(unescape(raw_name)).lower()
        if name in params:
            if strict:
                raise SipError(f"the URI parameter {name} comes twice")
            continue
        params[name] = grammar.text(unescape(value)) if equals else None
    return params


def unescape(value: bytes) -> bytes:
    """Undo %HH (RFC 3261 §19.1.2)."""
    return unquote_to_bytes(value) if b"%" in value else value
