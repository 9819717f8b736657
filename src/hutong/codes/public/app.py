"""The public service of codes as one ASGI application: files for everybody, and the few questions that phones ask.

No framework: a crowd comes here, and what a request costs decides how many are served. Admission stands before it
(`kernel.overload.gate`). What waits for the records runs in threads of its own, as many as may be at work at once.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar
from urllib.parse import parse_qs

import msgspec

from hutong.codes.people.errors import PersonRefused
from hutong.codes.public.desk import Arrival, Confirmation
from hutong.codes.public.files import PREFIX
from hutong.codes.public.mine import Objection
from hutong.codes.status.errors import StatusRefused
from hutong.kernel.errors import HutongError
from hutong.kernel.one_time import TooManyCodes
from hutong.kernel.web.installed import HEADERS, file_answer
from hutong.kernel.web.plain import Answer, bearer, is_lifespan, live, problem, read_body, send_answer, told
from hutong.kernel.web.texts import choose_language

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from litestar.types import Receive, Scope, Send

    from hutong.codes.public.desk import PublicDesk
    from hutong.codes.public.files import PublicFiles
    from hutong.codes.public.mine import MyDesk
    from hutong.codes.public.signed_documents import SignedDocuments
    from hutong.kernel.clock import Clock
    from hutong.kernel.reporter import Reporter

LONGEST_BODY: Final = 8 * 1024
_MOST_FIELDS: Final = 8
_NS_IN_MS: Final = 1_000_000
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
        files: for everybody. desk: for phones. mine: for what they ask about their people. documents: what verifiers
            keep. clock: the time. threads: where the records are waited for. reporter: logs.
    """

    def __init__(  # everything that it is wired to
        self,
        files: PublicFiles,
        desk: PublicDesk,
        mine: MyDesk,
        documents: SignedDocuments,
        clock: Clock,
        threads: Executor,
        reporter: Reporter,
    ) -> None:
        self._files, self._desk, self._mine, self._documents = files, desk, mine, documents
        self._clock, self._threads, self._reporter = clock, threads, reporter
        self._asked: dict[tuple[str, str], Callable[[_Asked], Answer]] = {
            ("GET", f"{PREFIX}keys"): self._keys,
            ("GET", f"{PREFIX}revocations"): self._revocations,
            ("GET", f"{PREFIX}why"): self._why,
            ("GET", f"{PREFIX}mine"): self._my,
            ("POST", f"{PREFIX}appeal"): self._appeal,
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
            await send_answer(send, self._file(method, path, scope, headers), HEADERS, with_body=method != "HEAD")
            return
        body = await read_body(receive, LONGEST_BODY) if method == "POST" else b""
        if body is None:
            await send_answer(send, problem(413, _KIND, "body"), HEADERS)
            return
        asked = _Asked(
            body,
            _query(scope),
            bearer(headers),
            _language(scope, headers),
            self._clock.wall() // _NS_IN_MS,
        )
        answer = await asyncio.get_running_loop().run_in_executor(self._threads, self._done, work, asked)
        await send_answer(send, answer, HEADERS)

    def _done(self, work: Callable[[_Asked], Answer], asked: _Asked) -> Answer:
        try:
            return work(asked)
        except PersonRefused as refused:
            return problem(_STATUS.get(refused.reason, _UNFIT), _KIND, refused.reason)
        except StatusRefused as refused:
            return problem(_UNFIT, _KIND, refused.reason)
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
        return file_answer(self._files.file(path, query, _language(scope, headers)), method, headers, _KIND)

    # Questions

    def _keys(self, asked: _Asked) -> Answer:
        return self._documents.keys(asked.now_ms)

    def _revocations(self, asked: _Asked) -> Answer:
        return self._documents.revocations(asked.query.get("since", ["0"])[0], asked.now_ms)

    def _arrive(self, asked: _Asked) -> Answer:
        arrival = self._desk.arrive(_read(asked.body, Arrival), asked.language, asked.now_ms)
        return told({"arrival": arrival})

    def _confirm(self, asked: _Asked) -> Answer:
        return told({"device": self._desk.confirm(_read(asked.body, Confirmation), asked.now_ms)})

    def _wallet(self, asked: _Asked) -> Answer:
        return told(self._desk.wallet(asked.token, asked.now_ms))

    def _why(self, asked: _Asked) -> Answer:
        return told(self._desk.why(asked.token, asked.language, asked.now_ms))  # type: ignore[arg-type]  # one of both

    def _my(self, asked: _Asked) -> Answer:
        return told(self._mine.mine(asked.token, asked.language, asked.now_ms))  # type: ignore[arg-type]  # one of both

    def _appeal(self, asked: _Asked) -> Answer:
        said = _read(asked.body, Objection)
        return told(self._mine.appeal(asked.token, said, asked.language, asked.now_ms))  # type: ignore[arg-type]

    def _leave(self, asked: _Asked) -> Answer:
        return told({"left": self._desk.leave(asked.token, asked.now_ms)})


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
