// The page that checks in at a venue: the sign at the door is verified here, kept with the code of this moment, and sent
// when there is a network. What is kept leaves the phone once the service has it.
//
// Kept: `checkins`, a list of sources {day, device, series, next, waiting}; each day has a device name of its own, so
// that the name does not follow its owner. `checkins-done`: what was sent, for the owner alone. `venue-keys`.

import { ask, isHeld, Waiting } from "./asking.js";
import { Bundle } from "./bundle.js";
import { fromBase45, fromBase64, toHex } from "./bytes.js";
import { Camera } from "./camera.js";
import { readCbor } from "./cbor.js";
import { checkedClaims } from "./claims.js";
import { install } from "./installed.js";
import { Kept } from "./kept.js";
import { CONTENT_TYPE, isKid, isSignedBy, KEY_ID, kidOf, readSign1 } from "./sign1.js";
import { say, sayOr, showMoment } from "./words.js";

const byId = (id) => document.getElementById(id);
const kept = new Kept();
const PREFIX = "HV1:";
const POSTER = "application/hutong-venue+cbor";
const [AT_ONCE, MOST_DONE] = [50, 20];
const SHOWN_MS = 10_000; // a sign that was away for so long is another scan
const AGAIN_MS = 60_000;
const DAY_MS = 86_400_000;
const [TOLERANCE_MS, CHINA_MS] = [120_000, 8 * 3_600_000];

let people = []; // {bundle, claims}
let keys = [];
let last = { text: "", who: "", ms: 0 };
let nextMs = 0;

const random = (count) => toHex(crypto.getRandomValues(new Uint8Array(count)));
const dayOf = (ms) => Math.floor((ms + CHINA_MS) / DAY_MS);
// One change of what is kept at a time, over all windows.
const alone = (work) => (navigator.locks ? navigator.locks.request("hutong-checkins", work) : work());

async function useKeys(said) {
  keys = await Promise.all(said.map(async ({ algorithm, raw }) => ({ algorithm, raw: fromBase64(raw), kid: await kidOf(fromBase64(raw)) })));
}

// What a sign says: {title, id}. Throws a word for why it is none.
async function readPoster(text, nowMs) {
  let message, said;
  try {
    if (!text.startsWith(PREFIX)) throw new RangeError("prefix");
    message = readSign1(fromBase45(text.slice(PREFIX.length)));
    said = readCbor(message.payload);
    if (message.headers.get(CONTENT_TYPE) !== POSTER || typeof said.get("title") !== "string") throw new RangeError("kind");
  } catch {
    throw "none";
  }
  if (!keys.length) return { title: said.get("title"), id: said.get("id"), verified: false };
  const key = keys.find((it) => isKid(message.headers.get(KEY_ID), it.kid));
  if (!key || !(await isSignedBy(message, key))) throw "forged";
  if (said.get("iat") * 1000 > nowMs + TOLERANCE_MS) throw "clock";
  return { title: said.get("title"), id: said.get("id"), verified: true };
}

// Durable once this returns.
const keep = (row, nowMs) =>
  alone(async () => {
    const sources = (await kept.get("checkins")) ?? [];
    let source = sources.find((it) => it.day === dayOf(nowMs));
    if (!source) {
      source = { day: dayOf(nowMs), device: `p-${random(8)}`, series: random(8), next: 1, waiting: [] };
      sources.push(source);
    }
    source.waiting.push({ ...row, sequence: source.next });
    source.next += 1;
    await kept.put("checkins", sources);
  });

function show(kind, text, detail = "") {
  const card = byId("outcome");
  card.className = `outcome ${kind}`;
  card.hidden = false;
  byId("verdict").textContent = text;
  byId("who").textContent = detail;
  navigator.vibrate?.(kind === "green" ? 60 : [80, 60, 80]);
}

async function checkIn(text) {
  const nowMs = Date.now();
  const who = byId("person").value;
  const again = text === last.text && who === last.who && nowMs - last.ms < SHOWN_MS;
  last = { text, who, ms: nowMs };
  if (again) return;
  const { bundle, claims } = people[Number(who)] ?? {};
  const number = bundle?.at(nowMs) ?? null;
  if (number === null) return show("warn", say("checkin.no_code"));
  try {
    const { title, verified } = await readPoster(text, nowMs);
    await keep({ at_ms: nowMs, poster: text, code: bundle.text(number), title }, nowMs);
    show("green", say("checkin.done", { venue: title }), `${claims.name} · ${showMoment(nowMs)}${verified ? "" : ` · ${say("checkin.unverified")}`}`);
  } catch (why) {
    if (typeof why !== "string") throw why;
    return show(why === "forged" ? "block" : "warn", say(`checkin.${why}`));
  }
  await list();
  send(); // the camera looks on meanwhile: only so it sees that the sign is still the same
}

// What the service has leaves; what it refuses is told, and leaves too, for sending it again would not help.
const answered = (source, answer) =>
  alone(async () => {
    const sources = (await kept.get("checkins")) ?? [];
    const found = sources.find((it) => it.series === source.series);
    if (!found) return 0; // another window did it all
    const refused = new Map(answer.refused.filter((it) => it.reason !== "gaps").map((it) => [it.place, it.reason]));
    const gone = found.waiting.filter((it) => answer.taken.includes(it.sequence) || refused.has(it.sequence));
    const done = (await kept.get("checkins-done")) ?? [];
    for (const it of gone) done.unshift({ at_ms: it.at_ms, title: it.title, refused: refused.get(it.sequence) ?? "" });
    await kept.put("checkins-done", done.slice(0, MOST_DONE));
    found.waiting = found.waiting.filter((it) => !gone.includes(it));
    await kept.put("checkins", sources.filter((it) => it.waiting.length || it.day === dayOf(Date.now())));
    return gone.length;
  });

let sending = false;

async function send() {
  if (sending || !navigator.onLine || isHeld(nextMs, Date.now())) return;
  sending = true;
  try {
    for (const source of (await kept.get("checkins")) ?? []) {
      for (let rest = source.waiting; rest.length; rest = rest.slice(AT_ONCE)) {
        const checkins = rest.slice(0, AT_ONCE).map(({ sequence, at_ms, poster, code }) => ({ sequence, at_ms, poster, code }));
        const body = { source: { device: source.device, series: source.series }, clock_ms: Date.now(), checkins };
        await answered(source, await ask("/v1/codes/scans", { method: "POST", body }));
      }
    }
    nextMs = 0;
  } catch (error) {
    nextMs = Date.now() + (error instanceof Waiting ? error.seconds * 1000 : AGAIN_MS / 2);
  } finally {
    sending = false;
    await list();
  }
}

async function list() {
  const waiting = ((await kept.get("checkins")) ?? []).flatMap((it) => it.waiting);
  const done = (await kept.get("checkins-done")) ?? [];
  byId("waiting").textContent = waiting.length ? say("checkin.waiting", { count: waiting.length }) : say("checkin.all_sent");
  const rows = [
    ...waiting.map((it) => [it, say("checkin.kept")]).reverse(),
    ...done.map((it) => [it, it.refused ? sayOr(`checkin.refused.${it.refused}`, "checkin.refused.scan") : say("checkin.sent")]),
  ];
  byId("list").replaceChildren(
    ...rows.slice(0, MOST_DONE).map(([it, told]) => Object.assign(document.createElement("li"), { textContent: `${showMoment(it.at_ms)} ${it.title} · ${told}` })),
  );
  byId("network").hidden = navigator.onLine;
  byId("lasting").hidden = kept.lasts;
}

async function fetchKeys() {
  await useKeys((await kept.get("venue-keys")) ?? []);
  try {
    const { keys: said } = await ask("/v1/codes/venue-keys");
    await kept.put("venue-keys", said);
    await useKeys(said);
  } catch (error) {
    if (!(error instanceof Waiting)) console.warn("keys", error);
  }
}

function usePeople(wallet) {
  const all = wallet ? [wallet.said.own, ...wallet.said.family] : [];
  people = all.map((said) => {
    const bundle = new Bundle(said);
    return { bundle, claims: checkedClaims(readCbor(readSign1(fromBase45(bundle.text(0).slice(4))).payload)) };
  });
  byId("person").replaceChildren(...people.map(({ claims }, at) => new Option(at ? `${claims.name} · ${say(`kind.${claims.kind}`)}` : claims.name, String(at))));
  byId("whose").hidden = people.length < 2;
  byId("no-wallet").hidden = people.length > 0;
}

const camera = new Camera(byId("video"), byId("frame"), checkIn);

byId("camera").addEventListener("click", async () => {
  const opened = camera.isOpen ? (camera.close(), false) : await camera.open();
  byId("no-camera").hidden = opened || !camera.failed;
  byId("viewfinder").hidden = !opened;
  byId("camera").setAttribute("aria-pressed", String(opened));
});
byId("typed").addEventListener("submit", async (event) => {
  event.preventDefault();
  await checkIn(byId("text").value.trim());
  byId("text").value = "";
});
addEventListener("online", () => {
  nextMs = 0;
  send();
});
addEventListener("offline", list);

async function begin() {
  usePeople(await kept.get("wallet"));
  await list();
  await fetchKeys();
  await send();
  install("checkin").then((done) => (byId("installed").hidden = !done));
  setInterval(send, AGAIN_MS);
}

begin();
