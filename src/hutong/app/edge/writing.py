"""The edge's configuration from settings: the template filled in, its Lua and its pages, in one folder. No clock."""

from __future__ import annotations

import os
import pwd
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from hutong.kernel import addresses
from hutong.kernel.errors import ConfigError
from hutong.kernel.key_files import give_to_owner, make_folder
from hutong.kernel.overload.answers import page
from hutong.kernel.overload.board import FRESH_MS
from hutong.kernel.overload.classes import CLASSES, KINDS, Kind
from hutong.kernel.overload.concurrency import FIRST
from hutong.kernel.overload.places import LEAST_PACE, PROMISED
from hutong.kernel.overload.routes import Route
from hutong.kernel.web.installed import HEADERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hutong.app.overload_config import EdgeConfig, OverloadConfig
    from hutong.kernel.web.installed import File

HOME: Final = Path(__file__).parent
MODULES: Final = "/usr/lib/nginx/modules"
NAMES: Final = ("public", "stations")
#: Places of a process before anything is measured. Merges are short and alike, and all stations may begin in the same
#: minute: from eight, by an eighth at a time, it took two seconds, in which a third of them was refused.
FIRST_LIMITS: Final = {"public": FIRST, "stations": 32}
_MODE: Final = 0o755
#: Bytes of a socket's path (unix(7): 108 with the zero behind it).
_LONGEST_SOCKET: Final = 107

_FORWARD: Final = """\
            set $hutong_passed "";
            set $hutong_refused "";
            access_by_lua_block { require("hutong_edge").admit() }
            log_by_lua_block { require("hutong_edge").leave() }
            proxy_pass http://application;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header Hutong-Edge-Refused $hutong_refused;
            error_page 502 504 = @away;"""
_AWAY: Final = """\
        location @away {
            log_by_lua_block { require("hutong_edge").leave() }
            content_by_lua_block { require("hutong_edge").away() }
        }"""
_COPY: Final = """\
        location ^~ @PATH@ {
            limit_except GET { deny all; }
            proxy_pass http://unix:@PREFIX@/run/@NAME@.sock;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_cache copies;
            proxy_cache_key $request_uri;
            proxy_cache_use_stale error timeout invalid_header updating http_500 http_502 http_503 http_504 http_429;
            proxy_cache_background_update on;
            proxy_cache_lock on;
            proxy_cache_lock_timeout 1s;
            add_header Hutong-Copy $upstream_cache_status always;
        }"""
#: Pages that everybody gets: from the edge's own folder, so that they are there while the application is not.
_PAGES: Final = """\
        location ^~ @PREFIX@ {
            root @ROOT@;
            gzip_static on;
@HEADERS@
            add_header Cache-Control no-cache;
            add_header Vary "Accept-Encoding, Accept-Language";
            try_files $uri $uri.$hutong_language.html ${uri}index.$hutong_language.html @application;
        }
        location = @PREFIX@files {
            root @ROOT@;
            gzip_static on;
@HEADERS@
            add_header Cache-Control no-cache;
            default_type application/json;
            try_files $uri @application;
        }"""
#: Files of another part's prefix, of which this part has some.
_SHARED: Final = """
        location ^~ @SHARED@ {
            root @ROOT@;
            gzip_static on;
@HEADERS@
            add_header Cache-Control no-cache;
            try_files $uri @application;
        }"""
_TAG: Final = """
            etag off;
            add_header ETag $hutong_tag;"""
_TLS: Final = """\
        ssl_certificate @CERTIFICATE@;
        ssl_certificate_key @KEY@;
        ssl_protocols TLSv1.2 TLSv1.3;
        # Who comes back resumes: a tenth of the cost of a full handshake.
        ssl_session_cache shared:sessions:20m;
        ssl_session_timeout 1d;
        ssl_client_hello_by_lua_block { require("hutong_edge").hello() }"""


class RouteTable(NamedTuple):
    """Paths with their classes, and paths of which copies are kept."""

    routes: tuple[Route, ...]
    copies: tuple[str, ...]


class Places(NamedTuple):
    """Where things are, and how many: the edge's folder, the data folder, processes of each part by its name."""

    folder: Path
    data: Path
    processes: dict[str, int]


class Pages(NamedTuple):
    """Files that a part answers below a prefix, by path; pages in a language by path and `?lang=`.

    Attributes:
        shared: another prefix that some of them are below; "" where there is none.
        tagged: they carry the application's own tags, which say what is in a file; nginx's say when it was written.
            Nobody is answered 304 then.
    """

    prefix: str
    files: Mapping[str, File]
    shared: str = ""
    tagged: bool = False


class _Instance(NamedTuple):
    """One nginx: its own listener, workers and upstream."""

    name: str
    listen: str
    application: str
    workers: int
    priority: int
    networks: tuple[str, ...]
    best: Kind

    def applications(self, processes: int) -> str:
        """Lines of nginx's `upstream`.

        Who has the fewest requests gets the next one. A process that is gone is left alone for a second; of a single
        one nothing is remembered, so that it is there for everybody once it is back.
        """
        if processes == 1:
            return f"        server {addresses.parse_host_port(self.application)} max_fails=0;"
        asked = (addresses.parse_host_port(text) for text in process_addresses(self.application, processes))
        servers = (f"        server {it} max_fails=1 fail_timeout=1s;" for it in asked)
        return "\n".join(["        zone application 64k;", "        least_conn;", *servers])


def process_addresses(first: str, count: int) -> list[str]:
    """Where the processes of a part listen: at ports one after the other. Raises ConfigError: a port is too high."""
    address = addresses.parse_host_port(first)
    made = [addresses.HostPort(address.host, address.port + more) for more in range(count)]
    return [str(addresses.parse_host_port(str(it))) for it in made]


def ticket_keys(data: Path) -> Path:
    """Where a data folder keeps the keys of tickets."""
    return data / "keys" / "tickets.key"


def board_file(data: Path, name: str, process: int) -> Path:
    """Where a process behind this part of the edge tells how it fares; they are counted from 1."""
    return data / "run" / f"{name}-{process}.board"


def edge_file(folder: Path, name: str) -> Path:
    """Where this part of an edge in a folder tells how it fares."""
    return folder / "run" / f"{name}.edge"


def route_table() -> RouteTable:
    """The table in `routes.toml`."""
    table = tomllib.loads((HOME / "routes.toml").read_text(encoding="utf-8"))
    routes = tuple(Route(path, None if name == "free" else KINDS[name]) for path, name in table["classes"].items())
    return RouteTable(routes, tuple(table["copies"]["paths"]))


def write_edge(
    edge: EdgeConfig, overload: OverloadConfig, places: Places, pages: Mapping[str, Pages] | None = None
) -> list[Path]:
    """Write both configurations with all that they include; gives their files.

    Args:
        pages: of the parts by their names; those of a part that has none come from its application.

    Raises:
        OSError: something cannot be written.
        ConfigError: a path has a character that nginx takes for its own, or is too long.
    """
    folder = places.folder
    if len(f"{folder}/run/{max(NAMES, key=len)}.sock".encode()) > _LONGEST_SOCKET:
        fix = f"Choose one of at most {_LONGEST_SOCKET - len('/run/.sock') - len(max(NAMES, key=len))} bytes."
        raise ConfigError("The path is too long for a socket in it.", where=str(folder), fix=fix)
    for part in (folder, folder / "run", folder / "lua", folder / "pages"):
        make_folder(part, _MODE)
    for file in sorted((HOME / "lua").glob("*.lua")):
        _write(folder / "lua" / file.name, file.read_text(encoding="utf-8"))
    told = {"busy": page("busy", place=True), "full": page("busy", place=False), "away": page("away", place=False)}
    for name, text in told.items():
        _write(folder / "pages" / f"{name}.html", text)
    written = []
    for instance in (
        # Nice: where both have work, stations go first.
        _Instance("public", edge.listen, edge.application, edge.workers, 5, (), Kind.SCAN),
        _Instance(
            "stations",
            edge.stations_listen,
            edge.stations_application,
            edge.stations_workers,
            0,
            edge.stations_networks,
            Kind.CRITICAL,
        ),
    ):
        file = folder / f"{instance.name}.conf"
        its = (pages or {}).get(instance.name)
        if its is not None:
            _write_pages(folder / "root" / instance.name, its)
        _write(file, _configuration(instance, edge, overload, places, its))
        written.append(file)
    return written


def _write_pages(root: Path, pages: Pages) -> None:
    """Every file under its path, packed beside plain; what an older version had and this one has not goes."""
    written = set()
    for path, it in pages.files.items():
        file = root / _file_name(path)
        make_folder(file.parent, _MODE)
        for name, body in ((file, it.body), (file.with_name(f"{file.name}.gz"), it.packed)):
            if body:
                _write(name, body)
                written.add(name)
    for old in [it for it in root.rglob("*") if it.is_file() and it not in written]:
        old.unlink()


def _file_name(path: str) -> str:
    """`/codes/?lang=zh` is `codes/index.zh.html`, `/codes/check?lang=zh` is `codes/check.zh.html`."""
    plain, _, language = path.lstrip("/").partition("?lang=")
    if not language:
        return plain
    return f"{plain}{'index' if plain.endswith('/') else ''}.{language}.html"


def _pages(pages: Pages | None, folder: Path, name: str) -> str:
    if pages is None:
        return ""
    headers = "\n".join(f'            add_header {key.decode()} "{value.decode()}";' for key, value in HEADERS)
    headers += _TAG if pages.tagged else ""
    values = {
        "@PREFIX@": pages.prefix,
        "@SHARED@": pages.shared,
        "@ROOT@": _path(str(folder / "root" / name)),
        "@HEADERS@": headers,
    }
    text = _PAGES + (_SHARED if pages.shared else "")
    for key, value in values.items():
        text = text.replace(key, value)
    return text


def _tags(pages: Pages) -> str:
    """Files and their tags as nginx's `map`."""
    lines = [f"        /{_file_name(path)} '{it.tag}';" for path, it in pages.files.items()]
    return "\n".join(["    map $uri $hutong_tag {", *lines, "    }"])


def _configuration(
    instance: _Instance, edge: EdgeConfig, overload: OverloadConfig, places: Places, pages: Pages | None
) -> str:
    table = route_table()
    copies = "\n".join(_COPY.replace("@PATH@", path) for path in table.copies)
    tls = _TLS.replace("@CERTIFICATE@", _path(edge.tls_certificate)).replace("@KEY@", _path(edge.tls_key))
    listen = f"{addresses.parse_host_port(instance.listen)} backlog=4096 deferred"
    numbers = range(1, places.processes[instance.name] + 1)
    allowed = [f"        allow {network};" for network in instance.networks]
    values = {
        "COPIES": copies,
        "TAGS": _tags(pages) if pages is not None and pages.tagged else "",
        "TAG": _TAG if pages is not None and pages.tagged else "",
        "PAGES": _pages(pages, places.folder, instance.name),
        "SHIPPED": _path(str(places.folder / "root" / instance.name)),
        "PASS": _FORWARD,
        "AWAY": _AWAY,
        "TLS": tls if edge.tls_certificate else "",
        "NAME": instance.name,
        "PREFIX": _path(str(places.folder)),
        "MODULES": MODULES,
        "USER": _user(places.folder),
        "WORKERS": str(instance.workers),
        "PRIORITY": str(instance.priority),
        "CONNECTIONS": str(edge.connections),
        "KEYS": _path(str(ticket_keys(places.data))),
        "BOARDS": ", ".join(f'"{_path(str(board_file(places.data, instance.name, it)))}"' for it in numbers),
        "SAYS": _path(str(edge_file(places.folder, instance.name))),
        "SECURE": "; Secure" if edge.tls_certificate else "",
        "WINDOW_MS": str(overload.window_s * 1000),
        "HORIZON_MS": str(overload.horizon_s * 1000),
        "PROMISED": str(PROMISED),
        "LEAST_PACE": str(LEAST_PACE),
        "FIRST_LIMIT": str(FIRST_LIMITS[instance.name]),
        "BOARD_MS": str(FRESH_MS),
        "HANDSHAKES": str(edge.handshakes),
        "CACHE_MB": str(edge.cache_mb),
        "CLASSES": "\n".join(_class_line(kind) for kind in Kind),
        "ROUTES": _routes(table.routes, instance.best),
        "APPLICATIONS": instance.applications(len(numbers)),
        # What was sent to a process already is not sent to another, unless asking twice is harmless (RFC 9110 §9.2.2).
        "NEXT": "error" if len(numbers) > 1 else "off",
        "LISTEN": f"{listen} ssl" if edge.tls_certificate else listen,
        "ALLOWED": "\n".join([*allowed, "        deny all;"] if allowed else []),
        "ROOT": _path(edge.root or str(places.folder / "pages")),
    }
    text = (HOME / "edge.conf").read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return "\n".join(line for line in text.splitlines() if line.strip()) + "\n"


def _write(file: Path, content: str | bytes) -> None:
    """Whole or not at all: an nginx that reloads meanwhile must not read half of it."""
    fresh = file.with_name(f"{file.name}.new")
    with fresh.open("wb") as out:
        give_to_owner(out.fileno(), file.parent)
        out.write(content.encode() if isinstance(content, str) else content)
    fresh.replace(file)


def _class_line(kind: Kind) -> str:
    one = CLASSES[kind]
    numbers = f"share = {one.share}, queue = {one.queue}, enters = {int(one.enters)}, waits = {int(one.waits)}"
    return f'                {{ name = "{one.name}", {numbers} }},'


def _routes(routes: tuple[Route, ...], best: Kind) -> str:
    """Lines of nginx's `map`; it takes the first regular expression that fits, so the longest path comes first."""
    lines = []
    for prefix, kind in sorted(routes, key=lambda it: -len(it.prefix)):
        name = "free" if kind is None else CLASSES[max(kind, best)].name
        lines.append(f"        ~^{prefix}(/|$) {name};")
    return "\n".join(lines)


def _path(path: str) -> str:
    """A path as nginx and Lua take it between quotes or bare.

    Raises:
        ConfigError: it has a character that would end it there.
    """
    if any(it in " \t\n\"'\\;{}$#" for it in path):
        raise ConfigError("nginx cannot be given this path.", where=path, fix="Use a path of letters, digits, . _ - /.")
    return path


def _user(folder: Path) -> str:
    """Root's workers run as whoever owns the folder: they read the board, and keep copies."""
    if os.geteuid() != 0:
        return ""
    owner = folder.stat()
    return f"user {pwd.getpwuid(owner.st_uid).pw_name};"
