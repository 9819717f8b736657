"""What can be wrong with bulletins."""

from __future__ import annotations

from hutong.kernel.errors import HutongError


class BulletinError(HutongError):
    """A bulletin cannot be made, found, signed or read."""


class NoBulletinError(BulletinError):
    """There is no bulletin of this id."""


class BulletinRefusedError(BulletinError):
    """It may not be done with this bulletin as it stands."""
