"""What the routes of codes share: refusals as problems, documents out of bodies, parameters of lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, TypeVar

from litestar.params import PathParameter, QueryParameter

from hutong.codes.bundles import BundleError
from hutong.codes.console.desk import Paper
from hutong.codes.people.errors import PersonRefused
from hutong.codes.scans.errors import ScanRefused
from hutong.codes.status.errors import StatusRefused
from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.web.api.desk import answered, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.codes.console.bodies import PersonalDocument

Result = TypeVar("Result")
BODY: Final = 32 * 1024
#: Statuses of what may be refused, beside those that every route has.
REFUSALS: Final = (404, 409, 422)
_STATUS: Final = {
    **dict.fromkeys(("no-person", "no-change", "no-appeal", "no-venue", "no-order", "no-link"), 404),
    **dict.fromkeys(
        ("not-allowed", "same-person", "same-agency", "agency", "no-agency", "not-yours", "own-change"), 403
    ),
    **dict.fromkeys(("not-from-here", "changed-meanwhile", "decided", "taken", "over", "not-approved"), 409),
    "busy": 503,
}
Limit = Annotated[int, QueryParameter(ge=1, le=500, description="每页件数 / rows of a page")]
Cursor = Annotated[str, QueryParameter(max_length=200, description="上一页给出的 / of the page before")]
Id = Annotated[str, PathParameter(min_length=1, max_length=100, description="编号 / id")]


def done(work: Callable[[], Result]) -> Result:
    """What the desk answers; a refusal as a problem."""

    def tried() -> Result:
        try:
            return work()
        except (StatusRefused, ScanRefused, PersonRefused) as error:
            raise refused(error, _STATUS.get(error.reason, 422)) from error
        except BundleError as error:
            raise refused(error, 404) from error
        except CaseRefused as error:
            raise refused(error, 409) from error

    return answered(tried)


def paper_of(said: PersonalDocument) -> Paper:
    """The document that a body names."""
    return Paper(said.kind, said.number)
