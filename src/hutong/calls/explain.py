"""Why a call was passed, warned about or blocked: a verdict of the journal, in words, in either language.

A verdict names its rule set and list entries by id, and both are kept, so an old verdict is explained with what was in
force when it was made.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from hutong.calls.model import Verdict  # noqa: TC001  # msgspec reads the annotation
from hutong.calls.outcomes import decode_outcome
from hutong.calls.record import KIND_OUTCOME, KIND_VERDICT, decode
from hutong.calls.rule_book import RULESETS
from hutong.kernel.errors import HutongError, JournalError, RuleError
from hutong.kernel.journal import FileJournal
from hutong.kernel.lists.store import ListStore
from hutong.kernel.marks import MARKS, LimitRefs
from hutong.kernel.numbering import trunk_key
from hutong.kernel.rules.ruleset import load_saved

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from hutong.calls.index.verdicts import Row
    from hutong.calls.outcomes import Outcome
    from hutong.kernel.journal import Record
    from hutong.kernel.lists.entries import Entry
    from hutong.kernel.rules.ruleset import Rule, Ruleset
    from hutong.kernel.rules.vocabulary import Language

LANGUAGES: tuple[Language, ...] = ("zh", "en")
_LIST_SIDES = (("caller", "block"), ("caller", "allow"), ("callee", "block"), ("callee", "allow"))

_LIMIT_MARK = "caller.limit_mark"
_OUTCOME_OF = struct.Struct("<qqqq")
_LAST_CAUSE = 127
_OUTCOME_KEYS = ("phase", "time_ms", "answered", "ring_ms", "talk_ms", "release", "status")

_ACTION_WORDS = {
    "pass": {"zh": "放行", "en": "passed"},
    "warn": {"zh": "提醒后放行", "en": "passed with a warning"},
    "block": {"zh": "拦截", "en": "blocked"},
}
_FLAG_WORDS = {
    "fail-open": {"zh": "超过时间预算,未判决即放行", "en": "its time budget was spent, so it passed unjudged"},
    "emergency": {
        "zh": "被叫是紧急或公共服务号码,一律放行",
        "en": "the callee is an emergency or public line: always passed",
    },
    "allowed-by-list": {"zh": "在放行名单中", "en": "it is on an allow list"},
    "night": {"zh": "夜间呼叫", "en": "called at night"},
    "identity-conflict": {"zh": "PAI 与 From 号码不一致", "en": "P-Asserted-Identity and From disagree"},
    "diverted": {"zh": "经前转的呼叫", "en": "a diverted call"},
    "anonymous": {"zh": "主叫隐藏号码", "en": "the caller withholds its number"},
    "read-by-full-codec": {"zh": "由完整解码器读取", "en": "read by the full codec"},
    "mirrored": {
        "zh": "仅见于镜像信令,按观察模式判决,未作处置",
        "en": "seen in mirrored signalling only: judged in observe mode, nothing was done",
    },
}


class FiredRule(msgspec.Struct, frozen=True):
    """A rule that fired: what it says, what it may do, and the values that fired it, a line each in both languages."""

    id: str
    version: int
    stage: str
    title: dict[str, str]
    basis: str
    runbook: str
    decided: bool
    because: dict[str, list[str]]


class ListHit(msgspec.Struct, frozen=True):
    """A list entry that covered a number of the call."""

    id: int
    side: str
    list: str
    reason: str
    source: str
    who: str


class Story(msgspec.Struct, frozen=True):
    """A verdict with everything it rests on; `reason` is one line in both languages."""

    verdict: Verdict
    fired: list[FiredRule]
    lists: list[ListHit]
    reason: dict[str, str]


class Verdicts:
    """The verdicts of a data folder, for reading; any process may.

    Threads may share what reads no journal: `of_rows`, `decoded`, `explain`.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self._journal = FileJournal(data / "journal")
        self._rulesets: dict[str, Ruleset | None] = {}
        self._lists = ListStore(data / "lists")
        self._limits = LimitRefs(data / MARKS)

    def by_seq(self, seq: int) -> Verdict | None:
        """The verdict with this journal sequence number; None where it is no verdict or not kept."""
        record = self._journal.record(seq)
        return None if record is None or record.kind != KIND_VERDICT else self._decode(record)

    def by_call_id(self, call_id: str) -> Iterator[Verdict]:
        """Every verdict about a call, newest first."""
        for record in self._journal.find_last(call_id.encode()):
            if record.kind == KIND_VERDICT:
                verdict = self._decode(record)
                if verdict.call_id == call_id:
                    yield verdict

    def outcome_of(self, verdict: Verdict) -> Outcome | None:
        """What became of the call, as far as mirrored signalling told; the last word of it. None where nothing did."""
        # These words follow each other in an outcome's record, and name the verdict beside keys that nobody else has.
        needle = _OUTCOME_OF.pack(verdict.caller_key, verdict.callee_key, trunk_key(verdict.trunk), verdict.seq)
        for record in self._journal.find_last(needle):
            if record.kind == KIND_OUTCOME:
                outcome = decode_outcome(record.seq, record.body)
                if outcome.verdict_seq == verdict.seq:
                    return outcome
        return None

    def all(self) -> Iterator[Verdict]:
        """All kept verdicts, oldest first."""
        for record in self._journal.read(1, skip_corrupt=True):
            if record.kind == KIND_VERDICT:
                yield self._decode(record)

    def _decode(self, record: Record) -> Verdict:
        return self.decoded(record.seq, record.body)

    def decoded(self, seq: int, body: memoryview) -> Verdict:
        """A verdict from its record without the journal's header; see `record.decode`."""
        return decode(seq, body, self._reads)

    def of_rows(self, rows: Iterable[Row]) -> Iterator[Verdict]:
        """The verdicts among records that the index gave; what cannot be read as one is passed over."""
        for row in rows:
            if row.kind == KIND_VERDICT:
                with suppress(JournalError):
                    yield self.decoded(row.seq, row.body)

    def ruleset(self, digest: str) -> Ruleset | None:
        """The rules that a verdict was judged by, read and compiled once; None where they were not kept."""
        if digest not in self._rulesets:
            try:
                self._rulesets[digest] = load_saved(self._data / RULESETS, digest)
            except RuleError:
                self._rulesets[digest] = None
        return self._rulesets[digest]

    def _reads(self, digest: str, rule: int) -> int:
        ruleset = self.ruleset(digest)
        return -1 if ruleset is None or rule >= len(ruleset.rules) else len(ruleset.features_of(rule))

    def explain(self, verdict: Verdict, *, values: bool = True) -> Story:
        """Put a verdict into words; without `values` rules do not say what fired them: a table has no room for it."""
        ruleset = self.ruleset(verdict.ruleset)
        tell = self._fired if values else _named
        fired = [] if ruleset is None else [tell(ruleset, verdict, *one) for one in verdict.fired]
        orders = [] if ruleset is None else list(self._orders(ruleset, verdict))
        lists = [
            hit for side, number in zip(_LIST_SIDES, verdict.lists, strict=True) for hit in self._hit(side, number)
        ]
        return Story(verdict, fired, lists, {lang: _reason(verdict, fired, lists, orders, lang) for lang in LANGUAGES})

    def _orders(self, ruleset: Ruleset, verdict: Verdict) -> Iterator[str]:
        """The orders whose limits the deciding rule has read."""
        for index, values in verdict.fired:
            if index == verdict.rule:
                for place, value in zip(ruleset.features_of(index), values, strict=False):
                    if ruleset.vocabulary.features[place].name == _LIMIT_MARK:
                        yield self._limits.order_of(int(value)) or f"#{int(value)}"

    def _fired(self, ruleset: Ruleset, verdict: Verdict, index: int, values: tuple[float, ...]) -> FiredRule:
        features = np.array(ruleset.vocabulary.defaults())
        for place, value in zip(ruleset.features_of(index), values, strict=False):
            features[place] = value
        texts = {"trunk.name": verdict.trunk}
        because = {lang: ruleset.explain(index, features.tolist(), lang, texts) for lang in LANGUAGES}
        return msgspec.structs.replace(_named(ruleset, verdict, index, values), because=because)

    def _hit(self, side: tuple[str, str], number: int) -> Iterator[ListHit]:
        entry = self._entry(number) if number else None
        if entry is not None:
            yield ListHit(number, side[0], side[1], entry.reason, entry.source, entry.who)

    def _entry(self, number: int) -> Entry | None:
        try:
            self._lists.open()
        except HutongError:
            return None
        return self._lists.entry(number)


def _named(ruleset: Ruleset, verdict: Verdict, index: int, _values: tuple[float, ...]) -> FiredRule:
    rule: Rule = ruleset.rules[index]
    return FiredRule(
        id=rule.id,
        version=rule.version,
        stage=rule.stage,
        title=rule.title,
        basis=rule.basis,
        runbook=rule.runbook,
        decided=index == verdict.rule,
        because={},
    )


def _reason(verdict: Verdict, fired: list[FiredRule], lists: list[ListHit], orders: list[str], lang: str) -> str:
    """Why, in one line; empty for an ordinary passed call."""
    why = [rule.title[lang] for rule in fired if rule.decided]
    why += [f"依据指令 {order}" if lang == "zh" else f"by order {order}" for order in orders]
    kind = "block" if verdict.action == "block" else "allow"
    why += [hit.reason for hit in lists if hit.list == kind and hit.reason]
    why += [_FLAG_WORDS[flag][lang] for flag in verdict.flags if flag in {"fail-open", "emergency", "allowed-by-list"}]
    return (";" if lang == "zh" else "; ").join(why)


def tell(story: Story, lang: str, outcome: Outcome | None = None) -> list[str]:
    """The whole story as lines of text; `outcome`: what became of the call, where that is known."""
    zh, it = lang == "zh", story.verdict
    when = datetime.fromtimestamp(it.time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    did, colon = _ACTION_WORDS[it.action][lang], ":" if zh else ": "
    lines = [
        did + (colon + story.reason[lang] if story.reason[lang] else ""),
        f"{'呼叫标识' if zh else 'Call-ID'}: {it.call_id}",
        f"{'时间' if zh else 'time'}: {when}  ({'记录' if zh else 'record'} {it.seq})",
        f"{'主叫' if zh else 'caller'}: {it.caller or '-'}  {'被叫' if zh else 'callee'}: {it.callee or '-'}",
        f"{'中继' if zh else 'trunk'}: {it.trunk} ({it.trunk_kind}), {'来源' if zh else 'from'} {it.source}",
        *([f"SIP {it.code}"] if it.code else []),
        *([_tell_outcome(outcome, lang)] if outcome else []),
    ]
    if it.from_:
        lines.append(f"From: {it.from_}")
    if it.diverter:
        lines.append(f"{'前转方' if zh else 'diverted by'}: {it.diverter}")
    lines += [f"- {_FLAG_WORDS[flag][lang]}" for flag in it.flags if flag != "read-by-full-codec"]
    for hit in story.lists:
        who = f"{hit.who}, {hit.source}" if hit.source else hit.who
        lines.append(f"{'名单' if zh else 'list'} {hit.list} #{hit.id} ({hit.side}): {hit.reason} [{who}]")
    for rule in story.fired:
        mark = _mark(it, lang) if rule.decided else ("触发" if zh else "fired")
        lines.append(f"{mark}: {rule.id}@{rule.version} [{rule.stage}] {rule.title[lang]} — {rule.basis}")
        lines += [f"    {line}" for line in rule.because[lang]]
    lines.append(f"{'规则集' if zh else 'rule set'}: {it.ruleset}")
    return lines


def _mark(verdict: Verdict, lang: str) -> str:
    """What stands before the deciding rule; nothing is decided about a call that was only seen."""
    if "mirrored" in verdict.flags:
        return "若经筛查则决定" if lang == "zh" else "would have decided"
    return "决定" if lang == "zh" else "decided"


def _tell_outcome(it: Outcome, lang: str) -> str:
    """What became of the call, in one line."""
    zh = lang == "zh"
    ring, talk = it.ring_ms / 1000, it.talk_ms / 1000
    if it.phase == "lost":
        return "结局: 未见结束" if zh else "outcome: its end was not seen"
    if it.phase == "answered":
        return f"结局: 振铃 {ring:.3f} 秒后接通" if zh else f"outcome: answered after {ring:.3f} s"
    if it.answered:
        text = f"振铃 {ring:.3f} 秒,通话 {talk:.3f} 秒" if zh else f"answered after {ring:.3f} s, talked {talk:.3f} s"
    else:
        text = f"振铃 {ring:.3f} 秒,未接通" if zh else f"not answered, ended after {ring:.3f} s"
    causes = [f"SIP {it.status}"] if it.status else []
    causes += [f"Q.850 {it.release}"] if 0 < it.release <= _LAST_CAUSE else []
    return f"{'结局' if zh else 'outcome'}: {text}" + (f" ({', '.join(causes)})" if causes else "")


def told(story: Story, *, earlier: list[int], outcome: Outcome | None = None) -> dict[str, object]:
    """The whole story as plain values, for machines.

    `earlier`: journal numbers of older verdicts about the same Call-ID. `outcome`: what became of the call, if that is
    known. docs/calls.md documents the keys.
    """
    it = story.verdict
    when = datetime.fromtimestamp(it.time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return {
        "call_id": it.call_id,
        "seq": it.seq,
        "time": when,
        "action": it.action,
        "code": it.code,
        "reason": story.reason,
        "caller": it.caller,
        "callee": it.callee,
        "from": it.from_,
        "diverter": it.diverter,
        "trunk": it.trunk,
        "trunk_kind": it.trunk_kind,
        "source": it.source,
        "flags": it.flags,
        "rules": story.fired,
        "lists": story.lists,
        "ruleset": it.ruleset,
        "earlier": earlier,
        "outcome": None if outcome is None else {name: getattr(outcome, name) for name in _OUTCOME_KEYS},
    }
