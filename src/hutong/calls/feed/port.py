"""What a log of messages does for Hutong, whatever keeps it; and its adapter in this process. No broker here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from hutong.kernel.errors import HutongError, StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from hutong.calls.feed.wire import Place

#: A partition of a topic.
Part = tuple[str, int]


class FeedError(HutongError):
    """The log of messages does not take or give anything now; it is tried again."""


class ScreeningAway(StateError):  # noqa: N818  # a state of things, not somebody's error
    """The screening process cannot be asked now, or keeps nothing; messages wait for it."""


class Message(NamedTuple):
    """One message; `value` is None where a tombstone stands. `offset` names it within its partition for ever."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


class Letter(NamedTuple):
    """A message to send. What has the same key goes to the same partition, in order."""

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Feed(Protocol):
    """Messages of some topics, shared out by partition among those who read in the same group."""

    def open(self, own_places: Callable[[], Sequence[Place]]) -> None:
        """Begin to read.

        Args:
            own_places: asked at every assignment how far this node came. A partition whose last commit was this node's
                begins there, any other one where the group's last commit is, or with its oldest message.

        Raises:
            FeedError: it cannot begin.
        """

    def poll(self, most: int, wait_s: float) -> list[Message]:
        """Messages since the last call, those of a partition in order; waits for the first one.

        Raises:
            FeedError: the log cannot be read now.
        """

    def parts(self) -> set[Part]:
        """The partitions that are this reader's now; changes within `poll` and `keep_alive` only."""

    def hold(self, parts: AbstractSet[Part]) -> None:
        """Let `poll` give nothing of these partitions, and of the others again, until it is told anew."""

    def keep_alive(self, wait_s: float) -> None:
        """Stay in the group without taking messages; waits that long."""

    def commit(self, places: Sequence[Place]) -> None:
        """Tell the group how far partitions are done with. One that was taken away meanwhile is passed over.

        Raises:
            FeedError: it was not told.
        """

    def lag(self) -> Mapping[Part, int]:
        """Messages of each partition that were not polled yet, as far as is known."""

    def close(self) -> None:
        """Leave the group."""


class Outlet(Protocol):
    """Where messages are sent."""

    def send(self, letters: Sequence[Letter]) -> None:
        """Send messages; when it returns, all of them are kept by the log.

        Raises:
            FeedError: some were not kept; which ones is not said: send all of them again.
        """

    def close(self) -> None:
        """Let go of connections."""


class MemoryLog:
    """Topics of this process, with consumer groups: the port without a broker, for tests and trials.

    Args:
        parts: partitions of every topic.
    """

    def __init__(self, parts: int = 4) -> None:
        self.parts = parts
        self.messages: dict[Part, list[Message]] = {}
        self.committed: dict[tuple[str, Part], tuple[int, str]] = {}
        self.members: dict[str, list[MemoryFeed]] = {}

    def put(self, topic: str, key: bytes, value: bytes | None, partition: int | None = None) -> Message:
        """Append a message."""
        chosen = sum(key) % self.parts if partition is None else partition
        row = self.messages.setdefault((topic, chosen), [])
        row.append(Message(topic, chosen, len(row), key, value))
        return row[-1]

    def all(self, topic: str) -> list[Message]:
        """Every message of a topic."""
        return [it for at in range(self.parts) for it in self.messages.get((topic, at), [])]

    def share(self, group: str) -> None:
        """Share the partitions out anew among a group's members."""
        members = self.members.get(group, [])
        for member in members:
            mine = [at for at in range(self.parts) if at % len(members) == members.index(member)]
            member.assign({(topic, at) for topic in member.topics for at in mine})


class MemoryFeed:
    """`Feed` on a `MemoryLog`. Args: log, topics, group and the node's name."""

    def __init__(self, log: MemoryLog, topics: Sequence[str], group: str, node: str) -> None:
        self.topics = tuple(topics)
        self._log, self._group, self._node = log, group, node
        self._next: dict[Part, int] = {}
        self._on_hold: AbstractSet[Part] = set()
        self._own: Callable[[], Sequence[Place]] = tuple

    def open(self, own_places: Callable[[], Sequence[Place]]) -> None:
        """See `Feed.open`."""
        self._own = own_places
        self._log.members.setdefault(self._group, []).append(self)
        self._log.share(self._group)

    def assign(self, parts: set[Part]) -> None:
        """Take these partitions, and only these."""
        own = {(it.topic, it.partition): it.next for it in self._own()}
        fresh = {part: self._next[part] for part in parts & self._next.keys()}
        for part in parts - fresh.keys():
            offset, who = self._log.committed.get((self._group, part), (0, self._node))
            fresh[part] = start_of(own.get(part), offset, ours=who == self._node)
        self._next = fresh

    def poll(self, most: int, wait_s: float) -> list[Message]:
        """See `Feed.poll`; never waits."""
        del wait_s
        found: list[Message] = []
        for part, at in sorted(self._next.items()):
            if part in self._on_hold:
                continue
            some = self._log.messages.get(part, [])[at : at + most - len(found)]
            self._next[part] = at + len(some)
            found += some
        return found

    def parts(self) -> set[Part]:
        """See `Feed.parts`."""
        return set(self._next)

    def hold(self, parts: AbstractSet[Part]) -> None:
        """See `Feed.hold`."""
        self._on_hold = parts

    def keep_alive(self, wait_s: float) -> None:
        """See `Feed.keep_alive`; never waits."""

    def commit(self, places: Sequence[Place]) -> None:
        """See `Feed.commit`."""
        for it in places:
            if (it.topic, it.partition) in self._next:
                self._log.committed[self._group, (it.topic, it.partition)] = (it.next, self._node)

    def lag(self) -> Mapping[Part, int]:
        """See `Feed.lag`."""
        return {part: len(self._log.messages.get(part, [])) - at for part, at in self._next.items()}

    def close(self) -> None:
        """See `Feed.close`."""
        members = self._log.members.get(self._group, [])
        if self in members:
            members.remove(self)
            self._log.share(self._group)
        self._next = {}


class MemoryOutlet:
    """`Outlet` on a `MemoryLog`; raises each of `troubles` once, after it kept half of what it was given."""

    def __init__(self, log: MemoryLog, *troubles: FeedError) -> None:
        self._log, self._troubles = log, list(troubles)

    def send(self, letters: Sequence[Letter]) -> None:
        """See `Outlet.send`."""
        most = len(letters) // 2 if self._troubles else len(letters)
        for it in letters[:most]:
            self._log.put(it.topic, it.key, it.value)
        if self._troubles:
            raise self._troubles.pop(0)

    def close(self) -> None:
        """Nothing is kept open."""


def start_of(own: int | None, committed: int, *, ours: bool) -> int:
    """Where a partition begins: the journal says it where this node committed last, else the group.

    The journal may be behind the group's commit after a power failure, and ahead of it after a kill.
    """
    if own is None:
        return committed
    return own if ours else max(own, committed)
