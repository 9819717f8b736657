"""The messages: a call attempt, what became of one, a verdict about one. JSON ⇄ values, pure.

`docs/operate/scale.md` shows them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from hutong.calls.asking import wire as asking
from hutong.calls.feed.wire import Told
from hutong.calls.outcomes import PHASE_ANSWERED, PHASE_ENDED
from hutong.calls.trunks import address_halves
from hutong.kernel.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Container

#: Nobody waits for the answer to a message: its time budget never ends.
_NO_HURRY: Final = 1 << 62
#: The final response that an unanswered call's Q.850 cause stands for (RFC 3398 §7.2.4.1); any other means that the
#: service was not available. Where a caller gives up there is no cause but normal clearing: it has cancelled.
_STATUS_OF: Final = {
    **dict.fromkeys((0, 16), 487),
    **dict.fromkeys((1, 2, 3, 26), 404),
    17: 486,
    18: 408,
    **dict.fromkeys((19, 20, 31), 480),
    **dict.fromkeys((21, 55, 57, 87), 403),
    **dict.fromkeys((22, 23), 410),
    27: 502,
    28: 484,
    **dict.fromkeys((29, 69, 79), 501),
    **dict.fromkeys((65, 70), 488),
    102: 504,
    **dict.fromkeys((111, 127), 500),
}
_UNAVAILABLE, _LAST_CAUSE, _FIRST_STATUS = 503, 127, 300
_Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=7 * 24 * 3_600_000)]


class CallEvent(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """A call attempt; members as in `POST /v1/calls/screen`, others are passed over."""

    call_id: str
    callee: str
    caller: str = ""
    source: str = ""
    trunk: str = ""
    from_: str = ""
    diverter: str = ""
    anonymous: bool = False


class OutcomeEvent(msgspec.Struct, frozen=True):
    """What became of a call; members that are not here are passed over.

    Attributes:
        call_id: the call's.
        event: it was answered, or it ended.
        answered: of one that ended, whether it had been answered; `talk_ms` then counts.
        ring_ms: from the attempt to the answer, or to the end where there was none.
        talk_ms: from the answer to the end.
        release: Q.850 cause (below 128) or SIP status (300 and above); 0 = not known.
    """

    call_id: str
    event: Literal["answered", "ended"]
    answered: bool = False
    ring_ms: _Milliseconds = 0
    talk_ms: _Milliseconds = 0
    release: Annotated[int, msgspec.Meta(ge=0, le=699)] = 0


class Fired(msgspec.Struct, frozen=True):
    """A rule that fired, and whether it decided."""

    id: str
    decided: bool


class Source(msgspec.Struct, frozen=True):
    """The message that a verdict is about."""

    topic: str
    partition: int
    offset: int


class VerdictEvent(msgspec.Struct, frozen=True):
    """A verdict.

    Attributes:
        id: the same in every repetition, and on every node that judges the same message: receivers drop what they have.
        node, seq: who gave it, and its number there. time: RFC 3339, UTC.
        source: the message it is about; None where the call came another way.
        caller, callee: masked, or whole where the settings say so. caller_ref, callee_ref: pseudonyms of this node.
        action, code, reason, rules, trunk, flags: as in the answer of `POST /v1/calls/screen`.
    """

    id: str
    node: str
    seq: int
    time: str
    source: Source | None
    call_id: str
    caller: str
    callee: str
    caller_ref: str
    callee_ref: str
    trunk: str
    action: str
    code: int
    reason: dict[str, str]
    rules: tuple[Fired, ...]
    flags: tuple[str, ...]


_call = msgspec.json.Decoder(CallEvent)
_outcome = msgspec.json.Decoder(OutcomeEvent)


@lru_cache(maxsize=8192)
def _halves(text: str) -> tuple[int, int] | None:
    try:
        return address_halves(text)
    except ValueError:
        return None


def message_id(topic: str, partition: int, offset: int) -> str:
    """What a message, and the verdict about it, is called for ever."""
    return f"{topic}/{partition}/{offset}"


def read_call(value: bytes | None, trunks: Container[str]) -> asking.Attempt:
    """The call attempt in a message.

    Args:
        value: JSON. trunks: names that exist.

    Raises:
        CodecError: it holds none; the text says why and repeats no number.
    """
    if value is None:
        raise CodecError("the message is empty.")
    try:
        it = _call.decode(value)
        parts = [part.encode() for part in (it.call_id, it.caller, it.callee, it.from_, it.diverter, it.trunk)]
    except (msgspec.DecodeError, UnicodeError) as error:
        raise CodecError(f"the message is no call: {error}.") from None
    if not it.call_id or not it.callee:
        raise CodecError("call_id or callee is empty.")
    if max(map(len, parts)) > asking.MAX_FIELD:
        raise CodecError(f"a text is longer than {asking.MAX_FIELD} bytes.")
    if not (it.call_id + it.caller + it.callee + it.from_ + it.diverter).isprintable():
        raise CodecError("a text holds control characters.")
    if it.trunk and it.trunk not in trunks:
        raise CodecError("there is no trunk of this name; see [[trunks]] of the settings.")
    source = _halves(it.source) if it.source else None
    if it.source and source is None:
        raise CodecError("source is no IP address.")
    if not it.trunk and source is None:
        raise CodecError("neither source nor trunk says where the call comes from.")
    call_id, caller, callee, from_, diverter, trunk = parts
    return asking.Attempt(call_id, caller, callee, _NO_HURRY, from_, diverter, trunk, source, it.anonymous)


def read_outcome(value: bytes | None) -> Told:
    """What a message says became of a call.

    Args:
        value: JSON.

    Raises:
        CodecError: it says nothing of a call; the text says why and repeats no number.
    """
    if value is None:
        raise CodecError("the message is empty.")
    try:
        it = _outcome.decode(value)
        call_id = it.call_id.encode()
    except (msgspec.DecodeError, UnicodeError) as error:
        raise CodecError(f"the message is no outcome: {error}.") from None
    if not call_id or len(call_id) > asking.MAX_FIELD or not it.call_id.isprintable():
        raise CodecError(f"call_id is empty, longer than {asking.MAX_FIELD} bytes, or holds control characters.")
    if _LAST_CAUSE < it.release < _FIRST_STATUS:
        raise CodecError("release is neither a Q.850 cause nor the SIP status of a refusal.")
    if it.event == "answered":
        return Told(call_id, PHASE_ANSWERED, True, it.ring_ms, 0, 0, 0)  # noqa: FBT003  # a row of the frame
    cause = it.release if it.release <= _LAST_CAUSE else 0
    status = 0
    if not it.answered:
        status = it.release if it.release >= _FIRST_STATUS else _STATUS_OF.get(cause, _UNAVAILABLE)
    return Told(call_id, PHASE_ENDED, it.answered, it.ring_ms, it.talk_ms, status, cause)
