"""The station's page and what it asks beside merging, as one ASGI application: files, pairing, what verifies codes.

`kernel.overload` stands before this: files are free, pairing and lists of revocations come after what is critical.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import parse_qs

import msgspec

from hutong.kernel.errors import HutongError
from hutong.kernel.web.installed import HEADERS, file_answer
from hutong.kernel.web.plain import Answer, problem, read_body, send_answer, told
from hutong.kernel.web.texts import choose_language
from hutong.sampling.errors import SamplingRefused

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from litestar.types import Receive, Scope, Send

    from hutong.kernel.reporter import Reporter
    from hutong.kernel.web.installed import File
    from hutong.sampling.station.pairing import Paired

PREFIX: Final = "/station/"
PAIR: Final = f"{PREFIX}pair"
KEYS: Final = "/codes/keys"
REVOCATIONS: Final = "/codes/revocations"
LONGEST_BODY: Final = 1024
_KIND: Final = "sampling"
_AWAY_S: Final = 5
_MOST_FIELDS: Final = 8


class Files(Protocol):
    """The files of the page."""

    def file(self, path: str, query: str, language: str) -> File | None:
        """The file of an address; None where there is none."""


class Documents(Protocol):
    """What verifiers of codes keep, signed."""

    def keys(self, now_ms: int) -> Answer:
        """The key set."""

    def revocations(self, since: str, now_ms: int) -> Answer:
        """What was revoked since a version; ValueError where that is none."""


class PairRequest(msgspec.Struct):
    """A code that somebody typed."""

    code: str


class StationPage:
    """The application.

    Args:
        files: of the page. pair: exchanges a code (`Pairings.finish`), and notes it. documents: what verifies codes.
        now_ms: the time. threads: where the records are waited for. reporter: logs.
    """

    def __init__(
        self,
        files: Files,
        pair: Callable[[str, str, int], Paired],
        documents: Documents,
        now_ms: Callable[[], int],
        threads: Executor,
        reporter: Reporter,
    ) -> None:
        self._files, self._pair, self._documents = files, pair, documents
        self._now_ms, self._threads, self._reporter = now_ms, threads, reporter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        method, path = str(scope.get("method", "")), str(scope["path"])
        headers = dict(scope["headers"])
        query = scope["query_string"].decode("latin-1")
        if path not in {PAIR, KEYS, REVOCATIONS}:
            language = choose_language(_first(query, "lang"), headers.get(b"accept-language", b"").decode("latin-1"))
            found = self._files.file(path, query, language)
            answer = file_answer(found, method, headers, _KIND)
            await send_answer(send, answer, HEADERS, with_body=method != "HEAD")
            return
        if method != ("POST" if path == PAIR else "GET"):
            await send_answer(send, problem(405, _KIND, "method"), HEADERS)
            return
        body = await read_body(receive, LONGEST_BODY) if path == PAIR else b""
        if body is None:
            await send_answer(send, problem(413, _KIND, "body"), HEADERS)
            return
        client = scope.get("client")
        asked = (path, body, query, client[0] if client else "")
        answer = await asyncio.get_running_loop().run_in_executor(self._threads, self._done, *asked)
        await send_answer(send, answer, HEADERS)

    def _done(self, path: str, body: bytes, query: str, address: str) -> Answer:
        now_ms = self._now_ms()
        try:
            if path == PAIR:
                return told(self._pair(msgspec.json.decode(body, type=PairRequest).code, address, now_ms))
            if path == KEYS:
                return self._documents.keys(now_ms)
            return self._documents.revocations(_first(query, "since") or "0", now_ms)
        except SamplingRefused as refused:
            return problem(422, _KIND, refused.reason)
        except (msgspec.MsgspecError, ValueError):
            return problem(400, _KIND, "form")
        except (HutongError, OSError) as error:
            self._reporter.log.exception("a station could not be served", errors=str(error))
            return problem(503, _KIND, "away", _AWAY_S)


def _first(query: str, name: str) -> str:
    """What an address asks by this name; "" where it asks nothing, or too much."""
    try:
        return parse_qs(query, max_num_fields=_MOST_FIELDS).get(name, [""])[0]
    except ValueError:
        return ""
