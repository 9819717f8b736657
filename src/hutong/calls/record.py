"""The verdict as it stands in the journal: one compiled writer, one reader. Bytes only; meaning is `model.Verdict`.

What became of a call afterwards is a record of another kind, see `outcomes`.

All little-endian, every part padded to 8 bytes:

    word 0      record header of the journal (length, kind)
    words 1-10  time ms, caller key, callee key, trunk key, list entries (caller, callee), rule set digest, source
                address (high, low), then 16-bit cells: code, action | flags << 8, deciding rule, count of fired rules
    words 11-12 16-bit cells: callee area, trunk kind | flags above 128 | roaming << 9, lengths of the texts
    texts       call id, caller, callee, From where it disagrees, diverter, trunk name
    fired       16-bit rule indices, then the 64-bit floats that each of them read, in the rule set's order
"""

from __future__ import annotations

import ipaddress
import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hutong.calls.features import ROAMING
from hutong.calls.model import ACTIONS, FLAG_NAMES, ROAMING_BITS, ROAMING_SHIFT, Verdict
from hutong.calls.trunks import TRUNK_KINDS
from hutong.kernel.compiled import compiled, copy_bytes
from hutong.kernel.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

#: Kind of a verdict record in the journal.
KIND_VERDICT = 1
#: Kind of a record of what became of a call (`outcomes`).
KIND_OUTCOME = 2

W_TIME, W_CALLER, W_CALLEE, W_TRUNK, W_CALLER_LISTS, W_CALLEE_LISTS, W_DIGEST = 1, 2, 3, 4, 5, 6, 7
W_SOURCE_HIGH, W_SOURCE_LOW = 8, 9
C_CODE, C_ACTION, C_RULE, C_FIRED, C_AREA, C_KIND, C_TEXTS = 40, 41, 42, 43, 44, 45, 46
TEXTS = 6
HEAD_WORDS = 13
#: Longest text that is kept, bytes; a longer one is cut.
MAX_TEXT = 2048
#: Upper bound of one record, bytes.
MAX_RECORD = 64 * 1024

_HEAD = struct.Struct("<qqqqqqqqqHBBHHHHHHHHHH")
_LOW, _HIGH = 0xFF, 0xFF00


class RecordBuffer(NamedTuple):
    """One buffer seen as bytes, 16-bit cells, 32-bit cells, words and floats."""

    bytes_: NDArray[np.uint8]
    cells: NDArray[np.uint16]
    halves: NDArray[np.uint32]
    words: NDArray[np.int64]
    floats: NDArray[np.float64]


def new_record_buffer(size: int) -> RecordBuffer:
    """A zeroed buffer of `size` bytes (a multiple of 8)."""
    words = np.zeros(size // 8, dtype=np.int64)
    return RecordBuffer(
        bytes_=words.view(np.uint8),
        cells=words.view(np.uint16),
        halves=words.view(np.uint32),
        words=words,
        floats=words.view(np.float64),
    )


@compiled
def put_text(buffer: RecordBuffer, at: int, data: NDArray[np.uint8], start: int, end: int) -> int:
    """Append data[start:end], cut to MAX_TEXT, at byte `at`; gives the next free byte."""
    return copy_bytes(buffer.bytes_, at, data, start, min(end, start + MAX_TEXT))


@compiled
def pad(buffer: RecordBuffer, at: int) -> int:
    """Zero what lies between byte `at` and the next multiple of 8, and give that: nothing of an earlier call stays."""
    padded = (at + 7) // 8 * 8
    for i in range(at, padded):
        buffer.bytes_[i] = 0
    return padded


@compiled
def finish(buffer: RecordBuffer, start: int, at: int, kind: int) -> int:
    """Pad the record that began at byte `start` and write its header; gives the next free byte (a multiple of 8)."""
    padded = pad(buffer, at)
    buffer.halves[start // 4] = padded - start
    buffer.cells[start // 2 + 2] = kind
    buffer.cells[start // 2 + 3] = 0
    return padded


def decode(seq: int, body: memoryview, reads: Callable[[str, int], int]) -> Verdict:
    """Read a verdict record.

    Args:
        seq: its sequence number.
        body: the record without the journal's 8-byte header.
        reads: how many values a rule of a rule set reads: (digest, rule index) -> count; -1 when the set is not known.

    Raises:
        JournalError: the bytes are no verdict record.
    """
    try:
        return _decode(seq, body, reads)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise JournalError(
            f"record {seq} is no verdict record ({error}).", fix="The journal was written by another version."
        ) from error


def _decode(seq: int, body: memoryview, reads: Callable[[str, int], int]) -> Verdict:
    time_ms, caller, callee, _trunk, caller_lists, callee_lists, digest, high, low, *cells = _HEAD.unpack_from(body)
    code, action, flags, rule, fired_count, _area, kind, *lengths = cells
    flags |= kind & _HIGH
    at = HEAD_WORDS * 8 - 8
    texts = []
    for length in lengths[:TEXTS]:
        texts.append(bytes(body[at : at + length]).decode("utf-8", "replace"))
        at += length
    at = (at + 7) // 8 * 8
    indices = struct.unpack_from(f"<{fired_count}H", body, at)
    at = (at + 2 * fired_count + 7) // 8 * 8
    ruleset = f"{digest & 0xFFFF_FFFF_FFFF_FFFF:016x}"
    fired: list[tuple[int, tuple[float, ...]]] = []
    for index in indices:
        count = reads(ruleset, index)
        fired.append((index, struct.unpack_from(f"<{max(count, 0)}d", body, at)))
        at += 8 * max(count, 0)
    call_id, caller_text, callee_text, from_text, diverter, trunk = texts
    return Verdict(
        seq=seq,
        time_ms=time_ms,
        call_id=call_id,
        caller=caller_text,
        callee=callee_text,
        from_=from_text,
        diverter=diverter,
        caller_key=caller,
        callee_key=callee,
        source=_address(high, low),
        trunk=trunk,
        trunk_kind=TRUNK_KINDS[kind & _LOW],
        action=ACTIONS[action],
        code=code,
        rule=None if rule == 0xFFFF else rule,  # noqa: PLR2004  # answers.NO_RULE, all bits set
        fired=tuple(fired),
        lists=(caller_lists >> 32, caller_lists & 0xFFFFFFFF, callee_lists >> 32, callee_lists & 0xFFFFFFFF),
        flags=tuple(name for bit, name in FLAG_NAMES.items() if flags & bit),
        ruleset=ruleset,
        roaming=ROAMING[flags >> ROAMING_SHIFT & ROAMING_BITS],
    )


def _address(high: int, low: int) -> str:
    value = ((high & 0xFFFF_FFFF_FFFF_FFFF) << 64) | (low & 0xFFFF_FFFF_FFFF_FFFF)
    address = ipaddress.IPv6Address(value)
    return str(address.ipv4_mapped or address)
