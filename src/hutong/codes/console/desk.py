"""What pages and API of codes share: who asks, about whom, and what is done for somebody by hand.

A person is named by an identity document, in the body of a request and nowhere else, and whoever looks one up says what
for: that goes on the trail with a digest or an id that is no person's. What is shown of people is masked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from hutong.codes.issuing import Bearer, PaperCode
from hutong.codes.people.day_keys import day_of
from hutong.codes.people.documents import DocumentKind, read_document
from hutong.codes.people.errors import PersonRefused
from hutong.codes.people.family import Link, LinkKind, Proof, Wish
from hutong.codes.status.appeals import UNIT as APPEALS_UNIT
from hutong.codes.status.changes import HOUSE, Actor
from hutong.codes.status.errors import StatusRefused
from hutong.codes.status.listings import Listings, may_see
from hutong.kernel.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from hutong.codes.bundles import BundleRow, BundleStore
    from hutong.codes.issuing import Issuer
    from hutong.codes.key_ring import KeyRing
    from hutong.codes.keys import SigningKey
    from hutong.codes.people.documents import Document
    from hutong.codes.people.family import Family
    from hutong.codes.people.store import People
    from hutong.codes.rotation import Term
    from hutong.codes.scans.day_names import PersonNames
    from hutong.codes.scans.lookup_model import Seeker
    from hutong.codes.scans.lookup_orders import LookupOrders
    from hutong.codes.scans.lookups import LookupDesk
    from hutong.codes.scans.store import Scans
    from hutong.codes.scans.venue_book import VenueBook
    from hutong.codes.status.appeals import Appeal
    from hutong.codes.status.changes import Change
    from hutong.codes.status.desk import StatusDesk
    from hutong.codes.status.model import ColourEvent, Standing
    from hutong.codes.status.words import Language, Told
    from hutong.kernel.access.trail import Trail
    from hutong.kernel.access.viewer import Viewer
    from hutong.kernel.declared.source import Source
    from hutong.kernel.records import Database

LONGEST_PURPOSE: Final = 200
#: How often a code is made again because the colour changed meanwhile.
_TRIES: Final = 3
#: Changes of a colour that are shown of one person.
_EVENTS: Final = 20


class Scanning(Protocol):
    """Venues, scans and look-ups of a node."""

    @property
    def venues(self) -> VenueBook:
        """Venues and their codes."""

    @property
    def scans(self) -> Scans:
        """What devices scanned."""

    @property
    def orders(self) -> LookupOrders:
        """Orders that allow look-ups."""

    @property
    def desk(self) -> LookupDesk:
        """Where look-ups are asked."""


class Paper(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An identity document as somebody wrote it."""

    kind: DocumentKind
    number: str

    def read(self) -> Document:
        """The document. Raises PersonRefused: "document"."""
        return read_document(self.kind, self.number)


class Explained(msgspec.Struct, frozen=True):
    """Why somebody has a colour.

    Attributes:
        who: masked name and end of the document, as codes show them; empty of whom no name is kept.
        events: how it came about, the latest change first.
    """

    who: str
    standing: Standing
    told: Told
    events: tuple[ColourEvent, ...]


class Issued(msgspec.Struct, frozen=True):
    """A code that was issued by hand: its text, the handle that revokes it, whose, until when it is good.

    Attributes:
        paper: what is printed; None of a code for a screen.
    """

    text: str
    handle: str
    who: str
    until_ms: int
    paper: PaperCode | None = None


class Relative(msgspec.Struct, frozen=True):
    """A link as somebody sees it who looked one of its sides up: whether they care for the other, whom masked."""

    link: Link
    cares: bool
    other: str


class StaffDesk:
    """Where codes are worked on by hand.

    Args:
        database: opened by whoever made it. status, scanning: give colours and scans once they are asked: a rule file
            or a table that is wrong keeps no other page away.
        people, family, issuer, bundles, ring, names: of the node. venue_key: gives the key of venues' codes.
        rule_sources: the files of the colour rules. seeker: gives who asks for look-ups. node: its name.
        trail: where deeds go.
    """

    def __init__(  # noqa: PLR0913  # everything that it is wired to
        self,
        *,
        database: Database,
        status: Callable[[], StatusDesk],
        scanning: Callable[[], Scanning],
        people: People,
        family: Family,
        issuer: Issuer,
        bundles: BundleStore,
        ring: KeyRing,
        names: PersonNames,
        venue_key: Callable[[], SigningKey],
        rule_sources: Callable[[], Sequence[Source]],
        seeker: Callable[[str, str], Seeker],
        node: str,
        trail: Trail,
    ) -> None:
        self.database, self._status, self._scanning, self._seeker = database, status, scanning, seeker
        self._people, self._family, self._issuer, self._bundles = people, family, issuer, bundles
        self.ring, self.venue_key, self.rule_sources, self.node = ring, venue_key, rule_sources, node
        self._names, self._trail = names, trail
        self.listings = Listings(database)

    @property
    def status(self) -> StatusDesk:
        """The colours. Raises RuleError: a colour rule is refused."""
        return self._status()

    @property
    def scanning(self) -> Scanning:
        """Venues, scans, look-ups. Raises ScanError: the file of districts is not as it must be."""
        return self._scanning()

    # Who asks

    def actor(self, viewer: Viewer) -> Actor:
        """Who asks something of a colour.

        Raises:
            StatusRefused: "agency": a partner who is bound to no agency, or to one that is disabled.
        """
        if not is_bound(viewer):
            fix = "Bind the account to its agency."
            raise StatusRefused("agency", "This account acts for no agency.", where=viewer.name, fix=fix)
        return Actor(viewer.name, viewer.permissions, viewer.agency or HOUSE, viewer.address)

    def seeker(self, viewer: Viewer) -> Seeker:
        """Who asks for look-ups: the account as it is in the records, with what this session or token may do."""
        found = self._seeker(viewer.name, viewer.address)
        allowed = found.permissions & viewer.permissions if is_bound(viewer) else frozenset[str]()
        return msgspec.structs.replace(found, permissions=allowed)

    def change(self, id_: str, viewer: Viewer) -> Change:
        """A change by hand. Raises StatusRefused: "no-change": there is none that this viewer sees."""
        change = self.status.changes.change(id_)
        if not is_bound(viewer) or not may_see(change, viewer.agency or HOUSE):
            raise StatusRefused("no-change", f"There is no change {id_[:80]!r}.")
        return change

    def appeal(self, id_: str, viewer: Viewer) -> Appeal:
        """An appeal. Raises StatusRefused: "no-appeal": there is none that this viewer sees."""
        if not sees_appeals(viewer):
            raise StatusRefused("no-appeal", f"There is no appeal {id_[:80]!r}.")
        return self.status.appeals.appeal(id_)

    # About whom

    def person(self, paper: Paper) -> str:
        """The pseudonym of whose document it is. Raises PersonRefused: "document"."""
        return self._people.pseudonyms.of(paper.read())

    def who(self, person: str, now_ms: int) -> str:
        """Masked name and end of the document; empty where nothing is kept."""
        try:
            profile = self._people.profile(person, now_ms)
        except PersonRefused:
            return ""
        return f"{profile.masked_name} ···{profile.tail}"

    def explain(self, paper: Paper, purpose: str, lang: Language, viewer: Viewer, now_ms: int) -> Explained:
        """Why somebody has their colour; on the trail with the purpose before it is shown.

        Raises:
            PersonRefused: "document". StatusRefused: not allowed, or no purpose. StateError: keys are not here.
        """
        person, status = self.person(paper), self.status
        standing, told = status.explain(person, lang, purpose, self.actor(viewer), now_ms)
        events = status.statuses.events(person, now_ms, _EVENTS)
        return Explained(self.who(person, now_ms), standing, told, tuple(events))

    # Codes by hand

    def issue_paper(self, paper: Paper, name: str, purpose: str, viewer: Viewer, now_ms: int) -> Issued:
        """A code on paper for somebody, who is registered with it.

        Raises:
            PersonRefused: document or name will not do. StatusRefused: the purpose.
            MintError, StateError: no key may sign.
        """
        purpose = read_purpose(purpose)
        person = self._registered(paper, name, now_ms)
        code = self._issuer.paper(self._bearer(person, now_ms), now_ms)
        self._told("codes.issue", code.handle.hex(), viewer, now_ms, {"kind": "paper"}, purpose)
        claims, handle = code.claims, code.handle.hex()
        return Issued(code.text, handle, f"{claims.name} ···{claims.tail}", claims.expires_ms, code)

    def issue_shown(self, paper: Paper, name: str, purpose: str, viewer: Viewer, now_ms: int) -> Issued:
        """A code of now for somebody whose phone is not at hand. Raises as `issue_paper`."""
        purpose = read_purpose(purpose)
        person = self._registered(paper, name, now_ms)
        for _ in range(_TRIES):
            bearer = self._bearer(person, now_ms)
            made = self._issuer.prepare(bearer, (), now_ms)
            bundle = made.wallet.own
            if self._kept(bearer, made.rows, now_ms):
                handle, at = bundle.handle.hex(), bundle.at(now_ms) or 0
                self._told("codes.issue", handle, viewer, now_ms, {"kind": "own"}, purpose)
                until_ms = (bundle.first_s + (at + 1) * bundle.pace.step_s) * 1000
                return Issued(bundle.text(at), handle, f"{bearer.name} ···{bearer.tail}", until_ms)
        raise StateError("The colour changed while a code was made.", fix="Ask again.")

    def revoke(self, paper: Paper | None, handle: str, why: str, viewer: Viewer, now_ms: int) -> int:
        """Revoke all codes of a person, or those of one handle; gives how many bundles and papers.

        Raises:
            PersonRefused: the document will not do. StatusRefused: the reason. BundleError: there is no such handle.
        """
        why = read_purpose(why)
        with self.database.write():
            if paper is not None:
                chosen = [it.handle for it in self._bundles.of_person(self.person(paper), now_ms)]
            else:
                chosen = [self._bundles.bundle(handle.strip().lower()).handle]
            done = self._bundles.revoke(chosen, now_ms)
            for one in chosen or [""]:  # also that nothing was found: somebody was looked up
                self._told("codes.revoke", one, viewer, now_ms, {"revoked": done}, why)
        return done

    def _kept(self, bearer: Bearer, rows: Sequence[BundleRow], now_ms: int) -> bool:
        """Keep a bundle, unless the colour changed since it was read: a change revokes only what is kept."""
        statuses = self.status.statuses
        with self.database.write() as connection:
            self._people.hold(connection, [bearer.person])
            if statuses.standing(bearer.person, now_ms).colour != bearer.colour:
                return False
            self._issuer.keep(rows)
        return True

    def _registered(self, paper: Paper, name: str, now_ms: int) -> str:
        """Register somebody, or keep them for longer; what is known already need not be said, and is not lost."""
        try:
            known = self._people.profile(self.person(paper), now_ms)
        except PersonRefused:
            return self._people.register(paper.read(), name, "", now_ms)
        return self._people.register(paper.read(), name.strip() or known.name, known.phone, now_ms)

    def _bearer(self, person: str, now_ms: int) -> Bearer:
        profile, standing = self._people.profile(person, now_ms), self.status.statuses.standing(person, now_ms)
        return Bearer(
            person=person,
            who=self._names.name(person, day_of(now_ms)),
            kind="own",
            name=profile.masked_name,
            tail=profile.tail,
            colour=standing.colour,
            as_of_ms=standing.as_of_ms,
        )

    # Family

    def relatives(self, paper: Paper, purpose: str, viewer: Viewer, now_ms: int) -> tuple[str, list[Relative]]:
        """Who somebody is, masked, and the links in force with them; on the trail first.

        Raises:
            PersonRefused: the document will not do. StatusRefused: the purpose.
        """
        purpose, person = read_purpose(purpose), self.person(paper)
        wards, guardians = self._family.wards(person, now_ms), self._family.guardians(person, now_ms)
        after = {"links": [it.id for it in (*wards, *guardians)]}
        self._told("codes.family", "", viewer, now_ms, after, purpose)
        found = [Relative(it, True, self.who(it.ward, now_ms)) for it in wards]  # noqa: FBT003  # a struct's field
        found += [Relative(it, False, self.who(it.guardian, now_ms)) for it in guardians]  # noqa: FBT003  # as above
        return self.who(person, now_ms), found

    def link(
        self, guardian: Paper, ward: Paper, kind: LinkKind, proof: Proof, days: int, born: date | None, viewer: Viewer,
        now_ms: int,
    ) -> Link:  # fmt: skip
        """Let somebody show another's code. Raises PersonRefused: says why not."""
        one, other = self.person(guardian), ward.read()
        person = self._people.pseudonyms.of(other)
        consenting = one if kind == "child" else person
        wish = Wish(
            guardian=one, ward=person, kind=kind, consent_of=consenting, proof=proof, born=other.born or born, days=days
        )
        return self._family.link(wish, viewer.name, viewer.address, now_ms)

    def unlink(self, id_: str, *, by_guardian: bool, viewer: Viewer, now_ms: int) -> Link:
        """End a link, because one of the two wants it. Raises PersonRefused: "no-link"."""
        link = self._family.one(id_)
        return self._family.unlink(
            id_, link.guardian if by_guardian else link.ward, viewer.name, viewer.address, now_ms
        )

    # Keys

    def keys(self, now_ms: int) -> list[Term]:
        """The keys that sign codes, in the order in which they begin. Raises StateError: they cannot be read."""
        return self.ring.terms(now_ms)

    def days_of_keys(self, now_ms: int) -> tuple[int, int]:
        """How many keys of days there are, and how many of them should be gone: none, while `work` runs."""
        days = self._people.days.days()
        return len(days), sum(day < day_of(now_ms) for day in days)

    def tell(self, deed: str, target: str, viewer: Viewer, now_ms: int, after: object = None) -> None:
        """Put on the trail what was shown, before it is."""
        self._told(deed, target, viewer, now_ms, after, "")

    def _told(self, deed: str, target: str, viewer: Viewer, now_ms: int, after: object, why: str) -> None:
        self._trail.record(viewer.name, viewer.address, deed, target, None, after, why, now_ms=now_ms)


def is_bound(viewer: Viewer) -> bool:
    """Whether somebody is of this house, or of an agency that is not disabled.

    A token of this house's people that is bound to an agency is neither: it acts for nobody here.
    """
    return bool(viewer.units) if viewer.agency else viewer.units is None


def sees_appeals(viewer: Viewer) -> bool:
    """Whether somebody sees appeals: each is a case of one unit."""
    return viewer.units is None or APPEALS_UNIT in viewer.units


def read_purpose(text: str) -> str:
    """What for. Raises StatusRefused: "no-reason": it says nothing, or too much."""
    said = " ".join(text.split())
    if not 0 < len(said) <= LONGEST_PURPOSE or not said.isprintable():
        raise StatusRefused("no-reason", "Say what for, in a line.", where="purpose")
    return said
