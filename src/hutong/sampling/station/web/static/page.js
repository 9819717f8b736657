// What the parts of the page share: elements, words of refusals, a sound.

import { say, sayOr } from "/codes/static/words.js";

export const byId = (id) => document.getElementById(id);
export const RULES = JSON.parse(byId("rules").textContent);
const SEEN = { done: [880, 60], refused: [220, 300] };

export function made(tag, text = "", more = {}) {
  return Object.assign(document.createElement(tag), { textContent: text, ...more });
}

let sounds = null;

export const withSound = (wanted) => {
  sounds = wanted ? (sounds ?? new AudioContext()) : null;
};

function sound(kind) {
  navigator.vibrate?.(kind === "done" ? 60 : [80, 60, 80]);
  if (!sounds) return;
  const [pitch, ms] = SEEN[kind];
  const tone = new OscillatorNode(sounds, { frequency: pitch });
  tone.connect(sounds.destination);
  tone.start();
  tone.stop(sounds.currentTime + ms / 1000);
}

// Say what became of something, large and at once; `colour`: green, warn, block.
export function tell(box, colour, what, why = "") {
  box.className = `told ${colour}`;
  box.querySelector("strong").textContent = what;
  box.querySelector("span").textContent = why;
  box.hidden = false;
  sound(colour === "green" ? "done" : "refused");
}

export const title = (reason) => sayOr(`refused.${reason}`, "refused.field");

// Why something was refused, beside its title; "" where the title says it all.
export function why({ reason, values }) {
  const places = { ...values, ...(values.state && { state: say(`state.${values.state}`) }) };
  const key = reason === "field" ? `why.${values.what}` : `why.${reason}`;
  return sayOr(key, reason === "field" ? "why.other" : "is.none", places).replace(/^—$/u, "");
}

export const time = (ms) => new Date(ms).toTimeString().slice(0, 5);
export const startOfDay = (nowMs) => new Date(nowMs).setHours(0, 0, 0, 0);
