"""The `hutong demo` command: wires population, gateway, node and report, and keeps time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console

from hutong.app.demo.gateway import Gateway
from hutong.app.demo.ledger import Ledger
from hutong.app.demo.people import Population
from hutong.app.demo.report import Report, terminal_language
from hutong.app.demo.surroundings import Places, Surroundings, find_places, trunk_addresses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hutong.app.demo.people import Attempt

_DRAIN_S = 8.0
_TRIALS = 8


def demo(
    *,
    seconds: Annotated[int, Parameter(help="通话多少秒后结束,0 为一直运行 / end after so many seconds; 0 = go on")] = 0,
    port: Annotated[int, Parameter(help="页面端口,被占用则另选 / port of the page; another if it is taken")] = 8080,
    rate: Annotated[float, Parameter(help="每秒来话数 / calls a second")] = 300.0,
    seed: Annotated[int, Parameter(help="随机种子 / seed of the made-up traffic")] = 1,
    direct: Annotated[
        bool, Parameter(help="不经 Kamailio,直接询问护通 / ask Hutong directly even where Kamailio is installed")
    ] = False,
    keep: Annotated[bool, Parameter(help="保留临时目录 / keep the throw-away folder")] = False,
) -> int:
    """演示:启动一个节点,由示例网关打入真实 SIP 呼叫 / Start a throw-away node and send it real SIP calls."""
    places = find_places(port, direct=direct)
    ledger = Ledger()
    report = Report(Console(), terminal_language(os.environ), ledger)
    paths = ["with_proxy"] if places.kamailio else ["without_proxy"] if direct else ["no_kamailio", "without_proxy"]
    asyncio.run(_Demo(places, Population(seed), ledger, report).run(seconds, rate, paths, keep=keep))
    if ledger.attempts:
        report.summary()
    return 0 if ledger.good else 1


class _Demo:
    def __init__(self, places: Places, population: Population, ledger: Ledger, report: Report) -> None:
        self._places, self._population = places, population
        self._ledger, self._report = ledger, report

    async def run(self, seconds: int, rate: float, paths: Sequence[str], *, keep: bool) -> None:
        """Start, make calls for so long (0: until a signal), let them end; end what was started.

        Signals are taken here from the first process started to the last one ended, so none of them is left behind.
        """
        stop = asyncio.Event()
        with _on_signals(stop.set), Surroundings(self._places, self._population.roaming, keep=keep) as surroundings:
            self._report.say("starting")
            starting = asyncio.create_task(surroundings.start())
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if not starting.done():
                starting.cancel()
                return
            await starting
            self._report.say("page", page=self._places.page)
            self._report.say("sign_in", password=surroundings.password)
            self._report.say("appeal", page=self._places.appeal, file=surroundings.codes)
            self._report.say("phones", page=self._places.phones)
            for path in paths:
                self._report.say(path)
            if not seconds:
                self._report.say("stop_hint")
            await self._make_calls(seconds, rate, stop)
            if keep:
                self._report.say("kept", folder=surroundings.folder)

    async def _make_calls(self, seconds: int, rate: float, stop: asyncio.Event) -> None:
        gateway = Gateway(self._places.route, trunk_addresses(), self._ledger)
        await gateway.start()
        attempts = self._population.attempts()
        await self._try_calls(gateway, attempts)
        calling = asyncio.create_task(gateway.run(attempts, rate, stop))
        self._report.begin()
        try:
            await self._watch(seconds, stop)
        finally:
            stop.set()
            await calling
            self._report.end()
            self._report.say("ending")
            await gateway.drain(_DRAIN_S)
            gateway.stop()

    async def _try_calls(self, gateway: Gateway, attempts: Iterator[Attempt]) -> None:
        """Single calls until one is screened: what is slow only once is slow now, not when 300 calls a second come."""
        for _ in range(_TRIALS):
            before = self._ledger.unscreened
            gateway.place(next(attempts))
            await gateway.drain(_DRAIN_S)
            if self._ledger.unscreened == before:
                return

    async def _watch(self, seconds: int, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        second = 0
        while not stop.is_set() and (not seconds or second < seconds):
            second += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(began + second - loop.time(), 0)):
                    await stop.wait()
            self._report.second(loop.time() - began)


@contextlib.contextmanager
def _on_signals(stop: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
