"""Figures of detection quality, counted from judged calls and the truth about them. Pure."""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hutong.calls.evidence.intervals import rate
from hutong.calls.model import ACTION_BLOCK, ACTION_WARN
from hutong.simulation.rows import CLASS, CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hutong.app.quality import Judging, Rows
    from hutong.calls.evidence.model import Rate

_MINUTE_MS = 60_000
_FIRST_FRAUD = CLASS["spoofed-police"]
#: Kinds of campaign and classes of honest callers, in the order of tables.
KINDS = CLASSES[_FIRST_FRAUD:]
HONEST = CLASSES[1:_FIRST_FRAUD]
#: Lines of which none may be blocked, whether they call or are called.
UNTOUCHABLE = ("emergency-line", "hospital")


class Attack(NamedTuple):
    """One campaign.

    calls, stopped, warned: of all its calls. late, late_stopped: of those that begin a minute or more after its first
    one. aged, aged_stopped: of those that begin a minute or more after the first call of the number that they show.
    through: calls before the first that was blocked, all where none was. seconds: from its first call to the first that
    was blocked; None where none was. rules: places of deciding rules, with the calls that each blocked.
    """

    seed: int
    kind: str
    calls: int
    stopped: int
    warned: int
    late: int
    late_stopped: int
    aged: int
    aged_stopped: int
    through: int
    seconds: float | None
    rules: Counter[int]


class Kind(NamedTuple):
    """All campaigns of one kind; fields as in `Attack`, added up.

    spread: the least and the largest late share among provinces. through, seconds: median and most, over campaigns;
    seconds only of those that were ever blocked, `never` counts the others.
    """

    name: str
    campaigns: int
    calls: int
    stopped: float
    late: float
    spread: tuple[float, float]
    aged: float
    warned: float
    through: tuple[float, int]
    seconds: tuple[float, float] | None
    never: int
    rules: Counter[int]


class Honest(NamedTuple):
    """Honest callers of one class: calls, blocked and warned ones, the rate of blocked ones, and what blocked them."""

    name: str
    calls: int
    blocked: int
    warned: int
    rate: Rate
    spread: tuple[float, float]
    rules: Counter[int]


class Untouched(NamedTuple):
    """Honest calls from and to one class of lines that must never be blocked."""

    name: str
    made: int
    made_blocked: int
    taken: int
    taken_blocked: int


class Figures(NamedTuple):
    """All figures of one way of judging: kinds of campaign, their sum, classes of honest callers, their sum."""

    kinds: tuple[Kind, ...]
    fraud: Kind
    classes: tuple[Honest, ...]
    honest: Honest
    untouched: tuple[Untouched, ...]


def figures(judged: Sequence[Judging]) -> Figures:
    """Count; each province once."""
    attacks = [attack for one in judged for attack in attacks_of(one)]
    seeds = [one.seed for one in judged]
    by_kind = {name: [attack for attack in attacks if attack.kind == name] for name in KINDS}
    honest = [one.rows[one.rows["campaign"] == 0] for one in judged]
    by_class = {
        name: [rows[rows["caller_class"] == CLASS[name]] for rows in honest] for name in (*HONEST, "unallocated")
    }
    return Figures(
        kinds=tuple(_kind(name, found, seeds) for name, found in by_kind.items() if found),
        fraud=_kind("", attacks, seeds),
        classes=tuple(_honest(name, parts) for name, parts in by_class.items() if sum(map(len, parts))),
        honest=_honest("", honest),
        untouched=tuple(_untouched(name, np.concatenate(honest)) for name in UNTOUCHABLE),
    )


def attacks_of(judging: Judging) -> Iterator[Attack]:
    """The campaigns of a province that called at all."""
    for number, name in enumerate(judging.campaigns):
        rows = judging.rows[judging.rows["campaign"] == number] if number else judging.rows[:0]
        if len(rows):
            yield _attack(judging.seed, name.rpartition("-")[0], rows)


def _attack(seed: int, kind: str, rows: Rows) -> Attack:
    blocked = rows["action"] == ACTION_BLOCK
    late = rows["start"] >= rows["start"][0] + _MINUTE_MS
    aged = rows["start"] >= _first_of_number(rows) + _MINUTE_MS
    at = np.flatnonzero(blocked)
    return Attack(
        seed=seed,
        kind=kind,
        calls=len(rows),
        stopped=int(blocked.sum()),
        warned=int((rows["action"] == ACTION_WARN).sum()),
        late=int(late.sum()),
        late_stopped=int((late & blocked).sum()),
        aged=int(aged.sum()),
        aged_stopped=int((aged & blocked).sum()),
        through=int(at[0]) if len(at) else len(rows),
        seconds=float(rows["start"][at[0]] - rows["start"][0]) / 1000 if len(at) else None,
        rules=_deciding(rows[blocked]),
    )


def _first_of_number(rows: Rows) -> np.ndarray:
    """For each call the start of the first call that showed its number; rows are in order of starts."""
    _, first, group = np.unique(rows["caller"], return_index=True, return_inverse=True)
    starts: np.ndarray = rows["start"][first][group]
    return starts


def _deciding(rows: Rows) -> Counter[int]:
    return Counter(int(rule) for rule in rows["decided"])


def _kind(name: str, attacks: Sequence[Attack], seeds: Sequence[int]) -> Kind:
    seconds = [attack.seconds for attack in attacks if attack.seconds is not None]
    through = [attack.through for attack in attacks]
    each = [
        _share(sum(a.late_stopped for a in attacks if a.seed == seed), late)
        for seed in seeds
        if (late := sum(a.late for a in attacks if a.seed == seed))
    ]
    calls = sum(attack.calls for attack in attacks)
    return Kind(
        name=name,
        campaigns=len(attacks),
        calls=calls,
        stopped=_share(sum(attack.stopped for attack in attacks), calls),
        late=_share(sum(attack.late_stopped for attack in attacks), sum(attack.late for attack in attacks)),
        spread=(min(each, default=0.0), max(each, default=0.0)),
        aged=_share(sum(attack.aged_stopped for attack in attacks), sum(attack.aged for attack in attacks)),
        warned=_share(sum(attack.warned for attack in attacks), calls),
        through=(median(through), max(through)) if through else (0.0, 0),
        seconds=(median(seconds), max(seconds)) if seconds else None,
        never=len(attacks) - len(seconds),
        rules=_summed(attack.rules for attack in attacks),
    )


def _honest(name: str, parts: Sequence[Rows]) -> Honest:
    """Parts: the calls of each province."""
    hits, calls = [], []
    for rows in parts:
        # The same number in two provinces is two callers.
        _, caller = np.unique(rows["caller"], return_inverse=True)
        hits.append(np.bincount(caller, rows["action"] == ACTION_BLOCK).astype(np.int64))
        calls.append(np.bincount(caller).astype(np.int64))
    each = [1e6 * _share(int(part.sum()), int(of.sum())) for part, of in zip(hits, calls, strict=True) if of.sum()]
    found = rate(np.concatenate(hits), np.concatenate(calls))
    return Honest(
        name=name,
        calls=found.calls,
        blocked=found.hits,
        warned=sum(int((rows["action"] == ACTION_WARN).sum()) for rows in parts),
        rate=found,
        spread=(min(each, default=0.0), max(each, default=0.0)),
        rules=_summed(_deciding(rows[rows["action"] == ACTION_BLOCK]) for rows in parts),
    )


def _untouched(name: str, rows: Rows) -> Untouched:
    blocked = rows["action"] == ACTION_BLOCK
    made, taken = rows["caller_class"] == CLASS[name], rows["callee_class"] == CLASS[name]
    return Untouched(name, int(made.sum()), int((made & blocked).sum()), int(taken.sum()), int((taken & blocked).sum()))


def _share(part: int, of: int) -> float:
    return part / of if of else 0.0


def _summed(counts: Iterable[Counter[int]]) -> Counter[int]:
    total: Counter[int] = Counter()
    for count in counts:
        total.update(count)
    return total
