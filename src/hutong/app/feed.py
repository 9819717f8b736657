"""The `feed` process: calls and their outcomes in from Kafka, verdicts out to it. Wiring, threads and waiting only.

It may die at any moment: what it brought is in the journal of the screening process, and how far it came as well.
"""

from __future__ import annotations

import selectors
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from hutong.app.config import load_config
from hutong.app.signals import signal_pipe
from hutong.calls import metrics
from hutong.calls.asking.edge import SOCKET
from hutong.calls.feed.line import ScreenLine
from hutong.calls.feed.port import ScreeningAway
from hutong.calls.feed.publisher import VerdictPublisher
from hutong.calls.feed.reader import FeedReader
from hutong.kernel.access.refs import Refs
from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import ConfigError, HutongError
from hutong.kernel.readiness import announce_ready
from hutong.kernel.reporter import Reporter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hutong.app.config import Config, KafkaConfig
    from hutong.calls.feed.kafka import KafkaLink
    from hutong.calls.feed.port import Feed, Outlet, Part
    from hutong.kernel.clock import Clock

#: How long a poll waits for a first message, and a publisher for records, seconds.
_POLL_S: Final = 0.2
#: The first wait after a failure and the longest, seconds; each is twice the one before.
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 5.0
#: How often figures are written and lags looked up, seconds.
_FIGURES_S: Final = 2.0
#: How long threads may take to end, seconds: the supervisor kills after five.
_END_S: Final = 4.0
_TELL_EVERY: Final = 60_000_000_000


class FeedWork:
    """Reads and publishes in a thread each, until `stop`.

    Args:
        config: the node's settings.
        clock: the time.
        reporter: logs and figures; figures move in `publish_figures` only.
        feed: where calls come from; None = from nowhere. outlet: makes a way out, one for each thread.
    """

    def __init__(
        self, config: Config, clock: Clock, reporter: Reporter, feed: Feed | None, outlet: Callable[[], Outlet]
    ) -> None:
        self._config, self._clock, self._reporter = config, clock, reporter
        self._feed, self._outlet = feed, outlet
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._results: dict[str, int] = {}
        self._failures: dict[str, int] = {}
        self._published = self._behind = 0
        self._lags: Mapping[Part, int] = {}
        self._told: dict[str, int] = {}

    def start(self) -> None:
        """Begin."""
        if self._feed is not None:
            self._begin("feed-reader", lambda feed=self._feed: self._read(feed))  # type: ignore[misc]
        if self._config.kafka.verdicts_topic:
            self._begin("feed-publisher", self._publish)

    def _begin(self, name: str, work: Callable[[], None]) -> None:
        self._threads.append(threading.Thread(target=work, name=name, daemon=True))
        self._threads[-1].start()

    def stop(self) -> None:
        """End the threads; what they were about is taken up by the next start."""
        self._over.set()
        for thread in self._threads:
            thread.join(_END_S)

    def _read(self, feed: Feed) -> None:
        line, outlet = ScreenLine(self._config.data / SOCKET), self._outlet()
        reader = FeedReader(
            feed,
            line,
            outlet,
            outcomes=self._config.kafka.outcomes_topic,
            dead_topic=self._config.kafka.dead_topic,
            trunks=frozenset(it.name for it in self._config.trunks),
            count=self._count,
        )
        opened, wait, next_lag = False, 0.0, 0
        while not self._over.wait(wait):
            try:
                if not opened:
                    reader.open()
                    opened = True
                done = reader.run(_POLL_S)
                wait = 0.0
                if done or self._clock.monotonic() >= next_lag:
                    next_lag = self._clock.monotonic() + int(_FIGURES_S * 1e9)
                    self._lags = dict(feed.lag())
            except ScreeningAway as error:
                self._trouble("judge", error)
                wait = _longer(wait)
            except HutongError as error:
                self._trouble("read", error)
                wait = _longer(wait)
                reader.close()
                opened = False
        reader.close()
        outlet.close()
        line.close()

    def _publish(self) -> None:
        config, outlet = self._config, self._outlet()
        refs = Refs(config.data / "keys" / "refs.key")
        topic, whole = config.kafka.verdicts_topic, config.kafka.whole_numbers
        publisher = VerdictPublisher(config.data, config.node.name, outlet, topic, refs, whole=whole)
        wait = 0.0
        while not self._over.wait(wait):
            try:
                looked_at, sent = publisher.run()
            except (HutongError, OSError) as error:
                self._trouble("publish", error)
                wait = max(_longer(wait), _FIRST_WAIT)
            else:
                self._published += sent
                wait = 0.0 if looked_at else _POLL_S
            self._behind = publisher.behind()
        outlet.close()

    def _count(self, result: str, number: int) -> None:
        self._results[result] = self._results.get(result, 0) + number

    def _trouble(self, what: str, error: Exception) -> None:
        self._failures[what] = self._failures.get(what, 0) + 1
        now = self._clock.monotonic()
        if now >= self._told.get(what, 0):
            self._told[what] = now + _TELL_EVERY
            self._reporter.log.error("the feed is held up", what=what, trouble=str(error))

    def publish_figures(self) -> None:
        """Take the figures over and leave them for whoever serves them."""
        figures, folder = self._reporter.metrics, self._config.data / "run"
        for result, number in dict(self._results).items():
            figures.set(metrics.FEED_MESSAGES, number, result=result)
        for what, number in dict(self._failures).items():
            figures.set(metrics.FEED_FAILURES, number, what=what)
        for (topic, partition), number in self._lags.items():
            figures.set(metrics.FEED_LAG, number, topic=topic, partition=str(partition))
        figures.set(metrics.FEED_PUBLISHED, self._published)
        figures.set(metrics.FEED_BEHIND, self._behind)
        try:
            figures.write(folder / "feed.prom")
        except OSError as error:
            self._reporter.log.warning("metrics not written", folder=str(folder), reason=str(error))


def _longer(wait: float) -> float:
    return min(max(2 * wait, _FIRST_WAIT), _LONGEST_WAIT)


def link_of(it: KafkaConfig) -> KafkaLink:
    """How to reach the brokers.

    Raises:
        ConfigError: the client is not installed, or the password's file cannot be read.
    """
    from hutong.calls.feed.kafka import KafkaLink  # noqa: PLC0415  # librdkafka is loaded where it is needed

    password = ""
    if it.password_file:
        try:
            password = Path(it.password_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                "the file with the password cannot be read.",
                where="kafka.password_file",
                fix="Give this user the right to read it.",
            ) from error
    return KafkaLink(
        bootstrap_servers=",".join(it.bootstrap_servers),
        security_protocol=it.security_protocol,
        sasl_mechanism=it.sasl_mechanism,
        username=it.username,
        password=password,
        ca_file=it.ca_file,
        certificate_file=it.certificate_file,
        key_file=it.key_file,
    )


def feed(
    *,
    config: Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")] = None,
    data: Annotated[Path | None, Parameter(help="数据目录 / data folder")] = None,
) -> int:
    """从 Kafka 接收呼叫、向其发布判决,直到收到停止信号 / Calls from Kafka and verdicts to it, until told to stop."""
    settings = load_config(config, data=data)
    if not settings.kafka.bootstrap_servers:
        raise ConfigError("no brokers are named.", where="kafka.bootstrap_servers", fix="Set it, or do not start this.")
    link = link_of(settings.kafka)
    from hutong.calls.feed.kafka import KafkaFeed, KafkaOutlet  # noqa: PLC0415

    (settings.data / "run").mkdir(parents=True, exist_ok=True)
    reporter = Reporter("feed", level=settings.log.level, form=settings.log.format)
    node = settings.node.name
    topics = [topic for topic in (settings.kafka.calls_topic, settings.kafka.outcomes_topic) if topic]
    messages = KafkaFeed(link, topics, settings.kafka.group, node) if topics else None
    work = FeedWork(settings, SystemClock(), reporter, messages, lambda: KafkaOutlet(link, node))
    work.start()
    try:
        with signal_pipe() as pipe, selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            announce_ready()
            while not selector.select(_FIGURES_S):
                work.publish_figures()
    finally:
        work.stop()
    reporter.log.info("stopped")
    return 0
