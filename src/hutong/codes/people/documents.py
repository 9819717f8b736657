"""Identity documents as people write them, in their one form. Pure; nothing here is kept."""

from __future__ import annotations

import re
import unicodedata
from datetime import date  # noqa: TC003  # the field is of this type
from typing import Final, Literal, NamedTuple, get_args

from hutong.codes.people.errors import PersonRefused
from hutong.kernel.identity_cards import birthday, check_character, has_form

DocumentKind = Literal["id", "passport", "permit"]
KINDS: Final[tuple[DocumentKind, ...]] = get_args(DocumentKind)
KIND_TITLES: Final[dict[DocumentKind, dict[str, str]]] = {
    "id": {"zh": "居民身份证", "en": "resident identity card"},
    "passport": {"zh": "护照", "en": "passport"},
    "permit": {"zh": "居留、通行证件", "en": "residence or travel permit"},
}
TAIL: Final = 2  # characters of a document that a code shows

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


def read_document(kind: DocumentKind, written: str) -> Document:
    """Read a number as somebody wrote it: any width of letters, blanks and dashes within.

    Raises:
        PersonRefused: "document": there is no such kind, or the number has another form or a wrong check character.
    """
    number = unicodedata.normalize("NFKC", written[:64]).translate(_JOINTS).upper()
    if kind == "id":
        born = birthday(number) if has_form(number) else None
        if born is None or check_character(number) != number[-1]:
            raise PersonRefused(
                "document", "This is not the number of an identity card.", where="document", fix="Check every digit."
            )
        return Document(kind, number, born)
    if kind not in KINDS or not _OTHER.fullmatch(number):
        fix = f"Kinds: {', '.join(KINDS)}; 5 to 20 letters and digits."
        raise PersonRefused("document", "The number of the document cannot be read.", where="document", fix=fix)
    return Document(kind, number)
