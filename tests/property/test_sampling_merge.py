"""Stations that work without the centre, and merge over a line that repeats, cuts, mixes up and dies.

Whatever happens on the way: no sample is lost, none is doubled, no tube is mixed up with another, and what the centre
makes of it is what it would have made of everything at once.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fresh_records import lay_out
from hutong.kernel.records import Database
from hutong.sampling.errors import SamplingRefused
from hutong.sampling.fold import Story, fold
from hutong.sampling.model import Batch, Deed, Event, HandOver, Kept, MergeAnswer, Register, Report, Seal, Settle
from hutong.sampling.station.exchange import merge_all
from hutong.sampling.station.store import About, StationStore
from hutong.sampling.store import Sampling, Taking
from sampling_samples import HOUR, MINUTE, NOW, TUBE, chance, event, kept, person, result, sampling

STATIONS = ("s1", "s2", "s3")
TUBES = tuple(f"XA000{n}" for n in range(4))
#: One clock is right, one an hour ahead, one a day behind.
CLOCKS = {"s1": 0, "s2": HOUR, "s3": -24 * HOUR}

#: Kills are played here, and powers are not cut: nothing has to wait for a disk.
MEMORY = Path("/dev/shm")  # noqa: S108  # folders in it have names of their own
FATES = ("arrives", "cut", "cut", "dies before", "dies within", "dies after")


class _Died(Exception):  # noqa: N818  # says what happened
    """A process was killed, or the line went away."""


class _Line:
    """The centre, reached over a line that dies before or after it has taken a batch."""

    def __init__(self, centre: Sampling, fate: str, seed: int) -> None:
        self._centre, self._fate, self._chance = centre, fate, random.Random(seed)
        self.sent: list[Batch] = []

    def merge(self, batch: Batch, now_ms: int) -> MergeAnswer:
        events = list(batch.events)
        self._chance.shuffle(events)
        if self._fate == "cut":
            events = events[: self._chance.randint(0, len(events))]
        batch = Batch(batch.station, batch.clock_ms, tuple(events), district=batch.district)
        self.sent.append(batch)
        if self._fate == "dies before":
            raise _Died
        if self._fate == "dies within":
            with self._centre._database.write():  # noqa: SLF001  # a transaction that is undone, as a kill undoes it
                self._centre.merge(batch, now_ms)
                raise _Died
        answer = self._centre.merge(batch, now_ms)
        if self._fate == "dies after":
            raise _Died
        return answer


class Merging(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="hutong-sampling-", dir=MEMORY if MEMORY.is_dir() else None))
        lay_out(self.folder / "records.db")
        self.database = Database(f"sqlite:///{self.folder / 'records.db'}")
        self.database.open()
        self.centre = sampling(self.database)
        self.stations = {name: StationStore(self.folder / name) for name in STATIONS}
        self.done: dict[str, tuple[Event, int]] = {}  # what was answered, with its station's offset
        self.sent: list[Batch] = []
        self.now, self.count = NOW, 0

    @initialize()
    def prepare(self) -> None:
        for name, store in self.stations.items():
            store.make(About(name, "610100"))

    def _do(self, name: str, deed: Register | Seal | HandOver) -> None:
        self.now += MINUTE
        self.count += 1
        try:
            made = self.stations[name].do(deed, "", self.now + CLOCKS[name], chance(self.count), twice=True)
        except SamplingRefused:
            return
        self.done[made.id] = made, -CLOCKS[name]

    @rule(
        name=st.sampled_from(STATIONS),
        tube=st.sampled_from(TUBES),
        people=st.lists(st.integers(0, 6), min_size=1, max_size=4),
    )
    def register(self, name: str, tube: str, people: list[int]) -> None:
        for who in people:
            self._do(name, Register(tube=tube, size=5, person=person(who)))

    @rule(name=st.sampled_from(STATIONS), tube=st.sampled_from(TUBES))
    def seal_and_hand_over(self, name: str, tube: str) -> None:
        found = self.stations[name].story(tube).tubes
        self._do(name, Seal(tube=tube, people=len(found[-1].members) if found else 0))
        self._do(name, HandOver(tube=tube, batch=f"B-{name}", expected=2, courier=""))

    @rule(tube=st.sampled_from(TUBES), told=st.sampled_from(["negative", "positive"]))
    def report(self, tube: str, told: str) -> None:
        self.now += MINUTE
        made = event(Report(tube=tube, result=told, tested_ms=self.now), 0, self.now, "lab", str(self.now))  # type: ignore[arg-type]  # it is one
        (outcome,) = self.centre.take([Taking(made, judged=False)], self.now)
        assert outcome.refusal is None
        self.done[made.id] = made, 0

    @precondition(lambda self: any(isinstance(made.deed, Report) for made, _ in self.done.values()))
    @rule(tube=st.sampled_from(TUBES), which=st.integers(0, 9), told=st.sampled_from(["negative", "positive"]))
    def settle(self, tube: str, which: int, told: str) -> None:
        known = [it for it in self.centre.story(tube).tubes if it.result]
        if not known:
            return
        self.now += MINUTE
        deed = Settle(tube=tube, of=known[which % len(known)].known_by, result=told, reason="x")  # type: ignore[arg-type]  # it is one
        made = event(deed, 0, self.now, "node1", str(self.now))
        self.centre.do(made, self.now)
        self.done[made.id] = made, 0

    @rule(
        name=st.sampled_from(STATIONS),
        fates=st.lists(st.sampled_from(FATES), min_size=1, max_size=3),
        everything=st.booleans(),
        seed=st.integers(0, 99),
    )
    def merge(self, name: str, fates: list[str], everything: bool, seed: int) -> None:  # noqa: FBT001  # drawn
        for fate in fates:
            self.now += MINUTE
            line = _Line(self.centre, fate, seed)
            store = self.stations[name]
            try:
                merge_all(store, line, self.now + CLOCKS[name], self.now, everything=everything)
            except _Died:
                store.close()  # and opened again, as after a kill
                store.open()
            self.sent += line.sent

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 999))
    def an_old_batch_comes_again(self, which: int) -> None:
        self.now += MINUTE
        old = self.sent[which % len(self.sent)]
        self.centre.merge(Batch(old.station, self.now + CLOCKS[old.station], old.events, district="610100"), self.now)

    @invariant()
    def what_the_centre_has_happened_and_once(self) -> None:
        for tube in TUBES:
            for it in self.centre.events(tube):
                made, offset = self.done[it.event.id]
                assert it.event == made
                assert it.offset_ms == offset, "the clock's offset is measured, and both times are kept"

    def teardown(self) -> None:
        """In the end every station reaches the centre."""
        for name, store in self.stations.items():
            if (self.folder / name).exists():
                merge_all(store, self.centre, self.now + CLOCKS[name], self.now)
                assert store.standing().waiting == 0
        assert self.centre.recount() == []
        for tube in TUBES:
            own = [Kept(made, offset) for made, offset in self.done.values() if made.deed.tube == tube]
            held = self.centre.events(tube)
            assert sorted(it.event.id for it in held) == sorted(it.event.id for it in own), "none lost, none doubled"
            assert _plain(self.centre.story(tube)) == _plain(fold(tube, own)), "as if everything had come at once"
            self._check_people(tube)
            self._check_settled(tube)
        self._check_told()
        for store in self.stations.values():
            store.close()
        self.database.close()
        shutil.rmtree(self.folder)

    def _check_people(self, tube: str) -> None:
        """Each tube of the centre holds the people that its own station put into it, and nobody else's."""
        story = self.centre.story(tube)
        for name in STATIONS:
            registered = {
                made.deed.person
                for made, _ in self.done.values()
                if isinstance(made.deed, Register) and made.station == name and made.deed.tube == tube
            }
            members = [it.person for found in story.tubes if found.station == name for it in found.members]
            assert set(members) == registered
            assert len(members) == len(registered)
        for found in story.tubes:
            if found.contested and found.result == "negative":
                assert found.is_held, "nobody is told negative while it is not certain whose tube it was"

    def _check_settled(self, tube: str) -> None:
        """What was decided is decided of the tube that the swab is in, wherever more has put it since."""
        of = {
            made.deed.of for made, _ in self.done.values() if isinstance(made.deed, Settle) and made.deed.tube == tube
        }
        story = self.centre.story(tube)
        assert {it.id for it in story.tubes if it.settled} == {story.within[it] for it in of}

    def _check_told(self) -> None:
        """What was said last of each person and tube is what holds."""
        said = {(it.tube, it.person): it.result for it in self.centre.told_since(0, 10_000)[1]}
        holds = {key: told for tube in TUBES for key, told in self.centre.story(tube).told().items()}
        assert {key: told for key, told in said.items() if told} == {key: told for key, told in holds.items() if told}


def _plain(story: Story) -> object:
    """What does not depend on when the centre heard of it."""
    tubes = [
        (it.id, it.round, it.state, it.result, it.contested, it.batch, [(of.person, of.at_ms) for of in it.members])
        for it in story.tubes
    ]
    return tubes, [it for it in story.conflicts if it.rule != "late-after-result"], story.waiting


TestMerging = Merging.TestCase
TestMerging.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def _used_again(uses: list[tuple[str, int]]) -> list[Event]:
    """A barcode that is used by these stations in turn, by so many people each time, with results between."""
    made: list[Event] = []
    numbers = dict.fromkeys(STATIONS, 0)
    for turn, (name, people) in enumerate(uses):
        at_ms = NOW + 4 * turn * HOUR
        deeds: list[Deed] = [Register(tube=TUBE, size=5, person=person((turn, n))) for n in range(people)]
        for n, deed in enumerate((*deeds, Seal(tube=TUBE, people=people))):
            numbers[name] += 1
            made.append(event(deed, numbers[name], at_ms + n * MINUTE, name))
        made.append(result(tested_ms=at_ms + HOUR))
    return made


@given(
    st.lists(st.tuples(st.sampled_from(STATIONS[:2]), st.integers(1, 3)), min_size=2, max_size=4),
    st.randoms(use_true_random=False),
)
def test_what_was_decided_of_a_swab_stays_with_it_whatever_part_comes_when(
    uses: list[tuple[str, int]], chance_: random.Random
) -> None:
    events = _used_again(uses)
    swab = chance_.choice([it for it in events if isinstance(it.deed, Register)])
    settled = event(Settle(tube=TUBE, of=swab.id, result="positive", reason="x"), 0, NOW, "node1")
    late = [it for it in events if it is not swab]
    chance_.shuffle(late)
    for known in range(len(late) + 1):
        part = [swab, settled, *late[:known]]
        story = fold(TUBE, kept(*part))
        (of,) = [it for it in story.tubes if it.settled]
        assert swab.id in {it.event for it in of.members}
        chance_.shuffle(part)
        assert fold(TUBE, kept(*part)) == story
