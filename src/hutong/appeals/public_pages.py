"""The public pages: number, code, why, appeal, receipt. Forms without script and without cookies.

What proves the asker goes along in the forms: a ticket that belongs to a code, then a proof. Receipts alone stand in
addresses, for people keep them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from litestar import MediaType, Request, Response, get, post
from litestar.concurrency import sync_to_thread
from litestar.params import FromPath  # noqa: TC002  # Litestar reads the annotation

from hutong.appeals.model import LONGEST_CONTACT, LONGEST_WORDS, AppealRefused
from hutong.appeals.public_desk import NoNumber, TooMuch
from hutong.appeals.told import receipt_told
from hutong.kernel.web.console import time_element
from hutong.kernel.web.guard import OPEN
from hutong.kernel.web.problems import ToldError
from hutong.kernel.web.texts import choose_language

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.handlers import HTTPRouteHandler

    from hutong.appeals.public_desk import PublicDesk
    from hutong.kernel.web.frame import Frame

HOME: Final = Path(__file__).resolve().parent
STATIC: Final = HOME / "static"
#: Bytes of a form: 2,000 characters of any script, each of which takes up to twelve where forms are encoded.
_LONGEST: Final = 40 * 1024
_FIELDS: Final = 10
_NO_STORE: Final = {"Cache-Control": "no-store", "Vary": "Accept-Language"}
_ZONE: Final = ZoneInfo("Asia/Shanghai")
AnyRequest = Request[Any, Any, Any]
Result = TypeVar("Result")


class PublicPages:
    """Makes the pages.

    Args:
        frame: with the folder of appeals. desk: what is told and done. node: this node's name.
        address: where a request comes from.
    """

    def __init__(self, frame: Frame, desk: PublicDesk, node: str, address: Callable[[AnyRequest], str]) -> None:
        self._frame, self._desk, self._node, self._address = frame, desk, node, address

    def language(self, request: AnyRequest) -> str:
        """The reader's."""
        return choose_language(request.query_params.get("lang"), request.headers.get("accept-language", ""))

    def page(
        self,
        request: AnyRequest,
        template: str,
        status: int = 200,
        **values: Any,  # noqa: ANN401  # a template takes any value
    ) -> Response[str]:
        """A page for this reader."""
        language = self.language(request)

        def when(ms: int) -> object:
            return time_element(ms, _ZONE, "minute")

        text = self._frame.render(template, language, node=self._node, when=when, **values)
        headers = {**_NO_STORE, "Content-Language": language}
        return Response(text, status_code=status, media_type=MediaType.HTML, headers=headers)

    async def admit(self, request: AnyRequest) -> None:
        """Litestar's `before_request`: refuses a flood before anything of it is read.

        Raises:
            ToldError: 429.
        """
        self.allowed(lambda: self._desk.admit(self._address(request)))

    @staticmethod
    def allowed(work: Callable[[], Result]) -> Result:
        """What may be too much.

        Raises:
            ToldError: 429, and when to come back.
        """
        try:
            return work()
        except TooMuch as error:
            told = ToldError(429, str(error), "busy")
            told.headers = {"Retry-After": str(error.wait_s)}
            raise told from error

    def start(self, request: AnyRequest, *, wrong: str = "", number: str = "") -> Response[str]:
        """The first step."""
        status = 422 if wrong else 200
        return self.page(request, "appeal_start.html", status, wrong=wrong, number=number, ready=self._desk.ready)

    def code(self, request: AnyRequest, number: str) -> Response[str]:
        """The second step: a code was sent, or so it looks."""
        if not self._desk.ready:
            return self.start(request)
        try:
            address, language = self._address(request), self.language(request)
            ticket = self.allowed(lambda: self._desk.ask(number, address, language))
        except NoNumber:
            return self.start(request, wrong="number", number=number[:40])
        return self.page(request, "appeal_code.html", ticket=ticket, wrong=False)

    def why(self, request: AnyRequest, ticket: str, code: str) -> Response[str]:
        """The third step: why, and the form of the appeal."""
        proof = self._desk.prove(ticket, code)
        if proof is None:
            return self.page(request, "appeal_code.html", 422, ticket=ticket[:64], wrong=True)
        return self.reasons(request, proof)

    def reasons(
        self, request: AnyRequest, proof: str, wrong: str = "", words: str = "", contact: str = ""
    ) -> Response[str]:
        """Why the number is blocked, once it is proven."""
        standing = self._desk.why(proof)
        return self.page(
            request,
            "appeal_why.html",
            422 if wrong else 200,
            proof=proof,
            it=standing,
            wrong=wrong,
            words=words[:LONGEST_WORDS],
            contact=contact[:LONGEST_CONTACT],
            longest=LONGEST_WORDS,
            longest_contact=LONGEST_CONTACT,
        )

    def appeal(self, request: AnyRequest, fields: dict[str, str]) -> Response[str]:
        """The last step: an appeal comes in."""
        proof, words, contact = (fields.get(name, "") for name in ("proof", "words", "contact"))
        try:
            appeal = self._desk.appeal(proof, words, contact)
        except AppealRefused as error:
            if error.reason in {"words", "contact", "not-blocked"}:
                return self.reasons(request, proof, error.reason, words, contact)
            return self.start(request, wrong=error.reason)
        return _go(f"/appeal/receipts/{appeal.receipt}", self.language(request), request)

    def receipt(self, request: AnyRequest, text: str) -> Response[str]:
        """What became of an appeal."""
        try:
            appeal = self._desk.receipt(text)
        except AppealRefused:
            return self.page(request, "appeal_start.html", 404, wrong="receipt", number="", ready=self._desk.ready)
        return self.page(request, "appeal_receipt.html", it=receipt_told(appeal))

    def find_receipt(self, request: AnyRequest, text: str) -> Response[str]:
        """Lead to the page of a receipt."""
        try:
            receipt = self._desk.receipt(text).receipt
        except AppealRefused:
            return self.receipt(request, "")
        return _go(f"/appeal/receipts/{receipt}", self.language(request), request)


def _go(place: str, language: str, request: AnyRequest) -> Response[str]:
    said = f"?lang={language}" if "lang" in request.query_params else ""
    return Response("", status_code=303, media_type=MediaType.TEXT, headers={**_NO_STORE, "Location": place + said})


async def _fields(request: AnyRequest) -> dict[str, str]:
    """The form, read here: Litestar's own reader keeps what it read, codes included."""
    body = (await request.body()).decode("utf-8", "replace")
    try:
        return {name: values[-1] for name, values in parse_qs(body, max_num_fields=_FIELDS).items()}
    except ValueError:
        return {}


def routes(pages: PublicPages) -> list[HTTPRouteHandler]:
    """`/appeal` and what follows from it."""
    form: dict[str, Any] = {
        "opt": OPEN,
        "before_request": pages.admit,
        "request_max_body_size": _LONGEST,
        "status_code": 200,
    }

    @get("/appeal", opt=OPEN, before_request=pages.admit, sync_to_thread=True)
    def start(request: AnyRequest) -> Response[str]:
        """Whose number is blocked begins here."""
        return pages.start(request)

    @post("/appeal/code", **form)
    async def code(request: AnyRequest) -> Response[str]:
        """Send a code."""
        fields = await _fields(request)
        return await sync_to_thread(pages.code, request, fields.get("number", ""))

    @post("/appeal/why", **form)
    async def why(request: AnyRequest) -> Response[str]:
        """Prove the code, and read why."""
        fields = await _fields(request)
        return await sync_to_thread(pages.why, request, fields.get("ticket", ""), fields.get("code", ""))

    @post("/appeal/file", **form)
    async def file(request: AnyRequest) -> Response[str]:
        """Appeal."""
        return await sync_to_thread(pages.appeal, request, await _fields(request))

    @post("/appeal/receipt", **form)
    async def find(request: AnyRequest) -> Response[str]:
        """Look up a receipt."""
        fields = await _fields(request)
        return await sync_to_thread(pages.find_receipt, request, fields.get("receipt", ""))

    @get("/appeal/receipts/{receipt:str}", opt=OPEN, before_request=pages.admit, sync_to_thread=True)
    def receipt(request: AnyRequest, receipt: FromPath[str]) -> Response[str]:
        """What became of an appeal."""
        return pages.receipt(request, receipt)

    return [start, code, why, file, find, receipt]
