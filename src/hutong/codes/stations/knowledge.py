"""What verifying needs to know: the keys, whose a bundle is, whether it is revoked, what colour stands. A port of two.

The records say what is so; a replica says what was so a moment ago, also when the records are gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.codes.bundles import BundleStore
    from hutong.codes.keys import KeySet
    from hutong.codes.replicas.reading import CodesReplica
    from hutong.codes.status.model import Standing


#: For how long a key set serves.
KEYS_MS: Final = 5_000


class Known(msgspec.Struct, frozen=True):
    """What is known of a bundle.

    Attributes:
        is_revoked: whether it is. colour: that stands of the person it is of; empty where that is not known.
        as_of_ms: when the colour was judged. is_over: whether the time is over until which it stood.
    """

    is_revoked: bool = False
    colour: str = ""
    as_of_ms: int = 0
    is_over: bool = False


class Knowledge(Protocol):
    """Where verifying looks things up."""

    def read_ms(self, now_ms: int) -> int:
        """As of when everything here stands. Raises HutongError: nothing is known."""

    def key_sets(self, now_ms: int) -> tuple[KeySet, ...]:
        """The key sets that are trusted. Raises HutongError."""

    def bundle(self, handle: str, now_ms: int) -> Known:
        """What is known of a bundle. Raises HutongError: it cannot be asked now."""


class KeptKeySet:
    """A key set that is made again after some seconds rather than for every code: making one reads a file and signs."""

    def __init__(self, make: Callable[[int], KeySet]) -> None:
        self._make = make
        self._kept: tuple[int, KeySet] | None = None

    def __call__(self, now_ms: int) -> KeySet:
        """The key set. Raises what making one raises."""
        kept = self._kept
        if kept is None or not 0 <= now_ms - kept[0] < KEYS_MS:
            kept = self._kept = (now_ms, self._make(now_ms))
        return kept[1]


class RecordsKnowledge:
    """The records.

    Args:
        bundles: of the node. standing: the colour of a person now. key_set: gives the node's.
    """

    def __init__(
        self, bundles: BundleStore, standing: Callable[[str, int], Standing], key_set: Callable[[int], KeySet]
    ) -> None:
        self._bundles, self._standing, self._key_set = bundles, standing, key_set

    def read_ms(self, now_ms: int) -> int:
        """See `Knowledge`."""
        return now_ms

    def key_sets(self, now_ms: int) -> tuple[KeySet, ...]:
        """See `Knowledge`."""
        return (self._key_set(now_ms),)

    def bundle(self, handle: str, now_ms: int) -> Known:
        """See `Knowledge`."""
        person, is_revoked = self._bundles.looked_up(handle)
        if person is None or is_revoked:
            return Known(is_revoked)
        standing = self._standing(person, now_ms)
        return Known(colour=standing.colour, as_of_ms=standing.as_of_ms)


class ReplicaKnowledge:
    """A replica.

    Args:
        replica: of a node. issuer: the node's name. otherwise: the colour of whom nothing is kept of.
        key_set: gives the node's key set where its keys are on this machine; None = the replica's is taken.
    """

    def __init__(
        self, replica: CodesReplica, issuer: str, otherwise: str, key_set: Callable[[int], KeySet] | None = None
    ) -> None:
        self._replica, self._issuer, self._otherwise, self._key_set = replica, issuer, otherwise, key_set

    def read_ms(self, now_ms: int) -> int:  # noqa: ARG002  # the port's
        """See `Knowledge`."""
        return self._replica.heard_ms()

    def key_sets(self, now_ms: int) -> tuple[KeySet, ...]:
        """See `Knowledge`."""
        if self._key_set is not None:
            return (self._key_set(now_ms),)
        found = self._replica.key_set(self._issuer, now_ms)
        return () if found is None else (found,)

    def bundle(self, handle: str, now_ms: int) -> Known:
        """See `Knowledge`."""
        if self._replica.is_revoked(handle, now_ms):
            return Known(is_revoked=True)
        person = self._replica.bundle_person(handle, now_ms)
        if person is None:
            return Known()
        standing = self._replica.standing(person, now_ms)
        if standing is None:
            return Known(colour=self._otherwise, as_of_ms=self._replica.heard_ms())
        return Known(colour=standing.colour, as_of_ms=standing.as_of_ms, is_over=standing.is_over(now_ms))
