"""The journal's files: one writer, readers elsewhere, crashes, full disks, damage."""

from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hutong.kernel.errors import JournalError
from hutong.kernel.journal import FileJournal
from hutong.kernel.journal.frames import FRAME_HEADER, SEGMENT_HEADER


def written(folder: Path, batches: int = 10, segment_bytes: int = 1 << 20) -> list[Path]:
    journal = FileJournal(folder, segment_bytes=segment_bytes, writable=True)
    journal.open()
    for batch in range(batches):
        journal.append(1, [f"batch {batch} record {i}".encode() for i in range(3)], batch)
    journal.close()
    return sorted(folder.glob("*.seg"))


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


def seqs(journal: FileJournal, *, skip: bool = False) -> list[int]:
    return [r.seq for r in journal.read(1, skip_corrupt=skip)]


def test_a_constructor_touches_nothing(tmp_path: Path) -> None:
    FileJournal(tmp_path / "none", writable=True)
    assert not (tmp_path / "none").exists()


def test_a_second_writer_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    first = FileJournal(tmp_path, writable=True)
    first.open()
    with pytest.raises(JournalError, match=f"Process {os.getpid()} already writes"):
        FileJournal(tmp_path, writable=True).open()
    first.close()
    second = FileJournal(tmp_path, writable=True)
    second.open()
    second.close()


def test_a_reader_may_come_before_the_folder(tmp_path: Path) -> None:
    reader = FileJournal(tmp_path / "later")
    reader.open()
    assert reader.last_seq == 0
    place = reader.follow(1)
    assert list(place.read_new()) == []
    written(tmp_path / "later")
    assert [r.seq for r in place.read_new()] == list(range(1, 31))
    assert reader.last_seq == 30
    with pytest.raises(JournalError):
        reader.append(1, [b"x"], 1)
    reader.close()


def test_bodies_stay_readable_after_close(tmp_path: Path) -> None:
    written(tmp_path, segment_bytes=200)
    reader = FileJournal(tmp_path)
    reader.open()
    bodies = [r.body for r in reader.read(1)]
    reader.close()
    assert bytes(bodies[0]) == b"batch 0 record 0"


@pytest.mark.parametrize("cut", [1, 20, FRAME_HEADER.size + 3])
def test_a_torn_tail_is_cut_before_the_next_append(tmp_path: Path, cut: int) -> None:
    (segment,) = written(tmp_path, batches=2)
    os.truncate(segment, segment.stat().st_size - cut)
    reader = FileJournal(tmp_path)
    assert seqs(reader) == [1, 2, 3]
    writer = FileJournal(tmp_path, writable=True)
    writer.open()
    assert writer.last_seq == 3
    assert writer.append(1, [b"after"], 9) == 4
    assert seqs(reader) == [1, 2, 3, 4]
    writer.close()
    reader.close()


def test_damage_in_an_old_segment_is_named_and_can_be_passed(tmp_path: Path) -> None:
    first, second, *_ = written(tmp_path, segment_bytes=300)
    assert second.stem.lstrip("0") == "7"
    flip(first, SEGMENT_HEADER.size + FRAME_HEADER.size + 12)
    journal = FileJournal(tmp_path)
    with pytest.raises(JournalError, match=rf"{first.name} at byte {SEGMENT_HEADER.size}: .*damaged"):
        seqs(journal)
    assert seqs(journal, skip=True) == list(range(4, 31))
    assert journal.skipped == 3
    assert journal.record(2) is None
    assert journal.record(4) is not None
    assert list(journal.find_last(b"batch 0")) == []
    journal.close()


def test_a_damaged_frame_header_costs_only_its_frame(tmp_path: Path) -> None:
    (segment,) = written(tmp_path)
    size = (segment.stat().st_size - SEGMENT_HEADER.size) // 10
    flip(segment, SEGMENT_HEADER.size + 4 * size + 9)
    journal = FileJournal(tmp_path, writable=True)
    journal.open()
    assert journal.last_seq == 30
    assert seqs(journal, skip=True) == [*range(1, 13), *range(16, 31)]
    assert journal.skipped == 3
    assert journal.append(1, [b"more"], 99) == 31
    journal.close()


def test_a_damaged_segment_header_costs_its_segment(tmp_path: Path) -> None:
    segments = written(tmp_path, segment_bytes=300)
    flip(segments[1], 10)
    journal = FileJournal(tmp_path)
    with pytest.raises(JournalError, match=segments[1].name):
        seqs(journal)
    assert seqs(journal, skip=True) == [*range(1, 7), *range(13, 31)]
    assert journal.skipped == 6
    assert journal.last_seq == 30
    journal.close()


def test_a_writer_refuses_a_newest_segment_without_a_header(tmp_path: Path) -> None:
    segments = written(tmp_path, segment_bytes=300)
    flip(segments[-1], 10)
    journal = FileJournal(tmp_path, writable=True)
    with pytest.raises(JournalError, match="Move the file out"):
        journal.open()
    segments[-1].unlink()
    journal.open()
    assert journal.last_seq == int(segments[-1].stem) - 1
    journal.close()


def test_a_missing_segment_is_damage(tmp_path: Path) -> None:
    segments = written(tmp_path, segment_bytes=300)
    segments[2].unlink()
    journal = FileJournal(tmp_path)
    with pytest.raises(JournalError, match="damaged"):
        seqs(journal)
    assert len(seqs(journal, skip=True)) == 24
    journal.close()


def test_a_body_that_looks_like_a_frame_is_never_taken_for_one(tmp_path: Path) -> None:
    first, *_ = written(tmp_path / "other", batches=1)
    forged = first.read_bytes()[SEGMENT_HEADER.size :]
    journal = FileJournal(tmp_path / "journal", writable=True)
    journal.open()
    journal.append(1, [forged * 3], 1)
    journal.append(1, [b"true"], 2)
    (segment,) = (tmp_path / "journal").glob("*.seg")
    flip(segment, SEGMENT_HEADER.size + 5)
    assert [(r.seq, bytes(r.body)) for r in journal.read(1, skip_corrupt=True)] == [(2, b"true")]
    journal.close()


def test_a_wrongly_framed_batch_is_reported_not_invented(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path, writable=True)
    journal.open()
    journal.append_records(b"\xff" * 40, 2, 1)
    journal.append(1, [b"good"], 2)
    with pytest.raises(JournalError, match="framed wrongly"):
        seqs(journal)
    assert seqs(journal, skip=True) == [3]
    assert journal.record(1) is None
    assert list(journal.find_last(b"\xff\xff")) == []
    journal.close()


def test_segments_also_end_by_age(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path, segment_ns=100, writable=True)
    journal.open()
    for time in (0, 50, 101, 150, 300):
        journal.append(1, [b"x"], time)
    assert [int(p.stem) for p in sorted(tmp_path.glob("*.seg"))] == [1, 3, 5]
    journal.close()


FULL_DISK = """
import resource, sys
from pathlib import Path
from hutong.kernel.errors import JournalError
from hutong.kernel.journal import FileJournal
journal = FileJournal(Path(sys.argv[1]), writable=True)
journal.open()
journal.append(1, [b"a" * 1000], 1)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
for limit in (1500, 2000, 2085):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        journal.append(1, [b"b" * 1000], 2)
    except JournalError as error:
        print("refused", error)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
print("last", journal.append(1, [b"c" * 10], 3))
print("kept", [bytes(r.body)[:1] for r in journal.read(1)])
"""


def test_a_full_disk_keeps_nothing_of_the_batch_and_says_what_to_do(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.count("refused") == 3
    assert "Free space on this disk" in done.stdout
    assert "last 2" in done.stdout
    assert "kept [b'a', b'c']" in done.stdout


CHILD = """
import os, sys
from pathlib import Path
from hutong.kernel.journal import FileJournal
journal = FileJournal(Path(sys.argv[1]), segment_bytes=40_000, writable=True)
journal.open()
out = sys.stdout.fileno()
while True:
    seq = journal.last_seq
    count = seq % 7 + 1
    bodies = [b"%d " % (seq + 1 + i) * (seq % 50 + 1) for i in range(count)]
    os.write(out, b"%d\\n" % journal.append(1, bodies, seq))
"""


def test_no_acknowledged_record_dies_with_its_process(tmp_path: Path) -> None:
    reader = FileJournal(tmp_path)
    acknowledged = 0
    for round_number in range(6):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        heard = b""
        enough = 2_000 + 7_919 * round_number  # bytes of acknowledgements: a different moment each round
        while len(heard) < enough:
            assert select.select([child.stdout], [], [], 30)[0], "the child stopped acknowledging"
            heard += os.read(child.stdout.fileno(), 65_536)
        child.send_signal(signal.SIGKILL)
        heard += child.stdout.read()
        child.wait()
        child.stdout.close()
        acknowledged = int(heard[: heard.rindex(b"\n")].rsplit(b"\n", 1)[-1])
        expected = 1
        for record in reader.read(1):
            assert record.seq == expected
            assert set(bytes(record.body).split()) == {b"%d" % expected}
            expected += 1
        assert expected - 1 >= acknowledged
        assert reader.skipped == 0
    reader.close()
    assert acknowledged > 0


def test_a_disk_that_refuses_to_sync_is_told_and_costs_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = FileJournal(tmp_path, segment_bytes=200, writable=True)
    journal.open()
    for at in range(5):
        journal.append(1, [b"x" * 100], at)

    def held() -> int:
        files = [path.resolve() for path in Path("/proc/self/fd").iterdir()]
        return sum(file.parent == tmp_path and file.suffix == ".seg" for file in files)

    def refuse(_file: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    assert held() == 5
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", refuse)
        for left in (4, 3, 2, 1, 1):
            with pytest.raises(JournalError, match="refuses to keep"):
                journal.sync()
            assert held() == left
    journal.close()
    assert held() == 0
