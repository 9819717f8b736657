// What this verifier has seen: replays, clones, and its own clock's error, in a bounded store; as `seen.py`.

import { toHex } from "./bytes.js";

const [AGAIN_MS, APART_MS, CROWD, MOST] = [10_000, 60_000, 5, 20_000];

export class Seen {
  // `kept`: what `kept` of an earlier one gave; a Map keeps the order in which it was filled.
  constructor(place, kept = null) {
    this.place = place;
    this.codes = kept?.codes ?? new Map();
    this.bundles = kept?.bundles ?? new Map();
    this.crowd = kept?.crowd ?? new Map();
  }

  get kept() {
    return { codes: this.codes, bundles: this.bundles, crowd: this.crowd };
  }

  // [verdict, word, values] where a code that is good otherwise was copied; null where not.
  judge(claims, nowMs) {
    const [same, other] = [this.codes.get(toHex(claims.id)), this.bundles.get(toHex(claims.handle))];
    for (const before of [same, other]) {
      if (before && before.place !== this.place && nowMs - before.atMs < APART_MS) {
        return ["cloned", "cloned", { place: before.place, seconds: Math.floor(Math.max(nowMs - before.atMs, 0) / 1000) }];
      }
    }
    if (claims.kind === "paper") return null;
    if (same && same.place === this.place && nowMs - same.atMs > AGAIN_MS) {
      return ["replayed", "replayed", { seconds: Math.floor((nowMs - same.atMs) / 1000) }];
    }
    if (other && other.beginsMs > claims.notBeforeMs) return ["replayed", "older_code", { place: other.place }];
    return null;
  }

  // By how much the clock here is ahead (behind, if negative) as a crowd of codes says; 0 if it says nothing.
  clockErrorMs() {
    const errors = [...this.crowd.values()].slice(-CROWD).sort((a, b) => a - b);
    const agree = errors.every((it) => it > 0) || errors.every((it) => it < 0);
    return errors.length === CROWD && agree ? errors[(CROWD - 1) / 2] : 0;
  }

  // Remember what was shown; once for each verification.
  note({ verdict, claims }, nowMs) {
    if (!claims) return;
    const handle = toHex(claims.handle);
    if (claims.kind !== "paper" && ["valid", "expired", "not-yet-valid", "clock-wrong"].includes(verdict)) {
      const [late, early] = [nowMs - claims.expiresMs, nowMs - claims.notBeforeMs];
      this.crowd.delete(handle);
      this.crowd.set(handle, late >= 0 ? late + 1 : Math.min(early, 0));
      for (const old of [...this.crowd.keys()].slice(0, -CROWD)) this.crowd.delete(old);
    }
    if (verdict !== "valid") return;
    const untilMs = claims.kind === "paper" ? nowMs + APART_MS : claims.expiresMs;
    const sighting = { place: this.place, atMs: nowMs, beginsMs: claims.notBeforeMs, untilMs };
    const [id, same, other] = [toHex(claims.id), this.codes.get(toHex(claims.id)), this.bundles.get(handle)];
    if (!same || same.place !== this.place || claims.kind === "paper") put(this.codes, id, sighting);
    put(this.bundles, handle, { ...sighting, beginsMs: Math.max(sighting.beginsMs, other?.beginsMs ?? 0) });
    for (const kept of [this.codes, this.bundles]) makeRoom(kept, nowMs);
  }
}

function put(kept, key, sighting) {
  kept.delete(key);
  kept.set(key, sighting);
}

function makeRoom(kept, nowMs) {
  if (kept.size <= MOST) return;
  for (const [key, { untilMs }] of kept) if (untilMs <= nowMs) kept.delete(key);
  for (const key of [...kept.keys()].slice(0, Math.max(kept.size - MOST, 0))) kept.delete(key);
}
