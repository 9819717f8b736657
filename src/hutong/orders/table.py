"""Which action leads from which states to which: the one table of the machine, and the diagram made from it."""

from __future__ import annotations

from typing import Final

from hutong.kernel import decisions
from hutong.kernel.decisions import Move
from hutong.orders.model import OPEN_STATES, STANDING, Action, State

STATE_TITLES: Final[dict[State, dict[str, str]]] = {
    "requested": {"zh": "待批准", "en": "requested"},
    "approved": {"zh": "已批准", "en": "approved"},
    "in-force": {"zh": "生效中", "en": "in force"},
    "declined": {"zh": "已驳回", "en": "declined"},
    "withdrawn": {"zh": "已撤回", "en": "withdrawn"},
    "lifted": {"zh": "已解除", "en": "lifted"},
    "expired": {"zh": "已到期", "en": "expired"},
}


MOVES: Final[dict[Action, Move[State]]] = {
    "request": Move("申请", "request", "orders.request", (), "requested"),
    "approve": Move("批准", "approve", "orders.approve", ("requested",), "approved", other=True),
    "decline": Move("驳回", "decline", "orders.approve", ("requested",), "declined", reason=True, other=True),
    "withdraw": Move("撤回", "withdraw", "orders.request", ("requested",), "withdrawn", reason=True, own=True),
    "lift": Move("提前解除", "lift early", "orders.lift", STANDING, "lifted", reason=True),
    "begin": Move("开始执行", "begin", "", ("approved",), None),
    "place": Move("列入名单", "place", "", STANDING, None),
    "acknowledge": Move("确认生效", "acknowledge", "", ("approved",), "in-force"),
    "supersede": Move("被新指令取代", "supersede", "", STANDING, "lifted", reason=True),
    "notice": Move("发现条目已被移出", "notice that the entry is gone", "", STANDING, "lifted", reason=True),
    "expire": Move("到期", "expire", "", OPEN_STATES, "expired"),
    "clear": Move("移出名单", "clear", "", ("lifted", "expired"), None),
}
#: What a person may ask of an order that is there.
ASKED: Final[tuple[Action, ...]] = tuple(action for action, move in MOVES.items() if move.who and move.sources)


def state_diagram() -> str:
    """The table as a Mermaid diagram for docs/orders.md."""
    return decisions.moves_diagram(MOVES, STATE_TITLES, OPEN_STATES)


def moves_table() -> str:
    """The table of actions as Markdown for docs/orders.md."""
    return decisions.moves_table(MOVES)
