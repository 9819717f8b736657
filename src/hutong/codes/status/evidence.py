"""What a colour rests on: results, visits, declarations, orders, each with its time; and the commitment to it. Pure.

A commitment is the SHA-256 of a salt and of the digests of all evidence, each salted too, in one canonical form. It
stands on the trail, the evidence does not: whoever holds salts and evidence can show later what a colour was judged by,
and nobody else learns anything. Salts are kept with the evidence, sealed; when both are destroyed the commitment says
nothing for ever.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Annotated, Final, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta

from hutong.codes.status.errors import StatusRefused

ResultKind = Literal["negative", "positive", "inconclusive"]
Risk = Literal["low", "medium", "high"]
OrderKind = Literal["isolation", "monitoring", "release"]
RESULTS: Final[tuple[ResultKind, ...]] = get_args(ResultKind)
RISKS: Final[tuple[Risk, ...]] = get_args(Risk)
ORDERS: Final[tuple[OrderKind, ...]] = get_args(OrderKind)
SALT_BYTES: Final = 32
#: How far ahead of this node's clock a sender's may be.
AHEAD_MS: Final = 10 * 60_000
LONGEST_ORDER_MS: Final = 90 * 86_400_000
_DOMAIN: Final = b"hutong-colour-evidence-1\n"
_ITEM: Final = b"hutong-colour-item-1\n"
_Id = Annotated[str, Meta(min_length=1, max_length=100)]
_Text = Annotated[str, Meta(max_length=200)]
_Time = Annotated[int, Meta(ge=0, le=1 << 48)]


class Result(msgspec.Struct, frozen=True, kw_only=True, tag="result", forbid_unknown_fields=True):
    """A laboratory result.

    Attributes:
        id: the sender's, the same for a repetition. at_ms: when the sample was taken.
        mixed: how many people the tube was of; a tube of several that is positive is only inconclusive for each.
    """

    id: _Id
    at_ms: _Time
    result: ResultKind
    mixed: Annotated[int, Meta(ge=1, le=20)] = 1
    source: _Text = ""


class Visit(msgspec.Struct, frozen=True, kw_only=True, tag="visit", forbid_unknown_fields=True):
    """A stay at a place; `risk` is what an agency has declared of the place and time."""

    id: _Id
    at_ms: _Time
    risk: Risk
    place: _Text = ""
    source: _Text = ""


class Declaration(msgspec.Struct, frozen=True, kw_only=True, tag="declaration", forbid_unknown_fields=True):
    """What a person says of themselves; the latest counts."""

    id: _Id
    at_ms: _Time
    symptoms: bool = False
    contact: bool = False
    source: _Text = ""


class Order(msgspec.Struct, frozen=True, kw_only=True, tag="order", forbid_unknown_fields=True):
    """An order of a health agency about the person; `release` ends those before it.

    Attributes:
        until_ms: its end. document: the number of the order. source: the agency.
    """

    id: _Id
    at_ms: _Time
    until_ms: _Time
    order: OrderKind
    document: _Text = ""
    source: _Text = ""


Evidence: TypeAlias = Result | Visit | Declaration | Order


class Withdrawn(msgspec.Struct, frozen=True):
    """What a sender takes back: the evidence of this id is kept no more."""

    id: str


def read_evidence(data: bytes, now_ms: int) -> Evidence:
    """Evidence out of JSON.

    Raises:
        StatusRefused: "evidence": it has another form, lies ahead, or an order ends before it begins.
    """
    try:
        found: Evidence = msgspec.json.decode(data, type=Evidence)
    except msgspec.DecodeError as error:  # of which wrong values are a kind
        raise StatusRefused("evidence", f"This is no evidence: {error}.", fix="See docs/status.md.") from error
    check_evidence(found, now_ms)
    return found


def check_evidence(found: Evidence, now_ms: int) -> None:
    """What its form alone does not say.

    Raises:
        StatusRefused: "evidence".
    """
    texts = (found.id, found.source, getattr(found, "place", ""), getattr(found, "document", ""))
    if not all(text.isprintable() for text in texts):
        raise StatusRefused("evidence", "A text holds control letters.", where=found.id[:40])
    if found.at_ms > now_ms + AHEAD_MS and not isinstance(found, Order):
        raise StatusRefused("evidence", "Its time lies ahead.", where=found.id[:40], fix="Check the sender's clock.")
    if isinstance(found, Order) and not 0 < found.until_ms - found.at_ms <= LONGEST_ORDER_MS:
        raise StatusRefused("evidence", "The order ends before it begins, or lasts too long.", where=found.id[:40])


class Opening(msgspec.Struct, frozen=True):
    """What a commitment is of: all evidence as it was judged at a moment, and the change by hand that prevailed.

    Attributes:
        evidence: `item_digest` of each, by time and id. So an item can be destroyed before the others, and what is left
            still opens the commitment.
        change: what was ordered by hand, as it stands in the records.
    """

    at_ms: int
    evidence: tuple[str, ...]
    change: dict[str, str | int] | None = None

    def canonical(self) -> bytes:
        """The one form that is hashed: JSON with sorted keys and no blanks."""
        return msgspec.json.encode(msgspec.to_builtins(self), order="sorted")


def new_salt() -> bytes:
    """32 bytes that nobody can predict."""
    return secrets.token_bytes(SALT_BYTES)


def item_digest(salt: bytes, item: Evidence) -> str:
    """SHA-256 over a domain, the item's own salt and its canonical form, in hex."""
    return hashlib.sha256(_ITEM + salt + canonical(item)).hexdigest()


def canonical(item: Evidence) -> bytes:
    """The one form of an item: JSON with sorted keys and no blanks, every field of its type."""
    return msgspec.json.encode(msgspec.to_builtins(item), order="sorted")


def commitment(salt: bytes, opening: Opening) -> str:
    """SHA-256 over a domain, the salt and the opening's canonical form, in hex."""
    return hashlib.sha256(_DOMAIN + salt + opening.canonical()).hexdigest()
