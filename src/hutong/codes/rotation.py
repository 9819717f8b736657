"""When a key signs, and for how long it is kept: terms of keys from their records. Pure.

A key is published before it is used, signs until the next one begins, and stays in the key set until its last code has
expired. All of that follows from the times at which keys begin, so nothing has to be switched.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from hutong.codes.keys import Algorithm, PublicKey, SigningKey

State = Literal["next", "signing", "kept", "over"]
DAY_MS: Final = 86_400_000
#: For how long a key is published before it signs: verifiers that were offline for less know it in time.
AHEAD_MS: Final = 3 * DAY_MS


class KeyRecord(msgspec.Struct, frozen=True):
    """A key as it is kept.

    Attributes:
        algorithm, secret: what it is made of. begins_ms: from when it signs.
        term_ms: after so long the next one is to begin. lasting_ms: what it signs lasts no longer.
    """

    algorithm: Algorithm
    secret: bytes
    begins_ms: int
    term_ms: int
    lasting_ms: int

    @property
    def limit_ms(self) -> int:
        """When its last code is over, if no key follows: twice its term, so that a node that was off can go on."""
        return self.begins_ms + 2 * self.term_ms + self.lasting_ms


class Term(msgspec.Struct, frozen=True):
    """A key's part at some moment: its state, until when it signs and is in the key set, ms since 1970."""

    record: KeyRecord
    state: State
    signs_until_ms: int
    kept_until_ms: int

    def signing_key(self, now_ms: int) -> SigningKey:
        """The key itself; what it signs now must be over when it would be gone if the next key began at once."""
        limit_ms = min(self.kept_until_ms, now_ms + self.record.lasting_ms)
        return SigningKey(self.record.algorithm, self.record.secret, self.record.begins_ms, limit_ms)

    def public(self) -> PublicKey:
        """What verifiers get."""
        record = self.record
        return SigningKey(record.algorithm, record.secret, record.begins_ms, self.kept_until_ms).public


def terms(records: tuple[KeyRecord, ...], now_ms: int) -> list[Term]:
    """What each key is at `now_ms`, in the order in which they begin."""
    ordered = sorted(records, key=lambda it: it.begins_ms)
    found = []
    for at, record in enumerate(ordered):
        follower = ordered[at + 1].begins_ms if at + 1 < len(ordered) else None
        own_end = record.limit_ms - record.lasting_ms
        signs_until = own_end if follower is None else min(follower, own_end)
        kept_until = signs_until + record.lasting_ms
        found.append(Term(record, _state(record, signs_until, kept_until, now_ms), signs_until, kept_until))
    return found


def _state(record: KeyRecord, signs_until_ms: int, kept_until_ms: int, now_ms: int) -> State:
    if now_ms < record.begins_ms:
        return "next"
    if now_ms < signs_until_ms:
        return "signing"
    return "kept" if now_ms < kept_until_ms else "over"


def follower_begins(records: tuple[KeyRecord, ...], now_ms: int) -> int | None:
    """When the key that has to be made now begins; None where none is due.

    The first key begins at once: nobody holds an older set. A later one begins when the term of the last is over, but
    never before it was published for `AHEAD_MS`, unless no key is left to sign meanwhile.
    """
    if not records:
        return now_ms
    last = max(records, key=lambda it: it.begins_ms)
    if now_ms < last.begins_ms + last.term_ms - AHEAD_MS:
        return None
    if now_ms >= last.limit_ms - last.lasting_ms:
        return now_ms
    return min(max(last.begins_ms + last.term_ms, now_ms + AHEAD_MS), last.limit_ms - last.lasting_ms)
