// What the person's own phone tells of them: results, why the colour is so, an appeal. The last answer is kept, and
// shown with its time where there is no network.

import { askUntil, NotAllowed } from "./asking.js";
import { say, sayOr } from "./words.js";

const byId = (id) => document.getElementById(id);
const lang = document.documentElement.lang.startsWith("en") ? "en" : "zh";

function listed(id, texts) {
  byId(id).replaceChildren(
    ...texts.map((text) => {
      const line = document.createElement("li");
      line.textContent = text;
      return line;
    }),
  );
}

function show(mine) {
  byId("mine").hidden = false;
  byId("mine-at").textContent = say("mine.at", { at: mine.at_ms });
  listed("results", mine.results.map((it) => say(`result.${it.told || "waiting"}`, { at: it.at_ms })));
  byId("no-results").hidden = mine.results.length > 0;
  byId("mine-colour").textContent = `${say(`colour.${mine.colour}`)} · ${mine.words}`;
  listed("reasons", [...mine.notes.map((it) => say(`note.${it}`)), ...mine.lines]);
  const { appeal } = mine;
  byId("appealed").hidden = !appeal;
  if (appeal) {
    byId("appealed").textContent = say(`appeal.${appeal.state}`, { at: appeal.sent_ms, now: appeal.due_ms, reasons: appeal.reasons });
  }
  byId("appeal").hidden = !mine.may_appeal;
}

// Wires the part of the page; `kept` keeps the last answer, `tell` says what went wrong.
export function wireMine(kept, tell) {
  const waiting = (seconds) => tell(say("waiting", { seconds }));

  async function asked(path, options) {
    try {
      const device = await kept.get("device");
      const mine = await askUntil(`${path}?lang=${lang}`, { device, ...options }, waiting);
      if ((await kept.get("device")) !== device) return false; // removed meanwhile
      await kept.put("mine", mine);
      show(mine);
      tell("");
      return true;
    } catch (error) {
      const last = await kept.get("mine");
      if (last) show(last);
      tell(error instanceof NotAllowed ? sayOr(`why.${error.said?.why}`, "failed") : say(last ? "mine.offline" : "unreachable"));
      return false;
    }
  }

  byId("ask-mine").addEventListener("click", async () => {
    byId("ask-mine").disabled = true;
    await asked("/codes/mine", {});
    byId("ask-mine").disabled = false;
    byId("mine").focus();
  });
  byId("appeal").addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = byId("appeal").querySelector("button");
    button.disabled = true;
    if (await asked("/codes/appeal", { method: "POST", body: { words: byId("objection").value } })) byId("objection").value = "";
    button.disabled = false;
  });
}

export const hideMine = () => {
  byId("mine").hidden = true;
  byId("objection").value = "";
};
