"""Snapshots for tests of the live page: a node whose counters move as told."""

from __future__ import annotations

import msgspec

from hutong.calls.live.figures import (
    AreaCount,
    AskCount,
    LatestVerdict,
    LiveSnapshot,
    MirrorCount,
    RuleCount,
    TrunkCount,
)

SECOND = 1_000_000_000
START = 1_646_000_000 * SECOND

_RULES = (
    ("calls.domestic-caller-from-abroad", "境外来话显示境内号码", "Chinese number shown from abroad", "block"),
    ("calls.callees-in-sequence", "被叫号码连续", "Callees in sequence", "warn"),
    ("calls.night-calls", "夜间高频", "Busy at night", "observe"),
)
# Half of the calls have a known city.
_AREAS = (("010", 4), ("021", 8), ("0755", 16), ("0898", 32), ("0991", 32))


def mirror(**counts: int) -> MirrorCount:
    """Mirrored signalling; none unless told."""
    return MirrorCount(**(dict.fromkeys(MirrorCount.__struct_fields__, 0) | counts))


def verdict(seq: int, **changes: object) -> LatestVerdict:
    """A blocked call."""
    return msgspec.structs.replace(
        LatestVerdict(
            seq=seq,
            time_ms=START // 1_000_000 + seq,
            call_id=f"call-{seq}@gw",
            caller="138****8000",
            callee="021****5678",
            trunk="gw-1",
            action="block",
            code=608,
            rules=["calls.domestic-caller-from-abroad"],
            reason={"zh": "境外来话显示境内号码", "en": "A Chinese number shown from abroad"},
        ),
        **changes,
    )


def snapshot(at_s: int, attempts: int, **changes: object) -> LiveSnapshot:
    """Counters `at_s` seconds after the start: a tenth of the attempts warned, a fifth blocked."""
    blocked, warned = attempts // 5, attempts // 10
    counts = (blocked, warned, attempts // 20)
    return msgspec.structs.replace(
        LiveSnapshot(
            time_ns=START + at_s * SECOND,
            started_ns=START,
            attempts=attempts,
            passed=attempts - blocked - warned,
            warned=warned,
            blocked=blocked,
            observed=counts[2],
            fail_open=0,
            emergency=0,
            retransmits=0,
            malformed=0,
            dropped=0,
            tracked_numbers=attempts,
            capacity_numbers=1_000_000,
            evicted=0,
            list_entries=12,
            rules=[
                RuleCount(id_, {"zh": zh, "en": en}, action, count)
                for (id_, zh, en, action), count in zip(_RULES, counts, strict=True)
            ],
            trunks=[TrunkCount("gw-1", "international", attempts, blocked), TrunkCount("unlisted", "unknown", 0, 0)],
            areas=[AreaCount(area, attempts // part, blocked // part) for area, part in _AREAS if attempts >= part],
            mirror=mirror(),
            ask=AskCount(0, 0, 0),
            latest=[verdict(seq) for seq in range(attempts, max(attempts - 50, 0), -1)],
        ),
        **changes,
    )
