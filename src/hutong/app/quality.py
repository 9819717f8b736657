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

from hutong.app.config import load_config
from hutong.app.replay import Options, case_of
from hutong.calls.evidence.reading import OF_SCORES, reads
from hutong.calls.model import ACTION_BLOCK
from hutong.calls.replay.batch import Texts, new_batch
from hutong.calls.replay.scored import ScoredReplay
from hutong.simulation.records import node_settings
from hutong.simulation.rows import TRUNKS, WITHHELD
from hutong.simulation.texts import write_texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hutong.app.quality_scores import Beside
    from hutong.calls.replay.batch import CallBatch
    from hutong.kernel.rules.ruleset import Ruleset
    from hutong.simulation.province import Province
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
    made: Province,
    ruleset: Ruleset,
    *,
    as_if_promoted: bool,
    beside: Beside | None = None,
    hour_done: Callable[[], None] = lambda: None,
) -> Judging:
    """Let a province run and judge its calls minute by minute; each minute's refusals are told before the next.

    Args:
        made: a province that has not run.
        ruleset: what judges.
        as_if_promoted: every rule acts at its own action, whatever its stage.
        beside: what gives scores; None: nobody does.
        hour_done: called for each hour of the province.
    """
    parts: list[Rows] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "hutong.toml").write_text(node_settings(made), encoding="utf-8")
        config = load_config(folder / "hutong.toml", environ={})
        case = case_of(config, ruleset, Options(files=(), as_if_promoted=as_if_promoted), stack)
        replay = ScoredReplay(case.ruleset, case.consulted, case.terms)
        reading = np.array([reads(rule, OF_SCORES) for rule in ruleset.rules])
        places = np.array([case.consulted.trunks.names.index(name) for name in TRUNKS], dtype=np.int32)
        for step, calls in enumerate(made.run(STEP_MS), start=1):
            if len(calls):
                judged = replay.feed(records_of(calls, places))
                parts.append(_beside(calls, judged.action, judged.decided))
                refused = judged.action == ACTION_BLOCK
                made.told(calls[refused])
                if beside is not None:
                    beside.heard(calls, refused, refused & reading[judged.decided])
            if beside is not None:
                fresh = beside.scores(made.days.begin_ms + step * STEP_MS)
                if fresh is not None:
                    replay.use_scores(fresh)
            if step % _STEPS_AN_HOUR == 0:
                hour_done()
    rows = np.concatenate(parts) if parts else np.zeros(0, ROW)
    return Judging(made.seed, rows, tuple(made.campaign_names()))


def records_of(calls: Calls, places: NDArray[np.int32]) -> CallBatch:
    """The calls as a replay takes call records: what signalling shows of them, as `simulation.records` would write it.

    Args:
        calls: of a province.
        places: of its trunks among the replay's.
    """
    caller, callee = (
        Texts(*write_texts(np.ascontiguousarray(calls[of]), np.ascontiguousarray(calls[f"{of}_form"])))
        for of in ("caller", "callee")
    )
    return new_batch(calls["start"].copy(), places[calls["trunk"]], caller, callee)._replace(
        anonymous=(calls["caller_form"] == WITHHELD).astype(np.uint8),
        roaming=calls["roaming"].astype(np.int8),
        answered=calls["answered"].astype(np.int8),
        ring_ms=calls["ring_ms"].astype(np.int64),
        talk_ms=calls["talk_ms"].astype(np.int64),
        release=calls["release"].astype(np.int32),
    )


def _beside(calls: Calls, action: NDArray[np.uint8], decided: NDArray[np.int32]) -> Rows:
    rows = np.zeros(len(calls), ROW)
    for name in ("start", "caller", "campaign", "caller_class", "callee_class"):
        rows[name] = calls[name]
    rows["action"], rows["decided"] = action, decided
    return rows
