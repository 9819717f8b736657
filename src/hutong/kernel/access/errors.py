"""What access refuses. `reason` is a word that pages translate; the sentence is for logs and commands."""

from __future__ import annotations

from typing import Final, Literal, get_args

from hutong.kernel.errors import Refused

Reason = Literal[
    "refused",
    "throttled",
    "no-account",
    "no-token",
    "name-form",
    "name-taken",
    "title-empty",
    "role-unknown",
    "external",
    "last-administrator",
    "preference-unknown",
    "password-short",
    "password-long",
    "password-name",
    "password-known",
    "password-simple",
    "password-same",
    "token-title",
    "token-scope",
    "token-expiry",
    "no-agency",
    "agency-form",
    "agency-taken",
    "provider",
    "provider-account",
    "provider-group",
]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)


class AccessError(Refused[Reason]):
    """An account, a password, a session or a token is not as it must be.

    Attributes:
        reason: which of `REASONS`, for the page that says it in the reader's language.
    """


class SignInRefused(AccessError):  # noqa: N818  # says what happened
    """Name or password is wrong, or the account is disabled: never said which.

    Attributes:
        account: the account that was meant, for the trail only; empty where there is none of that name, because
            people type passwords into the field for names.
    """

    def __init__(self, account: str = "") -> None:
        super().__init__("refused", "Name or password is wrong.", fix="Try again, or ask an administrator.")
        self.account = account


class Throttled(AccessError):  # noqa: N818  # says what happened
    """Too many attempts failed, or too many people sign in at this moment.

    Attributes:
        retry_after_s: seconds until another attempt is heard, at least 1.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("throttled", "Too many attempts.", fix=f"Try again in {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class OidcRefused(AccessError):  # noqa: N818  # says what happened
    """The OpenID provider cannot be asked, its answer is not to be trusted, or it names nobody who may come in."""
