"""The trail as a log, on each engine: numbers, checkpoints, proofs, and what verifying finds."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from audit_logs import NOW, add_entries, checkpoints_of, tampering, verified
from hutong.app.backup_records import export_records, import_records
from hutong.kernel import records
from hutong.kernel.access.trail import Trail
from hutong.kernel.audit.checkpoints import CHECKPOINTS_FILE, KEY_FILE, gather_marks, trail_key
from hutong.kernel.audit.entry import Entry
from hutong.kernel.audit.log import AuditError, number_rest
from hutong.kernel.audit.notes import NoteError, Signer
from hutong.kernel.audit.proofs import verify_proof
from hutong.kernel.audit.verify import Fault
from hutong.kernel.records import Database
from hutong.kernel.records.tables import audit_checkpoints, audit_leaves, audit_nodes, trail

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.kernel.records import Connection

HERE = Path(__file__).parent
MIGRATIONS = Path(records.__file__).parent / "migrations"


def numbers(database: Database) -> list[tuple[int, int]]:
    """(number, id of the row) of every leaf."""
    with database.read() as connection:
        chosen = sa.select(audit_leaves.c.number, audit_leaves.c.entry).order_by(audit_leaves.c.number)
        return [tuple(row) for row in connection.execute(chosen)]


def ids(database: Database) -> list[int]:
    with database.read() as connection:
        return list(connection.execute(sa.select(trail.c.id).order_by(trail.c.id)).scalars())


def test_numbers_have_no_gaps_whatever_is_undone(database: Database, tmp_path: Path) -> None:
    def fail(inner: Callable[[], None]) -> None:
        with database.write():
            inner()
            raise ZeroDivisionError

    def undone(inner: Callable[[], None]) -> None:
        with pytest.raises(ZeroDivisionError):
            fail(inner)

    add_entries(database, 2)
    undone(lambda: add_entries(database, 3))
    with database.write():
        add_entries(database, 1)
        undone(lambda: add_entries(database, 2))
        add_entries(database, 1)
    assert numbers(database) == list(enumerate(ids(database), 1))
    assert [number for number, _ in numbers(database)] == [1, 2, 3, 4]
    found = verified(database, tmp_path)
    assert (found.fault, found.size, found.compared) == (None, 4, 0)


@pytest.mark.enable_socket
def test_processes_that_add_at_the_same_time_leave_no_gap(records_url: str, database: Database, tmp_path: Path) -> None:
    command = [sys.executable, str(HERE / "trail_appender.py"), records_url]
    adding = [
        subprocess.Popen([*command, name, "40"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in "abcd"
    ]
    for process in adding:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in adding:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in adding:
        process.communicate(timeout=100)
        assert process.returncode == 0
    assert numbers(database) == list(enumerate(ids(database), 1))
    whose = [entry.who for entry in Trail(database).entries()]
    assert {name: whose.count(name) for name in "abcd"} == dict.fromkeys("abcd", 40)
    found = verified(database, tmp_path)
    assert (found.fault, found.size) == (None, 160)


@pytest.mark.enable_socket
def test_writers_that_are_killed_leave_a_log_that_holds(records_url: str, database: Database, tmp_path: Path) -> None:
    kept: list[int] = []
    for _ in range(2):
        command = [sys.executable, str(HERE / "trail_writer.py"), records_url]
        writing = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
        for process in writing:
            assert process.stdout is not None
            kept += [int(process.stdout.readline()) for _ in range(15)]
        checkpoints_of(database, tmp_path).make(NOW)
        for process in writing:
            process.kill()
        for process in writing:
            said, _ = process.communicate(timeout=60)
            kept += [int(line) for line in said.splitlines(keepends=True) if line.endswith("\n")]
    add_entries(database, 1)
    assert set(kept) < set(ids(database))
    assert numbers(database) == list(enumerate(ids(database), 1))
    found = verified(database, tmp_path)
    assert (found.fault, found.size, found.compared) == (None, len(ids(database)), 2)


def test_checkpoints_are_made_as_the_log_grows_and_are_in_the_file_too(database: Database, tmp_path: Path) -> None:
    made = checkpoints_of(database, tmp_path)
    assert made.make(NOW) is None
    notes = []
    for count in (1, 299, 1, 700):
        add_entries(database, count)
        kept = made.make(NOW + count)
        assert kept is not None
        assert made.last() == kept == made.make(NOW + 9), "nothing came since, so nothing is signed"
        notes.append(kept.note)
    file = tmp_path / CHECKPOINTS_FILE
    assert file.read_text() == "".join(notes)
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    found = verified(database, tmp_path, step=100)
    assert (found.fault, found.size, found.compared) == (None, 1001, 4)
    file.write_text("".join(notes[:2]) + notes[2][:50])
    made.make(NOW)
    assert file.read_text() == "".join(notes), "what a crash cut off is written again"
    file.unlink()
    made.make(NOW)
    assert file.read_text() == "".join(notes)


def test_nodes_that_share_records_sign_each_for_themselves(database: Database, tmp_path: Path) -> None:
    keys = []
    for name in "ab":
        (tmp_path / name).mkdir()
        add_entries(database, 3)
        checkpoints_of(database, tmp_path / name).make(NOW)
        keys.append(trail_key(tmp_path / name, "node1").public)
    assert verified(database, tmp_path / "a").compared == 1
    found = gather_marks(database, tmp_path / "a", keys)
    assert (sorted(mark.size for mark in found.marks), found.unknown) == ([3, 6], 0)
    assert gather_marks(database, tmp_path, []).unknown == 2


@pytest.mark.parametrize("size", [1, 5, 256, 600])
def test_every_entry_can_be_proven_without_the_log(database: Database, tmp_path: Path, size: int) -> None:
    add_entries(database, size)
    made = checkpoints_of(database, tmp_path)
    key = trail_key(tmp_path, "node1").public
    for number in {1, 2, size // 2, 255, 256, 257, 512, 513, size - 1, size} & set(range(1, size + 1)):
        text = made.prove(number, NOW).text()
        proven = verify_proof(text, [key])
        assert (proven.number, proven.size, proven.origin) == (number, size, "node1/trail")
        assert proven.entry.target == f"no {number - 1}"
        assert proven.entry.after == f'{{"at":{number - 1}}}'
    for wrong in (0, -1, size + 1):
        with pytest.raises(AuditError, match="no entry"):
            made.prove(wrong, NOW)
    add_entries(database, 1)
    assert verify_proof(made.prove(size + 1, NOW).text(), [key]).size == size + 1, "a checkpoint was made for it"
    with pytest.raises(NoteError):
        verify_proof(text, [Signer("node1/trail", bytes(32)).public])
    for old, new in (("index ", "index 1"), ("extra e", "extra f"), ("node1/trail\n", "node2/trail\n")):
        with pytest.raises(NoteError):
            verify_proof(text.replace(old, new, 1), [key])


SIZE, SIGNED = 60, (20, 50)


def change(connection: Connection, number: int, **values: object) -> None:
    connection.execute(sa.update(trail).where(trail.c.id == row_of(connection, number)).values(**values))


def row_of(connection: Connection, number: int) -> int:
    chosen = sa.select(audit_leaves.c.entry).where(audit_leaves.c.number == number)
    return int(connection.execute(chosen).scalar_one())


def drop_row(connection: Connection, number: int) -> None:
    connection.execute(sa.delete(trail).where(trail.c.id == row_of(connection, number)))


def drop_all_of_it(connection: Connection, number: int) -> None:
    drop_row(connection, number)
    connection.execute(sa.delete(audit_leaves).where(audit_leaves.c.number == number))


def drop_and_close_the_gap(connection: Connection, number: int) -> None:
    drop_all_of_it(connection, number)
    for at in range(number + 1, SIZE + 1):
        connection.execute(sa.update(audit_leaves).where(audit_leaves.c.number == at).values(number=at - 1))


def swap_numbers(connection: Connection, number: int) -> None:
    for old, new in ((number, -1), (number + 3, number), (-1, number + 3)):
        connection.execute(sa.update(audit_leaves).where(audit_leaves.c.number == old).values(number=new))


def swap_rows(connection: Connection, number: int) -> None:
    one, other = row_of(connection, number), row_of(connection, number + 3)
    for old, new in ((one, -1), (other, one), (-1, other)):
        connection.execute(sa.update(trail).where(trail.c.id == old).values(id=new))


def make_fit(connection: Connection, number: int) -> None:
    """Change an entry, and its hash so that it fits."""
    change(connection, number, who="nobody")
    columns = [trail.c[name] for name in Entry.__struct_fields__ if name != "format"]
    row = connection.execute(sa.select(*columns).where(trail.c.id == row_of(connection, number))).one()
    leaf = Entry.of(row).leaf()
    connection.execute(sa.update(audit_leaves).where(audit_leaves.c.number == number).values(hash=leaf))


def insert(connection: Connection, entry: int) -> None:
    values = {"who": "x", "address": "", "deed": "a.b", "target": "", "purpose": "", "time_ms": NOW}
    connection.execute(sa.insert(trail).values(id=entry, **values))


def slip_in(connection: Connection, number: int) -> None:
    """One entry more before this one, and every hash of the log made again."""
    first = row_of(connection, number)
    for entry in connection.execute(sa.select(trail.c.id).where(trail.c.id >= first).order_by(-trail.c.id)).scalars():
        connection.execute(sa.update(trail).where(trail.c.id == entry).values(id=entry + 1))
    insert(connection, first)
    for table in (audit_leaves, audit_nodes):
        connection.execute(sa.delete(table))
    number_rest(connection)


def cut(connection: Connection, number: int) -> None:
    last = row_of(connection, number)
    connection.execute(sa.delete(trail).where(trail.c.id >= last))
    connection.execute(sa.delete(audit_leaves).where(audit_leaves.c.number >= number))


def forge_checkpoint(connection: Connection, number: int) -> None:
    note = sa.func.replace(audit_checkpoints.c.note, f"\n{number}\n", f"\n{number - 1}\n")
    connection.execute(sa.update(audit_checkpoints).where(audit_checkpoints.c.size == number).values(note=note))


TRICKS: list[tuple[str, Callable[[Connection], None], Fault]] = [
    ("a purpose", lambda it: change(it, 17, purpose="another"), Fault("changed", 17, 17)),
    ("a time", lambda it: change(it, 60, time_ms=1), Fault("changed", 60, 60)),
    ("nothing before", lambda it: change(it, 1, before="null"), Fault("changed", 1, 1)),
    ("a row gone", lambda it: drop_row(it, 30), Fault("dropped", 30, 30)),
    ("the last row gone", lambda it: drop_row(it, 60), Fault("dropped", 60, 60)),
    ("row and leaf gone", lambda it: drop_all_of_it(it, 30), Fault("dropped", 30, 30)),
    ("closed up", lambda it: drop_and_close_the_gap(it, 30), Fault("rewritten", 21, 50)),
    ("numbers swapped", lambda it: swap_numbers(it, 10), Fault("moved", 10, 10)),
    ("rows swapped", lambda it: swap_rows(it, 10), Fault("changed", 10, 10)),
    ("made to fit", lambda it: make_fit(it, 15), Fault("rewritten", 1, 20)),
    ("added at the end", lambda it: insert(it, 10_000), Fault("added", 61, 61)),
    ("added at the start", lambda it: insert(it, -1), Fault("added", 1, 1)),
    ("all after it written anew", lambda it: slip_in(it, 17), Fault("rewritten", 1, 20)),
    ("all after it written anew, late", lambda it: slip_in(it, 25), Fault("rewritten", 21, 50)),
    ("cut off", lambda it: cut(it, 45), Fault("cut", 21, 50)),
    ("a checkpoint forged", lambda it: forge_checkpoint(it, 20), Fault("checkpoint", 20, 20)),
]


class _UndoneError(Exception):
    """Takes back what a trick did."""


def fault_of(database: Database, data: Path, trick: Callable[[Connection], None]) -> Fault | None:
    """What verifying finds after a trick, which is undone then."""
    found = None
    with contextlib.suppress(_UndoneError), tampering(database) as connection:
        trick(connection)
        found = verified(database, data, step=7).fault
        raise _UndoneError
    return found


def test_tampering_is_found_and_the_first_entry_named(database: Database, tmp_path: Path) -> None:
    made = checkpoints_of(database, tmp_path)
    for old, new in itertools.pairwise((0, *SIGNED, SIZE)):
        made.make(NOW)
        add_entries(database, new - old)
    for name, trick, expected in TRICKS:
        fault = fault_of(database, tmp_path, trick)
        assert fault is not None, name
        assert (name, fault.kind, fault.first, fault.last) == (name, expected.kind, expected.first, expected.last)
    assert verified(database, tmp_path).fault is None


def test_a_checkpoint_kept_elsewhere_tells_of_what_was_cut_off_here(database: Database, tmp_path: Path) -> None:
    made = checkpoints_of(database, tmp_path)
    add_entries(database, 20)
    kept = made.make(NOW)
    assert kept is not None
    with tampering(database) as connection:
        cut(connection, 11)
        connection.execute(sa.delete(audit_checkpoints))
    with pytest.raises(AuditError, match="20 entries was signed"):
        made.make(NOW)
    (tmp_path / CHECKPOINTS_FILE).unlink()
    assert verified(database, tmp_path).fault is None, "nothing is left here that knows better"
    found = verified(database, tmp_path, kept.note.encode())
    assert found.fault == Fault("cut", 1, 20, left=10)


@pytest.mark.parametrize("number", [3, 12])
def test_nothing_is_signed_over_what_was_tampered_with(database: Database, tmp_path: Path, number: int) -> None:
    made = checkpoints_of(database, tmp_path)
    add_entries(database, 10)
    made.make(NOW)
    add_entries(database, 10)
    with tampering(database) as connection:
        if number > 10:
            change(connection, number, who="x")
        else:
            make_fit(connection, number)
    with pytest.raises(AuditError, match="Nothing is signed"):
        made.make(NOW)
    with pytest.raises(AuditError, match="Nothing is signed"):
        made.prove(number, NOW)


def test_hashes_kept_of_many_entries_are_verified_and_not_believed(database: Database, tmp_path: Path) -> None:
    add_entries(database, 520)
    made = checkpoints_of(database, tmp_path)
    made.make(NOW)
    with tampering(database) as connection:
        connection.execute(sa.update(audit_nodes).where(audit_nodes.c.place == 1).values(hash=bytes(32)))
    assert verified(database, tmp_path).fault == Fault("index", 257, 512)
    with pytest.raises(AuditError, match="cannot be proven"):
        made.prove(3, NOW)
    with tampering(database) as connection:
        connection.execute(sa.delete(audit_nodes).where(audit_nodes.c.place == 1))
    with pytest.raises(AuditError, match="lost hashes"):
        made.prove(3, NOW)


def old_records(url: str, entries: list[int]) -> None:
    """Records as the first version left them, with these ids in the trail."""
    scripts = ScriptDirectory(str(MIGRATIONS))
    driver = url.replace("postgresql://", "postgresql+psycopg://")
    engine = sa.create_engine(driver)
    with engine.begin() as connection:
        steps = {"fn": lambda revision, _: scripts._upgrade_revs("0001", revision)}  # noqa: SLF001  # as upgrade does
        context = MigrationContext.configure(connection, opts=steps)
        with Operations.context(context):
            context.run_migrations()
        for entry in entries:
            insert(connection, entry)
    engine.dispose()


@pytest.mark.parametrize("entries", [[], [5], [*range(3, 800, 2)]])
def test_entries_of_an_earlier_version_are_numbered_in_their_order(
    records_url: str, tmp_path: Path, entries: list[int]
) -> None:
    old_records(records_url, entries)
    database = Database(records_url)
    database.open()
    try:
        assert numbers(database) == list(enumerate(entries, 1))
        with database.write() as connection:
            if entries and not database.is_sqlite:
                connection.execute(
                    sa.text("SELECT setval(pg_get_serial_sequence('trail', 'id'), :last)"), {"last": entries[-1]}
                )
        add_entries(database, 2)
        checkpoints_of(database, tmp_path).make(NOW)
        found = verified(database, tmp_path)
        assert (found.fault, found.size, found.compared) == (None, len(entries) + 2, 1)
    finally:
        database.close()


def test_a_backup_holds_the_log_and_one_of_before_is_numbered(database: Database, tmp_path: Path) -> None:
    add_entries(database, 300)
    checkpoints_of(database, tmp_path).make(NOW)
    folder = tmp_path / "rows"
    folder.mkdir()
    counted = export_records(database, folder, lambda _: None)
    assert (counted["audit_leaves"], counted["audit_nodes"], counted["audit_checkpoints"]) == (300, 1, 1)
    before = {name: rows for name, rows in counted.items() if not name.startswith("audit_")}
    for name, rows in (("as-it-is", counted), ("of-before", before)):
        again = Database(records.database_url("", tmp_path / name))
        again.open()
        import_records(again, folder, rows, lambda _: None)
        assert numbers(again) == numbers(database)
        add_entries(again, 1)
        made = checkpoints_of(again, tmp_path)
        (tmp_path / CHECKPOINTS_FILE).unlink()
        made.make(NOW)
        found = verified(again, tmp_path)
        assert (found.fault, found.size) == (None, 301)
        again.close()
