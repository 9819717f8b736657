// Key sets and revocation lists, as verifiers keep them. Both are signed; what does not verify throws RangeError, and
// what is kept stays as it is. Kept values are plain objects: IndexedDB takes them as they are.

import { same, toHex } from "./bytes.js";
import { readCbor } from "./cbor.js";
import { CONTENT_TYPE, EDDSA, ES256, isKid, isSignedBy, KEY_ID, kidOf, readSign1 } from "./sign1.js";

const KEY_SET = "application/hutong-key-set+cbor";
const REVOCATIONS = "application/hutong-revocations+cbor";
const KEY_BYTES = new Map([[EDDSA, 32], [ES256, 65]]);
const ROW_BYTES = 12;
const KEPT_MS = 3_600_000; // an entry outlives its codes by so much: clocks differ

// Nothing is wrong with it: a copy kept on the way may be older than what is kept here.
export class Older extends RangeError {}

function read(kind, bytes) {
  const message = readSign1(bytes);
  if (message.headers.get(CONTENT_TYPE) !== kind) throw new RangeError("another document");
  const body = readCbor(message.payload);
  if (!(body instanceof Map)) throw new RangeError("body");
  return { message, body: Object.fromEntries(body) };
}

const isCount = (value) => Number.isSafeInteger(value) && value >= 0;

// A key set {issuer, madeMs, root, keys: [{algorithm, raw, kid, notBeforeMs, notAfterMs}]}.
// `known`: the one that is kept; the new one must have its issuer and its root, and be as new.
export async function readKeySet(bytes, known = null) {
  const { message, body } = read(KEY_SET, bytes);
  const isWhole = typeof body.iss === "string" && isCount(body.iat) && Array.isArray(body.keys);
  if (!isWhole || !(body.root instanceof Uint8Array) || body.root.length !== KEY_BYTES.get(EDDSA)) throw new RangeError("form");
  if (!(await isSignedBy(message, { algorithm: EDDSA, raw: body.root }))) throw new RangeError("its root did not sign it");
  const keys = await Promise.all(body.keys.map(readKey));
  const found = { issuer: body.iss, madeMs: body.iat * 1000, root: body.root.slice(), keys };
  if (known && (known.issuer !== found.issuer || !same(known.root, found.root))) throw new RangeError("another root");
  if (known && found.madeMs < known.madeMs) throw new Older("older than the one that is kept");
  return found;
}

async function readKey(listed) {
  const [algorithm, raw, begins, ends] = ["alg", "key", "nbf", "exp"].map((name) => listed instanceof Map && listed.get(name));
  const isKey = raw instanceof Uint8Array && raw.length === KEY_BYTES.get(algorithm);
  if (!isKey || !isCount(begins) || !isCount(ends)) throw new RangeError("key");
  return { algorithm, raw: raw.slice(), kid: await kidOf(raw), notBeforeMs: begins * 1000, notAfterMs: ends * 1000 };
}

export const noRevocations = (issuer) => ({ issuer, version: 0, madeMs: 0, floorMs: 0, untils: new Map() });

// The list with what is new, and without what could not matter any more when it was signed.
export async function withNews(kept, bytes, keySets) {
  const length = bytes.length < 2 ? 0 : bytes[0] * 256 + bytes[1];
  const { message, body } = read(REVOCATIONS, bytes.subarray(2, 2 + length));
  const key = keySets
    .filter((set) => set.issuer === body.iss)
    .flatMap((set) => set.keys)
    .find((each) => isKid(message.headers.get(KEY_ID), each.kid));
  const madeMs = body.iat * 1000;
  if (!key || madeMs < key.notBeforeMs || madeMs > key.notAfterMs) throw new RangeError("a key that is not known here");
  if (!(await isSignedBy(message, key))) throw new RangeError("its issuer did not sign it");
  const rows = bytes.slice(2 + length);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", rows));
  if (rows.length !== body.count * ROW_BYTES || !same(hash, body.hash)) throw new RangeError("its entries were changed");
  if (body.iss !== kept.issuer || body.since > kept.version || body.version < body.since) throw new RangeError("versions are left out");
  if (body.version < kept.version || madeMs < kept.madeMs) throw new Older("older than the list that is kept");
  const untils = new Map(kept.untils);
  const view = new DataView(rows.buffer);
  for (let at = 0; at < rows.length; at += ROW_BYTES) {
    const handle = toHex(rows.subarray(at, at + 8));
    untils.set(handle, Math.max(view.getUint32(at + 8) * 1000, untils.get(handle) ?? 0));
  }
  return purged({ ...kept, version: body.version, madeMs, untils }, madeMs);
}

// Without what cannot matter any more at `nowMs`; from then on no earlier clock is judged by.
export function purged(kept, nowMs) {
  const untils = new Map([...kept.untils].filter(([, untilMs]) => untilMs + KEPT_MS > nowMs));
  return { ...kept, untils, floorMs: Math.max(kept.floorMs, nowMs) };
}
