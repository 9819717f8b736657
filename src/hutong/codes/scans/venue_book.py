"""Venues in the records: registered, found, counted; their codes replaced and withdrawn. Changes are on the trail."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Literal

import msgspec
import sqlalchemy as sa
from msgspec.structs import replace

from hutong.codes.replicas.topics import VENUES, venue_change
from hutong.codes.scans.errors import ScanRefused
from hutong.codes.venues import STATE_TITLES, VENUE_KINDS, Venue, VenueState
from hutong.kernel.access.trail import Trail
from hutong.kernel.cases.model import case_id
from hutong.kernel.decisions import state_diagram
from hutong.kernel.records.reading import begins, by_bytes
from hutong.kernel.records.scan_tables import code_venues
from hutong.kernel.replica.log import tell

if TYPE_CHECKING:
    from collections.abc import Collection

    from hutong.codes.venues import VenueWish
    from hutong.kernel.cases.model import Actor
    from hutong.kernel.records import Connection, Database

VenueAction = Literal["issue", "replace", "withdraw", "reissue"]
CHANGE: Final = "codes.venues_change"
_LONGEST: Final = 100
_MOST: Final = 10_000_000
_VENUES: Final = code_venues


class VenueMove(msgspec.Struct, frozen=True):
    """One action with a venue's code: from which states, to which; whether the serial number rises."""

    zh: str
    en: str
    sources: tuple[VenueState, ...]
    to: VenueState
    renews: bool = False


MOVES: Final[dict[VenueAction, VenueMove]] = {
    "issue": VenueMove("登记发码", "issue", (), "issued"),
    "replace": VenueMove("换码", "replace", ("issued",), "issued", renews=True),
    "withdraw": VenueMove("停用", "withdraw", ("issued",), "withdrawn"),
    "reissue": VenueMove("恢复并换码", "issue again", ("withdrawn",), "issued", renews=True),
}


def venue_diagram() -> str:
    """The table of moves as a Mermaid diagram for docs/scans.md."""
    arrows = (
        (source, move.to, f"{move.zh} {action}") for action, move in MOVES.items() for source in move.sources or ("",)
    )
    return state_diagram(STATE_TITLES, arrows, ())


class VenueQuery(msgspec.Struct, frozen=True):
    """Which venues: all conditions must hold, empty ones do not count. `after`: the last id of the page before."""

    district: str = ""
    unit: str = ""
    kind: str = ""
    state: str = ""
    after: str = ""


class VenueBook:
    """The venues of a node.

    Args:
        database: opened by whoever made it. node: this node's name, the beginning of new ids.
    """

    def __init__(self, database: Database, node: str) -> None:
        self._database, self._node = database, node
        self._trail = Trail(database)

    def issue(self, wish: VenueWish, actor: Actor, now_ms: int) -> Venue:
        """Register a venue; its first code is valid from now on.

        Raises:
            ScanRefused: says why not.
        """
        _allow(actor)
        _check(wish)
        venue = Venue(
            id=case_id(self._node, now_ms, os.urandom(8)),
            **msgspec.structs.asdict(wish),
            made_ms=now_ms,
            code_ms=now_ms,
            changed_ms=now_ms,
        )
        with self._database.write() as connection:
            connection.execute(sa.insert(_VENUES).values(_row(venue)))
            tell(self._database, connection, VENUES, [venue_change(venue)], now_ms)
            self._tell(actor, "issue", None, venue)
        return venue

    def do(self, of: str, action: VenueAction, reason: str, actor: Actor, now_ms: int, *, version: int = 0) -> Venue:
        """Replace a venue's code, withdraw it, or issue it again.

        Args:
            version: that the actor saw; 0 = whatever it is.

        Raises:
            ScanRefused: says why not.
        """
        _allow(actor)
        move = MOVES[action]
        if not reason.strip() or len(reason) > _LONGEST or not reason.isprintable():
            raise ScanRefused("no-reason", "It needs its reason, in one line.", where="reason")
        with self._database.write() as connection:
            venue = self._held(connection, of, lock=True)
            if version and venue.version != version:
                raise ScanRefused("changed-meanwhile", "Somebody else changed the venue.", where=of, fix="Look again.")
            if venue.state not in move.sources:
                raise ScanRefused("not-from-here", f"{action} is not possible: it is {venue.state}.", where=of)
            after = replace(
                venue,
                state=move.to,
                serial=venue.serial + move.renews,
                code_ms=now_ms if move.renews else venue.code_ms,
                changed_ms=now_ms,
                why=reason.strip(),
                version=venue.version + 1,
            )
            connection.execute(sa.update(_VENUES).where(_VENUES.c.id == of).values(_row(after)))
            tell(self._database, connection, VENUES, [venue_change(after)], now_ms)
            self._tell(actor, action, venue, after, reason)
        return after

    def venue(self, of: str) -> Venue:
        """The venue of that id. Raises ScanRefused: there is none."""
        with self._database.read() as connection:
            return self._held(connection, of)

    def listing(self, query: VenueQuery, limit: int) -> list[Venue]:
        """Venues by id, which is the order in which they were registered."""
        chosen = sa.select(_VENUES.c.body).where(*_asked(query)).order_by(_VENUES.c.id).limit(limit)
        with self._database.read() as connection:
            return [msgspec.json.decode(body, type=Venue) for body in connection.execute(chosen).scalars()]

    def search(self, text: str, query: VenueQuery, limit: int) -> list[Venue]:
        """Of the venues that are asked for, those whose title begins with a text, by title; or the one of that id.

        Nothing for an empty text.
        """
        text = text.replace("\0", "").strip()
        if not text:
            return []
        chosen = sa.select(_VENUES.c.body).where(*_asked(query))
        titled = chosen.where(begins(_VENUES.c.title, text)).order_by(by_bytes(_VENUES.c.title)).limit(limit)
        with self._database.read() as connection:
            rows = list(connection.execute(chosen.where(_VENUES.c.id == text)).scalars())
            rows += connection.execute(titled).scalars()
        return [msgspec.json.decode(body, type=Venue) for body in rows[:limit]]

    def titles(self, ids: Collection[str]) -> dict[str, str]:
        """The titles of venues by their ids; of some hundred at once."""
        chosen = sa.select(_VENUES.c.id, _VENUES.c.title).where(_VENUES.c.id.in_(sorted(ids)))
        with self._database.read() as connection:
            return {row.id: row.title for row in connection.execute(chosen)}

    def figures(self) -> dict[str, int]:
        """How many venues are in each state."""
        counted = sa.select(_VENUES.c.state, sa.func.count().label("count")).group_by(_VENUES.c.state)
        with self._database.read() as connection:
            found = {str(state): int(count) for state, count in connection.execute(counted)}
        return {state: found.get(state, 0) for state in STATE_TITLES}

    def _held(self, connection: Connection, of: str, *, lock: bool = False) -> Venue:
        chosen = sa.select(_VENUES.c.body).where(_VENUES.c.id == of.replace("\0", ""))
        body = connection.execute(chosen.with_for_update() if lock else chosen).scalar()
        if body is None:
            raise ScanRefused("no-venue", f"There is no venue {of[:80]!r}.")
        return msgspec.json.decode(body, type=Venue)

    def _tell(self, actor: Actor, action: VenueAction, before: Venue | None, after: Venue, why: str = "") -> None:
        was = None if before is None else _shown(before)
        deed = f"venues.{action}"
        self._trail.record(actor.name, actor.address, deed, after.id, was, _shown(after), why, now_ms=after.changed_ms)


def _asked(query: VenueQuery) -> list[sa.ColumnElement[bool]]:
    names = [name for name in ("district", "unit", "kind", "state") if getattr(query, name)]
    where = [_VENUES.c[name] == getattr(query, name).replace("\0", "") for name in names]
    return [*where, _VENUES.c.id > query.after.replace("\0", "")] if query.after else where


def _shown(venue: Venue) -> dict[str, object]:
    return {"state": venue.state, "serial": venue.serial, "kind": venue.kind, "unit": venue.unit}


def _row(venue: Venue) -> dict[str, object]:
    names = ("id", "kind", "district", "unit", "state", "changed_ms", "version", "title")
    return {name: getattr(venue, name) for name in names} | {"body": msgspec.json.encode(venue).decode()}


def _allow(actor: Actor) -> None:
    if CHANGE not in actor.permissions:
        raise ScanRefused("not-allowed", f"This needs the permission {CHANGE}.")


def _check(wish: VenueWish) -> None:
    for name in ("title", "unit"):
        text = getattr(wish, name)
        if not text.strip() or len(text) > _LONGEST or not text.isprintable():
            raise ScanRefused("venue", f"A venue needs its {name}, in one line.", where=name)
    if wish.kind not in VENUE_KINDS:
        raise ScanRefused("venue", "There is no such kind of venue.", where="kind", fix=", ".join(VENUE_KINDS))
    if not (wish.district.isascii() and wish.district.isdigit() and len(wish.district) == len("610104")):
        raise ScanRefused("venue", "A district has six digits (GB/T 2260).", where="district")
    if not 1 <= wish.capacity <= _MOST:
        raise ScanRefused("venue", "A venue has room for at least one.", where="capacity")
