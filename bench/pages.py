"""The console's questions with ten million verdicts on record: a generator of such a record, and what answers take.

.venv/bin/python -m bench.pages [VERDICTS] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import struct
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench import tables
from hutong.calls.features import SHIPPED_RULES, VOCABULARY
from hutong.calls.index import Filters, VerdictIndex
from hutong.calls.model import ACTIONS, FLAG_NIGHT
from hutong.calls.record import HEAD_WORDS, KIND_VERDICT
from hutong.kernel.journal import FileJournal
from hutong.kernel.numbering import AREAS, pack_key, trunk_key
from hutong.kernel.rules import load_ruleset

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hutong.kernel.rules import Ruleset

VERDICTS = 10_000_000
_FRAME = 256
_FRAMES = 128  # written in one go
_TRUNKS = ("intl-1", "intl-2", "unicom-sh", "mobile-sh", "telecom-gd", "bank-pbx", "unlisted")
_END_MS = 1_772_416_800_000
_SPAN_MS = 24 * 3600 * 1000
_CALL_ID = 34
_DIGITS = 11
_MOBILE = 138_00000000
_RESTLESS = 2_000  # numbers that make a fifth of all calls


class _Template(NamedTuple):
    """One frame of records: its bytes, and where each record's parts lie, in bytes."""

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]


def _record(ruleset: Ruleset, fired: list[int], action: str) -> bytes:
    """A record with everything in place but what is filled in for each call."""
    strongest = fired[0] if fired and action in {"warn", "block"} else 0xFFFF
    trunk = b"mobile-sh"
    texts = [bytes(_CALL_ID), bytes(_DIGITS), bytes(_DIGITS), b"", b"", trunk]
    digest = int(ruleset.digest[:16], 16)
    signed_digest = digest - 2**64 if digest >= 2**63 else digest
    code = 608 if action == "block" else 302
    head = struct.pack(
        "<IHHqqqqqqqqqHBBHHHHHHHHHH",
        *(0, KIND_VERDICT, 0),
        *(0, 0, 0, trunk_key("mobile-sh"), 0, 0, signed_digest, 0, 0xFFFF_C000_0241),
        *(code, ACTIONS.index(action), 0, strongest, len(fired), 0, 2),
        *map(len, texts),
    )
    body = head + b"".join(texts)
    body += bytes(-len(body) % 8)
    if fired:
        body += struct.pack(f"<{len(fired)}H", *fired)
        body += bytes(-len(body) % 8)
        body += b"".join(struct.pack("<d", 12.0) for rule in fired for _ in ruleset.features_of(rule))
    return struct.pack("<I", len(body)) + body[4:]


def _template(ruleset: Ruleset, random: np.random.Generator) -> _Template:
    """Of 100 calls about 4 are blocked, 3 warned about, 8 observed."""
    records = []
    rules = len(ruleset.rules)
    for draw in random.random(_FRAME):
        action = "block" if draw < 0.04 else "warn" if draw < 0.07 else "pass"
        drawn = random.integers(0, rules, 1 + int(draw * 100) % 2) if draw < 0.15 else ()
        fired = sorted({int(rule) for rule in drawn})
        records.append(_record(ruleset, fired, action))
    sizes = np.array([len(record) for record in records])
    return _Template(np.frombuffer(b"".join(records), np.uint8).copy(), np.cumsum(sizes) - sizes)


def write_verdicts(data: Path, verdicts: int, *, seed: int = 7) -> int:
    """Fill DATA/journal with made-up verdicts of one day; gives the seconds it took, rounded."""
    begun = time.monotonic()
    random = np.random.default_rng(seed)
    ruleset = load_ruleset([SHIPPED_RULES], VOCABULARY)
    ruleset.save(data / "rulesets")
    templates = [_template(ruleset, random) for _ in range(8)]
    journal = FileJournal(data / "journal", writable=True)
    journal.open()
    per_round = _FRAMES * _FRAME
    for start in range(0, verdicts, per_round):
        template = templates[start // per_round % len(templates)]
        begin = _END_MS - _SPAN_MS + start * _SPAN_MS // verdicts
        times = begin + np.arange(per_round, dtype=np.int64).reshape(_FRAMES, _FRAME) * _SPAN_MS // verdicts
        for number, payload in enumerate(_filled(template, times, random)):
            wall = int(times[number, -1]) * 1_000_000
            journal.append_records(payload.data, _FRAME, wall)
    journal.close()
    return round(time.monotonic() - begun)


def _filled(template: _Template, times: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.uint8]:
    data = np.broadcast_to(template.data, (_FRAMES, template.data.size)).copy()
    words = data.view(np.int64)
    cells = data.view(np.uint16)
    starts, shape = template.starts, times.shape
    restless = random.random(shape) < 0.2
    callers = _MOBILE + np.where(restless, random.integers(0, _RESTLESS, shape), random.integers(0, 10**8, shape))
    callees = _MOBILE + random.integers(0, 2 * 10**7, shape)
    one = int(pack_key(0, _DIGITS + 2, 1)) + 86 * 10**_DIGITS
    words[:, starts // 8 + 1] = times
    words[:, starts // 8 + 2] = callers + one
    words[:, starts // 8 + 3] = callees + one
    kept = np.array([trunk_key(name) for name in _TRUNKS])
    words[:, starts // 8 + 4] = kept[random.integers(0, len(_TRUNKS), shape)]
    cells[:, starts // 2 + 44] = random.integers(1, len(AREAS), shape)
    night = (times // 3_600_000 + 8) % 24
    actions = cells[:, starts // 2 + 41]
    cells[:, starts // 2 + 41] = actions | np.where((night >= 22) | (night < 8), FLAG_NIGHT << 8, 0).astype(np.uint16)
    texts = starts + HEAD_WORDS * 8
    _digits(data, texts + _CALL_ID, callers)
    _digits(data, texts + _CALL_ID + _DIGITS, callees)
    letters = np.frombuffer(b"0123456789abcdef", np.uint8)
    for at in range(_CALL_ID):
        data[:, texts + at] = letters[random.integers(0, 16, shape)]
    return data


def _digits(data: NDArray[np.uint8], at: NDArray[np.int64], numbers: NDArray[np.int64]) -> None:
    rest = numbers.copy()
    for place in range(_DIGITS - 1, -1, -1):
        data[:, at + place] = 48 + rest % 10
        rest //= 10


def questions(index: VerdictIndex) -> dict[str, Callable[[int], object]]:
    """What pages ask, each varied by a counter so that no answer is a remembered one."""
    base = _END_MS - _SPAN_MS
    rule = load_ruleset([SHIPPED_RULES], VOCABULARY).rules[3].id
    one = int(pack_key(0, _DIGITS + 2, 1)) + 86 * 10**_DIGITS + _MOBILE

    def read(seqs: list[int]) -> object:
        return index.read(seqs)

    return {
        "newest 50": lambda _: read(index.page(Filters()).seqs),
        "page 100,000 of 50": lambda n: read(index.page(Filters(), offset=5_000_000 + n).seqs),
        "blocked, any one hour": lambda n: read(
            index.page(Filters(action="block", since_ms=base + n * 40_000, until_ms=base + n * 40_000 + 3_600_000)).seqs
        ),
        "blocked since a moment, counted": lambda n: read(index.page(Filters(action="block", since_ms=base + n)).seqs),
        "one rule fired, since a moment": lambda n: read(index.page(Filters(rule=rule, since_ms=base + n)).seqs),
        "trunk, area, night, since a moment": lambda n: read(
            index.page(Filters(trunk="intl-1", areas=(1 + n % 300,), flags=FLAG_NIGHT, since_ms=base + n)).seqs
        ),
        "sorted by trunk, since a moment": lambda n: read(
            index.page(Filters(since_ms=base + n), sort="trunk", offset=1_000_000).seqs
        ),
        "sorted by rule, blocked": lambda n: read(
            index.page(Filters(action="block", since_ms=base + n), sort="rule").seqs
        ),
        "an ordinary number": lambda n: read(index.by_number(one + 5_000_000 + n, limit=50)),
        "a restless number": lambda n: read(index.by_number(one + n % _RESTLESS, limit=50)),
        "a restless number's columns": lambda n: index.columns_of_number(
            one + n % _RESTLESS, ("time", "caller", "callee", "area", "flags")
        ),
        "a Call-ID that is not there": lambda n: index.by_call_id(f"{n:034x}"),
    }


def measure(index: VerdictIndex, rounds: int) -> list[list[str]]:
    """A row for each question: median, 95th percentile and worst, in ms."""
    rows = []
    for name, ask in questions(index).items():
        taken = []
        for n in range(rounds):
            begun = time.perf_counter()
            ask(n)
            taken.append((time.perf_counter() - begun) * 1000)
        half, most, worst = np.percentile(taken, [50, 95, 100])
        rows.append([name, f"{half:.1f}", f"{most:.1f}", f"{worst:.1f}"])
    return rows


def _own_memory_mb() -> int:
    status = Path("/proc/self/status").read_text("ascii")
    return next(int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("RssAnon"))


def main() -> None:
    """Write the record, build the index, ask."""
    parser = argparse.ArgumentParser(prog="bench.pages", description=__doc__)
    parser.add_argument("verdicts", nargs="?", type=int, default=VERDICTS)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--keep", type=Path, help="use this data folder, and write to it only if it has no journal")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hutong-bench-") as name:
        data = arguments.keep or Path(name)
        data.mkdir(parents=True, exist_ok=True)
        if not (data / "journal").exists():
            seconds = write_verdicts(data, arguments.verdicts)
            print(f"{arguments.verdicts:,} verdicts written in {seconds} s", flush=True)
        begun = time.perf_counter()
        built = VerdictIndex(data).build()
        print(f"{built} sidecars in {time.perf_counter() - begun:.1f} s", flush=True)
        index = VerdictIndex(data)
        begun = time.perf_counter()
        rows = index.refresh()
        print(f"{rows:,} rows opened in {(time.perf_counter() - begun) * 1000:.0f} ms", flush=True)
        print(tables.table(["question", "median ms", "95 % ms", "worst ms"], measure(index, arguments.rounds)))
        print(f"memory of its own {_own_memory_mb()} MiB, beside what is mapped")


if __name__ == "__main__":
    main()
