"""References of telephone numbers."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hutong.kernel.access.refs import Refs
from hutong.kernel.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path

KEYS = st.integers(0, (1 << 63) - 1)


@pytest.fixture(scope="module")
def refs(tmp_path_factory: pytest.TempPathFactory) -> Refs:
    return Refs(tmp_path_factory.mktemp("refs") / "refs.key")


@given(key=KEYS)
def test_a_reference_leads_back_to_its_number(refs: Refs, key: int) -> None:
    ref = refs.ref(key)
    assert re.fullmatch(r"[a-z2-7]{26}", ref)
    assert refs.key(ref) == key
    assert refs.ref(key) == ref


@given(first=KEYS, second=KEYS)
def test_two_numbers_have_two_references(refs: Refs, first: int, second: int) -> None:
    assert (refs.ref(first) == refs.ref(second)) == (first == second)


@given(text=st.one_of(st.text(max_size=40), st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=26, max_size=26)))
def test_what_was_made_up_stands_for_nothing(refs: Refs, text: str) -> None:
    assert refs.key(text) is None


def test_a_reference_has_one_spelling(refs: Refs) -> None:
    ref = refs.ref(12345)
    assert refs.key(ref.upper()) is None
    assert refs.key(f"{ref}=") is None
    others = {f"{ref[:-1]}{last}" for last in "abcdefghijklmnopqrstuvwxyz234567"} - {ref}
    assert {refs.key(other) for other in others} == {None}


def test_the_key_is_made_once_and_is_for_its_user_alone(tmp_path: Path) -> None:
    file = tmp_path / "new" / "refs.key"
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.append(Refs(file).ref(7))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(made) == 8
    assert len(set(made)) == 1
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["refs.key"]
    assert Refs(tmp_path / "other.key").ref(7) != made[0]


def test_a_damaged_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "refs.key").write_bytes(b"short")
    with pytest.raises(StateError, match="5 bytes"):
        Refs(tmp_path / "refs.key").ref(1)
    with pytest.raises(StateError, match=r"refs\.key"):
        Refs(tmp_path / "refs.key" / "x").ref(1)
