"""The SIP that the sample gateway speaks: writing its requests and answers, reading just enough of what comes back.

A sample peer, not a codec: it reads messages of Hutong, Kamailio and itself only.
"""

from __future__ import annotations

import re

from msgspec import Struct

from hutong.protocols.sip.build import build_request

_RULE = re.compile(r"blocked by ([^\"@]+)@")
_CONTACT = re.compile(r"<(sip:[^>]+)>")
_COPIED = ("via", "record-route", "from", "to", "call-id", "cseq")
_NAMES = {
    "via": "Via",
    "record-route": "Record-Route",
    "from": "From",
    "to": "To",
    "call-id": "Call-ID",
    "cseq": "CSeq",
}


class Message(Struct, frozen=True):
    """A request (method, uri) or a response (status); headers by lower-case name, in their order."""

    method: str
    uri: str
    status: int
    headers: dict[str, list[str]]

    def first(self, name: str) -> str:
        """The first value of a header, empty where there is none."""
        return self.headers.get(name, [""])[0]


def read(data: bytes) -> Message:
    """Read a message of one of our own peers.

    Raises:
        ValueError: it is not one.
    """
    lines = data.split(b"\r\n\r\n", 1)[0].decode("utf-8", "replace").split("\r\n")
    words = lines[0].split(" ", 2)
    if len(words) < 3:  # noqa: PLR2004  # a start line has three words
        raise ValueError(lines[0])
    headers: dict[str, list[str]] = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers.setdefault(name.strip().lower(), []).append(value.strip())
    if words[0] == "SIP/2.0":
        return Message("", "", int(words[1]), headers)
    return Message(words[0], words[1], 0, headers)


class Leg(Struct):
    """One call as its caller's side writes it.

    Attributes:
        call_id, from_tag, caller: of the call; local: host:port of the trunk's socket.
        uri: where the INVITE goes; cseq, branch: count up.
        to: the To of the last answer, with its tag; remote, routes: the dialog's (RFC 3261 §12.1.2).
        extra: further headers of the INVITE.
    """

    call_id: str
    local: str
    caller: str
    from_tag: str
    uri: str
    cseq: int = 1
    branch: int = 0
    to: str = ""
    remote: str = ""
    routes: list[str] = []
    extra: list[tuple[str, str]] = []

    def request(self, method: str, uri: str = "", *, fresh_branch: bool = False) -> bytes:
        """A request of this call. An INVITE, its CANCEL and the ACK of its refusal share a branch (§9.1, §17.1.1.3)."""
        self.branch += fresh_branch
        number = self.cseq + 1 if method == "BYE" else self.cseq
        to = self.to if self.to and method in ("ACK", "BYE") else f"<{self.uri}>"
        headers = [
            ("Via", f"SIP/2.0/UDP {self.local};rport;branch=z9hG4bK-{self.from_tag}-{self.branch}"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:{self.caller}@{self.local}>;tag={self.from_tag}"),
            ("To", to),
            ("Call-ID", self.call_id),
            ("CSeq", f"{number} {method}"),
        ]
        if method in ("ACK", "BYE"):
            headers += [("Route", route) for route in self.routes]
        if method == "INVITE":
            headers.append(("Contact", f"<sip:{self.local}>"))
            headers.append(("P-Asserted-Identity", f"<sip:{self.caller}@{self.local}>"))
            headers += self.extra
        return build_request(method, uri or self.uri, headers=headers)

    def take_answer(self, message: Message) -> None:
        """Remember what later requests of the dialog need (RFC 3261 §12.1.2)."""
        self.to = message.first("to")
        contact = contact_of(message)
        if contact:
            self.remote = contact
            self.routes = list(reversed(message.headers.get("record-route", [])))


def contact_of(message: Message) -> str:
    """The URI of the first Contact; empty where there is none."""
    found = _CONTACT.search(message.first("contact"))
    return found[1] if found else ""


def rule_of(message: Message) -> str:
    """The rule that a refusal's Reason names."""
    for value in message.headers.get("reason", []):
        found = _RULE.search(value)
        if found:
            return found[1]
    return "?"


def answer(request: Message, status: str, tag: str, contact: str = "") -> bytes:
    """A response to a request, as the callee's side writes it."""
    lines = [f"SIP/2.0 {status}"]
    for name in _COPIED:
        for value in request.headers.get(name, []):
            tagged = f"{value};tag={tag}" if name == "to" and ";tag=" not in value else value
            lines.append(f"{_NAMES[name]}: {tagged}")
    if contact:
        lines.append(f"Contact: <sip:{contact}>")
    lines.append("Content-Length: 0")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
