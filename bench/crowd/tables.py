"""The tables of `python -m bench crowd`."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Final

from bench.crowd.asked import PEOPLE, STATIONS, made_up
from bench.crowd.rounds import Plan, Rounds
from bench.crowd.services import Services
from bench.tables import table
from hutong.kernel.overload.classes import CLASSES, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bench.crowd.people import Temper
    from bench.crowd.rounds import Costs, Measured

#: From this share of its core on the generator was the limit; this far behind its own times, others were.
_FULL_SHARE: Final = 0.95
_BEHIND_MS: Final = 100
_US: Final = 1e6


def crowd_table(folder: Path, plan: Plan) -> str:
    """Everything, measured now."""
    with Services(folder) as services:
        asked = made_up(services.config, services.data, PEOPLE, STATIONS)
        services.start(straight=True)
        rounds, own = Rounds(services, asked, plan), services.hutong()
        services.rest()
        straight = services.straight()
        costs = rounds.costs(own, straight)
        _say(costs_table(costs))
        compared = [own, straight, services.limited(costs.capacity / costs.mean)]
        measured = []
        crowds: list[tuple[float, Temper]] = [(load, "obedient") for load in plan.loads]
        for load, temper in [*crowds, (max(plan.loads), "storm")]:
            for service in compared:
                measured.append(rounds.crowd(service, costs, load, temper, straight))
                _say(" | ".join([*_crowd_row(measured[-1], costs), str(dict(measured[-1].statuses))]))
    return "\n\n".join((costs_table(costs), crowds_table(measured, costs), *remarks(measured)))


def _say(line: str) -> None:
    """For who waits: what was found so far, and what was answered other than 200."""
    print(line, file=sys.stderr, flush=True)


def costs_table(costs: Costs) -> str:
    """Processor time by class and part; refusals; capacity."""
    rows = []
    for kind in Kind:
        parts = costs.parts[kind]
        each = [*(parts[it] for it in _PARTS), costs.each[kind]]
        rows.append((CLASSES[kind].name, *(f"{it * _US:,.0f}" for it in each)))
    for name, it in (("refusal at the edge", costs.edge), ("refusal at the gate", costs.gate)):
        rows.append((name, *[""] * len(_PARTS), f"{it * _US:,.0f} (ρ {it / costs.mean:.4f})"))
    text = table(("µs of processor time", *_PARTS, "together"), rows)
    asked = costs.capacity / costs.mean
    capacity = f"{costs.capacity:.2f} s of work a second, {asked:,.0f} requests of the mix, {costs.window} at a time"
    return f"{text}\n\nCapacity: {capacity}."


_PARTS: Final = ("nginx", "codes", "stations", "records")


def crowds_table(measured: Sequence[Measured], costs: Costs) -> str:
    """A row for each round."""
    head = (
        "load", "service", "goodput", "critical", "p50 ms", "p99 ms", "scan", "issue", "history", "refused/s",
        "as before after s", "core 0 (others)", "generator",
    )  # fmt: skip
    return table(head, [_crowd_row(it, costs) for it in measured])


def _crowd_row(it: Measured, costs: Costs) -> tuple[str, ...]:
    one, spent = it.round, it.round.spent
    seconds = (one.end_ns - one.begin_ns) / 1e9
    return (
        f"{it.load:g} ×" + (", storm" if it.temper == "storm" else ""),
        it.service,
        f"{one.useful(costs.each) / it.capacity:.2f}",
        f"{one.success(Kind.CRITICAL):.1%}",
        *(_ms(one.took_ms(Kind.CRITICAL, part)) for part in (0.5, 0.99)),
        *(f"{one.success(kind):.0%}" for kind in (Kind.SCAN, Kind.ISSUE, Kind.HISTORY)),
        f"{one.refused() / seconds:,.0f}",
        f"{it.recovery_s:.1f}",
        f"{spent.total / spent.seconds:.0%} ({spent.others / spent.seconds:.0%})",
        f"{spent.generator / spent.seconds:.0%}, {one.behind_ns / 1e6:.0f} ms behind",
    )


def remarks(measured: Sequence[Measured]) -> Iterator[str]:
    """Where the generator and not the service was measured, or something held it up."""
    for it in measured:
        spent, late_ms = it.round.spent, it.round.behind_ns / 1e6
        row = f"{it.load:g} ×, {it.temper}, {it.service}: the generator was"
        if spent.generator > _FULL_SHARE * spent.seconds:
            yield f"{row} the limit."
        elif late_ms > _BEHIND_MS:
            yield f"{row} held up for {late_ms:.0f} ms by others on its core: times of that row are too long."


def _ms(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:,.0f}"
