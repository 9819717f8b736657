"""`hutong codes issue`, `revoke`, `revocations`: codes made by hand, for tests and on paper; codes taken back."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path  # noqa: TC003  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from cyclopts import Parameter

from hutong.app.cli_records import machine_user, open_records
from hutong.app.codes_keys_cli import ConfigFile, DataFolder, Out, write_out
from hutong.app.codes_status_work import people_of
from hutong.app.codes_work import code_issuer, day_names
from hutong.app.config import load_config
from hutong.codes import paper as paper_page
from hutong.codes import qr
from hutong.codes.bundles import BundleStore
from hutong.codes.claims import WHO_BYTES, Colour
from hutong.codes.issuing import Bearer, masked_name
from hutong.codes.people.day_keys import day_of
from hutong.kernel.access.trail import Trail
from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.app.config import Config
    from hutong.codes.issuing import Issuer
    from hutong.kernel.records import Database

_NS_IN_MS: Final = 1_000_000
_PERSON_BYTES: Final = 16
_PNG_SCALE: Final = 8


class _Sitting(msgspec.Struct, frozen=True):
    """Settings, open records, the time."""

    config: Config
    database: Database
    now_ms: int

    @property
    def issuer(self) -> Issuer:
        """What issues codes."""
        return code_issuer(self.config, self.database)

    def name(self, person: str) -> bytes:
        """What codes show of a person today."""
        names = day_names(self.config, people_of(self.config, self.database))
        return names.name(person, day_of(self.now_ms))

    def record(self, deed: str, target: str, after: object = None, why: str = "") -> None:
        """Put a deed on the trail."""
        trail = Trail(self.database)
        trail.record(machine_user(), "local", deed, target, None, after, why, now_ms=self.now_ms)


@contextmanager
def _opened(config: Path | None, data: Path | None) -> Iterator[_Sitting]:
    settings = load_config(config, data=data)
    with open_records(settings, existing=False) as database:
        yield _Sitting(settings, database, SystemClock().wall() // _NS_IN_MS)


def issue(
    *,
    name: Annotated[str, Parameter(help="姓名,码上只显示第一个字 / name; codes show its first character")],
    tail: Annotated[str, Parameter(help="证件末两位 / last two characters of the identity document")] = "",
    colour: Annotated[Colour, Parameter(help="颜色;纸质码没有 / colour; paper has none")] = "green",
    person: Annotated[str, Parameter(help="化名,缺省随机 / pseudonym; random by default")] = "",
    paper: Annotated[
        bool, Parameter(negative="", help="纸质码:期限长,用途窄 / paper: longer term, narrower use")
    ] = False,
    out: Annotated[
        Path | None,
        Parameter(
            help="写入 .svg、.png、.pdf(纸质码)或 .json(整批码) / .svg, .png, .pdf (paper) or .json (the bundle)"
        ),
    ] = None,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """发码:纸质码,或供测试的一批码;显示当前的码 / Issue a paper code, or a bundle for tests; prints the code of now."""
    with _opened(config, data) as desk:
        bearer = Bearer(
            person=person or os.urandom(_PERSON_BYTES).hex(),
            who=desk.name(person) if person else os.urandom(WHO_BYTES),
            kind="own",
            name=masked_name(name),
            tail=tail,
            colour=colour,
            as_of_ms=desk.now_ms,
        )
        form = _form(out, paper=paper)
        if paper:
            code = desk.issuer.paper(bearer, desk.now_ms)
            handle, text = code.handle, code.text
            drawn = {"svg": lambda: paper_page.page_svg(code).encode(), "pdf": lambda: paper_page.page_pdf(code)}
        else:
            bundle = desk.issuer.wallet(bearer, (), desk.now_ms).own
            handle, text = bundle.handle, bundle.text(bundle.at(desk.now_ms) or 0)
            drawn = {"svg": lambda: qr.svg(qr.matrix(text)).encode(), "json": lambda: msgspec.json.encode(bundle)}
        drawn["png"] = lambda: qr.png(qr.matrix(text), _PNG_SCALE)
        desk.record("codes.issue", handle.hex(), {"kind": "paper" if paper else "own"})
        if form:
            write_out(out, drawn[form]())
    sys.stdout.write(f"{text}\n")
    sys.stderr.write(f"注销号 handle: {handle.hex()}\n")


def revoke(
    handles: Annotated[tuple[str, ...], Parameter(name="HANDLE", help="注销号 / handles of bundles")] = (),
    /,
    *,
    why: Annotated[str, Parameter(help="原因 / why")],
    person: Annotated[str, Parameter(help="某人的全部码 / all codes of this pseudonym")] = "",
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """注销整批码或纸质码 / Revoke bundles or paper codes."""
    with _opened(config, data) as desk, desk.database.write():
        store = BundleStore(desk.database)
        for handle in handles:
            store.bundle(handle)  # raises for one that is not there
        held = [it.handle for it in store.of_person(person, desk.now_ms)] if person else []
        chosen = [*handles, *held]
        done = store.revoke(chosen, desk.now_ms)
        for handle in chosen:
            desk.record("codes.revoke", handle, why=why)
    sys.stdout.write(f"{done} 批已注销 revoked\n")


def revocations(
    *,
    since: Annotated[int, Parameter(help="此版本之后的;0 为全部 / what is new since this version; 0: all")] = 0,
    out: Out = None,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """导出签名的注销表 / Write the signed revocation list."""
    with _opened(config, data) as desk:
        write_out(out, desk.issuer.news(since, desk.now_ms))


def _form(out: Path | None, *, paper: bool) -> str:
    """What a file is to be, by its name.

    Raises:
        StateError: nothing that such a code can be.
    """
    if out is None:
        return ""
    form, known = out.suffix.removeprefix(".").lower(), ("svg", "png", "pdf" if paper else "json")
    if form not in known:
        raise StateError("A code cannot be written so.", where=str(out), fix=f"Name it .{', .'.join(known)}.")
    return form
