"""Judges a made-up province while it is being made: what each rule set does to fraud, and to everybody else.

The judging side gets call records and nothing else. What only the truth knows (classes, campaigns) is put beside the
verdicts afterwards. Counting is `quality_figures`, words are `quality_page`.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from hutong.app.config import load_config
from hutong.app.replay import Options, judges
from hutong.calls.model import ACTION_BLOCK
from hutong.calls.records.columns import call_batch
from hutong.calls.records.convert import Converter
from hutong.calls.records.layout import Layout
from hutong.kernel.errors import HutongError
from hutong.simulation.province import Province
from hutong.simulation.records import call_table, node_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hutong.kernel.rules import Ruleset
    from hutong.simulation.parameters import Parameters
    from hutong.simulation.province import Size
    from hutong.simulation.rows import Calls

#: How soon a campaign hears that its calls are refused, and how soon people stop returning refused calls.
STEP_MS: Final = 60_000
_STEPS_AN_HOUR: Final = 60


#: One judged call with the truth beside it. `caller` is digits; `decided` is the deciding rule's place, -1 for none;
#: `campaign` is 0 for honest calls, else its number; classes are places in `simulation.rows.CLASSES`.
ROW: Final = np.dtype(
    [
        ("start", "i8"),
        ("caller", "i8"),
        ("campaign", "i2"),
        ("caller_class", "u1"),
        ("callee_class", "u1"),
        ("action", "u1"),
        ("decided", "i2"),
    ]
)
Rows = np.ndarray[Any, Any]  # of ROW


class Judging(NamedTuple):
    """One province, judged.

    seed: of the province. rows: its calls in order of their starts. campaigns: names by number, 0 is "".
    """

    seed: int
    rows: Rows
    campaigns: tuple[str, ...]


def judge(
    made: Province, ruleset: Ruleset, *, as_if_promoted: bool, hour_done: Callable[[], None] = lambda: None
) -> Judging:
    """Let a province run and judge its calls minute by minute; each minute's refusals are told before the next.

    Args:
        made: a province that has not run.
        ruleset: what judges.
        as_if_promoted: every rule acts at its own action, whatever its stage.
        hour_done: called for each hour of the province.

    Raises:
        HutongError: the province's records are not what a replay reads.
    """
    parts: list[Rows] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "hutong.toml").write_text(node_settings(made), encoding="utf-8")
        config = load_config(folder / "hutong.toml", environ={})
        make, trunks = judges(config, ruleset, Options(files=(), as_if_promoted=as_if_promoted), stack)
        replay, converter = make(), Converter(Layout(), trunks.names)
        for step, calls in enumerate(made.run(STEP_MS), start=1):
            if len(calls):
                judged = replay.feed(call_batch(_records(converter, calls)))
                parts.append(_beside(calls, judged.action, judged.decided))
                made.told(calls[judged.action == ACTION_BLOCK])
            if step % _STEPS_AN_HOUR == 0:
                hour_done()
    rows = np.concatenate(parts) if parts else np.zeros(0, ROW)
    return Judging(made.seed, rows, tuple(made.campaign_names()))


def _records(converter: Converter, calls: Calls) -> pa.RecordBatch:
    """The calls as records: what signalling shows of them."""
    ids = pa.array(calls["key"]).cast(pa.string())
    table = call_table(calls, ids)
    columns = {name: table.column(name).combine_chunks() for name in table.column_names}
    converted = converter.convert(columns, 0, len(calls))
    if converted.faults.any():
        raise HutongError("A made-up call is no good call record.", where=f"{int(converted.faults.max())}")
    return converted.rows


def _beside(calls: Calls, action: NDArray[np.uint8], decided: NDArray[np.int32]) -> Rows:
    rows = np.zeros(len(calls), ROW)
    for name in ("start", "caller", "campaign", "caller_class", "callee_class"):
        rows[name] = calls[name]
    rows["action"], rows["decided"] = action, decided
    return rows


def judge_seed(
    parameters: Parameters,
    size: Size,
    seed: int,
    ruleset: Ruleset,
    *,
    as_if_promoted: bool,
    hour_done: Callable[[], None] = lambda: None,
) -> Judging:
    """As `judge`, of a new province."""
    return judge(Province(parameters, size, seed), ruleset, as_if_promoted=as_if_promoted, hour_done=hour_done)
