"""The crowd of the benchmark: who comes when, what the refused do, and what a round came to."""

from __future__ import annotations

import math
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from bench.crowd import accounts, people
from bench.crowd.accounts import Outcome, Round, Spent
from bench.crowd.generator import Generator
from bench.crowd.people import MS, Caller, Refusal, Returning, S, comes_back

from hutong.kernel.overload.classes import Kind

if TYPE_CHECKING:
    from bench.crowd.accounts import End

COSTS = {Kind.CRITICAL: 0.001, Kind.SCAN: 0.0005, Kind.ISSUE: 0.01, Kind.HISTORY: 0.002}
QUIET = Spent(1.0, {"codes": 0.5, "nginx": 0.2}, 0.1, 0.0)


def ended(kind: Kind, due_ms: int, took_ms: int, end: End = "served", *, crowd: bool = True) -> Outcome:
    return Outcome(kind, due_ms * MS, took_ms * MS, end, crowd)


def test_an_obedient_caller_comes_when_told_and_shows_the_ticket() -> None:
    caller = Caller(Kind.SCAN, 7, 0, crowd=True)
    assert comes_back(caller, "obedient", Refusal(3, b"ticket", b"secret"), 5 * S, 0.5)
    assert (caller.due_ns, caller.ticket, caller.holder, caller.tries) == (8 * S, b"ticket", b"secret", 1)
    assert comes_back(caller, "obedient", Refusal(2, b"ticket"), 8 * S, 0.5)
    assert (caller.due_ns, caller.ticket, caller.holder) == (10 * S, b"ticket", b"secret"), "the secret is given once"
    assert comes_back(caller, "obedient", Refusal(None), 10 * S, 0.5)
    assert (caller.due_ns, caller.ticket) == (20 * S, b""), "told nothing, after ten seconds in the middle"


def test_a_storm_tries_three_times_more_whatever_it_is_told() -> None:
    caller, now = Caller(Kind.ISSUE, 7, 0, crowd=True), 0
    for _ in range(3):
        assert comes_back(caller, "storm", Refusal(60, b"ticket", b"secret"), now, 0.5)
        assert (caller.due_ns - now, caller.ticket) == (100 * MS, b"")
        now = caller.due_ns
    assert not comes_back(caller, "storm", Refusal(60), now, 0.5)
    assert not comes_back(Caller(Kind.ISSUE, 7, 0, crowd=True), "gone", Refusal(1), 0, 0.5)


@pytest.mark.parametrize("load", [0.5, 1.0, 10.0])
def test_what_is_offered_is_the_load_and_stations_ask_for_the_same_of_it(load: float) -> None:
    rates = people.offered(load, 0.8, COSTS)
    assert sum(rate * COSTS[kind] for kind, rate in rates.items()) == pytest.approx(load * 0.8)
    assert rates[Kind.CRITICAL] * COSTS[Kind.CRITICAL] == pytest.approx(0.2 * 0.8)
    assert rates[Kind.SCAN] / rates[Kind.HISTORY] == pytest.approx(7)


def test_arrivals_come_at_their_rate_in_their_order_and_the_same_for_a_seed() -> None:
    rates = {Kind.SCAN: 900.0, Kind.ISSUE: 100.0, Kind.HISTORY: 0.0}
    found = [people.arrivals(rates, S, 11 * S, seed, crowd=True, people=50) for seed in (1, 1, 2)]
    one, same, other = ([(it.due_ns, it.kind, it.number) for it in callers] for callers in found)
    assert one == same != other
    assert one == sorted(one)
    assert all(S <= due < 11 * S and number < 50 for due, _, number in one)
    counts = [sum(kind is it for _, kind, _ in one) for it in (Kind.SCAN, Kind.ISSUE, Kind.HISTORY)]
    assert counts == pytest.approx([9000, 1000, 0], rel=0.1)


def test_who_comes_back_stands_for_one_of_the_class_who_would_come_anew() -> None:
    returning = Returning()
    returning.came_back(Kind.SCAN)
    assert [returning.stays_away(kind) for kind in (Kind.ISSUE, Kind.SCAN, Kind.SCAN)] == [False, True, False]


def test_a_round_is_what_ended_in_time_within_it() -> None:
    outcomes = [
        ended(Kind.ISSUE, 900, 50),  # before the round
        *(ended(Kind.CRITICAL, 1000 + at, at) for at in range(1, 101)),
        ended(Kind.CRITICAL, 1500, 3, "refused"),
        ended(Kind.SCAN, 1900, 1000, "late"),
        ended(Kind.ISSUE, 1990, 20),  # due within, answered after
    ]
    it = Round(outcomes, QUIET, 1000 * MS, 2000 * MS)
    assert it.useful(COSTS) == pytest.approx(100 * COSTS[Kind.CRITICAL])
    assert (it.came(Kind.CRITICAL), it.success(Kind.CRITICAL)) == (101, pytest.approx(100 / 101))
    assert [it.success(kind) for kind in (Kind.SCAN, Kind.ISSUE, Kind.HISTORY)] == [0, 1, 1]
    assert (it.took_ms(Kind.CRITICAL, 0.5), it.took_ms(Kind.CRITICAL, 0.99)) == (51, 100)
    assert math.isnan(it.took_ms(Kind.SCAN, 0.5))
    assert (it.refused(), it.spent.total) == (1, pytest.approx(0.7))


def test_a_refusal_costs_what_the_served_beside_it_do_not() -> None:
    assert accounts.refusal_cost(1.0, 200, 0.004, 10_000) == pytest.approx(20e-6)
    assert accounts.refusal_cost(0.5, 200, 0.004, 10_000) == 0
    assert math.isnan(accounts.refusal_cost(0.5, 200, 0.004, 0))
    counts = {Kind.CRITICAL: 1, Kind.SCAN: 2, Kind.ISSUE: 1}
    assert accounts.mean_cost(counts, COSTS) == pytest.approx(0.003)


def test_it_is_as_before_after_the_last_tenth_of_a_second_in_which_somebody_was_served_badly() -> None:
    well = [ended(Kind.SCAN, at, 20, crowd=False) for at in range(1000, 3000, 10)]
    for bad, seconds in (
        ([], 0.0),
        ([ended(Kind.SCAN, 1000, 1, "refused", crowd=True)], 0.0),
        ([ended(Kind.SCAN, 1000, 1, "refused", crowd=False)], 0.1),
        ([ended(Kind.ISSUE, 1010, 800, crowd=False), ended(Kind.CRITICAL, 1444, 0, "broken", crowd=False)], 0.5),
        ([ended(Kind.ISSUE, 2999, 0, "late", crowd=False)], 2.0),
    ):
        outcomes = [*well, *bad]
        assert accounts.recovery_s(outcomes, 1000 * MS, 3000 * MS, 500 * MS) == pytest.approx(seconds)


class _Refuses(BaseHTTPRequestHandler):
    """Refuses whoever has no ticket, and tells at once to come with one."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        has_ticket = self.headers.get("Hutong-Ticket") == "t" and self.headers.get("Hutong-Holder") == "h"
        body = b'{"why":"full"}'
        self.send_response(200 if has_ticket else 503)
        for name, value in (("Retry-After", "0"), ("Hutong-Ticket", "t"), ("Hutong-Holder", "h")):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:  # noqa: ANN401
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """The generator hangs up without a word."""


@pytest.mark.enable_socket
def test_the_generator_speaks_to_a_server_and_counts_every_try() -> None:
    server = _Server(("127.0.0.1", 0), _Refuses)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def ask(caller: Caller) -> bytes:
        shown = b"Hutong-Ticket: %b\r\nHutong-Holder: %b\r\n" % (caller.ticket, caller.holder) if caller.ticket else b""
        return b"GET / HTTP/1.1\r\nHost: x\r\n%b\r\n" % shown

    ends = {}
    for temper in ("obedient", "storm"):
        generator = Generator(dict.fromkeys(Kind, server.server_port), ask, temper=temper)  # type: ignore[arg-type]
        now = time.monotonic_ns()
        generator.open_loop([Caller(Kind.SCAN, at, now, crowd=True) for at in range(8)], now + 60 * S, now + 60 * S)
        generator.close()
        ends[temper] = sorted(it.end for it in generator.outcomes)
        assert generator.statuses == {"scan 503 full": ends[temper].count("refused")}
    server.shutdown()
    server.server_close()
    assert ends == {"obedient": ["refused"] * 8 + ["served"] * 8, "storm": ["refused"] * 32}
