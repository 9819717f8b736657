"""Which action leads from which states to which: the one table of the machine, and the diagram made from it."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from hutong.orders.model import OPEN_STATES, STANDING, STATES, Action, State

STATE_TITLES: Final[dict[State, dict[str, str]]] = {
    "requested": {"zh": "待批准", "en": "requested"},
    "approved": {"zh": "已批准", "en": "approved"},
    "in-force": {"zh": "生效中", "en": "in force"},
    "declined": {"zh": "已驳回", "en": "declined"},
    "withdrawn": {"zh": "已撤回", "en": "withdrawn"},
    "lifted": {"zh": "已解除", "en": "lifted"},
    "expired": {"zh": "已到期", "en": "expired"},
}


class Move(msgspec.Struct, frozen=True):
    """One action.

    Attributes:
        who: the permission that it needs; empty = of the keeper alone.
        sources: states that it is possible in. to: where it leads; "same" = the state stays.
        reason: a reason is needed. other: of another person than who requested. own: of who requested alone.
    """

    zh: str
    en: str
    who: str
    sources: tuple[State, ...]
    to: State | Literal["same"]
    reason: bool = False
    other: bool = False
    own: bool = False


MOVES: Final[dict[Action, Move]] = {
    "request": Move("申请", "request", "orders.request", (), "requested"),
    "approve": Move("批准", "approve", "orders.approve", ("requested",), "approved", other=True),
    "decline": Move("驳回", "decline", "orders.approve", ("requested",), "declined", reason=True, other=True),
    "withdraw": Move("撤回", "withdraw", "orders.request", ("requested",), "withdrawn", reason=True, own=True),
    "lift": Move("提前解除", "lift early", "orders.lift", STANDING, "lifted", reason=True),
    "begin": Move("开始执行", "begin", "", ("approved",), "same"),
    "place": Move("列入名单", "place", "", STANDING, "same"),
    "acknowledge": Move("确认生效", "acknowledge", "", ("approved",), "in-force"),
    "supersede": Move("被新指令取代", "supersede", "", STANDING, "lifted", reason=True),
    "notice": Move("发现条目已被移出", "notice that the entry is gone", "", STANDING, "lifted", reason=True),
    "expire": Move("到期", "expire", "", OPEN_STATES, "expired"),
    "clear": Move("移出名单", "clear", "", ("lifted", "expired"), "same"),
}
#: What a person may ask of an order that is there.
ASKED: Final[tuple[Action, ...]] = tuple(action for action, move in MOVES.items() if move.who and move.sources)


def state_diagram() -> str:
    """The table as a Mermaid diagram for docs/orders.md."""
    lines = ["stateDiagram-v2"]
    lines += [f'    state "{STATE_TITLES[state]["zh"]} {state}" as {_name(state)}' for state in STATES]
    lines.append("    [*] --> requested: 申请 request")
    lines += [
        f"    {_name(source)} --> {_name(move.to)}: {move.zh} {action}"
        for action, move in MOVES.items()
        if move.to != "same"
        for source in move.sources
    ]
    lines += [f"    {state} --> [*]" for state in STATES if state not in OPEN_STATES]
    return "\n".join(lines) + "\n"


def moves_table() -> str:
    """The table of actions as Markdown for docs/orders.md."""
    lines = ["| action | | from | to | permission | by | reason |", "|---|---|---|---|---|---|:-:|"]
    for action, move in MOVES.items():
        who = f"`{move.who}`" if move.who else "the keeper 系统"
        by = "another person 另一人" if move.other else "the requester 申请人" if move.own else ""
        to = "—" if move.to == "same" else move.to
        sources = ", ".join(move.sources) or "—"
        mark = "●" if move.reason else ""
        lines.append(f"| `{action}` | {move.zh} | {sources} | {to} | {who} | {by} | {mark} |")
    return "\n".join(lines) + "\n"


def _name(state: str) -> str:
    return state.replace("-", "_")
