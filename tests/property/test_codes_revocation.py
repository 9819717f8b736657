"""Purging never brings a revoked code back, whatever clocks do; keys follow each other without a gap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codes_samples import DAY, HOUR, ISSUER, KEY, NOW, PACE, bundle, claims, key_set
from hutong.codes.claims import COLOURS, checked
from hutong.codes.minting import Pace, mint, mint_one
from hutong.codes.revocation import KEPT_MS, Revocations, Revoked, no_revocations, read_news, write_news
from hutong.codes.rotation import AHEAD_MS, KeyRecord, follower_begins, terms
from hutong.codes.signed import SignedError
from hutong.codes.verification import Trust, verify
from hutong.protocols.cose import read_sign1
from hutong.protocols.cwt import read_claims

if TYPE_CHECKING:
    from hutong.codes.claims import Claims
    from hutong.codes.minting import Bundle

# The set is old enough for every clock below, so that only the list can tell that one is behind.
TRUST = Trust([key_set(NOW - DAY)])
MOMENTS = st.integers(-3 * HOUR, 8 * HOUR)


class Centre:
    """The issuer: bundles, entries that it purges as the store does, and what verifiers get."""

    def __init__(self) -> None:
        self.entries: list[Revoked] = []
        self.version = 0

    def revoke(self, it: Bundle, now_ms: int) -> None:
        self.version = max(self.version, now_ms) + 1
        self.entries.append(Revoked(self.version, it.handle, it.expires_ms))

    def news(self, since: int, now_ms: int) -> bytes:
        self.entries = [it for it in self.entries if it.until_ms + KEPT_MS > now_ms]
        fresh = [it for it in self.entries if it.version > since]
        return write_news(ISSUER, since, max(self.version, since), fresh, KEY, now_ms)


@st.composite
def steps(draw: st.DrawFn) -> list[tuple[str, int]]:
    """What happens at the station, each with its clock's error or the moment that it purges for."""
    return draw(st.lists(st.tuples(st.sampled_from(["fetch", "purge", "show"]), MOMENTS), min_size=3, max_size=12))


@settings(max_examples=60, deadline=None)
@given(steps(), st.lists(st.integers(1, 90), min_size=12, max_size=12), st.integers(0, 3))
def test_purging_never_brings_a_code_back(story: list[tuple[str, int]], minutes: list[int], first: int) -> None:
    centre, held = Centre(), no_revocations(ISSUER)
    codes = [bundle(handle=bytes([at + 1] * 8)) for at in range(4)]
    known: set[bytes] = set()
    now_ms = NOW
    for number, (what, moment) in enumerate(story):
        now_ms += minutes[number] * 60_000
        if number == first:
            for it in codes[:2]:
                centre.revoke(it, now_ms)
        if what == "fetch":
            held = held.applied(read_news(centre.news(held.version, now_ms), TRUST.key_sets))
            known = {it.handle for it in codes[:2]} if centre.version else set()
        elif what == "purge":
            held = held.purged(now_ms + moment)
        # Whatever clock it is judged by, and most of all by those in which the code would be good.
        for it in codes:
            for slot, here_ms in ((0, now_ms + moment), (0, NOW + 60_000), (PACE.count - 1, NOW + HOUR - 60_000)):
                found = verify(it.text(slot), TRUST, {ISSUER: held}, None, here_ms)
                if it.handle in known:
                    assert found.verdict in {"revoked", "expired", "not-yet-valid", "clock-wrong"}, found
                else:
                    assert found.verdict != "revoked"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 1 << 40), unique=True, max_size=60), st.data())
def test_a_list_in_parts_is_the_whole_list(numbers: list[int], data: st.DataObject) -> None:
    entries = [Revoked(at, number.to_bytes(8), NOW + DAY) for at, number in enumerate(numbers, 1)]
    cut = data.draw(st.integers(0, len(entries)))
    whole = _taken(no_revocations(ISSUER), entries, 0)
    parts = _taken(_taken(no_revocations(ISSUER), entries[:cut], 0), entries[cut:], cut)
    assert (parts.version, list(parts.handles)) == (whole.version, list(whole.handles))
    assert all(it.handle in parts for it in entries)
    assert b"\xff" * 8 not in parts
    assert len(parts) == len(entries)
    assert len(parts.purged(NOW + DAY + KEPT_MS)) == 0


def _taken(held: Revocations, entries: list[Revoked], since: int) -> Revocations:
    return held.applied(read_news(write_news(ISSUER, since, since + len(entries), entries, KEY, NOW), TRUST.key_sets))


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        claims,
        issuer=st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=30),
        who=st.binary(min_size=12, max_size=12),
        handle=st.binary(min_size=8, max_size=8) | st.just(b"\xff" * 8),
        name=st.text(st.characters(categories=["L", "N", "P"]), max_size=40),
        tail=st.text(st.characters(categories=["L", "N"]), max_size=4),
        colour=st.sampled_from(COLOURS),
        kind=st.sampled_from(["own", "child", "elder"]),
        issued_ms=st.integers(KEY.not_before_ms // 1000, NOW // 1000).map(lambda it: it * 1000),
    ),
    st.integers(0, 3),
)
def test_whatever_a_template_is_made_of_every_code_says_it(said: Claims, number: int) -> None:
    made = mint(said, Pace(60, 30, 30, 4), KEY, bytes(range(32)))
    read = checked(read_claims(read_sign1(made.message(number)).payload))
    begins_ms = NOW + number * 60_000
    varied = {"not_before_ms": begins_ms - 30_000, "expires_ms": begins_ms + 90_000}
    assert read == msgspec.structs.replace(said, id=bytes(range(8 * number, 8 * number + 8)), **varied)
    alone = mint_one(read, KEY)
    assert alone == made.text(number), "Ed25519 signs the same bytes alike"


def test_news_that_are_old_leave_something_out_or_were_changed_are_refused() -> None:
    entries = [Revoked(at, bytes([at] * 8), NOW + DAY) for at in (1, 2, 3)]
    document = write_news(ISSUER, 0, 3, entries, KEY, NOW)
    held = no_revocations(ISSUER).applied(read_news(document, TRUST.key_sets))
    for other in (
        write_news(ISSUER, 4, 5, [], KEY, NOW),  # leaves version 4 out
        write_news(ISSUER, 0, 2, entries[:2], KEY, NOW),
        write_news(ISSUER, 3, 3, [], KEY, NOW - HOUR),
    ):
        with pytest.raises(SignedError):
            held.applied(read_news(other, TRUST.key_sets))
    for changed in (document[:-1], document + bytes(12), document[:-1] + b"\0", b"", document[:40], b"\0\0" + document):
        with pytest.raises(SignedError):
            read_news(changed, TRUST.key_sets)
    with pytest.raises(SignedError):
        read_news(document, [])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 60 * DAY), min_size=1, max_size=12), st.integers(20, 60), st.integers(1, 40))
def test_keys_are_known_before_they_sign_and_kept_until_their_codes_are_over(
    pauses: list[int], term_days: int, lasting_days: int
) -> None:
    """A node looks after its keys at odd moments; between two of them it may be off for months."""
    records: tuple[KeyRecord, ...] = ()
    now_ms, signed = NOW, list[tuple[int, int]]()
    for number, pause in enumerate(pauses):
        before = terms(records, now_ms)
        records = tuple(it.record for it in before if it.state != "over")
        follower_ms = follower_begins(records, now_ms)
        if follower_ms is not None:
            somebody = any(it.state == "signing" for it in before)
            forced = bool(before) and follower_ms == before[-1].signs_until_ms
            assert follower_ms - now_ms >= AHEAD_MS or forced or not somebody
            records += (KeyRecord("EdDSA", bytes([number] * 32), follower_ms, term_days * DAY, lasting_days * DAY),)
        known = terms(records, now_ms)
        signing = [it for it in known if it.state == "signing"]
        assert len(signing) == 1, "one key signs"
        begins_ms = signing[0].record.begins_ms
        signed.append((begins_ms, now_ms + lasting_days * DAY))
        for begins, until_ms in signed:
            if now_ms < until_ms:
                there = [one for one in known if one.record.begins_ms == begins and one.state != "over"]
                assert there
                assert there[0].kept_until_ms >= until_ms
        now_ms += pause
