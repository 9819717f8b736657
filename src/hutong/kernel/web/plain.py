"""ASGI without a framework, for the few addresses that a crowd asks: bodies in, answers out, problems in one form.

Here a request costs what its work costs. Not here: routing, who may do what, pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from litestar.types import Receive, Scope, Send

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
NOT_KEPT: Final = ((b"cache-control", b"no-store"),)


class Answer(NamedTuple):
    """What is answered: status, content type, body, further headers."""

    status: int
    type: str
    body: bytes
    more: tuple[tuple[bytes, bytes], ...] = ()


def told(content: object) -> Answer:
    """An answer in JSON that nobody keeps."""
    return Answer(200, JSON, msgspec.json.encode(content), NOT_KEPT)


def problem(status: int, kind: str, why: str, wait_s: int = 0) -> Answer:
    """Why something was not done (RFC 9457).

    Args:
        kind: what the problem is of: the first part of its type. why: the reason, one word. wait_s: Retry-After.
    """
    body = msgspec.json.encode({"type": f"/problems/{kind}-{why}", "status": status, "why": why})
    wait = ((b"retry-after", str(wait_s).encode()),) if wait_s else ()
    return Answer(status, PROBLEM, body, (*NOT_KEPT, *wait))


def bearer(headers: dict[bytes, bytes]) -> str:
    """The token of a request (RFC 6750 §2.1); empty where there is none."""
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def read_body(receive: Receive, most: int) -> bytes | None:
    """The whole body; None where it is longer than `most` bytes, or the asker has gone."""
    parts, length = [], 0
    while True:
        message: Any = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        length += len(part)
        if length > most:
            return None
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


async def send_answer(
    send: Send, answer: Answer, always: Iterable[tuple[bytes, bytes]] = (), *, with_body: bool = True
) -> None:
    """Send an answer with the headers that every one has."""
    kind = ((b"content-type", answer.type.encode()), (b"content-length", str(len(answer.body)).encode()))
    headers = [*kind, *answer.more, *always]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body if with_body else b"", "more_body": False})


def is_lifespan(scope: Scope) -> bool:
    """Whether the server speaks of its own beginning and end (ASGI lifespan)."""
    return str(scope["type"]) == "lifespan"


async def live(receive: Receive, send: Send) -> None:
    """Say yes to both."""
    while True:
        message: Any = await receive()
        await send({"type": f"{message['type']}.complete"})  # type: ignore[typeddict-item]  # one of both
        if message["type"] == "lifespan.shutdown":
            return
