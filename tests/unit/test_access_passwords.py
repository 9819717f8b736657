"""Which passwords people may choose, and how passwords are kept."""

from __future__ import annotations

import contextlib
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ask_servers import until
from hutong.kernel.access.errors import AccessError, Throttled
from hutong.kernel.access.passwords import NOBODY, Passwords, Rank, check_password, one_time_password


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "password-short"),
        ("elevenchars", "password-short"),
        ("x" * 257, "password-long"),
        ("wang.fang-2022", "password-name"),
        ("WangFang123456", "password-name"),
        ("my-WANG-fang-secret", "password-name"),
        ("password1234", "password-known"),
        ("P@ssw0rd2022!", "password-known"),
        ("2022administrator", "password-known"),
        ("hutong-hutong", "password-known"),
        ("qwertyuiop12", "password-known"),
        ("Hutong@20220301", "password-known"),
        ("ＰＡＳＳＷＯＲＤ１２３４", "password-known"),
        ("aaaaaaaaaaaa", "password-simple"),
        ("123456789012", "password-simple"),
        ("abcdefghijklm", "password-simple"),
        ("abcdefabcdefabcdef", "password-known"),
        ("x7#kQx7#kQx7#kQ", "password-simple"),
        ("ababababababab", "password-simple"),
    ],
)
def test_passwords_that_will_not_do(password: str, why: str) -> None:
    with pytest.raises(AccessError) as refused:
        check_password(password, "wang.fang")
    assert refused.value.reason == why
    assert password not in str(refused.value) or not password


@pytest.mark.parametrize(
    "password",
    [
        "seven lanterns over Suzhou Creek",
        "七盏灯照苏州河畔的夜色很美",
        "kV9#tQ2mLp7x",
        "correct horse battery staples!",
        "   blanks count too",
    ],
)
def test_passwords_that_do(password: str) -> None:
    check_password(password, "wang.fang")


def test_a_short_name_may_be_part_of_a_word() -> None:
    check_password("seven lanterns over Suzhou Creek", "li")


def test_what_we_make_ourselves_would_do() -> None:
    for _ in range(50):
        check_password(one_time_password(), "admin")


@given(st.text(max_size=300), st.text(max_size=20))
def test_every_text_is_judged(password: str, name: str) -> None:
    with contextlib.suppress(AccessError):
        check_password(password, name)


def test_a_password_fits_its_own_hash_alone() -> None:
    passwords = Passwords()
    kept = passwords.hash("seven lanterns")
    assert kept.startswith("$argon2id$")
    assert passwords.hash("seven lanterns") != kept
    assert passwords.fits(kept, "seven lanterns")
    assert passwords.fits(kept, "ｓeven lanterns"), "full-width letters are the same letters"
    for wrong in ("Seven lanterns", "seven lanterns ", "", "\udcff", "x" * 10_000_000):
        assert not passwords.fits(kept, wrong)
    assert not passwords.fits("no hash at all", "seven lanterns")


def test_nobodys_hash_costs_what_a_real_one_costs() -> None:
    passwords = Passwords()
    assert not passwords.is_outdated(NOBODY)
    assert not passwords.fits(NOBODY, "")


@given(st.lists(st.sampled_from(list(Rank)), max_size=12), st.integers(0, 4))
def test_turns_go_by_rank_and_then_in_order_and_the_last_are_put_off(ranks: list[Rank], places: int) -> None:
    """As a plain sort would have it: of those who come while one works, the best `places` get their turn."""
    passwords = Passwords(at_once=1, waiting=places)
    served: list[int] = []
    put_off: list[int] = []

    def come(number: int) -> None:
        try:
            with passwords.turn(ranks[number]):
                served.append(number)
        except Throttled:
            put_off.append(number)

    threads = [threading.Thread(target=come, args=(number,)) for number in range(len(ranks))]
    with passwords.turn():
        for number, thread in enumerate(threads):
            thread.start()
            until(lambda number=number: passwords.line + len(put_off) > number)  # type: ignore[misc]
    for thread in threads:
        thread.join(20)
    expected = sorted(range(len(ranks)), key=lambda number: (ranks[number], number))
    assert served == expected[:places]
    assert sorted(put_off) == sorted(expected[places:])
    with passwords.turn():
        pass


def test_only_so_many_are_at_work_and_wait() -> None:
    passwords = Passwords(at_once=1, waiting=1)
    inside, refused, done = threading.Event(), threading.Event(), threading.Event()

    def take_a_turn() -> None:
        try:
            with passwords.turn():
                inside.set()
                done.wait(20)
        except Throttled:
            refused.set()

    threads = [threading.Thread(target=take_a_turn) for _ in range(3)]
    threads[0].start()
    assert inside.wait(20)
    for thread in threads[1:]:
        thread.start()
    assert refused.wait(20), "one works, one waits, and one is told to come again"
    done.set()
    for thread in threads:
        thread.join(20)
    with passwords.turn():
        pass
