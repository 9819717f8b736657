"""What the document says of bodies that no annotation describes: one call or several, a file."""

from __future__ import annotations

from typing import Any

from hutong.kernel.web.api.document import describe_body, ref


def describe(schema: dict[str, Any]) -> None:
    """Complete the document."""
    several = schema["components"]["schemas"]["ScreenedCalls"]["properties"]["calls"]
    several["items"] = {"anyOf": [ref("Screened"), ref("Unscreened")]}
    _describe_screening(schema["paths"]["/v1/calls/screen"]["post"])
    csv = "target,reason,list,expires\n13700001111,complaint 881,block,2027-03-01T00:00:00+08:00\n"
    content = {"text/csv": {"schema": {"type": "string"}, "example": csv}}
    describe_body(schema["paths"]["/v1/lists/import"]["post"], content)


def _describe_screening(operation: dict[str, Any]) -> None:
    """One call or several: two bodies and two answers."""
    call = {
        "call_id": "a84b4c76e66710@gw1",
        "caller": "+8613800138000",
        "callee": "02161230000",
        "source": "198.51.100.7",
    }
    body = {
        "schema": {"oneOf": [ref("Call"), ref("Calls")]},
        "examples": {"one": {"value": call}, "several": {"value": {"calls": [call]}}},
    }
    describe_body(operation, {"application/json": body})
    answers = {"schema": {"anyOf": [ref("Screened"), ref("ScreenedCalls")]}}
    operation["responses"]["200"]["content"] = {"application/json": answers}
