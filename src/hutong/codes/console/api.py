"""Codes for programs: what they bring to the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hutong.codes.console import api_colours, api_people, api_venues, bodies
from hutong.kernel.web.api.document import Section, describe_body, structs_of

if TYPE_CHECKING:
    from hutong.codes.console.desk import StaffDesk
    from hutong.kernel.web.api.desk import Desk


def section(staff: StaffDesk, desk: Desk) -> Section:
    """What codes bring to the API.

    Args:
        staff: where codes are worked on by hand. desk: limits and the trail.
    """
    routes = [it for part in (api_colours, api_venues, api_people) for it in part.routes(staff, desk)]
    return Section((api_colours.TAG, *api_venues.TAGS, api_people.TAG), routes, structs_of(bodies), _describe)


def _describe(schema: dict[str, Any]) -> None:
    lines = {"text/plain": {"schema": {"type": "string"}}}
    describe_body(schema["paths"][api_venues.FILES]["post"], lines)
