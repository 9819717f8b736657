"""Rows leave one engine and enter any: SQLite and PostgreSQL, each way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from hutong.app import restore
from hutong.app.backup import Backup
from hutong.app.backup_records import export_records, import_records
from hutong.app.config import load_config
from hutong.app.restore import restore_backup
from hutong.kernel.access.people import People
from hutong.kernel.access.trail import Trail, TrailQuery
from hutong.kernel.clock import ManualClock
from hutong.kernel.errors import StateError
from hutong.kernel.records import Database, RecordsError, database_url
from hutong.kernel.records.tables import metadata, trail

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from postgres import Postgres

NOW = 1_650_000_000_000


def nothing(_rows: int) -> None:
    """Progress that nobody looks at."""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.enable_socket)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Where the rows go."""
    (tmp_path / "empty").mkdir()
    if request.param == "sqlite":
        url = database_url("", tmp_path / "empty")
    else:
        server: Postgres = request.getfixturevalue("postgres")
        url = server.url()
    made = Database(url)
    made.open()
    yield made
    made.close()


@pytest.fixture
def full(database: Database) -> Database:
    """Where they come from."""
    People(database).first(NOW)
    People(database).add("wang", "王警官 O'Neill", "analyst", NOW)
    rows = [
        {"time_ms": NOW + at, "who": "wang", "address": "local", "deed": "lists.add", "target": f"{at}"}
        | {"before": None, "after": '{"so": "é\\n\x7f"}', "purpose": "'"}
        for at in range(1100)
    ]
    with database.write() as connection:
        connection.execute(sa.insert(trail), rows)
    return database


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rows").mkdir()
    return tmp_path / "rows"


def rows_of(database: Database) -> dict[str, list[tuple[object, ...]]]:
    with database.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
            for table in metadata.sorted_tables
        }


def test_every_row_comes_through_as_it_was(full: Database, empty: Database, folder: Path) -> None:
    counted = export_records(full, folder, nothing)
    assert counted["trail"] == 1100
    import_records(empty, folder, counted, nothing)
    there, here = rows_of(full), rows_of(empty)
    assert {name: sorted(rows, key=repr) for name, rows in here.items()} == {
        name: sorted(rows, key=repr) for name, rows in there.items()
    }


def test_new_rows_are_numbered_on(full: Database, empty: Database, folder: Path) -> None:
    import_records(empty, folder, export_records(full, folder, nothing), nothing)
    last = max(int(str(row[0])) for row in rows_of(full)["trail"])
    assert Trail(empty).record("wang", "local", "lists.add", "next", now_ms=NOW) == last + 1


def test_records_that_are_not_empty_are_left_alone(full: Database, empty: Database, folder: Path) -> None:
    counted = export_records(full, folder, nothing)
    Trail(empty).record("li", "local", "lists.add", "mine", now_ms=NOW)
    with pytest.raises(RecordsError, match="is not empty"):
        import_records(empty, folder, counted, nothing)
    assert [entry.who for entry in Trail(empty).page(TrailQuery())] == ["li"]


def test_what_fails_half_way_leaves_nothing(full: Database, empty: Database, folder: Path) -> None:
    counted = export_records(full, folder, nothing)
    with pytest.raises(RecordsError, match="1100 rows of trail are there, 1101 were backed up"):
        import_records(empty, folder, counted | {"trail": 1101}, nothing)
    assert set(map(len, rows_of(empty).values())) == {0}


def test_all_tables_are_as_of_one_moment(full: Database, folder: Path) -> None:
    accounts = len(rows_of(full)["accounts"])
    came: list[str] = []

    def come() -> None:
        People(full).add("later", "x", "viewer", NOW)
        Trail(full).record("later", "local", "lists.add", "later", now_ms=NOW)

    def meanwhile(_rows: int) -> None:
        if not came:
            came.append("later")
            another.submit(come).result(20)

    with ThreadPoolExecutor(1) as another:
        counted = export_records(full, folder, meanwhile)
    assert came
    assert (counted["accounts"], counted["trail"]) == (accounts, 1100)
    assert len(rows_of(full)["trail"]) == 1101


def test_a_column_that_came_later_gets_its_default(full: Database, empty: Database, folder: Path) -> None:
    with full.write() as connection:
        connection.exec_driver_sql("insert into calls_minutes (node, minute, kind, name) values ('n', 1, 'a', 'b')")
    counted = export_records(full, folder, nothing)
    file = folder / "calls_minutes.jsonl"
    file.write_text('{"table":"calls_minutes","columns":["node","minute","kind","name"]}\n["n",1,"a","b"]\n')
    import_records(empty, folder, counted, nothing)
    assert rows_of(empty)["calls_minutes"] == rows_of(full)["calls_minutes"]


def test_a_column_or_table_of_a_later_version_is_refused(full: Database, empty: Database, folder: Path) -> None:
    counted = export_records(full, folder, nothing)
    with pytest.raises(RecordsError, match="a table later, which this version does not know"):
        import_records(empty, folder, counted | {"later": 0}, nothing)
    (folder / f"{trail.name}.jsonl").write_text('{"table":"trail","columns":["id","later"]}\n')
    with pytest.raises(RecordsError, match=r"a column trail\.later"):
        import_records(empty, folder, counted, nothing)


@pytest.mark.enable_socket
def test_a_whole_backup_goes_from_either_engine_into_either(
    full: Database, records_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    here, there = (tmp_path / name for name in ("here", "there"))
    (here / "journal").mkdir(parents=True)
    environ = {} if full.is_sqlite else {"HUTONG_RECORDS__URL": records_url}
    if full.is_sqlite:
        full.close()
        (tmp_path / "records.db").rename(here / "records.db")
    config = load_config(None, data=here, environ=environ)
    Backup(config, ManualClock(NOW * 1_000_000), lambda *_: None, lambda: None).run(str(tmp_path / "a.tar"))
    expected = rows_at(database_url(config.records.url, here))
    server: Postgres = request.getfixturevalue("postgres")
    for url in ("", server.url()):
        to = there / (url.rpartition("/")[2] or "sqlite")
        restore_backup(tmp_path / "a.tar", to, url, nothing)
        assert (to / "records.db").exists() == (not url)
        assert not (to / "records").exists()
        found = rows_at(database_url(url, to))
        assert {name: sorted(rows, key=repr) for name, rows in found.items()} == {
            name: sorted(rows, key=repr) for name, rows in expected.items()
        }


@pytest.mark.enable_socket
def test_a_server_keeps_no_rows_of_a_backup_whose_files_found_no_place(
    full: Database, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not full.is_sqlite:
        pytest.skip("where the rows come from makes no difference")
    (tmp_path / "journal").mkdir()
    full.close()
    config = load_config(None, data=tmp_path, environ={})
    Backup(config, ManualClock(NOW * 1_000_000), lambda *_: None, lambda: None).run(str(tmp_path / "a.tar"))
    server: Postgres = request.getfixturevalue("postgres")
    url = server.url()

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(restore, "_put_in_place", full_disk)
    with pytest.raises(StateError, match="No space left"):
        restore_backup(tmp_path / "a.tar", tmp_path / "to", url, nothing)
    assert list((tmp_path / "to").iterdir()) == []
    assert set(map(len, rows_at(url).values())) == {0}


def rows_at(url: str) -> dict[str, list[tuple[object, ...]]]:
    made = Database(url)
    made.open()
    try:
        return rows_of(made)
    finally:
        made.close()
