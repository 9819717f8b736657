"""The values of call screening: actions, response codes, a call attempt, a verdict. No judgement, no bytes."""

from __future__ import annotations

import msgspec

#: What happens to a call; a position is its code. "observe" marks a rule's stage only: the call passes.
ACTIONS = ("pass", "observe", "warn", "block")
ACTION_PASS, ACTION_OBSERVE, ACTION_WARN, ACTION_BLOCK = range(4)

#: Status codes a verdict can become: redirect, decline (RFC 3261), unwanted (RFC 8197), rejected (RFC 8688).
RESPOND_CODES = (302, 603, 607, 608)
PHRASES = {302: "Moved Temporarily", 603: "Decline", 607: "Unwanted", 608: "Rejected"}
CODE_PASS = 302

#: Facts about a verdict, as bits of its record.
FLAG_FAIL_OPEN = 1
FLAG_EMERGENCY = 2
FLAG_ALLOWED = 4
FLAG_NIGHT = 8
FLAG_CONFLICT = 16
FLAG_DIVERTED = 32
FLAG_ANONYMOUS = 64
FLAG_REFERENCE = 128
#: Seen in mirrored signalling and judged in observe mode: nobody asked, nothing was answered.
FLAG_MIRRORED = 256
#: Two bits beside the flags: how the roaming question was answered, an index into features.ROAMING.
ROAMING_SHIFT, ROAMING_BITS = 9, 3

FLAG_NAMES = {
    FLAG_FAIL_OPEN: "fail-open",
    FLAG_EMERGENCY: "emergency",
    FLAG_ALLOWED: "allowed-by-list",
    FLAG_NIGHT: "night",
    FLAG_CONFLICT: "identity-conflict",
    FLAG_DIVERTED: "diverted",
    FLAG_ANONYMOUS: "anonymous",
    FLAG_REFERENCE: "read-by-full-codec",
    FLAG_MIRRORED: "mirrored",
}


class Verdict(msgspec.Struct, frozen=True):
    """One verdict as it stands in the journal.

    Attributes:
        seq: journal sequence number.
        time_ms: when it was judged, ms since 1970 UTC.
        call_id: the call's SIP Call-ID.
        caller, callee: numbers as they were signalled; `from_` is the From number where PAI disagreed.
        caller_key, callee_key: number keys.
        source: address the call came from; trunk: that trunk's name.
        action: one of ACTIONS; code: SIP status, 0 where nobody was answered; rule: deciding rule index or None. Of a
            mirrored call that passes as all of them do, the rule that would have decided.
        fired: rule indices that fired, with the values they read.
        lists: (caller block, caller allow, callee block, callee allow) entry ids, 0 = none.
        flags: names from FLAG_NAMES.
        roaming: one of features.ROAMING; "not-asked" in records written before this was kept.
        ruleset: digest of the rule set, 16 hexadecimal digits.
    """

    seq: int
    time_ms: int
    call_id: str
    caller: str
    callee: str
    from_: str
    diverter: str
    caller_key: int
    callee_key: int
    source: str
    trunk: str
    trunk_kind: str
    action: str
    code: int
    rule: int | None
    fired: tuple[tuple[int, tuple[float, ...]], ...]
    lists: tuple[int, int, int, int]
    flags: tuple[str, ...]
    ruleset: str
    roaming: str = "not-asked"
