"""The console's pages of cases: work, the wall of what is late, lists, one case with its story, registers.

Belongs here: routes and what they show. Not here: what may be done with a case (`machine`), where cases are kept
(`store`). Templates, texts and styles stand in the folder above.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hutong.kernel.cases.pages import deeds, finding, lists, register_pages, story, work
from hutong.kernel.cases.pages.desk import CaseDesk, Link, Person

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

__all__ = ["HOME", "STATIC", "CaseDesk", "Link", "Person", "case_routes"]

HOME = Path(__file__).resolve().parents[1]
STATIC = HOME / "static"


def case_routes(desk: CaseDesk) -> list[HTTPRouteHandler]:
    """Every page of cases and registers.

    Args:
        desk: what they work with; its console's frame was given `HOME`.
    """
    return [
        *work.routes(desk),
        *lists.routes(desk),
        *finding.routes(desk),
        *story.routes(desk),
        *deeds.routes(desk),
        *register_pages.routes(desk),
    ]
