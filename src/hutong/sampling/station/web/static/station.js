// The station's page: what is shown when, and merging in the background. Registering never waits for the centre.

import { ask, isHeld, NotAllowed, Waiting } from "/codes/static/asking.js";
import { Camera } from "/codes/static/camera.js";
import { say, saySpan } from "/codes/static/words.js";

import { Codes } from "./codes.js";
import { Device } from "./device.js";
import { Listing } from "./listing.js";
import { mergeAll } from "./merging.js";
import { byId, made, RULES, tell, title } from "./page.js";
import { importKey } from "./persons.js";
import { Registering } from "./registering.js";
import { Store } from "./store.js";
import { Machine, Refused } from "./tubes.js";

const SOON_MS = 1_000;
const EVERY_MS = 30_000;
const HOUR_MS = 3_600_000;
const RENEWED_MS = 6 * HOUR_MS;
const KEPT_MS = 48 * HOUR_MS;
const FORMATS = ["qr_code", "code_128", "code_39", "ean_13", "itf"];
const COLOURS = { green: "green", yellow: "warn", red: "block" };
const MILD = new Set(["expired", "not-yet-valid", "clock-wrong", "unknown-key", "malformed"]);

const store = new Store(new Machine(RULES));
const codes = new Codes(store);
const registering = new Registering(store, codes, changed);
const listing = new Listing(store, goOn, changed);
const device = new Device(store, codes, { merge: mergeNow, changed: show, pairing: showPairing });
const camera = new Camera(byId("video"), byId("frame"), scanned, FORMATS);
let part = "register";
let againMs = 0;
let timer = 0;

// What is shown

async function show() {
  const [about, standing] = [await store.about(), await store.standing()];
  byId("who").textContent = `${about.station} ${about.district}`;
  mark("network", navigator.onLine ? "good" : "warn", say(navigator.onLine ? "online" : "offline"));
  mark("unmerged", standing.waiting || standing.refused.length ? "warn" : "good", say("unmerged", { count: standing.waiting + standing.refused.length }));
  byId("contact").textContent = about.mergedMs ? say("contact", { at: about.mergedMs }) : say("no_contact");
  await registering.setTerms(about);
  await registering.show();
  if (part === "tubes") await listing.show();
  if (part === "device") await device.show();
}

function mark(id, kind, text) {
  byId(id).className = `mark ${kind}`;
  byId(id).textContent = text;
}

function open(name) {
  part = name;
  for (const button of document.querySelectorAll("[data-part]")) {
    if (button.dataset.part === name) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
  for (const section of document.querySelectorAll("[data-shows]")) section.hidden = section.dataset.shows !== name;
  if (camera.isOpen) turnCamera();
  if (name === "register") registering.focus();
  return show();
}

async function goOn(barcode) {
  await open("register");
  await registering.go(barcode);
}

// Another tab changed something: this may be a station now, or be none any more.
async function heard() {
  const about = await store.about();
  if (Boolean(about) === byId("working").hidden) location.reload();
  else if (about) await show();
}

function trouble(text) {
  byId("trouble").textContent = text;
  byId("trouble").hidden = !text;
}

// Merging

function changed() {
  show();
  clearTimeout(timer);
  timer = setTimeout(mergeQuietly, SOON_MS);
}

async function mergeNow() {
  againMs = 0;
  if (await mergeQuietly()) trouble("");
}

// Whether the centre has everything; what went wrong is said, and tried again by itself.
async function mergeQuietly() {
  const about = await store.about();
  if (!about || isHeld(againMs, Date.now())) return false;
  if (!navigator.onLine) return show().then(() => false);
  let done = false;
  try {
    done = await mergeAll(store);
    trouble("");
    await codes.update(Date.now());
  } catch (error) {
    if (error instanceof Waiting) againMs = Date.now() + error.seconds * 1000;
    if (error instanceof Waiting) trouble(say("wait", { seconds: Math.ceil(error.seconds) }));
    else if (error instanceof NotAllowed && [401, 403].includes(error.status)) trouble(say("token"));
    else if (!done) trouble(say("away"));
  }
  await show();
  return done;
}

// Pairing

function showPairing() {
  byId("pairing").hidden = false;
  byId("pair-code").focus();
}

// Asked before the code is used up, which ends the other tablet of that station. Throws Refused.
async function checkMayBecome(station) {
  const [about, standing] = [await store.about(), await store.standing()];
  if (about && station && station !== about.station && standing.waiting + standing.refused.length) throw new Refused("unmerged");
}

async function pair(event) {
  event.preventDefault();
  const told = byId("pair-trouble");
  told.hidden = true;
  const code = byId("pair-code").value;
  try {
    await checkMayBecome(code.replace(/\s/gu, "").toLowerCase().split(":").slice(0, -1).join(":"));
    const { key, now_ms: _, ...station } = await ask("/station/pair", { method: "POST", body: { code } });
    await store.pair(station, await importKey(Uint8Array.from(key.match(/../gu), (it) => parseInt(it, 16))));
    byId("pair-code").value = "";
    await work();
  } catch (error) {
    if (error instanceof Refused) told.textContent = say("left_over");
    else told.textContent = say("not_paired", { why: error instanceof NotAllowed ? title(error.said?.why) : say("away") });
    told.hidden = false;
  }
}

// The camera, and verifying

async function turnCamera() {
  const opened = camera.isOpen ? (camera.close(), false) : await camera.open();
  byId("no-camera").hidden = opened || !camera.failed;
  byId("viewfinder").hidden = !opened;
  for (const id of ["camera", "verify-camera"]) byId(id).setAttribute("aria-pressed", String(opened));
}

let verified = { text: "", ms: 0 };

function scanned(text) {
  if (part === "register") return registering.scan(text);
  const again = text === verified.text && Date.now() - verified.ms < SOON_MS * 4;
  verified = { text, ms: Date.now() };
  return part === "verify" && !again ? verify(text) : undefined;
}

async function verify(text) {
  const about = await store.about();
  const told = await codes.there(text, about.token);
  const here = codes.ages(Date.now()) ? await codes.here(text, Date.now()) : null;
  // The centre has not seen what was shown here before: a copy stays a copy, whatever it says.
  const there = told?.verdict === "valid" && ["replayed", "cloned"].includes(here?.verdict) ? null : told;
  if (!there && !here) return tell(byId("outcome"), "warn", say("verdict.unknown-key"), say("no_keys"));
  const verdict = there?.verdict ?? here.verdict;
  const colour = there ? there.colour : here.claims?.colour;
  const isGood = verdict === "valid";
  const head = isGood && colour ? say(`colour.${colour}`) : say(`verdict.${verdict}`);
  const claims = here?.claims;
  const shade = isGood ? (COLOURS[colour] ?? "green") : MILD.has(verdict) ? "warn" : "block";
  tell(byId("outcome"), shade, head, claims ? `${claims.name} ${say(`kind.${claims.kind}`)}` : "");
  const reasons = there ? there.reasons : here.reasons.map(({ word, values }) => say(`reason.${word}`, values));
  byId("reasons").replaceChildren(...reasons.map((it) => made("li", it)));
  const ages = codes.ages(Date.now());
  byId("by-whom").textContent = there
    ? say("by_centre", { at: Date.now() - there.age_ms })
    : say("by_device", { keys: saySpan(ages.keysMs), list: saySpan(ages.listMs) });
  return undefined;
}

// The beginning

// This page is kept as it was: only the centre knows whether there is a newer one.
async function install() {
  if (!("serviceWorker" in navigator)) return;
  const own = document.querySelector('meta[name="version"]').content;
  const newest = await ask("/station/files").then((it) => it.version, () => own);
  try {
    await navigator.serviceWorker.register(`/station/worker.js?v=${newest}`, { scope: "/station/" });
    await navigator.serviceWorker.ready;
    device.installed = true;
  } catch (error) {
    console.warn("not installed", error);
  }
  byId("working").dataset.installed = device.installed;
  if (part === "device" && (await store.about())) await device.show();
}

const forget = () => store.forget(Date.now() - KEPT_MS);

async function work() {
  const about = await store.about();
  byId("pairing").hidden = Boolean(about);
  byId("working").hidden = !about;
  if (!about) return showPairing();
  await codes.load(about.station);
  await forget();
  await open(part);
  device.persist().then(show);
  return mergeQuietly();
}

async function begin() {
  byId("pair").addEventListener("submit", pair);
  byId("camera").addEventListener("click", turnCamera);
  byId("verify-camera").addEventListener("click", turnCamera);
  byId("verify").addEventListener("submit", async (event) => {
    event.preventDefault();
    await verify(byId("code").value.trim());
    byId("code").value = "";
  });
  for (const button of document.querySelectorAll("[data-part]")) button.addEventListener("click", () => open(button.dataset.part));
  try {
    if (!isSecureContext) throw new Error("not https");
    await store.open();
  } catch (error) {
    console.warn("nothing is kept", error);
    byId("unfit").textContent = say("unfit");
    byId("unfit").hidden = false;
    return;
  }
  store.onChange(heard);
  addEventListener("online", () => ((againMs = 0), mergeQuietly()));
  addEventListener("offline", () => store.about().then((about) => about && show()));
  setInterval(mergeQuietly, EVERY_MS);
  setInterval(install, RENEWED_MS);
  setInterval(forget, HOUR_MS);
  await Promise.all([work(), install()]);
}

begin();
