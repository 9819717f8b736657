"""Whatever is in a journal and whatever happens to its files, the index answers as a look at every record does."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from hutong.calls.index import Filters, VerdictIndex
from hutong.calls.model import ACTIONS, FLAG_NAMES
from hutong.calls.outcomes import PHASES, Outcome, decode_outcome
from hutong.calls.record import KIND_OUTCOME, KIND_VERDICT, decode
from hutong.kernel.errors import JournalError
from hutong.kernel.journal import FileJournal, encode_record
from verdict_records import NO_RULE, NOON_MS, outcome_body, verdict_body

if TYPE_CHECKING:
    from hutong.calls.model import Verdict

KEYS = [1 << 55 | number for number in range(1, 5)]
CALLS = ["a@x", "b@x", "ü" * 3, ""]
TRUNKS = ["one", "Two", "three"]
RULES = [0, 1, 2]
DIGESTS = [5, -(2**63)]

times = st.integers(-3, 5).map(lambda minute: NOON_MS + minute * 60_000)
fired = st.lists(st.tuples(st.sampled_from(RULES), st.just(())), max_size=3, unique_by=lambda it: it[0])
verdicts = st.builds(
    verdict_body,
    time_ms=times,
    caller_key=st.sampled_from(KEYS),
    callee_key=st.sampled_from(KEYS),
    call_id=st.sampled_from(CALLS),
    trunk=st.sampled_from(TRUNKS),
    action=st.sampled_from(ACTIONS),
    code=st.sampled_from([302, 603, 608]),
    flags=st.sampled_from([0, 1, 8, 9, 256, 264]),
    rule=st.sampled_from([NO_RULE, *RULES]),
    fired=fired,
    area=st.integers(0, 3),
    digest=st.sampled_from(DIGESTS),
).map(lambda body: (KIND_VERDICT, body))
outcomes = st.builds(
    outcome_body,
    time_ms=times,
    caller_key=st.sampled_from(KEYS),
    callee_key=st.sampled_from(KEYS),
    phase=st.sampled_from(PHASES[1:]),
    call_id=st.sampled_from(CALLS),
    trunk=st.sampled_from(TRUNKS),
    ring_ms=st.integers(-5, 10**12),
    talk_ms=st.integers(0, 50_000),
    answered=st.booleans(),
).map(lambda body: (KIND_OUTCOME, body))
junk = st.tuples(st.sampled_from([KIND_VERDICT, KIND_OUTCOME, 3]), st.binary(max_size=150))
cut = st.tuples(verdicts, st.integers(0, 120)).map(lambda it: (it[0][0], it[0][1][: it[1]]))
frames = st.lists(st.one_of(verdicts, verdicts, outcomes, cut, junk), min_size=1, max_size=5)
place = st.floats(0, 1, exclude_max=True)
steps = st.lists(
    st.one_of(
        frames.map(lambda it: ("append", it)),
        frames.map(lambda it: ("append", it)),
        st.just(("look", None)),
        st.just(("build", None)),
        st.tuples(st.just("retain"), st.integers(1, 2)),
        st.tuples(st.just("harm segment"), st.tuples(place, place, st.integers(0, 7))),
        st.tuples(st.just("harm sidecar"), st.tuples(place, place, st.integers(0, 7))),
        st.tuples(st.just("cut sidecar"), st.tuples(place, place, st.integers(0, 7))),
    ),
    min_size=1,
    max_size=12,
)
wishes: dict[str, list[object]] = {
    "since_ms": [NOON_MS, NOON_MS + 90_000],
    "until_ms": [NOON_MS + 180_000],
    "action": [*ACTIONS],
    "rule": ["0000000000000005#1", "8000000000000000#2", "none"],
    "decided": ["0000000000000005#1"],
    "trunk": ["one", "two"],
    "areas": [(2,), (0, 3)],
    "flags": [8, 256, 9],
    "number": [*KEYS],
    "role": ["caller", "callee"],
}
filters = st.lists(st.sampled_from(sorted(wishes)), max_size=2, unique=True).flatmap(
    lambda names: st.builds(Filters, **{name: st.sampled_from(wishes[name]) for name in names})
)


class Seen(NamedTuple):
    """A verdict as the linear scan sees it, with what the index counts by."""

    verdict: Verdict
    area: int
    flags: int


def scan(data: Path) -> tuple[list[Seen], list[Outcome]]:
    """Every verdict and every outcome that a reader of the journal finds."""
    verdicts, outcomes = [], []
    for record in FileJournal(data / "journal").read(1, skip_corrupt=True):
        try:
            if record.kind == KIND_VERDICT:
                verdict = decode(record.seq, record.body, lambda _digest, _rule: 0)
                flags = sum(bit for bit, name in FLAG_NAMES.items() if name in verdict.flags)
                verdicts.append(Seen(verdict, int.from_bytes(record.body[80:82], "little"), flags))
            elif record.kind == KIND_OUTCOME:
                outcomes.append(decode_outcome(record.seq, record.body))
        except JournalError:
            continue
    return verdicts, outcomes


def rule_name(it: Verdict, index: int | None) -> str:
    return "" if index is None else f"{it.ruleset}#{index}"


def fits(seen: Seen, wanted: Filters) -> bool:
    it = seen.verdict
    sides = {"caller": [it.caller_key], "callee": [it.callee_key], "any": [it.caller_key, it.callee_key]}
    return (
        wanted.since_ms <= it.time_ms < wanted.until_ms
        and wanted.action in {"", it.action}
        and (not wanted.rule or wanted.rule in {rule_name(it, index) for index, _ in it.fired})
        and wanted.decided in {"", rule_name(it, it.rule)}
        and wanted.trunk in {"", it.trunk}
        and (not wanted.areas or seen.area in wanted.areas)
        and seen.flags & wanted.flags == wanted.flags
        and (not wanted.number or wanted.number in sides[wanted.role])
    )


def sort_value(seen: Seen, key: str) -> int | str:
    it = seen.verdict
    values = {
        "action": ACTIONS.index(it.action),
        "code": it.code,
        "rule": rule_name(it, it.rule),
        "trunk": it.trunk,
        "area": seen.area,
    }
    return values[key]


def compare(index: VerdictIndex, data: Path, wanted: Filters) -> None:
    verdicts, outcomes = scan(data)
    fitting = [seen for seen in verdicts if fits(seen, wanted)]
    newest_first = fitting[::-1]
    newest = [seen.verdict.seq for seen in newest_first]
    assert index.page(wanted, limit=1000) == (newest, len(newest), False)
    assert index.page(wanted, limit=3, offset=2) == (newest[2:5], len(newest), len(newest) > 5)
    assert index.page(wanted, limit=1000, descending=False).seqs == newest[::-1]
    assert index.count(wanted) == len(newest)
    for key in ("action", "code", "rule", "trunk", "area"):
        by_key = sorted(newest_first, key=lambda seen, key=key: sort_value(seen, key))  # type: ignore[misc]
        asked = index.page(wanted, sort=key, descending=False, offset=1, limit=4)  # type: ignore[arg-type]
        assert asked.seqs == [seen.verdict.seq for seen in by_key][1:5]
        assert asked.total == len(newest)
    for call_id in CALLS:
        same = [seen.verdict.seq for seen in reversed(verdicts) if seen.verdict.call_id == call_id]
        assert index.by_call_id(call_id) == same
        ended = [it.seq for it in reversed(outcomes) if it.call_id == call_id]
        assert index.outcomes_by_call_id(call_id) == ended
    for key in KEYS:
        ended = [it.seq for it in reversed(outcomes) if key in {it.caller_key, it.callee_key}]
        told = index.columns_of_number(key, ("seq", "kind"))
        assert told["seq"][told["kind"] == KIND_OUTCOME][::-1].tolist() == ended
    read = index.read([seen.verdict.seq for seen in verdicts])
    assert [decode(row.seq, row.body, lambda _digest, _rule: 0) for row in read] == [seen.verdict for seen in verdicts]


def compare_all(index: VerdictIndex, data: Path, wanted: list[Filters]) -> None:
    for one in wanted:
        compare(index, data, one)


def harm(path: Path, offset: float, bit: int) -> None:
    content = bytearray(path.read_bytes())
    if content:
        content[int(offset * len(content))] ^= 1 << bit
        fresh = path.with_suffix(".harmed")
        fresh.write_bytes(content)
        fresh.replace(path)


def take(journal: FileJournal, data: Path, step: str, what: object, at: int) -> None:
    """Do one step to the files."""
    if step == "append":
        records = [encode_record(kind, body) for kind, body in what]  # type: ignore[attr-defined]
        journal.append_records(b"".join(records), len(records), at)
        return
    if step == "retain":
        for segment in sorted((data / "journal").glob("*.seg"))[:-1][: int(what)]:  # type: ignore[call-overload]
            segment.unlink()
        return
    which, offset, bit = what  # type: ignore[misc]
    files = sorted((data / "journal").glob("*.seg"))[:-1]
    if step != "harm segment":
        files = sorted((data / "index").glob("*.idx"))
    if not files:
        return
    path = files[int(which * len(files))]
    if step == "cut sidecar":
        path.write_bytes(path.read_bytes()[: int(offset * path.stat().st_size)])
    else:
        harm(path, offset, bit)


@settings(max_examples=100, deadline=None)
@given(
    begun=st.lists(frames, min_size=2, max_size=10),
    steps=steps,
    wanted=st.lists(filters, min_size=1, max_size=4),
    segment_bytes=st.integers(200, 2000),
)
def test_the_index_answers_as_a_linear_scan_does(
    begun: list[list[tuple[int, bytes]]], steps: list[tuple[str, object]], wanted: list[Filters], segment_bytes: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        data = Path(name)
        journal = FileJournal(data / "journal", segment_bytes=segment_bytes, writable=True)
        journal.open()
        index = VerdictIndex(data)
        for at, (step, what) in enumerate([*(("append", frame) for frame in begun), *steps]):
            if step == "look":
                compare_all(index, data, wanted)
            elif step == "build":
                VerdictIndex(data).build()
            else:
                take(journal, data, step, what, at)
                if step == "harm segment":
                    # What is changed behind its back, a running reader cannot know; a new one must.
                    for path in (data / "index").glob("*.idx"):
                        path.unlink()
                if step.startswith(("harm", "cut")):
                    index = VerdictIndex(data)
        journal.close()
        compare_all(index, data, wanted)
        compare_all(VerdictIndex(data), data, wanted)
