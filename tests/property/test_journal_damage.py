"""Whatever happens to a journal's files, what is read back was written, under its own number."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from hutong.kernel.errors import JournalError
from hutong.kernel.journal import FileJournal

bodies = st.lists(st.binary(max_size=60), min_size=1, max_size=4)
harm = st.one_of(
    st.tuples(st.just("flip"), st.floats(0, 1, exclude_max=True), st.integers(0, 7)),
    st.tuples(st.just("truncate"), st.floats(0, 1), st.just(0)),
    st.tuples(st.just("junk"), st.binary(min_size=1, max_size=80), st.just(0)),
)
actions = st.lists(st.one_of(bodies, st.just("reopen")), max_size=25)


def apply_harm(folder: Path, kind: str, where: float | bytes, bit: int, which: float) -> None:
    segments = sorted(folder.glob("*.seg"))
    if not segments:
        return
    path = segments[int(which * len(segments))] if kind == "flip" else segments[-1]
    data = bytearray(path.read_bytes())
    if isinstance(where, bytes):
        data += where
    elif kind == "flip":
        if not data:
            return
        data[int(where * len(data))] ^= 1 << bit
    else:
        del data[int(where * len(data)) :]
    path.write_bytes(data)


@settings(max_examples=60, deadline=None)
@given(actions=actions, segment_bytes=st.integers(100, 2000))
def test_appends_and_reopens_lose_nothing(actions: list[list[bytes] | str], segment_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        journal = FileJournal(Path(name), segment_bytes=segment_bytes, writable=True)
        journal.open()
        model: list[bytes] = []
        for action in actions:
            if isinstance(action, str):
                journal.close()
                journal.open()
            else:
                model += action
                assert journal.append(1, action, len(model)) == len(model)
        assert [bytes(r.body) for r in journal.read(1)] == model
        assert journal.last_seq == len(model)
        for seq in range(1, len(model) + 1, 3):
            found = journal.record(seq)
            assert found is not None
            assert bytes(found.body) == model[seq - 1]
        for needle in {body for body in model if body}:
            hits = [seq for seq in range(len(model), 0, -1) if needle in model[seq - 1]]
            assert [r.seq for r in journal.find_last(needle)] == hits
        journal.close()


@settings(max_examples=150, deadline=None)
@given(
    batches=st.lists(bodies, min_size=1, max_size=12),
    harms=st.lists(st.tuples(harm, st.floats(0, 1, exclude_max=True)), min_size=1, max_size=3),
    segment_bytes=st.integers(100, 2000),
)
def test_damage_never_crashes_and_never_invents(
    batches: list[list[bytes]],
    harms: list[tuple[tuple[str, float | bytes, int], float]],
    segment_bytes: int,
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        journal = FileJournal(folder, segment_bytes=segment_bytes, writable=True)
        journal.open()
        model = [body for batch in batches for body in batch]
        for number, batch in enumerate(batches):
            journal.append(1, batch, number)
        journal.close()
        for (kind, where, bit), which in harms:
            apply_harm(folder, kind, where, bit, which)

        reader = FileJournal(folder)
        seen = [(r.seq, bytes(r.body)) for r in reader.read(1, skip_corrupt=True)]
        assert [seq for seq, _ in seen] == sorted({seq for seq, _ in seen})
        assert all(model[seq - 1] == body for seq, body in seen)
        assert len(seen) + reader.skipped <= len(model)
        for needle in {body for body in model if body}:
            assert all(needle in model[r.seq - 1] for r in reader.find_last(needle))
        reader.close()

        writer = FileJournal(folder, segment_bytes=segment_bytes, writable=True)
        try:
            writer.open()
        except JournalError as error:
            assert "Move the file out" in str(error)  # noqa: PT017  # one of two right outcomes
            return
        before = writer.last_seq
        assert writer.append(1, [b"after the damage"], 99) == before + 1
        found = writer.record(before + 1)
        assert found is not None
        assert bytes(found.body) == b"after the damage"
        kept = {r.seq: bytes(r.body) for r in writer.read(1, skip_corrupt=True)}
        assert set(seen) <= set(kept.items())
        writer.close()
