"""What changes are told of codes, and the rows that a replica is made from.

Everything has its end in it, so that a replica forgets by itself when the records do, also one that nobody reaches any
more: bundles with their last code, colours with the last key of a day that the person has (ADR 12).
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

import msgspec
import sqlalchemy as sa

from hutong.codes.people.day_keys import day_of, end_of
from hutong.codes.revocation import KEPT_MS
from hutong.codes.status.model import Standing
from hutong.kernel.records import bundle_tables, code_tables, device_tables, scan_tables
from hutong.kernel.replica import log
from hutong.kernel.replica.log import Change, Topic, tell, value_of
from hutong.kernel.replica.source import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from hutong.codes.bundles import BundleRow
    from hutong.codes.keys import KeySet
    from hutong.codes.venues import Venue
    from hutong.kernel.records import Connection, Database

#: What revoking holds; colours too, because a changed one revokes.
HELD: Final = "code-revocations"
#: The person whose a bundle is, by its handle.
BUNDLES: Final = Topic("bundles", spread=True)
#: The person whose phone it is, by the hash of its token.
DEVICES: Final = Topic("devices", spread=True)
#: The standing of a person, by pseudonym.
COLOURS: Final = Topic("colours", HELD)
#: Revoked bundles, by handle.
REVOCATIONS: Final = Topic("revocations", HELD)
#: The signed key set, by issuer.
KEYS: Final = Topic("keys")
#: What stands of a venue's code, by its id.
VENUES: Final = Topic("venues")

_BUNDLES, _REVOKED = bundle_tables.code_bundles, bundle_tables.code_revocations
_DEVICES, _COLOURS, _VENUES = device_tables.code_devices, code_tables.code_colours, scan_tables.code_venues
_DAYS: Final = code_tables.code_person_keys
_STANDING: Final = Standing.__struct_fields__
#: Greater than every letter of a hexadecimal number.
_ABOVE: Final = "g"


class Owned(msgspec.Struct, frozen=True):
    """Whose it is."""

    person: str


class RevokedAt(msgspec.Struct, frozen=True):
    """The version of the list that a bundle came into it with, and the last expiry of its codes."""

    version: int
    until_ms: int


class SignedKeys(msgspec.Struct, frozen=True):
    """A signed key set, base64, the ids of its keys, and when it was signed."""

    document: str
    kids: list[str]
    made_ms: int


class VenueCode(msgspec.Struct, frozen=True):
    """What stands of a venue's code."""

    state: str
    serial: int
    district: str
    title: str


def bundle_change(row: BundleRow) -> Change:
    """A bundle that was issued."""
    return Change(row.handle, value_of(Owned(row.person)), row.expires_ms)


def revoked_change(handle: str, version: int, until_ms: int) -> Change:
    """A bundle that was revoked."""
    return Change(handle, value_of(RevokedAt(version, until_ms)), until_ms + KEPT_MS)


def device_change(token: str, person: str, day: int, keep_days: int) -> Change:
    """A phone that was heard of on a day. `token`: its hash."""
    return Change(token, value_of(Owned(person)), end_of(day + keep_days))


def venue_change(venue: Venue) -> Change:
    """A venue that was issued, replaced or withdrawn."""
    return Change(venue.id, value_of(VenueCode(venue.state, venue.serial, venue.district, venue.title)))


def tell_colours(database: Database, connection: Connection, people: Collection[str], now_ms: int) -> None:
    """Tell what stands of these people's colours now, within the transaction that changes it."""
    found = {it.key: it for it in _standings(connection, _COLOURS.c.person.in_(people), now_ms)}
    tell(database, connection, COLOURS, (found.get(it, Change(it)) for it in sorted(people)), now_ms)


def tell_kept(database: Database, connection: Connection, person: str, now_ms: int) -> None:
    """Tell that a person is kept for longer, if they have a colour that ends with them."""
    if connection.execute(sa.select(_COLOURS.c.person).where(_COLOURS.c.person == person)).first() is not None:
        tell_colours(database, connection, [person], now_ms)


def tell_keys(database: Database, key_set: KeySet, now_ms: int, every_ms: int) -> bool:
    """Tell the key set where its keys are others than those told last, or after a while; says whether it did."""
    with database.write() as connection:
        last = log.last(connection, KEYS.name)
        known = None if last is None else msgspec.json.decode(last.value, type=SignedKeys)
        fresh = SignedKeys(_text(key_set.document), sorted(it.kid.hex() for it in key_set.keys), key_set.made_ms)
        if known is not None and known.kids == fresh.kids and 0 <= now_ms - known.made_ms < every_ms:
            return False
        tell(database, connection, KEYS, [Change(key_set.issuer, value_of(fresh))], now_ms)
    return True


def tables(keep_days: int) -> tuple[Table, ...]:
    """Every topic of codes with what stands in the records of it. `keep_days`: of phones not heard of."""
    return (
        Table(BUNDLES, _bundles),
        Table(DEVICES, _devices(keep_days)),
        Table(COLOURS, _colours),
        Table(REVOCATIONS, _revocations),
        Table(KEYS, _keys),
        Table(VENUES, _venues),
    )


_Read = tuple[list[Change], str]


def _bundles(connection: Connection, part: str, after: str, limit: int) -> _Read:
    lane, handle = part[-1], _BUNDLES.c.handle
    chosen = sa.select(_BUNDLES).where(handle > (after or lane), handle < lane + _ABOVE).order_by(handle).limit(limit)
    rows = connection.execute(chosen).all()
    found = [Change(it.handle, value_of(Owned(it.person)), it.expires_ms) for it in rows]
    return found, _next(found, limit)


def _devices(keep_days: int) -> Callable[[Connection, str, str, int], _Read]:
    def page(connection: Connection, part: str, after: str, limit: int) -> _Read:
        lane, token = part[-1], _DEVICES.c.token
        chosen = sa.select(_DEVICES).where(token > (after or lane), token < lane + _ABOVE).order_by(token).limit(limit)
        found = [device_change(it.token, it.person, it.day, keep_days) for it in connection.execute(chosen)]
        return found, _next(found, limit)

    return page


def _colours(connection: Connection, _part: str, after: str, limit: int) -> _Read:
    found = list(_standings(connection, _COLOURS.c.person > after, 0, limit))
    return found, _next(found, limit)


def _revocations(connection: Connection, _part: str, after: str, limit: int) -> _Read:
    chosen = sa.select(_REVOKED).where(_REVOKED.c.version > int(after or 0)).order_by(_REVOKED.c.version).limit(limit)
    rows = connection.execute(chosen).all()
    found = [revoked_change(it.handle, int(it.version), int(it.until_ms)) for it in rows]
    return found, str(rows[-1].version) if len(rows) == limit else ""


def _keys(connection: Connection, part: str, _after: str, _limit: int) -> _Read:
    last = log.last(connection, part)
    return ([] if last is None else [last]), ""


def _venues(connection: Connection, _part: str, after: str, limit: int) -> _Read:
    chosen = sa.select(_VENUES.c.body).where(_VENUES.c.id > after).order_by(_VENUES.c.id).limit(limit)
    # Not read as a venue: a replica needs four of its fields.
    rows = [msgspec.json.decode(body, type=_Venue) for body in connection.execute(chosen).scalars()]
    found = [Change(it.id, value_of(VenueCode(it.state, it.serial, it.district, it.title))) for it in rows]
    return found, _next(found, limit)


class _Venue(msgspec.Struct, frozen=True):
    id: str
    serial: int
    district: str
    title: str
    state: str = "issued"


def _standings(
    connection: Connection, where: sa.ColumnElement[bool], now_ms: int, limit: int | None = None
) -> Iterable[Change]:
    """Standings until the last key of a day of their persons goes; without one they go today."""
    day = sa.select(sa.func.max(_DAYS.c.day)).where(_DAYS.c.person == _COLOURS.c.person).scalar_subquery()
    chosen = sa.select(_COLOURS, day.label("day")).where(where).order_by(_COLOURS.c.person).limit(limit)
    for row in connection.execute(chosen).all():
        standing = Standing(**{name: getattr(row, name) for name in _STANDING})
        last = day_of(max(now_ms, row.as_of_ms)) if row.day is None else row.day
        yield Change(row.person, value_of(standing), end_of(last))


def _next(found: list[Change], limit: int) -> str:
    return found[-1].key if len(found) == limit else ""


def _text(document: bytes) -> str:
    return base64.b64encode(document).decode()
