"""What a backup holds and what it refuses: nothing is put in place that was not verified first."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hutong.app.backup import Backup, BackupNote
from hutong.app.backup_parts import belongs, is_known
from hutong.app.cli import run
from hutong.app.config import load_config
from hutong.app.restore import restore_backup
from hutong.kernel.clock import ManualClock
from hutong.kernel.errors import StateError
from hutong.kernel.journal import FileJournal
from hutong.kernel.lists.store import ListStore
from hutong.kernel.lists.targets import draft
from hutong.kernel.records import Database, RecordsError, database_url
from hutong.kernel.windows.snapshot import HeldLock

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "data-folder-745adff.tar.xz"
NOW_NS = 1_795_300_000 * 1_000_000_000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with records in it."""
    folder = tmp_path / "data"
    with tarfile.open(SAMPLE) as packed:
        packed.extractall(folder, filter="data")
    database = Database(database_url("", folder))
    database.open()
    with database.write() as connection:
        connection.exec_driver_sql("insert into calls_progress (node, seq) values ('n', 66)")
    database.close()
    return folder


def backed_up(data: Path, file: Path) -> BackupNote:
    config = load_config(None, data=data, environ={})
    return Backup(config, ManualClock(NOW_NS), lambda _part, _done, _whole: None, lambda: None).run(str(file))


def restored(file: Path, to: Path) -> None:
    restore_backup(file, to, "", lambda _done: None)


@pytest.fixture
def file(data: Path, tmp_path: Path) -> Path:
    backed_up(data, tmp_path / "a.tar")
    return tmp_path / "a.tar"


def test_a_backup_is_for_its_owner_alone_and_says_what_it_is(data: Path, tmp_path: Path) -> None:
    note = backed_up(data, tmp_path / "a.tar.gz")
    assert (tmp_path / "a.tar.gz").stat().st_mode & 0o777 == 0o600
    with tarfile.open(tmp_path / "a.tar.gz", "r:gz") as tar:
        names = tar.getnames()
        manifest = json.loads(tar.extractfile("manifest.json").read())  # type: ignore[union-attr]
        assert tar.getmember("keys/redress-es256.pem").mode == 0o600
    assert names[-1] == "manifest.json"
    assert {name.partition("/")[0] for name in names} == {
        *("journal", "windows.bin", "lists", "roaming", "records", "rules", "rulesets", "stages.jsonl", "keys"),
        "manifest.json",
    }
    assert (manifest["format"], manifest["first_seq"], manifest["seq"], manifest["windows_seq"]) == (1, 1, 66, 66)
    assert manifest["entries"] == {"lists": 4, "roaming": 1}
    assert manifest["rows"]["calls_progress"] == 1
    assert manifest["made_ms"] == note.time_ms == NOW_NS // 1_000_000
    assert json.loads((data / "run" / "backup.json").read_bytes())["sha256"] == note.sha256
    assert not (data / "run" / "backup").exists()


def test_keys_and_modes_come_back_as_they_were(file: Path, tmp_path: Path, data: Path) -> None:
    restored(file, tmp_path / "new")
    key = tmp_path / "new" / "keys" / "redress-es256.pem"
    assert key.read_bytes() == (data / "keys" / "redress-es256.pem").read_bytes()
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / "records.db").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new" / "windows.bin").stat().st_size == (data / "windows.bin").stat().st_size


def test_a_backup_of_a_restored_folder_holds_the_same_again(file: Path, tmp_path: Path) -> None:
    restored(file, tmp_path / "new")
    backed_up(tmp_path / "new", tmp_path / "b.tar")
    assert members(tmp_path / "b.tar") == members(file)


def members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar if info.name != "manifest.json"}  # type: ignore[union-attr]


def test_to_standard_output_it_is_the_same_file(
    data: Path, file: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run(["backup", "-", "--data", str(data)]) == 0
    (tmp_path / "piped.tar").write_bytes(capfdbinary.readouterr().out)
    assert members(tmp_path / "piped.tar") == members(file)


def assert_refused(file: Path, tmp_path: Path, match: str = "cannot be trusted") -> None:
    to = tmp_path / "refused"
    with pytest.raises(StateError, match=match):
        restored(file, to)
    assert list(to.iterdir()) == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), zipped=st.booleans())
def test_a_bit_that_changed_anywhere_is_noticed_or_changes_nothing(
    file: Path, tmp_path: Path, place: float, bit: int, *, zipped: bool
) -> None:
    content = bytearray(file.read_bytes())
    if zipped:
        content = bytearray(gzip.compress(bytes(content), 1, mtime=0))
    content[int(place * len(content))] ^= 1 << bit
    changed = tmp_path / "changed.tar"
    changed.write_bytes(content)
    to = tmp_path / f"to-{os.urandom(8).hex()}"
    try:
        restored(changed, to)
    except (StateError, RecordsError):  # the latter where the manifest names another table or number of rows
        assert list(to.iterdir()) == []
    else:  # padding, or a part of a header that says nothing about the content
        assert {path.name for path in to.rglob("*")} >= {"windows.bin", "data.mdb", "redress-es256.pem", "records.db"}
        assert (to / "stages.jsonl").read_bytes() == members(file)["stages.jsonl"]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.98])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_file_that_was_cut_short_is_refused(file: Path, tmp_path: Path, share: float, *, zipped: bool) -> None:
    content = gzip.compress(file.read_bytes()) if zipped else file.read_bytes()
    cut = tmp_path / "cut.tar"
    cut.write_bytes(content[: int(share * len(content))])
    assert_refused(cut, tmp_path)


def rewritten(
    file: Path, to: Path, change: Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes] | None]
) -> Path:
    """The same backup with members changed by hand."""
    with tarfile.open(file) as old, tarfile.open(to, "w") as new:
        for info in old:
            changed = change(info, old.extractfile(info).read())  # type: ignore[union-attr]
            if changed is not None:
                changed[0].size = len(changed[1])
                new.addfile(changed[0], io.BytesIO(changed[1]))
    return to


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "/etc/outside",
        "keys/../../outside",
        "hutong.toml",
        "journal/1.seg",
        "windows.bin/x",
        "run/up.lock",
    ],
)
def test_a_member_that_no_backup_has_is_refused(file: Path, tmp_path: Path, name: str) -> None:
    def change(info: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
        if info.name == "stages.jsonl":
            info.name = name
        return info, content

    assert_refused(rewritten(file, tmp_path / "b.tar", change), tmp_path, "which no backup does")
    assert not (tmp_path / "outside").exists()


def test_a_link_in_a_backup_is_refused(file: Path, tmp_path: Path) -> None:
    def change(info: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
        if info.name == "stages.jsonl":
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            return info, b""
        return info, content

    assert_refused(rewritten(file, tmp_path / "b.tar", change), tmp_path, "which no backup does")


def test_a_member_of_holes_is_refused_before_it_fills_the_disk(tmp_path: Path) -> None:
    """A few bytes of a sparse member stand for as many as one likes; backups are written without."""
    hollow = tarfile.TarInfo("rules/hollow.yaml")
    hollow.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.size": str(1 << 40), "GNU.sparse.map": "0,0"}
    with tarfile.open(tmp_path / "hollow.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(hollow)
    with tarfile.open(tmp_path / "hollow.tar") as tar:
        assert [(it.isreg(), it.size) for it in tar] == [(True, 1 << 40)]
    assert_refused(tmp_path / "hollow.tar", tmp_path, "which no backup does")


def test_a_manifest_is_not_read_for_ever(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "long.tar.gz", "w:gz", compresslevel=1) as tar:
        long = tarfile.TarInfo("manifest.json")
        long.size = 65 << 20
        tar.addfile(long, io.BytesIO(bytes(long.size)))
    assert_refused(tmp_path / "long.tar.gz", tmp_path, "its manifest is too long")


@pytest.mark.parametrize("name", ["windows.bin", "records/trail.jsonl", "keys/redress-es256.pem", "manifest.json"])
def test_a_member_that_is_missing_is_noticed(file: Path, tmp_path: Path, name: str) -> None:
    without = rewritten(file, tmp_path / "b.tar", lambda info, content: None if info.name == name else (info, content))
    assert_refused(without, tmp_path)


def manifest_changed(file: Path, to: Path, **values: Any) -> Path:  # noqa: ANN401  # fields of the manifest
    def change(info: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
        if info.name == "manifest.json":
            content = json.dumps(json.loads(content) | values).encode()
        return info, content

    return rewritten(file, to, change)


def test_a_backup_of_a_later_format_names_the_version_that_made_it(file: Path, tmp_path: Path) -> None:
    later = manifest_changed(file, tmp_path / "b.tar", format=2, hutong="9.9")
    assert_refused(later, tmp_path, r"version 9\.9, which is newer")


def test_a_journal_that_ends_elsewhere_is_refused(file: Path, tmp_path: Path) -> None:
    assert_refused(manifest_changed(file, tmp_path / "b.tar", seq=67), tmp_path, "ends at record 66, not 67")


def test_rows_that_are_fewer_than_counted_are_refused(file: Path, tmp_path: Path) -> None:
    with tarfile.open(file) as tar:
        rows = json.loads(tar.extractfile("manifest.json").read())["rows"]  # type: ignore[union-attr]
    changed = manifest_changed(file, tmp_path / "b.tar", rows=rows | {"calls_progress": 2})
    to = tmp_path / "refused"
    with pytest.raises(Exception, match="1 rows of calls_progress are there, 2 were backed up"):
        restored(changed, to)
    assert list(to.iterdir()) == []


def test_a_folder_that_is_not_empty_is_left_alone(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "used"
    to.mkdir()
    (to / "mine").write_text("mine")
    assert run(["restore", str(file), "--data", str(to)]) == 1
    assert "the data folder is not empty" in capsys.readouterr().err
    assert [path.name for path in to.iterdir()] == ["mine"]


def test_what_a_killed_restore_left_makes_room_for_the_next(file: Path, tmp_path: Path) -> None:
    (tmp_path / "new" / "restoring" / "journal").mkdir(parents=True)
    restored(file, tmp_path / "new")
    assert not (tmp_path / "new" / "restoring").exists()
    assert (tmp_path / "new" / "windows.bin").exists()


def test_no_such_backup_and_no_such_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["restore", str(tmp_path / "none.tar"), "--data", str(tmp_path / "new")]) == 1
    assert "there is no such file" in capsys.readouterr().err
    assert run(["backup", str(tmp_path / "b.tar"), "--data", str(tmp_path / "none")]) == 1
    assert "there is no node's data here" in capsys.readouterr().err


def test_an_existing_file_and_a_name_that_says_nothing_are_refused(data: Path, file: Path, tmp_path: Path) -> None:
    with pytest.raises(StateError, match="exists already"):
        backed_up(data, file)
    with pytest.raises(StateError, match=r"ends in \.tar or \.tar\.gz"):
        backed_up(data, tmp_path / "backup.zip")
    with pytest.raises(StateError, match="No such file or directory"):
        backed_up(data, tmp_path / "none" / "b.tar")


def test_a_second_backup_of_the_same_folder_waits_its_turn(data: Path, tmp_path: Path) -> None:
    (data / "run" / "snapshot").mkdir(parents=True)
    lock = HeldLock(data / "run" / "snapshot" / "copier.lock")
    assert lock.take()
    with pytest.raises(StateError, match="another backup is under way"):
        backed_up(data, tmp_path / "b.tar")
    lock.give_back()


def test_windows_that_did_not_outlive_the_machine_are_left_out_and_counted_again(data: Path, tmp_path: Path) -> None:
    with (data / "windows.bin").open("r+b") as windows:
        windows.seek(56)
        windows.write(bytes(24))  # not closed, and of another start of the machine
    backed_up(data, tmp_path / "a.tar")
    assert "windows.bin" not in members(tmp_path / "a.tar")
    restored(tmp_path / "a.tar", tmp_path / "new")
    assert not (tmp_path / "new" / "windows.bin").exists()


def test_a_journal_of_which_everything_is_too_old_keeps_its_count(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "data" / "journal", writable=True)
    journal.open()
    journal.append(1, [b"12345678", b"12345678"], 1_000_000_000)
    assert journal.retain(0, 10**18) == 2
    journal.close()
    backed_up(tmp_path / "data", tmp_path / "a.tar")
    restored(tmp_path / "a.tar", tmp_path / "new")
    again = FileJournal(tmp_path / "new" / "journal", writable=True)
    again.open()
    assert again.last_seq == 2
    again.close()


def test_a_node_that_no_call_came_to_is_backed_up_too(tmp_path: Path) -> None:
    (tmp_path / "data" / "journal").mkdir(parents=True)
    assert backed_up(tmp_path / "data", tmp_path / "a.tar").seq == 0
    restored(tmp_path / "a.tar", tmp_path / "new")
    assert FileJournal(tmp_path / "new" / "journal").last_seq == 0


def test_entries_that_were_removed_stay_readable_by_their_id(data: Path, tmp_path: Path) -> None:
    store = ListStore(data / "lists")
    store.open()
    removed = next(entry for at in range(1, 9) if (entry := store.entry(at)) is not None and entry.removed)
    store.close()
    backed_up(data, tmp_path / "a.tar")
    restored(tmp_path / "a.tar", tmp_path / "new")
    again = ListStore(tmp_path / "new" / "lists")
    again.open()
    assert again.entry(removed.id) == removed
    assert again.add([draft(list="block", target="13700009999", reason="x", who="y")], 1)[0].id > removed.id
    again.close()


def test_what_belongs_into_a_backup_is_told_by_its_name() -> None:
    assert belongs("rules/more/own.yaml")
    assert not belongs("rules/../keys/x")
    assert not belongs("rules/")
    assert is_known("records.db-wal")
    assert not is_known("something-new")
