"""What a verdict does to the call table: calls asked about over SIP or HTTP, before or after their INVITE came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.calls.mirror.table import (
    CALLEE,
    CALLER,
    DONE,
    FINDINGS,
    JUDGED,
    JUDGED_AT,
    NONE,
    OVER,
    SETUP,
    TRUNK,
    VERDICT,
    WAITING,
    at_row,
    crowded,
    find,
    insert,
    move,
    put,
    restart,
    set_state,
    state_of,
)
from hutong.kernel.compiled import compiled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@compiled
def note_screened(
    t: NDArray[np.int64],
    call: tuple[int, int],
    keys: tuple[int, int, int],
    seq: int,
    facts: int,
    blocked: bool,  # noqa: FBT001  # compiled code takes no keyword arguments
    now: int,
) -> bool:
    """A call was asked about and judged: what is mirrored of it belongs to this verdict.

    Args:
        t: the table.
        call: hashes of Call-ID and From tag (0 = not known).
        keys: of caller, callee and trunk.
        seq: the verdict's sequence number.
        facts: what alerts need to know of the verdict (`alerts.marks.facts_of`).
        blocked: it was refused: the verdict is all that there is to say of it.
        now: ms since 1970 UTC.

    Returns:
        Whether this verdict is the call's: False where it was asked about before, or found no room.
    """
    row = find(t, call[0], call[1], call[1])
    if row == NONE:
        row = NONE if crowded(t, call[0]) != NONE else insert(t, call[0], call[1], JUDGED, now)
        if row == NONE:
            return False
    elif state_of(t, row) == DONE:
        restart(t, row, JUDGED, now)
    elif state_of(t, row) != WAITING:
        # Asked twice, as by a proxy that tries its next node: the first verdict stands for the call.
        return False
    else:
        # Cursors passed it over while it waited.
        move(t, row, SETUP, now)
    base = at_row(t, row)
    put(t, base + CALLER, keys[0])
    put(t, base + CALLEE, keys[1])
    put(t, base + TRUNK, keys[2])
    put(t, base + VERDICT, seq)
    put(t, base + FINDINGS, facts)
    put(t, base + JUDGED_AT, now)
    set_state(t, row, DONE if blocked else JUDGED)
    if blocked:
        move(t, row, OVER, now)
    return True
