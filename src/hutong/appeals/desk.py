"""What people who decide appeals do, alike for pages, API and commands: look, decide, put into effect at once."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from hutong.kernel.errors import HutongError

if TYPE_CHECKING:
    from hutong.appeals.blocks import BlockPort
    from hutong.appeals.effect import Lifting
    from hutong.appeals.model import Appeal, Block, Verdict
    from hutong.appeals.store import AppealStore
    from hutong.kernel.cases.model import Actor, CaseEvent
    from hutong.kernel.numbering import Numbering


class AppealDesk:
    """Decides appeals; safe for many threads.

    Args:
        store: in the records. blocks: knows what blocks a number. lifting: puts decisions into effect.
        numbering: masks numbers.
    """

    def __init__(self, store: AppealStore, blocks: BlockPort, lifting: Lifting, numbering: Numbering) -> None:
        self.store, self.blocks, self._lifting, self._numbering = store, blocks, lifting, numbering

    def number(self, appeal: Appeal) -> str:
        """The number, masked; empty once it is forgotten."""
        key = self.store.key_of(appeal)
        return "" if key is None else self._numbering.mask(key)

    def now(self, appeal: Appeal, now_ms: int) -> tuple[Block, ...]:
        """What blocks the number now."""
        key = self.store.key_of(appeal)
        return () if key is None else self.blocks.blocks(key, now_ms)

    def events(self, appeal: Appeal) -> list[CaseEvent]:
        """What happened to its case."""
        return self.store.cases.events(appeal.id)

    def decide(self, id_: str, verdict: Verdict, reasons: str, actor: Actor, now_ms: int) -> Appeal:
        """Decide, and put a lifting into effect at once; what cannot be done now, `work` does within a second.

        Raises:
            AppealRefused: says why. CaseRefused: its case does not allow it.
            HutongError: the records fail; nothing was decided.
        """
        appeal = self.store.appeal(id_)
        decided = self.store.decide(id_, verdict, reasons, self.now(appeal, now_ms), actor, now_ms)
        with contextlib.suppress(HutongError, OSError):
            self._lifting.run(now_ms)
        return self.store.appeal(decided.id)
