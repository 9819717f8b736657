// The part about this device: what it has, when it last merged, its clock, whether the browser keeps what is here.

import { say, saySpan, showMoment } from "/codes/static/words.js";

import { byId, made, title, withSound } from "./page.js";
import { exported } from "./merging.js";
import { Refused } from "./tubes.js";

const CHANCE_MS = 100;

export class Device {
  lasting = false;
  installed = false;

  // `merge`: merge now. `changed`: show everything anew. `pairing`: show how to pair.
  constructor(store, codes, { merge, changed, pairing }) {
    Object.assign(this, { store, codes, changed });
    byId("send").addEventListener("click", merge);
    byId("export").addEventListener("click", () => this.#tried(() => this.#export()));
    byId("again").addEventListener("click", () => this.#tried(() => store.again().then(merge)));
    byId("answer").addEventListener("change", () => this.#tried(() => this.#take()));
    byId("leave").addEventListener("click", () => confirm(say("sure_leave")) && this.#tried(() => store.leave().then(() => location.reload())));
    byId("re-pair").addEventListener("click", pairing);
    byId("sampler-form").addEventListener("submit", (event) => event.preventDefault());
    byId("sampler").addEventListener("change", () => this.#tried(() => this.#sign()));
    byId("sound").addEventListener("change", () => withSound(byId("sound").checked));
  }

  // Ask the browser not to clear what is here when space runs short.
  async persist() {
    this.lasting = (await navigator.storage?.persisted?.()) || (await navigator.storage?.persist?.()) || false;
  }

  async #sign() {
    await this.store.sign(byId("sampler").value.trim());
    this.changed();
  }

  async #tried(act) {
    const told = byId("device-told");
    told.hidden = true;
    try {
      const words = await act();
      if (!words) return;
      told.className = "notice pass";
      told.textContent = words;
    } catch (error) {
      told.className = "notice block";
      told.textContent = error instanceof Refused && error.reason === "unmerged" ? say("left_over") : error.message;
    }
    told.hidden = false;
  }

  async #export() {
    const about = await this.store.about();
    const text = await exported(this.store, Date.now());
    const address = URL.createObjectURL(new Blob([text], { type: "application/x-ndjson" }));
    const link = made("a", "", { href: address, download: `${about.station}-${new Date().toISOString().slice(0, 16).replace(/[-:]/gu, "")}.jsonl` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), CHANCE_MS);
    return say("exported", { count: text.split("\n").length - 3 });
  }

  async #take() {
    const about = await this.store.about();
    const file = byId("answer").files[0];
    if (!file) return "";
    const answer = await file.text().then(JSON.parse).catch(() => null);
    const ids = [...(answer?.taken ?? []), ...(answer?.refused ?? []).map((it) => it.id)];
    byId("answer").value = "";
    if (!ids.length || !ids.every((id) => String(id).startsWith(`${about.station}.`))) throw new Error(say("no_answer"));
    await this.store.merged(answer, Date.now());
    this.changed();
    return say("taken");
  }

  async show() {
    const [about, standing, nowMs] = [await this.store.about(), await this.store.standing(), Date.now()];
    if (document.activeElement !== byId("sampler")) byId("sampler").value = about.by;
    const facts = [
      ["station", about.station],
      ["district", about.district || say("is.none")],
      ["sizes", about.terms.sizes.join(", ")],
      ["asked", about.terms.fields.map((it) => document.querySelector(`[data-field="${it}"] label`).textContent).join(", ") || say("is.none")],
      ["first", say(about.terms.offline_first ? "is.yes" : "is.no")],
      ["emergency", about.terms.order ? say("is.until", { at: about.terms.until_ms }) : say("is.none")],
      ["events", standing.events],
      ["waiting", standing.waiting],
      ["contact", about.mergedMs ? showMoment(about.mergedMs) : say("is.none")],
      ["clock", shownClock(about)],
      ["storage", say(this.lasting ? "is.lasting" : "is.passing")],
      ["installed", say(this.installed ? "is.yes" : "is.no")],
      ["keys", this.#shownKeys(nowMs)],
      ["token", showMoment(about.until_ms)],
    ];
    byId("facts").replaceChildren(...facts.flatMap(([name, it]) => [made("dt", say(`fact.${name}`)), made("dd", String(it))]));
    byId("refusals").hidden = !standing.refused.length;
    byId("refused").replaceChildren(...standing.refused.map((it) => made("div", `${it.tube} ${it.id}: ${title(it.reason)}`)));
  }

  #shownKeys(nowMs) {
    const ages = this.codes.ages(nowMs);
    return ages ? say("is.keys", { keys: saySpan(ages.keysMs), list: saySpan(ages.listMs) }) : say("is.none");
  }
}

function shownClock({ mergedMs, offsetMs }) {
  if (!mergedMs) return say("is.none");
  if (!offsetMs) return say("is.right");
  return say(offsetMs > 0 ? "is.behind" : "is.ahead", { span: saySpan(Math.abs(offsetMs)) });
}
