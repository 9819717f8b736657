"""Saved views: addresses of the list of cases that somebody kept under a name, for themselves or for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import sqlalchemy as sa

from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.cases.fields import is_text
from hutong.kernel.records import tables

if TYPE_CHECKING:
    from hutong.kernel.cases.purview import Purview
    from hutong.kernel.records import Database

LONGEST_NAME: Final = 40
_LONGEST_QUERY: Final = 500
_MOST: Final = 50
_TABLE = tables.case_views


class View(msgspec.Struct, frozen=True):
    """A view: whose, its name, the query of its address, and whether all see it."""

    owner: str
    name: str
    query: str
    shared: bool = False


class _Kept(msgspec.Struct, frozen=True):
    query: str
    shared: bool = False


class Views:
    """The saved views of a node.

    Args:
        database: opened by whoever made it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, account: str, purview: Purview) -> list[View]:
        """The views that somebody sees: their own, then those that others share, each by name.

        Whoever sees the cases of some units alone sees their own: a name or a search of others may tell of other cases.
        """
        with self._database.read() as connection:
            rows = connection.execute(sa.select(_TABLE).order_by(_TABLE.c.name, _TABLE.c.owner)).all()
        views = []
        for row in rows:
            kept = msgspec.json.decode(row.query, type=_Kept)
            if row.owner == account or (kept.shared and purview.whole):
                views.append(View(row.owner, row.name, kept.query, kept.shared))
        return sorted(views, key=lambda it: it.owner != account)

    def save(self, view: View) -> None:
        """Keep a view; one of the same person and name is replaced.

        Raises:
            CaseRefused: its name is empty or too long, or the person has too many.
        """
        name = view.name.strip()
        if not name or len(name) > LONGEST_NAME or not is_text(name) or len(view.query) > _LONGEST_QUERY:
            raise CaseRefused("field", f"A view has a name of up to {LONGEST_NAME} letters.", where="name")
        own = _TABLE.c.owner == view.owner
        with self._database.write() as connection:
            self._database.hold(connection, f"case-views:{view.owner}")
            connection.execute(sa.delete(_TABLE).where(own, _TABLE.c.name == name))
            count = connection.execute(sa.select(sa.func.count()).select_from(_TABLE).where(own)).scalar_one()
            if count >= _MOST:
                raise CaseRefused("taken", f"A person has up to {_MOST} views.", where="name", fix="Delete one.")
            kept = msgspec.json.encode(_Kept(view.query, view.shared)).decode()
            connection.execute(sa.insert(_TABLE).values(owner=view.owner, name=name, query=kept))

    def drop(self, owner: str, name: str) -> None:
        """Forget a view of one's own; nothing happens where there is none."""
        with self._database.write() as connection:
            connection.execute(sa.delete(_TABLE).where(_TABLE.c.owner == owner, _TABLE.c.name == name))
