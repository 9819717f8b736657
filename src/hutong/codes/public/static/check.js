// The page that verifies codes: by camera, or by a code typed or pasted. Keys and the revocation list are kept on the
// device; with no network it judges by what it has, and says how old that is.

import { ask, Waiting } from "./asking.js";
import { Camera } from "./camera.js";
import { noRevocations, Older, purged, readKeySet, withNews } from "./documents.js";
import { install } from "./installed.js";
import { Kept } from "./kept.js";
import { Seen } from "./seen.js";
import { verify } from "./verification.js";
import { say, saySpan } from "./words.js";

const byId = (id) => document.getElementById(id);
const kept = new Kept();
const FRESH_MS = 10 * 60_000;
const SHOWN_MS = 4_000;

const known = { keySets: [], revocations: new Map(), seen: new Seen("") };
const news = { keysMs: 0, againMs: 0 };

async function load() {
  const keySet = await kept.get("check-keys");
  const list = await kept.get("check-revocations");
  if (keySet) known.keySets = [keySet];
  if (list) known.revocations = new Map([[list.issuer, purged(list, Date.now())]]);
  known.seen = new Seen((await kept.get("check-place")) ?? "", await kept.get("check-seen"));
  byId("place").value = known.seen.place;
  fresh();
}

// What is new since what is kept; whatever does not verify leaves what is kept as it is.
async function update() {
  const [before] = known.keySets;
  const keySet = await readKeySet(await ask("/codes/keys", { type: "bytes" }), before ?? null);
  await kept.put("check-keys", keySet);
  known.keySets = [keySet];
  const list = known.revocations.get(keySet.issuer) ?? noRevocations(keySet.issuer);
  const bytes = await ask(`/codes/revocations?since=${list.version}`, { type: "bytes" });
  const next = await withNews(list, bytes, known.keySets);
  await kept.put("check-revocations", next);
  known.revocations = new Map([[next.issuer, next]]);
  news.keysMs = Date.now();
  fresh();
}

function fresh() {
  const nowMs = Date.now();
  const [keySet] = known.keySets;
  const list = keySet && known.revocations.get(keySet.issuer);
  byId("no-keys").hidden = Boolean(keySet);
  byId("fresh").textContent = keySet
    ? say("check.fresh", { keys: saySpan(nowMs - keySet.madeMs), list: list ? saySpan(nowMs - list.madeMs) : "–" })
    : "";
  byId("network").hidden = navigator.onLine;
}

async function updateQuietly() {
  if (!navigator.onLine || Date.now() < news.againMs) return fresh();
  try {
    await update();
    byId("trouble").hidden = true;
  } catch (error) {
    if (error instanceof Waiting) news.againMs = Date.now() + error.seconds * 1000;
    byId("trouble").hidden = !(error instanceof RangeError) || error instanceof Older; // signed by somebody else, or changed: that is worth a word
    fresh();
  }
}

const KIND = { valid: "green", "not-yet-valid": "warn", expired: "warn", "clock-wrong": "warn", "unknown-key": "warn", malformed: "warn" };
const COLOUR = { green: "green", yellow: "warn", red: "block" };

async function judge(text) {
  const nowMs = Date.now();
  const outcome = await verify(text, known, nowMs);
  known.seen.note(outcome, nowMs);
  kept.put("check-seen", known.seen.kept);
  show(outcome);
  return outcome;
}

function show({ verdict, claims, reasons, uses }) {
  const card = byId("outcome");
  const colour = verdict === "valid" && claims.colour ? COLOUR[claims.colour] : (KIND[verdict] ?? "block");
  card.className = `outcome ${colour}`;
  card.hidden = false;
  const head = verdict === "valid" && claims.colour ? say(`colour.${claims.colour}`) : say(`verdict.${verdict}`);
  byId("verdict").textContent = head;
  byId("who").textContent = claims ? `${claims.name} ${say("tail", { tail: claims.tail })} · ${say(`kind.${claims.kind}`)}` : "";
  byId("uses").textContent = uses.length ? say("check.uses", { uses: uses.map((use) => say(`use.${use}`)).join(" · ") }) : "";
  byId("reasons").replaceChildren(
    ...reasons.map(({ word, values }) => Object.assign(document.createElement("li"), { textContent: say(`reason.${word}`, values) })),
  );
  byId("as-of").textContent = claims?.asOfMs ? say("as_of", { at: claims.asOfMs }) : "";
  byId("judged").textContent = say("check.judged", { at: Date.now() });
  navigator.vibrate?.(colour === "green" ? 60 : [80, 60, 80]);
}

// The camera, which shows one code for many pictures.
let last = { text: "", ms: 0 };

async function seenByCamera(text) {
  const nowMs = Date.now();
  if (text !== last.text || nowMs - last.ms > SHOWN_MS) await judge(text);
  last = { text, ms: nowMs };
}

const camera = new Camera(byId("video"), byId("frame"), seenByCamera);

async function turnCamera() {
  const opened = camera.isOpen ? (camera.close(), false) : await camera.open();
  byId("no-camera").hidden = opened || !camera.failed;
  byId("viewfinder").hidden = !opened;
  byId("camera").setAttribute("aria-pressed", String(opened));
}

byId("camera").addEventListener("click", turnCamera);
byId("typed").addEventListener("submit", async (event) => {
  event.preventDefault();
  await judge(byId("text").value);
  byId("text").value = "";
});
byId("place").addEventListener("change", async () => {
  known.seen = new Seen(byId("place").value.trim(), known.seen.kept);
  await kept.put("check-place", known.seen.place);
});
byId("update").addEventListener("click", updateQuietly);
addEventListener("online", updateQuietly);
addEventListener("offline", fresh);

async function begin() {
  await load();
  await updateQuietly();
  install("check").then((done) => (byId("installed").hidden = !done));
  setInterval(() => (Date.now() - news.keysMs > FRESH_MS ? updateQuietly() : fresh()), 30_000);
}

begin();
