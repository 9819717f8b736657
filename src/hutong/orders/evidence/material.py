"""What evidence packs are made of, as values. The part about calls comes through a port: another system has it."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import msgspec

#: Columns of calls.csv; each call in `CallMaterial.calls` has these keys.
COLUMNS = (
    "seq",
    "time",
    "action",
    "code",
    "caller",
    "callee",
    "from",
    "diverter",
    "trunk",
    "trunk_kind",
    "source",
    "rule",
    "call_id",
    "ruleset",
)


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What a pack is about.

    Attributes:
        kind: of `id`; "number" has none. title: how it is named in the pack.
        keys: number keys whose calls belong to it. since_ms, until_ms: period of these calls, ms since 1970.
    """

    kind: Literal["order", "case", "number"]
    id: str = ""
    title: str
    keys: tuple[int, ...] = ()
    since_ms: int
    until_ms: int


class CallMaterial(msgspec.Struct, frozen=True):
    """Calls of some numbers.

    Attributes:
        calls: verdicts, oldest first: `COLUMNS`, and rules with the values that fired them, lists, reason, outcome.
        rules: each rule that fired, in its version, by "ID@VERSION". lists: entries about the numbers, or named.
        windows: of each number, as written: moments and the value of each window then.
        cut: numbers, as written, that have more calls than were taken, and how many of each were: the newest.
    """

    calls: list[dict[str, Any]] = []
    rules: dict[str, dict[str, Any]] = {}
    lists: list[dict[str, Any]] = []
    windows: dict[str, dict[str, Any]] = {}
    cut: dict[str, int] = {}


class CallsPort(Protocol):
    """Where calls come from."""

    def material(self, keys: tuple[int, ...], since_ms: int, until_ms: int) -> CallMaterial:
        """Calls of these numbers in a period, with everything that they were judged with."""


class Story(msgspec.Struct, frozen=True):
    """An order or a case with everything that happened to it, as plain values."""

    id: str
    what: dict[str, Any]
    events: list[dict[str, Any]]


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """Something of which a pack does not hold all.

    Attributes:
        what: calls and orders: the newest are here; proofs, of entries of the trail: the oldest.
        number: whose calls. kept: how many are here. of: how many there are; 0 where they were not counted.
    """

    what: Literal["calls", "orders", "proofs"]
    number: str = ""
    kept: int
    of: int = 0


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that goes into a pack.

    Attributes:
        made_ms: ms since 1970. made_by: the account. purpose: in the person's own words. key: that of the signature.
        proofs: of entries of the trail, by number. entries: the same entries as plain values, in order.
        cuts: what is not here whole.
    """

    node: str
    made_ms: int
    made_by: str
    purpose: str
    key: str
    subject: Subject
    calls: CallMaterial
    orders: list[Story]
    cases: list[Story]
    proofs: dict[int, str]
    entries: list[dict[str, Any]]
    checkpoint: str
    cuts: tuple[Cut, ...] = ()
