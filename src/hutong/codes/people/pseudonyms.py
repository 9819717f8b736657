"""Pseudonyms of people and of what is kept of them, made with the keys of this node (`kernel.persons`).

They lie with the keys of the days (`day_keys`), outside of backups.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from hutong.kernel.persons import BYTES, NodeSecret, Persons, is_pseudonym

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.codes.people.documents import Document
    from hutong.kernel.key_marks import KeyMarks

__all__ = ["Pseudonyms", "is_pseudonym"]


class Pseudonyms:
    """Pseudonyms made with the secret in `folder`, which the first use makes where it is missing (mode 0600).

    Args:
        folder: of the keys that are in no backup. marks: by which the records know the secret again.
    """

    def __init__(self, folder: Path, marks: KeyMarks | None = None) -> None:
        self._secret = NodeSecret(folder, marks)
        self.persons = Persons(self._secret.of_persons)

    def of(self, document: Document) -> str:
        """The person of a document: 32 hex letters.

        Raises:
            StateError: the key is missing, is another than the records know, or cannot be used.
        """
        return self.persons.of(document)

    def check(self) -> None:
        """Whether the key is here, and the one that the records know. Raises StateError as above."""
        self._secret.of_items()

    def item(self, person: str, id_: str) -> str:
        """A name for something that is kept of a person, which tells nobody its own id. Raises StateError as above."""
        said = f"item\0{person}\0{id_}".encode("utf-8", "surrogatepass")
        return hmac.new(self._secret.of_items(), said, hashlib.sha256).hexdigest()[: 2 * BYTES]
