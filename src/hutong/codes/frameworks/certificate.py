"""What an EU Digital COVID Certificate says: its structure (JSON schema 1.3) and the rules that its values keep.

The schema is the structure of what is carried; the rules come on top (eHealth Network, JSON Schema Specification).
As the schema's own FAQ asks, whatever earlier versions allowed is read, and an empty text or a 0 says "not known".
Of the coded values only countries are looked up: the lists of products change every few weeks, and a verifier without
network would refuse what is newer than its lists.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Literal

import msgspec

from hutong.codes.frameworks.errors import DccError

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = Literal["v", "t", "r"]
KINDS: tuple[Kind, ...] = ("v", "t", "r")

#: Longest text in any member, characters.
MAX_TEXT = 80
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_TRANSLITERATED = re.compile(r"[A-Z<]*")
_BORN = re.compile(r"((19|20)\d\d(-\d\d){0,2})?")
#: More than two letters name an organisation, such as UNHCR.
_ORGANISATION = re.compile(r"[A-Z]{3,10}")
_ISO_3166 = (
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA "
    "CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA "
    "GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP "
    "KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS "
    "MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS "
    "RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW "
    "TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW XK "
)
#: ISO 3166-1 alpha-2, and XK, which the EU's own list has for Kosovo.
COUNTRIES = frozenset(_ISO_3166.split())


class Name(msgspec.Struct, frozen=True):
    """Surname and forename, each as it is written and transliterated (ICAO Doc 9303 part 3)."""

    fn: str | None = None
    fnt: str | None = None
    gn: str | None = None
    gnt: str | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What every entry has: disease, country, issuer, certificate identifier (UVCI)."""

    tg: str
    co: str
    issuer: str = msgspec.field(name="is")
    ci: str


class Vaccination(Entry, frozen=True, kw_only=True):
    """Vaccine, product, manufacturer, dose of doses, date."""

    vp: str
    mp: str
    ma: str
    dn: int
    sd: int
    dt: str


class Test(Entry, frozen=True, kw_only=True):
    """Type, time of sampling, result; maybe name, device, centre."""

    tt: str
    sc: str
    tr: str
    nm: str | None = None
    ma: str | None = None
    tc: str | None = None


class Recovery(Entry, frozen=True, kw_only=True):
    """First positive test; valid from, valid until."""

    fr: str
    df: str
    du: str


class Certificate(msgspec.Struct, frozen=True):
    """The whole: schema version, name, date of birth, and one entry of one kind."""

    ver: str
    nam: Name
    dob: str
    v: list[Vaccination] | None = None
    t: list[Test] | None = None
    r: list[Recovery] | None = None

    @property
    def kinds(self) -> frozenset[Kind]:
        """Which kinds of entries it has."""
        return frozenset(kind for kind in KINDS if getattr(self, kind))


def read_certificate(content: object) -> Certificate:
    """Check the structure.

    Args:
        content: as CBOR or JSON carried it.

    Raises:
        DccError: a member is missing or of another type.
    """
    try:
        return msgspec.convert(content, Certificate)
    except msgspec.ValidationError as error:
        raise DccError(f"The content is not built as it must be: {error}.", where="content") from error


def faults(certificate: Certificate, issued_s: float | None = None) -> tuple[str, ...]:
    """The rules that its values break, each as "member: what"; none where all is well.

    Args:
        certificate: what `read_certificate` gave.
        issued_s: when it was issued, seconds since 1970; None where nobody said.
    """
    return tuple(_faults(certificate, issued_s))


def _faults(certificate: Certificate, issued_s: float | None) -> Iterator[str]:
    if not _VERSION.fullmatch(certificate.ver):
        yield "ver: not of the form 1.3.0"
    yield from _name_faults(certificate.nam)
    if not _BORN.fullmatch(certificate.dob):
        yield "dob: not a date, a month or a year from 1900 to 2099"
    elif issued_s is not None and certificate.dob > _day(issued_s)[: len(certificate.dob)]:
        yield "dob: after the certificate was issued"
    groups = [getattr(certificate, kind) for kind in KINDS if getattr(certificate, kind) is not None]
    entries = [entry for group in groups for entry in group]
    if len(entries) != 1:
        yield f"v, t, r: {len(entries)} entries in place of one"
    for entry in entries:
        yield from _entry_faults(entry)


def _name_faults(name: Name) -> Iterator[str]:
    for written, machine in (("fn", "fnt"), ("gn", "gnt")):
        as_written, as_read = getattr(name, written) or "", getattr(name, machine) or ""
        if not _TRANSLITERATED.fullmatch(as_read):
            yield f"nam.{machine}: more than A to Z and <"
        if as_written and not as_read:
            yield f"nam.{machine}: missing beside {written}"
        if max(len(as_written), len(as_read)) > MAX_TEXT:
            yield f"nam.{written}: longer than {MAX_TEXT}"
    if not (name.fnt or name.gnt):
        yield "nam: neither fnt nor gnt"


def _entry_faults(entry: Entry) -> Iterator[str]:
    if entry.co and entry.co not in COUNTRIES and not _ORGANISATION.fullmatch(entry.co):
        yield "co: not a country"
    for member, value in msgspec.structs.asdict(entry).items():
        if isinstance(value, int) and value < 0:
            yield f"{member}: below zero"
        if isinstance(value, str) and len(value) > MAX_TEXT:
            yield f"{member}: longer than {MAX_TEXT}"
    for member in ("dt", "sc", "fr", "df", "du"):
        value = getattr(entry, member, None)
        if value and not _is_moment(value, time_needed=member == "sc"):
            yield f"{member}: not a date" if member != "sc" else "sc: not a date with a time"


def _is_moment(text: str, *, time_needed: bool) -> bool:
    """Whether a text is an ISO 8601 date; a time after it is put up with, as issuers write it."""
    try:
        if not time_needed and len(text) == len("2021-05-03"):
            date.fromisoformat(text)
        else:
            datetime.fromisoformat(text)
    except ValueError:
        return False
    return "T" in text.upper() or not time_needed


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
