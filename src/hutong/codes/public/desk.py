"""What a phone asks for: a first bundle, by a one-time code; every further one, by its token; why a colour is so.

No page and no route. Between the two steps of an arrival nothing of the person is kept: the phone holds it, sealed.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from hutong.codes.issuing import Bearer
from hutong.codes.people.day_keys import day_of
from hutong.codes.people.documents import DocumentKind, read_document  # msgspec reads the annotation
from hutong.codes.people.errors import PersonRefused
from hutong.codes.people.holders import Holder, IdentityCheck
from hutong.codes.people.sealing import seal, unseal
from hutong.codes.people.store import checked_name
from hutong.kernel.errors import StateError
from hutong.kernel.numbering.keys import KIND_NUMBER, digits_of, key_kind
from hutong.kernel.records import RecordsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hutong.codes.bundles import BundleRow
    from hutong.codes.claims import Kind
    from hutong.codes.devices import Devices
    from hutong.codes.issuing import Issuer
    from hutong.codes.minting import Wallet
    from hutong.codes.people.family import Family
    from hutong.codes.people.store import People, Profile
    from hutong.codes.replicas.away import AwayDesk
    from hutong.codes.scans.day_names import PersonNames
    from hutong.codes.status.desk import StatusDesk
    from hutong.codes.status.words import Language, Told
    from hutong.kernel.numbering import Numbering
    from hutong.kernel.one_time import OneTimeCodes

_LONGEST_ARRIVAL: Final = 2_000
_ABOUT: Final = "arrival"
#: How often codes are made again because a colour changed meanwhile.
_TRIES: Final = 3
_CALLED: Final = frozenset({"mobile"})


class Arrival(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who wants a code."""

    kind: DocumentKind
    document: str
    name: str
    phone: str


class Confirmation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the phone was given at its arrival, and the digits of the message."""

    arrival: str
    code: str


class Holders(NamedTuple):
    """Who knows whose numbers are; and whether somebody is registered, as unproven, where that cannot be said."""

    check: IdentityCheck
    takes_unproven: bool


class _Sealed(msgspec.Struct, frozen=True):
    who: Arrival
    ticket: str


class _Shown(NamedTuple):
    person: str
    kind: Kind
    profile: Profile


class PublicDesk:
    """Where phones are served.

    Args:
        people, family, status, issuer, devices: of the node. names: what codes show of a person. codes: one-time codes.
        numbering: reads telephone numbers. words: the message, by language, code and minutes.
        secret: 32 bytes that arrivals are sealed with; asked for at the first one. away: answers without the records.
        holders: who knows whose numbers are; None = nobody is asked.
    """

    def __init__(  # noqa: PLR0913  # everything that it is wired to
        self,
        *,
        people: People,
        family: Family,
        status: StatusDesk,
        issuer: Issuer,
        devices: Devices,
        names: PersonNames,
        codes: OneTimeCodes,
        numbering: Numbering,
        words: Callable[[str, str, int], str],
        secret: Callable[[], bytes],
        away: AwayDesk,
        holders: Holders | None = None,
    ) -> None:
        self._people, self._family, self._status, self._issuer = people, family, status, issuer
        self._devices, self._names, self._codes, self._numbering = devices, names, codes, numbering
        self._words, self._secret, self._away, self._holders = words, secret, away, holders
        self._database = status.statuses.database

    def arrive(self, who: Arrival, language: str, now_ms: int) -> str:
        """Send a one-time code to the number; gives what the phone brings with it.

        Raises:
            PersonRefused: document, name or number will not do. TooManyCodes: for that number, or all together.
        """
        read_document(who.kind, who.document)
        checked_name(who.name)
        number = self._numbering.read(who.phone)
        if key_kind(number.key) != KIND_NUMBER or number.klass not in _CALLED:
            raise PersonRefused("phone", "This is no mobile number.", where="phone")
        ticket = self._codes.issue(
            number.key,
            self._numbering.show(number.key),
            lambda code, minutes: self._words(language, code, minutes),
            language,
            now_ms,
        )
        sealed = seal(self._secret(), msgspec.json.encode(_Sealed(who, ticket)), _ABOUT)
        return base64.urlsafe_b64encode(sealed).decode()

    def confirm(self, said: Confirmation, now_ms: int) -> str:
        """Register who proved the number; gives the phone's token.

        Raises:
            PersonRefused: "code": the digits are wrong, or too late; and as for `arrive`.
        """
        sealed = self._opened(said.arrival)
        if sealed is None or self._codes.prove(sealed.ticket, said.code, now_ms) is None:
            raise PersonRefused("code", "The digits are not right, or their time is over.", where="code")
        return self._devices.add(self._registered(sealed.who, now_ms, proven=self._proven(sealed.who, now_ms)), now_ms)

    def _registered(self, who: Arrival, now_ms: int, *, proven: bool | None) -> str:
        """Whom an unproven phone says to be is nobody who is kept as more; who is more lets unproven phones go."""
        document = read_document(who.kind, who.document)
        person = self._people.pseudonyms.of(document)
        with self._database.write() as connection:
            self._people.hold(connection, [person])
            kept = self._people.kept(person, now_ms)
            if kept is not None and (kept.proven is False) != (proven is False):
                if proven is False:
                    raise _operator_away()
                self._devices.let_go(connection, [person], now_ms)
            return self._people.register(document, who.name, who.phone, now_ms, proven=proven)

    def _proven(self, who: Arrival, now_ms: int) -> bool | None:
        """Whether the phone is the person's; asked once the phone is proven, or strangers could ask about anybody."""
        if self._holders is None:
            return None
        number = digits_of(self._numbering.read(who.phone).key)
        holder = Holder(read_document(who.kind, who.document), checked_name(who.name), number)
        said = self._holders.check.belongs(holder, now_ms)
        if said == "no":
            raise PersonRefused("operator", "The number is registered to somebody else.", where="phone")
        if said != "yes" and not self._holders.takes_unproven:
            raise _operator_away()
        return said == "yes"

    def wallet(self, token: str, now_ms: int) -> Wallet:
        """Codes for the next hours: the person's own, and of the family in their care.

        Raises:
            PersonRefused: "device": this phone may not fetch. StateError: keys are not here.
        """
        person = self.person(token, now_ms)
        people = self._shown(person, now_ms)
        for _ in range(_TRIES):
            own, *family = (self._bearer(it, now_ms) for it in people)
            made = self._issuer.prepare(own, family, now_ms)
            if self._kept((own, *family), made.rows, now_ms):
                return made.wallet
        raise StateError("Colours changed while codes were made.", fix="Ask again.")

    def why(self, token: str, language: Language, now_ms: int) -> Told:
        """Why the person's colour is what it is, or was lately while the records are away. Raises PersonRefused."""
        try:
            return self._status.why(self.person(token, now_ms), language, now_ms)[1]
        except RecordsError:
            return self._away.why(token, language, now_ms)

    def leave(self, token: str, now_ms: int) -> bool:
        """Let a phone go; False where it was none."""
        return self._devices.drop(token, now_ms)

    def _kept(self, bearers: Sequence[Bearer], rows: Sequence[BundleRow], now_ms: int) -> bool:
        """Keep bundles, unless a colour changed since it was read: whoever changes one revokes only what is kept."""
        statuses = self._status.statuses
        with self._database.write() as connection:
            self._people.hold(connection, [it.person for it in bearers])
            if any(statuses.standing(it.person, now_ms).colour != it.colour for it in bearers):
                return False
            self._issuer.keep(rows)
        return True

    def person(self, token: str, now_ms: int) -> str:
        """Whose phone it is, who is kept for the whole time again. Raises PersonRefused: "device": nobody's."""
        with self._database.read():
            phone = self._devices.find(token, now_ms)
            kept_until = None if phone is None else self._people.kept_until(phone.person, now_ms)
        if phone is None or kept_until is None:
            raise PersonRefused("device", "This phone may not fetch codes.", fix="Get a code again, with a message.")
        self._devices.use(phone, now_ms)
        self._people.renew(phone.person, kept_until, now_ms)
        return phone.person

    def _shown(self, person: str, now_ms: int) -> list[_Shown]:
        """Whose codes a person's phone shows, the person first."""
        with self._database.read():
            own = _Shown(person, "own", self._people.profile(person, now_ms))
            links = self._family.wards(person, now_ms)
            kept = [(it, day) for it in links if (day := self._people.kept_until(it.ward, now_ms)) is not None]
            wards = [_Shown(it.ward, it.kind, self._people.profile(it.ward, now_ms)) for it, _ in kept]
        for link, day in kept:
            self._people.renew(link.ward, day, now_ms)  # whose code is shown by another uses it, too
        return [own, *wards]

    def _bearer(self, it: _Shown, now_ms: int) -> Bearer:
        standing = self._status.statuses.standing(it.person, now_ms)
        return Bearer(
            person=it.person,
            who=self._names.name(it.person, day_of(now_ms)),
            kind=it.kind,
            name=it.profile.masked_name,
            tail=it.profile.tail,
            colour=standing.colour,
            as_of_ms=standing.as_of_ms,
        )

    def _opened(self, arrival: str) -> _Sealed | None:
        if len(arrival) > _LONGEST_ARRIVAL:
            return None
        try:
            plain = unseal(self._secret(), base64.urlsafe_b64decode(arrival), _ABOUT)
        except (binascii.Error, ValueError):
            return None
        return None if plain is None else msgspec.json.decode(plain, type=_Sealed)


def _operator_away() -> PersonRefused:
    return PersonRefused("operator-away", "Nobody says now whose number it is.", where="phone", fix="Try later.")
