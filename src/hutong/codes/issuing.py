"""Issues bundles and paper codes: each is kept in the records before it is given away, so that it can be revoked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import msgspec

from hutong.codes import metrics
from hutong.codes.bundles import BundleRow
from hutong.codes.claims import HANDLE_BYTES, ID_BYTES, Claims, Colour, Kind
from hutong.codes.minting import Bundle, MintError, Pace, Wallet, mint, mint_one
from hutong.codes.revocation import write_news

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hutong.codes.bundles import BundleStore
    from hutong.codes.key_ring import KeyRing
    from hutong.codes.keys import SigningKey
    from hutong.kernel.metrics import Metrics

_DAY_MS: Final = 86_400_000
_HOUR_S: Final = 3_600


class Bearer(msgspec.Struct, frozen=True, kw_only=True):
    """Who a code is about.

    Attributes:
        person: the pseudonym that bundles are found by. who: the pseudonym of the day that codes show, 12 bytes.
        kind: own, child or elder. name: masked. tail: of the identity document.
        colour, as_of_ms: what was judged, and when; a paper code shows neither.
    """

    person: str
    who: bytes
    kind: Kind
    name: str
    tail: str
    colour: Colour
    as_of_ms: int


class Issue(msgspec.Struct, frozen=True):
    """How codes are issued: hours of a bundle, seconds of a code, seconds for clocks that differ, days of paper."""

    hours: int
    step_s: int
    slack_s: int
    paper_days: int

    @property
    def pace(self) -> Pace:
        """Of every bundle."""
        return Pace(self.step_s, self.slack_s, self.slack_s, max(self.hours * _HOUR_S // self.step_s, 1))

    @property
    def longest_ms(self) -> int:
        """The longest that a code lasts."""
        return max(self.pace.span_ms, self.paper_days * _DAY_MS)


class Prepared(msgspec.Struct, frozen=True):
    """A wallet that is signed but not kept yet: not to be given away before its rows are."""

    wallet: Wallet
    rows: tuple[BundleRow, ...]


class PaperCode(msgspec.Struct, frozen=True):
    """A code to be printed.

    Attributes:
        text: as its QR holds it. handle: what it is revoked by. claims: what it says.
    """

    text: str
    handle: bytes
    claims: Claims


class Issuer:
    """Issues codes of a node.

    Args:
        ring: keys. store: where handles are kept. issue: how. figures: what counts bundles; None where nobody reads it.
    """

    def __init__(self, ring: KeyRing, store: BundleStore, issue: Issue, figures: Metrics | None = None) -> None:
        self._ring, self._store, self._issue, self._figures = ring, store, issue, figures

    def wallet(self, own: Bearer, family: Sequence[Bearer], now_ms: int) -> Wallet:
        """The bundle of a person, and of each child and elder in that person's care; the slots begin at whole steps.

        Raises:
            MintError: a family code of another kind, or no key may sign for so long.
            StateError: there is no key. RecordsError: the records fail.
        """
        made = self.prepare(own, family, now_ms)
        self.keep(made.rows)
        return made.wallet

    def prepare(self, own: Bearer, family: Sequence[Bearer], now_ms: int) -> Prepared:
        """The same, without the records: whoever issues for many at once keeps the rows of all in one transaction.

        Raises:
            MintError, StateError: as `wallet` does.
        """
        if own.kind != "own" or any(it.kind not in {"child", "elder"} for it in family):
            raise MintError("A family code is a child's or an elder's.", where="kind")
        step_ms = self._issue.step_s * 1000
        first_ms = now_ms // step_ms * step_ms
        key = self._ring.signing_key(now_ms)
        bundles = [self._bundle(it, key, first_ms, now_ms) for it in (own, *family)]
        people = zip((own, *family), bundles, strict=True)
        rows = tuple(_row(it, bundle.handle, now_ms, bundle.expires_ms) for it, bundle in people)
        return Prepared(Wallet(bundles[0], tuple(bundles[1:])), rows)

    def keep(self, rows: Sequence[BundleRow]) -> None:
        """Keep what was prepared, and count it; on disk when this returns.

        Raises:
            RecordsError: the records fail, and what was prepared must not be given away.
        """
        self._store.add(rows)
        if self._figures is not None:
            for row in rows:
                self._figures.add(metrics.ISSUED, kind=row.kind)

    def paper(self, bearer: Bearer, now_ms: int) -> PaperCode:
        """A single code that lasts for days, for sampling and check-in: it names the person and shows no colour.

        Raises:
            MintError: no key may sign for so long. StateError: there is no key. RecordsError: the records fail.
        """
        expires_ms = now_ms // 1000 * 1000 + self._issue.paper_days * _DAY_MS
        handle = os.urandom(HANDLE_BYTES)
        claims = self._claims(bearer, handle, now_ms, now_ms, expires_ms)
        claims = msgspec.structs.replace(claims, kind="paper", colour=None, as_of_ms=None)
        text = mint_one(claims, self._ring.signing_key(now_ms))
        row = _row(bearer, handle, now_ms, expires_ms)
        self.keep([msgspec.structs.replace(row, kind="paper")])
        return PaperCode(text, handle, claims)

    def news(self, since: int, now_ms: int) -> bytes:
        """What was revoked since a version, signed; 0 for the whole list.

        Raises:
            StateError: there is no key. RecordsError: the records fail.
        """
        newest, entries = self._store.news(since, now_ms)
        return write_news(self._ring.issuer, since, newest, entries, self._ring.signing_key(now_ms), now_ms)

    def _bundle(self, it: Bearer, key: SigningKey, first_ms: int, now_ms: int) -> Bundle:
        pace = self._issue.pace
        claims = self._claims(it, os.urandom(HANDLE_BYTES), now_ms, first_ms, first_ms + pace.span_ms)
        return mint(claims, pace, key, os.urandom(ID_BYTES * pace.count))

    def _claims(self, it: Bearer, handle: bytes, now_ms: int, begins_ms: int, expires_ms: int) -> Claims:
        return Claims(
            issuer=self._ring.issuer,
            issued_ms=now_ms // 1000 * 1000,
            not_before_ms=begins_ms // 1000 * 1000,
            expires_ms=expires_ms,
            id=os.urandom(ID_BYTES),
            who=it.who,
            handle=handle,
            kind=it.kind,
            name=it.name,
            tail=it.tail,
            colour=it.colour,
            as_of_ms=it.as_of_ms // 1000 * 1000,
        )


def masked_name(name: str) -> str:
    """A name as codes show it: the first letter or character, and a star for the rest."""
    name = name.strip()
    return f"{name[0]}*" if name else "*"


def _row(it: Bearer, handle: bytes, now_ms: int, expires_ms: int) -> BundleRow:
    return BundleRow(handle.hex(), it.person, it.kind, now_ms, expires_ms)
