"""`hutong audit`: the trail verified, checkpoints, proofs; the node may be running meanwhile."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hutong.app.cli_records import open_records
from hutong.app.config import load_config
from hutong.kernel import access
from hutong.kernel.audit.checkpoints import KEY_FILE, Checkpoints, Verification, gather_marks, trail_key
from hutong.kernel.audit.log import size_of
from hutong.kernel.audit.notes import NoteError, UnknownKeyError, notes_in, open_note, read_checkpoint, read_public_key
from hutong.kernel.audit.proofs import verify_proof
from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import StateError
from hutong.kernel.reporter import rfc3339
from hutong.kernel.web.texts import LANGUAGES, Texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hutong.app.config import Config
    from hutong.kernel.audit.notes import PublicKey
    from hutong.kernel.audit.verify import Fault
    from hutong.kernel.records import Database

app = App(name="audit", help="审计:核对操作记录、检查点、证明 / Audit: verify the trail, checkpoints, proofs")

_NS_IN_MS = 1_000_000

ConfigFile = Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")]
DataFolder = Annotated[Path | None, Parameter(help="数据目录 / data folder")]
Keys = Annotated[
    tuple[str, ...], Parameter(help="另外采信的公钥,可多次给出 / a public key to trust besides; may be repeated")
]


@app.command
def key(*, config: ConfigFile = None, data: DataFolder = None) -> None:
    """显示签署检查点的公钥,首次使用时生成 / Print the public key of checkpoints; the first use makes it."""
    settings = load_config(config, data=data)
    sys.stdout.write(f"{trail_key(settings.data, settings.node.name).public}\n")


@app.command
def checkpoint(*, config: ConfigFile = None, data: DataFolder = None) -> None:
    """签署检查点并显示,请存到别处 / Sign a checkpoint and print it, to be kept elsewhere."""
    with _opened(config, data) as (settings, database):
        kept = _checkpoints(settings, database).make(_now_ms())
    if kept is None:
        raise StateError("The trail has no entry yet.")
    sys.stdout.write(kept.note)


@app.command
def prove(
    number: Annotated[int, Parameter(name="N", help="操作记录的序号 / number of an entry of the trail")],
    /,
    *,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """证明某条操作记录在案,可离线验证 / Prove that an entry is on the trail; verified offline by `check`."""
    with _opened(config, data) as (settings, database):
        proof = _checkpoints(settings, database).prove(number, _now_ms())
    sys.stdout.write(proof.text())


@app.command
def check(
    file: Annotated[Path, Parameter(name="FILE", help="证明文件 / the proof")],
    /,
    *,
    key: Keys = (),
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """验证证明,只需公钥 / Verify a proof; takes nothing but the public key."""
    keys = _named(key) or _own_key(load_config(config, data=data))
    proven = verify_proof(_read(file).decode("utf-8", "replace"), keys)
    entry = proven.entry
    _say("trail.proven", number=proven.number, origin=proven.origin, size=proven.size)
    sys.stdout.write(f"{rfc3339(entry.time_ms * _NS_IN_MS)} {entry.who} {entry.deed} {entry.target}\n")
    sys.stdout.write(f"{entry.canonical().decode()}\n")


@app.command
def verify(
    *,
    since: Annotated[
        Path | None,
        Parameter(help="另存的检查点,操作记录须与之一致 / checkpoints kept elsewhere that the trail must fit"),
    ] = None,
    key: Keys = (),
    config: ConfigFile = None,
    data: DataFolder = None,
) -> int:
    """核对全部操作记录;有误则指出第一条,状态 1 / Verify the whole trail; names the first wrong entry, status 1."""
    with _opened(config, data) as (settings, database):
        keys = [*_named(key), *_own_key(settings)]
        more = b"" if since is None else _read(since)
        if since is not None:
            _must_count(more, keys, since)
        marks = gather_marks(database, settings.data, keys, more)
        found = _run(database, Verification(database, marks.marks))
    if marks.unknown:
        _say("trail.unknown", count=marks.unknown)
    if found.fault is not None:
        say_fault(found.fault)
        return 1
    held = max((mark.size for mark in marks.marks), default=0)
    _say("trail.held" if held else "trail.not_held", size=found.size, count=found.compared, held=held)
    if since is not None:
        _say("trail.since_file", file=since)
    if held < found.size:
        _say("trail.unsigned", first=held + 1, last=found.size)
    return 0


def say_fault(fault: Fault) -> None:
    """What is wrong, in both languages."""
    _say(f"trail.fault_{fault.word}", first=fault.first, last=fault.last, left=fault.left)
    if fault.id:
        _say("trail.row", id=fault.id)


@contextmanager
def _opened(config: Path | None, data: Path | None) -> Iterator[tuple[Config, Database]]:
    settings = load_config(config, data=data)
    with open_records(settings, missing="There is no trail yet.") as database:
        yield settings, database


def _checkpoints(settings: Config, database: Database) -> Checkpoints:
    return Checkpoints(database, settings.data, trail_key(settings.data, settings.node.name))


def _own_key(settings: Config) -> list[PublicKey]:
    """This data folder's key, if it has one: looking does not make it."""
    if not (settings.data / KEY_FILE).exists():
        return []
    return [trail_key(settings.data, settings.node.name).public]


def _named(keys: Sequence[str]) -> list[PublicKey]:
    return [read_public_key(it) for it in keys]


def _must_count(content: bytes, keys: Sequence[PublicKey], file: Path) -> None:
    """At least one checkpoint of the file is one that a known key signed, and none is forged."""
    signed = 0
    for note in notes_in(content):
        try:
            read_checkpoint(open_note(note, keys))
            signed += 1
        except UnknownKeyError:
            continue
        except NoteError as error:
            raise NoteError(error.what, where=str(file), fix="Take another copy of the checkpoint.") from error
    if not signed:
        raise NoteError(
            "There is no checkpoint in it that a known key signed.", where=str(file), fix="Name the key with --key."
        )


def _run(database: Database, verification: Verification) -> Verification:
    with database.read() as connection:
        size = size_of(connection)
    console = Console(stderr=True)
    columns = (TextColumn("核对 verifying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=size)
        while not verification.step():
            bar.update(task, completed=verification.size)
    return verification


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise StateError(f"The file cannot be read: {error.strerror}.", where=str(file)) from error


def _say(word: str, **values: object) -> None:
    texts = Texts([Path(access.__file__).with_name("texts.toml")])
    sys.stdout.write(" / ".join(texts.say(word, language, **values) for language in LANGUAGES) + "\n")


def _now_ms() -> int:
    return SystemClock().wall() // _NS_IN_MS
