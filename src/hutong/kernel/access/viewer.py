"""Who asks: a person with a session or a program with a token, as every route sees it."""

from __future__ import annotations

from typing import Literal

import msgspec

from hutong.kernel.access.permissions import PERMISSIONS, Role  # msgspec reads the annotation


class Viewer(msgspec.Struct, frozen=True):
    """Who asks.

    Attributes:
        name: the account's name, for the trail.
        title: the person's name as shown.
        role: the account's role.
        permissions: what may be done now: the role's, or a token's scopes that the role still has.
        units: whose cases alone are seen, by the agency that the account or token is bound to; None = everybody's.
        agency: id of the agency that the account is bound to; "" = this house's. What a token is bound to besides makes
            nobody somebody else: it narrows `units` alone.
        via: how it was proven. csrf: what a form must send back; empty for a token.
        address: where the request came from.
    """

    name: str
    title: str
    role: Role
    permissions: frozenset[str]
    units: frozenset[str] | None
    via: Literal["session", "token"]
    csrf: str = ""
    address: str = ""
    agency: str = ""

    def can(self, permission: str) -> bool:
        """Whether the permission is there.

        Raises:
            KeyError: no such permission exists.
        """
        return PERMISSIONS[permission].name in self.permissions
