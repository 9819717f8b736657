"""Scans over HTTP: what devices at doors and phones kept while there was no network; answered once it is durable. ASGI.

A device is an account with a token, and gives its own scans. A phone has no account: it brings check-ins that prove
themselves (`doors`), under a name that it draws anew each day. `kernel.overload` stands before this.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from hutong.codes.scans import metrics
from hutong.codes.scans.doors import read_check_ins, read_scans
from hutong.codes.scans.errors import ScanRefused
from hutong.codes.scans.model import Answer as MergeAnswer
from hutong.kernel.errors import HutongError
from hutong.kernel.web.plain import JSON, Answer, bearer, problem, read_body, send_answer, told

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from litestar.types import ASGIApp, Receive, Scope, Send

    from hutong.codes.scans.doors import Known, Read
    from hutong.codes.scans.group import GroupCommit
    from hutong.kernel.access.viewer import Viewer
    from hutong.kernel.metrics import Metrics
    from hutong.kernel.reporter import Reporter

PATH: Final = "/v1/codes/scans"
#: The keys that verify signs of venues, for phones to keep.
KEYS: Final = "/v1/codes/venue-keys"
MERGE: Final = "codes.merge"
#: 2,000 scans of a device.
LONGEST_BODY: Final = 512 * 1024
#: 50 check-ins of a phone: nobody has signed in for them.
LONGEST_OF_PHONES: Final = 128 * 1024
#: A phone's few check-ins are verified at once: changing threads would take as long as their signatures.
_SHORT: Final = 4 * 1024
_KIND: Final = "scans"
_FOR_A_DAY: Final = ((b"cache-control", b"public, max-age=86400"),)
_BUSY_S: Final = 1
_AWAY_S: Final = 5


class _KeyTold(msgspec.Struct, frozen=True):
    """A public key: its algorithm's number in COSE, and its bytes (base64)."""

    algorithm: int
    raw: bytes


class ScanApp:
    """The application that devices and phones send to; every other path is the other application's.

    Args:
        other: that one. commit: takes batches, many in one transaction. viewer: whom a token stands for, asked of the
            records. known: what check-ins are verified with. threads: where both are waited for.
        now_ms: the time, ms since 1970. reporter: logs and figures.
    """

    def __init__(  # everything that it is wired to
        self,
        other: ASGIApp,
        commit: GroupCommit,
        viewer: Callable[[str, str], Viewer | None],
        known: Callable[[], Known],
        threads: Executor,
        now_ms: Callable[[], int],
        reporter: Reporter,
    ) -> None:
        self._other, self._commit, self._viewer, self._known = other, commit, viewer, known
        self._threads, self._now_ms, self._reporter = threads, now_ms, reporter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if str(scope["type"]) != "http" or scope["path"] not in {PATH, KEYS}:
            await self._other(scope, receive, send)
            return
        if scope["path"] == KEYS and scope.get("method") == "GET":
            await send_answer(send, await asyncio.get_running_loop().run_in_executor(self._threads, self._venue_keys))
            return
        if scope.get("method") != "POST":
            await send_answer(send, problem(405, _KIND, "method"))
            return
        token, client = bearer(dict(scope["headers"])), scope.get("client")
        body = await read_body(receive, LONGEST_BODY if token else LONGEST_OF_PHONES)
        if body is None:
            await send_answer(send, problem(413, _KIND, "body"))
            return
        await send_answer(send, await self._answer(token, client[0] if client else "", body))

    async def _answer(self, token: str, address: str, body: bytes) -> Answer:
        try:
            if token or len(body) > _SHORT:
                read = await asyncio.get_running_loop().run_in_executor(self._threads, self._read, token, address, body)
            else:
                read = self._read(token, address, body)
            if isinstance(read, Answer):
                return read
            _count(read, self._reporter.metrics)
            if not read.batch.scans:  # nothing was proven: nothing of it is kept
                return told(MergeAnswer(read.batch.source, (), refused=read.refused))
            done: MergeAnswer = await self._commit.submit(read.batch)
            return told(msgspec.structs.replace(done, refused=(*read.refused, *done.refused)))
        except ScanRefused as refused:
            busy = refused.reason == "busy"
            return problem(503 if busy else 422, _KIND, refused.reason, _BUSY_S if busy else 0)
        except msgspec.MsgspecError:
            return problem(400, _KIND, "form")
        except (HutongError, OSError) as error:
            self._reporter.log.exception("scans could not be taken", errors=str(error))
            return problem(503, _KIND, "away", _AWAY_S)

    def _venue_keys(self) -> Answer:
        try:
            keys = [_KeyTold(it.number, it.raw) for it in self._known().venues]
        except (HutongError, OSError) as error:
            self._reporter.log.exception("the keys of venues cannot be read", errors=str(error))
            return problem(503, _KIND, "away", _AWAY_S)
        return Answer(200, JSON, msgspec.json.encode({"keys": keys}), _FOR_A_DAY)

    def _read(self, token: str, address: str, body: bytes) -> Read | Answer:
        """The batch, or why not: in a thread, for the records are asked and signatures are verified."""
        if not token:
            return read_check_ins(body, self._known(), self._now_ms())
        viewer = self._viewer(token, address)
        if viewer is None:
            return problem(401, _KIND, "token")
        if MERGE not in viewer.permissions:
            return problem(403, _KIND, "permission")
        read = read_scans(body)
        return read if read.batch.source.device == viewer.name else problem(403, _KIND, "device")


def _count(read: Read, figures: Metrics) -> None:
    for refusal in read.refused:
        figures.add(metrics.REFUSED, reason=refusal.reason)
