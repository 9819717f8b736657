"""Accounts and proving oneself, on each engine."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from ask_servers import until
from hutong.kernel.access.errors import AccessError, OidcRefused
from hutong.kernel.access.forgetting import forget
from hutong.kernel.access.oidc_identity import Identity
from hutong.kernel.access.passwords import NOBODY, Passwords, Rank
from hutong.kernel.access.people import People, SignInRefused, Throttled
from hutong.kernel.access.permissions import ROLES
from hutong.kernel.access.sessions import Sessions
from hutong.kernel.access.throttle import CAP_MS, FREE, KNOWN_MS, Attempts
from hutong.kernel.access.tokens import Tokens
from hutong.kernel.records import Database, tables

if TYPE_CHECKING:
    from hutong.kernel.access.account import Account

NOW = 1_650_000_000_000
HERE, THERE = "192.0.2.1", "192.0.2.2"
ANOTHER = "three geese fly to Dongting"
OWN = "seven lanterns over Suzhou Creek"
FIRST_MAKER = """
import sys
from hutong.kernel.access.people import People
from hutong.kernel.records import Database
made = Database(sys.argv[1])
made.open()
sys.stdin.readline()
print(People(made).first(1) or "")
"""


@pytest.fixture
def people(database: Database) -> People:
    return People(database)


def settled(people: People, name: str = "wang", role: str = "operator") -> Account:
    """An account with a password of its own."""
    once = people.add(name, "王芳", role, NOW)  # type: ignore[arg-type]
    return people.set_password(name, once, OWN, NOW)


def reason(error: pytest.ExceptionInfo[AccessError]) -> str:
    return error.value.reason


# Making


def test_the_first_administrator_is_made_once_with_a_password_that_must_be_changed(people: People) -> None:
    password = people.first(NOW)
    assert password is not None
    assert people.first(NOW) is None
    account = people.sign_in("admin", password, HERE, NOW + 5)
    assert (account.role, account.must_change, account.signed_in_ms) == ("administrator", True, NOW + 5)


def test_nobody_is_first_where_somebody_exists(people: People) -> None:
    people.add("wang", "王芳", "viewer", NOW)
    assert people.first(NOW) is None
    assert [account.name for account in people.all()] == ["wang"]


def test_of_threads_that_make_the_first_administrator_exactly_one_does(people: People) -> None:
    made: list[str | None] = []
    threads = [threading.Thread(target=lambda: made.append(people.first(NOW))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    (password,) = [one for one in made if one]
    assert len(made) == 6
    assert people.sign_in("admin", password, HERE, NOW).name == "admin"


@pytest.mark.enable_socket
def test_of_processes_that_make_the_first_administrator_exactly_one_does(records_url: str, people: People) -> None:
    command = [sys.executable, "-c", FIRST_MAKER, records_url]
    makers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.write("\n")
        maker.stdin.flush()
    made = [maker.communicate(timeout=60)[0].strip() for maker in makers]
    (password,) = [one for one in made if one]
    assert people.sign_in("admin", password, HERE, NOW).must_change


def test_a_one_time_password_can_be_read_aloud_and_not_guessed(people: People) -> None:
    passwords = {people.add(f"p{number}", "x", "viewer", NOW) for number in range(5)}
    assert len(passwords) == 5
    for password in passwords:
        assert re.fullmatch(r"(?:[a-hj-km-np-z2-9]{5}-){3}[a-hj-km-np-z2-9]{5}", password)


def test_nothing_that_is_kept_holds_a_password(people: People, database: Database) -> None:
    once = people.add("wang", "王芳", "viewer", NOW)
    people.set_password("wang", once, OWN, NOW)
    with pytest.raises(SignInRefused):
        people.sign_in("my secret typed as a name", OWN, HERE, NOW)
    with database.read() as connection:
        rows = [row for table in tables.metadata.sorted_tables for row in connection.execute(sa.select(table))]
    kept = repr(rows)
    assert once not in kept
    assert OWN not in kept
    assert "my secret" not in kept
    assert "$argon2id$v=19$m=19456,t=2,p=1$" in kept


def test_names_that_differ_in_case_are_one(people: People) -> None:
    people.add(" Wang.Fang ", " 王  芳 ", "analyst", NOW)
    account = people.account("WANG.FANG")
    assert (account.name, account.title, account.created_ms) == ("wang.fang", "王 芳", NOW)
    with pytest.raises(AccessError) as refused:
        people.add("wang.fang", "x", "viewer", NOW)
    assert reason(refused) == "name-taken"


@pytest.mark.parametrize(
    ("name", "title", "role", "why"),
    [
        ("", "x", "viewer", "name-form"),
        ("-x", "x", "viewer", "name-form"),
        ("王芳", "x", "viewer", "name-form"),
        ("a b", "x", "viewer", "name-form"),
        ("a" * 65, "x", "viewer", "name-form"),
        ("a\0", "x", "viewer", "name-form"),
        ("wang", " ", "viewer", "title-empty"),
        ("wang", "x\x1b[2J", "viewer", "title-empty"),
        ("wang", "x" * 101, "viewer", "title-empty"),
        ("wang", "x", "root", "role-unknown"),
    ],
)
def test_an_account_needs_a_proper_name_title_and_role(
    people: People, name: str, title: str, role: str, why: str
) -> None:
    with pytest.raises(AccessError) as refused:
        people.add(name, title, role, NOW)  # type: ignore[arg-type]
    assert reason(refused) == why
    assert people.all() == []


# Proving oneself


def test_name_and_password_together_open(people: People) -> None:
    settled(people)
    account = people.sign_in("Wang", OWN, HERE, NOW + 1)
    assert (account.name, account.must_change, account.signed_in_ms) == ("wang", False, NOW + 1)
    assert people.account("wang") == account


def test_wrong_name_wrong_password_and_disabled_are_refused_alike(people: People) -> None:
    settled(people)
    settled(people, "li")
    people.set_disabled("li", disabled=True, now_ms=NOW)
    said = []
    for name, password, known in (("wang", "x", "wang"), ("nobody", OWN, ""), ("li", OWN, "li"), ("wang", "", "wang")):
        with pytest.raises(SignInRefused) as refused:
            people.sign_in(name, password, f"{HERE}{len(said)}", NOW)
        said.append(str(refused.value))
        assert refused.value.account == known
        assert refused.value.__context__ is None, "a traceback in a log tells no more"
    assert len(set(said)) == 1


def test_a_refusal_costs_the_same_work_whoever_is_meant(database: Database) -> None:
    done: list[str] = []

    class Counted(Passwords):
        def fits(self, kept: str, password: str) -> bool:
            done.append(kept.rpartition("$")[0].rpartition("$")[0])
            return super().fits(kept, password)

    people = People(database, Counted())
    settled(people)
    people.arrive(Identity("zhao", "赵", "viewer", "iss zhao"), NOW)
    done.clear()
    for name in ("wang", "nobody", "zhao"):
        with pytest.raises(SignInRefused):
            people.sign_in(name, "wrong", HERE, NOW)
    assert len(done) == 3
    assert set(done) == {NOBODY.rpartition("$")[0].rpartition("$")[0]}
    assert not Passwords().is_outdated(NOBODY)


def test_a_password_hashed_with_older_parameters_is_hashed_anew(people: People, database: Database) -> None:
    settled(people)
    old = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(OWN)
    accounts = tables.accounts
    with database.write() as connection:
        connection.execute(sa.update(accounts).values(password=old))
    people.sign_in("wang", OWN, HERE, NOW)
    with database.read() as connection:
        kept = connection.execute(sa.select(accounts.c.password)).scalar_one()
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert people.sign_in("wang", OWN, HERE, NOW).name == "wang"


def test_too_many_at_once_are_told_to_come_again(database: Database) -> None:
    passwords = Passwords(at_once=1, waiting=0)
    people = People(database, passwords)
    settled(people)
    with passwords.turn(), pytest.raises(Throttled) as refused:
        people.sign_in("wang", OWN, HERE, NOW)
    assert refused.value.retry_after_s == 1
    assert people.sign_in("wang", OWN, HERE, NOW).name == "wang", "and it did not count as a failure"


def test_a_flood_of_strangers_puts_off_strangers_alone(database: Database) -> None:
    """While every turn and every place in the line is a stranger's, who was here before is looked at next."""
    passwords = Passwords(at_once=1, waiting=1)
    people = People(database, passwords)
    settled(people)
    people.sign_in("wang", OWN, HERE, NOW)
    outcomes: list[str] = []

    def sign_in(name: str, address: str) -> None:
        try:
            outcomes.append(people.sign_in(name, OWN, address, NOW).name)
        except Throttled:
            outcomes.append(f"{name} put off")
        except SignInRefused:
            outcomes.append(f"{name} refused")

    stranger = threading.Thread(target=sign_in, args=("stranger", THERE))
    known = threading.Thread(target=sign_in, args=("wang", HERE))
    with passwords.turn():
        stranger.start()
        until(lambda: passwords.line == 1)
        known.start()
        stranger.join(20)
        assert outcomes == ["stranger put off"]
    known.join(20)
    assert outcomes == ["stranger put off", "wang"]


def test_among_strangers_who_has_failed_comes_last(people: People, database: Database) -> None:
    settled(people)
    attempts = Attempts(database)
    assert attempts.rank("wang", THERE, NOW) is Rank.CLEAN
    fail(people, "wang", THERE, NOW)
    assert attempts.rank("wang", THERE, NOW) is attempts.rank("zhao", THERE, NOW) is Rank.DOUBTFUL
    assert attempts.rank("wang", HERE, NOW) is Rank.CLEAN, "what others do elsewhere is not held against anybody"
    people.sign_in("wang", OWN, HERE, NOW)
    fail(people, "wang", HERE, NOW)
    assert attempts.rank("wang", HERE, NOW) is Rank.KNOWN
    assert attempts.rank("zhao", HERE, NOW) is Rank.DOUBTFUL, "a known place is one of an account"


# Throttling


def fail(people: People, name: str, address: str, now_ms: int) -> bool:
    """Whether the attempt was heard."""
    try:
        people.sign_in(name, "wrong", address, now_ms)
    except SignInRefused:
        return True
    except Throttled:
        return False
    raise AssertionError


def test_after_five_failures_one_waits_and_the_right_password_does_not_help(people: People) -> None:
    settled(people)
    assert [fail(people, "wang", HERE, NOW) for _ in range(FREE + 2)] == [True] * FREE + [False] * 2
    with pytest.raises(Throttled) as refused:
        people.sign_in("wang", OWN, HERE, NOW)
    assert refused.value.retry_after_s == 1
    assert people.sign_in("wang", OWN, HERE, NOW + 1000).name == "wang"
    assert [fail(people, "wang", HERE, NOW + 2000) for _ in range(FREE + 1)] == [True] * FREE + [False]


def test_a_name_that_nobody_has_is_throttled_like_one_that_somebody_has(people: People) -> None:
    settled(people)
    known, unknown = ([fail(people, name, at, NOW) for _ in range(8)] for name, at in (("wang", HERE), ("x", THERE)))
    assert known == unknown


def test_attempts_at_the_same_moment_do_not_all_count_as_the_first(people: People) -> None:
    settled(people)
    heard: list[bool] = []
    threads = [threading.Thread(target=lambda: heard.append(fail(people, "wang", HERE, NOW))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(heard) == FREE


def test_one_place_that_tries_for_ever_locks_nobody_out_elsewhere(people: People) -> None:
    settled(people)
    now = NOW
    for _ in range(40):
        fail(people, "wang", HERE, now)
        now += CAP_MS
    assert people.sign_in("wang", OWN, THERE, now).name == "wang"


def test_many_places_that_try_one_account_make_strangers_wait_but_not_who_was_there_before(people: People) -> None:
    settled(people)
    people.sign_in("wang", OWN, HERE, NOW)
    for place in range(10):
        for _ in range(4):
            fail(people, "wang", f"198.51.100.{place}", NOW)
    assert not fail(people, "wang", THERE, NOW)
    assert people.sign_in("wang", OWN, HERE, NOW).name == "wang"


def test_one_place_that_tries_many_names_waits_whatever_the_name(people: People) -> None:
    assert [fail(people, f"name{number}", HERE, NOW) for number in range(FREE + 1)] == [True] * FREE + [False]
    assert fail(people, "name0", THERE, NOW)


def test_addresses_of_one_ipv6_network_are_one_place(people: People) -> None:
    heard = [fail(people, "wang", f"2001:db8::{number}", NOW) for number in range(FREE + 1)]
    assert heard == [True] * FREE + [False]


def test_failures_fade_and_are_forgotten(people: People, database: Database) -> None:
    settled(people)
    for _ in range(FREE):
        fail(people, "wang", THERE, NOW)
    later = NOW + 24 * 3600 * 1000
    assert [fail(people, "wang", THERE, later) for _ in range(FREE + 1)] == [True] * FREE + [False]
    assert forget(database, later + KNOWN_MS) == 2
    with database.read() as connection:
        assert connection.execute(sa.select(tables.attempts)).all() == []


def test_a_new_password_from_an_administrator_ends_the_wait(people: People) -> None:
    settled(people)
    for _ in range(FREE + 1):
        fail(people, "wang", HERE, NOW)
    once = people.reset_password("wang", NOW)
    assert people.sign_in("wang", once, HERE, NOW).must_change


# Changing


def test_one_changes_ones_own_password_with_the_old_one(people: People) -> None:
    settled(people)
    with pytest.raises(SignInRefused):
        people.set_password("wang", "wrong", ANOTHER, NOW)
    assert not people.set_password("wang", OWN, ANOTHER, NOW).must_change
    with pytest.raises(SignInRefused):
        people.sign_in("wang", OWN, HERE, NOW)
    assert people.sign_in("wang", ANOTHER, HERE, NOW).name == "wang"


def test_an_account_that_changes_while_its_password_is_checked_keeps_the_change(database: Database) -> None:
    given: list[str] = []

    class Slow(Passwords):
        """An administrator is quicker than the hash."""

        def hash(self, password: str) -> str:
            if password == ANOTHER:
                given.append(People(database).reset_password("wang", NOW))
            return super().hash(password)

    people = People(database, Slow())
    settled(people)
    with pytest.raises(SignInRefused):
        people.set_password("wang", OWN, ANOTHER, NOW)
    assert people.sign_in("wang", given[0], HERE, NOW).must_change


def test_guessing_the_old_password_is_throttled_too(people: People) -> None:
    settled(people)
    for _ in range(FREE):
        with pytest.raises(SignInRefused):
            people.set_password("wang", "wrong", OWN, NOW, HERE)
    with pytest.raises(Throttled):
        people.set_password("wang", OWN, ANOTHER, NOW, HERE)


def test_a_new_password_must_be_new_and_good(people: People) -> None:
    settled(people)
    for new, why in ((OWN, "password-same"), ("short", "password-short"), ("wang-wang-wang", "password-name")):
        with pytest.raises(AccessError) as refused:
            people.set_password("wang", OWN, new, NOW)
        assert reason(refused) == why


def test_a_change_of_password_role_or_standing_ends_the_sessions(people: People, database: Database) -> None:
    people.first(NOW)
    settled(people)
    sessions = Sessions(database, 12, 60)
    password = OWN

    def signed_in() -> str:
        return sessions.start(people.sign_in("wang", password, HERE, NOW), HERE, NOW)

    def is_over(cookie: str) -> bool:
        return Sessions(database, 12, 60).viewer(cookie, HERE, NOW) is None

    cookie = signed_in()
    people.set_title("wang", "王小芳")
    people.set_preferences("wang", "en", "Asia/Shanghai", "dark")
    people.set_role("wang", "operator")
    assert not is_over(cookie)
    people.set_role("wang", "analyst")
    assert is_over(cookie)
    cookie = signed_in()
    people.set_password("wang", password, ANOTHER, NOW)
    assert is_over(cookie)
    password = ANOTHER
    cookie = signed_in()
    password = people.reset_password("wang", NOW)
    assert is_over(cookie)
    cookie = signed_in()
    people.set_disabled("wang", disabled=True, now_ms=NOW)
    assert is_over(cookie)


def test_disabling_revokes_tokens_for_good_and_enabling_lets_in_again(people: People, database: Database) -> None:
    people.first(NOW)
    settled(people)
    tokens = Tokens(database, 365)
    _, secret = tokens.make("wang", "probe", ["metrics.read"], NOW + 1000, NOW)
    assert people.set_disabled("wang", disabled=True, now_ms=NOW).disabled
    assert not people.set_disabled("wang", disabled=False, now_ms=NOW).disabled
    assert tokens.viewer(secret, HERE, NOW) is None
    assert tokens.of("wang")[0].revoked_ms == NOW
    assert people.sign_in("wang", OWN, HERE, NOW).name == "wang"


def test_the_last_administrator_stays(people: People) -> None:
    people.first(NOW)
    people.arrive(Identity("external", "x", "administrator", "iss 1"), NOW)
    for change in (
        lambda: people.set_role("admin", "viewer"),
        lambda: people.set_disabled("admin", disabled=True, now_ms=NOW),
    ):
        with pytest.raises(AccessError) as refused:
            change()
        assert reason(refused) == "last-administrator", "whom the provider may take away does not count"
    people.add("second", "x", "administrator", NOW)
    people.set_disabled("second", disabled=True, now_ms=NOW)
    with pytest.raises(AccessError):
        people.set_role("admin", "viewer")
    people.set_disabled("second", disabled=False, now_ms=NOW)
    assert people.set_role("admin", "viewer").role == "viewer"


def test_two_administrators_who_demote_each_other_leave_one(people: People) -> None:
    people.first(NOW)
    people.add("second", "x", "administrator", NOW)
    refused: list[str] = []

    def demote(name: str) -> None:
        try:
            people.set_role(name, "viewer")
        except AccessError as error:
            refused.append(error.reason)

    threads = [threading.Thread(target=demote, args=(name,)) for name in ("admin", "second")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert refused == ["last-administrator"]
    assert sorted(account.role for account in people.all()) == ["administrator", "viewer"]


@pytest.mark.parametrize("role", ROLES)
def test_every_role_can_be_given(people: People, role: str) -> None:
    people.add("wang", "x", "viewer", NOW)
    assert people.set_role("wang", role).role == role  # type: ignore[arg-type]


def test_preferences_are_kept_and_checked(people: People) -> None:
    settled(people)
    account = people.set_preferences("wang", "en", "Asia/Urumqi", "dark")
    assert (account.language, account.zone, account.theme) == ("en", "Asia/Urumqi", "dark")
    assert people.set_preferences("wang", "", "", "").zone == ""
    for wrong in (("fr", "", ""), ("", "../etc/passwd", ""), ("", "Mars/Base", ""), ("", "", "pink")):
        with pytest.raises(AccessError) as refused:
            people.set_preferences("wang", *wrong)
        assert reason(refused) == "preference-unknown"


def test_an_account_that_is_not_there_is_said_so(people: People) -> None:
    for change in (
        lambda: people.account("x"),
        lambda: people.set_role("x", "viewer"),
        lambda: people.set_title("x", "y"),
        lambda: people.set_disabled("x", disabled=True, now_ms=NOW),
        lambda: people.reset_password("x", NOW),
        lambda: people.set_preferences("x", "", "", ""),
    ):
        with pytest.raises(AccessError) as refused:
            change()
        assert reason(refused) == "no-account"


@pytest.mark.parametrize("name", ["\0", "wang\0", "\udcff", "王芳", "x" * 100_000, "' or 1=1 --", ""])
def test_hostile_names_are_nobodys(people: People, database: Database, name: str) -> None:
    settled(people)
    with pytest.raises(SignInRefused):
        people.sign_in(name, OWN, HERE, NOW)
    with pytest.raises(AccessError) as refused:
        people.account(name)
    assert reason(refused) == "no-account"
    assert Tokens(database, 365).of(name) == []
    with pytest.raises(AccessError):
        Tokens(database, 365).revoke(name, NOW)


@pytest.mark.parametrize("password", ["", "\0", "\udcff", "x" * 1_000_000])
def test_hostile_passwords_fit_nobody(people: People, password: str) -> None:
    settled(people)
    with pytest.raises(SignInRefused):
        people.sign_in("wang", password, "\udcff not an address \0", NOW)


# From a provider


def test_a_provider_makes_and_keeps_its_accounts(people: People) -> None:
    came = people.arrive(Identity("Zhao@example.cn", "赵敏", "analyst", "iss 1"), NOW)
    assert came.before is None
    made = came.account
    assert (made.name, made.role, made.external, made.must_change) == ("zhao@example.cn", "analyst", True, False)
    came = people.arrive(Identity("renamed@example.cn", "赵敏敏", "viewer", "iss 1"), NOW + 9)
    assert came.before == made
    again = came.account
    assert (again.name, again.title, again.role, again.signed_in_ms) == ("zhao@example.cn", "赵敏敏", "viewer", NOW + 9)
    for change in (
        lambda: people.set_role("zhao@example.cn", "operator"),
        lambda: people.set_title("zhao@example.cn", "x"),
        lambda: people.reset_password("zhao@example.cn", NOW),
    ):
        with pytest.raises(AccessError) as refused:
            change()
        assert reason(refused) == "external"
    for password in ("", "x", OWN):
        with pytest.raises(SignInRefused):
            people.sign_in("zhao@example.cn", password, HERE, NOW)


def test_a_provider_takes_over_no_account_by_its_name(people: People) -> None:
    people.first(NOW)
    people.arrive(Identity("zhao", "赵敏", "analyst", "iss 1"), NOW)
    for name in ("admin", "zhao"):
        with pytest.raises(OidcRefused) as refused:
            people.arrive(Identity(name, "x", "administrator", "iss 2"), NOW)
        assert reason(refused) == "provider-account"
    assert people.account("zhao").role == "analyst"


def test_who_is_disabled_here_does_not_come_in_by_the_provider(people: People) -> None:
    identity = Identity("zhao", "赵敏", "analyst", "iss 1")
    people.arrive(identity, NOW)
    people.set_disabled("zhao", disabled=True, now_ms=NOW)
    with pytest.raises(SignInRefused):
        people.arrive(identity, NOW)


def test_another_role_at_the_provider_ends_the_sessions(people: People, database: Database) -> None:
    sessions = Sessions(database, 12, 60)
    cookie = sessions.start(people.arrive(Identity("zhao", "赵", "analyst", "iss 1"), NOW).account, HERE, NOW)
    people.arrive(Identity("zhao", "赵", "analyst", "iss 1"), NOW)
    assert Sessions(database, 12, 60).viewer(cookie, HERE, NOW) is not None
    people.arrive(Identity("zhao", "赵", "viewer", "iss 1"), NOW)
    assert Sessions(database, 12, 60).viewer(cookie, HERE, NOW) is None
