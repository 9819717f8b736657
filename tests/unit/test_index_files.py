"""The index of verdicts: its files whole or absent, readers beside writer, builder and retention, rules by name."""

from __future__ import annotations

import random
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import pytest

from hutong.calls.features import SHIPPED_RULES, VOCABULARY
from hutong.calls.index import Filters, VerdictIndex
from hutong.calls.index.sidecar import SidecarError, SidecarPart
from hutong.calls.record import KIND_OUTCOME, KIND_VERDICT
from hutong.kernel.journal import FileJournal
from hutong.kernel.rules.loader import load_ruleset
from verdict_records import NOON_MS, key_of, outcome_body, verdict_body, write_journal

if TYPE_CHECKING:
    from collections.abc import Callable

VICTIM = Path(__file__).with_name("index_victim.py")


def some_verdicts(count: int, **fields: object) -> list[list[tuple[int, bytes]]]:
    return [
        [(KIND_VERDICT, verdict_body(time_ms=NOON_MS + at * 1000, call_id=f"call-{at}", area=at % 7, **fields))]  # type: ignore[arg-type]
        for at in range(count)
    ]


def sidecars(data: Path) -> list[Path]:
    return sorted((data / "index").glob("*.idx"))


def test_an_empty_data_folder_has_no_verdicts(tmp_path: Path) -> None:
    index = VerdictIndex(tmp_path)
    assert index.page(Filters()) == ([], 0, False)
    assert index.by_call_id("x") == []
    assert index.read([1, 2]) == []
    assert index.build() == 0
    assert not (tmp_path / "index").exists()


def test_closed_segments_get_files_and_the_open_one_is_followed(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "journal", segment_bytes=900, writable=True)
    journal.open()
    index = VerdictIndex(tmp_path)
    for at in range(20):
        body = verdict_body(time_ms=NOON_MS + at, call_id=f"call-{at}")
        journal.append(KIND_VERDICT, [body], NOON_MS * 1_000_000)
        assert index.page(Filters(), limit=3).seqs == list(range(at + 1, max(at - 2, 0), -1))
    segments = sorted((tmp_path / "journal").glob("*.seg"))
    assert [path.stem for path in sidecars(tmp_path)] == [path.stem for path in segments[:-1]]
    assert VerdictIndex(tmp_path).build() == 0  # a reader that found none made them
    journal.close()


def test_files_go_with_their_segments_and_drafts_with_their_makers(tmp_path: Path) -> None:
    write_journal(tmp_path, some_verdicts(30), segment_bytes=1000)
    index = VerdictIndex(tmp_path)
    index.build()
    gone = sorted((tmp_path / "journal").glob("*.seg"))[:2]
    for path in gone:
        path.unlink()
    dead, alive = (tmp_path / "index" / f".x.idx.{pid}.1" for pid in ("4194999", str(threading.get_native_id())))
    dead.write_bytes(b"")
    alive.write_bytes(b"")
    assert index.build() == 3
    assert not {path.stem for path in gone} & {path.stem for path in sidecars(tmp_path)}
    assert not dead.exists()
    assert alive.exists()


def test_a_file_with_another_head_is_no_file(tmp_path: Path) -> None:
    write_journal(tmp_path, some_verdicts(30), segment_bytes=1000)
    VerdictIndex(tmp_path).build()
    path = sidecars(tmp_path)[0]
    magic, version, length, _ = struct.unpack_from("<4sIII", path.read_bytes())
    head = b'{"another":"form"}'.ljust(length)
    path.write_bytes(
        struct.pack("<4sIII", magic, version, length, crc32(head)) + head + path.read_bytes()[16 + length :]
    )
    with pytest.raises(SidecarError):
        SidecarPart(path)
    assert VerdictIndex(tmp_path).page(Filters(), limit=99).seqs == list(range(30, 0, -1))


@pytest.mark.parametrize("size", [0, 3, 16, 200, 900])
def test_a_cut_file_is_no_file(tmp_path: Path, size: int) -> None:
    write_journal(tmp_path, some_verdicts(30), segment_bytes=1000)
    VerdictIndex(tmp_path).build()
    path = sidecars(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(SidecarError):
        SidecarPart(path)
    assert VerdictIndex(tmp_path).page(Filters(), limit=99).seqs == list(range(30, 0, -1))
    SidecarPart(path).check()


def test_a_column_that_rots_is_noticed_when_it_is_read_and_the_file_made_again(tmp_path: Path) -> None:
    write_journal(tmp_path, some_verdicts(30), segment_bytes=1000)
    index = VerdictIndex(tmp_path)
    index.build()
    path = sidecars(tmp_path)[1]
    content = path.read_bytes()
    key = key_of("13900139000")
    rotten = bytearray(content)
    rotten[content.index(key.to_bytes(8, "little"))] ^= 1
    path.write_bytes(rotten)
    assert VerdictIndex(tmp_path).by_number(key, limit=99) == list(range(30, 0, -1))
    assert path.read_bytes() == content


def test_a_file_of_another_segment_or_version_does_not_count(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    write_journal(one, some_verdicts(30), segment_bytes=1000)
    write_journal(other, some_verdicts(30), segment_bytes=1000)
    VerdictIndex(one).build()
    VerdictIndex(other).build()
    path, strange = sidecars(one)[0], sidecars(other)[0]
    path.write_bytes(strange.read_bytes())  # the same name and rows, another salt: its Call-IDs hash differently
    assert VerdictIndex(one).by_call_id("call-0") == [1]
    old = bytearray(path.read_bytes())
    old[4] ^= 0xFF
    path.write_bytes(old)
    assert VerdictIndex(one).by_call_id("call-0") == [1]


def test_without_the_right_to_write_it_answers_from_memory(tmp_path: Path) -> None:
    write_journal(tmp_path, some_verdicts(30), segment_bytes=1000)
    (tmp_path / "index").write_bytes(b"in the way")
    index = VerdictIndex(tmp_path)
    assert index.page(Filters(areas=(3,)), limit=99).total == len(range(3, 30, 7))
    assert index.by_call_id("call-7") == [8]


def test_a_segment_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    write_journal(tmp_path, some_verdicts(3))
    index = VerdictIndex(tmp_path)
    assert index.count(Filters()) == 3
    (segment,) = (tmp_path / "journal").glob("*.seg")
    segment.rename(tmp_path / "away")
    write_journal(tmp_path, some_verdicts(5))
    assert index.count(Filters()) == 5
    assert index.by_call_id("call-4") == [5]


def test_rules_are_found_by_id_over_sets_that_number_them_differently(tmp_path: Path) -> None:
    ruleset = load_ruleset([SHIPPED_RULES], VOCABULARY)
    other = load_ruleset(
        [next(path for path in sorted(SHIPPED_RULES.rglob("*.yaml")) if "calls.many-callees" in path.read_text())],
        VOCABULARY,
    )
    digests = []
    for one in (ruleset, other):
        one.save(tmp_path / "rulesets")
        digest = int(one.digest[:16], 16)
        digests.append(digest - 2**64 if digest >= 2**63 else digest)
    name = other.rules[0].id
    at = ruleset.index(name)
    assert at is not None
    frames = [
        [(KIND_VERDICT, verdict_body(digest=digests[0], rule=at, action="warn", fired=[(at, ()), (at + 1, ())]))],
        [(KIND_VERDICT, verdict_body(digest=digests[1], rule=0, action="block", fired=[(0, ())]))],
        [(KIND_VERDICT, verdict_body(digest=digests[0], fired=[(at + 1, ())]))],
    ]
    write_journal(tmp_path, frames)
    index = VerdictIndex(tmp_path)
    assert index.page(Filters(rule=name)).seqs == [2, 1]
    assert index.page(Filters(decided=name, action="warn")).seqs == [1]
    assert index.groups(Filters(), "rule") == {name: 2, "": 1}
    assert index.rules_of_number(key_of("13800138000")) == {name: 2, ruleset.rules[at + 1].id: 2}
    assert index.rule_titles()[name]["en"]


def test_columns_of_a_number_hold_its_outcomes_times(tmp_path: Path) -> None:
    one, other = key_of("13800138000"), key_of("13900139000")
    ended = outcome_body(caller_key=one, callee_key=other, ring_ms=4000, talk_ms=9000, answered=True)
    write_journal(tmp_path, [[(KIND_VERDICT, verdict_body()), (KIND_OUTCOME, ended), (KIND_VERDICT, verdict_body())]])
    found = VerdictIndex(tmp_path).columns_of_number(other, ("seq", "kind", "ring", "talk", "answered", "phase"))
    assert found["seq"].tolist() == [1, 2, 3]
    assert found["ring"].tolist() == [0, 4000, 0]
    assert found["talk"].tolist() == [0, 9000, 0]
    assert found["answered"].tolist() == [0, 1, 0]
    assert found["phase"].tolist() == [0, 2, 0]


def test_readers_survive_writer_builder_and_retention(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "journal", segment_bytes=3000, writable=True)
    journal.open()
    index, done, failures = VerdictIndex(tmp_path), threading.Event(), []

    def read() -> None:
        seqs = index.page(Filters(areas=(2,)), limit=20).seqs
        assert seqs == sorted(seqs, reverse=True)
        assert all(row.seq in seqs for row in index.read(seqs))
        index.groups(Filters(), "trunk")
        index.by_call_id("call-5")

    def over_and_over(work: Callable[[], object]) -> None:
        while not done.is_set():
            try:
                work()
            except BaseException as error:  # noqa: BLE001  # a thread's failure is the test's
                failures.append(error)
                return

    works = (read, read, lambda: VerdictIndex(tmp_path).build())
    threads = [threading.Thread(target=over_and_over, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for at in range(1500):
        body = verdict_body(time_ms=NOON_MS + at, call_id=f"call-{at % 50}", area=at % 5)
        journal.append(KIND_VERDICT, [body], at * 1_000_000)
        if at % 40 == 0:
            journal.retain(300 * 1_000_000, at * 1_000_000)
    done.set()
    for thread in threads:
        thread.join()
    journal.close()
    assert not failures
    oldest = next(FileJournal(tmp_path / "journal").read(1)).seq
    assert index.page(Filters(), limit=5000).seqs == list(range(1500, oldest - 1, -1))


def test_a_builder_may_be_killed_at_any_moment(tmp_path: Path) -> None:
    write_journal(tmp_path, some_verdicts(300), segment_bytes=8000)
    moments = random.Random(4)
    for _ in range(6):
        with subprocess.Popen([sys.executable, VICTIM, tmp_path], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.read(moments.randrange(1, 60))
            process.send_signal(signal.SIGKILL)
        for path in sidecars(tmp_path):
            SidecarPart(path).check()
        assert VerdictIndex(tmp_path).count(Filters()) == 300
    VerdictIndex(tmp_path).build()
    assert not list((tmp_path / "index").glob(".*"))
