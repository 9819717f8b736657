"""The public service of codes as one ASGI application: files for everybody, and the few questions that phones ask.

No framework: a crowd comes here, and what a request costs decides how many are served. Admission stands before it
(`kernel.overload.gate`). What waits for the records runs in threads of its own, as many as may be at work at once.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar
from urllib.parse import parse_qs

import msgspec

from hutong.codes.people.errors import PersonRefused
from hutong.codes.public.desk import Arrival, Confirmation
from hutong.codes.public.files import PREFIX
from hutong.kernel.errors import HutongError
from hutong.kernel.one_time import TooManyCodes
from hutong.kernel.web.security import SECURITY_HEADERS
from hutong.kernel.web.texts import choose_language

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from litestar.types import Receive, Scope, Send

    from hutong.codes.public.desk import PublicDesk
    from hutong.codes.public.files import PublicFiles
    from hutong.kernel.clock import Clock
    from hutong.kernel.reporter import Reporter

LONGEST_BODY: Final = 8 * 1024
#: For how long a key set and a part of the revocation list are given again as they were signed.
FRESH_MS: Final = 5_000
_MOST_KEPT: Final = 256
_NS_IN_MS: Final = 1_000_000
_JSON, _CBOR = "application/json", "application/cbor"
_STATUS: Final = {"device": 401, "no-person": 401}
_UNFIT: Final = 422
_RETRY_S: Final = 30
Body = TypeVar("Body", bound=msgspec.Struct)


class Answer(NamedTuple):
    """What is answered: status, content type, body, further headers."""

    status: int
    type: str
    body: bytes
    more: tuple[tuple[bytes, bytes], ...] = ()


class _Asked(NamedTuple):
    """A request that is for the desk."""

    body: bytes
    query: dict[str, list[str]]
    token: str
    language: str
    now_ms: int


class PublicApp:
    """The application.

    Args:
        files: for everybody. desk: for phones. key_set: gives the signed key set. news: gives what was revoked since a
            version, signed. clock: the time. threads: where the records are waited for. reporter: logs.
    """

    def __init__(  # everything that it is wired to
        self,
        files: PublicFiles,
        desk: PublicDesk,
        key_set: Callable[[int], bytes],
        news: Callable[[int, int], bytes],
        clock: Clock,
        threads: Executor,
        reporter: Reporter,
    ) -> None:
        self._files, self._desk, self._key_set, self._news = files, desk, key_set, news
        self._clock, self._threads, self._reporter = clock, threads, reporter
        self._kept: OrderedDict[tuple[str, int], tuple[int, bytes]] = OrderedDict()
        self._asked: dict[tuple[str, str], Callable[[_Asked], Answer]] = {
            ("GET", f"{PREFIX}keys"): self._keys,
            ("GET", f"{PREFIX}revocations"): self._revocations,
            ("GET", f"{PREFIX}why"): self._why,
            ("POST", f"{PREFIX}arrive"): self._arrive,
            ("POST", f"{PREFIX}confirm"): self._confirm,
            ("POST", f"{PREFIX}wallet"): self._wallet,
            ("POST", f"{PREFIX}leave"): self._leave,
        }
        self._paths = {path for _, path in self._asked}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if str(scope["type"]) == "lifespan":
            await _live(receive, send)
            return
        method, path = str(scope.get("method", "")), str(scope["path"])
        work = self._asked.get((method, path))
        headers = dict(scope["headers"])
        if work is None:
            await _send(send, self._file(method, path, scope, headers), with_body=method != "HEAD")
            return
        body = await _body(receive) if method == "POST" else b""
        if body is None:
            await _send(send, _problem(413, "body"))
            return
        asked = _Asked(
            body,
            parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=8),
            _token(headers),
            _language(scope, headers),
            self._clock.wall() // _NS_IN_MS,
        )
        await _send(send, await asyncio.get_running_loop().run_in_executor(self._threads, self._done, work, asked))

    def _done(self, work: Callable[[_Asked], Answer], asked: _Asked) -> Answer:
        try:
            return work(asked)
        except PersonRefused as refused:
            return _problem(_STATUS.get(refused.reason, _UNFIT), refused.reason)
        except TooManyCodes as refused:
            return _problem(429, "often", refused.wait_s)
        except (msgspec.DecodeError, ValueError):
            return _problem(400, "form")
        except (HutongError, OSError) as error:
            self._reporter.log.exception("a phone could not be served", errors=str(error))
            return _problem(503, "away", _RETRY_S)

    # Files

    def _file(self, method: str, path: str, scope: Scope, headers: dict[bytes, bytes]) -> Answer:
        if path in self._paths:
            return _problem(405, "method")
        query = scope["query_string"].decode("latin-1")
        found = self._files.file(path, query, _language(scope, headers))
        if found is None:
            return _problem(404, "path")
        if method not in {"GET", "HEAD"}:
            return _problem(405, "method")
        more = [
            (b"etag", found.tag.encode()),
            (b"cache-control", b"no-cache"),
            (b"vary", b"accept-encoding, accept-language"),
        ]
        if headers.get(b"if-none-match", b"").decode("latin-1") == found.tag:
            return Answer(304, found.type, b"", tuple(more))
        body = found.body
        if found.packed and b"gzip" in headers.get(b"accept-encoding", b""):
            body = found.packed
            more.append((b"content-encoding", b"gzip"))
        return Answer(200, found.type, body, tuple(more))

    # Questions

    def _keys(self, asked: _Asked) -> Answer:
        body = self._again(("keys", 0), asked.now_ms, lambda: self._key_set(asked.now_ms))
        return Answer(200, _CBOR, body, _FOR_A_MOMENT)

    def _revocations(self, asked: _Asked) -> Answer:
        since = int(asked.query.get("since", ["0"])[0][:18])
        body = self._again(("news", since), asked.now_ms, lambda: self._news(since, asked.now_ms))
        return Answer(200, _CBOR, body, _FOR_A_MOMENT)

    def _arrive(self, asked: _Asked) -> Answer:
        arrival = self._desk.arrive(_read(asked.body, Arrival), asked.language, asked.now_ms)
        return _told({"arrival": arrival})

    def _confirm(self, asked: _Asked) -> Answer:
        return _told({"device": self._desk.confirm(_read(asked.body, Confirmation), asked.now_ms)})

    def _wallet(self, asked: _Asked) -> Answer:
        return _told(self._desk.wallet(asked.token, asked.now_ms))

    def _why(self, asked: _Asked) -> Answer:
        return _told(self._desk.why(asked.token, asked.language, asked.now_ms))  # type: ignore[arg-type]  # one of both

    def _leave(self, asked: _Asked) -> Answer:
        return _told({"left": self._desk.leave(asked.token)})

    def _again(self, name: tuple[str, int], now_ms: int, make: Callable[[], bytes]) -> bytes:
        """What was made a moment ago, or anew."""
        kept = self._kept.get(name)
        if kept is None or not 0 <= now_ms - kept[0] < FRESH_MS:
            kept = self._kept[name] = (now_ms, make())
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return kept[1]


_ALWAYS: Final = tuple(
    (name.lower().encode(), value.encode())
    for name, value in SECURITY_HEADERS.items()
    if name not in {"Permissions-Policy", "Content-Security-Policy"}
)
_OF_PAGES: Final = (
    # The camera is for the page that verifies; a manifest belongs to an installed page.
    (b"permissions-policy", b"camera=(self), geolocation=(), microphone=()"),
    (b"content-security-policy", f"{SECURITY_HEADERS['Content-Security-Policy']}; manifest-src 'self'".encode()),
)
_FOR_NOBODY_ELSE: Final = ((b"cache-control", b"no-store"),)
_FOR_A_MOMENT: Final = ((b"cache-control", b"public, max-age=5"),)


def _told(content: object) -> Answer:
    return Answer(200, _JSON, msgspec.json.encode(content), _FOR_NOBODY_ELSE)


def _problem(status: int, why: str, wait_s: int = 0) -> Answer:
    body = msgspec.json.encode({"type": f"/problems/codes-{why}", "status": status, "why": why})
    wait = ((b"retry-after", str(wait_s).encode()),) if wait_s else ()
    return Answer(status, "application/problem+json", body, (*_FOR_NOBODY_ELSE, *wait))


def _read(body: bytes, form: type[Body]) -> Body:
    return msgspec.json.decode(body, type=form)


def _token(headers: dict[bytes, bytes]) -> str:
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _language(scope: Scope, headers: dict[bytes, bytes]) -> str:
    wanted = (
        parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=8).get("lang", [""])[0]
        if scope["query_string"]
        else ""
    )
    return choose_language(wanted, headers.get(b"accept-language", b"").decode("latin-1"))


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None where it is longer than any of ours, or the asker has gone."""
    parts, length = [], 0
    while True:
        message: Any = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        length += len(part)
        if length > LONGEST_BODY:
            return None
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


async def _send(send: Send, answer: Answer, *, with_body: bool = True) -> None:
    kind = ((b"content-type", answer.type.encode()), (b"content-length", str(len(answer.body)).encode()))
    headers = [*kind, *answer.more, *_ALWAYS, *_OF_PAGES]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body if with_body else b"", "more_body": False})


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message: Any = await receive()
        await send({"type": f"{message['type']}.complete"})  # type: ignore[typeddict-item]  # one of both
        if message["type"] == "lifespan.shutdown":
            return
