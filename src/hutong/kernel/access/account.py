"""An account as the rest of the house sees it, and the form of its name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import msgspec

from hutong.kernel.access.errors import AccessError
from hutong.kernel.access.permissions import Role  # noqa: TC001  # msgspec reads the annotation
from hutong.kernel.records import tables

if TYPE_CHECKING:
    from sqlalchemy.engine import Row

Language = Literal["", "zh", "en"]
Theme = Literal["", "auto", "light", "dark"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
THEMES: Final[tuple[Theme, ...]] = get_args(Theme)

_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_LONGEST_TITLE = 100

COLUMNS = (
    tables.accounts.c.name,
    tables.accounts.c.title,
    tables.accounts.c.role,
    tables.accounts.c.disabled,
    tables.accounts.c.must_change,
    tables.accounts.c.subject.is_not(None).label("external"),
    tables.accounts.c.language,
    tables.accounts.c.zone,
    tables.accounts.c.theme,
    tables.accounts.c.created_ms,
    tables.accounts.c.signed_in_ms,
    tables.accounts.c.agency,
)


class Account(msgspec.Struct, frozen=True):
    """A person's account.

    Attributes:
        name: what is typed at signing in, and what the trail says; lower case.
        title: the person's name as shown.
        disabled: may not sign in; its tokens are revoked.
        must_change: signed in with a one-time password, so a password of one's own comes first.
        external: signs in at an OpenID provider, which also says title and role.
        language, zone, theme: how this person wants pages; empty = as the browser says.
        created_ms: ms since 1970. signed_in_ms: the latest time of signing in; None = never.
        agency: the partner agency whose cases alone are seen; empty = none.
    """

    name: str
    title: str
    role: Role
    disabled: bool
    must_change: bool
    external: bool
    language: Language
    zone: str
    theme: Theme
    created_ms: int
    signed_in_ms: int | None
    agency: str


def account_of(row: Row[Any]) -> Account:
    """The account of a row with `COLUMNS`, among others."""
    found = row._mapping  # noqa: SLF001  # the library's public name for it
    return Account(**{name: found[name] for name in Account.__struct_fields__})


def normal_name(text: str) -> str:
    """A name as it is kept: names that differ in case are one."""
    return text.strip().lower()


def is_name(text: str) -> bool:
    """Whether an account may be called so; what is not need not be looked for."""
    return _NAME.fullmatch(text) is not None


def read_name(text: str) -> str:
    """The normal form of a name for a new account.

    Raises:
        AccessError: it has another form.
    """
    name = normal_name(text)
    if not is_name(name):
        raise AccessError(
            "name-form",
            "This is not a name for an account.",
            fix="Use up to 64 Latin letters, digits, dots, dashes, underscores and @; begin with a letter or digit.",
        )
    return name


def read_title(text: str) -> str:
    """A person's name without blanks around it.

    Raises:
        AccessError: it is empty, too long or not printable.
    """
    title = " ".join(text.split())
    if not title or len(title) > _LONGEST_TITLE or not title.isprintable():
        raise AccessError("title-empty", "An account needs the person's name.", fix="Give up to 100 characters.")
    return title
