"""Showing whole numbers for a stated purpose: the form, what it must say, and the trail that comes first.

Every page that shows or exports whole numbers goes through here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
from litestar.params import URLEncodedBody

if TYPE_CHECKING:
    from litestar import Request

    from hutong.kernel.access.trail import Trail
    from hutong.kernel.access.viewer import Viewer
    from hutong.kernel.web.console import Console

#: What for; the person adds which case, complaint or request.
PURPOSES: Final = ("complaint", "victim", "police", "analysis", "mistake")
_SHORTEST = 4
_LONGEST = 300

Form = URLEncodedBody[dict[str, str]]


class Unmasking(msgspec.Struct, frozen=True):
    """What a form said. `trouble`: the key of the text that says what is wrong; "" where all is well."""

    purpose: str = ""
    detail: str = ""
    trouble: str = ""


def read_form(data: dict[str, str]) -> Unmasking:
    """What for, as the form says it."""
    purpose, detail = data.get("purpose", ""), data.get("detail", "").strip()[:_LONGEST]
    trouble = ""
    if purpose not in PURPOSES:
        trouble = "unmask.no_purpose"
    elif len(detail) < _SHORTEST:
        trouble = "unmask.no_detail"
    return Unmasking(purpose, detail, trouble)


class Desk(Protocol):
    """What pages of one kind share."""

    @property
    def console(self) -> Console:
        """Makes the pages."""

    @property
    def trail(self) -> Trail:
        """What is shown goes there first."""


def put_on_trail(desk: Desk, request: Request[Any, Any, Any], said: Unmasking, target: str, **which: object) -> None:
    """Record who sees which numbers and what for. Only when this has returned may they be shown.

    Args:
        desk: the pages'.
        request: whose.
        said: a purpose without trouble.
        target: the page.
        which: numbers, by their references; or filters, where a whole table is exported.

    Raises:
        RecordsError: it could not be kept.
    """
    viewer: Viewer = request.user
    deed = "numbers.export" if "filters" in which else "numbers.unmask"
    purpose = f"{desk.console.say(request, f'unmask.purpose.{said.purpose}')}: {said.detail}"
    after = {"purpose": said.purpose, **which}
    now_ms = desk.console.now_ms()
    desk.trail.record(viewer.name, viewer.address, deed, target, after=after, purpose=purpose, now_ms=now_ms)
