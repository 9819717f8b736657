"""Several ASGI applications on one listener, each below paths of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litestar.types import ASGIApp, Receive, Scope, Send


class Mounts:
    """One application of several.

    Args:
        under: by path; each serves it and all below it. otherwise: serves what is under none, and lifespan.
    """

    def __init__(self, under: Mapping[str, ASGIApp], otherwise: ASGIApp) -> None:
        self._under = sorted(under.items(), key=lambda it: -len(it[0]))
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        path = str(scope.get("path", ""))
        for below, application in self._under:
            if path == below or path.startswith(f"{below}/"):
                await application(scope, receive, send)
                return
        await self._otherwise(scope, receive, send)
