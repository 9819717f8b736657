// The part that lists today's tubes and older ones that are still here, people masked, and hands batches over to the courier.

import { say } from "/codes/static/words.js";

import { byId, made, startOfDay, time, title, why } from "./page.js";
import { shownMember } from "./registering.js";
import { handOver, Refused } from "./tubes.js";

export class Listing {
  // `go`: continue with a tube. `changed` hears that a batch was handed over.
  constructor(store, go, changed) {
    Object.assign(this, { store, go, changed });
    byId("hand-over").addEventListener("submit", (event) => this.#submit(event));
  }

  async show() {
    const since = startOfDay(Date.now());
    const tubes = (await this.store.tubesSince(0)).filter((it) => it.state !== "in-transit" || it.changedMs >= since);
    const of = (state) => tubes.filter((it) => it.state === state);
    const people = tubes.reduce((sum, it) => sum + it.members.length, 0);
    byId("sums").textContent = say("sums", {
      tubes: tubes.length, people, open: of("open").length, sealed: of("sealed").length, handed: of("in-transit").length,
    });
    byId("no-sealed").hidden = of("sealed").length > 0;
    const unchosen = new Set([...byId("sealed").querySelectorAll("input:not(:checked)")].map((it) => it.value));
    byId("sealed").replaceChildren(...of("sealed").map((it) => choice(it, !unchosen.has(it.barcode))));
    byId("today").replaceChildren(...tubes.map((it) => this.#row(it)));
  }

  #row(tube) {
    const row = made("div");
    const people = made("details");
    people.append(made("summary", say("people", { count: tube.members.length })), made("p", tube.members.map(shownMember).join("; ")));
    row.append(made("span", tube.barcode, { className: "mono" }), made("span", `${say(`state.${tube.state}`)} ${time(tube.changedMs)}`), people);
    if (tube.state === "open") {
      const button = made("button", say("go_on"), { type: "button", className: "end" });
      button.setAttribute("aria-label", `${say("go_on")} ${tube.barcode}`);
      button.addEventListener("click", () => this.go(tube.barcode));
      row.append(button);
    }
    return row;
  }

  async #submit(event) {
    event.preventDefault();
    const told = byId("hand-told");
    const chosen = [...byId("sealed").querySelectorAll(":checked")].map((it) => it.value);
    const [batch, courier] = [byId("batch").value.trim(), byId("courier").value.trim()];
    try {
      if (!chosen.length) throw new Refused("field", { what: "expected" });
      await this.store.doAll(chosen.map((tube) => handOver(tube, batch, chosen.length, courier)), Date.now());
      told.className = "notice pass";
      told.textContent = say("handed", { count: chosen.length, batch });
      byId("batch").value = "";
      this.changed();
    } catch (error) {
      told.className = "notice block";
      told.textContent = error instanceof Refused ? `${title(error.reason)} ${why(error)}` : say("lost", { why: error.message });
    }
    told.hidden = false;
  }
}

function choice(tube, isChosen) {
  const label = made("label");
  const box = made("input", "", { type: "checkbox", value: tube.barcode, checked: isChosen });
  label.append(box, made("span", tube.barcode, { className: "mono" }), made("span", say("people", { count: tube.members.length }), { className: "end" }));
  return label;
}
