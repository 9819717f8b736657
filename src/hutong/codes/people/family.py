"""Who may show whose code: links of a guardian with a child or an elder, with consent and a term.

A child's link rests on the guardian's consent and ends with the eighteenth birthday (民法典 art. 17, 27); an elder's on
the elder's own consent (个人信息保护法 art. 13, 15), who may take it back at any time. Links are between pseudonyms.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import msgspec
import sqlalchemy as sa

from hutong.codes.people.day_keys import day_of_date, end_of
from hutong.codes.people.errors import PersonRefused
from hutong.kernel.access.trail import Trail
from hutong.kernel.cases.model import case_id
from hutong.kernel.records import code_tables as tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.kernel.records import Connection, Database

LinkKind = Literal["child", "elder"]
Proof = Literal["paper", "face-to-face", "signed-online"]
KINDS: Final[tuple[LinkKind, ...]] = get_args(LinkKind)
PROOFS: Final[tuple[Proof, ...]] = get_args(Proof)
#: Children that one person shows codes of, elders likewise; and guardians of one person.
MOST_WARDS: Final = 10
MOST_GUARDIANS: Final = 4
ADULT_YEARS: Final = 18
LONGEST_DAYS: Final = 366
_LINKS: Final = tables.code_links
_DAY_MS: Final = 86_400_000


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """A link that somebody asks for.

    Attributes:
        guardian, ward: pseudonyms. consent_of: who agreed. proof: how that was shown.
        born: the ward's birthday; needed for a child. days: the term.
    """

    guardian: str
    ward: str
    kind: LinkKind
    consent_of: str
    proof: Proof
    born: date | None = None
    days: int = LONGEST_DAYS


class Link(msgspec.Struct, frozen=True):
    """A link in force or over; times are ms since 1970.

    Attributes:
        id: names it on the trail, where pseudonyms have no place.
        ends_ms: of its term; ended_ms: taken back then, 0 = not.
    """

    id: str
    guardian: str
    ward: str
    kind: LinkKind
    consent_of: str
    proof: Proof
    begins_ms: int
    ends_ms: int
    ended_ms: int = 0

    def holds(self, now_ms: int) -> bool:
        """Whether the guardian may show the ward's code now."""
        return not self.ended_ms and self.begins_ms <= now_ms < self.ends_ms


def end_of_link(wish: Wish, now_ms: int) -> int:
    """When a link ends; pure.

    Raises:
        PersonRefused: consent, term, birthday or kin do not allow it.
    """
    if wish.kind not in KINDS or wish.proof not in PROOFS or wish.guardian == wish.ward:
        raise PersonRefused("family", "A link is between two people, of a child or an elder.", where="kind")
    consenting = wish.guardian if wish.kind == "child" else wish.ward
    if wish.consent_of != consenting:
        who = "guardian" if wish.kind == "child" else "elder"
        raise PersonRefused("consent", f"The {who} must consent.", where="consent_of")
    if not 1 <= wish.days <= LONGEST_DAYS:
        raise PersonRefused("term", f"A link lasts 1 to {LONGEST_DAYS} days.", where="days")
    ends_ms = now_ms + wish.days * _DAY_MS
    if wish.kind == "elder":
        return ends_ms
    if wish.born is None:
        raise PersonRefused("family", "A child's birthday must be known.", where="born")
    adult_ms = end_of(day_of_date(_adult(wish.born)) - 1)
    if adult_ms <= now_ms:
        raise PersonRefused("family", "Who is eighteen shows their own code.", where="born")
    return min(ends_ms, adult_ms)


class Family:
    """The links of a node.

    Args:
        database: opened by whoever made it. node: this node's name, the beginning of new ids.
        draw: gives so many bytes that nobody can predict.
    """

    def __init__(self, database: Database, node: str, draw: Callable[[int], bytes]) -> None:
        self._database, self._node, self._draw = database, node, draw
        self._trail = Trail(database)

    def link(self, wish: Wish, who: str, address: str, now_ms: int) -> Link:
        """Make a link, or make it anew with another term.

        Args:
            who, address: whose deed it is, for the trail.

        Raises:
            PersonRefused: says why.
        """
        ends_ms = end_of_link(wish, now_ms)
        with self._database.write() as connection:
            self._database.hold(connection, f"code-family:{wish.guardian}", f"code-family:{wish.ward}")
            before = self._between(connection, wish.guardian, wish.ward, now_ms)
            if before is None:
                self._check_room(connection, wish, now_ms)
            else:
                self._end(connection, before.id, now_ms)
            link = Link(
                case_id(self._node, now_ms, self._draw(8)),
                wish.guardian,
                wish.ward,
                wish.kind,
                "guardian" if wish.kind == "child" else "ward",
                wish.proof,
                now_ms,
                ends_ms,
            )
            connection.execute(sa.insert(_LINKS).values(msgspec.structs.asdict(link)))
            after = {"kind": link.kind, "consent_of": link.consent_of, "proof": link.proof, "ends_ms": ends_ms}
            self._trail.record(who, address, "codes.link", link.id, after=after, now_ms=now_ms)
        return link

    def unlink(self, id_: str, by: str, who: str, address: str, now_ms: int) -> Link:
        """Take a link back; either of the two may.

        Args:
            by: pseudonym of the person who wants it.

        Raises:
            PersonRefused: "no-link": none of that id is theirs and in force.
        """
        with self._database.write() as connection:
            found = connection.execute(sa.select(_LINKS).where(_LINKS.c.id == id_.replace("\0", ""))).one_or_none()
            link = None if found is None else _link(found)
            if link is None or by not in {link.guardian, link.ward} or not link.holds(now_ms):
                raise PersonRefused("no-link", "There is no such link in force.", where="link")
            self._end(connection, link.id, now_ms)
            side = "guardian" if by == link.guardian else "ward"
            self._trail.record(who, address, "codes.unlink", link.id, after={"by": side}, now_ms=now_ms)
        return msgspec.structs.replace(link, ended_ms=now_ms)

    def one(self, id_: str) -> Link:
        """The link of that id, in force or over. Raises PersonRefused: "no-link"."""
        with self._database.read() as connection:
            found = connection.execute(sa.select(_LINKS).where(_LINKS.c.id == id_.replace("\0", ""))).one_or_none()
        if found is None:
            raise PersonRefused("no-link", "There is no such link.", where="link")
        return _link(found)

    def may_show(self, guardian: str, ward: str, now_ms: int) -> Link | None:
        """The link by which one may show the other's code now; None where there is none."""
        with self._database.read() as connection:
            return self._between(connection, guardian, ward, now_ms)

    def wards(self, guardian: str, now_ms: int) -> list[Link]:
        """Whose codes a person may show now."""
        return self._in_force(_LINKS.c.guardian == guardian, now_ms)

    def guardians(self, ward: str, now_ms: int) -> list[Link]:
        """Who may show a person's code now."""
        return self._in_force(_LINKS.c.ward == ward, now_ms)

    def forget(self, before_ms: int) -> int:
        """Remove links that were over before then; gives how many."""
        over = sa.or_(_LINKS.c.ends_ms < before_ms, sa.and_(_LINKS.c.ended_ms > 0, _LINKS.c.ended_ms < before_ms))
        with self._database.write() as connection:
            return connection.execute(sa.delete(_LINKS).where(over)).rowcount

    def _in_force(self, whose: sa.ColumnElement[bool], now_ms: int) -> list[Link]:
        with self._database.read() as connection:
            rows = connection.execute(sa.select(_LINKS).where(whose).order_by(_LINKS.c.id)).all()
        return [link for link in map(_link, rows) if link.holds(now_ms)]

    def _between(self, connection: Connection, guardian: str, ward: str, now_ms: int) -> Link | None:
        here = (_LINKS.c.guardian == guardian, _LINKS.c.ward == ward)
        rows = connection.execute(sa.select(_LINKS).where(*here)).all()
        return next((link for link in map(_link, rows) if link.holds(now_ms)), None)

    def _check_room(self, connection: Connection, wish: Wish, now_ms: int) -> None:
        for column, of, most in (
            (_LINKS.c.guardian, wish.guardian, MOST_WARDS),
            (_LINKS.c.ward, wish.ward, MOST_GUARDIANS),
        ):
            held = (column == of, _LINKS.c.ended_ms == 0, _LINKS.c.ends_ms > now_ms)
            if connection.execute(sa.select(sa.func.count()).select_from(_LINKS).where(*held)).scalar_one() >= most:
                raise PersonRefused("too-many", f"There are {most} links already.", fix="End one first.")

    def _end(self, connection: Connection, id_: str, now_ms: int) -> None:
        connection.execute(sa.update(_LINKS).where(_LINKS.c.id == id_).values(ended_ms=now_ms))


def _adult(born: date) -> date:
    year = born.year + ADULT_YEARS
    return date(year, 3, 1) if (born.month, born.day) == (2, 29) else born.replace(year=year)


def _link(row: sa.Row[Any]) -> Link:
    return Link(**row._mapping)  # noqa: SLF001  # the library's public name for it
