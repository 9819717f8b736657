"""The messages: a call attempt, a verdict about one. JSON ⇄ values, pure; `docs/operate/scale.md` shows them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from hutong.calls.asking import wire as asking
from hutong.calls.trunks import address_halves
from hutong.kernel.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Container

#: Nobody waits for the answer to a message: its time budget never ends.
_NO_HURRY: Final = 1 << 62


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
