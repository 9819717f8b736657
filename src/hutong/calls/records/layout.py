"""How an operator's file says what `columns` says: a small TOML file, read and checked here."""

from __future__ import annotations

import codecs
import tomllib
from typing import TYPE_CHECKING, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from hutong.calls.records.columns import COLUMNS, REQUIRED, UNUSED
from hutong.kernel.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

Unit = Literal["ms", "s"]
#: Ways to write a time that have a name; anything else is a strptime pattern.
TIME_FORMATS: Final = ("rfc3339", "local", "epoch-ms", "epoch-s")
#: Stands for every trunk that is not named.
ANY_TRUNK: Final = "*"
_SEPARATORS: Final = ("", ",", ";", "\t", "|")


class FileLayout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of a CSV file: encoding, whether its first row names the columns, what separates fields ("" = found out)."""

    encoding: str = "utf-8"
    header: bool = True
    separator: str = ""


class TimeLayout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How times are written, and the zone of those that do not say it (IANA name)."""

    format: str = ""
    zone: str = "UTC"


class UnitLayout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Units of durations."""

    ring_ms: Unit = "ms"
    talk_ms: Unit = "ms"


class AnsweredLayout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands for answered and for not answered; everything else is a bad row, an empty field is not known."""

    yes: tuple[str, ...] = ("1",)
    no: tuple[str, ...] = ("0",)


class Layout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file's layout. Without one, files are as docs/records.md says.

    Attributes:
        columns: our name -> theirs, or the position (from 1) where no row names them; empty = they have our names.
        trunks: their name of a trunk -> ours; empty = they have our names.
    """

    file: FileLayout = FileLayout()
    columns: dict[str, str | int] = msgspec.field(default_factory=dict)
    time: TimeLayout = TimeLayout()
    units: UnitLayout = UnitLayout()
    answered: AnsweredLayout = AnsweredLayout()
    trunks: dict[str, str] = msgspec.field(default_factory=dict)

    def name_of(self, column: str) -> str:
        """What the file calls one of our columns; "" where it has none such."""
        return str(self.columns.get(column, "")) if self.columns else column


def read_layout(path: Path) -> Layout:
    """The layout in a TOML file.

    Raises:
        ConfigError: the file cannot be read, or says something that is not known.
    """
    try:
        layout = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Layout)
    except OSError as error:
        raise ConfigError(f"the layout cannot be read: {error.strerror}.", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigError("the layout is not UTF-8.", where=str(path), fix="Save it as UTF-8.") from error
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(
            f"the layout is wrong: {error}.", where=str(path), fix="docs/records.md lists what it may say."
        ) from error
    _check(layout, str(path))
    return layout


def _check(layout: Layout, where: str) -> None:
    known = [name for name in COLUMNS if name not in UNUSED]
    for ours, theirs in layout.columns.items():
        if ours not in COLUMNS:
            raise ConfigError(
                f"there is no column {ours!r} of ours.", where=f"{where} [columns]", fix=f"Known: {', '.join(known)}."
            )
        if isinstance(theirs, int) is layout.file.header or theirs in ("", 0):
            wanted = "by names" if layout.file.header else "by positions from 1, because no row names them"
            raise ConfigError(
                f"column {ours} is {theirs!r}.", where=f"{where} [columns]", fix=f"Columns are told {wanted}."
            )
    missing = [name for name in REQUIRED if layout.columns and name not in layout.columns]
    if missing or (not layout.columns and not layout.file.header):
        raise ConfigError(
            f"it is not said where {', '.join(missing or REQUIRED)} stand.",
            where=f"{where} [columns]",
            fix="Name the file's own column for each of them.",
        )
    _check_values(layout, where)


def _check_values(layout: Layout, where: str) -> None:
    if layout.file.separator not in _SEPARATORS:
        raise ConfigError(
            f"separator {layout.file.separator!r} is none.", where=f"{where} [file]", fix="One of , ; | or a tab."
        )
    try:
        codecs.lookup(layout.file.encoding)
    except LookupError:
        raise ConfigError(
            f"there is no encoding {layout.file.encoding!r}.", where=f"{where} [file]", fix="Write utf-8 or gb18030."
        ) from None
    try:
        ZoneInfo(layout.time.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"there is no time zone {layout.time.zone!r}.", where=f"{where} [time]", fix='For example "Asia/Shanghai".'
        ) from None
    if layout.time.format and layout.time.format not in TIME_FORMATS and "%" not in layout.time.format:
        raise ConfigError(
            f"time format {layout.time.format!r} is none.",
            where=f"{where} [time]",
            fix=f"One of {', '.join(TIME_FORMATS)}, or a pattern such as %Y%m%d%H%M%S.",
        )
    both = set(layout.answered.yes) & set(layout.answered.no)
    if both:
        raise ConfigError(f"{min(both)!r} cannot be both yes and no.", where=f"{where} [answered]")
