// How what the station has reaches the centre: over the network, some at a time, as often as need be; or as a file that
// somebody carries. The centre takes any event any number of times, so what was not answered is simply sent again.

import { ask } from "/codes/static/asking.js";
import { toHex } from "/codes/static/bytes.js";

const AT_ONCE = 200; // little enough for a slow line
const FORM = "hutong-sampling-1";
const LOCK = "hutong-station-merging";

// Gives whether it was this tab's turn. Throws what `ask` throws; nothing is lost then.
export function mergeAll(store) {
  return navigator.locks.request(LOCK, { ifAvailable: true }, async (lock) => {
    if (!lock) return false; // another tab is at it
    for (let after = 0; ; ) {
      const [about, standing, events] = [await store.about(), await store.standing(), await store.waiting(AT_ONCE, after)];
      if (after && !events.length) return true;
      // Asked even with nothing to give: the answer says how the district samples now.
      const body = {
        station: about.station, clock_ms: Date.now(), events, district: about.district,
        waiting: Math.max(standing.waiting - events.length, 0),
      };
      const answer = await ask("/v1/sampling/merge", { method: "POST", device: about.token, body });
      await store.merged(answer, Date.now());
      if (!events.length) return true;
      after = events.at(-1).sequence;
    }
  });
}

// The file of `hutong sampling station export`: what the station is, its events, a digest of all before it.
export async function exported(store, nowMs) {
  const about = await store.about();
  const lines = [{ form: FORM, station: about.station, district: about.district, clock_ms: nowMs }];
  for (let after = 0; ; ) {
    const events = await store.waiting(AT_ONCE, after);
    if (!events.length) break;
    lines.push(...events);
    after = events.at(-1).sequence;
  }
  const text = lines.map((it) => `${JSON.stringify(it)}\n`).join("");
  const sha256 = toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))));
  return `${text}${JSON.stringify({ sha256 })}\n`;
}
