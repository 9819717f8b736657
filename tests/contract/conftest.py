"""The records on each engine: SQLite in a folder, and a PostgreSQL that serves the whole run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_socket

from fresh_records import lay_out
from hutong.kernel.records import Database, database_url
from postgres import PROGRAMS, running_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postgres import Postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    if PROGRAMS is None:
        pytest.skip("postgresql is not installed (Debian package; see `make debian`)")
    pytest_socket.enable_socket()  # this fixture looks for a free port before a test has said that it may
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.enable_socket)])
def records_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of empty records."""
    if request.param == "sqlite":
        return database_url("", tmp_path)
    server: Postgres = request.getfixturevalue("postgres")
    return server.url()


@pytest.fixture
def database(records_url: str) -> Iterator[Database]:
    """Empty records, open."""
    made = Database(records_url)
    if made.is_sqlite:
        lay_out(Path(made.place))
    made.open()
    yield made
    made.close()
