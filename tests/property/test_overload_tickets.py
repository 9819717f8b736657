"""Waiting tickets: who made one up, changed one, took another's or comes at the wrong time gains nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hutong.kernel.errors import StateError
from hutong.kernel.overload.classes import Kind
from hutong.kernel.overload.desk import Desk
from hutong.kernel.overload.keys import LEAD_MS, KeyFile, fresh_key, read_keys, rotated
from hutong.kernel.overload.places import Places, Spent
from hutong.kernel.overload.tickets import Key, Keys, Standing, Ticket, holder_of, sign, verify

if TYPE_CHECKING:
    from pathlib import Path

OLD, NEW = Key("00000001", 0, b"a" * 32), Key("00000002", 5000, b"b" * 32)
KEYS = Keys(OLD, NEW)
HOLDER = "secret of a phone"
T = 10_000

tickets = st.builds(
    Ticket,
    st.sampled_from(Kind),
    st.integers(0, 10**15 - 1),
    st.integers(0, 10**9 - 1),
    st.binary(min_size=8, max_size=8).map(bytes.hex),
    st.just(holder_of(HOLDER)),
)


@given(tickets, st.integers(0, 10**15))
def test_a_ticket_says_what_was_signed_and_is_due_in_its_window(ticket: Ticket, now_ms: int) -> None:
    standing, read = verify(sign(ticket, KEYS, now_ms), HOLDER, ticket.kind, KEYS, now_ms)
    assert read == ticket
    inside = ticket.due_ms <= now_ms < ticket.due_ms + ticket.window_ms
    assert (standing is Standing.DUE) == inside
    assert (standing is Standing.EARLY) == (now_ms < ticket.due_ms)


@settings(max_examples=300)
@given(tickets, st.integers(0, 200), st.characters(max_codepoint=0x2FF))
def test_a_ticket_with_any_other_character_is_worth_nothing(ticket: Ticket, at: int, other: str) -> None:
    text = sign(ticket, KEYS, T)
    at %= len(text)
    changed = text[:at] + other + text[at + 1 :]
    standing, _ = verify(changed, HOLDER, ticket.kind, KEYS, ticket.due_ms)
    assert (standing is Standing.NONE) == (changed != text)


@given(st.text(max_size=250))
def test_no_text_is_a_ticket_by_chance(text: str) -> None:
    assert verify(text, HOLDER, Kind.SCAN, KEYS, T) == (Standing.NONE, None)


@given(tickets)
def test_it_is_its_holders_and_its_classs_only(ticket: Ticket) -> None:
    text = sign(ticket, KEYS, T)
    for kind in Kind:
        standing, _ = verify(text, HOLDER, kind, KEYS, ticket.due_ms)
        assert (standing is Standing.NONE) == (kind is not ticket.kind)
    assert verify(text, "somebody else", ticket.kind, KEYS, ticket.due_ms) == (Standing.NONE, None)


def test_a_new_key_is_known_before_it_signs_and_the_old_one_until_the_next_rotation() -> None:
    ticket = Ticket(Kind.SCAN, T, 1000, "00" * 8, holder_of(HOLDER))
    for now_ms, key in ((0, OLD), (4999, OLD), (5000, NEW), (9000, NEW)):
        assert f".{key.name}." not in sign(ticket, Keys(OLD if key is NEW else NEW), now_ms)
        assert sign(ticket, KEYS, now_ms).startswith(f"1.{key.name}.")
        assert sign(ticket, Keys(NEW, OLD), now_ms).startswith(f"1.{key.name}.")
    by_old = sign(ticket, Keys(OLD), 0)
    after = rotated(KEYS, 6000, fresh_key(7000))
    assert verify(by_old, HOLDER, Kind.SCAN, KEYS, T)[0] is Standing.DUE
    assert verify(by_old, HOLDER, Kind.SCAN, after, T)[0] is Standing.NONE
    assert verify(sign(ticket, KEYS, 6000), HOLDER, Kind.SCAN, after, T)[0] is Standing.DUE


def test_the_key_file_is_its_owners_alone_and_rotates_once_in_ten_minutes(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "tickets.key"
    kept = KeyFile(file)
    first = kept.keys().one
    other_process = KeyFile(file)
    assert other_process.keys() == kept.keys()
    assert file.stat().st_mode & 0o777 == 0o600
    assert kept.rotate(T).signing(T) == first
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(StateError, match="does not sign yet"):
        kept.rotate(T + 1)
    assert other_process.keys().signing(T + LEAD_MS) == kept.keys().other
    assert first not in kept.rotate(T + LEAD_MS)
    with pytest.raises(StateError, match="ticket keys"):
        read_keys("00000001 0 abc\n", "there")


# --- the desk ---


def _desk(window_ms: int = 9000) -> Desk:
    return Desk(lambda: KEYS, Places(window_ms, 60_000), Spent())


def _ask(desk: Desk, text: str, now_ms: int, draw: float = 0.0, pace: float = 10.0) -> tuple[int, int, str, bool]:
    """Show a ticket and be refused: status, seconds, ticket, whether it was due."""
    shown = desk.show(text, HOLDER, Kind.ISSUE, now_ms)
    told = desk.refuse(shown, Kind.ISSUE, pace, holder_of(HOLDER), now_ms, draw, f"{now_ms:016x}")
    return *told, shown.due


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=40), st.floats(0.01, 5000))
def test_whoever_comes_when_told_is_in_time(draws: list[float], pace: float) -> None:
    desk = _desk()
    for draw in draws:
        status, seconds, text, _ = _ask(desk, "", T, draw, pace)
        assert status == 503
        assert 1 <= seconds <= 61 + 3
        if text:
            assert desk.show(text, HOLDER, Kind.ISSUE, T + seconds * 1000).standing is Standing.DUE


def test_times_follow_the_pace_and_a_wrong_pace_in_the_first_moments_does_no_lasting_harm() -> None:
    desk = _desk()
    waits = [_ask(desk, "", T, pace=0.0)[1] for _ in range(20)]
    assert waits[0] == 1
    assert waits[-1] >= 30, "beyond the horizon there is no ticket but a longer wait"
    soon = [_ask(desk, "", T + 1000, pace=100.0)[1] for _ in range(70)]
    assert soon[0] <= 2
    assert soon == sorted(soon)
    assert soon[-1] in {2, 3}, "70 more at .7 × 100 a second"


def test_who_comes_early_keeps_the_place_and_gets_no_second_one() -> None:
    desk = _desk()
    for _ in range(50):
        _ask(desk, "", T)
    _, seconds, text, _ = _ask(desk, "", T)
    status, again_s, again, due = _ask(desk, text, T + 1000)
    assert (status, again, due) == (429, text, False)
    assert again_s == seconds - 1


def test_a_ticket_is_let_in_once_and_not_lost_when_we_refuse_it() -> None:
    desk = _desk()
    _, seconds, text, _ = _ask(desk, "", T)
    now = T + seconds * 1000
    shown = desk.show(text, HOLDER, Kind.ISSUE, now)
    desk.take(shown, now)
    assert not desk.show(text, HOLDER, Kind.ISSUE, now).due
    told = desk.refuse(shown, Kind.ISSUE, 10.0, holder_of(HOLDER), now, 0.0, "00" * 8)
    assert (told.status, told.ticket) == (503, text)
    assert desk.show(text, HOLDER, Kind.ISSUE, now + 1000).due


def test_spent_tickets_are_forgotten_when_they_would_not_be_good_any_more() -> None:
    spent = Spent(most=3)
    for at in range(5):
        spent.add(str(at), until_ms=100 + at, now_ms=at)
    assert [str(at) in spent for at in range(5)] == [False, False, True, True, True]
    spent.add("later", until_ms=500, now_ms=103)
    assert [name in spent for name in ("2", "3", "4", "later")] == [False, False, True, True]
