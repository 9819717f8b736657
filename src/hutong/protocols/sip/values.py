"""The values that SIP bytes are read into: frozen, and without behaviour beyond naming what they hold.

`bytes` are exactly what was on the wire (white space around them trimmed, folding undone); `str` is text that
the grammar confines to ASCII, or free text decoded from UTF-8 with undecodable bytes replaced.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

#: Parameters in their order; names in lower case, values without their quotes, None where there is no "=".
Params = dict[str, str | None]


class Tolerance(StrEnum):
    """Where a message broke the grammar and is read all the same (docs/sip.md gives the reasons)."""

    SENT_BY = "sent-by"
    DISPLAY_NAME = "display-name"
    CALL_ID = "call-id"
    CONTENT_TYPE = "content-type"
    HEADER_NAME = "header-name"
    NO_TO = "no-to"
    EMPTY_USER = "empty-user"
    URI_SCHEME = "uri-scheme"
    NO_PHONE_CONTEXT = "no-phone-context"
    HOST_UNDERSCORE = "host-underscore"


class Header(msgspec.Struct, frozen=True, gc=False):
    """One header line.

    name: as written. key: canonical, lower case, compact forms resolved ("via"). value: unfolded and trimmed.
    line: line number within the message, the start line being 1.
    """

    name: bytes
    key: str
    value: bytes
    line: int


class Uri(msgspec.Struct, frozen=True):
    """A URI of any scheme (RFC 3261 §19.1, RFC 3966).

    raw: as written.
    scheme: lower case ("sip", "sips", "tel", or anything else).
    user: of sip and sips the user part up to its first ";", percent-decoded, empty where there is none;
        of tel the number with its separators; of another scheme everything behind the colon.
    user_params: what follows ";" within the user part (RFC 3261 §19.1.6: phone-context, npdi, …).
    host: lower case, an IPv6 reference without its brackets; empty for tel and unknown schemes.
    port: None where not given.
    params: URI parameters.
    headers: what follows "?", still escaped.
    raw_user: the user part of sip, sips and tel as written, parameters and escapes included: what a redirect
        copies.
    """

    raw: bytes
    scheme: str
    user: bytes = b""
    user_params: Params = {}
    password: bytes | None = None
    host: str = ""
    port: int | None = None
    params: Params = {}
    headers: bytes = b""
    raw_user: bytes = b""

    @property
    def known(self) -> bool:
        """Whether the scheme is one that this codec reads (sip, sips, tel); anything else deserves 416."""
        return self.scheme in {"sip", "sips", "tel"}

    @property
    def is_phone(self) -> bool:
        """Whether the user part is declared to be a telephone number (tel:, or sip: with user=phone)."""
        return self.scheme == "tel" or (self.params.get("user") or "").lower() == "phone"

    @property
    def phone_context(self) -> str:
        """The phone-context that makes a local number global (RFC 3966 §5.1.5); empty where there is none."""
        where = self.params if self.scheme == "tel" else self.user_params
        return where.get("phone-context") or ""


class NameAddr(msgspec.Struct, frozen=True):
    """A display name, a URI and header parameters (From, To, Contact, Route, Diversion, …).

    display: without quotes and escapes; empty where there is none.
    """

    display: str
    uri: Uri
    params: Params = {}

    @property
    def tag(self) -> str:
        """The tag parameter; empty where there is none."""
        return self.params.get("tag") or ""


class Via(msgspec.Struct, frozen=True):
    """One hop (RFC 3261 §20.42, RFC 3581).

    raw: this via-parm alone. transport: upper case. sent_by: host and port as written.
    host: lower case, IPv6 without brackets; empty where sent_by is no host (Tolerance.SENT_BY). port: None if
    not given. branch: empty where there is none (RFC 2543). rport: None absent, 0 present without a value,
    else the port.
    """

    raw: bytes
    transport: str
    sent_by: bytes
    host: str
    port: int | None
    params: Params
    branch: str
    received: str
    rport: int | None


class CSeq(msgspec.Struct, frozen=True, gc=False):
    """number below 2**31 and method, case as written."""

    number: int
    method: str


class HistoryEntry(msgspec.Struct, frozen=True):
    """One entry of History-Info (RFC 7044).

    index: (1, 2) for "1.2". cause: why the call was sent on to this address (RFC 4458); None where not said.
    """

    address: NameAddr
    index: tuple[int, ...]
    cause: int | None


class Reason(msgspec.Struct, frozen=True):
    """Why (RFC 3326). protocol: upper case ("Q.850", "SIP"). cause: None where not given."""

    protocol: str
    cause: int | None
    text: str
    params: Params = {}


class AccessNetwork(msgspec.Struct, frozen=True):
    """P-Access-Network-Info (RFC 7315 §5.4). access: as written. cell: the 3GPP cell; empty if none."""

    access: str
    cell: str
    params: Params = {}


class Identity(msgspec.Struct, frozen=True):
    """The shape of Identity (RFC 8224 §4); nothing is verified. info, alg, ppt: empty where absent."""

    digest: str
    info: str
    alg: str
    ppt: str


class Media(msgspec.Struct, frozen=True):
    """Content-Type in lower case; `subtype` is empty where it is no type (Tolerance.CONTENT_TYPE)."""

    type: str
    subtype: str
    params: Params = {}


class ResponseHeads(msgspec.Struct, frozen=True):
    """What a response copies (RFC 3261 §8.2.6.2), read leniently so that a bad request is answered too.

    vias: the values of all Via header lines in order. Others: header values; `tagged`: To already has a tag.
    """

    method: str
    vias: tuple[bytes, ...]
    from_: bytes
    to: bytes
    call_id: bytes
    cseq: bytes
    tagged: bool
