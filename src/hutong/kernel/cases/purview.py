"""Whose cases somebody sees and works on: the one bound that every query and every change of cases goes through.

A case outside of it is to them as if it were not there: it is not found, not counted, and named nowhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa
from msgspec.structs import replace

from hutong.kernel.cases.model import Actor
from hutong.kernel.cases.projection import CASES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hutong.kernel.access.viewer import Viewer
    from hutong.kernel.cases.model import Case, CaseEvent
    from hutong.kernel.records import Connection

#: What an event says or changes that may name other cases, or tell what parts of them are about.
_ELSEWHERE: Final = ("into", "parts", "parent", "children", "source", "register", "rules")


class Purview(msgspec.Struct, frozen=True):
    """Cases of these units; None = every case."""

    units: frozenset[str] | None

    @property
    def whole(self) -> bool:
        """Whether it is every case."""
        return self.units is None

    def holds(self, unit: str) -> bool:
        """Whether cases of the unit are in it."""
        return self.units is None or unit in self.units

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """What must hold of a row of `CASES`."""
        return [] if self.units is None else [CASES.c.unit.in_(sorted(self.units))]

    def known(self, connection: Connection, ids: Iterable[str]) -> frozenset[str]:
        """Those of the cases that are in it."""
        wanted = sa.select(CASES.c.id).where(CASES.c.id.in_(sorted(set(ids) - {""})), *self.conditions())
        return frozenset(connection.execute(wanted).scalars())

    def shown(self, connection: Connection, case: Case) -> Case:
        """A case as it may be seen: without names of cases that are not in the purview."""
        if self.units is None:
            return case
        known = self.known(connection, (case.parent, case.into, *case.children))
        waits = case.pending
        if waits is not None:
            waits = replace(waits, request=replace(waits.request, into="", parts=()))
        return replace(
            case,
            parent=case.parent if case.parent in known else "",
            into=case.into if case.into in known else "",
            children=tuple(it for it in case.children if it in known),
            source="" if case.parent not in known and case.parent else case.source,
            pending=waits,
        )

    def told(self, event: CaseEvent) -> CaseEvent:
        """An event as it may be seen."""
        if self.units is None:
            return event
        changes = {name: it for name, it in event.changes.items() if name not in _ELSEWHERE}
        if changes.get("pending"):
            request = _without(changes["pending"]["request"])
            changes["pending"] = {**changes["pending"], "request": request}
        return replace(event, said=_without(event.said), changes=changes)


#: Every case: of whoever looks after the node itself, and of the people of this house.
WHOLE: Final = Purview(None)


def purview_of(viewer: Viewer) -> Purview:
    """Whose cases a person or a token sees."""
    return Purview(viewer.units)


def actor_of(viewer: Viewer) -> Actor:
    """Who asks something of a case."""
    return Actor(viewer.name, viewer.permissions, viewer.address)


def _without(said: dict[str, Any]) -> dict[str, Any]:
    return {name: it for name, it in said.items() if name not in _ELSEWHERE}
