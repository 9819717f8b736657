"""Small provinces for tests: made once, looked at from many sides."""

from __future__ import annotations

from functools import cache

import msgspec
import numpy as np

from hutong.simulation.parameters import Parameters, load_parameters
from hutong.simulation.province import Province, Size
from hutong.simulation.rows import CLASS, Calls, joined


@cache
def parameters() -> Parameters:
    """The shipped parameters, but for more schools, as a small province has hardly one."""
    shown = load_parameters()
    return msgspec.structs.replace(shown, school=msgspec.structs.replace(shown.school, lines_per_10k=1.5))


def small(seed: int = 7, *, calls: int = 20_000, days: int = 1, changed: Parameters | None = None) -> Province:
    """A province of its own."""
    shown = changed or parameters()
    persons = round(calls / days / shown.calling.calls_per_user_month * 365.25 / 12)
    return Province(shown, Size(calls=calls, days=days, persons=persons), seed)


@cache
def week() -> tuple[Province, Calls]:
    """A week of 120,000 calls, with all of its calls."""
    province = small(calls=120_000, days=7)
    return province, joined(list(province.run()))


def by_class(calls: Calls, name: str) -> Calls:
    """The calls that a class of callers made of itself: none that only answers another."""
    return calls[(calls["caller_class"] == CLASS[name]) & (calls["origin"] == 0)]


def share(values: np.ndarray) -> float:
    """The share of those that are true."""
    return float(np.mean(values))
