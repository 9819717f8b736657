"""`/settings`: every setting that this node runs with, what it means, where it was set; and what it runs on.

Nothing is changed here: settings are a file, read at the start. Secrets are never shown.
"""

from __future__ import annotations

import platform
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from litestar import Request, Response, get

from hutong.app.config import Config, load_config
from hutong.kernel import settings
from hutong.kernel.errors import HutongError
from hutong.kernel.reporter import is_secret, mask_user_info
from hutong.kernel.toml_lines import line_of, lines_of
from hutong.kernel.web.exports import asks_export
from hutong.kernel.web.guard import requires as permitted
from hutong.kernel.web.tables import (
    Column,
    Filter,
    TableSpec,
    chosen,
    export_csv,
    page_of,
    read_query,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.access.trail import Trail
    from hutong.kernel.access.viewer import Viewer
    from hutong.kernel.web.console import Console

AnyRequest = Request[Any, Any, Any]
ORIGINS: Final = ("default", "file", "environment", "command")

_MASK = "****"
_BY_COMMAND: Final = (("node", "data"), ("serve", "listen"))
_NAME_ENDS = " <>=!~;["


class Setting(NamedTuple):
    """One setting in effect.

    Attributes:
        name: `section.key`, of repeated sections `section[1].key`.
        value: as TOML, a secret masked.
        zh, en: what it means. unit: of the value.
        origin: one of ORIGINS. place: file:line or variable; empty for the others.
        pending: the value that the file or environment gives now, where that is another: it counts from the next start.
    """

    name: str
    value: str
    zh: str
    en: str
    unit: str
    origin: str
    place: str
    pending: str


class Now(NamedTuple):
    """What file and environment say now, beside what the node runs with."""

    settings: list[Setting]
    wrong: list[str]


def settings_now(config: Config, file: Path | None, environ: Mapping[str, str]) -> Now:
    """Every setting in effect.

    Args:
        config: what the node runs with.
        file: the settings file that it was given.
        environ: its environment.
    """
    wrong: list[str] = []
    fresh: Config | None = None
    try:
        fresh = load_config(file, environ=environ)
    except HutongError as error:
        wrong = str(error).splitlines()
    origins = _Origins(file, environ)
    found: list[Setting] = []
    for entry in settings.entries(Config):
        if entry.repeated:
            continue
        value = getattr(getattr(config, entry.section), entry.key)
        now = getattr(getattr(fresh, entry.section), entry.key) if fresh is not None else value
        found.append(_setting(entry, f"{entry.section}.{entry.key}", value, now, origins.of(entry.section, entry.key)))
    found.extend(_repeated(config, fresh, origins))
    return Now(found, wrong)


def _repeated(config: Config, fresh: Config | None, origins: _Origins) -> Iterator[Setting]:
    entries = [entry for entry in settings.entries(Config) if entry.repeated]
    for section in dict.fromkeys(entry.section for entry in entries):
        items = getattr(config, section)
        now = getattr(fresh, section) if fresh is not None else items
        for at, item in enumerate(items):
            same = now[at] if at < len(now) else None
            for entry in (entry for entry in entries if entry.section == section):
                value = getattr(item, entry.key)
                later = getattr(same, entry.key) if same is not None else ""
                origin = origins.of(section, at, entry.key)
                yield _setting(entry, f"{section}[{at + 1}].{entry.key}", value, later, origin)


def _setting(entry: settings.Entry, name: str, value: object, now: object, origin: tuple[str, str]) -> Setting:
    kind, place = origin
    pending = ""
    if now != value and (entry.section, entry.key) in _BY_COMMAND:
        kind, place = "command", ""
    elif now != value:
        pending = _shown(entry.key, now)
        if kind == "default":
            kind = "file"  # it stood there at the start
    return Setting(name, _shown(entry.key, value), entry.doc.zh, entry.doc.en, entry.doc.unit, kind, place, pending)


def _shown(key: str, value: object) -> str:
    if is_secret(key) and isinstance(value, str) and value:
        return _MASK
    return mask_user_info(msgspec.json.encode(value).decode())


class _Origins:
    """Where a value comes from: the environment, then the file, then the default."""

    def __init__(self, file: Path | None, environ: Mapping[str, str]) -> None:
        self._file = file
        self._variables = {name.lower(): name for name in environ if name.startswith(settings.PREFIX)}
        self._lines: dict[tuple[str | int, ...], int] = {}
        self._table: dict[str, Any] = {}
        if file is not None:
            try:
                text = file.read_text(encoding="utf-8")
                self._table, self._lines = tomllib.loads(text), lines_of(text)
            except (OSError, ValueError):
                pass  # what is wrong with the file is told elsewhere on the page

    def of(self, *place: str | int) -> tuple[str, str]:
        """Kind and place of the origin of one setting."""
        variable = self._variables.get(f"{settings.PREFIX}{place[0]}__{place[-1]}".lower())
        if variable is not None:
            return "environment", variable
        found: Any = self._table
        for part in place:
            try:
                found = found[part]
            except (KeyError, IndexError, TypeError):
                return "default", ""
        return "file", f"{self._file}:{line_of(self._lines, place)}"


class Part(NamedTuple):
    """Something that the node runs on, and its version."""

    name: str
    version: str


def parts() -> list[Part]:
    """Hutong, Python, the kernel, and every library that Hutong asks for itself."""
    found = [
        Part("Hutong", version("hutong")),
        Part("Python", platform.python_version()),
        Part(platform.system(), platform.release()),
    ]
    names = (requirement for requirement in requires("hutong") or () if "extra ==" not in requirement)
    for name in sorted({_bare(requirement) for requirement in names}, key=str.lower):
        try:
            found.append(Part(name, version(name)))
        except PackageNotFoundError:
            continue
    return found


def _bare(requirement: str) -> str:
    """The name of what is required: "lmdb>=1.7" → lmdb."""
    ends = [at for char in _NAME_ENDS if (at := requirement.find(char)) > 0]
    return requirement[: min(ends, default=len(requirement))]


TABLE: Final = TableSpec(
    id="settings",
    columns=(
        Column("name", "settings.column.name"),
        Column("value", "settings.column.value"),
        Column("meaning", "settings.column.meaning", sortable=False),
        Column("origin", "settings.column.origin"),
    ),
    filters=(
        Filter("origin", "settings.column.origin", "choice", tuple((it, f"settings.origin.{it}") for it in ORIGINS)),
        Filter("text", "settings.column.text"),
    ),
    sizes=(100, 200),
)


def _value_in(lang: str) -> Callable[[Setting, str], Any]:
    def value(row: Setting, key: str) -> Any:  # noqa: ANN401  # a column of any type
        if key == "meaning":
            return row.zh if lang == "zh" else row.en
        if key == "text":
            return f"{row.name} {row.value} {row.zh} {row.en}"
        return getattr(row, key)

    return value


def routes(
    console: Console,
    *,
    config: Config,
    file: Path | None,
    environ: Mapping[str, str],
    digest: Callable[[], str],
    trail: Trail,
) -> list[HTTPRouteHandler]:
    """`/settings`.

    Args:
        console: makes the page.
        config: what the node runs with.
        file: the settings file it was given. environ: its environment.
        digest: of the rule set in force; empty where there is none.
        trail: told of exports.
    """
    runs_on = parts()

    @get("/settings", opt=permitted("settings.read"), sync_to_thread=True)
    def show(request: AnyRequest) -> Response[Any]:
        now = settings_now(config, file, environ)
        value = _value_in(console.language(request))
        query = read_query(TABLE, dict(request.query_params))
        if asks_export(request):
            viewer: Viewer = request.user
            trail.record(
                viewer.name,
                viewer.address,
                "tables.export",
                target="settings",
                after={"filters": query.filters},
                now_ms=console.now_ms(),
            )
            return export_csv("settings", _HEADER, _lines(chosen(TABLE, query, now.settings, value)))
        return console.page(
            request,
            "settings.html",
            view=page_of(TABLE, query, now.settings, value),
            changed=sum(it.origin != "default" for it in now.settings),
            pending=[it for it in now.settings if it.pending],
            wrong=now.wrong,
            file=file,
            parts=runs_on,
            digest=digest(),
        )

    return [show]


_HEADER: Final = ("name", "value", "unit", "zh", "en", "origin", "place", "pending")


def _lines(rows: Iterable[Setting]) -> Iterator[tuple[object, ...]]:
    for row in rows:
        yield tuple(getattr(row, name) for name in _HEADER)
