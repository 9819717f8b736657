"""Every outcome of verifying a code, each told in both languages."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from codes_samples import (
    DAY,
    ES_KEY,
    HOUR,
    ISSUER,
    KEY,
    NOW,
    OTHER_KEY,
    PACE,
    bundle,
    claims,
    key_set,
    revoked,
    trust,
)
from hutong.codes.claims import CLAIMS, ClaimError, checked, told_claims
from hutong.codes.keys import CLOCK_TOLERANCE_MS, read_key_set, write_key_set
from hutong.codes.minting import ENTRY_BYTES, Bundle, MintError, Pace, mint, mint_one
from hutong.codes.outcome import VERDICTS, WARNINGS, Outcome, Reason
from hutong.codes.seen import AGAIN_MS, APART_MS, CROWD, Seen, load
from hutong.codes.signed import SignedError
from hutong.codes.station_clock import measured
from hutong.codes.verification import Trust, verify
from hutong.kernel.errors import StateError
from hutong.protocols import base45, cose, cwt

if TYPE_CHECKING:
    from hutong.codes.keys import SigningKey
    from hutong.codes.revocation import Revocations

NONE = revoked()


def judged(
    text: str,
    now_ms: int = NOW,
    seen: Seen | None = None,
    lists: dict[str, Revocations] = NONE,
    by: Trust | None = None,
) -> Outcome:
    found = verify(text, by or trust(), lists, seen, now_ms)
    for language in ("zh", "en"):
        said = found.told(language)
        assert all(said)
        assert len(said) == 1 + len(found.reasons)
    return found


def signed(key: SigningKey, payload: bytes, header: dict[Any, Any] | None = None, beside: Any = None) -> str:  # noqa: ANN401
    protected = cose.write_protected({1: key.public.number, 4: key.kid} if header is None else header)
    message = cose.write_sign1(protected, payload, key.sign(cose.to_be_signed(protected, payload)), beside)
    return "HT1:" + base45.encode(message)


@pytest.mark.parametrize("key", [KEY, ES_KEY], ids=["EdDSA", "ES256"])
def test_every_code_of_a_bundle_is_valid_in_its_own_slot(key: SigningKey) -> None:
    made = bundle(key)
    assert len(made) == PACE.count
    assert len({made.text(number) for number in range(len(made))}) == PACE.count
    for number, text in enumerate(made.texts()):
        begins = NOW + number * 300_000
        found = judged(text, begins)
        assert (found.verdict, found.warnings) == ("valid", ())
        assert found.claims is not None
        assert msgspec.structs.replace(found.claims, id=b"\1" * 8) == claims(
            not_before_ms=begins - 60_000, expires_ms=begins + 360_000
        )
        assert judged(text, begins - 60_001).verdict in {"not-yet-valid", "clock-wrong"}
        assert judged(text, begins - 60_000).is_valid
        assert judged(text, begins + 359_999).is_valid
        assert judged(text, begins + 360_000).verdict == "expired"
    assert made.at(NOW + 299_999) == 0
    assert made.at(NOW + 300_000) == 1
    assert made.at(NOW - 1) is None
    assert made.at(NOW + 3_600_000) is None
    with pytest.raises(IndexError):
        made.message(PACE.count)


def test_a_bundle_travels_as_json_and_is_small() -> None:
    made = bundle(pace=Pace(300, 60, 60, 288))
    told = msgspec.json.encode(made)
    assert msgspec.json.decode(told, type=Bundle) == made
    assert len(told) < 30_000, "a day of codes is the smaller part of a first page of 100 kB"


def test_a_template_gives_the_bytes_that_the_codec_gives() -> None:
    made = bundle()
    for number in (0, 7):
        message = cose.read_sign1(made.message(number))
        token = cwt.read_claims(message.payload)
        it = checked(token)
        payload = cwt.write_claims(told_claims(it))
        assert payload == message.payload
        signature = made.entries[number * ENTRY_BYTES + 8 : (number + 1) * ENTRY_BYTES]
        assert cose.write_sign1(message.protected, payload, signature) == made.message(number)


def test_a_forged_code() -> None:
    text = bundle().text(0)
    message = bytearray(base45.decode(text[4:]))
    for at in (len(message) - 1, len(message) - 64, len(message) - 80):
        message[at] ^= 1
        changed = judged("HT1:" + base45.encode(bytes(message)))
        message[at] ^= 1
        assert changed.verdict in {"forged", "malformed"}
        assert changed.uses == ()
    message[-1] ^= 1
    found = judged("HT1:" + base45.encode(bytes(message)))
    assert (found.verdict, found.claims) == ("forged", None)
    assert found.told("zh")[0] == "伪造：签名不符"
    assert "changed" in found.told("en")[1]


def test_a_key_that_is_not_known_or_does_not_fit_signs_nothing() -> None:
    payload = cwt.write_claims(told_claims(claims()))
    assert judged(signed(KEY, payload)).is_valid
    assert judged(signed(OTHER_KEY, payload)).verdict == "unknown-key"
    assert judged(signed(KEY, payload, {1: KEY.public.number})).verdict == "unknown-key"
    # The kid of one key under the signature of another; an algorithm that is not the key's; what nobody signed.
    assert judged(signed(OTHER_KEY, payload, {1: -8, 4: KEY.kid})).verdict == "forged"
    assert judged(signed(KEY, payload, {1: -7, 4: KEY.kid})).verdict == "forged"
    assert judged(signed(KEY, payload, beside={5: b"x"})).verdict == "forged"
    # A document that the key signed passes for no code.
    assert judged(signed(KEY, payload, {1: -8, 3: "application/x", 4: KEY.kid})).verdict == "forged"
    other = cwt.write_claims(told_claims(claims(issuer="other")))
    assert judged(signed(KEY, other)).verdict == "forged"


def test_a_key_signs_only_for_its_own_term() -> None:
    late = claims(expires_ms=KEY.not_after_ms + 1000)
    early = claims(issued_ms=KEY.not_before_ms - 2 * CLOCK_TOLERANCE_MS)
    for it in (late, early):
        assert judged(signed(KEY, cwt.write_claims(told_claims(it)))).verdict == "unknown-key"
    with pytest.raises(MintError):
        mint_one(late, KEY)
    with pytest.raises(MintError):
        mint(claims(not_before_ms=KEY.not_after_ms - HOUR), PACE, KEY, bytes(8 * PACE.count))
    with pytest.raises(MintError):
        mint(claims(issued_ms=KEY.not_before_ms - HOUR), PACE, KEY, bytes(8 * PACE.count))
    # A first slot that began before the key did is none the less the key's.
    assert judged(
        bundle(not_before_ms=NOW - DAY - HOUR, issued_ms=NOW - DAY).text(0), NOW - DAY - HOUR, by=trust(0)
    ).claims


@pytest.mark.parametrize(
    "text", ["", "HC1:ABC", "HT1:", "HT1:abc", "HT1:ABC", "HT1:" + "A" * 3000, "http://x", "HT1:☃"]
)
def test_what_is_no_code_is_malformed(text: str) -> None:
    assert judged(text).verdict == "malformed"


def test_claims_that_are_missing_or_of_another_form_are_malformed() -> None:
    whole = told_claims(claims())
    for claim in CLAIMS:
        fields = {1: "iss", 4: "exp", 5: "nbf", 6: "iat", 7: "cti"}
        if claim.number in fields:
            lacking = msgspec.structs.replace(whole, **{fields[claim.number]: None})
        else:
            private = {number: value for number, value in whole.private.items() if number != claim.number}
            lacking = msgspec.structs.replace(whole, private=private)
        found = judged(signed(KEY, cwt.write_claims(lacking)))
        assert (found.verdict, found.reasons[0].values) == ("malformed", {"claim": claim.name})
    for number, value in ((-65539, 3), (-65539, True), (-65540, 9), (-65537, b"x"), (-65541, "x" * 50), (-65541, "\n")):
        odd = msgspec.structs.replace(whole, private=whole.private | {number: value})
        assert judged(signed(KEY, cwt.write_claims(odd))).verdict == "malformed"
    with pytest.raises(ClaimError):
        told_claims(claims(kind="paper"))
    with pytest.raises(ClaimError):
        told_claims(claims(expires_ms=NOW + 1))


def test_a_revoked_code_and_how_fresh_the_list_is() -> None:
    text, mine, other = bundle().text(0), b"\3" * 8, b"\4" * 8
    assert judged(text, lists=revoked(other)).is_valid
    found = judged(text, lists=revoked(other, mine))
    assert (found.verdict, found.told("zh")[0]) == ("revoked", "已注销")
    assert found.revocations_made_ms == NOW
    assert judged(text, lists={}).warnings == ("no-revocations",)
    later = bundle(not_before_ms=NOW + 2 * DAY).text(0)
    assert judged(later, NOW + 2 * DAY).warnings == ("stale-revocations", "old-colour")


def test_stale_keys_stand_beside_the_verdict() -> None:
    later = NOW + 8 * DAY
    made = bundle(not_before_ms=later, issued_ms=later, as_of_ms=later)
    lists = revoked(made_ms=later)
    found = judged(made.text(0), later, lists=lists)
    assert (found.verdict, found.warnings, found.keys_made_ms) == ("valid", ("stale-keys",), NOW)
    assert "2026-03-02" in found.told("zh")[-1]
    unknown = signed(OTHER_KEY, cwt.write_claims(told_claims(claims())))
    assert judged(unknown, later, lists=lists).warnings == ("stale-keys",)


def test_a_replayed_code() -> None:
    made, seen = bundle(), Seen("gate 1")
    first = judged(made.text(0), NOW, seen)
    assert first.is_valid
    seen.note(first, NOW)
    assert judged(made.text(0), NOW + AGAIN_MS, seen).is_valid, "a camera reads a code more than once"
    seen.note(judged(made.text(0), NOW + AGAIN_MS, seen), NOW + AGAIN_MS)
    again = judged(made.text(0), NOW + AGAIN_MS + 1000, seen)
    assert (again.verdict, again.told("en")[0]) == ("replayed", "Replayed: this code was shown before")
    assert again.uses == ()
    assert judged(made.text(1), NOW + 300_000, seen).is_valid
    seen.note(judged(made.text(1), NOW + 300_000, seen), NOW + 300_000)
    older = bundle(pace=Pace(300, 60, 600, 12)).text(0)  # still within its time
    assert judged(older, NOW + 300_001, seen).verdict == "replayed", "a newer code of the same bundle was shown"


def test_a_cloned_code() -> None:
    made, seen, there = bundle(), Seen("gate 1"), Seen("gate 2")
    there.note(judged(made.text(0), NOW, there), NOW)
    seen.add(there.codes[made.entries[:8]], NOW)
    found = judged(made.text(0), NOW + 5_000, seen)
    assert found.verdict == "cloned"
    assert "gate 2" in found.told("zh")[1]
    assert judged(made.text(0), NOW + APART_MS, seen).is_valid, "by then one can be here"
    assert judged(bundle(handle=b"\5" * 8).text(0), NOW + 5_000, seen).is_valid
    paper = mint_one(claims(kind="paper", colour=None, as_of_ms=None, expires_ms=NOW + 30 * DAY), KEY)
    seen = Seen("gate 1")
    for minutes in range(5):
        at = NOW + minutes * 60_000
        found = judged(paper, at, seen)
        assert found.is_valid, "paper is shown again and again"
        seen.note(found, at)
    seen.place = "gate 3"
    assert judged(paper, NOW + 4 * 60_000 + 1, seen).verdict == "cloned"


def test_a_station_whose_clock_is_behind_does_not_judge() -> None:
    text = bundle().text(0)
    behind = NOW - CLOCK_TOLERANCE_MS - 1
    assert judged(text, behind).verdict == "clock-wrong"
    assert judged(text, behind, by=trust(NOW - DAY), lists={}).reasons[0].word == "clock_code"
    found = judged(text, behind, by=trust(NOW))
    assert "时钟" in found.told("zh")[0]
    assert "Set the clock" in found.told("en")[1]
    early = bundle(issued_ms=NOW - DAY).text(0)
    assert judged(early, behind, by=trust(NOW - DAY), lists={}).verdict == "not-yet-valid"
    assert judged(early, behind, by=trust(NOW - DAY), lists=revoked(made_ms=NOW)).reasons[0].word == "clock_list"


def test_a_crowd_of_codes_tells_a_clock_that_is_ahead() -> None:
    seen, ahead = Seen("gate 1"), NOW + 30 * 60_000
    people = [bundle(handle=bytes([9, at] * 4)).text(0) for at in range(CROWD + 2)]
    for text in people[:CROWD]:
        found = judged(text, ahead, seen)
        assert found.verdict == "expired"
        seen.note(found, ahead)
    found = judged(people[CROWD], ahead, seen)
    assert found.verdict == "clock-wrong"
    assert found.reasons[0].values["minutes"] == 25
    # One of them twice is not two; one who is in time says that the clock is right.
    alone = Seen("gate 1")
    for _ in range(CROWD + 1):
        alone.note(judged(people[0], ahead, alone), ahead)
    assert judged(people[1], ahead, alone).verdict == "expired"
    seen.note(judged(people[CROWD], NOW, seen), NOW)
    assert judged(people[CROWD + 1], ahead, seen).verdict == "expired"


def test_a_clock_is_measured_against_the_centre() -> None:
    offset = measured(NOW + 60_000, NOW + 100, NOW + 60_200)
    assert (offset.ahead_ms, offset.error_ms, offset.corrected(NOW + 70_000)) == (60_000, 100, NOW + 10_000)
    with pytest.raises(ValueError, match="set back"):
        measured(NOW, NOW, NOW - 1)


def test_what_was_seen_is_bounded_and_survives_a_restart() -> None:
    seen = Seen("gate 1", most=50)
    for at in range(120):
        moment = NOW + at * 100
        seen.note(judged(bundle(handle=at.to_bytes(8)).text(0), moment, seen), moment)
        assert len(seen.codes) <= 50
        assert len(seen.bundles) <= 50
    assert seen.dropped > 0, "what found no room is counted"
    back = load(seen.dump())
    assert back == seen
    last = bundle(handle=(119).to_bytes(8)).text(0)
    assert judged(last, NOW + 60_000, back).verdict == "replayed"
    with pytest.raises(StateError):
        load(b"\xc1")


def test_paper_is_for_sampling_and_check_in() -> None:
    text = mint_one(claims(kind="paper", colour=None, as_of_ms=None, expires_ms=NOW + 30 * DAY), KEY)
    found = judged(text)
    assert (found.verdict, found.warnings, found.uses) == ("valid", ("paper",), ("check-in", "sampling"))
    assert found.claims is not None
    assert found.claims.colour is None
    assert judged(bundle().text(0)).uses == ("entry", "check-in", "sampling")


def test_a_key_set_is_taken_from_its_root_only_and_never_backwards() -> None:
    first = key_set()
    assert read_key_set(first.document) == first
    newer = key_set(NOW + HOUR)
    assert read_key_set(newer.document, first).made_ms == NOW + HOUR
    stranger = write_key_set(ISSUER, [KEY.public], OTHER_KEY, NOW + HOUR)
    for document, known in ((first.document, newer), (stranger.document, first), (bundle().message(0), None)):
        with pytest.raises(SignedError):
            read_key_set(document, known)
    for at in random.Random(4).sample(range(len(first.document)), 40):
        damaged = bytearray(first.document)
        damaged[at] ^= 1
        with pytest.raises(SignedError):
            read_key_set(bytes(damaged), first)


def test_every_verdict_and_warning_has_a_text() -> None:
    assert len(set(VERDICTS)) == 10
    for verdict in VERDICTS:
        assert all(Outcome(verdict, ()).told(language) for language in ("zh", "en"))
    for warning in WARNINGS:
        word = warning.replace("-", "_")
        assert Outcome("valid", (Reason(word, {"at": NOW}),)).told("zh")[1]
