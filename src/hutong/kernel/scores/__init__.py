"""Learned scores by number: one process publishes them, others look them up in compiled code without a lock.

`table` is the layout and the look-up, `file` how a whole table is published and found again. Where scores come from
is not decided here: a call reads what was last published and waits for nobody.
"""

from hutong.kernel.scores.file import ScoreFile, ScoreWriter
from hutong.kernel.scores.table import (
    NO_SCORE,
    Scores,
    build_rows,
    look_up,
    model_of,
    no_scores,
    score_of,
    second_of,
    unpack_rows,
)

__all__ = [
    "NO_SCORE",
    "ScoreFile",
    "ScoreWriter",
    "Scores",
    "build_rows",
    "look_up",
    "model_of",
    "no_scores",
    "score_of",
    "second_of",
    "unpack_rows",
]
