"""Appeals as others are told of them: values for pages and both APIs. Nothing of who made a block, or measures it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.appeals.bodies import AppealTold, BlockTold, ReceiptTold
from hutong.appeals.model import is_shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hutong.appeals.bodies import Shown
    from hutong.appeals.model import Appeal, Block


def block_told(block: Block) -> BlockTold:
    """What blocks a number, for whoever may hear it."""
    return BlockTold(block.kind, block.title, block.basis, block.agency, block.since_ms, block.until_ms)


def receipt_told(appeal: Appeal) -> ReceiptTold:
    """What a receipt shows: nothing that names the number, the person, or who decided."""
    lifting = appeal.state == "lifted" and appeal.effect_ms is None
    return ReceiptTold(
        receipt=appeal.receipt,
        state="lifting" if lifting else appeal.state,
        found_ms=appeal.found_ms,
        due_ms=appeal.due_ms,
        decided_ms=appeal.decided_ms,
        reasons=appeal.reasons,
        shown=shown_of(appeal.blocks),
    )


def shown_of(blocks: Sequence[Block]) -> Shown:
    """Whether what blocks a number is about calls of others that show it: "none", "some" or "only" such."""
    if not is_shown(blocks):
        return "none"
    return "only" if all(it.kind == "shown" for it in blocks) else "some"


def appeal_told(appeal: Appeal, number: str) -> AppealTold:
    """An appeal for those who work on it; `number`: masked."""
    return AppealTold(
        id=appeal.id,
        receipt=appeal.receipt,
        number=number,
        state=appeal.state,
        blocks=[block_told(it) for it in appeal.blocks],
        words=appeal.words,
        contact=appeal.contact,
        found_ms=appeal.found_ms,
        due_ms=appeal.due_ms,
        decided_ms=appeal.decided_ms,
        who=appeal.who,
        reasons=appeal.reasons,
        effect_ms=appeal.effect_ms,
    )
