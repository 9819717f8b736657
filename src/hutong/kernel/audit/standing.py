"""How the trail stands, as `work` last found it: a note in the data folder for whoever shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from hutong.kernel.audit.verify import Fault  # noqa: TC001  # msgspec reads the annotations

if TYPE_CHECKING:
    from pathlib import Path

#: In the data folder.
STANDING_FILE: Final = "run/trail.json"


class Standing(msgspec.Struct, frozen=True):
    """What was last signed and what was last verified; times are ms since 1970, 0 for never.

    Attributes:
        signed: entries of the newest checkpoint. signed_ms: when it was made.
        verified: entries that the last whole verification found to be right. verified_ms: when it ended.
        compared: checkpoints that they agreed with. fault: what it found first.
    """

    signed: int = 0
    signed_ms: int = 0
    verified: int = 0
    verified_ms: int = 0
    compared: int = 0
    fault: Fault | None = None


def read_standing(data: Path) -> Standing:
    """The note in this data folder; all zeros where there is none that can be read."""
    try:
        return msgspec.json.decode((data / STANDING_FILE).read_bytes(), type=Standing)
    except (OSError, msgspec.DecodeError):
        return Standing()
