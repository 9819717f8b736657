"""One-time codes of appeals: whoever proves one holds the number, and is told what is known of it.

Every number that can be called in this country gets a code, whether it is blocked or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import sqlalchemy as sa

from hutong.appeals.model import AppealRefused
from hutong.kernel.one_time import OneTimeCodes, hashed
from hutong.kernel.records import tables

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.kernel.access.refs import Refs
    from hutong.kernel.letters import Postbox
    from hutong.kernel.records import Database

_CODES: Final = tables.appeal_codes


class Proven(msgspec.Struct, frozen=True):
    """What a proven code stands for: the number's key, and what was appealed with it already."""

    key: int
    appeal: str


class Codes(OneTimeCodes):
    """Codes in the records; see `OneTimeCodes`."""

    def __init__(self, database: Database, refs: Refs, secret: Path, postbox: Postbox) -> None:
        super().__init__(database, _CODES, refs, secret, postbox)

    def proven(self, proof: str, now_ms: int) -> Proven:
        """What a proof stands for.

        Raises:
            AppealRefused: "not-proven": it is none, or too old.
        """
        found = self._proven(proof, now_ms)
        if found is None:
            raise AppealRefused("not-proven", "The number was not proven, or too long ago.", fix="Ask for a new code.")
        key, row = found
        return Proven(key, row.appeal)

    def used(self, proof: str, appeal: str) -> None:
        """Remember within the caller's transaction what was appealed with a proof."""
        with self._database.write() as connection:
            connection.execute(sa.update(_CODES).where(_CODES.c.ticket == hashed(proof)).values(appeal=appeal))
