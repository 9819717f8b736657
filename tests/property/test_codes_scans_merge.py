"""However batches come (cut, repeated, out of order, failing half-way): every scan of a device is there, once."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fresh_records import lay_out
from hutong.codes.scans.device import Device
from hutong.codes.scans.model import Scan
from hutong.codes.scans.ranges import Ranges
from hutong.kernel.records import Database, database_url
from hutong.kernel.records.scan_tables import code_scan_findings, code_scans
from scan_worlds import HOUR, MINUTE, NOW, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from hutong.codes.venues import Venue

_SCANS = 12


class _BrokenError(Exception):
    """The process died here."""


class _Fault:
    """Fails at the statement of that number of a merge, as often as it is set."""

    def __init__(self, database: Database) -> None:
        self.left = -1
        sa.event.listen(database._engine, "before_cursor_execute", self)  # noqa: SLF001  # where statements pass

    def __call__(self, *_statement: Any) -> None:  # noqa: ANN401  # what the library passes
        self.left -= 1
        if self.left == 0:
            raise _BrokenError


@pytest.fixture(scope="module")
def node() -> Iterator[tuple[World, _Fault, Venue, Venue]]:
    with tempfile.TemporaryDirectory() as folder:
        lay_out(Path(folder) / "records.db")
        database = Database(database_url("", Path(folder)))
        database.open()
        world = World(database, Path(folder) / "keys")
        yield world, _Fault(database), world.venue(), world.venue("610115")
        database.close()


def devices(folder: Path, venues: tuple[Venue, Venue], randomness: bytes) -> list[Device]:
    """Two devices at far venues that saw the same codes a minute apart, and half of them again."""
    made = []
    for at, venue in enumerate(venues):
        device = Device(folder / str(at))
        device.make(f"gate-{at}", bytes([at, *randomness[:7]]))
        device.keep([_seen(number, at, venue, randomness) for number in range(_SCANS)])
        made.append(device)
    return made


def _seen(number: int, at: int, venue: Venue, randomness: bytes) -> Callable[[int], Scan]:
    code = (randomness + bytes([number % (_SCANS // 2)]))[-8:].hex()
    when = NOW - HOUR + number * MINUTE + at * MINUTE // 2
    return lambda sequence: Scan(
        sequence=sequence, at_ms=when, venue=venue.id, verdict="valid", code=code, who="0a" * 12
    )


steps = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, _SCANS), st.integers(0, 12), st.booleans(), st.booleans()), max_size=8
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps, randomness=st.binary(min_size=8, max_size=8), order=st.randoms(use_true_random=False))
def test_every_scan_is_there_once(
    node: tuple[World, _Fault, Venue, Venue], steps: list[Any], randomness: bytes, order: Random
) -> None:
    world, fault, *venues = node
    with world.database.write() as connection:
        for table in (*code_scans, code_scan_findings):
            connection.execute(sa.delete(table))
        connection.execute(sa.text("DELETE FROM code_scan_sources"))
    with tempfile.TemporaryDirectory() as folder:
        own = devices(Path(folder), (venues[0], venues[1]), randomness)
        last = [*steps, (0, _SCANS, 0, False, False), (1, _SCANS, 0, False, False)]
        said: list[set[int]] = [set(), set()]
        for which, most, fails_at, deaf, shuffled in last:
            batch = own[which].batch(NOW, most)
            if shuffled:
                scans = list(batch.scans)
                order.shuffle(scans)
                batch = type(batch)(batch.source, batch.clock_ms, tuple(scans))
            fault.left = fails_at or -1
            try:
                answer = world.scans.merge([batch], NOW).answers[0]
            except _BrokenError:
                continue
            finally:
                fault.left = -1
            if not deaf:  # else the answer is lost on its way
                said[which] |= set(answer.taken)
                own[which].answered(answer)
        for device in own:
            assert device.standing().waiting == 0
            device.close()
    assert said == [set(range(1, _SCANS + 1))] * 2
    for venue in venues:
        found = world.scans.at_venue(venue.id, NOW - 2 * HOUR, NOW, NOW)
        assert len(found) == _SCANS
        # What the codes prove does not depend on how they came either.
        assert {it.copies for it in found} == {("cloned", "replayed")}


@given(st.lists(st.integers(1, 60)))
def test_ranges_are_a_set_of_numbers(numbers: list[int]) -> None:
    ranges, known = Ranges(), set[int]()
    for number in numbers:
        assert ranges.add(number) == (number not in known)
        known.add(number)
        assert number in ranges
    again = Ranges(ranges.pairs())
    assert {it for it in range(62) if it in again} == known
    pairs = again.pairs()
    assert all(a <= b for a, b in pairs)
    assert all(pairs[at][1] + 1 < pairs[at + 1][0] for at in range(len(pairs) - 1))
