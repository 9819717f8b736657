"""Sampling: a tube by its barcode, a person's results, what a station merges and a laboratory reports."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING, Final

from bench.size.asking import DAY, HOUR, MINUTE, NOW, Question, Subject
from bench.size.filling import Fill
from hutong.app.sampling_work import open_sampling
from hutong.kernel.records import sampling_tables as tables
from hutong.sampling.figures import Figures
from hutong.sampling.model import Batch, Deed, Event, HandOver, Receive, Register, Report, Seal, event_id
from hutong.sampling.store import Taking

if TYPE_CHECKING:
    from hutong.sampling.model import Result

_SIZE: Final = 10
_EVENTS_EACH: Final = _SIZE + 4
_TAIL: Final = "'5a5a5a5a5a5a5a5a5a5a'"


class _Sampled(Subject):
    """Tubes of ten people each, all reported; one in twenty positive."""

    def make(self) -> None:
        """See `Subject.make`."""
        self.database.open()
        it = self._sampling = open_sampling(self.config, self.database)
        self._sequence, tubes = 0, self.asked // 2
        self._barcodes = [f"XR{n:010}" for n in range(tubes)]
        self._people = [hashlib.sha256(f"person {n}".encode()).hexdigest()[:32] for n in range(tubes * _SIZE)]
        for n, barcode in enumerate(self._barcodes):
            at_ms = NOW - DAY + n * MINUTE
            it.merge(Batch("s00001", NOW - HOUR, tuple(self._filled(n, barcode, at_ms)), district="610104"), NOW - HOUR)
            far = [
                self._event(Receive(tube=barcode, batch=f"B{n}", laboratory="市疾控"), at_ms + 2 * HOUR, "lab"),
                self._report(barcode, at_ms + 3 * HOUR, "positive" if n % 20 == 0 else "negative"),
            ]
            it.take([Taking(one, judged=False) for one in far], NOW - HOUR)
        self.database.close()

    def _filled(self, n: int, barcode: str, at_ms: int) -> list[Event]:
        people = self._people[n * _SIZE : (n + 1) * _SIZE]
        deeds: list[Deed] = [Register(tube=barcode, size=_SIZE, person=it, district="610104") for it in people]
        deeds += [Seal(tube=barcode, people=_SIZE), HandOver(tube=barcode, batch=f"B{n}", expected=1, courier="周")]
        return [self._event(deed, at_ms + at * 1000) for at, deed in enumerate(deeds)]

    def _event(self, deed: Deed, at_ms: int, station: str = "s00001") -> Event:
        self._sequence += 1
        sequence = self._sequence + 1_000_000 if station == "s00001" else 0
        of = event_id(station, sequence, self._sequence.to_bytes(8))
        return Event(id=of, station=station, sequence=sequence, at_ms=at_ms, by="li", deed=deed)

    def _report(self, barcode: str, tested_ms: int, result: Result) -> Event:
        return self._event(Report(tube=barcode, result=result, tested_ms=tested_ms), tested_ms, "lab")

    def _opened(self) -> None:
        self._sampling = open_sampling(self.config, self.database)
        self._mixed = random.Random(3).sample(range(self.asked // 2), self.asked // 2)

    def _barcode(self, at: int) -> str:
        return self._barcodes[self._mixed[at % len(self._mixed)]]


class Tubes(_Sampled):
    """So many events of tubes."""

    name = "sampling, events"
    row_bytes = {"sqlite": 460, "postgresql": 460}  # noqa: RUF012  # read alone

    def fills(self) -> list[Fill]:
        """See `Subject.fills`."""
        engine, each = self.engine, max(self.rows // 5000, 1)
        station, sequence = f"'s' || {engine.digits(f'n / {each}', 5)}", f"1000000 + n % {each}"
        of = f"{station} || '.' || {engine.digits(sequence, 7)} || '.' || {engine.hex('n', 16)}"
        barcode = f"'XA' || {engine.digits(f'n / {_EVENTS_EACH}', 10)}"
        fills = {
            "id": of,
            "barcode": barcode,
            "station": station,
            "sequence": sequence,
            "merged_ms": f"{NOW} - n % {DAY}",
        }
        return [Fill(tables.sampling_events, self.rows, fills)]

    def questions(self) -> list[Question]:
        """See `Subject.questions`."""
        self._opened()

        def merge(at: int) -> object:
            deeds = [
                Register(tube=f"XN{at:010}-{n // _SIZE}", size=_SIZE, person=f"{at:028x}{n:04x}", district="610104")
                for n in range(100)
            ]
            events = [self._event(deed, NOW - MINUTE + n) for n, deed in enumerate(deeds)]
            return self._sampling.merge(Batch("s00001", NOW, tuple(events), district="610104"), NOW)

        def report(at: int) -> object:
            (found,) = self._sampling.take(
                [Taking(self._report(self._barcode(at), NOW + at, "positive"), judged=False)], NOW
            )
            return found

        return [
            Question("a tube by its barcode", lambda at: self._sampling.story(self._barcode(at)).tubes[0]),
            Question("a batch of 100 registrations merged", merge),
            Question("a result taken, of a tube of ten", report),
        ]


class People(_Sampled):
    """So many samples of people, a tenth as many tubes."""

    name = "sampling, people"
    row_bytes = {"sqlite": 690, "postgresql": 520}  # noqa: RUF012  # read alone

    def fills(self) -> list[Fill]:
        """See `Subject.fills`."""
        engine, tubes = self.engine, max(self.rows // _SIZE, 1)
        step = (1 << 48) // tubes  # each person ten times

        def tube(number: str) -> str:
            return f"'XA' || {engine.digits(number, 10)} || '@s00001'"

        person = f"{engine.hex(f'((n * 7919) % {tubes}) * {step}', 12)} || {_TAIL}"
        times = {"opened_ms": f"{NOW} - n % {DAY}", "reported_ms": f"{NOW} - n % {DAY} + {HOUR}"}
        plain = {"calls": "0", "held": "0", "result": "'negative'"}
        barcode = {"barcode": f"'XA' || {engine.digits('n', 10)}", "batch": f"'B' || {engine.digits('n / 50', 9)}"}
        of_person = {"tube": tube(f"n / {_SIZE}"), "person": person, "at_ms": f"{NOW} - n % {DAY}"}
        of_person |= {"barcode": f"'XA' || {engine.digits(f'n / {_SIZE}', 10)}"}
        return [
            Fill(
                tables.sampling_tubes,
                tubes,
                {"id": tube("n"), "last_ms": f"{NOW} - n % {DAY}"} | barcode | times | plain,
            ),
            Fill(tables.sampling_people, self.rows, of_person),
        ]

    def questions(self) -> list[Question]:
        """See `Subject.questions`."""
        self._opened()
        return [
            Question(
                "a person's results",
                lambda at: self._sampling.results_of(self._people[self._mixed[at % len(self._mixed)]]),
            ),
            Question("tubes whose people are to be recalled", lambda _at: self._sampling.calls()),
            Question("tubes that wait, by state", lambda _at: Figures(self.database, 0).states()),
            Question("from sample to result, of the last hour", lambda _at: self._sampling.turnaround_ms(NOW - HOUR)),
        ]
