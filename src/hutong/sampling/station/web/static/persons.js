// Who somebody is, as the node says it: documents in their one spelling (`kernel/identity_documents.py`), and the
// pseudonym made with the key of persons (`kernel/persons.py`). No page, no clock.

import { toHex } from "/codes/static/bytes.js";

const LONGEST = 64;
const PSEUDONYM_BYTES = 16;
const JOINTS = /[ \-\u2010-\u2014\u00b7]/gu;
const CARD = /^[1-9][0-9]{16}[0-9X]$/u;
const OTHER = /^[A-Z0-9]{5,20}$/u;

// What is wrong with a number: "form", "check", "birthday".
export class Fault extends Error {}

// ISO 7064 MOD 11-2, as GB 11643-1999 asks for it: the last character that the first 17 digits want.
export function checkCharacter(number) {
  const sum = [...number.slice(0, 17)].reduce((found, digit) => ((found + Number(digit)) * 2) % 11, 0);
  return "0123456789X"[(12 - sum) % 11];
}

function isDay(number) {
  const [year, month, day] = [number.slice(6, 10), number.slice(10, 12), number.slice(12, 14)].map(Number);
  const made = new Date(Date.UTC(2000, month - 1, day));
  made.setUTCFullYear(year, month - 1, day); // Date.UTC takes the years 0 to 99 for others
  return year > 0 && made.getUTCFullYear() === year && made.getUTCMonth() === month - 1 && made.getUTCDate() === day;
}

// `kind`: id-card, passport or permit. Throws Fault.
export function canonical(kind, written) {
  const number = [...written].slice(0, LONGEST).join("").normalize("NFKC").trim().replace(JOINTS, "").toUpperCase();
  if (kind !== "id-card") {
    if (!OTHER.test(number)) throw new Fault("form");
    return number;
  }
  if (!CARD.test(number)) throw new Fault("form");
  if (checkCharacter(number) !== number.at(-1)) throw new Fault("check");
  if (!isDay(number)) throw new Fault("birthday");
  return number;
}

export const isCard = (text) => {
  try {
    return Boolean(canonical("id-card", text));
  } catch {
    return false;
  }
};

// The key as the browser keeps it: it makes pseudonyms, and no script reads it.
export const importKey = (bytes) => crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);

// The person of a document. Throws Fault.
export async function personOf(key, kind, written) {
  const said = new TextEncoder().encode(`${kind}:${canonical(kind, written)}`);
  return toHex(new Uint8Array(await crypto.subtle.sign("HMAC", key, said)).subarray(0, PSEUDONYM_BYTES));
}

// Whose code it is only the centre knows: here the person is called by the code's handle.
export const personOfCode = (claims) => `code:${toHex(claims.handle)}`;

export function masked(person, shown) {
  const [, scheme] = /^(code:)?/u.exec(person);
  return `${person.slice(0, (scheme ?? "").length + shown)}…`;
}
