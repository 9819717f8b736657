"""The story of a number and of a call: everything that is known of it, put together for people.

Belongs here: gathering from index, journal, lists, rules and windows. Numbers come masked, named by references; the
whole ones are given by `Stories.whole_…` only, for who has stated a purpose. Values are in `stories.views`, words in
`stories.words`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from hutong.calls.explain import Story, Verdicts
from hutong.calls.index import Filters, warm_up_rows
from hutong.calls.model import ACTIONS
from hutong.calls.outcomes import PHASE_ENDED, Outcome, decode_outcome
from hutong.calls.record import KIND_OUTCOME, KIND_VERDICT
from hutong.calls.stories.views import (
    CallStory,
    ListView,
    NumberStory,
    OutcomeView,
    Partner,
    RuleCount,
    Tally,
    VerdictView,
    WholeCall,
)
from hutong.calls.window_history import COLUMNS, draw_windows
from hutong.calls.windows_reader import WindowsReader
from hutong.kernel.errors import HutongError, JournalError
from hutong.kernel.lists.store import ListStore
from hutong.kernel.numbering import Numbering, digits_of, key_kind
from hutong.kernel.numbering.keys import KIND_NUMBER
from hutong.kernel.reporter import masked
from hutong.kernel.windows import WINDOW_FEATURES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from hutong.calls.index import VerdictIndex
    from hutong.calls.index.verdicts import Row
    from hutong.calls.model import Verdict
    from hutong.kernel.lists.entries import Entry
    from hutong.kernel.numbering import Number

#: Moments at which windows are drawn.
POINTS = 120
_PARTNERS = 10
_NAMED_LATELY = 200  # verdicts that are read for the list entries that they name
_MOST = 200_000
_SIDES: tuple[Literal["caller", "callee"], ...] = ("caller", "callee")


class Stories:
    """Puts stories together; safe for many threads.

    Args:
        data: the data folder.
        index: its index.
        ref: names a number key without carrying it (`access.refs`).
        home_area: completes local numbers, as in the settings.
    """

    def __init__(self, data: Path, index: VerdictIndex, ref: Callable[[int], str], home_area: str = "") -> None:
        self._index = index
        self._ref = ref
        self._numbering = Numbering(home_area)
        self._verdicts = Verdicts(data)
        self._lists = ListStore(data / "lists")
        self._windows = WindowsReader(data)

    def warm_up(self) -> None:
        """Load what is compiled before the first page needs it, or compile it where this machine never did."""
        warm_up_rows()
        nothing = np.zeros(0, dtype=np.int64)
        draw_windows(1, dict.fromkeys(COLUMNS, nothing), np.zeros(1, dtype=np.int64), (1, 1))
        self._windows.warm_up()
        self._numbering.mask(1)

    # Verdicts for tables

    def verdicts(self, seqs: Iterable[int]) -> list[VerdictView]:
        """The verdicts with these numbers, in this order, as far as they are kept and readable."""
        found = self._verdicts.of_rows(self._index.read(seqs))
        return [self._view(self._verdicts.explain(it, values=False)) for it in found]

    def _view(self, story: Story) -> VerdictView:
        it = story.verdict
        return VerdictView(
            seq=it.seq,
            time_ms=it.time_ms,
            action=it.action,
            code=it.code,
            caller=self._numbering.mask(it.caller_key, it.caller),
            callee=self._numbering.mask(it.callee_key, it.callee),
            caller_ref=self._ref(it.caller_key),
            callee_ref=self._ref(it.callee_key),
            call_id=masked(it.call_id),
            from_=self._numbering.mask_written(it.from_),
            diverter=self._numbering.mask_written(it.diverter),
            trunk=it.trunk,
            trunk_kind=it.trunk_kind,
            area=self._numbering.read(f"+{digits}").area if (digits := digits_of(it.callee_key)) else "none",
            source=it.source,
            flags=it.flags,
            rule=next((rule.id for rule in story.fired if rule.decided), ""),
            fired=tuple(rule.id for rule in story.fired),
            reason={lang: masked(text) for lang, text in story.reason.items()},
            ruleset=it.ruleset,
        )

    # A call

    def call(self, seq: int) -> CallStory | None:
        """The story of the call of a verdict or an outcome; None where neither is kept under this number."""
        found = self._call_verdict(seq)
        if found is None:
            return None
        story = self._verdicts.explain(found)
        outcomes = self._outcomes(self._index.outcomes_by_call_id(found.call_id))
        others = [other for other in self._index.by_call_id(found.call_id) if other != found.seq]
        return CallStory(
            verdict=self._view(story),
            rules=story.fired,
            lists=[self._list_view(entry) for hit in story.lists if (entry := self._entry(hit.id)) is not None],
            reason={lang: masked(text) for lang, text in story.reason.items()},
            outcomes=sorted(outcomes, key=lambda it: it.time_ms),
            others=self.verdicts(others[:20]),
        )

    def whole_call(self, seq: int) -> WholeCall | None:
        """The call's texts as they were signalled."""
        it = self._call_verdict(seq)
        return None if it is None else WholeCall(it.caller, it.callee, it.call_id, it.from_, it.diverter)

    def call_of(self, call_id: str) -> int | None:
        """The newest verdict about a Call-ID; None where there is none."""
        return next(iter(self._index.by_call_id(call_id, limit=1)), None)

    def _call_verdict(self, seq: int) -> Verdict | None:
        rows = self._index.read([seq])
        if rows and rows[0].kind == KIND_OUTCOME:
            outcome = self._outcome(rows[0])
            rows = self._index.read([outcome.verdict_seq]) if outcome is not None else []
        return next(self._verdicts.of_rows(rows), None)

    def _outcome(self, row: Row) -> Outcome | None:
        try:
            return decode_outcome(row.seq, row.body)
        except JournalError:
            return None

    def _outcomes(self, seqs: list[int]) -> list[OutcomeView]:
        rows = (row for row in self._index.read(seqs) if row.kind == KIND_OUTCOME)
        found = (outcome for row in rows if (outcome := self._outcome(row)) is not None)
        return [
            OutcomeView(it.seq, it.time_ms, it.phase, it.answered, it.ring_ms, it.talk_ms, it.release, it.verdict_seq)
            for it in found
        ]

    # A number

    def number_of(self, text: str) -> Number:
        """What a person wrote, read as a number."""
        return self._numbering.read(text)

    def is_on_record(self, key: int) -> bool:
        """Whether any verdict is about this number."""
        return bool(self._index.by_number(key, limit=1))

    def whole_number(self, key: int) -> str:
        """The number as people write it."""
        return self._numbering.show(key)

    def number(self, key: int, now_ms: int, span_ms: int) -> NumberStory:
        """The story of a number.

        Args:
            key: the number.
            now_ms: ms since 1970; span_ms: how far back its windows are drawn.
        """
        since = now_ms - span_ms
        columns = self._index.columns_of_number(key, (*COLUMNS, "action"), limit=_MOST)
        verdict = columns["kind"] == KIND_VERDICT
        masks = {side: verdict & (columns[side] == key) for side in _SIDES}
        tallies = {side: _tally(columns["action"][mine]) for side, mine in masks.items()}
        moments = np.linspace(since // 1000, now_ms // 1000, POINTS + 1).astype(np.int64)
        drawn = self._drawn(key, columns, moments)
        times = columns["time"]
        read = self._index.by_number(key, "any", limit=_NAMED_LATELY)
        ended = ~verdict & (columns["phase"] == PHASE_ENDED) & (columns["caller"] == key)
        answered = columns["answered"] > 0
        return NumberStory(
            ref=self._ref(key),
            number=self._numbering.mask(key),
            facts=self._facts(key),
            first_ms=int(times.min()) if times.size else 0,
            last_ms=int(times.max()) if times.size else 0,
            made=tallies["caller"],
            received=tallies["callee"],
            cut=times.size >= _MOST,
            ended=int(ended.sum()),
            answered=int((ended & answered).sum()),
            mean_talk_s=_mean_s(columns["talk"][ended & answered]),
            mean_ring_s=_mean_s(columns["ring"][ended]),
            lists=self._matching(key, now_ms // 1000),
            past=self._past(key, read),
            rules=self._rules(key),
            called=self._partners(columns, masks["caller"], "callee"),
            callers=self._partners(columns, masks["callee"], "caller"),
            now=self._present(key, now_ms // 1000),
            moments_ms=(moments * 1000).tolist(),
            windows=drawn,
            calls=_by_span(columns, masks["caller"] | masks["callee"], moments),
        )

    def _drawn(
        self, key: int, columns: Mapping[str, NDArray[np.int64]], moments: NDArray[np.int64]
    ) -> dict[str, list[float]]:
        """Windows at each moment; records older than they look back leave nothing but when it was first seen."""
        drawn = draw_windows(key, columns, moments, self._windows.salts() or (1, 1))
        return {name: drawn[:, at].tolist() for at, name in enumerate(WINDOW_FEATURES)}

    def _present(self, key: int, now_s: int) -> dict[str, float] | None:
        try:
            return self._windows.read(key, now_s)
        except HutongError:
            return None

    def _facts(self, key: int) -> dict[str, str]:
        number = self._numbering.read(self._numbering.show(key))
        if number.key != key:
            return {"class": "text" if key_kind(key) != KIND_NUMBER else number.klass}
        return {
            "class": number.klass,
            "country": number.country,
            "operator": number.operator,
            "area": number.area,
        }

    def _rules(self, key: int) -> list[RuleCount]:
        fired = self._index.rules_of_number(key, "caller")
        decided = self._index.groups(Filters(number=key, role="caller"), "rule")
        counts = [RuleCount(rule, number, decided.get(rule, 0)) for rule, number in fired.items()]
        return sorted(counts, key=lambda it: (-it.fired, it.id))

    def _partners(self, columns: Mapping[str, NDArray[np.int64]], mine: NDArray[np.bool_], side: str) -> list[Partner]:
        keys, place, counts = np.unique(columns[side][mine], return_inverse=True, return_counts=True)
        blocked = np.bincount(place, columns["action"][mine] == ACTIONS.index("block"), minlength=keys.size)
        top = np.argsort(-counts, kind="stable")[:_PARTNERS].tolist()
        return [
            Partner(self._numbering.mask(int(keys[at])), self._ref(int(keys[at])), int(counts[at]), int(blocked[at]))
            for at in top
        ]

    # Lists

    def _entry(self, number: int) -> Entry | None:
        try:
            self._lists.open()
            return self._lists.entry(number)
        except HutongError:
            return None

    def _matching(self, key: int, now_s: int) -> list[ListView]:
        try:
            self._lists.open()
            found = self._lists.matching(key)
        except HutongError:
            return []
        return [self._list_view(it) for it in found if not it.expires or it.expires > now_s]

    def _past(self, key: int, seqs: list[int]) -> list[ListView]:
        """Removed entries about this number that its latest verdicts name."""
        ids: set[int] = set()
        for it in self._verdicts.of_rows(self._index.read(seqs)):
            ids |= {
                *(it.lists[:2] if it.caller_key == key else ()),
                *(it.lists[2:] if it.callee_key == key else ()),
            }
        entries = [entry for number in sorted(ids - {0}) if (entry := self._entry(number)) is not None]
        return [self._list_view(entry) for entry in entries if entry.removed]

    def _list_view(self, entry: Entry) -> ListView:
        return ListView(
            id=entry.id,
            list=entry.list,
            kind=entry.kind,
            role=entry.role,
            reason=masked(entry.reason),
            source=masked(entry.source),
            who=entry.who,
            created_ms=entry.created * 1000,
            expires_ms=entry.expires * 1000,
            removed_ms=entry.removed * 1000,
            removed_why=masked(entry.removed_why),
        )


def _tally(actions: NDArray[np.int64]) -> Tally:
    counts = np.bincount(actions, minlength=len(ACTIONS)) if actions.size else np.zeros(len(ACTIONS), np.int64)
    passed, observed, warned, blocked = (int(counts[code]) for code in range(len(ACTIONS)))
    return Tally(actions.size, passed + observed, warned, blocked)


def _mean_s(milliseconds: NDArray[np.int64]) -> float:
    return float(milliseconds.mean() / 1000) if milliseconds.size else 0.0


def _by_span(
    columns: Mapping[str, NDArray[np.int64]], mine: NDArray[np.bool_], moments: NDArray[np.int64]
) -> dict[str, list[int]]:
    """Verdicts after each moment and up to the next, by action; nothing for the first moment."""
    place = np.searchsorted(moments, columns["time"][mine] // 1000, "left")
    action = columns["action"][mine]
    within = (place > 0) & (place < moments.size)
    return {
        name: np.bincount(place[within & (action == code)], minlength=moments.size).tolist()
        for code, name in enumerate(ACTIONS)
        if name != "observe"
    }
