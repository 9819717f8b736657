"""Who somebody is, as an opaque pseudonym: the ports, their keyed form, and what a station can know by itself.

The same person has the same pseudonym at every station that holds the node's key of persons (`kernel.persons`), so that
stations notice who comes twice; without the key nobody finds a number from it, though there are few enough to try them
all. Whose a code is, only the centre knows: away from it somebody who shows a code is called by the code's handle,
and the merge resolves that to the person (`Handles`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Protocol

from hutong.kernel.errors import StateError
from hutong.kernel.identity_documents import Document, DocumentKind, Fault, canonical
from hutong.kernel.key_files import kept_secret
from hutong.kernel.persons import STATION_FILE
from hutong.sampling.errors import SamplingError, SamplingRefused
from hutong.sampling.model import BY_CODE

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from hutong.kernel.persons import Persons

#: What somebody shows; a paper is a code that was printed.
IdentityKind = Literal["id-card", "passport", "permit", "code", "paper"]
_SHOWN: Final = 6
_DOCUMENTS: Final[dict[str, DocumentKind]] = {"id-card": "id", "passport": "passport", "permit": "permit"}
_FAULTS: Final[dict[Fault, tuple[str, str]]] = {
    "form": ("An identity number has 18 digits, the last may be X.", ""),
    "check": ("The check character of the identity number is wrong.", "Read it again."),
    "birthday": ("The day of birth in the identity number is none.", ""),
}


class Identities(Protocol):
    """Turns what somebody shows into a pseudonym."""

    def person(self, kind: IdentityKind, text: str) -> str:
        """The pseudonym: lower-case hex; or `BY_CODE` and a handle where whose code it is is not known.

        Raises:
            SamplingRefused: "identity": this is no such number, or a code that is not good for sampling.
        """


class Codes(Protocol):
    """Verifies personal codes by what is known here."""

    def handle(self, text: str) -> str:
        """The handle of a code that is good for sampling now, 16 hex letters.

        Raises:
            SamplingRefused: "identity": it is no code, or is not good; the message says why.
        """


class Handles(Protocol):
    """Knows whose codes are."""

    def people_of(self, handles: Collection[str]) -> dict[str, str]:
        """The person of each handle (16 hex letters); those that nobody knows are left out."""


class KeyedIdentities:
    """Pseudonyms made with the key of persons.

    Args:
        persons: with the key. codes: verifies codes; without it codes are refused.
        handles: knows whose they are; without it somebody who shows a code is called by its handle.
    """

    def __init__(self, persons: Persons, codes: Codes | None = None, handles: Handles | None = None) -> None:
        self._persons, self._codes, self._handles = persons, codes, handles

    def person(self, kind: IdentityKind, text: str) -> str:
        """See `Identities.person`. Raises SamplingRefused, StateError: the key cannot be used."""
        if kind in _DOCUMENTS:
            return self._persons.of(document(kind, text))
        if self._codes is None:
            raise SamplingRefused("identity", "Codes cannot be verified here.", where="person", fix="Take a card.")
        handle = self._codes.handle(text.strip())  # blanks within are letters of base45
        known = self._handles.people_of([handle]) if self._handles is not None else {}
        return known.get(handle, f"{BY_CODE}{handle}")


def give_key(persons: Persons, folder: Path) -> None:
    """Give a station's folder the node's key of persons, for its owner alone.

    Raises:
        StateError: it cannot be read or written. SamplingError: the folder has another key.
    """
    key, file = persons.key(), folder / STATION_FILE
    try:
        kept = kept_secret(file, lambda: key)
    except OSError as error:
        raise StateError(f"The key cannot be written: {error.strerror}.", where=str(file)) from error
    if kept != key:
        raise SamplingError("The folder holds another node's key.", where=str(file), fix="Choose another.")


def document(kind: IdentityKind, text: str) -> Document:
    """A document's number in its one spelling; a citizen's is checked by GB 11643-1999.

    Raises:
        SamplingRefused: "identity"; the message does not repeat the number.
    """
    found = canonical(_DOCUMENTS[kind], text)
    if isinstance(found, Document):
        return found
    what, fix = _FAULTS[found] if kind == "id-card" else ("This is no number of such a document.", "Read it again.")
    raise SamplingRefused("identity", what, where="person", fix=fix)


def masked_person(person: str) -> str:
    """A pseudonym as it is shown: enough to tell two people of a tube apart, not enough to look one up."""
    shown = len(BY_CODE) + _SHOWN if person.startswith(BY_CODE) else _SHOWN
    return f"{person[:shown]}…"
