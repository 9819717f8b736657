"""POST /v1/calls/screen: from the body to call attempts, from answers to the body.

The hot path: no thread, and no disk but for verdicts of an earlier request.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Request, Response, post

from hutong.calls.api.bodies import Call, ItemProblem, Screened, ScreenedCalls, Unscreened
from hutong.calls.asking import wire as asking
from hutong.calls.asking.client import Unavailable
from hutong.calls.asking.wire import Attempt
from hutong.calls.trunks import address_halves
from hutong.kernel.web.api.desk import too_many
from hutong.kernel.web.guard import requires
from hutong.kernel.web.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from litestar.handlers import HTTPRouteHandler

    from hutong.calls.api.meters import ScreeningMeters
    from hutong.calls.api.told import Teller
    from hutong.calls.asking.client import AskClient, Judged
    from hutong.kernel.clock import Clock
    from hutong.kernel.web.api.limits import Buckets

AnyRequest = Request[Any, Any, Any]

_MS: Final = 1_000_000
_BODY_OF_A_CALL: Final = 1024
_BODY: Final = 64 * 1024
_RETRY_S: Final = "1"
UNSCREENED: Final = "The call was not screened. Let it pass (fail open), and ask again for the next one."

_call = msgspec.json.Decoder(Call)
_many = msgspec.json.Decoder(list[Call])
_encode = msgspec.json.Encoder().encode


class _Probe(msgspec.Struct, forbid_unknown_fields=True):
    """A body with several calls, each still unread."""

    calls: list[msgspec.Raw]


class _Name(msgspec.Struct):
    """What can be said of a wrong call."""

    call_id: str


_probe, _name = msgspec.json.Decoder(_Probe), msgspec.json.Decoder(_Name)
_keys = msgspec.json.Decoder(dict[str, msgspec.Raw])


class WrongCall(Exception):  # noqa: N818  # not an error of ours: the sender's
    """A call that cannot be asked about; the text says why."""


def unavailable(detail: str) -> Problem:
    """Screening is away: 503, and what to do with the call."""
    return Problem(
        503,
        "/problems/screening-unavailable",
        "Screening is unavailable",
        f"{detail} {UNSCREENED}",
        headers={"Retry-After": _RETRY_S},
    )


@lru_cache(maxsize=8192)
def _halves(text: str) -> tuple[int, int] | None:
    try:
        return address_halves(text)
    except ValueError:
        return None


def attempt_of(call: Call, now_ms: int) -> Attempt:
    """What the screening process is asked.

    Raises:
        WrongCall: it cannot be.
    """
    source = None
    if call.source:
        source = _halves(call.source)
        if source is None:
            raise WrongCall("source is no IP address. Write IPv4 or IPv6 without a port.")
    elif not call.trunk:
        raise WrongCall("Neither source nor trunk says where the call comes from. Give one of them.")
    texts = (call.call_id, call.caller, call.callee, call.from_, call.diverter, call.trunk)
    if not "".join(texts).isprintable():
        raise WrongCall("A text holds control characters. Leave them out.")
    call_id, caller, callee, from_, diverter, trunk = (text.encode() for text in texts)
    if len(call_id) > asking.MAX_FIELD:
        raise WrongCall(f"call_id is longer than {asking.MAX_FIELD} bytes.")
    return Attempt(call_id, caller, callee, now_ms, from_, diverter, trunk, source, call.anonymous)


def read_call(raw: bytes | msgspec.Raw, now_ms: int) -> Attempt:
    """One call as JSON.

    Raises:
        WrongCall: it is none.
    """
    try:
        return attempt_of(_call.decode(raw), now_ms)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise WrongCall(f"{error}.") from None


def split_body(body: bytes) -> list[msgspec.Raw] | None:
    """The calls of a body that holds several; None where it is one call.

    Raises:
        WrongCall: it is a body with calls, and wrong.
    """
    if b'"calls"' not in body:
        return None
    try:
        if "calls" not in _keys.decode(body):
            return None  # the word stands in some text
        return _probe.decode(body).calls
    except (msgspec.DecodeError, UnicodeError) as error:
        raise WrongCall(f"{error}.") from None


def _wrong(detail: str) -> Problem:
    return Problem(422, "/problems/wrong-call", "The call cannot be read", detail)


def _unscreened(raw: msgspec.Raw, status: int, title: str, detail: str) -> Unscreened:
    try:
        call_id = _name.decode(raw).call_id
    except (msgspec.DecodeError, UnicodeError):
        call_id = None
    return Unscreened(call_id, ItemProblem(status, title, detail))


class Screening:
    """Screens what a request holds.

    Args:
        ask: the screening process.
        teller: makes answers of records.
        repeated: reads a verdict of an earlier request by its number; None where it is not kept.
        clock: the time.
        max_calls: calls in one request.
        calls: bucket of calls by token.
        meters: counts.
    """

    def __init__(
        self,
        ask: AskClient,
        teller: Teller,
        repeated: Callable[[int], Awaitable[Screened | None]],
        clock: Clock,
        *,
        max_calls: int,
        calls: Buckets,
        meters: ScreeningMeters,
    ) -> None:
        self._ask, self._teller, self._repeated, self._clock = ask, teller, repeated, clock
        self._max_calls, self._calls, self._meters = max_calls, calls, meters

    async def screen(self, body: bytes, asker: str) -> bytes:
        """The answer to a body.

        Raises:
            Problem: 422, 429 or 503.
        """
        now = self._clock.wall()
        try:
            raws = split_body(body)
            if raws is None:
                attempt = read_call(body, now // _MS)
        except WrongCall as error:
            self._take(asker, 1, now)
            self._meters.calls("refused", 1)
            raise _wrong(str(error)) from None
        if raws is None:
            self._take(asker, 1, now)
            return _encode(await self._one(attempt))
        if not 0 < len(raws) <= self._max_calls:
            raise _wrong(f"{len(raws)} calls in one request. Send 1 to {self._max_calls}.")
        self._take(asker, len(raws), now)
        return _encode(ScreenedCalls(await self._several(raws, now // _MS)))

    def _take(self, asker: str, calls: int, now: int) -> None:
        wait = self._calls.take(asker, calls, now)
        if wait:
            self._meters.throttled("calls")
            raise too_many(wait, "calls")

    async def _asked(self, attempts: Sequence[Attempt]) -> list[Judged]:
        try:
            return await self._ask.ask(attempts)
        except Unavailable as error:
            self._meters.calls("unavailable", len(attempts))
            raise unavailable(error.what) from error

    async def _one(self, attempt: Attempt) -> Screened:
        (judged,) = await self._asked([attempt])
        told = await self._told(judged, attempt)
        if isinstance(told, Screened):
            return told
        raise _wrong(told.detail) if told.status == 422 else unavailable(told.detail)  # noqa: PLR2004  # the status

    async def _several(self, raws: list[msgspec.Raw], now_ms: int) -> list[Screened | Unscreened]:
        answers: list[Screened | Unscreened | None] = [None] * len(raws)
        attempts, places = [], []
        for at, raw in enumerate(raws):
            try:
                attempts.append(read_call(raw, now_ms))
            except WrongCall as error:
                answers[at] = _unscreened(raw, 422, "The call cannot be read", str(error))
                self._meters.calls("refused", 1)
            else:
                places.append(at)
        count = 0
        for at, attempt, judged in zip(places, attempts, await self._asked(attempts), strict=True):
            if judged.status == asking.JUDGED:
                answers[at] = self._teller.screened(judged.seq, judged.record)
                count += 1
                continue
            told = await self._told(judged, attempt)
            answers[at] = told if isinstance(told, Screened) else Unscreened(attempt.call_id.decode(), told)
        self._meters.calls("judged", count)
        return [answer for answer in answers if answer is not None]

    async def _told(self, judged: Judged, attempt: Attempt) -> Screened | ItemProblem:
        if judged.status == asking.JUDGED:
            self._meters.calls("judged", 1)
            return self._teller.screened(judged.seq, judged.record)
        if judged.status == asking.NO_TRUNK:
            self._meters.calls("refused", 1)
            trunk = attempt.trunk.decode()
            return ItemProblem(422, "No such trunk", f"There is no trunk {trunk!r}; see [[trunks]] of the settings.")
        if judged.status == asking.REPEATED:
            told = await self._repeated(judged.seq)
            if told is not None:
                self._meters.calls("repeated", 1)
                return told
        self._meters.calls("unavailable", 1)
        return ItemProblem(503, "Screening is unavailable", f"The verdict cannot be kept now. {UNSCREENED}")


def screening_routes(screening: Screening, asker_of: Callable[[AnyRequest], str], max_calls: int) -> HTTPRouteHandler:
    """The route."""

    @post(
        "/v1/calls/screen",
        opt={**requires("calls.screen"), "route": "calls.screen"},
        status_code=200,
        request_max_body_size=max(max_calls * _BODY_OF_A_CALL, _BODY),
        media_type="application/json",
        tags=["calls"],
        summary="筛查呼叫 / Screen one call or several",
        description=(
            "与 SIP 相同的判决;答复前已写入日志。筛查不可用时 (503) 请放行。\n\n"
            "The same judgement as over SIP; each verdict is in the journal before it is answered. A single call is "
            "answered with its verdict or a problem. Several (`calls`) are answered one by one, and a wrong one spoils "
            "no other. Where screening is away (503), let the call pass. Numbers are not repeated in answers."
        ),
        operation_id="screenCalls",
    )
    async def screen(request: AnyRequest) -> Response[bytes]:
        return Response(await screening.screen(await request.body(), asker_of(request)), media_type="application/json")

    return screen
