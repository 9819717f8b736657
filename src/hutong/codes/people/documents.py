"""Identity documents as codes take them (`kernel.identity_documents`), with their titles. Pure; nothing is kept."""

from __future__ import annotations

from typing import Final

from hutong.codes.people.errors import PersonRefused
from hutong.kernel.identity_documents import KINDS, TAIL, Document, DocumentKind, canonical

__all__ = ["KINDS", "KIND_TITLES", "TAIL", "Document", "DocumentKind", "read_document"]

KIND_TITLES: Final[dict[DocumentKind, dict[str, str]]] = {
    "id": {"zh": "居民身份证", "en": "resident identity card"},
    "passport": {"zh": "护照", "en": "passport"},
    "permit": {"zh": "居留、通行证件", "en": "residence or travel permit"},
}


def read_document(kind: DocumentKind, written: str) -> Document:
    """Read a number as somebody wrote it: any width of letters, blanks and dashes within.

    Raises:
        PersonRefused: "document": there is no such kind, or the number has another form or a wrong check character.
    """
    found = canonical(kind, written)
    if isinstance(found, Document):
        return found
    if kind == "id":
        raise PersonRefused(
            "document", "This is not the number of an identity card.", where="document", fix="Check every digit."
        )
    fix = f"Kinds: {', '.join(KINDS)}; 5 to 20 letters and digits."
    raise PersonRefused("document", "The number of the document cannot be read.", where="document", fix=fix)
