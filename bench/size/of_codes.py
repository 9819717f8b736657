"""Codes: issuing, verifying, colours, of one person among so many."""

from __future__ import annotations

import inspect
import random
import time
from typing import TYPE_CHECKING, Any, Final, cast

from bench.size.asking import DAY, HOUR, NOW, Question, Subject
from bench.size.filling import Fill
from hutong.app.cases_work import open_cases
from hutong.app.codes_status_work import family_of, people_of, status_desk
from hutong.app.codes_work import code_issuer, day_names, key_ring
from hutong.codes.bundles import BundleRow, BundleStore
from hutong.codes.devices import Devices
from hutong.codes.people.documents import read_document
from hutong.codes.public.desk import PublicDesk
from hutong.codes.revocation import no_revocations, read_news
from hutong.codes.status.evidence import Result, Visit
from hutong.codes.verification import Trust, verify
from hutong.kernel.identity_cards import check_character
from hutong.kernel.records import bundle_tables, code_tables, device_tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hutong.codes.issuing import Bearer, Issuer, Prepared

_BUNDLES_EACH: Final = 10
_REVOKED: Final = 100_000
_TAIL: Final = "'5a5a5a5a5a5a5a5a5a5a'"


class _Timed:
    """An issuer; `ms`: what signing took last."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer, self.keep, self.ms = issuer, issuer.keep, 0.0

    def prepare(self, own: Bearer, family: Sequence[Bearer], now_ms: int) -> Prepared:
        """See `Subject.prepare`."""
        began = time.perf_counter()
        made = self._issuer.prepare(own, family, now_ms)
        self.ms = (time.perf_counter() - began) * 1000
        return made


class Codes(Subject):
    """A tenth as many people as bundles: each has some, as phones fetch a new one before the old is over."""

    name = "codes"
    row_bytes = {"sqlite": 360, "postgresql": 560}  # noqa: RUF012  # read alone

    def make(self) -> None:
        """See `Subject.make`."""
        self.database.open()
        self._ring = key_ring(self.config)
        self._ring.rotate(NOW - HOUR)
        self._wire()
        self._tokens, self._persons = [], []
        for n in range(self.asked):
            digits = f"99999919900101{n:03}"
            document = read_document("id", digits + check_character(digits))
            person = self._people.register(document, "王小明", "13912345678", NOW)
            visit = Visit(id=f"v{n}", at_ms=NOW - HOUR, risk="high" if n % 4 == 0 else "low", place="某商场")
            self._statuses.take(person, [Result(id=f"t{n}", at_ms=NOW - DAY, result="negative"), visit], NOW)
            self._tokens.append(self._devices.add(person, NOW))
            self._persons.append(person)
        wallets = [self._desk.wallet(token, NOW) for token in self._tokens]
        self._texts = [it.own.text(it.own.at(NOW) or 0) for it in wallets]
        self._handles = [it.own.handle.hex() for it in wallets]
        expires_ms = NOW + DAY
        over = [BundleRow(f"{n:016x}", "ab" * 16, "own", NOW, expires_ms) for n in range(1, min(_REVOKED, self.rows))]
        self._store.add(over)
        self._store.revoke([it.handle for it in over], NOW)
        self.database.close()

    def fills(self) -> list[Fill]:
        """See `Subject.fills`."""
        people, engine = max(self.rows // _BUNDLES_EACH, 1), self.engine
        step = (1 << 48) // people
        person = f"{engine.hex(f'n * {step}', 12)} || {_TAIL}"
        of = f"{engine.hex(f'((n * 7919) % {people}) * {step}', 12)} || {_TAIL}"
        handle = engine.hex(f"{1 << 40} + n * {(1 << 62) // self.rows}", 16)
        times = {"issued_ms": f"{NOW} - n % {DAY}", "expires_ms": f"{NOW} + {DAY} - n % {DAY}"}
        token = f"{engine.hex(f'n * {step}', 12)} || '{'7b' * 26}'"
        event = f"'node1-' || {engine.hex(f'n * {step}', 12)} || '-5a5a5a5a'"
        return [
            Fill(code_tables.code_people, people, {"person": person}),
            Fill(code_tables.code_person_keys, people, {"person": person}),
            Fill(
                code_tables.code_colours,
                people,
                {
                    "person": person,
                    "event": event,
                    "as_of_ms": f"{NOW} - n % {DAY}",
                    "again_ms": f"{NOW} + {HOUR} + n % {DAY}",
                },
            ),
            Fill(code_tables.code_evidence, people, {"person": person}),
            Fill(code_tables.code_colour_events, people // 10, {"person": person, "id": event}),
            Fill(device_tables.code_devices, people, {"person": person, "token": token}),
            Fill(bundle_tables.code_bundles, self.rows, {"handle": handle, "person": of, **times}),
        ]

    def questions(self) -> list[Question]:
        """See `Subject.questions`."""
        rng = random.Random(3)
        self._wire()
        persons, tokens = rng.sample(self._persons, self.asked), rng.sample(self._tokens, self.asked)
        handles, texts = rng.sample(self._handles, self.asked), rng.sample(self._texts, self.asked)
        trust = Trust([self._ring.key_set(NOW)])
        news = self._site_issuer.news(0, NOW)
        lists = {self._ring.issuer: no_revocations(self._ring.issuer).applied(read_news(news, trust.key_sets))}
        newest, _ = self._store.news(0, NOW)

        def at_records(at: int) -> object:
            row = self._store.bundle(handles[at % self.asked])
            return self._statuses.standing(row.person, NOW)

        wallet = lambda at: self._desk.wallet(tokens[at % self.asked], NOW)  # noqa: E731
        return [
            Question("a wallet issued: signed and kept", wallet),
            Question("a wallet issued: all but the signatures", wallet, lambda: self._issuer.ms),
            Question(
                "a code verified offline, 100,000 revoked",
                lambda at: verify(texts[at % self.asked], trust, lists, None, NOW),
            ),
            Question("a code verified at the records: bundle and colour", at_records),
            Question("a person's colour", lambda at: self._statuses.standing(persons[at % self.asked], NOW)),
            Question("why a person's colour is so", lambda at: self._desk.why(tokens[at % self.asked], "zh", NOW)),
            Question("a person's bundles", lambda at: self._store.of_person(persons[at % self.asked], NOW)),
            Question("evidence taken and judged", lambda at: self._take(persons[at % self.asked], at)),
            Question("what was revoked since", lambda at: self._store.news(newest - 100 - at, NOW)),
            Question("who is to be judged again", lambda _at: self._statuses.judge_due(NOW)),
            Question("5,000 bundles that are over deleted", lambda _at: self._store.purge(NOW + HOUR), once=True),
        ]

    def _wire(self) -> None:
        """What belongs to codes; of the public desk all but what arrivals need."""
        config, database = self.config, self.database
        self._site_issuer = code_issuer(config, database)
        self._issuer = _Timed(self._site_issuer)
        self._people = people_of(config, database)
        status = status_desk(config, database, lambda: open_cases(config, database))
        self._statuses, self._devices = status.statuses, Devices(database, config.codes.person_days)
        self._store = BundleStore(database)
        parts = {
            "people": self._people,
            "family": family_of(config, database),
            "status": status,
            "issuer": self._issuer,
            "devices": self._devices,
            "names": day_names(config, self._people),
        }
        names = inspect.signature(PublicDesk).parameters
        self._desk = PublicDesk(**{name: cast("Any", parts.get(name)) for name in names})

    def _take(self, person: str, at: int) -> object:
        return self._statuses.take(person, [Result(id=f"r{at}", at_ms=NOW - HOUR, result="negative")], NOW)
