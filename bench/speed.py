"""Verdicts a second and added latency: Hutong, Kamailio and the echo in turn, round after round."""

from __future__ import annotations

import itertools
import statistics
from typing import TYPE_CHECKING

from bench.load import Client, Result
from bench.tables import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.peers import Server

WINDOW = 128
"""Outstanding calls of the closed loop: what one proxy keeps in flight to a busy node."""

RATES = (1_000, 5_000, 10_000)

Runs = dict[str, list[Result]]


def verdicts(servers: Sequence[Server], *, rounds: int, seconds: float) -> Runs:
    """Closed-loop runs by server name, interleaved so that a disturbance of the machine meets all alike."""
    clients = _warm(servers)
    runs: Runs = {server.name: [] for server in servers}
    for _ in range(rounds):
        for server in servers:
            runs[server.name].append(clients[server.name].closed(seconds, window=WINDOW))
    return runs


def latencies(servers: Sequence[Server], *, rounds: int, seconds: float) -> dict[int, Runs]:
    """Open-loop runs by rate and server name, interleaved."""
    clients = _warm(servers)
    runs: dict[int, Runs] = {rate: {server.name: [] for server in servers} for rate in RATES}
    for _ in range(rounds):
        for rate, by_name in runs.items():
            for server in servers:
                by_name[server.name].append(clients[server.name].open(seconds, rate=rate))
    return runs


def _warm(servers: Sequence[Server]) -> dict[str, Client]:
    clients = {}
    for server in servers:
        clients[server.name] = Client(server.port, first_number=next(_numbers))
        clients[server.name].closed(0.3, window=16)
        clients[server.name].open(0.1, rate=1_000)
    return clients


# Each client has call numbers of its own: a server may still remember another's transactions.
_numbers = itertools.count(1, 100_000_000)


def verdict_table(runs: Runs) -> str:
    """Median rate with its spread, ratios round by round, and what the client saw."""
    rows = []
    for name, results in runs.items():
        rates = [result.rate for result in results]
        codes = _codes(results)
        rows.append(
            (
                name,
                f"{statistics.median(rates):,.0f}",
                f"{min(rates):,.0f} – {max(rates):,.0f}",
                _ratio(results, runs.get("kamailio")),
                _ratio(results, runs.get("echo")),
                codes,
                f"{sum(result.lost for result in results)}",
                f"{statistics.median(result.client_share for result in results):.0%}",
            )
        )
    head = ("server", "verdicts/s", "min – max", "× Kamailio", "× echo", "answers", "lost", "client's core")
    return table(head, rows)


def latency_table(runs: dict[int, Runs]) -> str:
    """Median over the rounds of each quantile, microseconds; the worst answer of all rounds; losses."""
    rows = []
    for rate, by_name in runs.items():
        for name, results in by_name.items():
            times = [
                statistics.median(result.p50 for result in results),
                statistics.median(result.p99 for result in results),
                statistics.median(result.p999 for result in results),
                max(result.worst for result in results),
            ]
            lost = sum(result.lost for result in results)
            rows.append((f"{rate:,}", name, *(f"{value:,.0f}" for value in times), f"{lost}"))
    return table(("calls/s", "server", "p50 µs", "p99 µs", "p99.9 µs", "worst µs", "lost"), rows)


def _ratio(results: list[Result], others: list[Result] | None) -> str:
    if others is None:
        return "–"
    ratios = [one.rate / other.rate for one, other in zip(results, others, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} – {max(ratios):.2f})"


def _codes(results: list[Result]) -> str:
    total = sum(result.answered for result in results)
    shares = {
        code: sum(result.codes.get(code, 0) for result in results) / total
        for code in sorted({code for result in results for code in result.codes})
    }
    return ", ".join(f"{'echo' if code == 0 else code} {share:.1%}" for code, share in shares.items())
