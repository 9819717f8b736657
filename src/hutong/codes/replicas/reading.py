"""Answers from a replica what the records would have said: whose a bundle is, what colour stands, what is revoked.

How old the answer is is told with it: whoever reads decides whether that will do.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, TypeVar

import msgspec

from hutong.codes.devices import token_hash
from hutong.codes.keys import KeySet, read_key_set
from hutong.codes.replicas import topics
from hutong.codes.revocation import KEPT_MS, Revoked
from hutong.codes.status.model import Standing
from hutong.kernel.errors import StateError

if TYPE_CHECKING:
    from hutong.kernel.replica.log import Topic
    from hutong.kernel.replica.store import Replica

Value = TypeVar("Value")


class CodesReplica:
    """Codes as a replica has them.

    Args:
        replica: opened by whoever made it.
    """

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def heard_ms(self) -> int:
        """As of when everything here stands.

        Raises:
            StateError: the replica was never whole.
        """
        heard_ms = self._replica.heard_ms()
        if not heard_ms:
            raise StateError("The replica is not whole yet.", where=str(self._replica.folder))
        return heard_ms

    def bundle_person(self, handle: str, now_ms: int) -> str | None:
        """Whose bundle it is; None where that is not known."""
        found = self._found(topics.BUNDLES, handle, topics.Owned, now_ms)
        return None if found is None else found.person

    def phone_person(self, token: str, now_ms: int) -> str | None:
        """Whose phone it is; None for a token that is none."""
        found = self._found(topics.DEVICES, token_hash(token), topics.Owned, now_ms)
        return None if found is None else found.person

    def standing(self, person: str, now_ms: int) -> Standing | None:
        """The standing of a person as it was told last; None where nothing is kept of one."""
        return self._found(topics.COLOURS, person, Standing, now_ms)

    def is_revoked(self, handle: str, now_ms: int) -> bool:
        """Whether a bundle is revoked."""
        return self._replica.get(topics.REVOCATIONS, handle, now_ms) is not None

    def news(self, since: int, now_ms: int) -> tuple[int, list[Revoked]]:
        """As `BundleStore.news` of the records."""
        newest, found = since, []
        for handle, value in self._replica.each(topics.REVOCATIONS, now_ms):
            it = msgspec.json.decode(value, type=topics.RevokedAt)
            newest = max(newest, it.version)
            if it.version > since and it.until_ms > now_ms - KEPT_MS:
                found.append(Revoked(it.version, bytes.fromhex(handle), it.until_ms))
        return newest, sorted(found, key=lambda it: it.version)

    def key_set(self, issuer: str, now_ms: int) -> KeySet | None:
        """The signed key set of an issuer, from where the replica trusts; None where there is none."""
        found = self._found(topics.KEYS, issuer, topics.SignedKeys, now_ms)
        return None if found is None else read_key_set(base64.b64decode(found.document))

    def _found(self, topic: Topic, key: str, form: type[Value], now_ms: int) -> Value | None:
        value = self._replica.get(topic, key, now_ms)
        return None if value is None else msgspec.json.decode(value, type=form)
