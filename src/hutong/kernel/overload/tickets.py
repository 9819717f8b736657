"""Waiting tickets: a signed place in a queue that nobody keeps. Pure.

Belongs here: their text, signing, verifying. Not here: which time a ticket gets (`places`), files of keys (`keys`).

A ticket is one line that a header, a cookie and Lua can take apart:

    1.KEY.CLASS.DUE.WINDOW.ID.HOLDER.MAC

KEY names the signing key; CLASS is a class's name; DUE is ms since 1970 UTC, WINDOW how many ms from then it is good
for; ID is 8 random bytes; HOLDER the first 8 bytes of the SHA-256 of a secret that its holder keeps beside it; MAC the
first 16 bytes of HMAC-SHA-256 (RFC 2104 §5 allows half) over everything before its dot. All in lower-case hex but
CLASS, DUE and WINDOW. The edge has the same in Lua (`hutong_tickets.lua`); a test has each read the other's.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from enum import Enum
from typing import Final, NamedTuple

from hutong.kernel.overload.classes import CLASSES, KINDS, Kind

MAC_BYTES: Final = 16
HOLDER_BYTES: Final = 8
ID_BYTES: Final = 8
#: No ticket is as long; whoever sends more is not read any further.
LONGEST: Final = 200

_FORM: Final = re.compile(
    rf"(1\.([0-9a-f]{{8}})\.({'|'.join(KINDS)})\.([0-9]{{1,15}})\.([0-9]{{1,9}})"
    rf"\.([0-9a-f]{{{2 * ID_BYTES}}})\.([0-9a-f]{{{2 * HOLDER_BYTES}}}))\.([0-9a-f]{{{2 * MAC_BYTES}}})",
    re.ASCII,
)


class Key(NamedTuple):
    """A key of tickets: its name (8 hex digits), from when it signs (ms since 1970 UTC), its 32 bytes."""

    name: str
    from_ms: int
    secret: bytes


class Keys(NamedTuple):
    """The keys that are valid: both verify, the one that began last signs. So a new one is known before it signs."""

    one: Key
    other: Key | None = None

    def signing(self, now_ms: int) -> Key:
        """The key that signs at this time."""
        if self.other is None or self.other.from_ms > now_ms:
            return self.one
        return self.other if self.one.from_ms > now_ms or self.other.from_ms > self.one.from_ms else self.one

    def named(self, name: str) -> Key | None:
        """The key of this name."""
        return next((key for key in self if key is not None and key.name == name), None)


class Ticket(NamedTuple):
    """What a ticket says.

    Attributes:
        kind: its class. due_ms, window_ms: when it is good, and for how long. id, holder: hex, see above.
    """

    kind: Kind
    due_ms: int
    window_ms: int
    id: str
    holder: str


class Standing(Enum):
    """What a ticket is worth at a time: none or not ours, before its time, in its time, after it."""

    NONE = "none"
    EARLY = "early"
    DUE = "due"
    OVER = "over"


def holder_of(secret: str) -> str:
    """What a ticket says of its holder."""
    return hashlib.sha256(secret.encode()).digest()[:HOLDER_BYTES].hex()


def sign(ticket: Ticket, keys: Keys, now_ms: int) -> str:
    """The ticket's text."""
    key = keys.signing(now_ms)
    name = CLASSES[ticket.kind].name
    body = f"1.{key.name}.{name}.{ticket.due_ms}.{ticket.window_ms}.{ticket.id}.{ticket.holder}"
    return f"{body}.{_mac(key, body)}"


def verify(text: str, holder_secret: str, kind: Kind, keys: Keys, now_ms: int) -> tuple[Standing, Ticket | None]:
    """What a text is worth for a request of this class from this holder; and the ticket where it is a true one.

    A ticket of another class or of another holder is worth nothing.
    """
    form = _FORM.fullmatch(text) if len(text) <= LONGEST else None
    if form is None:
        return Standing.NONE, None
    body, name, kind_name, due, window, number, holder, mac = form.groups()
    key = keys.named(name)
    if key is None or KINDS[kind_name] is not kind or not hmac.compare_digest(mac, _mac(key, body)):
        return Standing.NONE, None
    if holder != holder_of(holder_secret):
        return Standing.NONE, None
    ticket = Ticket(kind, int(due), int(window), number, holder)
    if now_ms < ticket.due_ms:
        return Standing.EARLY, ticket
    return (Standing.DUE if now_ms < ticket.due_ms + ticket.window_ms else Standing.OVER), ticket


def _mac(key: Key, body: str) -> str:
    return hmac.digest(key.secret, body.encode(), "sha256")[:MAC_BYTES].hex()
