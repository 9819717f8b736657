"""A node is backed up while it screens and restored elsewhere: equal, up to the last verdict that the backup has."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bench.load import Client, Result
from nodes import IPV4, ScreenNode, settings_text, until
from sip_clients import FORGED, UdpPeer, code_of, new_call
from test_survival import Load, assert_kept, assert_windows_equal_the_journal

from e2e.processes import HUTONG, Process, free_port, hutong, running
from hutong.app.backup_parts import is_known
from hutong.calls.explain import Verdicts, tell
from hutong.calls.screening import replay_records
from hutong.kernel import windows
from hutong.kernel.access.people import People
from hutong.kernel.access.trail import Trail
from hutong.kernel.clock import SystemClock
from hutong.kernel.journal import FileJournal
from hutong.kernel.records import Database, database_url
from hutong.kernel.records.tables import metadata
from stages import put_stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hutong.calls.model import Verdict
    from hutong.kernel.journal import Record
    from hutong.kernel.windows import WindowArrays

pytestmark = pytest.mark.enable_socket

RATE = 1_000
MEMORY = 16 << 20
U64 = (1 << 64) - 1


@pytest.fixture
def node(tmp_path: Path) -> ScreenNode:
    return ScreenNode(tmp_path)


def fill_beside_calls(data: Path, *, first: bool = True) -> None:
    """What people keep: list and roaming entries, a stage, an own rule, accounts and a trail."""
    for words in (
        ["lists", "add", "13700001111", "--reason", "reported", "--who", "Wang"],
        ["lists", "add", "0755*", "--list", "allow", "--reason", "a prefix", "--who", "Wang"],
        ["roaming", "add", "13900001234", "--until", "30d", "--who", "hlr"],
    ):
        hutong(*words, "--data", str(data))
    put_stage(data, "calls.many-callees", "block")
    database = Database(database_url("", data))
    database.open()
    now = SystemClock().wall() // 1_000_000
    assert (People(database).first(now) is not None) == first
    for at in range(50):
        Trail(database).record("admin", IPV4, "lists.add", f"entry {at}", after={"at": at}, now_ms=now + at)
    database.close()


@contextmanager
def calls(port: int, seconds: float) -> Iterator[list[Result]]:
    """RATE calls a second, each from a number of its own, for so long; in the end, what came of them."""
    results: list[Result] = []

    def call() -> None:
        results.append(Client(port, first_number=50_000_000, distinct=True).open(seconds, rate=RATE))

    caller = threading.Thread(target=call)
    caller.start()
    try:
        yield results
    finally:
        caller.join()


def test_a_backup_made_at_a_thousand_calls_a_second_is_the_node_as_of_one_verdict(
    node: ScreenNode, tmp_path: Path
) -> None:
    names = ["a.tar", "b.tar.gz"]
    with running(node):
        node.start()
        Client(node.port, distinct=True).closed(2.0, window=64)  # more numbers than there are rows
        fill_beside_calls(node.data)
        with calls(node.port, 9.0) as results:
            node.await_figures(lambda figures: figures.attempts > 1000)
            for name in names:
                hutong("backup", str(tmp_path / name), "--data", str(node.data))
                note = json.loads((node.data / "run" / "backup.json").read_bytes())
                assert note["file"] == str(tmp_path / name)
                assert note["bytes"] == (tmp_path / name).stat().st_size
            seen = node.figures.attempts
        (result,) = results
        figures = node.await_figures(lambda figures: figures.attempts >= seen)
        assert (result.answered, result.lost) == (result.sent, 0)
        assert figures.fail_open == 0
        assert node.terminate() == 0
    assert "Traceback" not in node.read_log()
    for name in names:
        new = tmp_path / f"{name}-restored"
        hutong("restore", str(tmp_path / name), "--data", str(new))
        seq = assert_equal(node.data, new)
        assert_it_screens_on(new, tmp_path / f"{name}-node", seq)


def assert_equal(old: Path, new: Path) -> int:
    """The restored folder is the old one as of its own last record, which is not the old one's last; gives it."""
    seq = assert_the_same_journal(old, new)
    table = recount(new, seq)
    assert windows.evicted(table) > 0
    file = windows.WindowFile(new / "windows.bin", MEMORY)
    file.open()
    assert not file.lost
    assert content(file.arrays) == content(table)
    file.close()
    for words in (["lists", "export", "-"], ["roaming", "show"], ["rules", "list"]):
        assert hutong(*words, "--data", str(new)) == hutong(*words, "--data", str(old))
    assert rows_of(new) == rows_of(old)
    assert (new / "stages.jsonl").read_bytes() == (old / "stages.jsonl").read_bytes()
    then, now = Verdicts(old), Verdicts(new)
    for at in range(1, seq, 997):
        there, here = then.by_seq(at), now.by_seq(at)
        assert there is not None
        assert here is not None
        assert tell(now.explain(here), "zh") == tell(then.explain(there), "zh")
    return seq


def assert_the_same_journal(old: Path, new: Path) -> int:
    kept, restored = FileJournal(old / "journal"), FileJournal(new / "journal")
    seq = restored.last_seq
    assert 1000 < seq < kept.last_seq
    for one, other in zip(kept.read(1), restored.read(1), strict=False):
        assert _bytes(one) == _bytes(other)
    assert sum(1 for _ in restored.read(1)) == seq
    kept.close()
    restored.close()
    return seq


def _bytes(record: Record) -> tuple[object, ...]:
    return (record.seq, record.kind, record.time_ns, bytes(record.body))


def recount(data: Path, seq: int) -> WindowArrays:
    """The table that counting the journal again gives: with the same salts, the same rows in the same places."""
    file = windows.WindowFile(data / "windows.bin", MEMORY)
    file.open()
    head: Any = file.arrays.head
    capacity = windows.capacity_of(file.arrays)
    salts = (int(head.salt_index) & U64, int(head.salt_bins) & U64)
    file.close()
    table = windows.format_buffer(bytearray(windows.size_for(capacity)), capacity, salts)
    journal = FileJournal(data / "journal")
    for frame in journal.read_frames(1):
        words = np.frombuffer(frame.payload, dtype=np.int64)
        replay_records(table, words, words.view(np.uint16), 0)
        table.head.committed = frame.next_seq - 1
    journal.close()
    assert windows.committed_seq(table) == seq
    return table


def content(w: WindowArrays) -> tuple[bytes, bytes, tuple[int, ...]]:
    """All that matters: rows without their undo marks, links, counts."""
    table: Any = w
    rows = np.array(table.rows.base)
    rows["mark"] = 0
    head = table.head
    counts = (head.used, head.newest, head.oldest, head.evicted, head.committed)
    return rows.tobytes(), table.links.base.tobytes(), tuple(int(n) for n in counts)


def rows_of(data: Path) -> dict[str, list[tuple[object, ...]]]:
    database = Database(database_url("", data))
    database.open()
    try:
        with database.read() as connection:
            return {
                table.name: sorted((tuple(row) for row in connection.execute(table.select())), key=repr)
                for table in metadata.sorted_tables
            }
    finally:
        database.close()


def assert_it_screens_on(data: Path, place: Path, seq: int) -> None:
    place.mkdir()
    node = ScreenNode(place)
    data.rename(node.data)
    with running(node), UdpPeer((IPV4, node.port)) as peer:
        node.start()
        assert "counted again" not in node.read_log()
        assert code_of(peer.ask(peer.invite(FORGED, call=new_call()))) == 608
        assert code_of(peer.ask(peer.invite("13700001111", call=new_call()))) == 608
        assert node.terminate() == 0
    newest: list[Verdict] = node.verdicts()[-2:]
    assert [verdict.seq for verdict in newest] == [seq + 1, seq + 2]
    story = Verdicts(node.data).explain(newest[1])
    assert [hit.reason for hit in story.lists] == ["reported"]


def backing_up(node: ScreenNode, file: Path) -> Process:
    return Process("backup", [*HUTONG, "backup", str(file), "--data", str(node.data)], file.parent)


def test_a_backup_that_is_killed_at_any_moment_leaves_the_node_and_the_next_backup_well(
    node: ScreenNode, tmp_path: Path
) -> None:
    rng = random.Random(5)
    file = tmp_path / "a.tar"
    snapshot = node.data / "run" / "snapshot"
    moments = [
        (snapshot / "request.json").exists,
        (snapshot / "put-by.bin").exists,
        (node.data / "run" / "backup" / "windows.bin").exists,
        (tmp_path / "a.tar.partial").exists,
        *(after(rng.random() * 2) for _ in range(3)),
    ]
    with running(node), UdpPeer((IPV4, node.port)) as peer:
        node.start()
        load = Load(peer, rng)
        load.until_answered(500)
        for moment in moments:
            killed = backing_up(node, file)
            killed.launch()
            while not (killed.child.poll() is not None or moment()):
                load.until_answered(1)
            killed.kill()
            load.until_answered(200)
            file.unlink(missing_ok=True)
        until(lambda: not (snapshot / "put-by.bin").exists(), 5, "the node lets go of the snapshot")
        hutong("backup", str(file), "--data", str(node.data))
        load.until_answered(200)
        load.drain()
        assert node.terminate() == 0
    assert "Traceback" not in node.read_log()
    assert_kept(load.answered, node.verdicts())
    assert_windows_equal_the_journal(node.data)
    assert sorted(path.name for path in tmp_path.glob("a.tar*")) == ["a.tar"]
    assert not (node.data / "run" / "backup").exists()
    hutong("restore", str(file), "--data", str(tmp_path / "new"))
    assert_windows_equal_the_journal(tmp_path / "new")


def after(seconds: float) -> Any:  # noqa: ANN401  # a question that may be asked again and again
    at = time.monotonic() + seconds
    return lambda: time.monotonic() >= at


@pytest.mark.parametrize("round_", range(3))
def test_a_node_that_is_killed_while_it_is_backed_up_leaves_a_true_backup_or_none(
    node: ScreenNode, tmp_path: Path, round_: int
) -> None:
    snapshot = node.data / "run" / "snapshot"
    moment = [(snapshot / "request.json").exists, (snapshot / "put-by.bin").exists, after(1.2)][round_]
    file = tmp_path / "a.tar"
    with running(node), UdpPeer((IPV4, node.port)) as peer:
        node.start()
        load = Load(peer, random.Random(round_))
        load.until_answered(500)
        copying = backing_up(node, file)
        with running(copying):
            copying.launch()
            while not (copying.child.poll() is not None or moment()):
                load.until_answered(1)
            node.kill()
            assert copying.finish(60.0) == 0, copying.tail()
        load.drain()
        assert_kept(load.answered, node.verdicts())
        node.start()
        load.until_answered(100)
        load.drain()
        assert node.terminate() == 0
    assert_kept(load.answered, node.verdicts())
    assert_windows_equal_the_journal(node.data)
    hutong("restore", str(file), "--data", str(tmp_path / "new"))
    assert_windows_equal_the_journal(tmp_path / "new")


def test_a_backup_of_a_node_that_is_stopped_by_a_signal_waits_for_nobody(node: ScreenNode, tmp_path: Path) -> None:
    with running(node), UdpPeer((IPV4, node.port)) as peer:
        node.start()
        Load(peer, random.Random(9)).until_answered(100)
        copying = backing_up(node, tmp_path / "a.tar")
        with running(copying):
            copying.launch()
            copying.wait_until((node.data / "run" / "snapshot" / "request.json").exists)
            copying.child.send_signal(signal.SIGINT)
            assert copying.finish(20.0) != 0
        assert not (tmp_path / "a.tar").exists()
        assert not (tmp_path / "a.tar.partial").exists()
        assert node.terminate() == 0


def test_everything_in_a_whole_node_s_data_folder_is_held_or_left_out_for_a_reason(tmp_path: Path) -> None:
    ports = [free_port() for _ in range(4)]
    text = settings_text().replace("[sip]", f'[sip]\nlisten = ["udp:{IPV4}:{ports[0]}"]')
    text += f'\n[serve]\nlisten = "{IPV4}:{ports[1]}"\npublic_listen = "{IPV4}:{ports[2]}"\n'
    text += f'\n[mirror]\nlisten = ["udp:{IPV4}:{ports[3]}"]\n'
    (tmp_path / "hutong.toml").write_text(text, encoding="utf-8")
    data = tmp_path / "data"
    whole = Process("up", [*HUTONG, "up", "--config", str(tmp_path / "hutong.toml"), "--data", str(data)], tmp_path)
    with running(whole), UdpPeer((IPV4, ports[0])) as peer:
        whole.launch()
        whole.wait_until(lambda: b"all processes are ready" in whole.log.read_bytes())
        Load(peer, random.Random(8)).until_answered(50)
        fill_beside_calls(data, first=False)
        unknown = [path.name for path in data.iterdir() if not is_known(path.name)]
        hutong("backup", str(tmp_path / "a.tar"), "--config", str(tmp_path / "hutong.toml"), "--data", str(data))
    assert unknown == []
    hutong("restore", str(tmp_path / "a.tar"), "--data", str(tmp_path / "new"))
    assert_windows_equal_the_journal(tmp_path / "new")
