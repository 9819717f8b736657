"""Venues (场所码) and the signed code at their door. Pure: no key of its own, no clock, no record.

Text in the QR: `HV1:` and base45 (RFC 9285) of a COSE_Sign1 message (RFC 9052 §4.2) over one CBOR map, whose content
type keeps it from passing for a personal code. It says no more than the sign above the door. A code that was replaced
or withdrawn still verifies offline; the centre knows its serial number when scans are merged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal, get_args

import msgspec

from hutong.codes.keys import CLOCK_TOLERANCE_MS
from hutong.codes.signed import SignedError, body_of, read_message, write_signed
from hutong.kernel.errors import HutongError
from hutong.protocols import base45, cose

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hutong.codes.keys import PublicKey, SigningKey

PREFIX: Final = "HV1:"
POSTER: Final = "application/hutong-venue+cbor"
#: Longer than any code of a venue.
LONGEST_TEXT: Final = 1_500

VenueKind = Literal[
    "market",
    "mall",
    "restaurant",
    "hotel",
    "office",
    "school",
    "hospital",
    "care-home",
    "transport",
    "vehicle",
    "culture",
    "worship",
    "residential",
    "sampling",
    "other",
]
VenueState = Literal["issued", "withdrawn"]
VENUE_KINDS: Final[tuple[VenueKind, ...]] = get_args(VenueKind)
VENUE_STATES: Final[tuple[VenueState, ...]] = get_args(VenueState)
KIND_TITLES: Final[dict[VenueKind, dict[str, str]]] = {
    "market": {"zh": "农贸市场", "en": "market"},
    "mall": {"zh": "商场超市", "en": "shop or mall"},
    "restaurant": {"zh": "餐饮", "en": "restaurant"},
    "hotel": {"zh": "宾馆", "en": "hotel"},
    "office": {"zh": "办公楼宇", "en": "office building"},
    "school": {"zh": "学校", "en": "school"},
    "hospital": {"zh": "医疗机构", "en": "hospital"},
    "care-home": {"zh": "养老机构", "en": "care home"},
    "transport": {"zh": "车站机场", "en": "station or airport"},
    "vehicle": {"zh": "公交地铁出租车", "en": "bus, metro train or taxi"},
    "culture": {"zh": "文体场馆", "en": "culture and sports"},
    "worship": {"zh": "宗教场所", "en": "place of worship"},
    "residential": {"zh": "居民小区", "en": "residential estate"},
    "sampling": {"zh": "采样点", "en": "sampling site"},
    "other": {"zh": "其他", "en": "other"},
}
STATE_TITLES: Final[dict[VenueState, dict[str, str]]] = {
    "issued": {"zh": "在用", "en": "in use"},
    "withdrawn": {"zh": "已停用", "en": "withdrawn"},
}

VenueReason = Literal["malformed", "unknown-key", "forged", "clock-wrong"]


class VenueCodeError(HutongError):
    """A text that is no code of a venue, or none that can be trusted.

    Attributes:
        reason: malformed, unknown-key, forged, or clock-wrong (it was signed in this device's future).
    """

    def __init__(self, reason: VenueReason, what: str, *, fix: str = "") -> None:
        super().__init__(what, where="venue code", fix=fix)
        self.reason = reason


class VenueWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody registers.

    Attributes:
        title: as on the sign. kind: of place. district: six digits (GB/T 2260). capacity: people at once.
        unit: who answers for it.
    """

    title: str
    kind: VenueKind
    district: str
    capacity: int
    unit: str


class Venue(msgspec.Struct, frozen=True, kw_only=True):
    """A venue. Times are ms since 1970.

    Attributes:
        serial: of the code that is valid, from 1; with each replacement the one before ends.
        why: why its code was last replaced or withdrawn.
    """

    id: str
    title: str
    kind: VenueKind
    district: str
    capacity: int
    unit: str
    state: VenueState = "issued"
    serial: int = 1
    made_ms: int
    code_ms: int
    changed_ms: int
    why: str = ""
    version: int = 1


class Poster(msgspec.Struct, frozen=True):
    """What the code of a venue says.

    Attributes:
        iss: the node. id: of the venue. serial: of the code. iat: when it was signed, s since 1970.
    """

    iss: Annotated[str, msgspec.Meta(min_length=1, max_length=63)]
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    serial: Annotated[int, msgspec.Meta(ge=1)]
    iat: Annotated[int, msgspec.Meta(ge=0)]
    kind: str
    district: str
    title: Annotated[str, msgspec.Meta(max_length=100)]


def write_poster(venue: Venue, issuer: str, key: SigningKey) -> str:
    """The text of a venue's code, signed; the same venue and key give the same bytes with Ed25519."""
    said = Poster(issuer, venue.id, venue.serial, venue.code_ms // 1000, venue.kind, venue.district, venue.title)
    return PREFIX + base45.encode(write_signed(POSTER, said, key))


def read_poster(text: str, keys: Iterable[PublicKey], now_ms: int) -> Poster:
    """What a venue's code says, verified offline.

    Args:
        keys: that may sign venues' codes. now_ms: the time here.

    Raises:
        VenueCodeError: says why not.
    """
    text = text.strip()
    if not text.startswith(PREFIX) or len(text) > LONGEST_TEXT:
        raise VenueCodeError("malformed", "This is not the code of a venue.")
    try:
        message = read_message(POSTER, base45.decode(text[len(PREFIX) :]))
        said = body_of(POSTER, message, Poster)
    except (SignedError, base45.Base45Error) as error:
        raise VenueCodeError("malformed", "This is not the code of a venue.", fix="Scan it again.") from error
    key = next((it for it in keys if it.kid == message.kid), None)
    made_ms = said.iat * 1000
    if key is None or not key.not_before_ms <= made_ms <= key.not_after_ms:
        raise VenueCodeError("unknown-key", "No key that is known here signed it.", fix="Fetch the keys of venues.")
    if message.algorithm != key.number or not key.verify(
        cose.to_be_signed(message.protected, message.payload), message.signature
    ):
        raise VenueCodeError("forged", "Its issuer did not sign it.", fix="Tell whoever answers for the venue.")
    if made_ms > now_ms + CLOCK_TOLERANCE_MS:
        raise VenueCodeError("clock-wrong", "It was signed later than it is here.", fix="Set this device's clock.")
    return said
