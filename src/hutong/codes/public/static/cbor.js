// Reads the CBOR (RFC 8949) of codes and of the documents beside them: definite lengths, integers, bytes, texts,
// arrays, maps, one tag. What else there is in CBOR has no place in a code, and is refused. Throws RangeError.

const DEEPEST = 6;
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class Tagged {
  constructor(tag, value) {
    this.tag = tag;
    this.value = value;
  }
}

export function readCbor(bytes) {
  const reader = new Reader(bytes);
  const value = reader.item(0);
  if (reader.at !== bytes.length) throw new RangeError("bytes are left over");
  return value;
}

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  take(length) {
    if (length > this.bytes.length - this.at) throw new RangeError("cut short");
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  // The shortest form only: a number has one spelling.
  argument(short) {
    if (short < 24) return short;
    if (short > 27) throw new RangeError("no definite length");
    const bytes = this.take(1 << (short - 24));
    const value = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
    const least = [24, 0x100, 0x10000, 0x100000000][short - 24];
    if (value < least || value > Number.MAX_SAFE_INTEGER) throw new RangeError("number");
    return value;
  }

  item(depth) {
    if (depth > DEEPEST) throw new RangeError("nested too deep");
    const head = this.take(1)[0];
    const [major, argument] = [head >> 5, this.argument(head & 31)];
    if (major === 0) return argument;
    if (major === 1) return -1 - argument;
    if (major === 2) return this.take(argument);
    if (major === 3) return this.text(argument);
    if (major === 4) return this.many(argument, () => this.item(depth + 1));
    if (major === 5) return this.map(argument, depth);
    if (major === 6) return new Tagged(argument, this.item(depth + 1));
    throw new RangeError("a kind of value that has no place here");
  }

  text(length) {
    try {
      return UTF8.decode(this.take(length));
    } catch (error) {
      throw new RangeError("text", { cause: error });
    }
  }

  many(count, read) {
    if (count > this.bytes.length - this.at) throw new RangeError("cut short");
    return Array.from({ length: count }, read);
  }

  map(count, depth) {
    const pairs = this.many(count, () => [this.item(depth + 1), this.item(depth + 1)]);
    const made = new Map(pairs);
    const plain = [...made.keys()].every((key) => typeof key === "number" || typeof key === "string");
    if (made.size !== pairs.length || !plain) throw new RangeError("a name twice, or none");
    return made;
  }
}
