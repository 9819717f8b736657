"""Verifier and phone in a real browser judge and show as the library does: the same words for the same codes."""

from __future__ import annotations

import base64
import random
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
from playwright.sync_api import sync_playwright

from e2e.browser import ARGUMENTS, CHROMIUM
from hutong.codes import public
from hutong.codes.claims import Claims, Colour, Kind
from hutong.codes.keys import KeySet, SigningKey, write_key_set
from hutong.codes.minting import Bundle, Pace, mint, mint_one
from hutong.codes.revocation import Revocations, Revoked, no_revocations, read_news, write_news
from hutong.codes.seen import Seen
from hutong.codes.verification import Trust, verify
from hutong.kernel.web.security import CONTENT_SECURITY_POLICY
from hutong.protocols import base45

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from hutong.codes.keys import Algorithm

pytestmark = [pytest.mark.peer("chromium"), pytest.mark.enable_socket]

NOW: Final = 1_790_000_000_000
HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
PACE: Final = Pace(step_s=300, early_s=60, late_s=60, count=24)
ROOT = SigningKey("EdDSA", b"r" * 32, NOW - 30 * DAY, NOW + 30 * DAY)
KEYS: Final[dict[Algorithm, SigningKey]] = {
    "EdDSA": SigningKey("EdDSA", b"a" * 32, NOW - DAY, NOW + 30 * DAY),
    "ES256": SigningKey("ES256", b"b" * 32, NOW - DAY, NOW + 30 * DAY),
}
STRANGER = SigningKey("EdDSA", b"s" * 32, NOW - DAY, NOW + 30 * DAY)

_MODULES = """
async () => {
  const names = ["bytes", "bundle", "cbor", "documents", "seen", "sign1", "verification"];
  const found = await Promise.all(names.map((name) => import(`/${name}.js`)));
  window.codes = Object.assign({}, ...found);
  window.known = async ({ keys, news, issuer, place }) => {
    const keySets = [await codes.readKeySet(codes.fromBase64(keys))];
    let list = codes.noRevocations(issuer);
    for (const each of news) list = await codes.withNews(list, codes.fromBase64(each), keySets);
    const revocations = new Map(news.length ? [[issuer, list]] : []);
    return { keySets, revocations, seen: new codes.Seen(place) };
  };
  window.plain = (it) => ({
    verdict: it.verdict, warnings: it.warnings, uses: it.uses,
    reasons: it.reasons.map((each) => [each.word, each.values]),
    name: it.claims?.name ?? null, keys: it.keysMadeMs, revocations: it.revocationsMadeMs,
  });
}
"""
_JUDGE = """
async ([texts, given, nows]) => {
  const known = await window.known(given);
  const found = [];
  for (const [at, text] of texts.entries()) {
    const outcome = await codes.verify(text, known, nows[at]);
    known.seen.note(outcome, nows[at]);
    found.push(plain(outcome));
  }
  return found;
}
"""


class _Quiet(SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        super().end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    static = f"{public.__path__[0]}/static"
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=static))
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            shown = browser.new_page()
            shown.goto(f"http://127.0.0.1:{server.server_port}/bundle.js")
            shown.evaluate(_MODULES)
            yield shown
            browser.close()
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def claims(name: str = "王*", kind: Kind = "own", colour: Colour = "green", **more: str | int | bytes) -> Claims:
    paper = {"colour": None, "as_of_ms": None} if kind == "paper" else {"colour": colour, "as_of_ms": NOW - HOUR}
    said: dict[str, Any] = {
        "handle": b"handle-1",
        "who": b"w" * 12,
        "id": b"i" * 8,
        "issuer": "e2e",
        "issued_ms": NOW,
        **paper,
        **more,
    }
    return Claims(name=name, kind=kind, tail="X", not_before_ms=NOW, expires_ms=NOW + HOUR, **said)


def bundle(algorithm: Algorithm = "EdDSA", key: SigningKey | None = None, **more: str | bytes) -> Bundle:
    return mint(
        claims(**more),
        PACE,  # type: ignore[arg-type]  # each of its own type
        key or KEYS[algorithm],
        random.Random(7).randbytes(8 * PACE.count),
    )


def key_set(made_ms: int = NOW - HOUR) -> KeySet:
    return write_key_set("e2e", [it.public for it in KEYS.values()], ROOT, made_ms)


def news(*handles: bytes, made_ms: int = NOW - HOUR) -> bytes:
    entries = [Revoked(at + 1, handle, NOW + DAY) for at, handle in enumerate(handles)]
    return write_news("e2e", 0, len(entries), entries, KEYS["EdDSA"], made_ms)


def judged_here(texts: list[str], keys: KeySet, listed: list[bytes], nows: list[int]) -> list[dict[str, Any]]:
    revocations: dict[str, Revocations] = {}
    for each in listed:
        kept = revocations.get("e2e", no_revocations("e2e"))
        revocations["e2e"] = kept.applied(read_news(each, [keys]))
    seen, found = Seen("gate"), []
    for text, now in zip(texts, nows, strict=True):
        outcome = verify(text, Trust([keys]), revocations, seen, now)
        seen.note(outcome, now)
        found.append(
            {
                "verdict": outcome.verdict,
                "warnings": list(outcome.warnings),
                "uses": list(outcome.uses),
                "reasons": [[it.word, it.values] for it in outcome.reasons],
                "name": outcome.claims.name if outcome.claims else None,
                "keys": outcome.keys_made_ms,
                "revocations": outcome.revocations_made_ms,
            }
        )
    return found


def both(
    page: Page, texts: list[str], nows: list[int], keys: KeySet | None = None, listed: list[bytes] | None = None
) -> list[str]:
    """The verdicts, which both sides give with the same reasons."""
    keys, listed = keys or key_set(), [news()] if listed is None else listed
    there = page.evaluate(
        _JUDGE,
        [
            texts,
            {"keys": b64(keys.document), "news": [b64(it) for it in listed], "issuer": "e2e", "place": "gate"},
            nows,
        ],
    )
    assert there == judged_here(texts, keys, listed, nows)
    return [it["verdict"] for it in there]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def changed(text: str, at: int, to: int) -> str:
    data = bytearray(base45.decode(text.removeprefix("HT1:")))
    data[at % len(data)] ^= to
    return "HT1:" + base45.encode(bytes(data))


def test_a_phone_shows_the_very_codes_that_were_signed(page: Page) -> None:
    for algorithm in KEYS:
        made = bundle(algorithm)
        shown = page.evaluate(
            "(said) => { const it = new codes.Bundle(JSON.parse(said));"
            " return [...Array(it.count).keys()].map((at) => it.text(at)); }",
            msgspec.json.encode(made).decode(),
        )
        assert shown == list(made.texts())


def test_a_phone_shows_the_code_of_the_moment(page: Page) -> None:
    made = bundle()
    moments = [NOW - 1, NOW, NOW + 299_999, NOW + 300_000, NOW + 24 * 300_000 - 1, NOW + 24 * 300_000]
    there = page.evaluate(
        "([said, moments]) => { const it = new codes.Bundle(JSON.parse(said)); return moments.map((ms) => it.at(ms)) }",
        [msgspec.json.encode(made).decode(), moments],
    )
    assert there == [made.at(it) for it in moments] == [None, 0, 0, 1, 23, None]


@pytest.mark.parametrize("algorithm", list(KEYS))
def test_one_code_is_judged_alike_at_every_moment(page: Page, algorithm: Algorithm) -> None:
    text = bundle(algorithm).text(2)
    begins, ends = NOW + 600_000 - 60_000, NOW + 900_000 + 60_000
    nows = [NOW - DAY, NOW - 130_000, NOW, begins - 1, begins, ends - 1, ends, NOW + 3 * DAY, NOW + 9 * DAY]
    assert [both(page, [text], [now])[0] for now in nows] == [
        "clock-wrong",
        "clock-wrong",
        "not-yet-valid",
        "not-yet-valid",
        "valid",
        "valid",
        "expired",
        "expired",
        "expired",
    ]


def test_what_is_revoked_stale_or_missing_is_told_alike(page: Page) -> None:
    text = bundle().text(0)
    assert both(page, [text], [NOW], listed=[news(b"handle-0", b"handle-1")]) == ["revoked"]
    assert both(page, [text], [NOW], listed=[]) == ["valid"]
    assert both(page, [text], [NOW], listed=[news(made_ms=NOW - 20 * HOUR), news(b"handle-1")]) == ["revoked"]
    assert both(page, [text], [NOW], keys=key_set(NOW - 8 * DAY), listed=[news(made_ms=NOW - 23 * HOUR)]) == ["valid"]


def test_copies_and_a_crowd_out_of_time_are_seen_alike(page: Page) -> None:
    one, other = bundle(), [bundle(handle=f"handle-{at}".encode(), name="李*") for at in range(6)]
    again = [one.text(0)] * 3 + [one.text(1), one.text(0)]
    assert both(page, again, [NOW, NOW + 5_000, NOW + 20_000, NOW + 300_000, NOW + 320_000]) == [
        *("valid", "valid", "replayed", "valid", "replayed"),
    ]
    late = [it.text(0) for it in other]
    assert both(page, late, [NOW + 2 * HOUR] * 6) == ["expired"] * 5 + ["clock-wrong"]
    early = [it.text(20) for it in other]
    assert both(page, early, [NOW] * 6) == ["not-yet-valid"] * 5 + ["clock-wrong"]


def test_other_keys_kinds_and_claims_are_judged_alike(page: Page) -> None:
    paper = mint_one(claims(kind="paper"), KEYS["ES256"])
    long = mint_one(claims(kind="paper", issued_ms=NOW, who=b"p" * 12), KEYS["EdDSA"])
    stranger = bundle(key=STRANGER).text(0)
    elsewhere = bundle(issuer="other").text(0)
    texts = [paper, paper, long, stranger, elsewhere, bundle(kind="child", colour="red", handle=b"handle-2").text(0)]
    assert both(page, texts, [NOW, NOW + 30_000, NOW, NOW, NOW, NOW]) == [
        *("valid", "valid", "valid", "unknown-key", "forged", "valid"),
    ]
    broken = ["", "HT1:", "HC1:ABC", "HT1:a", "HT1:AAAA", "HT1:" + "A" * 3000, "  " + bundle().text(0) + "\n"]
    assert both(page, broken, [NOW] * len(broken)) == ["malformed"] * 6 + ["valid"]


def test_a_changed_code_never_passes_and_is_refused_alike(page: Page) -> None:
    chance, texts = random.Random(11), []
    for algorithm in KEYS:
        text = bundle(algorithm).text(0)
        texts += [changed(text, chance.randrange(10_000), 1 << chance.randrange(8)) for _ in range(150)]
    assert "valid" not in both(page, texts, [NOW] * len(texts))


def test_documents_that_were_changed_are_refused(page: Page) -> None:
    keys, listed = key_set().document, news(b"handle-0")
    refused = """
    async ([keys, others, lists]) => {
      const good = await codes.readKeySet(codes.fromBase64(keys));
      const fails = (promise) => promise.then(() => false, (error) => error instanceof RangeError);
      const told = [];
      for (const each of others) told.push(await fails(codes.readKeySet(codes.fromBase64(each), good)));
      const none = codes.noRevocations("e2e");
      for (const each of lists) told.push(await fails(codes.withNews(none, codes.fromBase64(each), [good])));
      return told;
    }
    """
    chance = random.Random(5)
    bad_keys = [flipped(keys, chance) for _ in range(40)]
    bad_keys += [key_set(NOW - 2 * HOUR).document, write_key_set("e2e", [], STRANGER, NOW).document, listed, b""]
    bad_lists = [flipped(listed, chance) for _ in range(40)]
    bad_lists += [
        write_news("e2e", 0, 0, [], STRANGER, NOW),
        write_news("e2e", 3, 3, [], KEYS["EdDSA"], NOW),
        keys,
        b"",
    ]
    told = page.evaluate(refused, [b64(keys), [b64(it) for it in bad_keys], [b64(it) for it in bad_lists]])
    assert told == [True] * (len(bad_keys) + len(bad_lists))


def flipped(data: bytes, chance: random.Random) -> bytes:
    made = bytearray(data)
    made[chance.randrange(len(made))] ^= 1 << chance.randrange(8)
    return bytes(made)
