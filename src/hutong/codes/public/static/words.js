// The page's words in its language, which it carries itself: so they are there with no network, and in one file.

const TEXTS = JSON.parse(document.getElementById("texts").textContent);
const MOMENTS = new Set(["at", "now"]);

const pad = (number) => String(number).padStart(2, "0");

// 11-22 10:04, and with its year where it is another one's; the device's own time zone.
export function showMoment(ms) {
  const it = new Date(ms);
  const day = `${pad(it.getMonth() + 1)}-${pad(it.getDate())} ${pad(it.getHours())}:${pad(it.getMinutes())}`;
  return it.getFullYear() === new Date().getFullYear() ? day : `${it.getFullYear()}-${day}`;
}

export const showClock = (ms) => {
  const it = new Date(ms);
  return `${pad(it.getHours())}:${pad(it.getMinutes())}:${pad(it.getSeconds())}`;
};

export function say(key, values = {}) {
  const shown = Object.entries(values).map(([name, it]) => [name, MOMENTS.has(name) ? showMoment(it) : String(it)]);
  const places = Object.fromEntries(shown);
  return TEXTS[key].replaceAll(/\{(\w+)\}/g, (_, name) => places[name]);
}

// The text of a key that may have none.
export const sayOr = (key, other, values = {}) => say(key in TEXTS ? key : other, values);

export function saySpan(ms) {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return say("span.minutes", { count: minutes });
  return minutes < 48 * 60 ? say("span.hours", { count: Math.floor(minutes / 60) }) : say("span.days", { count: Math.floor(minutes / 1440) });
}
