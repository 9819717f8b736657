"""`hutong codes venues`: registered, found; their codes replaced, withdrawn, printed and read. Deeds are of `--by`."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003  # cyclopts reads the annotations
from typing import Annotated, Final

import msgspec
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from hutong.app.config import load_config
from hutong.app.scan_sitting import By, ConfigFile, DataFolder, Json, Sitting, Why, opened
from hutong.app.scans_work import venue_key
from hutong.codes import qr
from hutong.codes.keys import ALGORITHMS, Algorithm, PublicKey
from hutong.codes.scans.errors import ScanError
from hutong.codes.scans.venue_book import VenueAction, VenueQuery
from hutong.codes.venues import KIND_TITLES, STATE_TITLES, VenueKind, VenueState, VenueWish, read_poster, write_poster
from hutong.kernel.cases.calendar import show_moment
from hutong.kernel.cases.model import Actor
from hutong.kernel.clock import SystemClock

app = App(name="venues", help="场所:登记、换码、停用、印码 / Venues: register, replace codes, withdraw, print")
_NS_IN_MS: Final = 1_000_000
_PIPE_WIDTH: Final = 1000
_FOREVER_MS: Final = 1 << 52

VenueId = Annotated[str, Parameter(name="VENUE", help="场所编号 / id of the venue")]


def _actor(it: Sitting, by: str) -> Actor:
    seeker = it.seeker(by)
    return Actor(seeker.name, seeker.permissions, seeker.address)


@app.command
def issue(
    title: Annotated[str, Parameter(name="TITLE", help="名称 / as on the sign")],
    /,
    *,
    kind: Annotated[VenueKind, Parameter(help="类别 / kind of place")],
    district: Annotated[str, Parameter(help="区县代码,六位 / district, six digits (GB/T 2260)")],
    capacity: Annotated[int, Parameter(help="可容纳人数 / people at once")],
    unit: Annotated[str, Parameter(help="责任单位 / who answers for it")],
    by: By,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """登记场所并发码;输出编号 / Register a venue; writes its id."""
    wish = VenueWish(title=title, kind=kind, district=district, capacity=capacity, unit=unit)
    with opened(config, data) as it:
        venue = it.parts.venues.issue(wish, _actor(it, by), it.now_ms)
    sys.stdout.write(f"{venue.id}\n")


@app.command
def replace(venue: VenueId, /, *, reason: Why, by: By, config: ConfigFile = None, data: DataFolder = None) -> None:
    """换码,旧码作废 / Replace a venue's code; the one before ends."""
    _do(venue, "replace", reason, by, config, data)


@app.command
def withdraw(venue: VenueId, /, *, reason: Why, by: By, config: ConfigFile = None, data: DataFolder = None) -> None:
    """停用场所码 / Withdraw a venue's code."""
    _do(venue, "withdraw", reason, by, config, data)


@app.command
def reissue(venue: VenueId, /, *, reason: Why, by: By, config: ConfigFile = None, data: DataFolder = None) -> None:
    """恢复停用的场所并换码 / Bring a withdrawn venue back, with another code."""
    _do(venue, "reissue", reason, by, config, data)


def _do(of: str, action: VenueAction, reason: str, by: str, config: Path | None, data: Path | None) -> None:
    with opened(config, data) as it:
        venue = it.parts.venues.do(of, action, reason, _actor(it, by), it.now_ms)
    sys.stdout.write(f"{venue.id} {STATE_TITLES[venue.state]['zh']} {venue.state} #{venue.serial}\n")


@app.command(name="list")
def list_(  # noqa: PLR0913  # what a list may be about, one option each
    *,
    district: Annotated[str, Parameter(help="区县代码 / district")] = "",
    unit: Annotated[str, Parameter(help="责任单位 / who answers")] = "",
    kind: Annotated[VenueKind | None, Parameter(help="类别 / kind")] = None,
    state: Annotated[VenueState | None, Parameter(help="状态 / state")] = None,
    after: Annotated[str, Parameter(help="接上一页最后的编号 / the last id of the page before")] = "",
    limit: Annotated[int, Parameter(help="最多几个 / at most so many")] = 50,
    json: Json = False,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """列出场所 / List venues."""
    with opened(config, data) as it:
        found = it.parts.venues.listing(VenueQuery(district, unit, kind or "", state or "", after), limit)
    if json:
        for venue in found:
            sys.stdout.write(msgspec.json.encode(venue).decode() + "\n")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("编号 id", "名称 title", "类别 kind", "区县 district", "责任单位 unit", "状态 state", "码 code"):
        table.add_column(heading)
    for it_ in found:
        kind_, state_ = f"{KIND_TITLES[it_.kind]['zh']} {it_.kind}", f"{STATE_TITLES[it_.state]['zh']} {it_.state}"
        code = f"#{it_.serial} {show_moment(it_.code_ms)}"
        table.add_row(it_.id, it_.title, kind_, it_.district, it_.unit, state_, code)
    # In a pipe there is no window to fit into: nothing is wrapped or cut.
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, markup=False, highlight=False).print(table)


@app.command
def code(
    venue: VenueId,
    /,
    *,
    svg: Annotated[Path | None, Parameter(help="二维码写入此文件 / write the QR code to this file")] = None,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """场所的码:文字,可另存二维码 / A venue's code as text, and as a QR code in a file."""
    with opened(config, data) as it:
        found = it.parts.venues.venue(venue)
        if found.state != "issued":
            raise ScanError("Its code is withdrawn.", where=venue, fix="`hutong codes venues reissue` brings it back.")
        text = write_poster(found, it.config.node.name, venue_key(it.config.data))
    if svg is not None:
        try:
            svg.write_text(qr.svg(qr.matrix(text, "Q"), found.title), encoding="utf-8")
        except OSError as error:
            raise ScanError(f"The file cannot be written: {error.strerror}.", where=str(svg)) from error
    sys.stdout.write(f"{text}\n")


@app.command
def key(*, config: ConfigFile = None, data: DataFolder = None) -> None:
    """核验场所码的公钥 / The public key that verifies codes of venues."""
    public = venue_key(load_config(config, data=data).data).public
    sys.stdout.write(f"{public.algorithm}:{public.raw.hex()}\n")


@app.command
def read(
    text: Annotated[str, Parameter(name="TEXT", help="场所码的文字 / text of a venue's code")],
    /,
    *,
    key: Annotated[tuple[str, ...], Parameter(help="公钥,可多次 / public keys, as `venues key` prints them")],
) -> None:
    """离线核验场所码 / Verify a venue's code offline."""
    poster = read_poster(text, map(read_key, key), SystemClock().wall() // _NS_IN_MS)
    sys.stdout.write(msgspec.json.encode(poster).decode() + "\n")


def read_key(text: str) -> PublicKey:
    """A public key of venues, as `key` prints it.

    Raises:
        ScanError: it is none.
    """
    algorithm, _, raw = text.partition(":")
    try:
        return PublicKey(msgspec.convert(algorithm, Algorithm), bytes.fromhex(raw), 0, _FOREVER_MS)
    except (msgspec.ValidationError, ValueError) as error:
        fix = f"Write it like {ALGORITHMS[0]}:hex, as `hutong codes venues key` does."
        raise ScanError("This is no key of venues.", where=text[:20], fix=fix) from error
