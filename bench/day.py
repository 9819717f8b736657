"""A busy day on record: ten million verdicts, more or less, as a screening process would have kept them."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hutong.calls.features import SHIPPED_RULES, VOCABULARY
from hutong.calls.model import ACTIONS, FLAG_NIGHT
from hutong.calls.record import HEAD_WORDS, KIND_VERDICT
from hutong.kernel.journal import FileJournal
from hutong.kernel.numbering import AREAS, pack_key, trunk_key
from hutong.kernel.rules.loader import load_ruleset

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from hutong.kernel.rules.ruleset import Ruleset

_FRAME = 256
_FRAMES = 128  # written in one go
_ROUND = _FRAME * _FRAMES
END_MS = 1_772_416_800_000
TRUNKS = ("intl-1", "intl-2", "unicom-sh", "mobile-sh", "telecom-gd", "bank-pbx", "unlisted")
SPAN_MS = 24 * 3600 * 1000
_CALL_ID = 34
_DIGITS = 11
_MOBILE = 138_00000000
CENTRES = 16  # numbers that make a twenty-fifth of all calls: 25,000 each of ten million
RESTLESS = 2_000  # numbers that make a fifth of all calls
OTHERS = 20_000_000  # numbers that are called


def mobile_key(number: int) -> int:
    """Number key of the day's subscriber `number`: first the centres, then the restless, then the others."""
    return int(pack_key(0, _DIGITS + 2, 1)) + 86 * 10**_DIGITS + _MOBILE + number


class _Template(NamedTuple):
    """One frame of records: its bytes, and where each record's parts lie, in bytes."""

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]


def _record(ruleset: Ruleset, fired: list[int], action: str, trunk: str) -> bytes:
    """A record with everything in place but what is filled in for each call."""
    strongest = fired[0] if fired and action in {"warn", "block"} else 0xFFFF
    texts = [bytes(_CALL_ID), bytes(_DIGITS), bytes(_DIGITS), b"", b"", trunk.encode()]
    digest = int(ruleset.digest[:16], 16)
    signed_digest = digest - 2**64 if digest >= 2**63 else digest
    code = 608 if action == "block" else 302
    head = struct.pack(
        "<IHHqqqqqqqqqHBBHHHHHHHHHH",
        *(0, KIND_VERDICT, 0),
        *(0, 0, 0, trunk_key(trunk), 0, 0, signed_digest, 0, 0xFFFF_C000_0241),
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
        records.append(_record(ruleset, fired, action, TRUNKS[random.integers(0, len(TRUNKS))]))
    sizes = np.array([len(record) for record in records])
    return _Template(np.frombuffer(b"".join(records), np.uint8).copy(), np.cumsum(sizes) - sizes)


def whole(verdicts: int) -> int:
    """How many verdicts are written where so many are asked for: the last round is a whole one."""
    return -(-verdicts // _ROUND) * _ROUND


def write_verdicts(data: Path, verdicts: int, end_ms: int = END_MS, *, seed: int = 7) -> int:
    """Fill DATA/journal with made-up verdicts of the day before `end_ms`; gives the seconds it took, rounded."""
    begun = time.monotonic()
    verdicts = whole(verdicts)
    random = np.random.default_rng(seed)
    ruleset = load_ruleset([SHIPPED_RULES], VOCABULARY)
    ruleset.save(data / "rulesets")
    templates = [_template(ruleset, random) for _ in range(8)]
    journal = FileJournal(data / "journal", writable=True)
    journal.open()
    for start in range(0, verdicts, _ROUND):
        template = templates[start // _ROUND % len(templates)]
        begin = end_ms - SPAN_MS + start * SPAN_MS // verdicts
        times = begin + np.arange(_ROUND, dtype=np.int64).reshape(_FRAMES, _FRAME) * SPAN_MS // verdicts
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
    drawn = random.random(shape)
    busy = np.where(drawn < 0.04, random.integers(0, CENTRES, shape), random.integers(CENTRES, RESTLESS, shape))
    callers = _MOBILE + np.where(drawn < 0.24, busy, random.integers(0, 10**8, shape))
    callees = _MOBILE + random.integers(0, OTHERS, shape)
    one = mobile_key(-_MOBILE)
    words[:, starts // 8 + 1] = times
    words[:, starts // 8 + 2] = callers + one
    words[:, starts // 8 + 3] = callees + one
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
