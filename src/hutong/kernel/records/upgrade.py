"""Brings the tables to this version: which migrations a database has had, and running those that it lacks.

The scripts are in `migrations/versions`, part of the package; no alembic.ini, and nothing of Alembic's command line.
"""

from __future__ import annotations

import enum
import threading
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from alembic.runtime.migration import MigrationContext
    from sqlalchemy.engine import Connection

#: Alembic's `op` is one for the whole process.
_ONE_AT_A_TIME: Final = threading.Lock()
#: As Alembic keeps it.
_VERSION: Final = sa.table("alembic_version", sa.column("version_num"))


class State(enum.Enum):
    """How the tables stand to this version."""

    OLD = "lacks migrations"
    CURRENT = "has them all"
    NEWER = "has some that this version does not know"


def state_of(connection: Connection) -> State:
    """How the tables of this connection's database stand.

    Asked at every start, so without Alembic, which takes a fifth of a second to load: revisions are the numbers of the
    scripts, each of which follows the one before.
    """
    known = {name[1:5] for it in (_folder() / "versions").iterdir() if (name := it.name).startswith("v")}
    found = None
    if sa.inspect(connection).has_table(_VERSION.name):
        found = connection.execute(sa.select(_VERSION.c.version_num)).scalar()
    if found == max(known):
        return State.CURRENT
    return State.OLD if found is None or found in known else State.NEWER


def run(connection: Connection) -> State:
    """Run what is lacking, in the connection's transaction; the caller keeps others away."""
    state = state_of(connection)
    if state is not State.OLD:
        return state
    from alembic.operations import Operations  # noqa: PLC0415  # see `state_of`
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    scripts = ScriptDirectory(str(_folder()))

    def steps(revision: Any, _context: MigrationContext) -> list[Any]:  # noqa: ANN401  # Alembic's own types
        return scripts._upgrade_revs("head", revision)  # noqa: SLF001  # what its `upgrade` command calls

    context = MigrationContext.configure(connection, opts={"fn": steps})
    with _ONE_AT_A_TIME, Operations.context(context):
        context.run_migrations()
    return State.CURRENT


def _folder() -> Traversable:
    return resources.files("hutong.kernel.records") / "migrations"
