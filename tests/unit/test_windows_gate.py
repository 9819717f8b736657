"""The gate does what the compiled begin and commit do, to the byte."""

from __future__ import annotations

import pytest

from hutong.kernel import windows

CAPACITY = 16


def _table() -> tuple[bytearray, windows.WindowArrays]:
    buffer = bytearray(windows.size_for(CAPACITY))
    return buffer, windows.format_buffer(buffer, CAPACITY, (3, 5))


def test_a_batch_through_the_gate_leaves_the_same_bytes() -> None:
    mine, table = _table()
    theirs, other = _table()
    gate = windows.BatchGate(table)
    for seq, key in enumerate((11, 12, 11, 13), start=1):
        gate.begin(seq)
        windows.begin(other, seq)
        assert mine == theirs
        for one in (table, other):
            windows.note_inbound(one, windows.touch(one, key, 1_000 + seq), 1_000 + seq)
        gate.commit(seq)
        windows.commit(other, seq)
        assert mine == theirs


def test_a_batch_opened_by_the_gate_can_be_rolled_back() -> None:
    buffer, table = _table()
    gate = windows.BatchGate(table)
    gate.begin(1)
    windows.touch(table, 7, 1_000)
    gate.commit(1)
    gate.begin(2)
    windows.touch(table, 8, 1_001)
    assert windows.recover(table) > 0 or windows.tracked(table) == 1
    assert windows.find(table, 8) == -1
    assert windows.find(table, 7) >= 0
    assert len(buffer) == windows.size_for(CAPACITY)


def test_a_gate_opens_and_closes_in_turn() -> None:
    gate = windows.BatchGate(_table()[1])
    with pytest.raises(RuntimeError, match="no window batch is open"):
        gate.commit(1)
    gate.begin(1)
    with pytest.raises(RuntimeError, match="open already"):
        gate.begin(2)
