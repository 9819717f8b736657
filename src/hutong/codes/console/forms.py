"""What the pages of codes share: what forms say, why something was refused, pages that follow one another."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlencode

import msgspec
from litestar import Request
from litestar.params import URLEncodedBody

from hutong.codes.console.desk import Paper
from hutong.codes.people.documents import KINDS as DOCUMENT_KINDS
from hutong.codes.people.errors import PersonRefused
from hutong.codes.scans.errors import ScanRefused
from hutong.codes.status.errors import StatusRefused
from hutong.kernel.errors import HutongError, Refused
from hutong.kernel.reporter import masked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from zoneinfo import ZoneInfo

    from litestar import Response

    from hutong.codes.console.desk import StaffDesk
    from hutong.codes.status.words import Language
    from hutong.kernel.web.console import Console

AnyRequest = Request[Any, Any, Any]
Form = URLEncodedBody[dict[str, str]]
Row = TypeVar("Row")

#: Rows of a page.
SIZE: Final = 50
REFUSED: Final = 422
GONE: Final = 409
#: Refusals that somebody else's deed is the reason of.
_MEANWHILE: Final = frozenset({"not-from-here", "changed-meanwhile", "decided", "taken", "over"})
_LONGEST: Final = 1000
#: Kinds of refusals, by what their texts begin with.
_OF: Final = ((StatusRefused, "status"), (ScanRefused, "scans"), (PersonRefused, "people"))


class Pages:
    """What every page of codes has.

    Args:
        console: makes the pages. desk: where codes are worked on.
    """

    def __init__(self, console: Console, desk: StaffDesk) -> None:
        self.console, self.desk = console, desk

    @property
    def now_ms(self) -> int:
        """Ms since 1970 UTC."""
        return self.console.now_ms()

    def language(self, request: AnyRequest) -> Language:
        """The reader's language, as colours are told in it."""
        return "zh" if self.console.language(request) == "zh" else "en"

    def filled(
        self,
        request: AnyRequest,
        template: str,
        values: Mapping[str, str],
        trouble: str,
        **more: Any,  # noqa: ANN401  # as `Console.page`
    ) -> Response[str]:
        """A page with a form as it was typed, and what was wrong with it; empty = nothing."""
        status = REFUSED if trouble else 200
        return self.console.page(request, template, status=status, values=values, trouble=trouble, **more)

    def trouble(self, request: AnyRequest, error: HutongError) -> str:
        """Why something was refused, in the reader's language."""
        return refusal(error, lambda key, **places: self.console.say(request, key, **places), self.console.frame.texts)


def refusal(error: HutongError, say: Any, known: Any) -> str:  # noqa: ANN401  # a function of texts, and the texts
    """Why something was refused: in words of the reader's language where there are some."""
    if isinstance(error, Refused):
        for kind, name in _OF:
            key = f"codes_staff.refused.{name}.{error.reason}"
            if isinstance(error, kind) and key in known:
                return str(say(key))
    return str(say("codes_staff.refused.other", what=masked(str(error))))


def status_of(error: HutongError) -> int:
    """The status of a page that says why something was refused."""
    return GONE if getattr(error, "reason", "") in _MEANWHILE else REFUSED


def paper_of(form: Mapping[str, str], prefix: str = "") -> Paper:
    """The identity document that a form names. Raises PersonRefused: "document": there is no such kind."""
    kind = form.get(f"{prefix}kind", "id")
    if kind not in DOCUMENT_KINDS:
        raise PersonRefused("document", "There is no such kind of document.", where="document")
    return Paper(kind, form.get(f"{prefix}number", "")[:64])


def text_of(form: Mapping[str, str], name: str) -> str:
    """A text that a form says."""
    return form.get(name, "").strip()[:_LONGEST]


def whole_of(form: Mapping[str, str], name: str) -> int:
    """A whole number that a form says; 0 for what is none."""
    text = form.get(name, "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < len("1000000000") else 0


def moment_of(form: Mapping[str, str], name: str, zone: ZoneInfo) -> int:
    """Ms since 1970 of a form's time, in the reader's zone; 0 for what is none."""
    try:
        return max(round(datetime.fromisoformat(form.get(name, "")).replace(tzinfo=zone).timestamp() * 1000), 0)
    except (ValueError, OverflowError):
        return 0


def date_of(form: Mapping[str, str], name: str) -> date | None:
    """A day that a form says; None for what is none."""
    try:
        return date.fromisoformat(form.get(name, ""))
    except ValueError:
        return None


def local(ms: int, zone: ZoneInfo) -> str:
    """A moment as a form's field has it."""
    return datetime.fromtimestamp(ms / 1000, zone).strftime("%Y-%m-%dT%H:%M")


class Paged(msgspec.Struct, frozen=True):
    """Rows of a page, and the addresses of the first page (empty on it) and of the next one (empty on the last)."""

    rows: Sequence[Any]
    first: str
    following: str


def paged(request: AnyRequest, rows: Sequence[Row], cursor: Any, said: str) -> Paged:  # noqa: ANN401  # Row → text
    """A page out of one row more than it has, each followed by `cursor` of its last.

    Args:
        said: the cursor that this page was asked with.
    """
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "after" and value]
    shown, more = rows[:SIZE], len(rows) > SIZE
    following = "?" + urlencode([*kept, ("after", cursor(shown[-1]))]) if more else ""
    return Paged(shown, "?" + urlencode(kept) if said else "", following)


def after_of(request: AnyRequest) -> str:
    """The cursor that a page is asked with."""
    return request.query_params.get("after", "")[:200]
