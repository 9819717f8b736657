"""What several routes share: who asks, how much they may ask, whole numbers only once the trail knows, times."""

from __future__ import annotations

import hashlib
import math
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Protocol, TypeVar
from urllib.parse import unquote_to_bytes

from litestar import Request
from litestar.params import HeaderParameter, QueryParameter

from hutong.kernel.errors import HutongError
from hutong.kernel.reporter import masked
from hutong.kernel.web.guard import demand, requires
from hutong.kernel.web.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.kernel.access.viewer import Viewer
    from hutong.kernel.clock import Clock
    from hutong.kernel.web.api.limits import Buckets
    from hutong.kernel.web.api.meters import Meters

AnyRequest = Request[Any, Any, Any]
Result = TypeVar("Result")

_MS: Final = 1_000_000
PURPOSE: Final = "Hutong-Purpose"
"""The header that says what for: addresses are logged, and a purpose may name people."""
LONGEST_PURPOSE: Final = 500
LONGEST_ENCODED: Final = LONGEST_PURPOSE * len("%E4%B8%BA")
_LAST_MS: Final = 1 << 62

Purpose = Annotated[
    str,
    HeaderParameter(
        name=PURPOSE,
        max_length=LONGEST_ENCODED,
        pattern=r"^[\x20-\x7e]*$",
        description="用途:UTF-8 百分号编码 / what for: UTF-8, percent-encoded",
    ),
]
Unmask = Annotated[bool, QueryParameter(description="显示完整号码,须说明用途 / show whole numbers; needs a purpose")]


class TrailPort(Protocol):
    """Where deeds are recorded (`kernel.access.trail`)."""

    def record(
        self,
        who: str,
        address: str,
        deed: str,
        target: str = "",
        before: object = None,
        after: object = None,
        purpose: str = "",
        *,
        now_ms: int,
    ) -> int:
        """Add a deed; raises HutongError where it could not be kept."""


def asker_of(request: AnyRequest) -> str:
    """Which token asks: a digest of its secret, for limits and nothing else."""
    secret = request.headers.get("authorization", "")
    return hashlib.blake2b(secret.encode(), digest_size=16).hexdigest()


class Desk:
    """Limits requests and records deeds.

    Args:
        trail: where deeds go.
        clock: the time.
        requests: bucket of requests by token.
        meters: counts.
    """

    def __init__(self, trail: TrailPort, clock: Clock, requests: Buckets, meters: Meters) -> None:
        self._trail, self._clock, self._requests, self._meters = trail, clock, requests, meters

    def now_ms(self) -> int:
        """Ms since 1970 UTC."""
        return self._clock.wall() // _MS

    def now_s(self) -> int:
        """Seconds since 1970 UTC."""
        return self.now_ms() // 1000

    async def limit(self, request: AnyRequest) -> None:
        """Litestar's `before_request`: one request of its token's.

        Raises:
            Problem: 429.
        """
        wait = self._requests.take(asker_of(request), 1, self._clock.wall())
        if wait:
            self._meters.throttled("requests")
            raise too_many(wait, "requests")

    def record(self, request: AnyRequest, deed: str, **what: Any) -> None:  # noqa: ANN401  # as `Trail.record`
        """Put a deed on the trail.

        Raises:
            Problem: 503, it cannot be kept, so it must not be done.
        """
        viewer: Viewer = request.user
        try:
            self._trail.record(viewer.name, viewer.address, deed, **what, now_ms=self.now_ms())
        except HutongError as error:
            raise trail_unavailable() from error

    def unmask(
        self,
        request: AnyRequest,
        purpose: str,
        permission: str = "numbers.unmask",
        **what: Any,  # noqa: ANN401  # as above
    ) -> None:
        """Record that whole numbers will be shown; `purpose` is the header's value.

        Raises:
            RefusedError: the permission is lacking.
            Problem: 422 without a purpose, 503 where it cannot be recorded.
        """
        viewer: Viewer = request.user
        demand(viewer, permission)
        self.record(request, "numbers.unmask", purpose=read_purpose(purpose), **what)
        self._meters.unmasked()


def operation(
    desk: Desk, tag: str, permission: str, route: str, id_: str, summary: str, *problems: int
) -> dict[str, Any]:
    """What every route that answers in a thread declares alike: `@get(path, **operation(…))`.

    Args:
        desk: limits its requests.
        tag, id_, summary: as in the API's document; the summary in both languages.
        permission: who may ask.
        route: its name in the figures.
        problems: statuses of errors that not every route has.
    """
    return {
        "opt": {**requires(permission), "route": route, "problems": problems},
        "before_request": desk.limit,
        "sync_to_thread": True,
        "tags": [tag],
        "summary": summary,
        "operation_id": id_,
    }


def too_many(wait_s: float, limit: str) -> Problem:
    """The token asks too much: 429, and when to come back."""
    return Problem(
        429,
        "/problems/too-many-requests",
        "Too many requests",
        f"This token's {limit} a second are used up. Come back in {wait_s:.2f} s.",
        headers={"Retry-After": str(max(math.ceil(wait_s), 1))},
    )


def trail_unavailable() -> Problem:
    """503: what cannot be kept on the trail is not done."""
    return Problem(
        503,
        "/problems/trail-unavailable",
        "The trail cannot be written",
        "Nothing was done and nothing is shown: it could not be recorded who did it. Try again later.",
        headers={"Retry-After": "5"},
    )


def read_purpose(header: str) -> str:
    """What for, from the value of the header PURPOSE.

    Raises:
        Problem: 422, it says nothing, or what `read_header` raises.
    """
    said = read_header(header, PURPOSE)
    if not said:
        raise Problem(
            422, "/problems/purpose-missing", "No purpose", f"Say in the header {PURPOSE} what the purpose of this is."
        )
    return said


def read_header(header: str, name: str) -> str:
    """The text of a header: UTF-8, percent-encoded, because headers hold no other scripts.

    Raises:
        Problem: 422, it says too much, or is not encoded so.
    """
    kind, title = ("purpose", "Purpose") if name == PURPOSE else ("header", "Header")
    try:
        said = unquote_to_bytes(header.encode("ascii")).decode().strip()
    except ValueError:
        detail = f"{name} is not percent-encoded UTF-8."
        raise Problem(422, f"/problems/{kind}-unreadable", f"{title} unreadable", detail) from None
    if len(said) > LONGEST_PURPOSE:
        detail = f"{name} has more than {LONGEST_PURPOSE} characters."
        raise Problem(422, f"/problems/{kind}-unreadable", f"{title} unreadable", detail)
    return said


def refused(error: HutongError, status: int = 422) -> Problem:
    """Something that a person can put right, as a problem. What was sent is repeated with its numbers masked."""
    where = f"{error.where}: " if error.where else ""
    return Problem(status, "/problems/refused", "Refused", masked(f"{where}{error.what} {error.fix}".strip()))


def answered(work: Callable[[], Result]) -> Result:
    """What a desk answers; where a part of the node fails it, a problem.

    Raises:
        Problem: 503.
    """
    try:
        return work()
    except HutongError as error:
        raise refused(error, 503) from error


def not_found(what: str) -> Problem:
    """404."""
    return Problem(404, "", "Not Found", what)


def read_ms(text: str, name: str, missing: int) -> int:
    """Ms since 1970 of an RFC 3339 time; `missing` for an empty text.

    Raises:
        Problem: 422, it is none.
    """
    if not text:
        return missing
    try:
        # In a query, + means a space: the offset's own sign is given back to it.
        moment = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text.strip())
        if moment.tzinfo is not None:
            return min(max(int(moment.timestamp() * 1000), 0), _LAST_MS)
    except (ValueError, OverflowError):
        pass
    raise Problem(
        422, "/problems/refused", "Refused", f"{name} is no time with its offset, such as 2026-03-01T00:00:00+08:00."
    )
