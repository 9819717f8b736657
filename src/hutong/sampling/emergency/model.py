"""Emergency orders as values, their presets, and the table of what may be done with one. Pure."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final, Literal, get_args

import msgspec

from hutong.kernel.decisions import Move, moves_diagram
from hutong.kernel.shipped import shipped
from hutong.sampling.errors import SamplingError
from hutong.sampling.model import FIELDS, SIZES, Terms

FILE: Final = Path(__file__).with_name("presets.toml")
EmergencyState = Literal["requested", "in-force", "declined", "lifted", "expired"]
EmergencyAction = Literal["request", "approve", "decline", "lift", "expire"]
EMERGENCY_STATES: Final[tuple[EmergencyState, ...]] = get_args(EmergencyState)
STATE_TITLES: Final[dict[EmergencyState, dict[str, str]]] = {
    "requested": {"zh": "待批准", "en": "requested"},
    "in-force": {"zh": "生效中", "en": "in force"},
    "declined": {"zh": "已驳回", "en": "declined"},
    "lifted": {"zh": "已解除", "en": "lifted"},
    "expired": {"zh": "已到期", "en": "expired"},
}


class Actor(msgspec.Struct, frozen=True):
    """Who asks: an account, what it may do, and where from."""

    name: str
    permissions: frozenset[str]
    address: str = "local"


class Preset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one kind of emergency changes."""

    id: str
    zh: str
    en: str
    sizes: tuple[int, ...]
    fields: tuple[str, ...]
    offline_first: bool


class Wish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody asks for.

    Attributes:
        district: the six digits of an administrative division. preset: id of what changes. term_h: hours.
        agency, document: whose order, and its number.
    """

    district: str
    preset: str
    term_h: int
    agency: str
    document: str
    reason: str


class Emergency(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An emergency order. Times are ms since 1970 UTC, 0 where there is none."""

    id: str
    district: str
    preset: str
    agency: str
    document: str
    reason: str
    term_h: int
    state: EmergencyState
    requested_by: str
    requested_ms: int
    decided_by: str = ""
    decided_ms: int = 0
    ends_ms: int = 0
    ended_by: str = ""
    ended_ms: int = 0
    ended_why: str = ""
    changed_ms: int
    version: int = 1


EMERGENCY_MOVES: Final[dict[EmergencyAction, Move[EmergencyState]]] = {
    "request": Move("申请", "request", "sampling.order", (), "requested"),
    "approve": Move("批准", "approve", "sampling.approve", ("requested",), "in-force", other=True),
    "decline": Move("驳回", "decline", "sampling.approve", ("requested",), "declined", reason=True, other=True),
    "lift": Move("解除", "lift", "sampling.approve", ("in-force",), "lifted", reason=True),
    "expire": Move("到期", "expire", "", ("requested", "in-force"), "expired"),
}


@cache
def presets() -> dict[str, Preset]:
    """Every preset by its id.

    Raises:
        StateError: the file is not as it must be. SamplingError: a preset names sizes or fields that there are not.
    """
    found = shipped(FILE, "preset", Preset)
    for it in found:
        if not it.sizes or set(it.sizes) - set(SIZES) or set(it.fields) - set(FIELDS):
            raise SamplingError(f"The preset {it.id!r} has sizes or fields that there are not.", where=str(FILE))
    return {it.id: it for it in found}


def terms_of(order: Emergency) -> Terms:
    """How its district samples while it is in force."""
    preset = presets()[order.preset]
    return Terms(preset.sizes, preset.fields, preset.offline_first, order.ends_ms, order.id)


def emergency_diagram() -> str:
    """The table as a Mermaid diagram for docs/sampling.md."""
    return moves_diagram(EMERGENCY_MOVES, STATE_TITLES, ("requested", "in-force"))


def presets_table() -> str:
    """The presets as Markdown for docs/sampling.md."""
    lines = ["| id | | sizes | asked | offline first |", "|---|---|---|---|:-:|"]
    for it in presets().values():
        sizes, fields = ", ".join(map(str, it.sizes)), ", ".join(it.fields) or "—"
        lines.append(f"| `{it.id}` | {it.zh}<br>{it.en} | {sizes} | {fields} | {'●' if it.offline_first else ''} |")
    return "\n".join(lines) + "\n"
