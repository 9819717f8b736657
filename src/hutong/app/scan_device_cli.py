"""`hutong codes scans device`: a device at a venue's door, with a store of its own and no network."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from cyclopts import App, Parameter

from hutong.codes.keys import read_key_set
from hutong.codes.revocation import no_revocations, read_news
from hutong.codes.scans.checking_in import at_station
from hutong.codes.scans.device import SERIES_BYTES, Device
from hutong.codes.scans.errors import ScanError
from hutong.codes.scans.files import write_batch
from hutong.codes.scans.model import Answer
from hutong.codes.scans.remote import RemoteScans, send_all
from hutong.codes.seen import Seen
from hutong.codes.verification import Trust, verify
from hutong.kernel.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.codes.outcome import Outcome
    from hutong.codes.revocation import Revocations
    from hutong.codes.scans.model import Scan

app = App(name="device", help="场所的扫码设备,无需网络 / A device that scans at a venue, with no network")
_NS_IN_MS: Final = 1_000_000
_LONGEST: Final = 1 << 26

Folder = Annotated[Path, Parameter(name="FOLDER", help="设备目录 / the device's folder")]


@contextmanager
def _opened(folder: Path) -> Iterator[Device]:
    device = Device(folder)
    try:
        device.open()
        yield device
    finally:
        device.close()


def _now_ms() -> int:
    return SystemClock().wall() // _NS_IN_MS


@app.command
def prepare(folder: Folder, /, *, name: Annotated[str, Parameter(help="设备名 / the device's name")]) -> None:
    """制备设备的存储 / Make a device's store."""
    device = Device(folder)
    try:
        device.make(name, os.urandom(SERIES_BYTES))
        sys.stdout.write(f"{name} {device.source().series}\n")
    finally:
        device.close()


@app.command
def take(
    folder: Folder,
    /,
    *,
    venue: Annotated[str, Parameter(help="设备所在场所 / the venue where it stands")],
    keys: Annotated[tuple[Path, ...], Parameter(help="密钥表,可多次 / key sets of personal codes")],
    revocations: Annotated[
        tuple[Path, ...], Parameter(help="注销表,可依次多次 / revocation lists, each the news since the last")
    ] = (),
) -> int:
    """核验并登记标准输入的码,每行一个;逐行回答 / Verify and keep codes on standard input, a line each; answers each."""
    trust, known = Trust([read_key_set(_read(file)) for file in keys]), dict[str, "Revocations"]()
    for file in revocations:
        news = read_news(_read(file), trust.key_sets)
        known[news.head.iss] = known.get(news.head.iss, no_revocations(news.head.iss)).applied(news)
    seen, wrong = Seen(venue), 0
    with _opened(folder) as device:
        for line in sys.stdin:
            if not line.strip():
                continue
            now_ms = _now_ms()
            outcome = verify(line, trust, known, seen, now_ms)
            (scan,) = device.keep([partial(_scan, outcome, venue, now_ms)])
            seen.note(outcome, now_ms)
            wrong += not outcome.is_valid
            told = " / ".join(outcome.told(language)[0] for language in ("zh", "en"))
            sys.stdout.write(f"{scan.sequence} {told}\n")
            sys.stdout.flush()
    return 1 if wrong else 0


def _scan(outcome: Outcome, venue: str, now_ms: int, sequence: int) -> Scan:
    return at_station(outcome, venue, sequence, now_ms)


@app.command
def standing(folder: Folder, /) -> None:
    """待上送与被拒收的登记 / What waits, and what the centre refused."""
    with _opened(folder) as device:
        found = device.standing()
    sys.stdout.write(f"待上送 waiting: {found.waiting}\n")
    for sequence, why in found.refused:
        sys.stdout.write(f"拒收 refused: {sequence} {why}\n")


@app.command
def export(folder: Folder, /) -> None:
    """待上送的登记写到标准输出,交由中心 `scans merge` / Write what waits to standard output, for `scans merge`."""
    with _opened(folder) as device:
        sys.stdout.writelines(write_batch(device.batch(_now_ms(), -1, live=False)))


@app.command
def send(
    folder: Folder,
    /,
    *,
    to: Annotated[str, Parameter(help="中心的地址 / the centre's address, such as https://codes.example")],
    token_file: Annotated[Path, Parameter(help="令牌文件(仅本人可读) / file of the device's token")],
) -> int:
    """待上送的登记送往中心,重复无妨 / Send what waits to the centre, as often as you like."""
    centre = RemoteScans(to, _read(token_file).decode().strip())
    try:
        with _opened(folder) as device:
            sent, found = send_all(device, centre, _now_ms), device.standing()
    finally:
        centre.close()
    sys.stdout.write(f"已送 sent: {sent}\n待上送 waiting: {found.waiting}\n拒收 refused: {len(found.refused)}\n")
    return 1 if found.refused else 0


@app.command
def answered(
    folder: Folder,
    answers: Annotated[Path, Parameter(name="ANSWERS", help="`scans merge` 的回答 / what `scans merge` answered")],
    /,
    *,
    again: Annotated[bool, Parameter(negative="", help="曾被拒收的重新上送 / what was refused waits again")] = False,
) -> None:
    """按中心的回答清理 / Let go of what the centre has."""
    with _opened(folder) as device:
        own = device.source()
        for line in _read(answers).splitlines():
            try:
                answer = msgspec.json.decode(line, type=Answer)
            except msgspec.DecodeError as error:
                raise ScanError(f"This is no answer: {error}.", where=str(answers)) from error
            if answer.source == own:
                device.answered(answer)
        if again:
            device.again()
        sys.stdout.write(f"待上送 waiting: {device.standing().waiting}\n")


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as source:
            return source.read(_LONGEST)
    except OSError as error:
        raise ScanError(f"The file cannot be read: {error.strerror}.", where=str(file)) from error
