// COSE_Sign1 (RFC 9052, section 4.2): read, and verified with Ed25519 or ECDSA on P-256. Throws RangeError.

import { same } from "./bytes.js";
import { readCbor, Tagged } from "./cbor.js";

export const [ALGORITHM, CONTENT_TYPE, KEY_ID] = [1, 3, 4];
export const [EDDSA, ES256] = [-8, -7];
const TAG = 18;
const SIGNATURE_BYTES = 64;
const CONTEXT = new TextEncoder().encode("Signature1");

// The parts of a message: {protectedBytes, headers, unprotectedSize, payload, signature}.
export function readSign1(bytes) {
  let found = readCbor(bytes);
  if (found instanceof Tagged && found.tag === TAG) found = found.value;
  const [protectedBytes, unprotected, payload, signature] = Array.isArray(found) && found.length === 4 ? found : [];
  const isBytes = [protectedBytes, payload, signature].every((part) => part instanceof Uint8Array);
  if (!isBytes || !(unprotected instanceof Map)) throw new RangeError("no COSE_Sign1");
  const headers = protectedBytes.length ? readCbor(protectedBytes) : new Map();
  if (!(headers instanceof Map)) throw new RangeError("header");
  return { protectedBytes, headers, unprotectedSize: unprotected.size, payload, signature };
}

// The head of a byte string or array in CBOR.
function head(major, length) {
  if (length < 24) return [(major << 5) | length];
  if (length < 0x100) return [(major << 5) | 24, length];
  return [(major << 5) | 25, length >> 8, length & 0xff];
}

// What a signature covers: Sig_structure of section 4.4.
export function toBeSigned(protectedBytes, payload) {
  return Uint8Array.from([
    ...head(4, 4), ...head(3, CONTEXT.length), ...CONTEXT, ...head(2, protectedBytes.length), ...protectedBytes,
    ...head(2, 0), ...head(2, payload.length), ...payload,
  ]);
}

// Whether a key {algorithm, raw} signed the message.
export async function isSignedBy(message, key) {
  if (message.headers.get(ALGORITHM) !== key.algorithm || message.signature.length !== SIGNATURE_BYTES) return false;
  const signed = toBeSigned(message.protectedBytes, message.payload);
  return key.algorithm === ES256 ? byP256(key.raw, message.signature, signed) : byEd25519(key.raw, message.signature, signed);
}

async function byP256(raw, signature, signed) {
  const kind = { name: "ECDSA", namedCurve: "P-256" };
  try {
    const key = await crypto.subtle.importKey("raw", raw, kind, false, ["verify"]);
    return await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, signature, signed);
  } catch {
    return false;
  }
}

let knowsEd25519 = true;

// Browsers know Ed25519 since about 2025; the library stands in where one does not.
async function byEd25519(raw, signature, signed) {
  if (knowsEd25519) {
    try {
      const key = await crypto.subtle.importKey("raw", raw, { name: "Ed25519" }, false, ["verify"]);
      return await crypto.subtle.verify({ name: "Ed25519" }, key, signature, signed);
    } catch (error) {
      if (error.name !== "NotSupportedError") return false;
      knowsEd25519 = false;
    }
  }
  const { verifyAsync } = await import("./vendor/noble-ed25519/index.js");
  return verifyAsync(signature, signed, raw).catch(() => false);
}

// The id of a key: the beginning of a hash over its raw form.
export async function kidOf(raw) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", raw)).subarray(0, 8);
}

export const isKid = (kid, other) => kid instanceof Uint8Array && same(kid, other);
