"""A data folder with a busy caller in it, judged by a real engine: what pages and stories are tested with."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from console_pages import NOW
from engines import ABROAD, NEIGHBOUR, Bench, invite, shipped_rules
from hutong.calls.outcomes import note_outcome
from hutong.calls.record import KIND_OUTCOME
from hutong.kernel.journal import FileJournal, encode_record
from hutong.kernel.lists.targets import draft
from hutong.kernel.numbering import trunk_key
from hutong.kernel.windows import WINDOW_FEATURES, find, read_features
from verdict_records import key_of, outcome_body

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SECOND = 1_000_000_000
BUSY = "13800138000"
QUIET = "13900139999"
DIVERTER = "02161239876"
#: A number in a Call-ID and in From: nothing that a stranger writes may show it.
TELLING = "13700137001"


class Judged(NamedTuple):
    """What the engine's windows held of the busy caller at one of its calls."""

    time_s: int
    seq: int
    windows: NDArray[np.float64]


class Filled(NamedTuple):
    """The folder's content: the engine, what it saw, and the last record's number."""

    bench: Bench
    seen: list[Judged]
    last: int


def fill(data: Path, *, calls: int = 120, ends: bool = True, segment_bytes: int = 64 << 10) -> Filled:
    """A caller who dials number after number for two hours, others who do not, a listed caller, ended calls."""
    bench = Bench(data, capacity=500)
    bench.now_ns = (NOW - 2 * 3600) * SECOND
    entry = draft(list="block", target=QUIET, reason=f"reported by {TELLING}", who="tester", source="hotline")
    bench.lists.add([entry], bench.now_ns // SECOND)
    bench.index.refresh()
    bench.engine.use_lists(bench.index.arrays, bench.engine.tables.roaming)
    shipped_rules().save(data / "rulesets")
    journal = FileJournal(data / "journal", segment_bytes=segment_bytes, writable=True)
    journal.open()
    seen: list[Judged] = []
    for at in range(calls):
        bench.now_ns += 7000 // calls * SECOND
        callee = f"139{at // 3:08d}"
        bench(invite(BUSY, callee, call=f"b{at}", source=ABROAD if at % 5 == 0 else NEIGHBOUR))
        _keep(journal, bench)
        # From the table: judgement itself reads only the windows that a rule may still ask for.
        now_s, features = bench.now_ns // SECOND, np.zeros(len(WINDOW_FEATURES))
        read_features(bench.window, find(bench.window, key_of(BUSY)), now_s, features, 0)
        seen.append(Judged(now_s, journal.last_seq, features))
        if at % 4 == 0:
            extra = f"P-Asserted-Identity: <sip:{QUIET}@x>\nDiversion: <sip:{DIVERTER}@x>"
            bench(invite(TELLING, BUSY, call=f"from-{TELLING}-{at}", extra=extra))
            _keep(journal, bench)
        if ends and at % 2 == 0:
            bench.now_ns += SECOND
            _end(journal, bench, callee, seen[-1].seq, at)
    journal.close()
    _write_windows(data, bench)
    return Filled(bench, seen, journal.last_seq)


def _keep(journal: FileJournal, bench: Bench) -> None:
    """Bring what the engine wrote into the journal."""
    for records in bench.records:
        journal.append_records(records, 1, bench.now_ns)
    bench.records.clear()


def _end(journal: FileJournal, bench: Bench, callee: str, verdict: int, at: int) -> None:
    answered = at % 4 == 0
    caller_key, callee_key = key_of(BUSY), key_of(callee)
    facts = {"ring_ms": 4000 + at * 10, "talk_ms": 9000 if answered else 0, "answered": answered}
    note_outcome(
        bench.window,
        caller_key,
        callee_key,
        trunk_key("neighbour"),
        2,
        int(answered),
        facts["ring_ms"],
        facts["talk_ms"],
        bench.now_ns // SECOND,
    )
    body = outcome_body(
        time_ms=bench.now_ns // 1_000_000,
        caller_key=caller_key,
        callee_key=callee_key,
        call_id=f"call-b{at}@192.0.2.99",
        verdict_seq=verdict,
        cause=16 if answered else 0,
        status=0 if answered else 486,
        **facts,  # type: ignore[arg-type]
    )
    journal.append_records(encode_record(KIND_OUTCOME, body), 1, bench.now_ns)


def _write_windows(data: Path, bench: Bench) -> None:
    buffer: object = bench.window.head.base  # type: ignore[attr-defined]
    while getattr(buffer, "base", None) is not None:
        buffer = buffer.base  # type: ignore[attr-defined]
    (data / "windows.bin").write_bytes(buffer)  # type: ignore[arg-type]


def remove_listed(bench: Bench) -> None:
    """Take the listed caller off its list again."""
    for entry in bench.lists.matching(key_of(QUIET)):
        bench.lists.remove(entry, bench.now_ns // SECOND, who="tester", why="mistake")
    bench.index.refresh()
