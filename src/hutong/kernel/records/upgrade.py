"""Brings the tables to this version: which migrations a database has had, and running those that it lacks.

The scripts are in `migrations/versions`, part of the package; no alembic.ini, and nothing of Alembic's command line.
"""

from __future__ import annotations

import enum
import threading
from importlib import resources
from typing import TYPE_CHECKING, Any

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

#: Alembic's `op` is one for the whole process.
_ONE_AT_A_TIME = threading.Lock()


class State(enum.Enum):
    """How the tables stand to this version."""

    OLD = "lacks migrations"
    CURRENT = "has them all"
    NEWER = "has some that this version does not know"


def state_of(connection: Connection) -> State:
    """How the tables of this connection's database stand."""
    scripts = _scripts()
    found = MigrationContext.configure(connection).get_current_revision()
    if found == scripts.get_current_head():
        return State.CURRENT
    known = {script.revision for script in scripts.walk_revisions()}
    return State.OLD if found is None or found in known else State.NEWER


def run(connection: Connection) -> State:
    """Run what is lacking, in the connection's transaction; the caller keeps others away."""
    state = state_of(connection)
    if state is not State.OLD:
        return state
    scripts = _scripts()

    def steps(revision: Any, _context: MigrationContext) -> list[Any]:  # noqa: ANN401  # Alembic's own types
        return scripts._upgrade_revs("head", revision)  # noqa: SLF001  # what its `upgrade` command calls

    context = MigrationContext.configure(connection, opts={"fn": steps})
    with _ONE_AT_A_TIME, Operations.context(context):
        context.run_migrations()
    return State.CURRENT


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(resources.files("hutong.kernel.records") / "migrations"))
