// Verifies a code with no network: the same checks in the same order as `verification.py`, and the same words.
//
// `known`: what this verifier has: {keySets, revocations: Map of issuer to list, seen or null}.
// Gives {verdict, reasons: [{word, values}], warnings, claims, uses, keysMadeMs, revocationsMadeMs}.

import { fromBase45, toHex } from "./bytes.js";
import { PREFIX } from "./bundle.js";
import { readCbor } from "./cbor.js";
import { checkedClaims } from "./claims.js";
import { CONTENT_TYPE, isKid, isSignedBy, ALGORITHM, KEY_ID, readSign1 } from "./sign1.js";

const HOUR_MS = 3_600_000;
const TOLERANCE_MS = 120_000;
const LONGEST = 2_000;
// From which age on a warning stands beside the verdict.
const LIMITS = { keysMs: 7 * 24 * HOUR_MS, revocationsMs: 24 * HOUR_MS, colourMs: 48 * HOUR_MS };
const USES = { own: ["entry", "check-in", "sampling"], paper: ["check-in", "sampling"] };

class Refused extends Error {
  constructor(verdict, word, values = {}) {
    super(word);
    Object.assign(this, { verdict, reason: { word, values } });
  }
}

export async function verify(text, known, nowMs) {
  let [claims, keySet] = [null, null];
  let [verdict, reason] = ["valid", null];
  try {
    const message = messageOf(text.trim());
    const found = keyOf(message, known.keySets);
    keySet = found.keySet;
    claims = await claimsOf(message, found);
    const revoked = known.revocations.get(claims.issuer);
    checkClock(claims, keySet, revoked, nowMs);
    checkWindow(claims, known.seen, nowMs);
    if (revoked?.untils.has(toHex(claims.handle))) throw new Refused("revoked", "revoked");
    const copied = known.seen?.judge(claims, nowMs);
    reason = copied ? { word: copied[1], values: copied[2] } : { word: "valid_until", values: { at: claims.expiresMs } };
    if (copied) verdict = copied[0];
  } catch (refused) {
    if (!(refused instanceof Refused)) throw refused;
    ({ verdict, reason } = refused);
  }
  const warnings = warningsOf(claims, keySet, known, nowMs);
  return {
    verdict,
    claims,
    reasons: [reason, ...warnings.map(([, it]) => it)],
    warnings: warnings.map(([it]) => it),
    uses: verdict === "valid" ? (USES[claims.kind] ?? USES.own) : [],
    keysMadeMs: keySet?.madeMs ?? oldest(known.keySets),
    revocationsMadeMs: known.revocations.get(claims?.issuer)?.madeMs ?? 0,
  };
}

const oldest = (keySets) => (keySets.length ? Math.min(...keySets.map((it) => it.madeMs)) : 0);

function messageOf(text) {
  if (!text.startsWith(PREFIX)) throw new Refused("malformed", "no_prefix");
  if ([...text].length > LONGEST) throw new Refused("malformed", "too_long");
  let bytes;
  try {
    bytes = fromBase45(text.slice(PREFIX.length));
  } catch {
    throw new Refused("malformed", "not_base45");
  }
  try {
    return readSign1(bytes);
  } catch {
    throw new Refused("malformed", "not_cose");
  }
}

function keyOf(message, keySets) {
  const kid = message.headers.get(KEY_ID);
  for (const keySet of keySets) {
    const key = keySet.keys.find((it) => isKid(kid, it.kid));
    if (key) return { key, keySet };
  }
  throw new Refused("unknown-key", "unknown_key", { kid: kid instanceof Uint8Array ? toHex(kid) : "-" });
}

// Only the protected header counts: the other one is not signed, and no code has anything in it.
async function claimsOf(message, { key, keySet }) {
  if (message.headers.get(ALGORITHM) !== key.algorithm || message.unprotectedSize) throw new Refused("forged", "other_header");
  if (!(await isSignedBy(message, key))) throw new Refused("forged", "bad_signature");
  let claims;
  try {
    claims = checkedClaims(readCbor(message.payload));
  } catch (error) {
    throw new Refused("malformed", "bad_claims", { claim: error instanceof RangeError ? "claims" : error.message });
  }
  if (claims.issuer !== keySet.issuer || message.headers.has(CONTENT_TYPE)) {
    throw new Refused("forged", "other_issuer", { issuer: claims.issuer });
  }
  if (claims.issuedMs < key.notBeforeMs - TOLERANCE_MS || claims.expiresMs > key.notAfterMs) {
    throw new Refused("unknown-key", "key_term", { kid: toHex(key.kid) });
  }
  return claims;
}

// What was signed already cannot lie ahead: then this clock is behind.
function checkClock(claims, keySet, revoked, nowMs) {
  const floors = [["clock_keys", keySet.madeMs], ["clock_code", claims.issuedMs], ["clock_list", revoked?.floorMs ?? 0]];
  for (const [word, at] of floors) {
    if (nowMs < at - TOLERANCE_MS) throw new Refused("clock-wrong", word, { now: nowMs, at });
  }
}

function checkWindow(claims, seen, nowMs) {
  if (claims.notBeforeMs <= nowMs && nowMs < claims.expiresMs) return;
  const errorMs = seen?.clockErrorMs() ?? 0;
  const minutes = Math.ceil(Math.abs(errorMs) / 60_000);
  if (nowMs >= claims.expiresMs) {
    if (errorMs > 0) throw new Refused("clock-wrong", "clock_ahead", { minutes });
    throw new Refused("expired", "expired", { at: claims.expiresMs });
  }
  if (errorMs < 0) throw new Refused("clock-wrong", "clock_behind", { minutes });
  throw new Refused("not-yet-valid", "not_yet", { at: claims.notBeforeMs });
}

function warningsOf(claims, keySet, known, nowMs) {
  const found = [];
  const warn = (word, reason, values = {}) => found.push([word, { word: reason, values }]);
  const madeMs = keySet?.madeMs ?? oldest(known.keySets);
  if (madeMs && nowMs - madeMs > LIMITS.keysMs) warn("stale-keys", "stale_keys", { at: madeMs });
  if (!claims) return found;
  const revoked = known.revocations.get(claims.issuer);
  if (!revoked) warn("no-revocations", "no_revocations");
  else if (nowMs - revoked.madeMs > LIMITS.revocationsMs) warn("stale-revocations", "stale_revocations", { at: revoked.madeMs });
  if (claims.kind === "paper") warn("paper", "paper");
  else if (nowMs - claims.asOfMs > LIMITS.colourMs) warn("old-colour", "old_colour", { at: claims.asOfMs });
  return found;
}
