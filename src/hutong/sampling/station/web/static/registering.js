// The part that registers people to one tube after another. Scanners type what they read, and press Enter: one field
// takes codes and cards, and is ready again as soon as something is done.

import { say } from "/codes/static/words.js";

import { byId, made, RULES, tell, time, title, why } from "./page.js";
import { canonical, Fault, isCard, masked, personOf, personOfCode } from "./persons.js";
import { Refused, register, seal } from "./tubes.js";

const CODE = "HT1:";
const SHOWN_MS = 4_000;

class NotPerson extends Error {
  constructor(what, reason = "") {
    super(what);
    Object.assign(this, { what, reason });
  }
}

export class Registering {
  #tube = null; // {barcode, size} that people are registered to
  #asked = null; // a registration that waits for a confirmation
  #last = { text: "", ms: 0 };
  #turn = Promise.resolve();

  // `changed` hears that something was registered or sealed.
  constructor(store, codes, changed) {
    Object.assign(this, { store, codes, changed });
    byId("choose").addEventListener("submit", (event) => this.#on(event, () => this.#choose()));
    byId("person-form").addEventListener("submit", (event) => this.#typed(event));
    byId("seal").addEventListener("submit", (event) => this.#on(event, () => this.#seal()));
    byId("twice").addEventListener("click", (event) => this.#on(event, () => this.#asked && this.#keep(this.#asked, true)));
    byId("aside").addEventListener("click", (event) => this.#on(event, () => this.leave()));
  }

  // One after the other, in the order in which they came: a scanner does not wait.
  #on(event, act) {
    event.preventDefault();
    this.#turn = this.#turn.then(act).catch((error) => this.#refuse(error));
    return this.#turn;
  }

  // What was typed is taken out of its field at once, and is of the tube that was shown then: the next may be typed,
  // and another tube taken, while this one is being kept.
  #typed(event) {
    const [field, again] = [byId("person"), byId("retest")];
    const [text, tube, kind, retest] = [field.value.trim(), this.#tube, byId("kind").value, again.checked];
    [field.value, again.checked] = ["", false];
    return this.#on(event, () =>
      this.#submit(text, tube, kind, retest).catch((error) => {
        if (!field.value) [field.value, again.checked] = [text, retest];
        throw error;
      }),
    );
  }

  #refuse(error) {
    const box = byId("told");
    byId("twice").hidden = error.reason !== "person-elsewhere";
    if (error instanceof NotPerson) tell(box, "block", error.what, error.reason);
    else if (error instanceof Fault) tell(box, "block", title("identity"), say(`fault.${error.message}`));
    else if (error instanceof Refused) tell(box, error.reason === "person-elsewhere" ? "warn" : "block", title(error.reason), why(error));
    else tell(box, "block", say("lost", { why: error.message }));
    if (error.field) error.field.focus();
    else this.focus();
  }

  async setTerms(about) {
    this.about = about;
    for (const label of byId("sizes").querySelectorAll("label")) label.hidden = !about.terms.sizes.includes(Number(label.firstElementChild.value));
    for (const field of document.querySelectorAll("[data-field]")) field.hidden = !about.terms.fields.includes(field.dataset.field);
    const chosen = byId("sizes").querySelector(":checked");
    if (!chosen || chosen.parentElement.hidden) byId("sizes").querySelector("label:not([hidden]) input").checked = true;
  }

  focus() {
    byId(this.#tube ? "person" : "barcode").select();
    byId(this.#tube ? "person" : "barcode").focus();
  }

  async #choose() {
    await this.go(byId("barcode").value.trim().toUpperCase());
  }

  // Take a tube, new or one that was begun.
  async go(barcode) {
    if (!this.store.machine.isBarcode(barcode)) throw new Refused("field", { what: "tube" });
    const known = await this.store.tube(barcode);
    if (known && known.state !== "open") throw new Refused("not-from-here", { state: known.state });
    const size = known?.size || Number(byId("sizes").querySelector(":checked").value);
    this.#tube = { barcode, size };
    byId("told").hidden = true;
    await this.show();
    this.focus();
  }

  leave() {
    this.#tube = null;
    byId("barcode").value = "";
    byId("told").hidden = true;
    byId("choose").hidden = false;
    byId("current").hidden = true;
    this.focus();
  }

  // The tube as it is now.
  async show() {
    if (!this.#tube) return;
    const { barcode, size } = this.#tube;
    const members = (await this.store.tube(barcode))?.members ?? [];
    byId("choose").hidden = true;
    byId("current").hidden = false;
    byId("tube").textContent = barcode;
    byId("count").textContent = say("count", { count: members.length, size });
    Object.assign(byId("filled"), { max: size, value: members.length });
    byId("person-form").hidden = members.length >= size;
    byId("members").replaceChildren(...[...members].reverse().map((it) => made("li", shownMember(it))));
  }

  // What the camera saw, once for many pictures.
  scan(text) {
    const nowMs = Date.now();
    const again = text === this.#last.text && nowMs - this.#last.ms < SHOWN_MS;
    this.#last = { text, ms: nowMs };
    if (again) return this.#turn;
    byId(this.#tube ? "person" : "barcode").value = text;
    return this.#tube ? this.#typed(new Event("scan")) : this.#on(new Event("scan"), () => this.#choose());
  }

  async #submit(text, { barcode, size }, kind, retest) {
    const empty = this.about.terms.fields.map((name) => byId(`field-${name}`)).find((it) => !it.value.trim());
    if (empty) {
      const missing = new Refused("field", { what: empty.parentElement.dataset.field });
      throw Object.assign(missing, { field: empty });
    }
    const fields = Object.fromEntries(this.about.terms.fields.map((name) => [name, byId(`field-${name}`).value.trim()]));
    const person = await this.#personOf(text, kind);
    const deed = register(barcode, size, person, { district: this.about.district, retest, fields });
    await this.#keep(deed, false);
  }

  async #personOf(text, kind) {
    if (text.startsWith(CODE)) return this.#ofCode(text);
    if (kind === "id-card" && !isCard(text) && this.store.machine.isBarcode(text.toUpperCase()) && !/^[0-9]{17}[0-9Xx]$/u.test(text)) {
      throw new NotPerson(say("no_person"), say("is_tube"));
    }
    canonical(kind, text);
    return personOf(await this.store.kept("key"), kind, text);
  }

  async #ofCode(text) {
    if (!this.codes.ages(Date.now())) throw new NotPerson(say("not_good"), say("no_keys"));
    const outcome = await this.codes.here(text, Date.now(), { again: true });
    if (!outcome.uses.includes("sampling")) {
      throw new NotPerson(say("not_good"), `${say(`verdict.${outcome.verdict}`)} ${say("use_card")}`);
    }
    // The centre knows what was revoked since; where stations keep locally first, it is not waited for.
    const told = this.about.terms.offline_first ? null : await this.codes.there(text, this.about.token);
    if (told?.verdict === "revoked") throw new NotPerson(say("not_good"), `${say("verdict.revoked")} ${say("use_card")}`);
    return personOfCode(outcome.claims);
  }

  async #keep(deed, twice) {
    this.#asked = deed;
    await this.store.doAll([deed], Date.now(), { twice });
    this.#asked = null;
    const members = (await this.store.tube(deed.tube)).members.length;
    await this.show();
    byId("twice").hidden = true;
    tell(byId("told"), "green", say("done"), say(members >= deed.size ? "full_now" : "done_why", { count: members }));
    for (const name of this.about.terms.fields) byId(`field-${name}`).value = "";
    if (twice) byId("retest").checked = false;
    if (members >= deed.size) byId("counted").focus();
    else this.focus();
    this.changed();
  }

  async #seal() {
    if (!this.#tube) return; // pressed twice
    const { barcode } = this.#tube;
    await this.store.doAll([seal(barcode, Number(byId("counted").value))], Date.now());
    byId("counted").value = "";
    this.leave();
    tell(byId("told"), "green", say("sealed", { tube: barcode }));
    byId("twice").hidden = true;
    this.changed();
  }
}

export function shownMember({ person, atMs, retest }) {
  return `${time(atMs)} ${masked(person, RULES.shown)}${retest ? ` ${say("retest")}` : ""}`;
}
