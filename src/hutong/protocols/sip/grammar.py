"""The pieces of RFC 3261 §25 that headers share: tokens, numbers, quoted strings, hosts, parameters, lists.

Works on unfolded values: linear white space is spaces and tabs only. Every repetition in a pattern is
possessive, so no input makes one look at a byte more than a fixed number of times.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address
from typing import TYPE_CHECKING

from hutong.protocols.sip.errors import SipError
from hutong.protocols.sip.values import Tolerance

if TYPE_CHECKING:
    from hutong.protocols.sip.values import Params

#: What was tolerated in one message so far.
Notes = set[Tolerance]

TOKEN_SET = rb"A-Za-z0-9\-.!%*_+`'~"
WS = b" \t"
#: Inside the quotes (RFC 3261 §25.1 quoted-string); bytes above 0x7F are let through, valid UTF-8 or not, for
#: nothing but a display name or a comment can come of them.
QUOTED = rb"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]++|\\[\x00-\x09\x0b\x0c\x0e-\x7f])*+"

_TOKEN = re.compile(rb"[%b]++" % TOKEN_SET)
_PARAM = re.compile(
    rb'[ \t]*+;[ \t]*+([%b]++)(?:[ \t]*+=[ \t]*+(?:([%b:\[\]]++)|"(%b)"))?+[ \t]*+' % (TOKEN_SET, TOKEN_SET, QUOTED)
)
_DIGITS = re.compile(rb"[0-9]++")
_HOST = re.compile(rb"[A-Za-z0-9_.\-]++")
_OCTET = rb"(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})"
_IPV4 = re.compile(rb"%b(?:\.%b){3}" % (_OCTET, _OCTET))

_MAX_PORT = 65_535
_COMMA = ord(",")
#: Python refuses to convert thousands of digits, and no SIP number needs more than ten.
_MAX_DIGITS = 10


def text(value: bytes) -> str:
    """Free text for people; bytes that are no UTF-8 become U+FFFD."""
    return value.decode("utf-8", "replace")


def unescape(quoted: bytes) -> str:
    """The text of a quoted string's inside."""
    if b"\\" not in quoted:
        return text(quoted)
    # Escaped backslashes part the text from the left; every other backslash only escapes.
    return text(b"\\".join(part.replace(b"\\", b"") for part in quoted.split(b"\\\\")))


def read_token(value: bytes) -> str:
    """A whole value that is one token.

    Raises:
        SipError: it is not.
    """
    if _TOKEN.fullmatch(value) is None:
        raise SipError(f"{shown(value)} is not a token")
    return value.decode("ascii")


def is_token(value: bytes) -> bool:
    """Whether the whole value is one token."""
    return _TOKEN.fullmatch(value) is not None


def read_tokens(value: bytes) -> tuple[str, ...]:
    """A comma list of tokens; an empty value is an empty list."""
    if not value:
        return ()
    return tuple(read_token(part.strip(WS)) for part in value.split(b","))


def read_integer(value: bytes, limit: int) -> int:
    """A whole value that is a decimal number of at most `limit` (<= 2**32).

    Raises:
        SipError: it has a sign or another character, or is too large.
    """
    if _DIGITS.fullmatch(value) is None:
        raise SipError(f"{shown(value)} is not a number")
    digits = value.lstrip(b"0") or b"0"
    if len(digits) > _MAX_DIGITS or (number := int(digits)) > limit:
        raise SipError(f"{shown(value)} is larger than {limit}")
    return number


def read_port(digits: bytes) -> int:
    """A port number."""
    return read_integer(digits, _MAX_PORT)


def read_host(value: bytes, notes: Notes) -> str:
    """A host of RFC 3261 §25.1: a name, an IPv4 address or an IPv6 reference; lower case, without brackets.

    Raises:
        SipError: it is none of them.
    """
    if value[:1] == b"[" and value[-1:] == b"]":
        inside = value[1:-1]
        if is_ipv6(inside):
            return inside.decode("ascii").lower()
        raise SipError(f"{shown(value)} is no IPv6 reference")
    if _HOST.fullmatch(value) is None:
        raise SipError(f"{shown(value)} is no host")
    host = value.decode("ascii").lower()
    labels = host.removesuffix(".").split(".")
    if labels[-1].isdigit():
        if _IPV4.fullmatch(value) is None:
            raise SipError(f"{shown(value)} is no IPv4 address")
        return host
    if "_" in host:
        notes.add(Tolerance.HOST_UNDERSCORE)
    if any(not label or label[0] == "-" or label[-1] == "-" for label in labels) or labels[-1][0].isdigit():
        raise SipError(f"{shown(value)} is no host name")
    return host


def is_ipv6(value: bytes) -> bool:
    """Whether this is an IPv6 address without a zone (RFC 3261 has none)."""
    if b"%" in value:
        return False
    try:
        IPv6Address(value.decode("ascii"))
    except (AddressValueError, UnicodeDecodeError):
        return False
    return True


def read_params(value: bytes, at: int) -> tuple[Params, int]:
    """Parameters `;name[=value]` from `at` on, and where they end: a comma, the end, or what is wrong.

    Raises:
        SipError: a name comes twice (RFC 3261 §7.3.1), or a value with a colon is no IPv6 address.
    """
    params: Params = {}
    while (found := _PARAM.match(value, at)) is not None:
        raw_name, plain, quoted = found.groups()
        name = raw_name.decode("ascii").lower()
        if name in params:
            raise SipError(f"the parameter {name} comes twice")
        if quoted is not None:
            params[name] = unescape(quoted)
        elif plain is None:
            params[name] = None
        else:
            if b":" in plain or b"[" in plain or b"]" in plain:
                _check_address(name, plain)
            params[name] = plain.decode("ascii")
        at = found.end()
    return params, at


def _check_address(name: str, value: bytes) -> None:
    # Only Via's received writes an IPv6 address without brackets (RFC 3261 §25.1 via-received).
    bare = value[1:-1] if value[:1] == b"[" and value[-1:] == b"]" else value if name == "received" else b""
    if not is_ipv6(bare):
        raise SipError(f"{shown(value)} is no value of the parameter {name}")


def next_element(value: bytes, at: int) -> int:
    """Where the next element of a comma list starts, len(value) after the last; `at` is behind an element.

    Raises:
        SipError: something else stands here, or nothing follows the comma.
    """
    end = len(value)
    if at == end:
        return end
    if value[at] != _COMMA:
        raise SipError(f"{shown(value[at:])} does not belong here")
    at += 1
    while at < end and value[at] in WS:
        at += 1
    if at == end:
        raise SipError("a comma is followed by nothing")
    return at


def expect_end(value: bytes, at: int) -> None:
    """Nothing may follow.

    Raises:
        SipError: something does.
    """
    if at != len(value):
        raise SipError(f"{shown(value[at:])} does not belong here")


def require_token_param(params: Params, name: str) -> str:
    """The value of a parameter that must be a token where it is present; empty where it is absent.

    Raises:
        SipError: it is present without a value or with another kind of value.
    """
    if name not in params:
        return ""
    value = params[name]
    if value is None or not is_token(value.encode("utf-8")):
        raise SipError(f"the parameter {name} has no token as its value")
    return value


def shown(value: bytes) -> str:
    """A short printable form for messages."""
    longest = 40
    short = value[:longest]
    return ascii(short.decode("latin-1")) + ("…" if len(value) > longest else "")
