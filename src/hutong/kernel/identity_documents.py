"""Identity documents as people write them, in their one form. Pure; nothing here is kept."""

from __future__ import annotations

import re
import unicodedata
from datetime import date  # noqa: TC003  # the field is of this type
from typing import Final, Literal, NamedTuple, get_args

from hutong.kernel.identity_cards import birthday, check_character, has_form

DocumentKind = Literal["id", "passport", "permit"]
KINDS: Final[tuple[DocumentKind, ...]] = get_args(DocumentKind)
#: What is wrong with a number: its form, its check character, the day of birth in it.
Fault = Literal["form", "check", "birthday"]
TAIL: Final = 2  # characters of a document that a code shows

_LONGEST: Final = 64
_OTHER: Final = re.compile(r"[A-Z0-9]{5,20}")
_JOINTS: Final = str.maketrans("", "", " -\u2010\u2011\u2012\u2013\u2014\u00b7")


class Document(NamedTuple):
    """A document that was read: its kind and canonical number; the birthday where the number says it."""

    kind: DocumentKind
    number: str
    born: date | None = None

    @property
    def tail(self) -> str:
        """The last characters, as codes show them."""
        return self.number[-TAIL:]


def canonical(kind: DocumentKind, written: str) -> Document | Fault:
    """A number as somebody wrote it: any width of letters, blanks and dashes within.

    A citizen's number is checked by GB 11643-1999, others by their form: 5 to 20 letters and digits.
    """
    number = unicodedata.normalize("NFKC", written[:_LONGEST]).strip().translate(_JOINTS).upper()
    if kind != "id":
        return Document(kind, number) if kind in KINDS and _OTHER.fullmatch(number) else "form"
    if not has_form(number):
        return "form"
    if check_character(number) != number[-1]:
        return "check"
    born = birthday(number)
    return "birthday" if born is None else Document(kind, number, born)
