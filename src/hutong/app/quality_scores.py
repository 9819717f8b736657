"""The learned score in a made-up province: the near-line job beside its calls, and what that job's model learns from.

The job is the product's (`risk.nearline`, `risk.telling`). It is given call records as they come in, and what was
refused. The truth is asked once, for provinces to learn from, as an operator would ask confirmed reports.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final, Protocol, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hutong.kernel.numbering import Numbering
from hutong.kernel.scores import build_rows, no_scores, unpack_rows
from hutong.risk.calls_so_far import SCHEMA, CallsSoFar
from hutong.risk.nearline import LEAST_CALLEES, fresh_scores, kept_scores
from hutong.risk.reading import Source
from hutong.risk.table import LABEL, USER, table_of
from hutong.risk.telling import Kind
from hutong.risk.training import Given, train
from hutong.simulation.records import number_table
from hutong.simulation.rows import INTERNATIONAL, TRUNKS
from hutong.simulation.texts import text_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from numpy.typing import NDArray

    from hutong.risk.model_file import Stored
    from hutong.risk.telling import Made
    from hutong.simulation.province import Province
    from hutong.simulation.rows import Calls

#: How often active numbers are scored, in minutes of the province.
EVERY_MINUTES: Final = 30
#: How often they are looked at to learn from.
_LEARN_EVERY: Final = 45
#: … from so many different callees on: also what is just below those that are scored.
_LEARN_CALLEES: Final = 5
#: Numbers that were seen so seldom say little; of these only a sample is learned from.
_BUSY: Final = 8
_QUIET_HONEST: Final = 6_000
_MOST_TIMES: Final = 4

_MINUTE_MS: Final = 60_000
_MS_NS: Final = 1_000_000
_TABLE: Final = "made-up provinces"


class Beside(Protocol):
    """What works beside the calls of a province."""

    def heard(self, calls: Calls, refused: NDArray[np.bool_], by_score: NDArray[np.bool_]) -> None:
        """Calls of a minute, which of them were refused, and which of these by a rule that reads scores."""

    def scores(self, now_ms: int) -> NDArray[np.int64] | None:
        """Rows of scores that calls from `now_ms` on are to read; None: those before stay."""


def home_area_of(province: Province) -> str:
    """The area that completes local numbers there, as its settings say."""
    return f"0{province.scene.stock.areas[0]}"


class _Records(AbstractContextManager["_Records"]):
    """The records of a province so far, as `risk` takes them. What was heard within the last minute is not in yet."""

    def __init__(self, home_area: str, every_minutes: int, callees: int) -> None:
        self._every, self._callees = every_minutes, callees
        self._numbering = Numbering(home_area)
        self._keys: dict[tuple[int, int, bool], int] = {}
        self._waiting: list[pa.Table] = []
        self._so_far = CallsSoFar(Kind(home_area=home_area))

    def __enter__(self) -> Self:
        self._so_far.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._so_far.__exit__(kind, error, at)

    def heard(self, calls: Calls, refused: NDArray[np.bool_], by_score: NDArray[np.bool_]) -> None:
        """See `Beside`."""
        abroad = calls["trunk"] == INTERNATIONAL
        columns = {
            "moment": pa.array(calls["start"]).cast(pa.timestamp("ms", "UTC")),
            "way": pa.array(TRUNKS).take(pa.array(calls["trunk"].astype(np.int32))),
            "caller": self._read(calls, "caller", abroad),
            "callee": self._read(calls, "callee", np.zeros(len(calls), bool)),
            "blocked": pa.array(refused & ~by_score),
            "answered": pa.array(calls["answered"].astype(np.int8), mask=refused),
            **{name: pa.array(calls[name].astype(np.int64), mask=refused) for name in ("ring_ms", "talk_ms")},
            **{name: pa.array(calls[name], mask=calls[name] == 0) for name in ("imei", "imsi", "cell")},
        }
        self._waiting.append(pa.table(columns, SCHEMA))

    def _read(self, calls: Calls, of: str, abroad: NDArray[np.bool_]) -> pa.Array:
        keys, found = self._keys, []
        for spelled in zip(calls[of].tolist(), calls[f"{of}_form"].tolist(), abroad.tolist(), strict=True):
            key = keys.get(spelled)
            if key is None:
                key = self._numbering.read(text_of(*spelled[:2]), abroad=spelled[2]).key
                keys[spelled] = key
            found.append(key)
        return pa.array(found, pa.int64())

    def told(self, now_ms: int) -> Made | None:
        """What the records say, but for the last minute's, of the numbers that called since the last time."""
        if now_ms // _MINUTE_MS % self._every or len(self._waiting) <= 1:
            return None
        before, self._waiting = self._waiting[:-1], self._waiting[-1:]
        self._so_far.add(pa.concat_tables(before))
        return self._so_far.told(now_ms, now_ms - (self._every + 1) * _MINUTE_MS, self._callees)


class NearLineJob(_Records):
    """Scores active numbers by a model; a context manager."""

    def __init__(self, stored: Stored, home_area: str) -> None:
        super().__init__(home_area, EVERY_MINUTES, LEAST_CALLEES)
        self._stored = stored
        self._scores = unpack_rows(no_scores())

    def scores(self, now_ms: int) -> NDArray[np.int64] | None:
        """See `Beside`."""
        made = self.told(now_ms)
        if made is None:
            return None
        fresh = fresh_scores(self._stored, made, _TABLE, now_ms * _MS_NS)
        self._scores = kept_scores(self._scores, fresh.scores, 0)
        return build_rows(self._scores)


class Confirmed(_Records):
    """Gathers what a model learns from: numbers as they were at moments of a province; a context manager."""

    def __init__(self, home_area: str) -> None:
        super().__init__(home_area, _LEARN_EVERY, _LEARN_CALLEES)
        self._told: list[pa.Table] = []

    def scores(self, now_ms: int) -> NDArray[np.int64] | None:
        """See `Beside`; there are none."""
        made = self.told(now_ms)
        if made is not None and made.table.num_rows:
            self._told.append(made.table)
        return None

    def table(self, province: Province) -> pa.Table:
        """A row for a number at a moment, with its label; of honest numbers that seldom called only a sample."""
        whole = pa.concat_tables(self._told)
        owned = number_table(province)
        fraud = pc.filter(owned["number"], pc.equal(owned["fraud"], 1))
        labels = pc.is_in(whole[USER], value_set=fraud.combine_chunks()).to_numpy()
        chance = np.random.default_rng(province.seed)
        order = chance.permutation(whole.num_rows)
        _, number = np.unique(whole[USER].to_numpy(zero_copy_only=False), return_inverse=True)
        # How many rows of the same number come before a row in the random order.
        by_number = order[np.argsort(number[order], kind="stable")]
        first = np.searchsorted(number[by_number], number[by_number])
        nth = np.empty(len(order), np.int64)
        nth[by_number] = np.arange(len(order)) - first
        busy = whole["calls_made"].to_numpy() >= _BUSY
        quiet = order[(~labels & ~busy & (nth == 0))[order]][:_QUIET_HONEST]
        kept = np.sort(np.concatenate([np.flatnonzero((labels | busy) & (nth < _MOST_TIMES)), quiet]))
        users = pa.array([f"{province.seed}/{at}" for at in kept])
        picked = whole.take(pa.array(kept)).drop_columns([USER])
        return picked.add_column(0, USER, users).append_column(LABEL, pa.array(labels[kept].astype(np.int8)))


def learn(tables: Sequence[pa.Table]) -> Stored:
    """The model of made-up provinces: the same tables give the same model."""
    table = table_of(Source(_TABLE, pa.concat_tables(tables), ""), labelled=True)
    return train(Given(table, None, ()), seed=0, trained="", hutong="")
