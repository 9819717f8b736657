// The claims of a personal code, checked: the same table as in `claims.py`. Throws ClaimError.

const [ISS, EXP, NBF, IAT, CTI] = [1, 4, 5, 6, 7];
const [WHO, HANDLE, COLOUR, KIND, NAME, TAIL, AS_OF] = [0, 1, 2, 3, 4, 5, 6].map((at) => -65537 - at);
const COLOURS = ["green", "yellow", "red"];
const KINDS = ["own", "child", "elder", "paper"];
const LAST_SECOND = 0xffffffff;

export class ClaimError extends Error {}

const isSecond = (value) => Number.isInteger(value) && value >= 0 && value <= LAST_SECOND;
const isIndexOf = (names) => (value) => Number.isInteger(value) && value >= 0 && value < names.length;
const hasBytes = (length) => (value) => value instanceof Uint8Array && value.length === length;
// Control letters, separators other than a space, unassigned code points and halves of letters are not for showing.
const isText = (least, most) => (value) =>
  typeof value === "string" && [...value].length >= least && [...value].length <= most && !/[^\P{C}]|[^\P{Z} ]/u.test(value);

export function checkedClaims(found) {
  if (!(found instanceof Map)) throw new ClaimError("claims");
  const take = (number, name, isGood) => {
    const value = found.get(number);
    if (!isGood(value)) throw new ClaimError(name);
    return value;
  };
  const kind = KINDS[take(KIND, "kind", isIndexOf(KINDS))];
  const living = kind !== "paper";
  if (!living && (found.has(COLOUR) || found.has(AS_OF))) throw new ClaimError("colour");
  const claims = {
    kind,
    issuer: take(ISS, "iss", isText(1, 63)),
    issuedMs: take(IAT, "iat", isSecond) * 1000,
    notBeforeMs: take(NBF, "nbf", isSecond) * 1000,
    expiresMs: take(EXP, "exp", isSecond) * 1000,
    id: take(CTI, "cti", hasBytes(8)),
    who: take(WHO, "who", hasBytes(12)),
    handle: take(HANDLE, "handle", hasBytes(8)),
    name: take(NAME, "name", isText(0, 40)),
    tail: take(TAIL, "tail", isText(0, 4)),
    colour: living ? COLOURS[take(COLOUR, "colour", isIndexOf(COLOURS))] : null,
    asOfMs: living ? take(AS_OF, "as_of", isSecond) * 1000 : null,
  };
  if (claims.notBeforeMs >= claims.expiresMs) throw new ClaimError("exp");
  return claims;
}
