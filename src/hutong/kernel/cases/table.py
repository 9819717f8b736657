"""Which action leads from which states to which: the one table of the machine, and the diagram that is made from it.

A type passes through `found`, `assigned`, `acted` and `closed`; through `accepted` and `verified` only where it names
them. So a move's states are found on the type's path: "work" is the state before `acted`, "last" that before `closed`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from hutong.kernel import decisions
from hutong.kernel.cases.model import OPEN_STATES, STATES, Action, State

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

#: States that a type may pass through, in order; those in `OPTIONAL` only if it says so.
PATH: Final[tuple[State, ...]] = ("found", "assigned", "accepted", "acted", "verified", "closed")
OPTIONAL: Final[frozenset[State]] = frozenset({"accepted", "verified"})

_Place = State | Literal["work", "last", "same"]

STATE_TITLES: Final[dict[State, dict[str, str]]] = {
    "found": {"zh": "已发现", "en": "found"},
    "assigned": {"zh": "已派发", "en": "assigned"},
    "accepted": {"zh": "已签收", "en": "accepted"},
    "acted": {"zh": "已处置", "en": "acted"},
    "verified": {"zh": "已核验", "en": "verified"},
    "closed": {"zh": "已销号", "en": "closed"},
    "risk": {"zh": "风险暂受", "en": "accepted risk"},
    "merged": {"zh": "已并案", "en": "merged"},
}


class Move(msgspec.Struct, frozen=True):
    """One action.

    Attributes:
        who: the permission that it needs where a type does not name another; empty = of the watch alone.
        sources: states that it is possible in. to: where it leads; "same" = the state stays.
        reason: a reason is needed. waits: it is possible while another action waits for a second person.
    """

    zh: str
    en: str
    who: str
    sources: tuple[_Place, ...]
    to: _Place
    reason: bool = False
    waits: bool = False


MOVES: Final[dict[Action, Move]] = {
    "assign": Move("派发", "assign", "cases.assign", ("found",), "assigned"),
    "accept": Move("签收", "accept", "cases.work", ("assigned",), "accepted"),
    "act": Move("处置", "act", "cases.work", ("work",), "acted"),
    "verify": Move("核验", "verify", "cases.verify", ("acted",), "verified"),
    "close": Move("销号", "close", "cases.close", ("last",), "closed"),
    "return": Move("退回", "return", "cases.work", ("assigned", "accepted"), "found", reason=True),
    "transfer": Move("转办", "transfer", "cases.assign", ("assigned", "accepted"), "assigned", reason=True),
    "split": Move("拆分", "split", "cases.assign", ("found", "assigned", "accepted"), "same", reason=True),
    "merge": Move("并案", "merge", "cases.assign", ("found", "assigned", "accepted", "acted"), "merged", reason=True),
    "reopen": Move("重开", "reopen", "cases.assign", ("closed",), "assigned", reason=True),
    "accept-risk": Move("风险暂受", "accept the risk", "cases.close", ("work", "acted"), "risk", reason=True),
    "end-risk": Move("恢复办理", "end the risk's term", "cases.assign", ("risk",), "work"),
    "amend": Move("补正", "amend", "cases.work", OPEN_STATES, "same", reason=True),
    "attach": Move("附件", "attach", "cases.work", OPEN_STATES, "same", waits=True),
    "comment": Move("备注", "comment", "cases.work", STATES, "same", reason=True, waits=True),
    "supervise": Move("督办", "supervise", "cases.assign", OPEN_STATES, "same", reason=True, waits=True),
    "countersign": Move("会签", "countersign", "cases.work", OPEN_STATES, "same", waits=True),
    "decline": Move("不予会签", "decline", "cases.work", OPEN_STATES, "same", reason=True, waits=True),
    "absorb": Move("并入", "absorb", "", OPEN_STATES, "same", waits=True),
    "remind": Move("提醒", "remind", "", OPEN_STATES, "same", waits=True),
    "escalate": Move("升级督办", "escalate", "", OPEN_STATES, "same", waits=True),
}
#: What a person may ask of a case that is there.
ASKED: Final[tuple[Action, ...]] = tuple(action for action, move in MOVES.items() if move.who)


def path_of(states: Collection[str]) -> tuple[State, ...]:
    """The states that a type passes through."""
    return tuple(state for state in PATH if state not in OPTIONAL or state in states)


def work_of(path: tuple[State, ...]) -> State:
    """The state in which work is done."""
    return path[path.index("acted") - 1]


def sources_of(action: Action, path: tuple[State, ...]) -> frozenset[State]:
    """The states that an action is possible in. Work that was done may be sent back too."""
    found = {place for place in (_place(it, path) for it in MOVES[action].sources) if place}
    if action == "return":
        found |= set(path[path.index("acted") : -1])
    return frozenset(found)


def target_of(action: Action, state: State, path: tuple[State, ...]) -> State:
    """Where an action leads from a state."""
    if action == "return" and state in path[path.index("acted") :]:
        return work_of(path)
    to = MOVES[action].to
    return state if to == "same" else _place(to, path) or state


def forward_actions(path: tuple[State, ...]) -> tuple[Action, ...]:
    """The actions that a type must say something about: one for each step of its path."""
    to: Mapping[State, Action] = {
        "assigned": "assign",
        "accepted": "accept",
        "acted": "act",
        "verified": "verify",
        "closed": "close",
    }
    return tuple(to[state] for state in path[1:])


def _place(place: _Place, path: tuple[State, ...]) -> State | None:
    match place:
        case "work":
            return work_of(path)
        case "last":
            return path[-2]
        case "same":
            return None
        case "risk" | "merged":
            return place
        case _:
            return place if place in path else None


def state_diagram() -> str:
    """The table as a Mermaid diagram for docs/cases.md, for a type with every state."""
    arrows = [
        (state, target_of(action, state, PATH), f"{move.zh} {action}")
        for action, move in MOVES.items()
        if move.to != "same"
        for state in STATES
        if state in sources_of(action, PATH)
    ]
    return decisions.state_diagram(STATE_TITLES, [("", "found", "立案 find"), *arrows], ("closed", "merged"))


def moves_table() -> str:
    """The table of actions as Markdown for docs/cases.md."""
    lines = ["| action | | from | to | permission | reason |", "|---|---|---|---|---|:-:|"]
    for action, move in MOVES.items():
        sources = sources_of(action, PATH)
        from_ = "any" if len(sources) == len(STATES) else "open" if sources == frozenset(OPEN_STATES) else ""
        from_ = from_ or ", ".join(state for state in STATES if state in sources)
        to = "—" if move.to == "same" else ", ".join(sorted({target_of(action, it, PATH) for it in sources}))
        who = f"`{move.who}`" if move.who else "the watch 系统"
        lines.append(f"| `{action}` | {move.zh} | {from_} | {to} | {who} | {'●' if move.reason else ''} |")
    return "\n".join(lines) + "\n"
