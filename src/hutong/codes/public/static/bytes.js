// Bytes and their texts: hex, base64, base45 (RFC 9285), comparison. No page, no clock.

const BASE45 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
const VALUES = new Map([...BASE45].map((letter, value) => [letter, value]));

export const toHex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
export const fromBase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
export const same = (a, b) => a.length === b.length && a.every((byte, at) => byte === b[at]);

export function joined(...parts) {
  const made = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    made.set(part, at);
    at += part.length;
  }
  return made;
}

export function toBase45(bytes) {
  let text = "";
  for (let at = 0; at + 1 < bytes.length; at += 2) {
    const value = bytes[at] * 256 + bytes[at + 1];
    text += BASE45[value % 45] + BASE45[Math.floor(value / 45) % 45] + BASE45[Math.floor(value / 2025)];
  }
  if (bytes.length % 2) text += BASE45[bytes.at(-1) % 45] + BASE45[Math.floor(bytes.at(-1) / 45)];
  return text;
}

// Throws RangeError where the text is no base45.
export function fromBase45(text) {
  const values = [...text].map((letter) => VALUES.get(letter));
  if (values.includes(undefined) || values.length % 3 === 1) throw new RangeError("base45");
  const made = [];
  for (let at = 0; at < values.length; at += 3) {
    const whole = at + 2 < values.length;
    const value = values[at] + 45 * values[at + 1] + (whole ? 2025 * values[at + 2] : 0);
    if (value > (whole ? 0xffff : 0xff)) throw new RangeError("base45");
    if (whole) made.push(value >> 8);
    made.push(value & 0xff);
  }
  return Uint8Array.from(made);
}
