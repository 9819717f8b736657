// What the station has, in IndexedDB with strict durability: what was shown as done is on the disk. Events are only ever
// added; a tube is what its events made of it, written in their transaction. Judging happens within that transaction,
// and transactions of several tabs take turns: so no number and no place in a tube is given twice.

import { toHex } from "/codes/static/bytes.js";

import { eventOf, Refused } from "./tubes.js";

const NAME = "hutong-station";
const BOXES = ["about", "events", "tubes"];
const RANDOM_BYTES = 8;

const asked = (request) =>
  new Promise((done, failed) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });

function layOut(database) {
  database.createObjectStore("about");
  const events = database.createObjectStore("events", { keyPath: "sequence" });
  events.createIndex("id", "id", { unique: true });
  events.createIndex("tube", "tube");
  events.createIndex("person", ["person", "atMs"]);
  events.createIndex("standing", ["standing", "sequence"]);
  database.createObjectStore("tubes", { keyPath: "barcode" }).createIndex("changed", "changedMs");
}

export class Store {
  #database = null;
  #channel = new BroadcastChannel(NAME);

  constructor(machine) {
    this.machine = machine;
  }

  // Throws where the browser keeps nothing for us: then nothing may be registered here.
  async open() {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => layOut(request.result);
    this.#database = await asked(request);
    this.#database.onversionchange = () => this.#database.close();
  }

  // `told` hears whenever another tab changed something.
  onChange(told) {
    this.#channel.onmessage = told;
  }

  async #in(mode, act) {
    const transaction = this.#database.transaction(BOXES, mode, { durability: "strict" });
    const ended = new Promise((done, failed) => {
      transaction.oncomplete = done;
      transaction.onabort = () => failed(transaction.error ?? new Error("aborted"));
    });
    let found;
    try {
      found = await act(Object.fromEntries(BOXES.map((name) => [name, transaction.objectStore(name)])));
    } catch (error) {
      ended.catch(() => {});
      try {
        transaction.abort();
      } catch {
        // it failed by itself
      }
      throw error;
    }
    await ended; // on the disk
    if (mode === "readwrite") this.#channel.postMessage("changed");
    return found;
  }

  about() {
    return this.#in("readonly", ({ about }) => asked(about.get("station")).then((it) => it ?? null));
  }

  kept(name) {
    return this.#in("readonly", ({ about }) => asked(about.get(name)).then((it) => it ?? null));
  }

  keep(name, value) {
    return this.#in("readwrite", ({ about }) => asked(about.put(value, name)));
  }

  // Become a station, or stay it with another token. Throws Refused where another station's events are still here.
  pair(station, key) {
    return this.#in("readwrite", async (box) => {
      const before = await asked(box.about.get("station"));
      let next = station.sequence + 1;
      if (before?.station === station.station) {
        next = Math.max(next, await asked(box.about.get("next")));
      } else {
        if (await unmerged(box.events)) throw new Refused("unmerged");
        for (const name of BOXES) box[name].clear();
      }
      box.about.put({ by: "", ...(before?.station === station.station && before), ...station }, "station");
      box.about.put(key, "key");
      box.about.put(next, "next");
    });
  }

  // Who samples from now on.
  sign(by) {
    return this.#in("readwrite", async ({ about }) => {
      about.put({ ...(await asked(about.get("station"))), by }, "station");
    });
  }

  // Stop being a station. Throws Refused while there is something that nobody else has.
  leave() {
    return this.#in("readwrite", async (box) => {
      if (await unmerged(box.events)) throw new Refused("unmerged");
      for (const name of BOXES) box[name].clear();
    });
  }

  // Several deeds, all or none; gives their events once they are durable. Throws Refused.
  // `twice`: the person may be in another tube of today.
  doAll(deeds, nowMs, { twice = false, chances = deeds.map(chance) } = {}) {
    return this.#in("readwrite", async (box) => {
      const about = await asked(box.about.get("station"));
      let next = await asked(box.about.get("next"));
      const done = [];
      for (const [at, deed] of deeds.entries()) {
        const event = eventOf(about.station, next, chances[at], nowMs, about.by, deed);
        const tube = (await asked(box.tubes.get(deed.tube))) ?? null;
        this.machine.judge(tube, event, about.terms);
        if (deed.type === "register" && !twice && !deed.retest) await checkElsewhere(box.events, deed, nowMs - about.apart_ms);
        box.events.add({
          sequence: next, id: event.id, tube: deed.tube, person: deed.person ?? "", atMs: nowMs, standing: "waiting", reason: "", event,
        });
        box.tubes.put(this.machine.after(tube, event));
        done.push(event);
        next += 1;
      }
      box.about.put(next, "next");
      return done;
    });
  }

  tube(barcode) {
    return this.#in("readonly", ({ tubes }) => asked(tubes.get(barcode)).then((it) => it ?? null));
  }

  // Tubes that something happened to since, the latest first.
  tubesSince(ms) {
    return this.#in("readonly", async ({ tubes }) => (await asked(tubes.index("changed").getAll(IDBKeyRange.lowerBound(ms)))).reverse());
  }

  // Merging

  // Events that the centre has not taken, after a number.
  waiting(most, after = 0) {
    const range = IDBKeyRange.bound(["waiting", after], ["waiting", Infinity], true);
    return this.#in("readonly", async ({ events }) => (await asked(events.index("standing").getAll(range, most))).map((it) => it.event));
  }

  // What the centre answered. What it has taken once stays taken, whatever an old answer says.
  merged(answer, nowMs) {
    return this.#in("readwrite", async ({ about, events }) => {
      const note = async (id, standing, reason = "") => {
        const row = await asked(events.index("id").get(id));
        if (row && row.standing !== "taken") events.put({ ...row, standing, reason });
      };
      for (const id of answer.taken) await note(id, "taken");
      for (const it of answer.refused ?? []) await note(it.id, "refused", it.reason);
      const station = await asked(about.get("station"));
      if (!station) return; // it stopped being one meanwhile
      about.put({ ...station, mergedMs: nowMs, offsetMs: answer.offset_ms ?? 0, terms: answer.terms ?? station.terms }, "station");
    });
  }

  // Give the centre once more what it refused.
  again() {
    return this.#in("readwrite", async ({ events }) => {
      for (const row of await asked(events.index("standing").getAll(span("refused")))) events.put({ ...row, standing: "waiting", reason: "" });
    });
  }

  // Forget tubes of which the centre has taken everything, before this time.
  forget(beforeMs) {
    return this.#in("readwrite", async ({ events, tubes }) => {
      for (const { barcode } of await asked(tubes.index("changed").getAll(IDBKeyRange.upperBound(beforeMs, true)))) {
        const rows = await asked(events.index("tube").getAll(barcode));
        if (rows.some((it) => it.standing !== "taken")) continue;
        for (const { sequence } of rows) events.delete(sequence);
        tubes.delete(barcode);
      }
    });
  }

  // {events, waiting, refused: [{id, tube, reason}]}
  standing() {
    return this.#in("readonly", async ({ events }) => {
      const by = events.index("standing");
      const refused = await asked(by.getAll(span("refused")));
      return {
        events: await asked(events.count()),
        waiting: await asked(by.count(span("waiting"))),
        refused: refused.map(({ id, tube, reason }) => ({ id, tube, reason })),
      };
    });
  }
}

const span = (standing) => IDBKeyRange.bound([standing, 0], [standing, Infinity]);
const chance = () => toHex(crypto.getRandomValues(new Uint8Array(RANDOM_BYTES)));
const unmerged = async (events) => (await asked(events.index("standing").count(span("waiting")))) + (await asked(events.index("standing").count(span("refused"))));

async function checkElsewhere(events, deed, sinceMs) {
  const range = IDBKeyRange.bound([deed.person, sinceMs], [deed.person, Infinity], true);
  const rows = (await asked(events.index("person").getAll(range))).filter((it) => it.tube !== deed.tube);
  if (rows.length) throw new Refused("person-elsewhere", { tube: rows.reduce((a, b) => (b.sequence > a.sequence ? b : a)).tube });
}
