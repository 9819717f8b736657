"""The claims of a personal code: one table says number, name and meaning. Pure: no key, no clock, no signature.

A code is a CBOR Web Token (RFC 8392) in a COSE_Sign1 message (RFC 9052 §4.2). Registered claims keep their numbers;
ours are private ones, at or below -65537 (RFC 8392 §9.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from hutong.kernel.errors import HutongError
from hutong.protocols import cwt

if TYPE_CHECKING:
    from collections.abc import Callable

#: What stands before the base45 text of a code.
PREFIX: Final = "HT1:"
ID_BYTES: Final = 8
HANDLE_BYTES: Final = 8
WHO_BYTES: Final = 12
LONGEST_NAME: Final = 40
LONGEST_TAIL: Final = 4
LONGEST_ISSUER: Final = 63
#: Times have 32 bits in every code, so that a template has room for them: up to the year 2106.
LAST_SECOND: Final = 0xFFFF_FFFF

Colour = Literal["green", "yellow", "red"]
Kind = Literal["own", "child", "elder", "paper"]
COLOURS: Final[tuple[Colour, ...]] = ("green", "yellow", "red")
KINDS: Final[tuple[Kind, ...]] = ("own", "child", "elder", "paper")

WHO, HANDLE, COLOUR, KIND, NAME, TAIL, AS_OF = range(-65537, -65544, -1)


class Claim(msgspec.Struct, frozen=True):
    """A claim: its number and name, the form of its value, what it says in both languages."""

    number: int
    name: str
    form: str
    zh: str
    en: str


CLAIMS: Final = (
    Claim(cwt.ISS, "iss", "text", "签发节点的名称", "the node that issued the code"),
    Claim(cwt.EXP, "exp", "seconds", "本码失效时间", "from when this one code may not be shown any more"),
    Claim(cwt.NBF, "nbf", "seconds", "本码生效时间", "from when this one code may be shown"),
    Claim(cwt.IAT, "iat", "seconds", "签名时间", "when the code was signed"),
    Claim(cwt.CTI, "cti", "8 bytes", "本码编号,随机", "the id of this one code, random"),
    Claim(WHO, "who", "12 bytes", "本人当日的化名", "the person's pseudonym of the day"),
    Claim(HANDLE, "handle", "8 bytes", "同批各码共有的注销号,随机", "what a whole bundle is revoked by, random"),
    Claim(COLOUR, "colour", "0–2", "颜色:0 绿 1 黄 2 红;纸质码没有", "0 green, 1 yellow, 2 red; paper has none"),
    Claim(KIND, "kind", "0–3", "种类:0 本人 1 儿童 2 老人 3 纸质", "0 own, 1 child, 2 elder, 3 paper"),
    Claim(NAME, "name", "text", "掩码后的姓名", "the name, masked"),
    Claim(TAIL, "tail", "text", "证件末位", "the last characters of the identity document"),
    Claim(AS_OF, "as_of", "seconds", "颜色的判定时间;纸质码没有", "when the colour was judged; paper has none"),
)


class ClaimError(HutongError):
    """Claims that no code of ours makes; `where` is the claim."""


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What one code says.

    Attributes:
        issuer: the node's name. issued_ms, not_before_ms, expires_ms: ms since 1970, whole seconds.
        id: 8 bytes. who: 12 bytes. handle: 8 bytes.
        kind: whose code, or paper. colour, as_of_ms: None on paper, which lasts longer than any colour.
        name, tail: what the person who checks compares with the identity document.
    """

    issuer: str
    issued_ms: int
    not_before_ms: int
    expires_ms: int
    id: bytes
    who: bytes
    handle: bytes
    kind: Kind
    name: str
    tail: str
    colour: Colour | None = None
    as_of_ms: int | None = None


def told_claims(claims: Claims) -> cwt.Claims:
    """As a token carries them.

    Raises:
        ClaimError: a value that `read_claims` would refuse.
    """
    private: dict[int | str, Any] = {
        WHO: claims.who,
        HANDLE: claims.handle,
        KIND: KINDS.index(claims.kind),
        NAME: claims.name,
        TAIL: claims.tail,
    }
    if claims.colour is not None and claims.as_of_ms is not None:
        private |= {COLOUR: COLOURS.index(claims.colour), AS_OF: claims.as_of_ms // 1000}
    told = cwt.Claims(
        iss=claims.issuer,
        exp=claims.expires_ms // 1000,
        nbf=claims.not_before_ms // 1000,
        iat=claims.issued_ms // 1000,
        cti=claims.id,
        private=private,
    )
    if checked(told) != claims:
        raise ClaimError("Times of a code are whole seconds, and a colour comes with its time.", where="claims")
    return told


def checked(token: cwt.Claims) -> Claims:
    """The claims of a code, each of its form; claims of other numbers are passed over.

    Raises:
        ClaimError: one is missing or of another form; the times contradict each other.
    """
    values = {cwt.ISS: token.iss, cwt.EXP: token.exp, cwt.NBF: token.nbf, cwt.IAT: token.iat, cwt.CTI: token.cti}
    values |= {number: value for number, value in token.private.items() if isinstance(number, int)}
    kind = KINDS[_take(values, KIND, _index(KINDS))]
    living = kind != "paper"
    if not living and (COLOUR in values or AS_OF in values):
        raise ClaimError("A paper code carries no colour.", where="colour")
    claims = Claims(
        issuer=_take(values, cwt.ISS, _text(1, LONGEST_ISSUER)),
        issued_ms=_take(values, cwt.IAT, _is_second) * 1000,
        not_before_ms=_take(values, cwt.NBF, _is_second) * 1000,
        expires_ms=_take(values, cwt.EXP, _is_second) * 1000,
        id=_take(values, cwt.CTI, _bytes(ID_BYTES)),
        who=_take(values, WHO, _bytes(WHO_BYTES)),
        handle=_take(values, HANDLE, _bytes(HANDLE_BYTES)),
        kind=kind,
        name=_take(values, NAME, _text(0, LONGEST_NAME)),
        tail=_take(values, TAIL, _text(0, LONGEST_TAIL)),
        colour=COLOURS[_take(values, COLOUR, _index(COLOURS))] if living else None,
        as_of_ms=_take(values, AS_OF, _is_second) * 1000 if living else None,
    )
    if not claims.not_before_ms < claims.expires_ms:
        raise ClaimError("The code expires before it begins.", where="exp")
    return claims


def claims_table() -> str:
    """The claims as a table for docs/codes.md."""
    rows = [f"| {it.number} | `{it.name}` | {it.form} | {it.en} | {it.zh} |" for it in CLAIMS]
    return "\n".join(["| number | name | form | meaning | 含义 |", "|---:|---|---|---|---|", *rows]) + "\n"


def _take(values: dict[int, Any], number: int, is_good: Callable[[Any], bool]) -> Any:  # noqa: ANN401  # of its form
    value = values.get(number)
    if not is_good(value):
        claim = next(it for it in CLAIMS if it.number == number)
        what = "It is missing." if value is None else f"It is not of the form {claim.form}."
        raise ClaimError(what, where=claim.name)
    return value


# True and 1.0 equal 1, so types are compared themselves.
def _is_second(value: object) -> bool:
    return type(value) is int and 0 <= value <= LAST_SECOND


def _index(names: tuple[str, ...]) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and 0 <= value < len(names)


def _bytes(length: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, bytes) and len(value) == length


def _text(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and least <= len(value) <= most and value.isprintable()
