"""What cases bring to the API: their routes, bodies, and what the document says of files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hutong.kernel.cases.api import bodies
from hutong.kernel.cases.api.case_routes import case_routes
from hutong.kernel.cases.api.desk import SUFFIXES, CaseDesk, CaseParts
from hutong.kernel.cases.api.register_routes import register_routes
from hutong.kernel.web.api.document import Section, describe_body, structs_of

if TYPE_CHECKING:
    from hutong.kernel.web.api.desk import Desk

_TAGS: Final = (("cases", "案件 / Cases"), ("registers", "台账 / Registers"))
_BYTES: Final = {"schema": {"type": "string", "format": "binary"}}


def case_section(parts: CaseParts, desk: Desk) -> Section:
    """The section.

    Args:
        parts: what its routes work with. desk: limits and the trail.
    """
    cases = CaseDesk(parts, desk)
    routes = [*case_routes(cases, desk), *register_routes(cases, desk)]
    return Section(_TAGS, routes, structs_of(bodies), _describe)


def _describe(schema: dict[str, Any]) -> None:
    paths = schema["paths"]
    describe_body(paths["/v1/cases/{case}/attachments"]["post"], {"application/octet-stream": _BYTES})
    csv = "标题,整治对象,问题\n一,甲,转租\n"
    content = {"text/csv": {"schema": {"type": "string"}, "example": csv}}
    describe_body(paths["/v1/registers/{register}/import"]["post"], content)
    taken = paths["/v1/cases/{case}/attachments/{sha256}"]["get"]["responses"]["200"]
    taken["content"] = dict.fromkeys(SUFFIXES, _BYTES)
    paths["/v1/registers/{register}/export"]["get"]["responses"]["200"]["content"] = {"text/csv": _BYTES}
