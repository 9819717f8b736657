"""Who somebody is, as an opaque pseudonym: the port, its keyed form, and the check of identity card numbers.

The same person has the same pseudonym at every station that holds the node's key, so that stations notice who comes
twice; without the key nobody finds a number from it, though there are few enough to try them all. A code or a paper is
another identity than the card of the same person unless whoever wires this port resolves it to the card first.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import TYPE_CHECKING, Final, Literal, Protocol

from hutong.kernel.errors import StateError
from hutong.kernel.identity_cards import birthday, check_character, has_form
from hutong.kernel.key_files import kept_secret
from hutong.sampling.errors import SamplingError, SamplingRefused

if TYPE_CHECKING:
    from pathlib import Path

IdentityKind = Literal["id-card", "code", "paper"]
KEY_FILE: Final = "persons.key"
_BYTES: Final = 32
_LENGTH: Final = 32
_SHOWN: Final = 6
_TEXT: Final = re.compile(r"[0-9A-Z:./+-]{6,200}")


class Identities(Protocol):
    """Turns what somebody shows into a pseudonym."""

    def person(self, kind: IdentityKind, text: str) -> str:
        """The pseudonym: lower-case hex.

        Raises:
            SamplingRefused: "identity": this is no such number, code or paper.
        """


class KeyedIdentities:
    """Pseudonyms made with the key in `folder`, which the first use makes where it is missing (mode 0600).

    Args:
        folder: of the node's keys, or a station's own.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / KEY_FILE
        self._key = b""

    def key(self) -> bytes:
        """The key, for the stations of this node.

        Raises:
            StateError: it cannot be made or read.
        """
        if not self._key:
            try:
                self._key = kept_secret(self._file, lambda: secrets.token_bytes(_BYTES))
            except OSError as error:
                raise StateError(
                    f"The key of persons cannot be used: {error.strerror}.",
                    where=str(self._file),
                    fix="Check that this user may read and write there.",
                ) from error
        return self._key

    def person(self, kind: IdentityKind, text: str) -> str:
        """HMAC-SHA-256 of kind and text, its first 16 bytes. Raises SamplingRefused, StateError."""
        plain = id_card(text) if kind == "id-card" else _code(text)
        return hmac.new(self.key(), f"{kind}:{plain}".encode(), hashlib.sha256).hexdigest()[:_LENGTH]


def give_key(identities: KeyedIdentities, folder: Path) -> None:
    """Give a station's folder the node's key, for its owner alone.

    Raises:
        StateError: it cannot be read or written. SamplingError: the folder has another key.
    """
    key = identities.key()
    try:
        kept = kept_secret(folder / KEY_FILE, lambda: key)
    except OSError as error:
        raise StateError(f"The key cannot be written: {error.strerror}.", where=str(folder / KEY_FILE)) from error
    if kept != key:
        raise SamplingError("The folder holds another node's key.", where=str(folder / KEY_FILE), fix="Choose another.")


def id_card(text: str) -> str:
    """A citizen's identity number in its one spelling.

    GB 11643-1999: six digits of the division, the day of birth, three of order, and a check character by ISO 7064
    MOD 11-2.

    Raises:
        SamplingRefused: "identity"; the message does not repeat the number.
    """
    plain = "".join(text.split()).upper()
    if not has_form(plain):
        raise SamplingRefused("identity", "An identity number has 18 digits, the last may be X.", where="person")
    if check_character(plain) != plain[-1]:
        raise SamplingRefused(
            "identity", "The check character of the identity number is wrong.", where="person", fix="Read it again."
        )
    if birthday(plain) is None:
        raise SamplingRefused("identity", "The day of birth in the identity number is none.", where="person")
    return plain


def masked_person(person: str) -> str:
    """A pseudonym as it is shown: enough to tell two people of a tube apart, not enough to look one up."""
    return f"{person[:_SHOWN]}…"


def _code(text: str) -> str:
    plain = "".join(text.split()).upper()
    if _TEXT.fullmatch(plain) is None:
        raise SamplingRefused("identity", "This is no code.", where="person", fix="Scan it again.")
    return plain
