"""A gateway office and the people who work in it: sipp → Kamailio → `hutong up` → sipp, with a browser at every desk.

The story that the closed loop must be able to tell, in steps; after each of them `interrupted` may do its worst.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Self

import msgspec
import pyarrow.parquet as pq
from sip_peers import Callee, Caller, Kamailio

from e2e.browser import PASSWORD, Browsers, ConsoleNode
from e2e.processes import hutong, running
from hutong.app.process_states import read_note
from hutong.kernel.access.people import People
from hutong.kernel.records.database import Database, database_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Playwright

    from e2e.browser import Desk

FRAUD, VICTIM = "13800005678", "13900000001"
#: Whoever decides an appeal made neither the block nor the request for it.
JUDGE = "judge"
_MORE = """\
[appeals]
code_file = "{codes}"
"""
_PROCESSES = ("screen", "serve", "work")


class StoryOffice:
    """One office; use it in a `with`."""

    def __init__(self, folder: Path, playwright: Playwright) -> None:
        self.folder = folder
        self.callee = Callee(folder)
        self._codes = folder / "codes.jsonl"
        trunks = '[[trunks]]\nname = "neighbour"\nkind = "inter-network"\nnetworks = ["127.0.0.0/8"]\n'
        more = _MORE.format(codes=self._codes)
        self.node = ConsoleNode(folder, next_hop=self.callee.address, trunks=trunks, more=more)
        self.kamailio = Kamailio(folder, [f"sip:127.0.0.1:{self.node.sip}"], self.callee.address)
        self._callers: list[Caller] = []
        self._playwright = playwright
        self._browsers: Browsers | None = None

    def __enter__(self) -> Self:
        self.callee.start()
        self.node.start()
        self._invite_judge()
        self.kamailio.start()
        self._browsers = Browsers(self._playwright, self.node)
        return self

    def __exit__(self, *_: object) -> None:
        if self._browsers is not None:
            self._browsers.close()
        with running(self.callee, self.node, self.kamailio, *self._callers):
            pass

    def _invite_judge(self) -> None:
        first = self.node.add_person(JUDGE, "operator")
        database = Database(database_url("", self.node.data))
        database.open()
        try:
            People(database).set_password(JUDGE, first, PASSWORD, time.time_ns() // 1_000_000)
        finally:
            database.close()

    def desk(self, who: str) -> Desk:
        """Somebody's desk at the console."""
        assert self._browsers is not None
        return self._browsers.desk(who)

    def citizen(self) -> Desk:
        """Somebody without an account, with a phone, at the public pages."""
        assert self._browsers is not None
        return self._browsers.desk(host=self.node.public_url, viewport={"width": 390, "height": 844})

    def call(self, caller: str = FRAUD, callee: str = VICTIM) -> int:
        """Place one call; gives how it ended."""
        sipp = Caller(f"caller{len(self._callers)}", self.folder, self.kamailio.port, [(caller, callee)], rate=10)
        self._callers.append(sipp)
        sipp.launch()
        (call,) = sipp.complete()
        return call.code

    def code_sent_to(self, number: str) -> str:
        """The one-time code that came to a phone last."""
        letters = [msgspec.json.decode(line) for line in self._codes.read_bytes().splitlines()]
        return next(str(it["code"]) for it in reversed(letters) if it["number"].endswith(number))

    def until(self, found: Callable[[], bool], seconds: float = 30) -> None:
        """Wait until it holds."""
        self.node.wait_until(found, seconds)

    def archived(self) -> int:
        """How many verdicts are in the archive."""
        files = (self.node.data / "archive" / "verdicts").glob("day=*/*.parquet")
        return sum(pq.read_metadata(file).num_rows for file in files)

    def command(self, *words: str) -> str:
        """What a `hutong` command says of this node."""
        return hutong(*words, "--data", str(self.node.data), "--config", str(self.folder / "hutong.toml"))

    def interrupted(self) -> None:
        """Every process of the node dies now, and comes back."""
        before = self._pids()
        assert set(before) == set(_PROCESSES)
        for pid in before.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.until(lambda: self._back(before), 60)
        uri = f"sip:127.0.0.1:{self.node.sip}"
        self.until(lambda: "AP" in self.kamailio.node_states().get(uri, ""), 60)

    def _pids(self) -> dict[str, int]:
        note = read_note(self.node.data / "run")
        assert note is not None
        return {it.name: it.pid for it in note.processes}

    def _back(self, before: dict[str, int]) -> bool:
        note = read_note(self.node.data / "run")
        return note is not None and all(it.state == "ready" and it.pid != before[it.name] for it in note.processes)
