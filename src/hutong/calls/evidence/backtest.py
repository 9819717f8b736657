"""A backtest from end to end: rules as if each tested one were at its own action, over call records, against labels.

A call has the learned score that its caller had when it was set up, where those of the time were kept, else none: what
is known today was learned from what became of the calls.
One pass counts; where calls were hit, a second one looks again at the most telling of them, for the values that the
rules read. All tested rules act in the same pass: a call that one of them blocks has no outcome that another could see.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from hutong.calls.evidence.figures import Figures, Seen
from hutong.calls.evidence.labels import FRAUD, LEGITIMATE, UNLABELLED
from hutong.calls.evidence.model import (
    FORMAT,
    PROTECTED,
    Backtest,
    Case,
    Effect,
    Labelled,
    Over,
    RuleEffect,
)
from hutong.calls.evidence.numbers import keys_of
from hutong.calls.evidence.rows import OutOfOrder, Rows
from hutong.calls.records.columns import call_batch
from hutong.calls.trunks import KIND_INTERNATIONAL

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    from hutong.calls.evidence.labels import Labels
    from hutong.calls.replay.batch import CallBatch, Judged
    from hutong.calls.replay.replay import Replay
    from hutong.calls.trunks import TrunkTable
    from hutong.kernel.numbering import Numbering
    from hutong.kernel.rules.ruleset import Ruleset, Stage

#: Cases that are shown of each rule, one a caller.
CASES: Final = 20
_KIND_NAMES: Final = {FRAUD: "fraud", LEGITIMATE: "legitimate", UNLABELLED: "unlabelled"}


class Question(NamedTuple):
    """What is asked.

    Attributes:
        ruleset: all rules, tested ones in the stage of their own action, others in force. tested: their places.
        stages: by id, the stage in force of the tested rules.
        labels, labels_file: what is known of calls, and where it came from.
        files: names of the call records. time_zone: IANA name, for days.
        by, made_ms: who asks, when.
    """

    ruleset: Ruleset
    tested: tuple[int, ...]
    stages: Mapping[str, Stage]
    labels: Labels
    labels_file: str
    files: tuple[str, ...]
    time_zone: str
    by: str
    made_ms: int


class Ground(NamedTuple):
    """What judges.

    Attributes:
        make: makes a replay of the question's rules, anew for each pass.
        trunks, numbering: what it reads with.
        scored_from: from which moment on (ms since 1970) it consults the scores of the time; None: it consults none.
    """

    make: Callable[[], Replay]
    trunks: TrunkTable
    numbering: Numbering
    scored_from: int | None = None


class _Candidate(NamedTuple):
    """A call that may be shown; lesser ones stand first. order: its place among all calls. rule: which fired."""

    rank: tuple[bool, bool, float]
    order: int
    caller: int
    kind: int
    class_: int
    score: float
    rule: int


def tested_ruleset(ruleset: Ruleset, tested: Collection[str]) -> Ruleset:
    """The rules, those named at their own action, the others in their stages."""
    stages: dict[tuple[str, int], Stage] = {
        (rule.id, rule.version): rule.action if rule.id in tested else rule.stage for rule in ruleset.rules
    }
    return ruleset.with_stages(stages)


def backtest(question: Question, rows: Rows, ground: Ground) -> Backtest:
    """Do it.

    Raises:
        CallFileError: the call records cannot be read, or too many rows are bad.
    """
    run = _Run(question, rows, ground)
    try:
        run.count()
    except OutOfOrder:
        rows.sort()
        run = _Run(question, rows, ground)
        run.count()
    return run.result()


class _Run:
    def __init__(self, question: Question, rows: Rows, ground: Ground) -> None:
        self._asked, self._rows, self._ground = question, rows, ground
        self._figures = Figures(question.ruleset, question.tested, question.labels.names, question.time_zone)
        self._chosen: dict[int, list[_Candidate]] = {at: [] for at in (*question.tested, -1)}
        levels = question.ruleset.levels
        #: Tested rules, that which decides first.
        self._deciding = sorted(question.tested, key=lambda at: (-int(levels[at]), at))
        self._cases: dict[tuple[int, int], Case] = {}

    def count(self) -> None:
        replay = self._ground.make()
        order = 0
        for rows in self._rows.batches():
            batch = _unflagged(call_batch(rows))
            self._take(batch, rows, replay.feed(batch), order)
            order += batch.n
        replay.finish()
        self._look_again()

    def _take(self, batch: CallBatch, rows: pa.RecordBatch, judged: Judged, order: int) -> None:
        labels, plan = self._asked.labels, self._ground.numbering.arrays
        abroad = (self._ground.trunks.arrays.kinds[batch.trunk] == KIND_INTERNATIONAL).astype(np.uint8)
        callers = keys_of(plan, batch.caller, abroad)
        kinds, classes = labels.of_calls(rows.column("call_id").to_pylist() if labels.calls else (), callers)
        called_kinds, called = labels.of_numbers(keys_of(plan, batch.callee, np.zeros(batch.n, dtype=np.uint8)))
        shelter = [at for at, name in enumerate(labels.names) if name in PROTECTED]
        sheltered = (called_kinds == LEGITIMATE) & np.isin(called, shelter)
        seen = Seen(batch.start_ms, callers, kinds, classes, sheltered)
        places, hits = self._figures.add(seen, judged)
        if not len(places):
            return
        protected = (kinds == LEGITIMATE) & (np.isin(classes, shelter) | sheltered)
        # A case is named for the class that makes it telling.
        shown = np.where(protected & ~np.isin(classes, shelter), called, classes)
        scores = judged.score[places]
        which = np.array(self._deciding)[np.argmax(hits[:, self._deciding], axis=1)]
        for at in self._chosen:
            mine = np.ones(len(places), dtype=bool) if at < 0 else hits[:, at]
            fresh = [
                _Candidate(
                    (not protected[place], kinds[place] != LEGITIMATE, -float(score)),
                    order + int(place),
                    int(callers[place]),
                    int(kinds[place]),
                    int(shown[place]),
                    float(score),
                    int(rule) if at < 0 else at,
                )
                for place, score, rule in _best(places[mine], scores[mine], which[mine], callers, protected, kinds)
            ]
            self._chosen[at] = _top(self._chosen[at] + fresh)

    # The second pass

    def _look_again(self) -> None:
        wanted = sorted({it.order for chosen in self._chosen.values() for it in chosen})
        if not wanted:
            return
        by_order: dict[int, list[_Candidate]] = {}
        for it in {it for chosen in self._chosen.values() for it in chosen}:
            by_order.setdefault(it.order, []).append(it)
        replay, order, left = self._ground.make(), 0, list(reversed(wanted))
        for rows in self._rows.batches():
            at = 0
            while left and left[-1] < order + rows.num_rows:
                stop = left.pop() - order + 1
                # A batch that ends with this call leaves what its rules read.
                replay.feed(_unflagged(call_batch(rows.slice(at, stop - at))))
                vector = replay.features()
                for it in by_order[order + stop - 1]:
                    self._cases[it.order, it.rule] = self._case(it, rows.slice(stop - 1, 1), vector)
                at = stop
            if not left:
                break
            if at < rows.num_rows:
                replay.feed(_unflagged(call_batch(rows.slice(at))))
            order += rows.num_rows
        replay.finish()

    def _case(self, it: _Candidate, row: pa.RecordBatch, vector: NDArray[np.float64]) -> Case:
        fields: dict[str, Any] = {name: column[0] for name, column in row.to_pydict().items()}
        numbering, ruleset = self._ground.numbering, self._asked.ruleset
        trunk = self._ground.trunks.names[fields["trunk"]]
        caller, callee = (fields[name].decode("utf-8", "replace") for name in ("caller", "callee"))
        texts = {"trunk.name": trunk}
        return Case(
            call_id=fields["call_id"].decode("utf-8", "replace"),
            time_ms=fields["start"],
            trunk=trunk,
            caller=numbering.mask(it.caller, caller),
            callee=numbering.mask_written(callee),
            label=_KIND_NAMES[it.kind],
            class_=self._asked.labels.names[it.class_],
            score=round(it.score, 4),
            rule=ruleset.rules[it.rule].id,
            zh=tuple(ruleset.explain(it.rule, vector, "zh", texts)),
            en=tuple(ruleset.explain(it.rule, vector, "en", texts)),
        )

    # The result

    def result(self) -> Backtest:
        asked, figures = self._asked, self._figures
        return Backtest(
            format=FORMAT,
            made_ms=asked.made_ms,
            by=asked.by,
            ruleset=asked.ruleset.digest,
            time_zone=asked.time_zone,
            over=Over(
                asked.files, self._rows.digest(), figures.first_ms, figures.last_ms, figures.calls, self._rows.bad
            ),
            labels=Labelled(
                asked.labels_file,
                asked.labels.digest,
                asked.labels.count(FRAUD),
                asked.labels.count(LEGITIMATE),
                len(asked.labels.bad),
                *(figures.total(kind) for kind in (FRAUD, LEGITIMATE, UNLABELLED)),
            ),
            rules=tuple(self._rule(at) for at in asked.tested),
            whole=self._effect(-1),
            scores="none" if self._ground.scored_from is None else "past",
            scored_from_ms=self._ground.scored_from or 0,
        )

    def _rule(self, at: int) -> RuleEffect:
        rule = self._asked.ruleset.rules[at]
        ids = [it.id for it in self._asked.ruleset.rules]
        return RuleEffect(
            id=rule.id,
            version=rule.version,
            title=rule.title,
            when=rule.when,
            action=rule.action,
            stage=self._asked.stages[rule.id],
            effect=self._effect(at),
            overlap=self._figures.overlap(at, ids),
        )

    def _effect(self, at: int) -> Effect:
        figures = self._figures
        return Effect(
            hits=figures.hits(at),
            confirmed=figures.confirmed(at),
            rate=figures.rate(at),
            protected=figures.protected(at),
            classes=figures.classes(at),
            adds=figures.adds(at),
            days=figures.days(at),
            cases=tuple(self._cases[it.order, it.rule] for it in self._chosen[at]),
        )


def _best(
    places: NDArray[np.int64],
    scores: NDArray[np.float32],
    rules: NDArray[np.int64],
    callers: NDArray[np.int64],
    protected: NDArray[np.bool_],
    kinds: NDArray[np.int8],
) -> list[tuple[int, float, int]]:
    """The most telling calls of a batch, one a caller: (place, score, rule)."""
    order = np.lexsort((places, -scores, kinds[places] != LEGITIMATE, ~protected[places]))
    _, first = np.unique(callers[places][order], return_index=True)
    some = order[np.sort(first)[:CASES]]
    return list(zip(places[some].tolist(), scores[some].tolist(), rules[some].tolist(), strict=True))


def _top(candidates: list[_Candidate]) -> list[_Candidate]:
    """The most telling ones, one a caller."""
    found: dict[int, _Candidate] = {}
    for it in sorted(candidates, key=lambda it: (it.rank, it.order)):
        found.setdefault(it.caller, it)
    return list(found.values())[:CASES]


def _unflagged(batch: CallBatch) -> CallBatch:
    """The calls as if each had been asked about in time: what was only mirrored, or passed late, is judged as well."""
    return batch._replace(flags=np.zeros(batch.n, dtype=np.uint16))
