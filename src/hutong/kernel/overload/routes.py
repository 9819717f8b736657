"""Which class a path is of. Pure; the table itself comes from `hutong.app`, where paths are put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hutong.kernel.overload.classes import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence


class Route(NamedTuple):
    """A path with all below it, and its class; None for what is never refused (health, static files)."""

    prefix: str
    kind: Kind | None


class Routes:
    """The longest prefix that fits decides; what none fits is history.

    Args:
        routes: the table. best: the best class that there is at this listener. Only stations have critical requests:
            on a listener for everybody the same paths count as scans.
    """

    def __init__(self, routes: Sequence[Route], best: Kind = Kind.SCAN) -> None:
        self._kinds = {it.prefix.strip("/"): it.kind for it in routes}
        self._best = best

    def kind(self, path: str) -> Kind | None:
        """The class of a path; several slashes are one, as routers take them."""
        parts = [part for part in path.split("/") if part]
        for length in range(len(parts), -1, -1):
            prefix = "/".join(parts[:length])
            if prefix in self._kinds:
                kind = self._kinds[prefix]
                return None if kind is None else max(kind, self._best)
        return Kind.HISTORY
