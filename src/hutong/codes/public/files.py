"""Files of the public pages, each made once: pages in both languages, scripts, styles, what an installed page needs.

They are the same for everybody, so an edge in front may hold them too (`write`). Pure but for reading this folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from hutong.codes.people.documents import KINDS
from hutong.kernel.web import frame as web
from hutong.kernel.web.installed import file_of, in_page, manifest, static_files, version_of, words_of
from hutong.kernel.web.texts import LANGUAGES

if TYPE_CHECKING:
    from hutong.kernel.web.frame import Frame
    from hutong.kernel.web.installed import File

HOME: Final = Path(__file__).resolve().parent
"""Holds `templates/`, `static/` and `texts.toml`."""
STATIC: Final = HOME / "static"
#: Texts that verdicts are told in, beside `HOME`'s own.
TEXTS: Final = HOME.parent / "texts.toml"
PREFIX: Final = "/codes/"
#: What the page that shows a code loads; the other page's come when somebody opens that.
_SHOWING: Final = (
    *("show", "asking", "bundle", "bytes", "cbor", "claims", "documents", "drawing", "installed", "kept", "mine"),
    *("sign1", "words", "vendor/qr/index"),
)
_CHECKING: Final = (
    *(
        "check",
        "asking",
        "bundle",
        "bytes",
        "camera",
        "cbor",
        "claims",
        "documents",
        "installed",
        "kept",
        "seen",
        "sign1",
    ),
    *("verification", "words", "vendor/qr/index", "vendor/qr/decode", "vendor/noble-ed25519/index"),
)
_AT_DOORS: Final = (
    *("checkin", "asking", "bundle", "bytes", "camera", "cbor", "claims", "installed", "kept", "sign1", "words"),
    *("vendor/qr/decode", "vendor/noble-ed25519/index"),
)
#: Pages by name: where they are, and the scripts that they need.
_PAGES: Final = {
    "show": (PREFIX, _SHOWING),
    "check": (f"{PREFIX}check", _CHECKING),
    "checkin": (f"{PREFIX}checkin", _AT_DOORS),
}
_LOOKS: Final = ("/static/tokens.css", "/static/frame.css", "/static/mark.svg", f"{PREFIX}static/codes.css")
#: Groups of texts that scripts say, and what these call them.
_SAID: Final = {"codes_words.": "", "codes.verdict.": "verdict.", "codes.reason.": "reason."}


class PublicFiles:
    """Every file by its path, with the query that belongs to it.

    Args:
        frame: renders pages; it knows `HOME` and `TEXTS`. node: this node's name, as people read it.
    """

    def __init__(self, frame: Frame, node: str) -> None:
        static = static_files(STATIC, f"{PREFIX}static/")
        static |= {
            path: (web.STATIC / path.removeprefix("/static/")).read_bytes() for path in _LOOKS if path not in static
        }
        self.version = version_of(static)
        self.files = {path: file_of(Path(path).suffix, body) for path, body in static.items()}
        for lang in LANGUAGES:
            said = in_page(words_of(frame.texts, _SAID, lang))
            for name, (path, _) in _PAGES.items():
                page = frame.render(
                    f"codes_{name}.html", lang, words=said, version=self.version, node=node, kinds=KINDS
                )
                self.files[f"{path}?lang={lang}"] = file_of(".html", page.encode())
        self.files[f"{PREFIX}worker.js"] = self.files.pop(f"{PREFIX}static/worker.js")
        self.files[f"{PREFIX}manifest.webmanifest"] = file_of(".webmanifest", _manifest(frame))
        self.files[f"{PREFIX}files"] = file_of(".json", msgspec.json.encode(self._needed()))

    def file(self, path: str, query: str, language: str) -> File | None:
        """The file of an address; pages in the reader's language. None where there is none."""
        return self.files.get(f"{path}?{query}") or self.files.get(f"{path}?lang={language}") or self.files.get(path)

    def _needed(self) -> dict[str, list[str]]:
        """What a device keeps, by page."""
        found = {}
        for name, (path, scripts) in _PAGES.items():
            pages = [path, *(f"{path}?lang={lang}" for lang in LANGUAGES), f"{PREFIX}manifest.webmanifest"]
            found[name] = [*pages, *_LOOKS, *(f"{PREFIX}static/{script}.js" for script in scripts)]
        return found


def _manifest(frame: Frame) -> bytes:
    title = frame.texts.say("codes_pages.show.title", LANGUAGES[0])
    return manifest(f"{title} · {frame.texts.say('frame.brand', LANGUAGES[0])}", title, PREFIX)
