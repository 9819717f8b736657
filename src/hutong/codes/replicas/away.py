"""What phones are told from a replica while the records are away: why a colour is so, and what is revoked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.codes.people.errors import PersonRefused
from hutong.codes.revocation import write_news
from hutong.codes.status.colour_rules import ends_ms
from hutong.codes.status.model import Standing
from hutong.codes.status.words import tell_as_of
from hutong.kernel.records import RecordsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.codes.key_ring import KeyRing
    from hutong.codes.replicas.reading import CodesReplica
    from hutong.codes.status.colour_rules import ColourRules
    from hutong.codes.status.words import Language, Told


class AwayDesk:
    """Answers without the records.

    Args:
        replica: of the node. rules: in force.
    """

    def __init__(self, replica: CodesReplica, rules: ColourRules) -> None:
        self._replica, self._rules = replica, rules

    def why(self, token: str, language: Language, now_ms: int) -> Told:
        """Why the colour of a phone's person is what it is, as of when the replica stands.

        Raises:
            PersonRefused: "device": this phone is not known. StateError: the replica is not whole.
        """
        at_ms = self._replica.heard_ms()
        person = self._replica.phone_person(token, now_ms)
        if person is None:
            raise PersonRefused("device", "This phone may not fetch codes.", fix="Get a code again, with a message.")
        standing = self._replica.standing(person, now_ms)
        if standing is None:
            rule = self._rules.otherwise
            standing = Standing(rule.colour, rule.name, "", "", now_ms, ends_ms(rule, now_ms), at_ms)
        return tell_as_of(standing, self._rules.rule(standing.rule), language, at_ms)


def news_of(records: Callable[[int, int], bytes], replica: CodesReplica, ring: KeyRing) -> Callable[[int, int], bytes]:
    """What was revoked since a version, signed: from the records, or from a replica while they are away.

    A list from a replica is signed as of when that was whole, so that verifiers know how old it is.
    """

    def news(since: int, now_ms: int) -> bytes:
        try:
            return records(since, now_ms)
        except RecordsError:
            as_of_ms = replica.heard_ms()  # before the list is read: it may be newer than it says, never older
            newest, entries = replica.news(since, now_ms)
            return write_news(ring.issuer, since, newest, entries, ring.signing_key(now_ms), as_of_ms)

    return news
