"""Pairing: a code is good once, for a while and some tries; a station is one device, and goes on where it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from fresh_records import lay_out
from hutong.kernel.access.errors import AccessError
from hutong.kernel.access.people import People
from hutong.kernel.access.tokens import Tokens
from hutong.kernel.records import Database, station_tables
from hutong.sampling.errors import SamplingError, SamplingRefused
from hutong.sampling.model import Batch, Terms
from hutong.sampling.station.pairing import CODE_MS, SCOPE, TRIES, Pairings
from sampling_samples import DAY, HOUR, NOW, filled, sampling

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TERMS = Terms(sizes=(10, 20), offline_first=True)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    lay_out(tmp_path / "records.db")
    made = Database(f"sqlite:///{tmp_path / 'records.db'}")
    made.open()
    People(made).add("s1", "s1", "operator", NOW)
    People(made).add("reader", "reader", "viewer", NOW)
    yield made
    made.close()


@pytest.fixture
def pairings(database: Database) -> Pairings:
    return Pairings(database, Tokens(database, 90), lambda: b"k" * 32, lambda *_: TERMS, 12 * HOUR, 30 * DAY)


def refused(pairings: Pairings, code: str, now_ms: int = NOW) -> str:
    with pytest.raises(SamplingRefused) as found:
        pairings.finish(code, now_ms)
    return found.value.reason


def test_a_code_gives_all_that_a_station_needs_once(database: Database, pairings: Pairings) -> None:
    code = pairings.begin("s1", "610100", NOW)
    with database.read() as connection:
        (row,) = connection.execute(sa.select(station_tables.station_pairings)).mappings()
    assert code.rpartition(":")[2] not in str(row)
    paired = pairings.finish(f"  {code.upper().replace('-', ' ')} ", NOW + 1)
    assert (paired.station, paired.district, paired.terms, paired.key) == ("s1", "610100", TERMS, "6b" * 32)
    assert (paired.until_ms, paired.apart_ms, paired.sequence) == (NOW + 1 + 30 * DAY, 12 * HOUR, 0)
    viewer = Tokens(database, 90).viewer(paired.token, "", NOW + 2)
    assert viewer is not None
    assert (viewer.name, viewer.permissions) == ("s1", {SCOPE})
    assert refused(pairings, code, NOW + 2) == "pairing"


@pytest.mark.parametrize(
    "code",
    [
        "",
        ":",
        "s1:",
        "s1",
        "s2:ABCD-EFGH-JKLM",
        "s1:ABCD-EFGH-JKLM",
        "\ud800",
        "s1:" + "A" * 999,
        "s1\ud800:ABCD",
        "s\01:",
    ],
)
def test_what_is_no_code_pairs_nothing(pairings: Pairings, code: str) -> None:
    pairings.begin("s1", "", NOW)
    assert refused(pairings, code) == "pairing"


def test_a_code_is_over_after_a_while_after_some_tries_and_after_another(pairings: Pairings) -> None:
    late = pairings.begin("s1", "", NOW)
    assert refused(pairings, late, NOW + CODE_MS) == "pairing"
    tried = pairings.begin("s1", "", NOW)
    assert refused(pairings, late) == "pairing"
    for _ in range(TRIES - 1):
        assert refused(pairings, "s1:0000-0000-0000") == "pairing"
    assert refused(pairings, tried) == "pairing"


def test_a_new_device_ends_the_one_before_and_goes_on_behind_its_numbers(
    database: Database, pairings: Pairings
) -> None:
    first = pairings.finish(pairings.begin("s1", "", NOW), NOW)
    sampling(database).merge(Batch("s1", NOW, tuple(filled())), NOW)
    second = pairings.finish(pairings.begin("s1", "", NOW + 1), NOW + 1)
    assert (first.sequence, second.sequence) == (0, len(filled()))
    tokens = Tokens(database, 90)
    assert tokens.viewer(first.token, "", NOW + 2) is None
    assert tokens.viewer(second.token, "", NOW + 2) is not None


def test_where_a_device_cannot_become_the_station_the_one_before_goes_on_and_the_code_is_not_used_up(
    database: Database, pairings: Pairings
) -> None:
    first, code = pairings.finish(pairings.begin("s1", "", NOW), NOW), pairings.begin("s1", "", NOW)
    tokens = Tokens(database, 90)

    def lost() -> bytes:
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011  # of the line above
        Pairings(database, tokens, lost, lambda *_: TERMS, 12 * HOUR, 30 * DAY).finish(code, NOW)
    with pytest.raises(AccessError):
        Pairings(database, tokens, lambda: b"k" * 32, lambda *_: TERMS, 12 * HOUR, 91 * DAY).finish(code, NOW)
    assert tokens.viewer(first.token, "", NOW + 2000) is not None
    assert pairings.finish(code, NOW + 2000).station == "s1"
    assert tokens.viewer(first.token, "", NOW + 4000) is None


@pytest.mark.parametrize("name", ["nobody", "reader", "S 1", ""])
def test_only_accounts_that_may_register_become_stations(pairings: Pairings, name: str) -> None:
    with pytest.raises(SamplingError):
        pairings.begin(name, "", NOW)
