"""A person's pseudonym of the day, which codes show and scans hold: from the person's own with this node's key.

A bundle or a paper code that was issued on one day is shown on later ones too, and then shows the name of that day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.codes.claims import WHO_BYTES

if TYPE_CHECKING:
    from hutong.codes.people.pseudonyms import Pseudonyms


class PersonNames:
    """The `DayNames` of a node.

    Args:
        pseudonyms: with the key of people, which no backup holds. lasting_days: for how long any code is shown.
    """

    def __init__(self, pseudonyms: Pseudonyms, lasting_days: int) -> None:
        self._pseudonyms, self._lasting = pseudonyms, lasting_days

    def name(self, person: str, day: int) -> bytes:
        """What codes that are issued on a day show: 12 bytes. Raises StateError: the key cannot be used."""
        return bytes.fromhex(self._pseudonyms.item(person, f"day:{day}"))[:WHO_BYTES]

    def names(self, person: str, day: int) -> tuple[bytes, ...]:
        """What codes that are shown on a day may show: the name of that day first."""
        return tuple(self.name(person, issued) for issued in range(day, day - self._lasting - 1, -1))
