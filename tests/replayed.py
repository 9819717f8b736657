"""A live run without sockets, and its own records as a batch of call records, for tests of replays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engines import Bench
from hutong.calls import attempt, outcomes, screening
from hutong.calls import record as rec
from hutong.calls.archiving import Archiver
from hutong.calls.features import ROAMING, VOCABULARY
from hutong.calls.model import ACTION_BLOCK, ACTIONS, FLAG_NAMES
from hutong.calls.replay.batch import BY_TIME, NEVER, UNKNOWN, CallBatch, Judged, Texts, new_batch, texts_of
from hutong.calls.replay.replay import Consulted, Replay, Terms
from hutong.calls.trunks import address_halves
from hutong.kernel.journal import FileJournal
from hutong.kernel.numbering.codes import KEY
from hutong.kernel.rules.language import parse
from hutong.kernel.rules.ruleset import Rule, build_ruleset

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from hutong.calls.identity import Parties
    from hutong.calls.model import Verdict
    from hutong.kernel.rules.ruleset import Ruleset, Stage

CAPACITY, SALTS = 20_000, (12345, 67890)
_HEADER = 8
_SECOND = 1_000_000_000
_KEPT = {name: bit for bit, name in FLAG_NAMES.items() if name in {"fail-open", "mirrored"}}


class Judgement(NamedTuple):
    """What matters of a verdict: the action, the deciding rule, the rules that fired."""

    action: str
    rule: int | None
    fired: tuple[int, ...]


class Live:
    """Calls and outcomes in the order in which they happen, each journalled as the loop would."""

    def __init__(self, folder: Path, ruleset: Ruleset, *, capacity: int = CAPACITY) -> None:
        self.bench = Bench(folder, ruleset=ruleset, capacity=capacity)
        self.ruleset, self.capacity = ruleset, capacity
        self.passed: list[tuple[int, tuple[int, int, int]]] = []  # verdicts whose calls went on, with their keys
        self.over: set[int] = set()
        self.kinds: list[int] = []

    def call(self, parties: Parties, source: str, *, roaming: int = -1, late: bool = False, flags: int = 0) -> None:
        """One attempt, judged and written down."""
        bench, engine = self.bench, self.bench.engine
        bench.begin()
        text = engine.set_parties(parties, b"call", address_halves(source), bench.when, roaming)
        engine.call[attempt.FAIL_OPEN] = late
        engine.call[attempt.FLAGS] = flags
        end = screening.judge(engine.judge, engine.call, text, engine.scratch, engine.records, 0)
        verdict = engine.scratch.verdict
        assert not verdict[attempt.V_PENDING]
        trunk = int(engine.tables.trunks.arrays.keys[engine.call[attempt.TRUNK]])
        if verdict[attempt.V_ACTION] != ACTION_BLOCK:
            keys = int(engine.scratch.caller[KEY]), int(engine.scratch.callee[KEY]), trunk
            self.passed.append((bench.seq, keys))
        self.kinds.append(rec.KIND_VERDICT)
        bench.commit(int(end), 1)

    def outcome(self, seq: int, keys: tuple[int, int, int], phase: int, *, answered: int, ring: int, talk: int) -> None:
        """What became of the call with that verdict, seen now."""
        bench, now = self.bench, self.bench.when.now_ms
        bench.begin()
        facts = np.array([now, *keys, seq, ring, talk, phase, answered, 0, 0])
        nothing = np.zeros(0, dtype=np.uint8)
        end = outcomes.write_outcome(facts, nothing, nothing, np.zeros(2, np.int64), bench.engine.records, 0)
        outcomes.note_outcome(bench.window, *keys, phase, answered, ring, talk, now // 1000)
        self.kinds.append(rec.KIND_OUTCOME)
        bench.commit(int(end), 1)

    def verdicts(self) -> list[Verdict]:
        """All verdicts, read from their records."""
        reads = self.ruleset.features_of
        return [
            rec.decode(seq, memoryview(data)[_HEADER:], lambda _, rule: len(reads(rule)))
            for seq, (kind, data) in enumerate(zip(self.kinds, self.bench.records, strict=True), start=1)
            if kind == rec.KIND_VERDICT
        ]

    def judgements(self) -> list[Judgement]:
        """What was judged."""
        return [Judgement(v.action, v.rule, tuple(rule for rule, _ in v.fired)) for v in self.verdicts()]

    def outcomes(self) -> dict[int, dict[str, outcomes.Outcome]]:
        """All outcomes by their verdict's number and their phase, read from their records."""
        found: dict[int, dict[str, outcomes.Outcome]] = {}
        for seq, (kind, data) in enumerate(zip(self.kinds, self.bench.records, strict=True), start=1):
            if kind == rec.KIND_OUTCOME:
                outcome = outcomes.decode_outcome(seq, memoryview(data)[_HEADER:])
                found.setdefault(outcome.verdict_seq, {})[outcome.phase] = outcome
        return found

    def batch(self) -> CallBatch:
        """The records as a replay takes them."""
        verdicts, trunks = self.verdicts(), self.bench.engine.tables.trunks.names
        batch = new_batch(
            np.array([v.time_ms for v in verdicts], dtype=np.int64),
            np.array([trunks.index(v.trunk) for v in verdicts], dtype=np.int32),
            texts_of([v.caller.encode() for v in verdicts]),
            texts_of([v.callee.encode() for v in verdicts]),
        )
        ends = [self._ends(v) for v in verdicts]
        columns: dict[str, Any] = {
            name: np.array([end[name] for end in ends], dtype=getattr(batch, name).dtype) for name in (ends or [{}])[0]
        }
        return batch._replace(
            from_=texts_of([v.from_.encode() for v in verdicts]),
            diverter=texts_of([v.diverter.encode() for v in verdicts]),
            anonymous=np.array(["anonymous" in v.flags for v in verdicts], dtype=np.uint8),
            roaming=np.array([ROAMING.index(v.roaming) for v in verdicts], dtype=np.int8),
            flags=np.array([sum(_KEPT.get(flag, 0) for flag in v.flags) for v in verdicts], dtype=np.uint16),
            seq=np.array([v.seq for v in verdicts], dtype=np.int64),
            **columns,
        )

    def _ends(self, verdict: Verdict) -> dict[str, int]:
        seen = self.outcomes().get(verdict.seq, {})
        answer, end = seen.get("answered"), seen.get("ended") or seen.get("lost")
        told = end or answer
        return {
            "answered": UNKNOWN if told is None else int(told.answered),
            "ring_ms": 0 if told is None else told.ring_ms,
            "talk_ms": 0 if told is None else told.talk_ms,
            "answered_at": NEVER if answer is None else answer.time_ms,
            "answered_seq": BY_TIME if answer is None else answer.seq,
            "ended_at": NEVER if end is None else end.time_ms,
            "ended_seq": BY_TIME if end is None else end.seq,
            "lost": int("lost" in seen),
        }

    def replay(self, **terms: bool | int) -> Replay:
        """A replay that judges with what this run judged with."""
        tables, policy = self.bench.engine.tables, self.bench.engine.policy
        consulted = Consulted(
            tables.numbering, tables.trunks, tables.lists, tables.roaming, tables.scores, tables.marks
        )
        return Replay(self.ruleset, consulted, Terms(policy, self.capacity, salts=SALTS, **terms))  # type: ignore[arg-type]


def rules_of(*conditions: tuple[str, Stage, Stage]) -> Ruleset:
    """A rule set of (condition, action, stage)."""
    rules = [
        Rule(f"test.r{i}", 1, {"zh": "", "en": ""}, when, action, stage, stage, 608, "", "", False, ())  # noqa: FBT003
        for i, (when, action, stage) in enumerate(conditions)
    ]
    return build_ruleset(rules, [parse(rule.when, VOCABULARY) for rule in rules], VOCABULARY)


def journalled(live: Live, data: Path, together: int) -> None:
    """Write a run's records to a journal, some in a frame, and the rule set beside it."""
    live.ruleset.save(data / "rulesets")
    journal = FileJournal(data / "journal", segment_bytes=4000, writable=True)
    journal.open()
    records = live.bench.records
    for at in range(0, len(records), together):
        some = records[at : at + together]
        journal.append_records(b"".join(some), len(some), (at + 1) * _SECOND)
    journal.close()


def archived(data: Path, rows_at_once: int) -> None:
    """Make the archive of a journal."""
    archiver = Archiver(data, rows_at_once, turns=1000)
    archiver.run(10**18)
    archiver.close()


def judged(out: Judged) -> list[Judgement]:
    """What a replay says, in the words of `Live.judgements`."""
    return [
        Judgement(ACTIONS[action], None if rule < 0 else int(rule), rules_in(fired))
        for action, rule, fired in zip(out.action, out.decided, out.fired, strict=True)
    ]


def rules_in(words: NDArray[np.uint64]) -> tuple[int, ...]:
    """The rules of a set."""
    return tuple(int(rule) for rule in np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little")))


def part_of(batch: CallBatch, start: int, end: int) -> CallBatch:
    """Some of a batch's calls."""
    columns: dict[str, Any] = {
        name: Texts(column.data, column.offsets[start : end + 1]) if isinstance(column, Texts) else column[start:end]
        for name, column in batch._asdict().items()
        if name != "n"
    }
    return batch._replace(n=end - start, **columns)
