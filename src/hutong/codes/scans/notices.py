"""What people are told of look-ups that found them, in plain words: kept so that only they can find and read it.

A notice is found by a hash of the pseudonym of the day, and sealed with a key that comes from the same: without a
person's document nobody, this node's people included, sees from notices who was where. It names no venue. It outlives
the scans, for a term without telling may be longer than scans are kept.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import sqlalchemy as sa

from hutong.codes.people.day_keys import day_text
from hutong.codes.people.sealing import seal, unseal
from hutong.codes.scans.lookup_model import bases
from hutong.kernel.access.agencies import Agencies
from hutong.kernel.access.errors import AccessError
from hutong.kernel.records.scan_tables import code_scan_notices
from hutong.kernel.web.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hutong.codes.scans.lookup_model import Ground
    from hutong.codes.scans.retention import Rule
    from hutong.kernel.records import Connection, Database

TEXTS: Final = Path(__file__).with_name("texts.toml")
_DAY_MS: Final = 86_400_000
_ABOUT: Final = "hutong-scan-notice"
_TABLE: Final = code_scan_notices


class Notice(msgspec.Struct, frozen=True):
    """What a person is told of a look-up.

    Attributes:
        day: whose scans were looked up, counted from 1970-01-01. looked_ms: when.
        shown_ms: from when on it is shown. basis: ids of legal bases.
    """

    order: str
    agency_zh: str
    agency_en: str
    document: str
    basis: tuple[str, ...]
    day: int
    looked_ms: int
    shown_ms: int

    def told(self, language: str) -> str:
        """In plain words."""
        known = bases()
        names = [getattr(known[it], "zh" if language == "zh" else "en") for it in self.basis if it in known]
        return _texts().say(
            "scans.notice.told",
            language,
            day=day_text(self.day),
            agency=self.agency_zh if language == "zh" else self.agency_en,
            basis=("；" if language == "zh" else "; ").join(names),
            document=self.document,
            order=self.order,
        )


class Notices:
    """The notices of a node.

    Args:
        database: opened by whoever made it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def leave(
        self, connection: Connection, people: Iterable[tuple[int, bytes]], ground: Ground, rule: Rule, now_ms: int
    ) -> None:
        """Leave a notice for each person of a day that a look-up found, within its transaction.

        Args:
            people: days and pseudonyms.
        """
        try:
            agency = Agencies(self._database).agency(ground.agency)
            zh, en = agency.zh, agency.en
        except AccessError:
            zh = en = ground.agency
        shown_ms = max(ground.quiet_until_ms, now_ms)
        until_ms = shown_ms + rule.notice_days * _DAY_MS
        rows = []
        for day, who in sorted(people):
            notice = Notice(ground.order, zh, en, ground.document, ground.basis, day, now_ms, shown_ms)
            sealed = seal(_derived(who, b"key", 32), msgspec.msgpack.encode(notice), _ABOUT)
            rows.append({"who": _derived(who, b"index", 16), "until_ms": until_ms, "sealed": sealed})
        if rows:
            connection.execute(sa.insert(_TABLE), rows)

    def of(self, names: Iterable[bytes], now_ms: int) -> list[Notice]:
        """What a person is told by now, the latest look-up first; one of an order and day.

        Args:
            names: the person's pseudonyms of the days in question.
        """
        found: dict[tuple[str, int], Notice] = {}
        with self._database.read() as connection:
            for who in names:
                chosen = sa.select(_TABLE.c.sealed).where(_TABLE.c.who == _derived(who, b"index", 16))
                for sealed in connection.execute(chosen).scalars():
                    plain = unseal(_derived(who, b"key", 32), sealed, _ABOUT)
                    notice = None if plain is None else msgspec.msgpack.decode(plain, type=Notice)
                    if notice is not None and notice.shown_ms <= now_ms:
                        found.setdefault((notice.order, notice.day), notice)
        return sorted(found.values(), key=lambda it: it.looked_ms, reverse=True)


def _derived(who: bytes, what: bytes, size: int) -> bytes:
    return blake2b(who, digest_size=size, person=b"hutong-" + what).digest()


@cache
def _texts() -> Texts:
    return Texts([TEXTS])


def nothing_told(language: str) -> str:
    """What a person is told whom nobody looked up, as far as may be said by now."""
    return _texts().say("scans.notice.none", language)
