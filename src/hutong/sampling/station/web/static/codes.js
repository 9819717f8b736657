// Verifies codes at the station: by the centre while it answers, else by the keys and revocations that are kept here.
// What verifies is the same as on every verifier's page; it is loaded when the first code is shown.

import { ask, isHeld, Waiting } from "/codes/static/asking.js";

const PATIENCE_MS = 1_500;
const AWAY_MS = 30_000; // whoever waits in line does not wait for an answer that did not come just now
const FRESH_MS = 10 * 60_000;
const AGAIN_MS = 60_000;

export class Codes {
  #known = { keySets: [], revocations: new Map(), seen: null };
  #nextMs = 0; // when keys are asked for again
  #awayUntilMs = 0;

  // `store`: where keys and revocations are kept.
  constructor(store) {
    this.store = store;
  }

  async load(station) {
    const { purged } = await import("/codes/static/documents.js");
    const { Seen } = await import("/codes/static/seen.js");
    const [keySet, list] = [await this.store.kept("keys"), await this.store.kept("revocations")];
    this.#known = {
      keySets: keySet ? [keySet] : [],
      revocations: list ? new Map([[list.issuer, purged(list, Date.now())]]) : new Map(),
      seen: new Seen(station),
    };
  }

  // {keysMs, listMs}: how old they are; null where there are none.
  ages(nowMs) {
    const [keySet] = this.#known.keySets;
    if (!keySet) return null;
    return { keysMs: nowMs - keySet.madeMs, listMs: nowMs - (this.#known.revocations.get(keySet.issuer)?.madeMs ?? 0) };
  }

  // What is new since what is kept; whatever does not verify leaves what is kept as it is. Throws nothing: merging,
  // which goes first at the centre, does not wait for this.
  async update(nowMs) {
    if (isHeld(this.#nextMs, nowMs)) return;
    this.#nextMs = nowMs + AGAIN_MS;
    try {
      await this.#update();
      this.#nextMs = nowMs + FRESH_MS;
    } catch (error) {
      if (error instanceof Waiting) this.#nextMs = nowMs + error.seconds * 1000;
      console.warn("keys", error);
    }
  }

  async #update() {
    const { noRevocations, readKeySet, withNews } = await import("/codes/static/documents.js");
    const keySet = await readKeySet(await ask("/codes/keys", { type: "bytes" }), this.#known.keySets[0] ?? null);
    await this.store.keep("keys", keySet);
    this.#known.keySets = [keySet];
    const list = this.#known.revocations.get(keySet.issuer) ?? noRevocations(keySet.issuer);
    const next = await withNews(list, await ask(`/codes/revocations?since=${list.version}`, { type: "bytes" }), [keySet]);
    await this.store.keep("revocations", next);
    this.#known.revocations = new Map([[next.issuer, next]]);
  }

  // By what is here: the outcome of `verification.js`. For a registration a code may be shown again: a tube may be full.
  async here(text, nowMs, { again = false } = {}) {
    const { verify } = await import("/codes/static/verification.js");
    const { seen } = this.#known;
    const known = again ? { ...this.#known, seen: { judge: () => null, clockErrorMs: () => seen.clockErrorMs() } } : this.#known;
    const outcome = await verify(text, known, nowMs);
    seen.note(outcome, nowMs);
    return outcome;
  }

  // By the centre: {verdict, reasons, colour, as_of_ms, age_ms}; null where it does not answer soon.
  async there(text, token) {
    if (!navigator.onLine || isHeld(this.#awayUntilMs, Date.now())) return null;
    const asked = ask("/v1/codes/verify", { method: "POST", device: token, body: { code: text } }).catch(() => null);
    const told = await Promise.race([asked, new Promise((done) => setTimeout(done, PATIENCE_MS, null))]);
    if (!told) this.#awayUntilMs = Date.now() + AWAY_MS;
    return told;
  }
}
