"""People in the records: a pseudonym, and sealed what a code shows of them. Found by the pseudonym and nothing else.

Whoever uses a code stays; who does not is forgotten after `days`. Sealed rows outlive their keys by the few minutes
until `expire` removes them, and unread in backups.
"""

from __future__ import annotations

import unicodedata
from datetime import date  # noqa: TC003  # msgspec reads the annotation
from typing import TYPE_CHECKING, Final

import msgspec
import sqlalchemy as sa

from hutong.codes.people.day_keys import day_of
from hutong.codes.people.documents import DocumentKind  # noqa: TC001  # msgspec reads the annotation
from hutong.codes.people.errors import KeyGoneError, PersonRefused
from hutong.codes.people.rings import Ring
from hutong.codes.replicas.topics import tell_kept
from hutong.kernel.records import code_tables as tables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hutong.codes.people.day_keys import DayKeys
    from hutong.codes.people.documents import Document
    from hutong.codes.people.pseudonyms import Pseudonyms
    from hutong.kernel.records import Connection, Database

_PEOPLE: Final = tables.code_people
#: Every table whose rows last until a day.
LASTING: Final = (tables.code_people, tables.code_evidence, tables.code_colour_events, tables.code_person_keys)
#: What codes of people show whose phone nobody could prove to be theirs.
UNPROVEN: Final = " 未核实 unproven"
_LONGEST_NAME: Final = 100
_PHONE_DIGITS: Final = range(7, 16)
_BATCH: Final = 1000  # people whose rows go in one transaction: a tenth of a second


class Profile(msgspec.Struct, frozen=True):
    """What is kept of a person, sealed.

    Attributes:
        name: in full; `masked_name` is what codes show. kind, tail: of the identity document.
        phone: digits, or empty. born: where the document says it.
        proven: whether the operator says that the phone is this person's; None = nobody was asked.
    """

    name: str
    kind: DocumentKind
    tail: str
    phone: str = ""
    born: date | None = None
    proven: bool | None = None

    @property
    def masked_name(self) -> str:
        """The first letter and a star: 王*; and that the phone is not proven, for whoever compares the document."""
        return f"{self.name[:1]}*{UNPROVEN if self.proven is False else ''}"


class People:
    """The people of a node.

    Args:
        database: opened by whoever made it. days: the keys of days. pseudonyms: of documents.
        keep_days: how long somebody is kept who is not heard of.
    """

    def __init__(self, database: Database, days: DayKeys, pseudonyms: Pseudonyms, keep_days: int) -> None:
        self._database, self.days, self.pseudonyms, self._keep_days = database, days, pseudonyms, keep_days

    def check_keys(self) -> None:
        """Whether the keys are those that the records were written with. Raises StateError: they are not."""
        self.pseudonyms.check()
        self.days.check()

    def register(self, document: Document, name: str, phone: str, now_ms: int, *, proven: bool | None = None) -> str:
        """Keep a person, or what is new about them; gives the pseudonym.

        Args:
            proven: see `Profile`.

        Raises:
            PersonRefused: name or telephone will not do. StateError: keys cannot be used.
        """
        profile = Profile(checked_name(name), document.kind, document.tail, _phone(phone), document.born, proven)
        person = self.pseudonyms.of(document)
        with self._database.write() as connection:
            self._keep(connection, person, profile, now_ms)
        return person

    def profile(self, person: str, now_ms: int) -> Profile:
        """What is kept of a person.

        Raises:
            PersonRefused: "no-person": nothing is, or no more. StateError: keys are not here.
        """
        with self._database.read() as connection:
            return self._profile(connection, person, now_ms)

    def kept(self, person: str, now_ms: int) -> Profile | None:
        """What is kept of a person, if anything is. Raises StateError: keys are not here."""
        try:
            return self.profile(person, now_ms)
        except PersonRefused:
            return None

    def kept_until(self, person: str, now_ms: int) -> int | None:
        """The day until which a person is kept; None where they are not."""
        chosen = sa.select(_PEOPLE.c.day).where(_PEOPLE.c.person == person)
        with self._database.read() as connection:
            day = connection.execute(chosen).scalar()
        return None if day is None or day < day_of(now_ms) else day

    def renew(self, person: str, kept_until: int, now_ms: int) -> bool:
        """Keep a person for the whole time again; writes at most once a day and says whether it did.

        Args:
            kept_until: the day that the method of this name gave.

        Raises:
            PersonRefused, StateError: as for `profile`.
        """
        if kept_until == day_of(now_ms) + self._keep_days:
            return False
        with self._database.write() as connection:
            self.hold(connection, [person])  # before reading: who was forgotten meanwhile must not come back
            self._keep(connection, person, self._profile(connection, person, now_ms), now_ms)
        return True

    def hold(self, connection: Connection, people: Sequence[str]) -> None:
        """Let nobody else write about these people until the transaction ends; before anything goes on the trail."""
        self._database.hold(connection, *(f"code-person:{person}" for person in people))

    def ring(self, connection: Connection, person: str, now_ms: int) -> Ring:
        """The keys of a person within a transaction; whoever seals holds the person."""
        return Ring(connection, self.days, person, now_ms)

    def expire(self, now_ms: int, let_go: Callable[[Connection, Sequence[str]], None]) -> int:
        """Destroy the keys of days that are over, then remove the rows that nobody can read; gives how many people's.

        Args:
            let_go: told within each transaction whose rows went.

        Raises:
            StateError: a key cannot be destroyed; rows stay, and the next run goes on.
        """
        self.days.destroy(now_ms)
        gone = 0
        while found := self._expire_some(day_of(now_ms), let_go):
            gone += found
        return gone

    def abandon(self, connection: Connection) -> None:
        """Remove all that was sealed with keys that are lost for good, and every colour: it rests on nothing now."""
        for table in (*LASTING, tables.code_colours):
            connection.execute(sa.delete(table))
        # What somebody said in an appeal is over; that there is one is not.
        connection.execute(sa.update(tables.code_appeals).values(day=0))

    def _expire_some(self, today: int, let_go: Callable[[Connection, Sequence[str]], None]) -> int:
        gone: set[str] = set()
        with self._database.write() as connection:
            for table in LASTING:
                over = sa.select(table.c.person).where(table.c.day < today).distinct().limit(_BATCH)
                people = list(connection.execute(over).scalars())
                if people:
                    connection.execute(sa.delete(table).where(table.c.person.in_(people), table.c.day < today))
                    gone.update(people)
            if gone:
                let_go(connection, sorted(gone))
        return len(gone)

    def _keep(self, connection: Connection, person: str, profile: Profile, now_ms: int) -> None:
        self.hold(connection, [person])
        ring = self.ring(connection, person, now_ms)
        day = day_of(now_ms) + self._keep_days
        values = {"day": day, "sealed": ring.seal(day, msgspec.json.encode(profile), "profile")}
        here = sa.update(_PEOPLE).where(_PEOPLE.c.person == person).values(values)
        if connection.execute(here).rowcount == 0:
            connection.execute(sa.insert(_PEOPLE).values(values | {"person": person}))
        tell_kept(self._database, connection, person, now_ms)

    def _profile(self, connection: Connection, person: str, now_ms: int) -> Profile:
        row = connection.execute(sa.select(_PEOPLE).where(_PEOPLE.c.person == person)).one_or_none()
        if row is not None:
            try:
                plain = self.ring(connection, person, now_ms).unseal(row.day, row.sealed, "profile")
            except KeyGoneError as error:
                if not error.destroyed:
                    raise
            else:
                return msgspec.json.decode(plain, type=Profile)
        raise PersonRefused("no-person", "Nothing is kept of this person.", fix="Register them.")


def checked_name(text: str) -> str:
    """A name as it is kept. Raises PersonRefused: it is missing, too long, or not printable."""
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        raise PersonRefused("name", "The name is missing, too long, or not printable.", where="name")
    return name


def _phone(text: str) -> str:
    phone = "".join(text.split()).replace("-", "").removeprefix("+86")
    if phone and not (phone.isascii() and phone.isdigit() and len(phone) in _PHONE_DIGITS):
        raise PersonRefused("phone", "The telephone number has 7 to 15 digits.", where="phone")
    return phone
