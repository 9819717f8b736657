"""What one person asks for and another decides: the table of such a machine, what all of them check, their docs. Pure.

Here is what orders, colours by hand, look-ups and emergencies have in common. What is asked for, and what else is
demanded of it, belongs to each system.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from hutong.kernel.errors import Refused

StateT = TypeVar("StateT", bound=str)
#: What the table of the docs says of `Move.other`, where nothing more is demanded.
ANOTHER: Final = "another person 另一人"


class Move(msgspec.Struct, Generic[StateT], frozen=True):
    """One action.

    Attributes:
        who: the permission that it needs; empty = of the node itself.
        sources: states that it is possible in; none = it begins. to: where it leads; None = the state stays.
        reason: a reason is needed. other: of another person than who requested. own: of who requested alone.
    """

    zh: str
    en: str
    who: str
    sources: tuple[StateT, ...]
    to: StateT | None
    reason: bool = False
    other: bool = False
    own: bool = False


class Asked(Protocol):
    """What somebody asked for, as it stands."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def state(self) -> str:
        """Where it stands."""

    @property
    def requested_by(self) -> str:
        """The account that asked."""


class Asker(Protocol):
    """Who wants to act."""

    @property
    def name(self) -> str:
        """The account."""

    @property
    def permissions(self) -> frozenset[str]:
        """What it may do."""


def check_permission(permission: str, asker: Asker, refused: type[Refused[Any]]) -> None:
    """Raise `refused` "not-allowed" unless the asker has the permission."""
    if permission not in asker.permissions:
        raise refused("not-allowed", f"This needs the permission {permission}.")


def check_move(move: Move[Any], asked: Asked, asker: Asker, reason: str, refused: type[Refused[Any]]) -> None:
    """Whether an action is possible in this state, to this person, with this reason; the permission is not looked at.

    Raises:
        refused: "not-from-here", "same-person", "not-yours" or "no-reason".
    """
    if asked.state not in move.sources:
        raise refused("not-from-here", f"{move.en} is not possible: it is {asked.state}.", where=asked.id)
    if move.other and asker.name == asked.requested_by:
        raise refused("same-person", "Whoever requested it does not decide it.", where=asked.id)
    if move.own and asker.name != asked.requested_by:
        raise refused("not-yours", "Only whoever requested it withdraws it.", where=asked.id)
    if move.reason and not reason.strip():
        raise refused("no-reason", "It needs its reason.", where="reason")


def moves_diagram(
    moves: Mapping[Any, Move[Any]], titles: Mapping[Any, Mapping[str, str]], open_states: Collection[str]
) -> str:
    """The table as a Mermaid diagram."""
    arrows = (
        (source, move.to, f"{move.zh} {action}")
        for action, move in moves.items()
        if move.to is not None
        for source in move.sources or ("",)
    )
    return state_diagram(titles, arrows, [state for state in titles if state not in open_states])


def moves_table(moves: Mapping[Any, Move[Any]], second: str = ANOTHER) -> str:
    """The table as Markdown. `second`: who decides what another one requested."""
    lines = ["| action | | from | to | permission | by | reason |", "|---|---|---|---|---|---|:-:|"]
    for action, move in moves.items():
        who = f"`{move.who}`" if move.who else "the node 系统"
        by = second if move.other else "the requester 申请人" if move.own else ""
        sources, mark = ", ".join(move.sources) or "—", "●" if move.reason else ""
        lines.append(f"| `{action}` | {move.zh} | {sources} | {move.to or '—'} | {who} | {by} | {mark} |")
    return "\n".join(lines) + "\n"


def state_diagram(
    titles: Mapping[Any, Mapping[str, str]], arrows: Iterable[tuple[str, str, str]], ends: Iterable[str]
) -> str:
    """States and (from, to, words) as a Mermaid diagram; "" = from nothing. `ends`: states without a way out."""
    lines = ["stateDiagram-v2"]
    lines += [f'    state "{title["zh"]} {state}" as {_node(state)}' for state, title in titles.items()]
    lines += [f"    {_node(source) or '[*]'} --> {_node(to)}: {words}" for source, to, words in arrows]
    lines += [f"    {_node(state)} --> [*]" for state in ends]
    return "\n".join(lines) + "\n"


def _node(state: str) -> str:
    return state.replace("-", "_")
