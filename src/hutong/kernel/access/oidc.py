"""Signing in at an OpenID provider."""

from __future__ import annotations

import msgspec

from hutong.kernel.access.permissions import Role  # noqa: TC001  # msgspec reads the annotation


class Identity(msgspec.Struct, frozen=True):
    """Whom a provider vouches for.

    Attributes:
        name: for the account. title: the person's name. role: by the first group that fits.
        subject: issuer and subject, which never change hands as names do.
    """

    name: str
    title: str
    role: Role
    subject: str
