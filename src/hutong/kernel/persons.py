"""Who somebody is, as an opaque pseudonym: the same for identity card, code and paper, wherever the key is.

A pseudonym is HMAC-SHA-256 of kind and canonical number of the identity document, its first 16 bytes in hex. There are
few enough numbers to try them all, so whoever holds rows and this key could find anybody's; without it they are rows of
nobody. The node's secret lies outside of every backup (ADR 12). Two keys are made from it: one of persons, which
stations away from the centre hold too, and one of what is kept of people, which never leaves the node: so the names
that codes show from day to day tell nothing to whoever takes a station's folder.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

from hutong.kernel.errors import StateError
from hutong.kernel.key_marks import marked_secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hutong.kernel.identity_documents import Document, DocumentKind
    from hutong.kernel.key_marks import KeyMarks

#: The node's secret, in the folder of keys that no backup has.
KEY_FILE: Final = "people.key"
#: The key of persons alone, in a station's folder.
STATION_FILE: Final = "persons.key"
#: Of the secret's mark in the records.
MARK: Final = "people"
BYTES: Final = 16  # of a pseudonym: 2^64 people before two are expected to share one
_PERSONS: Final = b"hutong-key-of-persons-1"
_ITEMS: Final = b"hutong-key-of-items-1"
#: How kinds are written in what is hashed.
_WRITTEN: Final[dict[DocumentKind, str]] = {"id": "id-card", "passport": "passport", "permit": "permit"}
_LETTERS: Final = frozenset("0123456789abcdef")


def person_of(key: bytes, document: Document) -> str:
    """The person of a document: HMAC-SHA-256 of "id-card:NUMBER" (or passport, permit), 32 lower-case hex letters."""
    return _digest(key, f"{_WRITTEN[document.kind]}:{document.number}")


def is_pseudonym(text: str) -> bool:
    """Whether a text has the form of a pseudonym."""
    return len(text) == 2 * BYTES and set(text) <= _LETTERS


class Persons:
    """Pseudonyms of documents.

    Args:
        key: gives the key of persons.
    """

    def __init__(self, key: Callable[[], bytes]) -> None:
        self.key = key

    def of(self, document: Document) -> str:
        """The person of a document. Raises StateError: the key cannot be used."""
        return person_of(self.key(), document)


class NodeSecret:
    """The secret of people of a node, and the keys that are made from it.

    Args:
        folder: of the keys that are in no backup; the first use makes the file there (mode 0600).
        marks: by which the records know the secret again; None = there are no records.
    """

    def __init__(self, folder: Path, marks: KeyMarks | None = None) -> None:
        self.file, self._marks = folder / KEY_FILE, marks
        self._made: dict[bytes, bytes] = {}

    def of_persons(self) -> bytes:
        """The key of persons, for this node and its stations.

        Raises:
            StateError: the secret is missing, another than the records know, or cannot be made or read.
        """
        return self._key(_PERSONS)

    def of_items(self) -> bytes:
        """The key of what is kept of people, for this node alone. Raises StateError as above."""
        return self._key(_ITEMS)

    def _key(self, purpose: bytes) -> bytes:
        found = self._made.get(purpose)
        if found is None:
            try:
                secret = marked_secret(self.file, MARK, self._marks)
            except OSError as error:
                what = f"The key of people cannot be used: {error.strerror}."
                fix = "Check that this user may read and write there."
                raise StateError(what, where=str(self.file), fix=fix) from error
            found = self._made[purpose] = hmac.new(secret, purpose, hashlib.sha256).digest()
        return found


def station_key(folder: Path) -> bytes:
    """The key of persons in a station's folder.

    Raises:
        StateError: it is not there, or cannot be read.
    """
    file = folder / STATION_FILE
    try:
        return file.read_bytes()
    except OSError as error:
        what = f"The station's key of persons cannot be read: {error.strerror}."
        raise StateError(what, where=str(file), fix="Prepare the folder at the centre.") from error


def _digest(key: bytes, said: str) -> str:
    return hmac.new(key, said.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[: 2 * BYTES]
