"""Verdict and outcome records as the screening process writes them, and journals of them, for tests."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from hutong.calls.features import SHIPPED_RULES, VOCABULARY
from hutong.calls.model import ACTIONS
from hutong.calls.outcomes import PHASES
from hutong.calls.record import KIND_OUTCOME, KIND_VERDICT
from hutong.kernel.journal import FileJournal, encode_record
from hutong.kernel.numbering import Numbering, trunk_key
from hutong.kernel.rules.loader import load_ruleset

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

SECOND = 1_000_000_000
#: 2026-03-02 10:00:00 in Shanghai, ms.
NOON_MS = 1_772_416_800_000
NO_RULE = 0xFFFF

_NUMBERING = Numbering("021")


def key_of(number: str) -> int:
    """The key of a number as written."""
    return _NUMBERING.read(number).key


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


def verdict_body(
    *,
    time_ms: int = NOON_MS,
    caller: str = "13800138000",
    callee: str = "13900139000",
    caller_key: int | None = None,
    callee_key: int | None = None,
    call_id: str = "call-1@192.0.2.1",
    trunk: str = "neighbour",
    kind: int = 2,
    action: str = "pass",
    code: int = 302,
    flags: int = 0,
    rule: int = NO_RULE,
    fired: Sequence[tuple[int, Sequence[float]]] = (),
    area: int = 0,
    digest: int = 0,
    lists: tuple[int, int] = (0, 0),
    from_: str = "",
    diverter: str = "",
) -> bytes:
    """The body of a verdict's record."""
    texts = [text.encode() for text in (call_id, caller, callee, from_, diverter, trunk)]
    head = struct.pack(
        "<qqqqqqqqqHHHHHHHHHHHH",
        time_ms,
        key_of(caller) if caller_key is None else caller_key,
        key_of(callee) if callee_key is None else callee_key,
        trunk_key(trunk),
        *lists,
        digest,
        0,
        0xFFFF_C000_0241,
        code,
        ACTIONS.index(action) | (flags & 0xFF) << 8,
        rule,
        len(fired),
        area,
        kind | (flags & 0xFF00),
        *map(len, texts),
    )
    body = _padded(head + b"".join(texts))
    if fired:
        body = _padded(body + struct.pack(f"<{len(fired)}H", *(index for index, _ in fired)))
        values = [value for _, some in fired for value in some]
        body += struct.pack(f"<{len(values)}d", *values)
    return body


def outcome_body(
    *,
    time_ms: int = NOON_MS,
    caller_key: int,
    callee_key: int,
    phase: str = "ended",
    call_id: str = "call-1@192.0.2.1",
    trunk: str = "neighbour",
    verdict_seq: int = 0,
    ring_ms: int = 0,
    talk_ms: int = 0,
    answered: bool = False,
    status: int = 0,
    cause: int = 0,
) -> bytes:
    """The body of an outcome's record."""
    texts = [call_id.encode(), trunk.encode()]
    head = struct.pack(
        "<qqqqqqqHHHHHHHH",
        time_ms,
        caller_key,
        callee_key,
        trunk_key(trunk),
        verdict_seq,
        ring_ms,
        talk_ms,
        PHASES.index(phase),
        answered,
        status,
        cause,
        *map(len, texts),
        0,
        0,
    )
    return _padded(head + b"".join(texts))


def write_journal(data: Path, frames: Iterable[Sequence[tuple[int, bytes]]], *, segment_bytes: int = 1 << 20) -> int:
    """Append frames of (kind, body) records to DATA/journal; gives the last number."""
    journal = FileJournal(data / "journal", segment_bytes=segment_bytes, writable=True)
    journal.open()
    try:
        for at, frame in enumerate(frames):
            records = [encode_record(kind, body) for kind, body in frame]
            journal.append_records(b"".join(records), len(records), NOON_MS * 1_000_000 + at * SECOND)
        return journal.last_seq
    finally:
        journal.close()


def traffic(data: Path, count: int) -> None:
    """Write a verdict each four seconds; every tenth blocked by a rule, every fifth warned about; some calls end."""
    ruleset = load_ruleset([SHIPPED_RULES], VOCABULARY)
    ruleset.save(data / "rulesets")
    digest = int(ruleset.digest[:16], 16)
    frames = []
    for at in range(count):
        action = "block" if at % 10 == 0 else "warn" if at % 5 == 0 else "pass"
        fired = [(at % 3, ())] if action != "pass" else []
        body = verdict_body(
            time_ms=NOON_MS + at * 4000,
            action=action,
            fired=fired,
            rule=fired[0][0] if fired else 0xFFFF,
            digest=digest - 2**64 if digest >= 2**63 else digest,
            trunk=("one", "two")[at % 2],
            area=at % 5,
            flags=256 if at % 7 == 0 else 0,
        )
        ends = outcome_body(time_ms=NOON_MS + at * 4000, caller_key=key_of("1"), callee_key=key_of("2"))
        frames.append([(KIND_VERDICT, body), *([(KIND_OUTCOME, ends)] if at % 6 == 0 else [])])
    write_journal(data, frames, segment_bytes=5000)
