"""A verdict as an answer to the program that asked.

What it says of rules and reasons is worked out once for each way of judging: calls of one kind come by the thousand.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from hutong.calls import record as rec
from hutong.calls.api.bodies import FiredRule, Screened
from hutong.calls.model import ACTIONS, FLAG_NAMES
from hutong.kernel.reporter import masked

if TYPE_CHECKING:
    from hutong.calls.explain import Verdicts
    from hutong.calls.model import Verdict

_HEADER: Final = 8  # the journal's own, before a record's body
_CELLS: Final = struct.Struct("<HBBHHHH6H")
_AT: Final = 2 * rec.C_CODE
_WAY: Final = slice(8 * rec.W_CALLER_LISTS, 8 * rec.W_SOURCE_HIGH)  # list entries and rule set
_HIGH_FLAGS: Final = 0xFF00
_MOST_WAYS: Final = 20_000


class _Way(NamedTuple):
    """What calls that were judged alike are told alike."""

    reason: dict[str, str]
    rules: list[FiredRule]
    flags: list[str]


class Teller:
    """Tells verdicts. For one thread.

    Args:
        verdicts: explains them.
    """

    def __init__(self, verdicts: Verdicts) -> None:
        self._verdicts = verdicts
        self._ways: dict[bytes, _Way] = {}

    def screened(self, seq: int, record: bytes) -> Screened:
        """The verdict in a journal record (header included)."""
        code, action, low, _rule, fired, _area, kind, *lengths = _CELLS.unpack_from(record, _AT)
        texts = rec.HEAD_WORDS * 8
        end = texts + sum(lengths)
        call_id = record[texts : texts + lengths[0]].decode("utf-8", "replace")
        trunk = record[end - lengths[-1] : end].decode("utf-8", "replace")
        indices = (end + 7) // 8 * 8
        # All that decides what is said: lists, rule set, code to fired rules, flags above the eighth.
        key = record[_WAY] + record[_AT : _AT + 8] + record[_AT + 11 : _AT + 12] + record[indices : indices + 2 * fired]
        way = self._ways.get(key)
        if way is None:
            way = self._work_out(self._verdicts.decoded(seq, memoryview(record)[_HEADER:]), low | (kind & _HIGH_FLAGS))
            if len(self._ways) >= _MOST_WAYS:
                self._ways.clear()
            self._ways[key] = way
        return Screened(
            call_id=call_id,
            seq=seq,
            action=ACTIONS[action],  # type: ignore[arg-type]  # a verdict's action is one of the three
            code=code,
            reason=way.reason,
            rules=way.rules,
            trunk=trunk,
            flags=way.flags,
        )

    def _work_out(self, verdict: Verdict, flags: int) -> _Way:
        story = self._verdicts.explain(verdict)
        names = [name for bit, name in FLAG_NAMES.items() if flags & bit]
        reason = {lang: masked(text) for lang, text in story.reason.items()}
        return _Way(reason, [FiredRule(it.id, it.decided) for it in story.fired], names)
