"""What the pages of sampling share: what they work with, who asks, refusals in the reader's language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from litestar import Request

from hutong.kernel.errors import Refused
from hutong.kernel.web.tables import export_csv
from hutong.sampling.conflicts import conflict_rules
from hutong.sampling.emergency.model import STATE_TITLES as EMERGENCY_TITLES
from hutong.sampling.emergency.model import Actor
from hutong.sampling.errors import REASON_TITLES
from hutong.sampling.model import RESULT_TITLES, TOLD_TITLES
from hutong.sampling.table import BATCH_TITLES, MOVES, STATE_TITLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from litestar import Response
    from litestar.response import Stream

    from hutong.kernel.access.viewer import Viewer
    from hutong.kernel.districts import Districts
    from hutong.kernel.errors import HutongError
    from hutong.kernel.web.console import Console
    from hutong.kernel.web.tables import TableQuery
    from hutong.sampling.desk import SamplingDesk
    from hutong.sampling.errors import Reason
    from hutong.sampling.figures import Figures
    from hutong.sampling.listing import Listing

AnyRequest = Request[Any, Any, Any]
UNFIT: Final = 422
#: Every so often pages about now look again, in seconds.
EVERY_S: Final = 15
_TITLES: Final = {
    "states": STATE_TITLES,
    "results": RESULT_TITLES,
    "told": TOLD_TITLES,
    "batches": BATCH_TITLES,
    "orders": EMERGENCY_TITLES,
}


class Parts(msgspec.Struct, frozen=True):
    """What the pages work with.

    Attributes:
        imports: folder for what is to be said of files of results; each is there for an hour.
        longest_h: the longest term of an emergency order.
        pair: gives the code that makes a device the station of a district at a time, in ms; see `Pairings.begin`.
    """

    console: Console
    desk: SamplingDesk
    figures: Figures
    listing: Listing
    districts: Districts
    imports: Path
    longest_h: int
    pair: Callable[[str, str, int], str]

    def page(self, request: AnyRequest, template: str, **values: Any) -> Response[str]:  # noqa: ANN401  # a template's
        """A page with what titles are called."""
        language = self.console.language(request)
        shared = {
            **_TITLES,
            "moves": MOVES,
            "rules": conflict_rules(),
            "every": EVERY_S,
            "place": lambda code: self.districts.title(code, language),
        }
        return self.console.page(request, template, **{**shared, **values})

    def export(
        self, request: AnyRequest, name: str, query: TableQuery, header: Sequence[str], rows: Iterable[Sequence[object]]
    ) -> Stream:
        """A table as CSV, on the trail first. Raises RecordsError: it could not be kept there."""
        viewer, now_ms = request.user, self.console.now_ms()
        said = {"filters": query.filters}
        self.desk.trail.record(viewer.name, viewer.address, "tables.export", name, after=said, now_ms=now_ms)
        return export_csv(f"sampling-{name}", header, rows)

    def say(self, request: AnyRequest, key: str, **places: object) -> str:
        """A text in the reader's language."""
        return self.console.say(request, key, **places)

    def refusal(self, request: AnyRequest, error: HutongError) -> str:
        """Why something was refused, in the reader's language, and what it was about."""
        language = self.console.language(request)
        reason = error.reason if isinstance(error, Refused) else ""
        key = f"sampling.refused.{reason}"
        if reason in REASON_TITLES:
            text = REASON_TITLES[cast("Reason", reason)][language]
        else:
            text = (
                self.say(request, key)
                if key in self.console.frame.texts
                else self.say(request, "sampling.refused.file")
            )
        place = f"sampling.field.{error.where}"
        about = self.say(request, place) if place in self.console.frame.texts else error.where
        return f"{text} ({about})" if about else text


def actor_of(viewer: Viewer) -> Actor:
    """Who asks."""
    return Actor(viewer.name, viewer.permissions, viewer.address)
