"""Phones that may fetch somebody's codes, on each engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from case_samples import DAY, MONDAY
from hutong.codes.devices import MOST, Devices
from hutong.kernel.records import device_tables as tables

if TYPE_CHECKING:
    from hutong.kernel.records import Database

WANG, LI = "a" * 32, "b" * 32


@pytest.fixture
def devices(database: Database) -> Devices:
    return Devices(database, keep_days=30)


def whose(devices: Devices, token: str, now_ms: int) -> str | None:
    """The person of a phone that is used then."""
    phone = devices.find(token, now_ms)
    if phone is None:
        return None
    devices.use(phone, now_ms)
    return phone.person


def test_a_phone_fetches_for_its_person_until_it_is_let_go(devices: Devices) -> None:
    one, other = devices.add(WANG, MONDAY), devices.add(LI, MONDAY)
    assert (whose(devices, one, MONDAY), whose(devices, other, MONDAY)) == (WANG, LI)
    assert [whose(devices, it, MONDAY) for it in ("", "x", one[:-1], one + "x", "\0", "ü" * 40)] == [None] * 6
    assert devices.drop(one, MONDAY)
    assert not devices.drop(one, MONDAY)
    assert whose(devices, one, MONDAY) is None
    assert whose(devices, other, MONDAY) == LI


def test_the_phone_that_was_longest_unheard_of_gives_way(devices: Devices) -> None:
    tokens = [devices.add(WANG, MONDAY + at) for at in range(MOST)]
    assert whose(devices, tokens[0], MONDAY + DAY) == WANG, "heard of today"
    devices.add(WANG, MONDAY + DAY)
    assert [whose(devices, it, MONDAY + DAY) for it in tokens] == [WANG, None, *[WANG] * (MOST - 2)]


def test_who_is_not_heard_of_is_forgotten_and_no_token_is_kept(devices: Devices, database: Database) -> None:
    quiet, heard = devices.add(WANG, MONDAY), devices.add(LI, MONDAY)
    assert whose(devices, heard, MONDAY + 20 * DAY) == LI
    assert whose(devices, quiet, MONDAY + 31 * DAY) is None
    assert devices.forget(MONDAY + 31 * DAY) == 1
    assert whose(devices, heard, MONDAY + 31 * DAY) == LI
    with database.read() as connection:
        rows = connection.execute(sa.select(tables.code_devices)).all()
    assert len(rows) == 1
    assert heard not in str(rows)
    with database.write() as connection:
        devices.let_go(connection, [LI], MONDAY + 31 * DAY)
    assert whose(devices, heard, MONDAY + 31 * DAY) is None
