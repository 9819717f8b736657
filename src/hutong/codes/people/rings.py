"""Keys of a person: one for each day that something of theirs is kept until, wrapped by the key of that day.

A ring lives for one transaction. Removing the row of a key makes what it sealed unreadable here at once; destroying the
key of the day makes it unreadable in every copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from hutong.codes.people.errors import KeyGoneError
from hutong.codes.people.sealing import new_key, seal, unseal
from hutong.kernel.errors import StateError
from hutong.kernel.records import code_tables as tables

if TYPE_CHECKING:
    from hutong.codes.people.day_keys import DayKeys
    from hutong.kernel.records import Connection

_KEYS: Final = tables.code_person_keys


class Ring:
    """The keys of one person within a transaction; whoever seals holds `person` there.

    Args:
        connection: of the transaction. days: the keys of days. person: a pseudonym.
    """

    def __init__(self, connection: Connection, days: DayKeys, person: str, now_ms: int) -> None:
        self._connection, self._days, self._person, self._now_ms = connection, days, person, now_ms
        self._keys: dict[int, bytes] = {}
        chosen = sa.select(_KEYS.c.day, _KEYS.c.wrapped).where(_KEYS.c.person == person)
        self._wrapped: dict[int, bytes] = {row.day: row.wrapped for row in connection.execute(chosen)}

    def seal(self, day: int, plain: bytes, what: str) -> bytes:
        """Seal bytes until a day, with a key made where there is none yet.

        Raises:
            KeyGoneError: the day is over. StateError: keys cannot be used.
        """
        if day not in self._wrapped:
            fresh = new_key()
            wrapped = seal(self._days.make(day, self._now_ms), fresh, self._about(day, "key"))
            values = {"person": self._person, "day": day, "wrapped": wrapped}
            self._connection.execute(sa.insert(_KEYS).values(values))
            self._wrapped[day], self._keys[day] = wrapped, fresh
        return seal(self._key(day), plain, self._about(day, what))

    def unseal(self, day: int, sealed: bytes, what: str) -> bytes:
        """What was sealed.

        Raises:
            KeyGoneError: its time is over, or the keys are not here. StateError: the row is not as it was sealed.
        """
        plain = unseal(self._key(day), sealed, self._about(day, what))
        if plain is None:
            raise StateError("A record of a person is not as it was sealed.", where=what.partition(":")[0])
        return plain

    def _key(self, day: int) -> bytes:
        found = self._keys.get(day)
        if found is None:
            of_day = self._days.key(day, self._now_ms)
            wrapped = self._wrapped.get(day)
            if wrapped is None:
                raise KeyGoneError("The person's key of this day was removed.", destroyed=True)
            found = unseal(of_day, wrapped, self._about(day, "key"))
            if found is None:
                what = "The person's key was wrapped by another key of that day."
                raise KeyGoneError(what, destroyed=False, fix="Put the mirror of the folder of keys in its place.")
            self._keys[day] = found
        return found

    def _about(self, day: int, what: str) -> str:
        return f"{what}:{self._person}:{day}"
