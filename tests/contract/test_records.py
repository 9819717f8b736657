"""What the records do, on each engine."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from hutong.kernel import records
from hutong.kernel.access.trail import Trail
from hutong.kernel.records import Database, RecordsError, database_url, tables

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 1_650_000_000_000
FOLDER = Path(records.__file__).parent / "migrations"
WRITER = Path(__file__).with_name("trail_writer.py")
OPENER = """
import sys
from hutong.kernel.records import Database
sys.stdin.readline()
made = Database(sys.argv[1])
made.open()
with made.write() as connection:
    connection.exec_driver_sql("insert into calls_progress (node, seq) values ('%s', 1)" % sys.argv[2])
made.close()
"""


def nodes(database: Database) -> list[str]:
    with database.read() as connection:
        return sorted(connection.execute(sa.select(tables.calls_progress.c.node)).scalars())


def add(connection: records.Connection, node: str) -> None:
    connection.execute(sa.insert(tables.calls_progress).values(node=node, seq=1))


def test_the_migrations_lead_to_exactly_the_tables_that_are_declared(database: Database) -> None:
    options = {"compare_type": True, "compare_server_default": True}
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), tables.metadata) == []


def test_migrations_form_one_line_of_numbered_files() -> None:
    found = [script.revision for script in ScriptDirectory(str(FOLDER)).walk_revisions()]
    assert found == [f"{number:04d}" for number in range(len(found), 0, -1)]
    assert len(list((FOLDER / "versions").glob("v0*.py"))) == len(found)


def add_and_fail(database: Database, node: str) -> None:
    with database.write() as connection:
        add(connection, node)
        raise ZeroDivisionError


def test_opening_again_finds_what_was_kept(database: Database, records_url: str) -> None:
    with database.write() as connection:
        add(connection, "a")
    database.close()
    database.close()
    again = Database(records_url)
    again.open()
    again.open()
    assert nodes(again) == ["a"]
    again.close()


def test_a_block_that_raises_is_undone(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        add_and_fail(database, "a")
    assert nodes(database) == []


def test_an_inner_write_stands_or_falls_with_the_outer_one(database: Database) -> None:
    def outer_fails() -> None:
        with database.write():
            with database.write() as inner:
                add(inner, "a")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        outer_fails()
    assert nodes(database) == []
    with database.write() as outer:
        add(outer, "b")
        with pytest.raises(ZeroDivisionError):
            add_and_fail(database, "c")
        assert nodes(database) == ["b"], "a reader inside sees what was written so far"
    assert nodes(database) == ["b"]


def test_a_broken_constraint_is_the_callers_business(database: Database) -> None:
    with database.write() as connection:
        add(connection, "a")
    with pytest.raises(sa.exc.IntegrityError), database.write() as connection:
        add(connection, "a")
    values = {"id": "x", "account": "nobody", "address": "", "started_ms": 1, "seen_ms": 1, "ends_ms": 1}
    with pytest.raises(sa.exc.IntegrityError), database.write() as connection:
        connection.execute(sa.insert(tables.sessions).values(values))


def test_a_reader_changes_nothing(database: Database) -> None:
    with pytest.raises((sa.exc.DBAPIError, RecordsError)), database.read() as connection:
        add(connection, "a")
    assert nodes(database) == []


def add_beside(database: Database, node: str) -> None:
    """In another thread, which is done when this returns."""

    def write() -> None:
        with database.write() as connection:
            add(connection, node)

    writer = threading.Thread(target=write)
    writer.start()
    writer.join(20)
    assert not writer.is_alive()


def test_a_reader_sees_what_was_kept_when_it_began_and_does_not_stop_a_writer(database: Database) -> None:
    add_beside(database, "a")
    with database.read() as connection:
        seen = connection.execute(sa.select(tables.calls_progress.c.node)).scalars().all()
        add_beside(database, "b")
        assert connection.execute(sa.select(tables.calls_progress.c.node)).scalars().all() == seen == ["a"]
    assert nodes(database) == ["a", "b"]


def test_reads_within_a_read_are_one_view_and_one_transaction(database: Database) -> None:
    add_beside(database, "a")
    with database.read() as outer:
        assert nodes(database) == ["a"]
        add_beside(database, "b")
        with database.read() as inner:
            assert inner is outer
        assert nodes(database) == ["a"], "as when the outer one began"
    assert nodes(database) == ["a", "b"]


def test_nothing_is_written_within_a_read(database: Database) -> None:
    with database.read(), pytest.raises(RuntimeError, match="within a read"), database.write():
        pass
    with database.write() as connection:
        add(connection, "a")
    assert nodes(database) == ["a"]


def test_many_threads_write_without_losing_a_row(database: Database) -> None:
    def write(name: str) -> None:
        for count in range(20):
            with database.write() as connection:
                add(connection, f"{name}{count}")

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(nodes(database)) == 8 * 20


def test_what_is_read_first_and_written_then_has_not_changed_between(database: Database) -> None:
    progress = tables.calls_progress
    with database.write() as connection:
        add(connection, "a")

    def count_up() -> None:
        for _ in range(20):
            with database.write() as connection:
                database.hold(connection, "counting")
                seq = connection.execute(sa.select(progress.c.seq)).scalar_one()
                connection.execute(sa.update(progress).values(seq=seq + 1))

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with database.read() as connection:
        assert connection.execute(sa.select(progress.c.seq)).scalar_one() == 81


@pytest.mark.enable_socket
def test_processes_that_start_at_the_same_time_migrate_once(records_url: str) -> None:
    command = [sys.executable, "-c", OPENER, records_url]
    starting = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for name in "abcd"
    ]
    for process in starting:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in starting:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    database = Database(records_url)
    database.open()
    assert nodes(database) == ["a", "b", "c", "d"]
    database.close()


def test_threads_that_open_at_the_same_time_migrate_once(records_url: str) -> None:
    databases = [Database(records_url) for _ in range(4)]
    threads = [threading.Thread(target=database.open) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for database in databases:
        assert nodes(database) == []
        database.close()


def test_records_of_a_newer_version_are_refused_and_left_alone(database: Database, records_url: str) -> None:
    with database.write() as connection:
        connection.execute(sa.text("update alembic_version set version_num = '9999'"))
    database.close()
    with pytest.raises(RecordsError, match="newer version") as refused:
        Database(records_url).open()
    assert "not-for-messages" not in str(refused.value)
    engine = sa.create_engine(records_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        assert connection.execute(sa.text("select version_num from alembic_version")).scalar_one() == "9999"
    engine.dispose()


def test_the_trail_is_only_ever_added_to(database: Database) -> None:
    Trail(database).record("admin", "::1", "people.add", now_ms=NOW)
    statements = ["update trail set who = 'x'", "delete from trail"] + ["truncate trail"] * (not database.is_sqlite)
    for statement in statements:
        with pytest.raises(sa.exc.DBAPIError, match="only ever added to"), database.write() as connection:
            connection.execute(sa.text(statement))
    assert [entry.who for entry in Trail(database).page()] == ["admin"]


@pytest.mark.enable_socket
def test_a_process_killed_while_it_writes_has_lost_nothing_that_it_was_told_is_kept(
    records_url: str, wait_until: Callable[..., object]
) -> None:
    process = subprocess.Popen([sys.executable, str(WRITER), records_url], stdout=subprocess.PIPE)
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(200)]
    process.kill()
    told += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    assert told[0]
    acknowledged = [int(line) for line in told if line.endswith(b"\n")]
    assert len(acknowledged) >= 200
    database = Database(records_url)
    database.open()

    def kept() -> set[int]:
        return {entry.id for entry in Trail(database).entries()}

    assert set(acknowledged) <= kept()
    Trail(database).record("next", "", "goes.on", now_ms=NOW)
    wait_until(lambda: len(kept()) <= len(acknowledged) + 2)  # at most the one that was under way, and the next
    database.close()


def test_records_that_are_not_open_say_so(database: Database) -> None:
    database.close()
    with pytest.raises(RecordsError, match="not open"), database.read():
        pass


@pytest.mark.parametrize(
    "url", ["", "mysql://a/b", "postgresql://host", "sqlite://", "nonsense", "postgresql://u:secret@h:port/d"]
)
def test_another_kind_of_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(RecordsError) as refused:
        Database(url)
    assert "secret" not in str(refused.value)


@pytest.mark.enable_socket
def test_a_database_that_does_not_answer_is_named_without_its_password(free_port: Callable[..., int]) -> None:
    database = Database(f"postgresql://hutong:very-secret@127.0.0.1:{free_port()}/records")
    with pytest.raises(RecordsError, match=r"127\.0\.0\.1") as refused:
        database.open()
    shown = str(refused.value)
    assert "very-secret" not in shown
    assert "very-secret" not in repr(refused.value.__cause__)
    assert "Check" in shown


@pytest.mark.enable_socket
@pytest.mark.parametrize("records_url", [pytest.param("postgresql")], indirect=True)
def test_a_wrong_password_is_not_shown(records_url: str) -> None:
    wrong = records_url.replace("not-for-messages", "quite-wrong")
    with pytest.raises(RecordsError) as refused:
        Database(wrong).open()
    assert "quite-wrong" not in str(refused.value)
    assert "password authentication failed" in str(refused.value)


@pytest.mark.enable_socket
@pytest.mark.parametrize("records_url", [pytest.param("postgresql")], indirect=True)
def test_connections_that_the_server_cut_are_made_anew(database: Database) -> None:
    with database.read():
        pass
    with database.read() as connection:
        others = "select count(pg_terminate_backend(pid)) from pg_stat_activity where pid <> pg_backend_pid()"
        connection.execute(sa.text(others + " and datname = current_database()"))
    assert nodes(database) == []


def test_the_file_is_for_its_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "not yet there"
    database = Database(database_url("", folder))
    database.open()
    with database.write() as connection:
        add(connection, "a")
        modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == {"records.db": 0o600, "records.db-wal": 0o600, "records.db-shm": 0o600}
    database.close()


def test_a_full_disk_is_said_so_and_keeps_what_was_there(tmp_path: Path) -> None:
    database = Database(database_url("", tmp_path))
    database.open()
    with database.write() as connection:
        add(connection, "a")

    def fill() -> None:
        with database.write() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count=1")  # no room for another page
            add(connection, "b" * 1_000_000)

    with pytest.raises(RecordsError, match="full"):
        fill()
    assert nodes(database) == ["a"]
    database.close()


def test_errors_do_not_repeat_what_was_to_be_written(database: Database) -> None:
    tell_tale = "a secret that no log may have"
    values = {"id": "x", "account": tell_tale, "address": "", "started_ms": 1, "seen_ms": 1, "ends_ms": None}
    with pytest.raises(sa.exc.IntegrityError) as refused, database.write() as connection:
        connection.execute(sa.insert(tables.sessions).values(values))
    assert f"'{tell_tale}'" not in str(refused.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_that_root_makes_belongs_to_the_folders_owner(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    database = Database(database_url("", tmp_path))
    database.open()
    with database.write() as connection:
        add(connection, "a")
        assert {path.stat().st_uid for path in tmp_path.iterdir()} == {65534}
    database.close()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordsError, match="file/records") as refused:
        Database(database_url("", tmp_path / "file")).open()
    assert "may write" in str(refused.value)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "records.db").write_text("this is something else, and long enough to be looked at" * 100)
    with pytest.raises(RecordsError, match=r"records\.db"):
        Database(database_url("", tmp_path)).open()


def test_a_sqlite_transaction_is_on_disk_when_it_ends(tmp_path: Path) -> None:
    database = Database(database_url("", tmp_path))
    database.open()
    with database.read() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")
        }
        assert found == {"journal_mode": "wal", "synchronous": 2}
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    database.close()
