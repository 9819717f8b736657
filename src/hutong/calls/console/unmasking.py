"""Showing whole numbers for a stated purpose: the form, what it must say, and the trail that comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar.params import URLEncodedBody

if TYPE_CHECKING:
    from litestar import Request

    from hutong.calls.console.verdict_table import VerdictDesk

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


def put_on_trail(
    desk: VerdictDesk, request: Request[Any, Any, Any], said: Unmasking, target: str, refs: list[str]
) -> None:
    """Record who sees which numbers and what for. Only when this has returned may they be shown.

    Raises:
        RecordsError: it could not be kept.
    """
    purpose = f"{desk.console.say(request, f'unmask.purpose.{said.purpose}')}: {said.detail}"
    after = {"purpose": said.purpose, "numbers": refs}
    desk.record(request, "numbers.unmask", target, after=after, purpose=purpose)
