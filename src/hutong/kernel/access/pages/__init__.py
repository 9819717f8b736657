"""The pages of access: signing in, one's own account, tokens, people, the trail.

Belongs here: routes and what they show. Not here: what they ask (`kernel.access`), the frame (`kernel.web`). The
templates, texts and styles stand in the folder above: the frame is given `HOME`, the static files `STATIC`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hutong.kernel.access.pages import account, agencies, people, signin, tokens, trail
from hutong.kernel.access.pages.desk import Desk

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.access.pages.signin import ProviderPort
    from hutong.kernel.web.console import Console

__all__ = ["HOME", "STATIC", "Desk", "access_routes"]

HOME = Path(__file__).resolve().parents[1]
STATIC = HOME / "static"


def access_routes(console: Console, desk: Desk, provider: ProviderPort | None = None) -> list[HTTPRouteHandler]:
    """Every route of access.

    Args:
        console: whose frame was given `HOME`.
        desk: what the pages work with.
        provider: the OpenID provider; None where none is set.
    """
    return [
        *signin.routes(console, desk, provider),
        *account.routes(console, desk),
        *tokens.routes(console, desk),
        *people.routes(console, desk),
        *agencies.routes(console, desk),
        *trail.routes(console, desk),
    ]
