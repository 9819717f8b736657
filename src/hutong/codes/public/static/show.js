// The page that shows a code. What it needs was fetched ahead: from then on it asks nobody, and needs no network.
//
// Kept: `device` (the token), `wallet` (own bundle and the family's, as JSON, and when it was fetched), `keys` (the key set).

import { ask, askUntil, NotAllowed, Waiting } from "./asking.js";
import { Bundle } from "./bundle.js";
import { readCbor } from "./cbor.js";
import { drawCode } from "./drawing.js";
import { readKeySet } from "./documents.js";
import { install } from "./installed.js";
import { Kept } from "./kept.js";
import { hideMine, wireMine } from "./mine.js";
import { readSign1 } from "./sign1.js";
import { fromBase45 } from "./bytes.js";
import { checkedClaims } from "./claims.js";
import { say, sayOr, saySpan, showClock } from "./words.js";

const byId = (id) => document.getElementById(id);
const kept = new Kept();
const HOUR_MS = 3_600_000;
const EARLY_MS = 12 * HOUR_MS; // a new bundle is fetched while the old one still lasts so long
const JITTER_MS = 2 * HOUR_MS; // nobody's phone asks at the same moment as everybody's
const OLD_KEYS_MS = 7 * 24 * HOUR_MS;

let people = []; // {bundle, claims}: own first
let chosen = 0;
let drawn = "";
let fetchedMs = 0;
let keysMadeMs = 0;

const COLOUR = { green: "green", yellow: "warn", red: "block" };

function personOf(said) {
  const bundle = new Bundle(said);
  const text = bundle.text(0);
  return { bundle, claims: checkedClaims(readCbor(readSign1(fromBase45(text.slice(4))).payload)) };
}

function use(wallet) {
  people = [wallet.said.own, ...wallet.said.family].map(personOf);
  fetchedMs = wallet.fetchedMs;
  chosen = Math.min(chosen, people.length - 1);
  drawn = "";
  const tabs = people.map(({ claims }, at) => {
    const tab = document.createElement("button");
    tab.type = "button";
    tab.textContent = at ? `${claims.name} · ${say(`kind.${claims.kind}`)}` : claims.name;
    tab.setAttribute("aria-pressed", String(at === chosen));
    tab.addEventListener("click", () => {
      chosen = at;
      drawn = "";
      for (const [other, it] of [...byId("people").children].entries()) it.setAttribute("aria-pressed", String(other === at));
      tick();
    });
    return tab;
  });
  byId("people").replaceChildren(...tabs);
  byId("people").hidden = people.length < 2;
}

// Every second: the clock, which shows that this is no picture, and the code when its time has come.
function tick() {
  const nowMs = Date.now();
  byId("clock").textContent = showClock(nowMs);
  byId("network").hidden = navigator.onLine;
  if (!people.length) return;
  const { bundle, claims } = people[chosen];
  const number = bundle.at(nowMs);
  byId("card").hidden = number === null;
  byId("over").hidden = number !== null;
  if (number === null) {
    byId("over-why").textContent = say(nowMs < bundle.beginsMs ? "over.early" : "over.late", { at: nowMs < bundle.beginsMs ? bundle.beginsMs : bundle.expiresMs });
    return;
  }
  const changesMs = bundle.changesMs(number);
  byId("left").value = (changesMs - nowMs) / 1000;
  byId("left").max = bundle.pace.step_s;
  const mark = `${chosen}.${number}`;
  if (drawn === mark) return;
  drawn = mark;
  const card = byId("card");
  card.className = `code ${COLOUR[claims.colour]}`;
  byId("name").textContent = claims.name;
  byId("tail").textContent = say("tail", { tail: claims.tail });
  byId("colour").textContent = say(`colour.${claims.colour}`);
  byId("as-of").textContent = say("as_of", { at: claims.asOfMs });
  byId("until").textContent = say("until", { at: bundle.expiresMs });
  byId("fetched").textContent = say("fetched", { span: saySpan(nowMs - fetchedMs) });
  byId("keys").textContent = keysMadeMs ? say(nowMs - keysMadeMs > OLD_KEYS_MS ? "keys.old" : "keys.made", { at: keysMadeMs }) : "";
  drawCode(byId("code"), bundle.text(number));
}

async function fetchWallet(told) {
  const device = await kept.get("device");
  if (!device) return;
  const said = await askUntil("/codes/wallet", { method: "POST", device }, told);
  if ((await kept.get("device")) !== device) return; // removed meanwhile
  const wallet = { said, fetchedMs: Date.now() };
  use(wallet); // whatever is wrong with it is found before the old one is let go
  await kept.put("wallet", wallet);
  try {
    const known = await kept.get("keys");
    const keySet = await readKeySet(await ask("/codes/keys", { type: "bytes" }), known);
    await kept.put("keys", keySet);
    keysMadeMs = keySet.madeMs;
  } catch (error) {
    if (!(error instanceof Waiting)) console.warn("keys", error);
  }
}

// After how long a new bundle is fetched: at once where none lasts. Null: not yet.
function fetchingIn(nowMs) {
  const left = people.length ? Math.min(...people.map(({ bundle }) => bundle.expiresMs)) - nowMs : 0;
  return left < EARLY_MS ? Math.random() * Math.min(Math.max(left, 0), JITTER_MS) : null;
}

let planned = 0;

async function plan() {
  clearTimeout(planned);
  const wait = (await kept.get("device")) ? fetchingIn(Date.now()) : null;
  if (wait !== null) planned = setTimeout(() => fetchingIn(Date.now()) !== null && refresh(), wait);
}

let fetching = false;

async function refresh() {
  if (fetching || !navigator.onLine) return;
  fetching = true;
  byId("refresh").disabled = true;
  try {
    await fetchWallet((seconds) => tell(say("waiting", { seconds })));
    tell("");
    step(people.length ? "showing" : "start");
  } catch (error) {
    tell(say(error instanceof NotAllowed ? (error.status === 401 ? "refused" : "failed") : "unreachable"));
    if (error instanceof NotAllowed && error.status === 401) step("start");
  } finally {
    fetching = false;
    byId("refresh").disabled = false;
    byId("lasting").hidden = kept.lasts;
    tick();
  }
}

const tell = (text) => {
  byId("told").textContent = text;
  byId("told").hidden = !text;
};

function step(name) {
  for (const it of document.querySelectorAll("[data-step]")) it.hidden = it.dataset.step !== name;
}

let arrival = "";

// Nothing of whoever this device belonged to is shown any more.
async function empty(names) {
  for (const name of names) await kept.remove(name);
  people = [];
  hideMine();
}

async function sent(event, work) {
  event.preventDefault();
  const form = event.target;
  const said = Object.fromEntries(new FormData(form));
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    await work(said);
    tell("");
  } catch (error) {
    tell(error instanceof NotAllowed ? sayOr(`why.${error.said?.why}`, "failed") : say("unreachable"));
  } finally {
    button.disabled = false;
  }
}

const waiting = (seconds) => tell(say("waiting", { seconds }));

byId("arrive").addEventListener("submit", (event) =>
  sent(event, async (said) => {
    ({ arrival } = await askUntil("/codes/arrive", { method: "POST", body: said }, waiting));
    step("confirm");
    byId("otp").focus();
  }),
);
byId("confirm").addEventListener("submit", (event) =>
  sent(event, async ({ code }) => {
    const { device } = await askUntil("/codes/confirm", { method: "POST", body: { arrival, code } }, waiting);
    // Whoever had this device before may be somebody else.
    await empty(["wallet", "mine", "checkins-done"]);
    await kept.put("device", device);
    await refresh();
  }),
);
byId("refresh").addEventListener("click", () => refresh());
byId("forget").addEventListener("click", async () => {
  if (!confirm(say("forget.sure"))) return;
  const device = await kept.get("device");
  await empty(["device", "wallet", "mine", "checkins-done"]);
  step("start");
  if (device) ask("/codes/leave", { method: "POST", device }).catch(() => {}); // with no network it ends with its time
});
wireMine(kept, tell);
addEventListener("online", tick);
addEventListener("online", plan);
addEventListener("offline", tick);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) drawn = "";
  tick();
});

async function begin() {
  const [wallet, keys] = [await kept.get("wallet"), await kept.get("keys")];
  keysMadeMs = keys?.madeMs ?? 0;
  if (wallet) use(wallet);
  step(wallet ? "showing" : "start");
  byId("lasting").hidden = kept.lasts;
  tick();
  setInterval(tick, 1000);
  plan();
  setInterval(plan, HOUR_MS);
  byId("installed").hidden = !(await install("show"));
}

begin();
