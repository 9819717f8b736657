// A bundle of codes made ahead, as a phone keeps it: the template once, and 72 bytes for each code. Pure.

import { fromBase64, joined, toBase45 } from "./bytes.js";

const [ENTRY_BYTES, ID_BYTES] = [72, 8];
export const PREFIX = "HT1:";

export class Bundle {
  // `said`: what the server gave, as JSON.
  constructor(said) {
    Object.assign(this, { kind: said.kind, handle: said.handle, firstS: said.first_s, pace: said.pace, places: said.places });
    this.template = fromBase64(said.template);
    this.entries = fromBase64(said.entries);
    this.count = Math.floor(this.entries.length / ENTRY_BYTES);
  }

  get beginsMs() {
    return this.firstS * 1000;
  }

  get expiresMs() {
    return (this.firstS + this.pace.step_s * this.count + this.pace.late_s) * 1000;
  }

  // The number of the code to show; null before the first and after the last.
  at(nowMs) {
    const slot = Math.floor((Math.floor(nowMs / 1000) - this.firstS) / this.pace.step_s);
    return slot >= 0 && slot < this.count ? slot : null;
  }

  // When the code to show changes, ms.
  changesMs(number) {
    return (this.firstS + (number + 1) * this.pace.step_s) * 1000;
  }

  text(number) {
    const entry = this.entries.subarray(number * ENTRY_BYTES, (number + 1) * ENTRY_BYTES);
    const made = this.template.slice();
    const view = new DataView(made.buffer);
    const begins = this.firstS + number * this.pace.step_s;
    view.setUint32(this.places.nbf, begins - this.pace.early_s);
    view.setUint32(this.places.exp, begins + this.pace.step_s + this.pace.late_s);
    made.set(entry.subarray(0, ID_BYTES), this.places.id);
    return PREFIX + toBase45(joined(made, entry.subarray(ID_BYTES)));
  }
}
