"""What the windows hold of a number now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar import post
from litestar.params import JSONBody  # noqa: TC002  # Litestar reads the annotations

from hutong.calls.api.bodies import WindowQuery, WindowValues
from hutong.kernel.numbering.keys import KIND_NUMBER, key_kind
from hutong.kernel.reporter import rfc3339_ms
from hutong.kernel.web.api.desk import Desk, answered, operation
from hutong.kernel.web.problems import Problem

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.calls.windows_reader import WindowsReader
    from hutong.kernel.numbering import Numbering


def window_routes(windows: WindowsReader, numbering: Numbering, desk: Desk) -> list[HTTPRouteHandler]:
    """The route."""

    @post(
        "/v1/windows",
        **operation(desk, "windows", "numbers.read", "windows", "readWindows", "号码的窗口 / A number's windows"),
        status_code=200,
        request_max_body_size=4096,
        description="直接读取窗口文件,不惊动筛查进程;可能含尚未落入日志的一批。\n\n"
        "Read from the windows' file beside the screening process, which is not asked. They may hold a batch that has "
        "yet to be journalled.",
    )
    def values(data: JSONBody[WindowQuery]) -> WindowValues:
        key = numbering.read(data.number).key
        if key_kind(key) != KIND_NUMBER:
            raise Problem(422, "/problems/refused", "Refused", "number is no telephone number.")
        now_ms = desk.now_ms()
        found = answered(lambda: windows.read(key, now_ms // 1000))
        return WindowValues(numbering.mask(key), found is not None, rfc3339_ms(now_ms), found or {})

    return [values]
