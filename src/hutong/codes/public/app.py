"""The public service of codes as one ASGI application: files for everybody, and the few questions that phones ask.

No framework: a crowd comes here, and what a request costs decides how many are served. Admission stands before it
(`kernel.overload.gate`). What waits for the records runs in threads of its own, as many as may be at work at once.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar
from urllib.parse import parse_qs

import msgspec

from hutong.codes.people.errors import PersonRefused
from hutong.codes.public.desk import Arrival, Confirmation
from hutong.codes.public.files import PREFIX
from hutong.kernel.errors import HutongError
from hutong.kernel.one_time import TooManyCodes
from hutong.kernel.web.plain import Answer, bearer, is_lifespan, live, problem, read_body, send_answer, told
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
_MOST_KEPT_BYTES: Final = 32 << 20
_MOST_FIELDS: Final = 8
_NS_IN_MS: Final = 1_000_000
_CBOR: Final = "application/cbor"
_KIND: Final = "codes"
_STATUS: Final = {"device": 401, "no-person": 401}
_UNFIT: Final = 422
_RETRY_S: Final = 30
Body = TypeVar("Body", bound=msgspec.Struct)


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
        if is_lifespan(scope):
            await live(receive, send)
            return
        method, path = str(scope.get("method", "")), str(scope["path"])
        work = self._asked.get((method, path))
        headers = dict(scope["headers"])
        if work is None:
            await send_answer(send, self._file(method, path, scope, headers), _ALWAYS, with_body=method != "HEAD")
            return
        body = await read_body(receive, LONGEST_BODY) if method == "POST" else b""
        if body is None:
            await send_answer(send, problem(413, _KIND, "body"), _ALWAYS)
            return
        asked = _Asked(
            body,
            _query(scope),
            bearer(headers),
            _language(scope, headers),
            self._clock.wall() // _NS_IN_MS,
        )
        answer = await asyncio.get_running_loop().run_in_executor(self._threads, self._done, work, asked)
        await send_answer(send, answer, _ALWAYS)

    def _done(self, work: Callable[[_Asked], Answer], asked: _Asked) -> Answer:
        try:
            return work(asked)
        except PersonRefused as refused:
            return problem(_STATUS.get(refused.reason, _UNFIT), _KIND, refused.reason)
        except TooManyCodes as refused:
            return problem(429, _KIND, "often", refused.wait_s)
        except (msgspec.DecodeError, ValueError):
            return problem(400, _KIND, "form")
        except (HutongError, OSError) as error:
            self._reporter.log.exception("a phone could not be served", errors=str(error))
            return problem(503, _KIND, "away", _RETRY_S)

    # Files

    def _file(self, method: str, path: str, scope: Scope, headers: dict[bytes, bytes]) -> Answer:
        if path in self._paths:
            return problem(405, _KIND, "method")
        query = scope["query_string"].decode("latin-1")
        found = self._files.file(path, query, _language(scope, headers))
        if found is None:
            return problem(404, _KIND, "path")
        if method not in {"GET", "HEAD"}:
            return problem(405, _KIND, "method")
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
        since = max(int(asked.query.get("since", ["0"])[0][:18]), 0)
        body = self._again(("news", since), asked.now_ms, lambda: self._news(since, asked.now_ms))
        return Answer(200, _CBOR, body, _FOR_A_MOMENT)

    def _arrive(self, asked: _Asked) -> Answer:
        arrival = self._desk.arrive(_read(asked.body, Arrival), asked.language, asked.now_ms)
        return told({"arrival": arrival})

    def _confirm(self, asked: _Asked) -> Answer:
        return told({"device": self._desk.confirm(_read(asked.body, Confirmation), asked.now_ms)})

    def _wallet(self, asked: _Asked) -> Answer:
        return told(self._desk.wallet(asked.token, asked.now_ms))

    def _why(self, asked: _Asked) -> Answer:
        return told(self._desk.why(asked.token, asked.language, asked.now_ms))  # type: ignore[arg-type]  # one of both

    def _leave(self, asked: _Asked) -> Answer:
        return told({"left": self._desk.leave(asked.token)})

    def _again(self, name: tuple[str, int], now_ms: int, make: Callable[[], bytes]) -> bytes:
        """What was made a moment ago, or anew."""
        kept = self._kept.get(name)
        if kept is None or not 0 <= now_ms - kept[0] < FRESH_MS:
            self._kept.pop(name, None)
            kept = self._kept[name] = (now_ms, make())
            while len(self._kept) > _MOST_KEPT or (
                len(self._kept) > 1 and sum(len(body) for _, body in tuple(self._kept.values())) > _MOST_KEPT_BYTES
            ):
                self._kept.popitem(last=False)
        return kept[1]


_ALWAYS: Final = (
    *(
        (name.lower().encode(), value.encode())
        for name, value in SECURITY_HEADERS.items()
        if name not in {"Permissions-Policy", "Content-Security-Policy"}
    ),
    # The camera is for the page that verifies; a manifest belongs to an installed page.
    (b"permissions-policy", b"camera=(self), geolocation=(), microphone=()"),
    (b"content-security-policy", f"{SECURITY_HEADERS['Content-Security-Policy']}; manifest-src 'self'".encode()),
)
_FOR_A_MOMENT: Final = ((b"cache-control", b"public, max-age=5"),)


def _read(body: bytes, form: type[Body]) -> Body:
    return msgspec.json.decode(body, type=form)


def _query(scope: Scope) -> dict[str, list[str]]:
    """What an address asks; nothing where it asks too much."""
    try:
        return parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=_MOST_FIELDS)
    except ValueError:
        return {}


def _language(scope: Scope, headers: dict[bytes, bytes]) -> str:
    wanted = _query(scope).get("lang", [""])[0]
    return choose_language(wanted, headers.get(b"accept-language", b"").decode("latin-1"))
