"""The public API of appeals: the same steps as the pages, for programs of operators' own portals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from litestar import Request, get, post
from litestar.params import FromPath, JSONBody  # noqa: TC002  # Litestar reads the annotations

from hutong.appeals.bodies import AskCode, CodeSent, NewAppeal, NumberTold, ReceiptTold, ShowCode
from hutong.appeals.model import AppealRefused
from hutong.appeals.public_desk import NoNumber, PublicDesk, TooMuch
from hutong.appeals.told import block_told, receipt_told
from hutong.kernel.errors import HutongError
from hutong.kernel.one_time import CODE_MS
from hutong.kernel.web.guard import OPEN
from hutong.kernel.web.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.handlers import HTTPRouteHandler

AnyRequest = Request[Any, Any, Any]
Result = TypeVar("Result")
_LONGEST: Final = 40 * 1024
_STATUS: Final = {"not-proven": 403, "no-appeal": 404, "not-blocked": 409}


def answered(work: Callable[[], Result]) -> Result:
    """What the desk answers.

    Raises:
        Problem: 429, 403, 404, 409, 422, 503.
    """
    try:
        return work()
    except TooMuch as error:
        headers = {"Retry-After": str(error.wait_s)}
        raise Problem(429, "/problems/too-many-requests", "Too many requests", str(error), headers=headers) from error
    except AppealRefused as error:
        status = _STATUS.get(error.reason, 422)
        raise Problem(status, f"/problems/appeal-{error.reason}", "Refused", str(error)) from error
    except NoNumber as error:
        raise Problem(422, "/problems/no-number", "No number", str(error)) from error
    except HutongError as error:
        raise Problem(503, "", "Service Unavailable", "Try again later.", headers={"Retry-After": "5"}) from error


def routes(desk: PublicDesk, address: Callable[[AnyRequest], str]) -> list[HTTPRouteHandler]:
    """`/v1/appeals/…` of the public port."""

    async def admit(request: AnyRequest) -> None:
        answered(lambda: desk.admit(address(request)))

    open_: dict[str, Any] = {"opt": OPEN, "before_request": admit, "sync_to_thread": True}
    body: dict[str, Any] = {**open_, "request_max_body_size": _LONGEST}

    @post("/v1/appeals/codes", **body, status_code=202, operation_id="askAppealCode")
    def ask(request: AnyRequest, data: JSONBody[AskCode]) -> CodeSent:
        """不论号码是否被拦截,应答相同 / The answer is the same whether the number is blocked or not."""
        if not desk.ready:
            raise Problem(503, "/problems/no-codes", "No codes", "Codes cannot be sent from this node.")
        return CodeSent(answered(lambda: desk.ask(data.number, address(request), data.language)), CODE_MS // 60_000)

    @post("/v1/appeals/proofs", **body, status_code=200, operation_id="proveAppealCode")
    def prove(data: JSONBody[ShowCode]) -> NumberTold:
        """验证码正确则告知原因 / A right code is answered with what blocks the number."""

        def told() -> NumberTold:
            proof = desk.prove(data.ticket, data.code)
            if proof is None:
                raise AppealRefused("not-proven", "The code is wrong, too old, or was tried too often.")
            it = desk.why(proof)
            receipt = it.waiting.receipt if it.waiting else ""
            return NumberTold(proof, it.number, [block_told(block) for block in it.blocks], receipt)

        return answered(told)

    @post("/v1/appeals", **body, status_code=201, operation_id="fileAppeal")
    def file(data: JSONBody[NewAppeal]) -> ReceiptTold:
        """同一号码同时只有一件 / One number has one open appeal; another is the same."""
        return answered(lambda: receipt_told(desk.appeal(data.proof, data.words, data.contact)))

    @get("/v1/appeals/receipts/{receipt:str}", **open_, operation_id="readAppealReceipt")
    def receipt(receipt: FromPath[str]) -> ReceiptTold:
        """申诉进展 / What became of an appeal."""
        return answered(lambda: receipt_told(desk.receipt(receipt)))

    return [ask, prove, file, receipt]
