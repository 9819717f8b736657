"""`hutong simulate province --live`: the province's calls as real SIP, sent to a proxy or a node on this machine.

The sample gateway of the demo speaks SIP; here is who calls when, what became of it, and who is told. A 302 is a call
that would connect, a 6xx one that was refused: nobody returns or repeats that one, and its campaign hears of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import ipaddress
import signal
from collections import Counter
from typing import TYPE_CHECKING, Any

from hutong.app.demo.gateway import Gateway, Route
from hutong.app.demo.people import Attempt
from hutong.kernel.addresses import parse_host_port, parse_listener
from hutong.kernel.errors import ConfigError
from hutong.simulation.days import HOUR_MS
from hutong.simulation.records import trunk_network, write_node_files
from hutong.simulation.rows import CLASSES, TRUNKS, Calls, joined
from hutong.simulation.texts import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hutong.simulation.province import Province

STEP_MS = 60_000
FATES = ("passed", "warned", "unscreened", "refused", "failed")
_LONGEST_S = 4.0  # of ringing and of talk: the gateway waits twelve seconds for a call to be over
_DRAIN_S = 10.0
_REFUSALS = range(600, 700)


class SimulatedCall(Attempt, frozen=True):
    """A call of the province as the gateway makes it; `row` is the call itself, an array of one."""

    row: Any = None


class Fates:
    """What became of the calls; the gateway tells it.

    Args:
        campaigns: names by number.
        truth: CSV to which each call's truth and fate go, or None.
    """

    def __init__(self, campaigns: list[str], truth: Any = None) -> None:  # noqa: ANN401  # a csv writer has no public type
        self._campaigns, self._truth = campaigns, truth
        self._refused: list[Calls] = []
        self.counts: Counter[tuple[str, str]] = Counter()
        self.attempts = 0
        if truth is not None:
            truth.writerow(("call_id", "fraud", "campaign", "caller_class", "callee_class", "fate"))

    def placed(self) -> None:
        """A call was begun."""
        self.attempts += 1

    def passed_on(self, attempt: Attempt, call_id: str, *, warned: bool, unscreened: bool) -> None:
        """The call reached its callee."""
        self._note(attempt, call_id, "unscreened" if unscreened else "warned" if warned else "passed")

    def refused(self, attempt: Attempt, call_id: str, code: int, rule: str) -> None:
        """The call ended with a final answer that is no success."""
        del rule
        if code not in _REFUSALS:
            self._note(attempt, call_id, "failed")
            return
        self._note(attempt, call_id, "refused")
        if isinstance(attempt, SimulatedCall):
            self._refused.append(attempt.row)

    def came_to_nothing(self, attempt: Attempt, call_id: str, why: str) -> None:
        """Nobody answered."""
        del why
        self._note(attempt, call_id, "failed")

    def take_refused(self) -> Calls:
        """The calls refused since this was last asked."""
        calls = joined(self._refused)
        self._refused = []
        return calls

    def _note(self, attempt: Attempt, call_id: str, fate: str) -> None:
        self.counts[attempt.source, fate] += 1
        if self._truth is not None and isinstance(attempt, SimulatedCall):
            row = attempt.row[0]
            self._truth.writerow(
                (call_id, int(attempt.fraud), self._campaigns[row["campaign"]], attempt.source,
                 CLASSES[row["callee_class"]], fate)
            )  # fmt: skip


def read_target(text: str) -> tuple[str, int]:
    """Host and port of `udp:127.0.0.1:5060`.

    Raises:
        ConfigError: it is none, or not on this machine: made-up calls never go anywhere else.
    """
    listener = parse_listener(text)
    address = listener.address
    loopback = not address.is_ipv6 and ipaddress.ip_address(address.host).is_loopback
    if listener.transport != "udp" or not loopback:
        raise ConfigError(
            f"{text!r} is no place for made-up calls.",
            where="--live",
            fix="Send them to this machine: udp:127.0.0.1:5060.",
        )
    return address.host, address.port


def play_live(
    province: Province,
    target: tuple[str, int],
    arrivals: str,
    speed: float,
    out: Path | None,
    progress: Callable[[int], None],
) -> Fates:
    """Make all calls of the province, `speed` times as fast as they happen; ends early at a signal.

    Args:
        province: who calls when.
        target: where INVITEs go.
        arrivals: host:port where a proxy sends the calls that pass.
        speed: seconds of the province in a second.
        out: a folder for truth.csv, and for what the node under test needs to know; None for neither.
        progress: told the hours that are over.

    Raises:
        ConfigError: an address cannot be had, or the folder cannot be written.
    """
    if not speed > 0:
        raise ConfigError(f"A speed of {speed} is none.", where="--speed", fix="Write a number above 0, such as 60.")
    if out is None:
        return asyncio.run(_play(province, target, arrivals, speed, Fates(province.campaign_names()), progress))
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_node_files(out, province)
        with (out / "truth.csv").open("x", encoding="utf-8", newline="") as file:
            fates = Fates(province.campaign_names(), csv.writer(file))
            return asyncio.run(_play(province, target, arrivals, speed, fates, progress))
    except OSError as error:
        raise ConfigError(f"Cannot be written: {error.strerror}.", where=str(out), fix="Name a new folder.") from None


def live_summary(fates: Fates) -> str:
    """What became of the calls, a line for each class of caller."""
    lines = [f"{'主叫 caller':<22}" + "".join(f"{fate:>12}" for fate in FATES)]
    lines += [
        f"{source:<24}" + "".join(f"{fates.counts[source, fate]:>12}" for fate in FATES)
        for source in sorted({source for source, _ in fates.counts}, key=CLASSES.index)
    ]
    return "\n".join(lines) + "\n"


async def _play(
    province: Province,
    target: tuple[str, int],
    arrivals: str,
    speed: float,
    fates: Fates,
    progress: Callable[[int], None],
) -> Fates:
    place = parse_host_port(arrivals)
    route = Route(first_hop=target, through_proxy=True, callees=(place.host, place.port))
    addresses = {name: trunk_network(at).replace(".0/24", ".1") for at, name in enumerate(TRUNKS)}
    gateway = Gateway(route, addresses, fates)
    stop = asyncio.Event()
    with _on_signals(stop.set):
        try:
            await gateway.start()
        except OSError as error:
            gateway.stop()
            raise ConfigError(f"{arrivals} cannot be had: {error.strerror}.", where="--arrivals") from None
        try:
            await _pace(province, gateway, fates, speed, stop, progress)
            await gateway.drain(_DRAIN_S)
        finally:
            gateway.stop()
    return fates


async def _pace(
    province: Province,
    gateway: Gateway,
    fates: Fates,
    speed: float,
    stop: asyncio.Event,
    progress: Callable[[int], None],
) -> None:
    loop = asyncio.get_running_loop()
    began, first = loop.time(), province.days.begin_ms
    for calls in province.run(STEP_MS):
        for at in range(len(calls)):
            due = began + (int(calls["start"][at]) - first) / 1000 / speed
            if loop.time() < due:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(due):
                        await stop.wait()
            if stop.is_set():
                return
            gateway.place(attempt_of(calls[at : at + 1], speed))
        if len(calls):
            progress((int(calls["start"][-1]) - first) // HOUR_MS)
        await asyncio.sleep(0)
        province.told(fates.take_refused())


def attempt_of(row: Calls, speed: float) -> SimulatedCall:
    """One call as the gateway makes it; spans shrink as time does."""
    call = row[0]
    fraud = bool(call["campaign"])
    return SimulatedCall(
        source=CLASSES[call["caller_class"]],
        trunk=TRUNKS[call["trunk"]],
        caller=text_of(int(call["caller"]), int(call["caller_form"])),
        callee=text_of(int(call["callee"]), int(call["callee_form"])),
        fraud=fraud,
        certain=False,
        ring_s=min(int(call["ring_ms"]) / 1000 / speed, _LONGEST_S),
        talk_s=min(int(call["talk_ms"]) / 1000 / speed, _LONGEST_S),
        hang_up=not call["answered"],
        row=row,
    )


@contextlib.contextmanager
def _on_signals(stop: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
