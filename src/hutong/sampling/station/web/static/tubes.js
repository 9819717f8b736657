// What may be done with a tube, and what it is then: the same judgement in the same order as `sampling/machine.py`, by
// the table of `sampling/table.py`, which the page carries. Pure.

export class Refused extends Error {
  constructor(reason, values = {}) {
    super(reason);
    Object.assign(this, { reason, values });
  }
}

const whole = (form) => new RegExp(`^(?:${form})$`, "u");

export class Machine {
  // `rules`: {moves, sizes, fields, forms, longest, largest_batch}.
  constructor(rules) {
    Object.assign(this, { rules, forms: Object.fromEntries(Object.entries(rules.forms).map(([name, it]) => [name, whole(it)])) });
  }

  isBarcode(text) {
    return this.forms.tube.test(text);
  }

  // `tube`: as `after` made it; null where nobody's swab is in it yet. Throws Refused.
  judge(tube, event, terms) {
    const { deed } = event;
    this.#checkForm(event);
    if (deed.type === "register") return this.#register(tube, deed, terms);
    if (!tube) throw new Refused("no-tube", { tube: deed.tube });
    this.#fromHere(tube, deed.type);
    if (deed.type === "seal" && deed.people !== tube.members.length) {
      throw new Refused("field", { what: "people", known: tube.members.length });
    }
    return undefined;
  }

  #register(tube, deed, terms) {
    if (!terms.sizes.includes(deed.size)) throw new Refused("size", { sizes: terms.sizes.join(", ") });
    const missing = terms.fields.filter((name) => !(deed.fields?.[name] ?? "").trim());
    if (missing.length) throw new Refused("field", { what: missing[0] });
    if (!tube) return;
    this.#fromHere(tube, "register");
    if (tube.size !== deed.size) throw new Refused("size-differs", { size: tube.size });
    if (tube.members.some((it) => it.person === deed.person)) throw new Refused("person-twice");
    if (tube.members.length >= tube.size) throw new Refused("full");
  }

  #fromHere(tube, action) {
    if (!this.rules.moves[action].from.includes(tube.state)) throw new Refused("not-from-here", { state: tube.state });
  }

  #checkForm({ id, station, sequence, by, at_ms: atMs, deed }) {
    const match = (name, text) => {
      if (typeof text !== "string" || !this.forms[name].test(text)) throw new Refused("field", { what: name });
    };
    match("id", id);
    match("station", station);
    if (!id.startsWith(`${station}.${sequence}.`)) throw new Refused("field", { what: "id" });
    match("tube", deed.tube);
    if (deed.type === "register") {
      match("person", deed.person);
      match("district", deed.district ?? "");
      if (!this.rules.sizes.includes(deed.size)) throw new Refused("size", { sizes: this.rules.sizes.join(", ") });
      if (Object.keys(deed.fields ?? {}).some((name) => !this.rules.fields.includes(name))) throw new Refused("field", { what: "fields" });
    }
    if (deed.type === "hand-over") {
      match("batch", deed.batch);
      if (deed.expected < 1 || deed.expected > this.rules.largest_batch) throw new Refused("field", { what: "expected" });
    }
    for (const text of [by ?? "", deed.courier ?? "", ...Object.values(deed.fields ?? {})]) {
      // What Python calls printable: no control letters, halves or separators but the space.
      if ([...text].length > this.rules.longest || /[^\P{C}]|[^\P{Z} ]/u.test(text)) throw new Refused("field", { what: "text" });
    }
    if (!Number.isSafeInteger(atMs) || atMs < 0) throw new Refused("date");
  }

  // The tube once the event has happened.
  after(tube, { id, at_ms: atMs, deed }) {
    const begun = tube ?? { barcode: deed.tube, size: 0, state: "", members: [], openedMs: atMs, changedMs: atMs, counted: 0, batch: "" };
    const made = { ...begun, state: this.rules.moves[deed.type].to, changedMs: atMs };
    if (deed.type === "register") {
      const member = { person: deed.person, event: id, atMs, retest: deed.retest ?? false };
      return { ...made, size: begun.size || deed.size, members: [...begun.members, member] };
    }
    return deed.type === "seal" ? { ...made, counted: deed.people } : { ...made, batch: deed.batch };
  }
}

// Deeds as the node writes them: in its order, without what is as usual.
export const register = (tube, size, person, { district = "", retest = false, fields = {} } = {}) => ({
  type: "register", tube, size, person, ...(district && { district }), ...(retest && { retest }),
  ...(Object.keys(fields).length && { fields }),
});
export const seal = (tube, people) => ({ type: "seal", tube, people });
export const handOver = (tube, batch, expected, courier) => ({ type: "hand-over", tube, batch, expected, courier });

export const eventOf = (station, sequence, chance, atMs, by, deed) => ({
  id: `${station}.${sequence}.${chance}`, station, sequence, at_ms: atMs, ...(by && { by }), deed,
});
