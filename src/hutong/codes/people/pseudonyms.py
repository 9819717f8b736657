"""Who a record belongs to, without saying who that is: HMAC-SHA-256 of the identity document with a key of this node.

The key lies with the keys of the days (`day_keys`), outside of backups: there are few enough identity numbers to try
them all, so whoever holds rows and this key could find anybody's. Without it they are rows of nobody.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Final

from hutong.kernel.errors import StateError
from hutong.kernel.key_files import kept_secret

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.codes.people.documents import Document

KEY_FILE: Final = "people.key"
_BYTES: Final = 32
_LENGTH: Final = 16  # bytes of a pseudonym: 2^64 people before two are expected to share one
_LETTERS: Final = frozenset("0123456789abcdef")


class Pseudonyms:
    """Pseudonyms made with the key in `folder`, which the first use makes where it is missing (mode 0600).

    Args:
        folder: of the keys that are in no backup.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / KEY_FILE
        self._key = b""

    def of(self, document: Document) -> str:
        """The person of a document: 32 hex letters.

        Raises:
            StateError: the key cannot be made or read.
        """
        return self._digest("person", document.kind, document.number)

    def item(self, person: str, id_: str) -> str:
        """A name for something that is kept of a person, which tells nobody its own id. Raises StateError as above."""
        return self._digest("item", person, id_)

    def _digest(self, *parts: str) -> str:
        if not self._key:
            try:
                self._key = kept_secret(self._file, lambda: secrets.token_bytes(_BYTES))
            except OSError as error:
                what = f"The key of pseudonyms cannot be used: {error.strerror}."
                fix = "Check that this user may read and write there."
                raise StateError(what, where=str(self._file), fix=fix) from error
        said = "\0".join(("hutong-codes-1", *parts)).encode("utf-8", "surrogatepass")
        return hmac.new(self._key, said, hashlib.sha256).hexdigest()[: 2 * _LENGTH]


def is_pseudonym(text: str) -> bool:
    """Whether a text has the form of a pseudonym."""
    return len(text) == 2 * _LENGTH and set(text) <= _LETTERS
