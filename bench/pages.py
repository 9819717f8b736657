"""Every page of the console over HTTP with ten million verdicts on record, from `hutong serve` to the last byte.

The folder holds a day's verdicts, their minutes of a month, a million list entries, people and a trail (`bench.node`).
Pages take turns, round after round; numbers, calls and times in their addresses change from round to round.
"""

from __future__ import annotations

import http.client
import os
import threading
import time
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import numpy as np

from bench import node
from bench.day import CENTRES, OTHERS, RESTLESS, SPAN_MS, TRUNKS, mobile_key, whole
from bench.http_calls import Serve
from bench.load import Client, Result
from bench.peers import Hutong
from bench.tables import table
from hutong.calls.features import SHIPPED_RULES, VOCABULARY
from hutong.calls.model import FLAG_NAMES
from hutong.kernel.access.refs import Refs
from hutong.kernel.numbering import AREAS
from hutong.kernel.rules.loader import load_ruleset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from bench.node import Doors

VERDICTS = 10_000_000
ROUNDS = 40
MOST_MS = 200
RATE = 1_000
"""Calls a second while pages are measured beside a screening process at work."""

_HOUR_MS = 3_600_000
_STEP_MS = 600_000  # what times in addresses move on by, round by round
_EXPECTED = {200, 303}
_KEPT_S = 3
_RUN_S = 10.0
_RULES = tuple(rule.id for rule in load_ruleset([SHIPPED_RULES], VOCABULARY).rules)
_ZONE = ZoneInfo("Asia/Shanghai")
_TRUNK = """
[[trunks]]
name = "{name}"
kind = "inter-network"
networks = ["192.0.2.{at}/32"]
"""


class Page(NamedTuple):
    """A page: its name in the table, who asks, its address in each round, and a form or a JSON body to post."""

    name: str
    who: str
    path: Callable[[int], str]
    form: Callable[[int], dict[str, str]] | None = None
    json: Callable[[int], str] | None = None


class Taken(NamedTuple):
    """What a page took in ms: the first time, and in each round after; or what was wrong."""

    first: float
    rounds: list[float]
    wrong: str


class Visitor:
    """One browser or program: a connection that is kept open."""

    def __init__(self, port: int, headers: dict[str, str], csrf: str = "") -> None:
        self._line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = headers
        self._csrf = csrf
        self._used = 0.0

    def ask(self, page: Page, turn: int) -> tuple[float, int]:
        """Ms from sending the request to the answer's last byte, and its status."""
        path, headers, body = page.path(turn), dict(self._headers), None
        if page.form is not None:
            body = urlencode({**page.form(turn), "_csrf": self._csrf})
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif page.json is not None:
            body = page.json(turn)
            headers["Content-Type"] = "application/json"
        if time.monotonic() - self._used > _KEPT_S:
            self._line.close()  # the server has done so, or is about to; the request opens another
        began = time.perf_counter_ns()
        self._line.request("GET" if body is None else "POST", path, body, headers)
        answer = self._line.getresponse()
        answer.read()
        self._used = time.monotonic()
        return (time.perf_counter_ns() - began) / 1e6, answer.status

    def close(self) -> None:
        """Hang up."""
        self._line.close()


def pages(data: Path, verdicts: int, end_ms: int) -> list[Page]:
    """Every page of the console, and the API's questions about verdicts."""
    return [*_verdict_pages(verdicts, end_ms), *_story_pages(data, verdicts), *_other_pages(), *_api_pages(verdicts)]


def _verdict_pages(verdicts: int, end_ms: int) -> list[Page]:
    def moment(turn: int, more_ms: int = 0) -> str:
        at = end_ms - SPAN_MS + turn * _STEP_MS % (SPAN_MS - 2 * _HOUR_MS) + more_ms
        return datetime.fromtimestamp(at / 1000, _ZONE).strftime("%Y-%m-%dT%H:%M")

    def asked(**said: str | Callable[[int], str]) -> Callable[[int], str]:
        def path(turn: int) -> str:
            given = {name: value if isinstance(value, str) else value(turn) for name, value in said.items()}
            return f"/verdicts?{urlencode(given)}"

        return path

    def hour(turn: int) -> str:
        return moment(turn, _HOUR_MS)

    flags = list(FLAG_NAMES.values())
    last = str(-(-verdicts // 25))
    found = {
        "": lambda _: "/verdicts",
        "100 rows": asked(size="100"),
        "middle page": asked(page=lambda turn: str(verdicts // 50 + turn)),
        "last page": asked(page=last),
        "since": asked(since=moment),
        "until": asked(until=moment),
        "one hour": asked(since=moment, until=hour),
        "action": asked(action=lambda turn: ("block", "warn", "pass")[turn % 3]),
        "action since": asked(action="block", since=moment),
        "rule": asked(rule=lambda turn: _RULES[turn % len(_RULES)]),
        "rule since": asked(rule=_RULES[3], since=moment),
        "trunk": asked(trunk=lambda turn: TRUNKS[turn % len(TRUNKS)]),
        "area": asked(area=lambda turn: AREAS[1 + turn * 7 % 300]),
        "flags": asked(flags=lambda turn: flags[turn % len(flags)]),
        "all filters": asked(
            since=moment, until=hour, action="block", rule=_RULES[3], trunk=TRUNKS[3], area="0755", flags="night"
        ),
        "all but time": asked(action="block", rule=_RULES[3], trunk=TRUNKS[3], area=lambda turn: AREAS[1 + turn]),
        "oldest first": asked(sort="time"),
        "by action": asked(sort="-action"),
        "by area": asked(sort="area"),
        "by trunk": asked(sort="trunk"),
        "by rule": asked(sort="-rule"),
        "by rule, since": asked(sort="-rule", since=moment),
        "by area, middle page": asked(sort="area", page=lambda turn: str(verdicts // 50 + turn)),
    }
    return [
        *(Page(f"/verdicts {name}".strip(), "operator", path) for name, path in found.items()),
        Page("/verdicts", "auditor", found[""]),
    ]


def _story_pages(data: Path, verdicts: int) -> list[Page]:
    refs = Refs(data / "keys" / "refs.key")

    def one_of(first: int, count: int) -> Callable[[int], str]:
        return lambda turn: f"/numbers/{refs.ref(mobile_key(first + turn * 7 % count))}"

    def written(first: int, count: int) -> Callable[[int], dict[str, str]]:
        return lambda turn: {"q": f"{138_00000000 + first + turn * 7 % count}"}

    kinds = {
        "centre": (0, CENTRES),
        "busy": (CENTRES, RESTLESS - CENTRES),
        "ordinary": (RESTLESS, OTHERS - RESTLESS),
        "unknown": (30 * OTHERS, OTHERS),
    }
    found = []
    for name, some in kinds.items():
        plain = one_of(*some)
        found += [
            Page(f"/numbers/{{{name}}} {span}", "operator", lambda turn, of=plain, span=span: f"{of(turn)}?span={span}")  # type: ignore[misc]
            for span in ("1h", "24h", "72h")
        ]
    centre = one_of(*kinds["centre"])
    found += [
        Page("/numbers/{centre} blocked", "operator", lambda turn: f"{centre(turn)}?vaction=block"),
        Page("/numbers/{centre} by area", "operator", lambda turn: f"{centre(turn)}?vsort=area"),
        Page("/calls/{seq}", "operator", lambda turn: f"/calls/{1 + turn * 7919 * 31 % (verdicts - 1)}"),
        Page("/search", "operator", lambda _: "/search"),
    ]
    found += [
        Page(f"/search POST {name}", "operator", lambda _: "/search", form=written(*kinds[name]))
        for name in ("centre", "ordinary", "unknown")
    ]
    return found


def _other_pages() -> list[Page]:
    lists = {
        "": "",
        "middle page": "?page=20000",
        "last page": f"?page={node.ENTRIES // 25}",
        "allow": "?list=allow",
        "prefixes": "?kind=prefix",
        "expiring": "?expiry=soon",
        "text": "?text=case+77",
        "text nowhere": "?text=nowhere",
        "source and who": "?source=police&who=person7",
        "by target": "?sort=target",
        "by who": "?sort=who",
    }
    operator = {
        "/": "/",
        "/live/cities": "/live/cities",
        **{f"/lists {name}".strip(): f"/lists{query}" for name, query in lists.items()},
        "/lists/new": "/lists/new",
        "/lists/import": "/lists/import",
        "/rules": "/rules",
        "/rules by hits": "/rules?sort=-hits_24h",
        "/trunks": "/trunks",
        "/trunks 30d": "/trunks?span=30d",
        "/settings": "/settings",
        "/health": "/health",
        "/account": "/account",
        "/tokens": "/tokens",
    }
    auditor = {
        "/lists": "/lists",
        "/trail": "/trail",
        "/trail last page": f"/trail?page={node.DEEDS // 25}",
        "/trail text": "/trail?text=case+77",
        "/trail by target": "/trail?sort=target",
        "/people": "/people",
        "/people/{name}": "/people/operator",
    }
    both = (("operator", operator), ("auditor", auditor))
    return [
        *(Page(name, who, lambda _, path=path: path) for who, some in both for name, path in some.items()),  # type: ignore[misc]
        Page("/lists/{id}", "operator", lambda turn: f"/lists/{1 + turn * 7919 % node.ENTRIES}"),
        Page("/lists/search POST", "operator", lambda _: "/lists/search", form=lambda n: {"number": f"1380000{n:04}"}),
        *(
            Page(
                f"/rules/{{id}} {span}",
                "operator",
                lambda turn, span=span: f"/rules/{quote(_RULES[turn % len(_RULES)])}?span={span}",  # type: ignore[misc]
            )
            for span in ("24h", "30d")
        ),
    ]


def _api_pages(verdicts: int) -> list[Page]:
    def number(first: int) -> Callable[[int], str]:
        return lambda turn: f'{{"number": "{138_00000000 + first + turn * 7 % CENTRES}"}}'

    search = "/v1/verdicts/search"
    return [
        Page("/v1/verdicts", "token", lambda _: "/v1/verdicts?limit=500"),
        Page("/v1/verdicts blocked", "token", lambda _: "/v1/verdicts?action=block"),
        Page("/v1/verdicts rule", "token", lambda turn: f"/v1/verdicts?rule={quote(_RULES[turn % len(_RULES)])}"),
        Page("/v1/verdicts Call-ID", "token", lambda turn: f"/v1/verdicts?call_id={turn:034x}"),
        Page("/v1/verdicts/{seq}", "token", lambda turn: f"/v1/verdicts/{1 + turn * 7919 * 31 % (verdicts - 1)}"),
        Page(f"{search} centre", "token", lambda _: search, json=number(0)),
        Page(f"{search} ordinary", "token", lambda _: search, json=number(5_000_000)),
        Page("/v1/lists", "token", lambda _: "/v1/lists"),
        Page("/v1/rules", "token", lambda _: "/v1/rules"),
    ]


def measure(folder: Path, *, verdicts: int, memory_mb: int, rounds: int = ROUNDS) -> str:
    """Fill a folder, measure every page alone and beside a screening process at work; gives the table."""
    screen = Hutong(folder, memory_mb=memory_mb, name="pages")
    end_ms = time.time_ns() // 1_000_000
    doors = node.fill(screen.data, verdicts, end_ms)
    some = pages(screen.data, whole(verdicts), end_ms)
    screen.start()  # makes the windows out of the journal, which a page of a number reads
    screen.stop()
    alone, quiet = _measure(screen, folder, doors, some, rounds)
    with ExitStack() as stack:
        stack.callback(screen.stop)
        screen.start()
        calls = stack.enter_context(_calls(screen))
        beside, busy = _measure(screen, folder, doors, some, rounds)
    told = (
        f"Load average (1 min) {quiet:.1f} at the end of the rounds alone, {busy:.1f} beside screening, "
        f"which answered {sum(it.answered for it in calls):,} calls and lost {sum(it.lost for it in calls):,}."
    )
    return f"{pages_table(some, alone, beside)}\n\n{told}"


def _measure(
    screen: Hutong, folder: Path, doors: Doors, some: Sequence[Page], rounds: int
) -> tuple[list[Taken], float]:
    """What each page takes, and the machine's load average (1 min) at the end."""
    trunks = "".join(_TRUNK.format(name=name, at=at + 1) for at, name in enumerate(TRUNKS))
    site = Serve("pages-console", screen, folder, trunks)
    with ExitStack() as stack:
        stack.callback(site.stop)
        site.start()
        visitors = {
            "operator": Visitor(site.port, {"Cookie": f"hutong={doors.operator.cookie}"}, doors.operator.csrf),
            "auditor": Visitor(site.port, {"Cookie": f"hutong={doors.auditor.cookie}"}, doors.auditor.csrf),
            "token": Visitor(site.port, {"Authorization": f"Bearer {doors.token}"}),
        }
        for visitor in visitors.values():
            stack.callback(visitor.close)
        answers: list[list[tuple[float, int]]] = [[] for _ in some]
        for turn in range(rounds + 1):
            for page, got in zip(some, answers, strict=True):
                got.append(visitors[page.who].ask(page, turn))
        return [_taken(got) for got in answers], os.getloadavg()[0]


def _taken(answers: list[tuple[float, int]]) -> Taken:
    times = [ms for ms, _ in answers]
    wrong = sorted({status for _, status in answers} - _EXPECTED)
    return Taken(times[0], times[1:], f"status {', '.join(map(str, wrong))}" if wrong else "")


@contextmanager
def _calls(screen: Hutong) -> Iterator[list[Result]]:
    """RATE calls a second while the block runs; what became of them once it is over."""
    results: list[Result] = []
    client = Client(screen.port)
    client.open(0.1, rate=RATE)  # compiles it
    over = threading.Event()

    def call() -> None:
        while not over.is_set():
            results.append(client.open(_RUN_S, rate=RATE))

    caller = threading.Thread(target=call)
    caller.start()
    try:
        yield results
    finally:
        over.set()
        caller.join()


def pages_table(some: Sequence[Page], alone: Sequence[Taken], beside: Sequence[Taken]) -> str:
    """A row a page; whatever is slower than MOST_MS at the 95th percentile, or wrong, says so in capitals."""
    rows = []
    for page, *both in zip(some, alone, beside, strict=True):
        cells, faults = [], []
        for taken in both:
            half, most, worst = np.percentile(taken.rounds, [50, 95, 100])
            cells += [f"{half:.0f}", f"{most:.0f}", f"{worst:.0f}"]
            faults += [taken.wrong.upper()] if taken.wrong else ["SLOW"] if most > MOST_MS else []
        name = f"`{page.name}`" + ("" if page.who in {"operator", "token"} else f" ({page.who})")
        rows.append((name, f"{both[0].first:.0f}", *cells, f"**{', '.join(faults)}**" if faults else "ok"))
    more = [f"{name} {RATE:,}/s" for name in ("median", "p95", "max")]
    return table(("page, ms", "first", "median", "p95", "max", *more, f"p95 ≤ {MOST_MS}"), rows)
