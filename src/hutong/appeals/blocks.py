"""What blocks a number, asked through a port: lists and rules are other systems' business, the app asks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hutong.appeals.model import Block


class BlockPort(Protocol):
    """Knows what blocks a number."""

    def blocks(self, key: int, now_ms: int) -> tuple[Block, ...]:
        """Everything that blocks calls of a number now, the nearest first; nothing where they pass.

        Raises:
            HutongError: lists or verdicts cannot be read.
        """


class KnownBlocks:
    """What blocks numbers, as told: for parts tried without lists and verdicts.

    Args:
        known: blocks by number key.
    """

    def __init__(self, known: Mapping[int, tuple[Block, ...]]) -> None:
        self._known = dict(known)

    def blocks(self, key: int, now_ms: int) -> tuple[Block, ...]:  # noqa: ARG002  # see `BlockPort.blocks`
        """See `BlockPort.blocks`."""
        return self._known.get(key, ())
