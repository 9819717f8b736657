"""The public pages of reports: say what happened, get a receipt, see what became of it. No account, no script.

Routes and words only. Floods are kept off by `kernel.web.flood` before they come here. What is looked up goes in forms,
never in addresses, which are logged. A form carries a key of its own, so that sending it twice is one report.
"""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import parse_qs

from litestar import MediaType, Request, Response, get, post

from hutong.kernel.errors import HutongError
from hutong.kernel.web.guard import OPEN
from hutong.kernel.web.texts import LANGUAGES, choose_language
from hutong.reports.csv_batch import told_from
from hutong.reports.errors import ReportError
from hutong.reports.metrics import REFUSED, TAKEN
from hutong.reports.model import KINDS, Origin
from hutong.reports.names import show_name
from hutong.reports.receipts import read_receipt, show_receipt

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.clock import Clock
    from hutong.kernel.reporter import Reporter
    from hutong.kernel.web.frame import Frame
    from hutong.reports.model import Matter
    from hutong.reports.store import Reports

HOME: Final = Path(__file__).resolve().parent
"""Holds `templates/`, `static/` and `texts.toml`."""
STATIC: Final = HOME / "static"
PREFIX: Final = "/report"
_FIELDS: Final = ("kind", "number", "name", "text", "time", "lost", "reporter", "form")
_LONGEST: Final = 32 * 1024
_MOST_FIELDS: Final = 20
#: Threads of their own: whatever floods come, the console's are not theirs.
_THREADS: Final = 2
_MS: Final = 1_000_000
#: No switch of language: the page answers a form, and its address alone does not give it again.
_NO_LINKS: Final[dict[str, str]] = {}
_REFUSED, _UNAVAILABLE = 422, 503
AnyRequest = Request[Any, Any, Any]
Result = TypeVar("Result")


class PublicPages:
    """What the pages share.

    Args:
        frame: renders them. reports: gives what reports go to, once it is asked. clock: the time.
        zone: of times that people write. address_of: where a request comes from. reporter: logs and figures.
        node: this node's name.
    """

    def __init__(  # a page's own parts
        self,
        frame: Frame,
        reports: Callable[[], Reports],
        clock: Clock,
        zone: ZoneInfo,
        address_of: Callable[[AnyRequest], str],
        reporter: Reporter,
        node: str,
    ) -> None:
        self._frame, self._reports, self._clock, self._zone = frame, reports, clock, zone
        self._address_of, self._reporter, self._node = address_of, reporter, node
        self._pool = ThreadPoolExecutor(_THREADS, "reports")

    def routes(self) -> list[HTTPRouteHandler]:
        """`/report` and `/report/receipt`."""

        @get(PREFIX, opt=OPEN, sync_to_thread=False)
        def form(request: AnyRequest) -> Response[str]:
            """What to report, then the form for it."""
            kind = request.query_params.get("kind", "")
            given = {"kind": kind} if kind in KINDS else {}
            return self._form(request, {}, given)

        @post(PREFIX, opt=OPEN, status_code=200, request_max_body_size=_LONGEST)
        async def send(request: AnyRequest) -> Response[str]:
            """Take a report in."""
            given = await _given(request)
            return await self._in_thread(partial(self._take, request, given))

        @get(f"{PREFIX}/receipt", opt=OPEN, sync_to_thread=False)
        def ask(request: AnyRequest) -> Response[str]:
            """Where to write a receipt's number."""
            return self._page(request, {}, "report_receipt.html", wrong=False)

        @post(f"{PREFIX}/receipt", opt=OPEN, status_code=200, request_max_body_size=_LONGEST)
        async def tell(request: AnyRequest) -> Response[str]:
            """What became of a report."""
            given = await _given(request)
            return await self._in_thread(partial(self._tell, request, given))

        return [form, send, ask, tell]

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _form(
        self, request: AnyRequest, said: dict[str, str], given: dict[str, str], error: ReportError | None = None
    ) -> Response[str]:
        values = {name: given.get(name, "") for name in _FIELDS}
        if values["kind"] not in KINDS:
            values["kind"] = ""
        if not values["form"] or (error is not None and error.where == "key"):
            values["form"] = secrets.token_urlsafe(16)
        status = 200 if error is None else _REFUSED
        kind = f"kind={values['kind']}&" if values["kind"] else ""
        links = _NO_LINKS if error else {code: f"{PREFIX}?{kind}lang={code}" for code in LANGUAGES}
        return self._page(
            request, said, "report_form.html", status, values=values, error=error, kinds=KINDS, language_links=links
        )

    def _take(self, request: AnyRequest, given: dict[str, str]) -> Response[str]:
        now_ms = self._clock.wall() // _MS
        try:
            told = told_from(given, self._zone)
            key = f"page:{given['form']}" if given.get("form") else ""
            taken = self._reports().take(
                told, Origin(source="page", address=self._address_of(request), key=key), now_ms
            )
        except ReportError as wrong:
            self._reporter.metrics.add(REFUSED, why="field")
            return self._form(request, given, given, wrong)
        except HutongError as error:
            self._reporter.log.exception("a report could not be taken", errors=str(error))
            return self._page(request, given, "report_failed.html", _UNAVAILABLE)
        if not taken.again:
            self._reporter.metrics.add(TAKEN, kind=told.kind, source="page")
        try:
            self._reports().publish(now_ms)
        except (HutongError, OSError) as error:
            # It is kept: `work` brings the mark within a second.
            self._reporter.log.warning("marks not published, work does it", errors=str(error))
        return self._page(
            request, given, "report_done.html", receipt=show_receipt(taken.receipt), language_links=_NO_LINKS
        )

    def _tell(self, request: AnyRequest, given: dict[str, str]) -> Response[str]:
        receipt = read_receipt(given.get("receipt", ""))
        try:
            found = self._reports().report(receipt) if receipt else None
        except ReportError:
            found = None
        except HutongError as error:
            self._reporter.log.exception("a receipt could not be looked up", errors=str(error))
            return self._page(request, given, "report_failed.html", _UNAVAILABLE)
        if found is None:
            self._reporter.metrics.add(REFUSED, why="receipt")
            return self._page(request, given, "report_receipt.html", _REFUSED, wrong=True)
        report, matter = found
        values: dict[str, Any] = {
            "report": report,
            "matter": matter,
            "receipt": show_receipt(report.receipt),
            "language_links": _NO_LINKS,
            "stands": standing(matter),
            # Masked: whoever holds a receipt need not be the person who reported.
            "subject": shown(matter, self._reports()),
            "day": datetime.fromtimestamp(report.received_ms / 1000, self._zone).strftime("%Y-%m-%d"),
        }
        return self._page(request, given, "report_status.html", **values)

    def _page(
        self,
        request: AnyRequest,
        said: dict[str, str],
        template: str,
        status: int = 200,
        **values: Any,  # noqa: ANN401  # a template takes any value
    ) -> Response[str]:
        wanted = request.query_params.get("lang") or said.get("lang")
        language = choose_language(wanted, request.headers.get("accept-language", ""))
        headers = {"Cache-Control": "no-store", "Content-Language": language, "Vary": "Accept-Language"}
        text = self._frame.render(template, language, node=self._node, **values)
        return Response(text, status_code=status, media_type=MediaType.HTML, headers=headers)


def standing(matter: Matter) -> str:
    """What a receipt's holder is told: received, examined, or the finding of the closed case ("closed" for none)."""
    if matter.state == "closed":
        return matter.finding or "closed"
    return "examined" if matter.state == "open" else "received"


def shown(matter: Matter, reports: Reports) -> str:
    """A subject for people who have stated no purpose: numbers masked, web names whole."""
    if not matter.subject:
        return ""
    if matter.kind == "web":
        return show_name(matter.subject)
    return reports.numbering.mask(matter.key, matter.subject)


async def _given(request: AnyRequest) -> dict[str, str]:
    """The fields of a form, the first of each name; empty for what is no form."""
    body = await request.body()
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}
