"""What the pages of access share: the parts they work with, forms, and words for what was refused."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from litestar.enums import RequestEncodingType
from litestar.params import Body
from sqlalchemy.exc import SQLAlchemyError

from hutong.kernel.access.errors import AccessError, Throttled
from hutong.kernel.audit.standing import Standing
from hutong.kernel.metrics import RECORDS_LOST
from hutong.kernel.records import RecordsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from litestar import Request

    from hutong.kernel.access.people import People
    from hutong.kernel.access.sessions import Sessions
    from hutong.kernel.access.tokens import Tokens
    from hutong.kernel.access.trail import Trail
    from hutong.kernel.records import Database
    from hutong.kernel.reporter import Reporter
    from hutong.kernel.web.console import Console
    from hutong.kernel.web.guard import Guard

FORM: Final = Body(media_type=RequestEncodingType.URL_ENCODED)
Fields = Annotated[dict[str, Any], FORM]
"""A form as a handler takes it: a text for each field, a list where one was sent several times."""

_TOO_MANY: Final = 429
_UNFIT: Final = 422


class Desk(msgspec.Struct, frozen=True):
    """The parts that the pages of access work with; `standing` says how the trail stands."""

    database: Database
    people: People
    sessions: Sessions
    tokens: Tokens
    trail: Trail
    guard: Guard
    reporter: Reporter
    token_days: int
    standing: Callable[[], Standing] = Standing

    def record(
        self, request: Request[Any, Any, Any], deed: str, target: str, before: object = None, after: object = None
    ) -> None:
        """Write a deed of the viewer's into the trail; within `database.write()` together with what it is about."""
        viewer = request.user
        self.trail.record(viewer.name, viewer.address, deed, target, before, after, now_ms=self.guard.now_ms())

    @contextmanager
    def anyway(self, request: Request[Any, Any, Any], deed: str) -> Iterator[None]:
        """Go on where the records fail; that is logged and counted. Only for what takes rights away."""
        try:
            yield
        except (RecordsError, SQLAlchemyError) as error:
            self.reporter.metrics.add(RECORDS_LOST, deed=deed)
            log, name = self.reporter.log, request.user.name
            log.error("records failed", deed=deed, account=name, exc_info=error)  # noqa: TRY400  # a level of the reference


def text_of(fields: dict[str, Any], name: str) -> str:
    """A field's text; the first where it was sent several times, "" where it was not."""
    value = fields.get(name, "")
    if isinstance(value, list):
        value = value[0]
    return value if isinstance(value, str) else ""


def texts_of(fields: dict[str, Any], name: str) -> list[str]:
    """Every text of a field."""
    value = fields.get(name, [])
    return [it for it in (value if isinstance(value, list) else [value]) if isinstance(it, str)]


def words_for(console: Console, request: Request[Any, Any, Any], error: AccessError) -> str:
    """What was refused, and what to do, in the reader's language."""
    seconds = error.retry_after_s if isinstance(error, Throttled) else 0
    return console.say(request, f"reason.{error.reason}", seconds=seconds)


def status_of(error: AccessError) -> int:
    """The status of a page that shows the form again."""
    return _TOO_MANY if isinstance(error, Throttled) else _UNFIT
