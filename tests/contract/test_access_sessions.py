"""Sessions and tokens, on each engine."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from hutong.kernel.access.errors import AccessError
from hutong.kernel.access.forgetting import forget
from hutong.kernel.access.people import Account, People, SignInRefused
from hutong.kernel.access.permissions import ROLES, permissions_of
from hutong.kernel.access.sessions import Sessions
from hutong.kernel.access.tokens import Tokens
from hutong.kernel.records import Database, tables

NOW = 1_650_000_000_000
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
HERE, THERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def people(database: Database) -> People:
    made = People(database)
    made.first(NOW)
    return made


@pytest.fixture
def wang(people: People) -> Account:
    people.add("wang", "王芳", "operator", NOW)
    return people.account("wang")


@pytest.fixture
def sessions(database: Database) -> Sessions:
    return Sessions(database, session_hours=12, idle_minutes=60)


@pytest.fixture
def tokens(database: Database) -> Tokens:
    return Tokens(database, token_days=365)


# Sessions


@pytest.mark.parametrize("role", ROLES)
def test_a_session_stands_for_the_person_with_the_roles_permissions(
    people: People, sessions: Sessions, role: str
) -> None:
    people.add("wang", "王芳", role, NOW)  # type: ignore[arg-type]
    cookie = sessions.start(people.account("wang"), HERE, NOW)
    found = sessions.viewer(cookie, THERE, NOW)
    assert found is not None
    viewer, account = found
    assert (viewer.name, viewer.title, viewer.role, viewer.via) == ("wang", "王芳", role, "session")
    assert viewer.permissions == permissions_of(role)  # type: ignore[arg-type]
    assert viewer.address == THERE
    assert account == people.account("wang")


def test_every_sign_in_has_an_id_of_its_own_that_nobody_can_choose(sessions: Sessions, wang: Account) -> None:
    cookies = {sessions.start(wang, HERE, NOW) for _ in range(10)}
    assert len(cookies) == 10
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", cookie) for cookie in cookies)
    assert sessions.viewer("chosen-by-somebody-else-beforehand-0123456789", HERE, NOW) is None


def test_only_a_hash_of_the_cookie_is_kept(sessions: Sessions, wang: Account, database: Database) -> None:
    cookie = sessions.start(wang, HERE, NOW)
    with database.read() as connection:
        (row,) = connection.execute(sa.select(tables.sessions)).all()
    assert cookie not in repr(row)
    assert sessions.viewer(row.id, HERE, NOW) is None


def test_a_session_ends_after_so_long_without_use(sessions: Sessions, wang: Account) -> None:
    cookie = sessions.start(wang, HERE, NOW)
    now = NOW
    for _ in range(5):
        now += 59 * MINUTE
        assert sessions.viewer(cookie, HERE, now) is not None
    assert sessions.viewer(cookie, HERE, now + 60 * MINUTE) is None


def test_a_session_ends_after_so_many_hours_however_much_it_is_used(sessions: Sessions, wang: Account) -> None:
    cookie = sessions.start(wang, HERE, NOW)
    for minutes in range(0, 12 * 60, 30):
        assert sessions.viewer(cookie, HERE, NOW + minutes * MINUTE) is not None
    assert sessions.viewer(cookie, HERE, NOW + 12 * HOUR - 1) is not None
    assert sessions.viewer(cookie, HERE, NOW + 12 * HOUR) is None, "not even for the second that an answer is kept"


def test_use_is_noted_at_most_once_a_minute(sessions: Sessions, wang: Account, database: Database) -> None:
    cookie = sessions.start(wang, HERE, NOW)

    def seen() -> int:
        with database.read() as connection:
            return int(connection.execute(sa.select(tables.sessions.c.seen_ms)).scalar_one())

    for second in range(60):
        sessions.viewer(cookie, HERE, NOW + second * 1000)
    assert seen() == NOW
    sessions.viewer(cookie, HERE, NOW + MINUTE)
    assert seen() == NOW + MINUTE


def test_signing_out_ends_this_session_at_once_and_no_other(sessions: Sessions, wang: Account) -> None:
    first, second = sessions.start(wang, HERE, NOW), sessions.start(wang, THERE, NOW)
    assert sessions.viewer(first, HERE, NOW)
    assert sessions.viewer(second, HERE, NOW)
    sessions.end(first)
    assert sessions.viewer(first, HERE, NOW) is None
    assert sessions.viewer(second, HERE, NOW) is not None


def test_a_person_sees_the_own_sessions_and_ends_the_others(sessions: Sessions, wang: Account) -> None:
    first = sessions.start(wang, HERE, NOW)
    second = sessions.start(wang, THERE, NOW + MINUTE)
    sessions.start(wang, THERE, NOW - 13 * HOUR)
    listed = sessions.of("wang", second, NOW + MINUTE)
    assert {(one.address, one.own) for one in listed} == {(HERE, False), (THERE, True)}
    assert sessions.viewer(first, HERE, NOW + MINUTE) is not None
    assert sessions.end_others("wang", second) == 2
    assert sessions.viewer(first, HERE, NOW + MINUTE) is None
    assert sessions.viewer(second, HERE, NOW + MINUTE) is not None


def test_a_change_of_preferences_shows_at_the_next_page(sessions: Sessions, wang: Account, people: People) -> None:
    cookie = sessions.start(wang, HERE, NOW)
    assert sessions.viewer(cookie, HERE, NOW) is not None
    people.set_preferences("wang", "en", "", "dark")
    sessions.renew(cookie)
    found = sessions.viewer(cookie, HERE, NOW)
    assert found is not None
    assert found[1].theme == "dark"


def test_what_another_process_ends_is_over_within_a_second(
    sessions: Sessions, wang: Account, people: People, database: Database
) -> None:
    cookie = sessions.start(wang, HERE, NOW)
    assert sessions.viewer(cookie, HERE, NOW) is not None
    People(database).set_role("wang", "viewer")
    assert sessions.viewer(cookie, HERE, NOW + 1000) is None
    assert people.account("wang").role == "viewer"


def test_a_session_gets_another_id_and_lives_no_longer_for_it(sessions: Sessions, wang: Account) -> None:
    old = sessions.start(wang, HERE, NOW)
    assert sessions.viewer(old, HERE, NOW) is not None
    new = sessions.rotate(old, HERE, NOW + 30 * MINUTE)
    assert new is not None
    assert new != old
    assert sessions.viewer(old, HERE, NOW + 30 * MINUTE) is None
    for minutes in range(30, 12 * 60, 30):
        assert sessions.viewer(new, HERE, NOW + minutes * MINUTE) is not None
    assert sessions.viewer(new, HERE, NOW + 12 * HOUR) is None
    assert sessions.rotate(old, HERE, NOW) is None


def test_the_csrf_value_is_the_sessions_own(sessions: Sessions, wang: Account) -> None:
    def csrf(cookie: str | None) -> str:
        found = sessions.viewer(cookie or "", HERE, NOW)
        assert found is not None
        return found[0].csrf

    first, second = sessions.start(wang, HERE, NOW), sessions.start(wang, HERE, NOW)
    assert csrf(first) == csrf(first)
    assert len(csrf(first)) == 64
    assert csrf(first) not in (csrf(second), first)
    before = csrf(first)
    assert csrf(sessions.rotate(first, HERE, NOW)) != before


def test_nobody_begins_a_session_with_a_disabled_account(sessions: Sessions, wang: Account, people: People) -> None:
    people.set_disabled("wang", disabled=True, now_ms=NOW)
    with pytest.raises(SignInRefused):
        sessions.start(wang, HERE, NOW)


def test_an_odd_address_does_no_harm(sessions: Sessions, wang: Account) -> None:
    cookie = sessions.start(wang, "\udcff\0x" * 100, NOW)
    (session,) = sessions.of("wang", cookie, NOW)
    assert session.address == "x" * 64


def test_sessions_that_are_over_are_forgotten(sessions: Sessions, wang: Account, database: Database) -> None:
    sessions.start(wang, HERE, NOW)
    late = sessions.start(wang, HERE, NOW + MINUTE)
    assert forget(database, NOW + HOUR) == 1
    assert sessions.viewer(late, HERE, NOW + HOUR) is not None


@pytest.mark.parametrize("cookie", ["", "x", "\udcff", "\0", "x" * 100_000])
def test_junk_is_nobodys_session(sessions: Sessions, cookie: str) -> None:
    assert sessions.viewer(cookie, HERE, NOW) is None
    assert sessions.rotate(cookie, HERE, NOW) is None
    sessions.end(cookie)


# Tokens


def test_a_token_stands_for_its_owner_with_its_scopes_alone(tokens: Tokens, wang: Account) -> None:
    token, secret = tokens.make("Wang", " call  centre ", ["calls.screen", "lists.read"], NOW + DAY, NOW)
    assert (token.owner, token.title, token.scopes) == ("wang", "call centre", {"calls.screen", "lists.read"})
    assert re.fullmatch(rf"hut_{token.id}_[A-Za-z0-9_-]{{43}}", secret)
    viewer = tokens.viewer(secret, HERE, NOW)
    assert viewer is not None
    assert (viewer.name, viewer.via, viewer.csrf, viewer.address) == (wang.name, "token", "", HERE)
    assert viewer.permissions == {"calls.screen", "lists.read"}
    assert viewer.can("lists.read")
    assert not viewer.can("lists.change")


def test_only_a_hash_of_the_secret_is_kept(tokens: Tokens, wang: Account, database: Database) -> None:
    _, secret = tokens.make(wang.name, "x", ["lists.read"], NOW + DAY, NOW)
    with database.read() as connection:
        kept = repr(connection.execute(sa.select(tables.tokens)).all())
    assert secret[-43:] not in kept


def test_a_token_ends(tokens: Tokens, wang: Account) -> None:
    _, secret = tokens.make(wang.name, "x", ["lists.read"], NOW + 1500, NOW)
    assert tokens.viewer(secret, HERE, NOW + 1499) is not None
    assert tokens.recent(secret, HERE, NOW + 1499) is not None
    assert tokens.recent(secret, HERE, NOW + 1500) is None, "not even for the second that an answer is kept"
    assert tokens.viewer(secret, HERE, NOW + 1500) is None


def test_a_token_that_is_revoked_opens_nothing(tokens: Tokens, wang: Account, database: Database) -> None:
    token, secret = tokens.make(wang.name, "x", ["lists.read"], NOW + DAY, NOW)
    elsewhere = Tokens(database, 365)
    assert tokens.viewer(secret, HERE, NOW) is not None
    assert elsewhere.viewer(secret, HERE, NOW) is not None
    assert tokens.revoke(token.id, NOW).revoked_ms == NOW
    assert tokens.revoke(token.id, NOW + 5).revoked_ms == NOW
    assert tokens.viewer(secret, HERE, NOW) is None
    assert elsewhere.viewer(secret, HERE, NOW + 1000) is None
    with pytest.raises(AccessError) as refused:
        tokens.revoke("nosuchtoken", NOW)
    assert refused.value.reason == "no-token"


def test_a_token_may_no_more_than_its_owner_may_now(
    tokens: Tokens, wang: Account, people: People, database: Database
) -> None:
    _, secret = tokens.make(wang.name, "x", ["lists.read", "lists.change"], NOW + DAY, NOW)
    people.set_role("wang", "analyst")
    viewer = Tokens(database, 365).viewer(secret, HERE, NOW)
    assert viewer is not None
    assert viewer.permissions == {"lists.read"}
    people.set_disabled("wang", disabled=True, now_ms=NOW)
    assert Tokens(database, 365).viewer(secret, HERE, NOW) is None


@pytest.mark.parametrize(
    ("owner", "title", "scopes", "expires_ms", "why"),
    [
        ("nobody", "x", ["lists.read"], NOW + DAY, "no-account"),
        ("wang", " ", ["lists.read"], NOW + DAY, "token-title"),
        ("wang", "x\n\x1b", ["lists.read"], NOW + DAY, "token-title"),
        ("wang", "x", [], NOW + DAY, "token-scope"),
        ("wang", "x", ["people.change"], NOW + DAY, "token-scope"),
        ("wang", "x", ["no.such"], NOW + DAY, "token-scope"),
        ("wang", "x", ["lists.read"], NOW, "token-expiry"),
        ("wang", "x", ["lists.read"], NOW + 366 * DAY, "token-expiry"),
    ],
)
@pytest.mark.usefixtures("wang")
def test_a_token_needs_an_owner_a_title_scopes_of_the_owner_and_an_end(
    tokens: Tokens, owner: str, title: str, scopes: list[str], expires_ms: int, why: str
) -> None:
    with pytest.raises(AccessError) as refused:
        tokens.make(owner, title, scopes, expires_ms, NOW)
    assert refused.value.reason == why
    assert tokens.all() == []


def test_tokens_are_listed_newest_first(tokens: Tokens, wang: Account) -> None:
    made = [tokens.make(wang.name, f"t{at}", ["lists.read"], NOW + DAY, NOW + at)[0] for at in range(3)]
    admins, _ = tokens.make("admin", "a", ["metrics.read"], NOW + DAY, NOW + 9)
    assert tokens.of("wang") == made[::-1]
    assert tokens.all() == [admins, *made[::-1]]
    assert tokens.token(made[0].id) == made[0]
    assert [token.is_live(NOW + DAY) for token in made] == [False] * 3


def test_use_of_a_token_is_noted(tokens: Tokens, wang: Account, database: Database) -> None:
    token, secret = tokens.make(wang.name, "x", ["lists.read"], NOW + DAY, NOW)
    for after in (5, 2000, MINUTE + 5):
        tokens.viewer(secret, HERE, NOW + after)
    assert Tokens(database, 365).token(token.id).used_ms == NOW + MINUTE + 5


@pytest.mark.parametrize(
    "junk", ["", "hut_", "hut_aaaaaaaaaaaa_" + "A" * 43, "Bearer x", "\udcff", "\0" * 60, "x" * 9999]
)
def test_junk_is_nobodys_token(tokens: Tokens, wang: Account, junk: str) -> None:
    tokens.make(wang.name, "x", ["lists.read"], NOW + DAY, NOW)
    assert tokens.viewer(junk, HERE, NOW) is None


def test_the_right_id_with_another_secret_opens_nothing(tokens: Tokens, wang: Account) -> None:
    (one, first), (_, second) = (tokens.make(wang.name, "x", ["lists.read"], NOW + DAY, NOW) for _ in range(2))
    assert tokens.viewer(f"hut_{one.id}_{second[-43:]}", HERE, NOW) is None
    assert tokens.viewer(first, HERE, NOW) is not None
