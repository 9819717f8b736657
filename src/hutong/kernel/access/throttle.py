"""Slows down whoever guesses passwords, without giving anybody the means to lock others out.

Failures are counted for each pair of account and place (an IPv4 address, or an IPv6 /64: a home has the whole of it).
From them come three counts, each with a wait of its own:

- the pair's own failures;
- the place's failures at whatever account, against trying one password at many;
- the account's failures from other places, against many places that try one account. A place counts for at most four:
  fewer than it takes, so no single place can make others wait, however long it keeps trying.

Whoever has signed in from this place within 30 days is spared the second and the third: those who guess cannot keep out
those who know. A refused attempt is not looked at and not counted, so waits do not grow while one waits.

Where more attempts come at once than can be looked at, the same knowledge says who goes first (`rank_of`).
"""

from __future__ import annotations

import hashlib
import ipaddress
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from hutong.kernel.access.account import normal_name
from hutong.kernel.access.errors import Throttled
from hutong.kernel.access.passwords import Rank
from hutong.kernel.records import tables

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hutong.kernel.records import Connection, Database

FREE: Final = 5  # failures before anybody waits
SHARE: Final = FREE - 1  # what one place counts for against an account
CAP_MS: Final = 15 * 60 * 1000
FADES_MS: Final = 24 * 3600 * 1000  # a failure so old counts no more
KNOWN_MS: Final = 30 * FADES_MS  # for so long after a sign-in its place is known
_FIRST_MS = 1000
_MOST_DOUBLINGS = 20
_BUCKET_BYTES = 2
_LONGEST_PLACE = 64


class Count(msgspec.Struct, frozen=True):
    """How many attempts failed, and when the last did (ms since 1970)."""

    failures: int = 0
    last_ms: int = 0


class Standing(msgspec.Struct, frozen=True):
    """What is known when somebody at a place tries an account.

    Attributes:
        pair: failures at this account from this place.
        place: failures at any account from this place.
        others: failures at this account from elsewhere, each place's share capped.
        known: somebody signed in to this account from this place within 30 days.
    """

    pair: Count = Count()
    place: Count = Count()
    others: Count = Count()
    known: bool = False


def wait_of(count: Count, now_ms: int) -> int:
    """Milliseconds to wait after so many failures: 1 s after the fifth, doubled by each further one, 15 min at most."""
    if count.failures < FREE:
        return 0
    delay = min(CAP_MS, _FIRST_MS << min(count.failures - FREE, _MOST_DOUBLINGS))
    return min(delay, max(0, count.last_ms + delay - now_ms))


def wait_ms(standing: Standing, now_ms: int) -> int:
    """Milliseconds until an attempt is heard; 0 = now."""
    own = wait_of(standing.pair, now_ms)
    return own if standing.known else max(own, wait_of(standing.place, now_ms), wait_of(standing.others, now_ms))


def rank_of(standing: Standing) -> Rank:
    """Who goes first where not all can be looked at.

    What failed at the account from elsewhere says nothing about who asks now, so it does not count.
    """
    if standing.known:
        return Rank.KNOWN
    return Rank.DOUBTFUL if standing.pair.failures or standing.place.failures else Rank.CLEAN


def address_text(address: str) -> str:
    """An address as it can be kept, whatever a proxy said."""
    return "".join(c for c in address if c.isascii() and c.isprintable())[:_LONGEST_PLACE]


def place_of(address: str) -> str:
    """What is counted as one place: an IPv4 address, an IPv6 /64, or the text where it is no address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address_text(address)
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.IPv6Network((found, 64), strict=False))
    return str(found)


def bucket_of(name: str) -> int:
    """A hash of a name, 16 bits: enough to tell accounts apart, too few to find what somebody typed as a name."""
    digest = hashlib.sha256(normal_name(name).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:_BUCKET_BYTES])


class Attempts:
    """The counts in the records.

    Args:
        database: opened by whoever made it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def rank(self, name: str, address: str, now_ms: int) -> Rank:
        """Who goes first, before anything is counted."""
        with self._database.read() as connection:
            return rank_of(_standing(connection, bucket_of(name), place_of(address), now_ms))

    def begin(self, name: str, address: str, now_ms: int) -> None:
        """Count a failure in advance, so that of many attempts at once not all are the first; `passed` takes it back.

        Raises:
            Throttled: not now.
        """
        bucket, place = bucket_of(name), place_of(address)
        with self._database.write() as connection:
            self._database.hold(connection, "attempts")
            wait = wait_ms(_standing(connection, bucket, place, now_ms), now_ms)
            if wait:
                raise Throttled(-(-wait // 1000))
            self._count(connection, bucket, place, now_ms)

    def _count(self, connection: Connection, bucket: int, place: str, now_ms: int) -> None:
        column = tables.attempts.c
        fresh = sa.case((column.failed_ms > now_ms - FADES_MS, column.failures), else_=0)
        self._put(
            connection,
            {"bucket": bucket, "place": place, "failures": 1, "failed_ms": now_ms, "passed_ms": 0},
            {"failures": fresh + 1, "failed_ms": now_ms},
        )

    def passed(self, connection: Connection, name: str, address: str, now_ms: int) -> None:
        """The attempt was right: forget the pair's failures and know the place."""
        clean = {"failures": 0, "failed_ms": 0, "passed_ms": now_ms}
        self._put(connection, {"bucket": bucket_of(name), "place": place_of(address), **clean}, clean)

    def forgive(self, connection: Connection, name: str) -> None:
        """Forget what failed at an account, from anywhere: an administrator has given it a new password."""
        mine = tables.attempts.c.bucket == bucket_of(name)
        connection.execute(sa.update(tables.attempts).where(mine).values(failures=0, failed_ms=0))

    def _put(self, connection: Connection, row: dict[str, Any], change: dict[str, Any]) -> None:
        insert = sqlite.insert if self._database.is_sqlite else postgresql.insert
        connection.execute(
            insert(tables.attempts).values(row).on_conflict_do_update(index_elements=["bucket", "place"], set_=change)
        )


def _standing(connection: Connection, bucket: int, place: str, now_ms: int) -> Standing:
    column = tables.attempts.c
    recent = column.failed_ms > now_ms - FADES_MS
    rows = connection.execute(
        sa.select(column.bucket, column.place, column.failures, column.failed_ms, column.passed_ms).where(
            sa.or_(column.bucket == bucket, column.place == place),
            sa.or_(recent, sa.and_(column.bucket == bucket, column.place == place)),
        )
    ).all()
    own = [row for row in rows if row.bucket == bucket and row.place == place]
    return Standing(
        pair=_sum((row.failures, row.failed_ms) for row in own if row.failed_ms > now_ms - FADES_MS),
        place=_sum((row.failures, row.failed_ms) for row in rows if row.place == place),
        others=_sum((min(row.failures, SHARE), row.failed_ms) for row in rows if row.place != place),
        known=any(row.passed_ms > now_ms - KNOWN_MS for row in own),
    )


def _sum(counts: Iterable[tuple[int, int]]) -> Count:
    total, last = 0, 0
    for failures, last_ms in counts:
        total, last = total + failures, max(last, last_ms)
    return Count(total, last)
