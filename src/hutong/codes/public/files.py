"""Files of the public pages, each made once: pages in both languages, scripts, styles, what an installed page needs.

They are the same for everybody, so an edge in front may hold them too (`write`). Pure but for reading this folder.
"""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from hutong.codes.people.documents import KINDS
from hutong.kernel.web import frame as web
from hutong.kernel.web.texts import LANGUAGES

if TYPE_CHECKING:
    from hutong.kernel.web.frame import Frame

HOME: Final = Path(__file__).resolve().parent
"""Holds `templates/`, `static/` and `texts.toml`."""
STATIC: Final = HOME / "static"
#: Texts that verdicts are told in, beside `HOME`'s own.
TEXTS: Final = HOME.parent / "texts.toml"
PREFIX: Final = "/codes/"
_TYPES: Final = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
#: What the page that shows a code loads; the other page's come when somebody opens that.
_SHOWING: Final = (
    *("show", "asking", "bundle", "bytes", "cbor", "claims", "documents", "drawing", "installed", "kept", "sign1"),
    *("words", "vendor/qr/index"),
)
_CHECKING: Final = (
    *("check", "asking", "bundle", "bytes", "cbor", "claims", "documents", "installed", "kept", "seen", "sign1"),
    *("verification", "words", "vendor/qr/index", "vendor/qr/decode", "vendor/noble-ed25519/index"),
)
_LOOKS: Final = ("/static/tokens.css", "/static/frame.css", "/static/mark.svg", f"{PREFIX}static/codes.css")
#: Groups of texts that scripts say, and what these call them.
_SAID: Final = {"codes_words.": "", "codes.verdict.": "verdict.", "codes.reason.": "reason."}


class File(msgspec.Struct, frozen=True):
    """A file as it is answered.

    Attributes:
        type: its content type. body, packed: plain, and gzip (RFC 1952) where that is smaller, else empty.
        tag: its entity tag (RFC 9110 §8.8.3).
    """

    type: str
    body: bytes
    packed: bytes
    tag: str


class PublicFiles:
    """Every file by its path, with the query that belongs to it.

    Args:
        frame: renders pages; it knows `HOME` and `TEXTS`. node: this node's name, as people read it.
    """

    def __init__(self, frame: Frame, node: str) -> None:
        static = {f"{PREFIX}static/{path.relative_to(STATIC)}": path.read_bytes() for path in _own_files()}
        static |= {
            path: (web.STATIC / path.removeprefix("/static/")).read_bytes() for path in _LOOKS if path not in static
        }
        self.version = hashlib.sha256(b"".join(static[path] for path in sorted(static))).hexdigest()[:12]
        self.files = {path: _file(Path(path).suffix, body) for path, body in static.items()}
        for lang in LANGUAGES:
            said = msgspec.json.encode(_words(frame, lang)).decode().replace("<", "\\u003c")
            for name, path in (("show", PREFIX), ("check", f"{PREFIX}check")):
                page = frame.render(
                    f"codes_{name}.html", lang, words=said, version=self.version, node=node, kinds=KINDS
                )
                self.files[f"{path}?lang={lang}"] = _file(".html", page.encode())
        self.files[f"{PREFIX}worker.js"] = self.files.pop(f"{PREFIX}static/worker.js")
        self.files[f"{PREFIX}manifest.webmanifest"] = _file(".webmanifest", _manifest(frame))
        self.files[f"{PREFIX}files"] = _file(".json", msgspec.json.encode(self._needed()))

    def file(self, path: str, query: str, language: str) -> File | None:
        """The file of an address; pages in the reader's language. None where there is none."""
        return self.files.get(f"{path}?{query}") or self.files.get(f"{path}?lang={language}") or self.files.get(path)

    def _needed(self) -> dict[str, list[str]]:
        """What a device keeps, by page."""
        found = {}
        for name, path, scripts in (("show", PREFIX, _SHOWING), ("check", f"{PREFIX}check", _CHECKING)):
            pages = [path, *(f"{path}?lang={lang}" for lang in LANGUAGES), f"{PREFIX}manifest.webmanifest"]
            found[name] = [*pages, *_LOOKS, *(f"{PREFIX}static/{script}.js" for script in scripts)]
        return found


def _own_files() -> list[Path]:
    return [path for path in sorted(STATIC.rglob("*")) if path.suffix in _TYPES]


def _file(suffix: str, body: bytes) -> File:
    kind = {".html": "text/html", ".json": "application/json"}.get(suffix) or _TYPES[suffix]
    packed = gzip.compress(body, 9, mtime=0)
    text = kind if kind == "application/json" else f"{kind}; charset=utf-8"
    return File(text, body, packed if len(packed) < len(body) else b"", f'"{hashlib.sha256(body).hexdigest()[:16]}"')


def _words(frame: Frame, lang: str) -> dict[str, str]:
    """What scripts say in a language; places in braces are theirs to fill in."""
    found = {}
    for key in frame.texts.keys():  # noqa: SIM118  # texts are no mapping
        for group, prefix in _SAID.items():
            if key.startswith(group):
                found[f"{prefix}{key.removeprefix(group)}"] = frame.texts.template(key, lang)
    return found


def _manifest(frame: Frame) -> bytes:
    title = frame.texts.say("codes_pages.show.title", LANGUAGES[0])
    icon = {"src": "/static/mark.svg", "type": "image/svg+xml", "sizes": "any"}
    return msgspec.json.encode(
        {
            "name": f"{title} · {frame.texts.say('frame.brand', LANGUAGES[0])}",
            "short_name": title,
            "start_url": PREFIX,
            "scope": PREFIX,
            "display": "standalone",
            "background_color": "#f3f5f7",
            "theme_color": "#16202b",
            "icons": [icon],
        }
    )
