"""Which action leads from which states to which: the tables of tubes and batches, and the diagrams made from them."""

from __future__ import annotations

from typing import Final

import msgspec

from hutong.kernel.decisions import state_diagram
from hutong.sampling.model import STATES, Action, BatchState, State

STATE_TITLES: Final[dict[State, dict[str, str]]] = {
    "open": {"zh": "采样中", "en": "open"},
    "sealed": {"zh": "已封管", "en": "sealed"},
    "in-transit": {"zh": "转运中", "en": "in transit"},
    "received": {"zh": "实验室已接收", "en": "received"},
    "reported": {"zh": "已出结果", "en": "reported"},
    "recalled": {"zh": "已召回复核", "en": "recalled"},
}
BATCH_TITLES: Final[dict[BatchState, dict[str, str]]] = {
    "in-transit": {"zh": "转运中", "en": "in transit"},
    "partly-received": {"zh": "部分接收", "en": "partly received"},
    "received": {"zh": "已接收", "en": "received"},
}


class Move(msgspec.Struct, frozen=True):
    """One action.

    Attributes:
        where: who does it: a station, a laboratory, the centre.
        sources: states that it is possible in; "" = there is no tube yet. to: where it leads.
        who: the permission that it needs at the centre; stations have their own store.
    """

    zh: str
    en: str
    where: str
    sources: tuple[State | str, ...]
    to: State
    who: str


MOVES: Final[dict[Action, Move]] = {
    "register": Move("登记", "register", "station", ("", "open"), "open", "sampling.register"),
    "seal": Move("封管", "seal", "station", ("open",), "sealed", "sampling.register"),
    "hand-over": Move("交接转运", "hand over", "station", ("sealed",), "in-transit", "sampling.register"),
    "receive": Move("接收", "receive", "laboratory", ("sealed", "in-transit"), "received", "sampling.results"),
    "report": Move(
        "报告结果", "report", "laboratory", ("in-transit", "received", "reported", "recalled"), "reported",
        "sampling.results",
    ),
    "settle": Move("核定结果", "settle", "centre", ("reported", "recalled"), "reported", "sampling.settle"),
    "recall": Move("召回复核", "recall", "centre", ("reported",), "recalled", "sampling.recall"),
}  # fmt: skip


class BatchMove(msgspec.Struct, frozen=True):
    """One action with a batch: what follows from its tubes."""

    zh: str
    en: str
    sources: tuple[BatchState | str, ...]
    to: BatchState


BATCH_MOVES: Final[dict[str, BatchMove]] = {
    "hand-over": BatchMove("交接", "hand over", ("",), "in-transit"),
    "receive-some": BatchMove("部分接收", "receive some", ("in-transit", "partly-received"), "partly-received"),
    "receive-all": BatchMove("全部接收", "receive all", ("in-transit", "partly-received"), "received"),
}


def rank(state: State | str) -> int:
    """How far along a state is."""
    return STATES.index(state)


def advanced(state: State | str, action: Action) -> tuple[State, bool]:
    """Where an action leads that has happened, whether or not it should have; and whether a step was missing.

    What has happened never leads back: a seal that comes after the result leaves the tube reported.
    """
    move = MOVES[action]
    if state in move.sources:
        return ("recalled" if action == "report" and state == "recalled" else move.to), False
    ahead = state == "" or rank(move.to) > rank(state)
    return (move.to, True) if ahead else (STATES[rank(state)], False)


def batch_state(expected: int, received: int) -> BatchState:
    """The state of a batch by its tubes."""
    if not received:
        return BATCH_MOVES["hand-over"].to
    return BATCH_MOVES["receive-all" if received >= expected else "receive-some"].to


def tube_diagram() -> str:
    """The table of tubes as a Mermaid diagram for docs/sampling.md."""
    arrows = (
        (source, move.to, f"{move.zh} {action}")
        for action, move in MOVES.items()
        for source in move.sources
        if source != move.to and not (action == "report" and source == "recalled")
    )
    return state_diagram(STATE_TITLES, arrows, ("reported", "recalled"))


def batch_diagram() -> str:
    """The table of batches as a Mermaid diagram for docs/sampling.md."""
    arrows = (
        (source, move.to, f"{move.zh} {action}")
        for action, move in BATCH_MOVES.items()
        for source in move.sources
        if source != move.to
    )
    return state_diagram(BATCH_TITLES, arrows, ("received",))


def moves_table() -> str:
    """The table of actions as Markdown for docs/sampling.md."""
    lines = ["| action | | done by | from | to | permission at the centre |", "|---|---|---|---|---|---|"]
    for action, move in MOVES.items():
        sources = ", ".join(source or "—" for source in move.sources)
        lines.append(f"| `{action}` | {move.zh} | {move.where} | {sources} | {move.to} | `{move.who}` |")
    return "\n".join(lines) + "\n"
