"""Is this Chinese subscriber, whose call comes in from abroad, really roaming there? The port and its two adapters.

`RoamingTable` is an embedded table whose entries expire (fed by whoever knows: `hutong roaming import`); compiled code
asks it directly through `arrays`. `HttpRoaming` asks an outside service and answers later. Neither ever delays the
loop: an answer that does not come in time is "unknown", and what follows from that is the rules' business.
"""

from __future__ import annotations

import os
import queue
import threading
from collections import OrderedDict, deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

import httpx
import msgspec

from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import ListError
from hutong.kernel.lists.entries import Entry
from hutong.kernel.lists.index import ROLE_CALLER, ListArrays, ListIndex, allow_id, look_up
from hutong.kernel.lists.store import ListStore
from hutong.kernel.numbering.keys import KIND_NUMBER, key_kind, key_of_digits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from hutong.kernel.clock import Clock

# Positions of features.ROAMING.
CONFIRMED, UNCONFIRMED, UNKNOWN = 1, 2, 3

WORKERS = 16
MOST_UNDER_WAY = 256
KEPT_SECONDS = 60  # a subscriber does not leave the country while a campaign of calls lasts
KEPT_ANSWERS = 50_000
_MOST_BYTES = 4096
_NS = 1_000_000_000
_REASON, _SOURCE = "roaming", "roaming"


class RoamingLookup(Protocol):
    """Answers about roaming, each under the ticket it was asked with."""

    def start(self) -> None:
        """Get ready to be asked."""

    def stop(self) -> None:
        """Give up what is under way; a second call does nothing."""

    def fileno(self) -> int:
        """A descriptor that polls readable when answers wait."""

    def ask(self, ticket: int, number: str) -> bool:
        """Ask about canonical digits such as "8613800138000"; False when too much is under way."""

    def answers(self) -> list[tuple[int, int]]:
        """(ticket, CONFIRMED | UNCONFIRMED | UNKNOWN) of whatever was answered or ran out of time. Never waits."""


class _Answers:
    """Answers from any thread, and the descriptor that says so."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
        self._event = -1

    def open(self) -> None:
        if self._event < 0:
            self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def close(self) -> None:
        if self._event >= 0:
            os.close(self._event)
            self._event = -1

    def fileno(self) -> int:
        return self._event

    def put(self, ticket: int, code: int) -> None:
        self._queue.put((ticket, code))
        os.eventfd_write(self._event, 1)

    def take(self) -> list[tuple[int, int]]:
        with suppress(BlockingIOError):
            os.eventfd_read(self._event)
        found = []
        with suppress(queue.Empty):
            while True:
                found.append(self._queue.get_nowait())
        return found


class RoamingTable:
    """Who roams until when, in a folder of its own; read by compiled code through `arrays`.

    `look_up(table.arrays, key, now_seconds, ROLE_CALLER)` gives an allow entry while the number roams.
    """

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self._store = ListStore(folder)
        self._index = ListIndex(self._store)
        self._clock = clock or SystemClock()
        self._answers = _Answers()

    def open(self) -> None:
        """Open or make the table and read it.

        Raises:
            StateError: the folder cannot be used.
        """
        self._store.open()
        self._index.load()

    def close(self) -> None:
        """Let go of the table."""
        self._index.close()
        self._store.close()

    @property
    def arrays(self) -> ListArrays:
        """What compiled code asks; replaced within `refresh`."""
        return self._index.arrays

    def refresh(self) -> bool:
        """Take up what other processes changed; see `ListIndex.refresh`."""
        return self._index.refresh()

    def put(self, until: Iterable[tuple[int, int]], now: int, who: str) -> int:
        """Note (number key, second until which it roams) in one transaction at second `now`; returns how many.

        Raises:
            ListError: a key is no number's, or its time is over; nothing was noted.
        """
        entries = [_roamer(key, until_second, now, who) for key, until_second in until]
        return len(self._store.add(entries, now))

    def get(self, key: int, now: int) -> bool:
        """Whether the number of this key roams at second `now`, as of the last refresh."""
        return bool(allow_id(look_up(self._index.arrays, key, now, ROLE_CALLER)))

    def entries(self) -> Iterator[Entry]:
        """Every number in the table; `expires` is the second until which it roams."""
        return self._store.entries()

    # The table as a RoamingLookup

    def start(self) -> None:
        """See `RoamingLookup.start`."""
        self.open()
        self._answers.open()

    def stop(self) -> None:
        """See `RoamingLookup.stop`."""
        self._answers.close()
        self.close()

    def fileno(self) -> int:
        """See `RoamingLookup.fileno`."""
        return self._answers.fileno()

    def ask(self, ticket: int, number: str) -> bool:
        """See `RoamingLookup.ask`; the answer is there at once."""
        self.refresh()
        roams = self.get(key_of_digits(number), self._clock.wall() // _NS)
        self._answers.put(ticket, CONFIRMED if roams else UNCONFIRMED)
        return True

    def answers(self) -> list[tuple[int, int]]:
        """See `RoamingLookup.answers`."""
        return self._answers.take()


def _roamer(key: int, until: int, now: int, who: str) -> Entry:
    if key_kind(key) != KIND_NUMBER:
        raise ListError("Only a telephone number can roam.", where="number", fix="Write it like 13800138000.")
    if until <= now:
        raise ListError("This roaming is already over.", where="until", fix="Give a time to come.")
    return Entry(
        list="allow", kind="number", key=key, role="caller", reason=_REASON, source=_SOURCE, who=who, expires=until
    )


class _Body(msgspec.Struct):
    """What the service answers; other fields are ignored."""

    roaming: bool


class Counts(msgspec.Struct):
    """What became of the questions; all but `refused` add up to `asked`, once everything is answered."""

    asked: int = 0
    answered: int = 0
    from_cache: int = 0
    failed: int = 0
    late: int = 0
    refused: int = 0


class HttpRoaming:
    """Asks GET {url}/{digits}, which answers 200 with {"roaming": true} or {"roaming": false}.

    Everything else the service may do, and silence, is UNKNOWN. Answers are kept for a minute, UNKNOWN is not.

    Args:
        url: such as "http://10.0.0.8:8081/roaming".
        budget_ms: an answer is given no later than this.
        clock: its monotonic time is read.
    """

    def __init__(self, url: str, budget_ms: int, clock: Clock | None = None) -> None:
        self._url = url.rstrip("/")
        self._budget_ns = budget_ms * 1_000_000
        self._clock = clock or SystemClock()
        self.counts = Counts()
        self._answers = _Answers()
        self._lock = threading.Condition()
        self._waiting: dict[int, int] = {}  # ticket -> which asking it is, for a ticket may come again
        self._deadlines: deque[tuple[int, int, int]] = deque()  # (time, ticket, asking), in order of time
        self._kept: OrderedDict[str, tuple[int, int]] = OrderedDict()  # number -> (code, until)
        self._pool: ThreadPoolExecutor | None = None
        self._client: httpx.Client | None = None
        self._watcher: threading.Thread | None = None

    def start(self) -> None:
        """See `RoamingLookup.start`; connects to nobody yet."""
        if self._pool is not None:
            return
        self._answers.open()
        # The environment's proxies are for people's browsers; a call's verdict does not depend on them.
        self._client = httpx.Client(timeout=self._budget_ns / _NS, trust_env=False, follow_redirects=False)
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="roaming")
        self._watcher = threading.Thread(target=self._watch, args=(self._pool,), name="roaming-late", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """See `RoamingLookup.stop`."""
        pool, client, watcher = self._pool, self._client, self._watcher
        if pool is None or client is None or watcher is None:
            return
        with self._lock:
            self._pool = None
            self._lock.notify_all()
        watcher.join()
        pool.shutdown(wait=True, cancel_futures=True)  # at most until the requests' own time-outs
        client.close()
        self._waiting.clear()
        self._deadlines.clear()
        self._answers.close()

    def fileno(self) -> int:
        """See `RoamingLookup.fileno`."""
        return self._answers.fileno()

    def answers(self) -> list[tuple[int, int]]:
        """See `RoamingLookup.answers`."""
        return self._answers.take()

    def ask(self, ticket: int, number: str) -> bool:
        """See `RoamingLookup.ask`."""
        now = self._clock.monotonic()
        with self._lock:
            code, until = self._kept.get(number, (UNKNOWN, 0))
            if now < until:
                self.counts.asked += 1
                self.counts.from_cache += 1
                self._answers.put(ticket, code)
                return True
            if self._pool is None or len(self._waiting) >= MOST_UNDER_WAY:
                self.counts.refused += 1
                return False
            self.counts.asked += 1
            asking = self.counts.asked
            self._waiting[ticket] = asking
            self._deadlines.append((now + self._budget_ns, ticket, asking))
            self._lock.notify_all()
            self._pool.submit(self._work, ticket, asking, number, now + self._budget_ns)
        return True

    def _work(self, ticket: int, asking: int, number: str, deadline: int) -> None:
        code = self._fetch(number, deadline)
        with self._lock:
            if code != UNKNOWN:
                self._keep(number, code)
            if self._waiting.get(ticket) != asking:
                return  # it was late; what it found is kept for the next call
            del self._waiting[ticket]
            if code == UNKNOWN:
                self.counts.failed += 1
            else:
                self.counts.answered += 1
            self._answers.put(ticket, code)

    def _fetch(self, number: str, deadline: int) -> int:
        if self._client is None or self._clock.monotonic() >= deadline:
            return UNKNOWN
        body = b""
        try:
            with self._client.stream("GET", f"{self._url}/{quote(number, safe='')}") as response:
                if response.status_code != httpx.codes.OK:
                    return UNKNOWN
                for chunk in response.iter_bytes(_MOST_BYTES):
                    body += chunk
                    if len(body) > _MOST_BYTES or self._clock.monotonic() >= deadline:
                        return UNKNOWN
            return CONFIRMED if msgspec.json.decode(body, type=_Body).roaming else UNCONFIRMED
        except (httpx.HTTPError, httpx.InvalidURL, msgspec.DecodeError, ValueError, RuntimeError):
            return UNKNOWN

    def _keep(self, number: str, code: int) -> None:
        self._kept[number] = (code, self._clock.monotonic() + KEPT_SECONDS * _NS)
        self._kept.move_to_end(number)
        if len(self._kept) > KEPT_ANSWERS:
            self._kept.popitem(last=False)

    def _watch(self, pool: ThreadPoolExecutor) -> None:
        """Answer UNKNOWN for what runs out of time, whatever the request is still doing."""
        with self._lock:
            while self._pool is pool:
                if not self._deadlines:
                    self._lock.wait()
                    continue
                deadline, ticket, asking = self._deadlines[0]
                left = deadline - self._clock.monotonic()
                if left > 0:
                    self._lock.wait(left / _NS)
                    continue
                self._deadlines.popleft()
                if self._waiting.get(ticket) == asking:
                    del self._waiting[ticket]
                    self.counts.late += 1
                    self._answers.put(ticket, UNKNOWN)
