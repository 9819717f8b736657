"""Files of the station's page, each made once: the page in both languages, scripts, what an installed page needs.

Scripts that verify codes are another system's: whoever wires this gives them with their paths. Pure but for reading
this folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from hutong.kernel.web import frame as web
from hutong.kernel.web.installed import file_of, in_page, manifest, static_files, version_of, words_of
from hutong.kernel.web.texts import LANGUAGES
from hutong.sampling.errors import REASON_TITLES
from hutong.sampling.identity import masked_person
from hutong.sampling.machine import LARGEST_BATCH, LONGEST, forms
from hutong.sampling.model import FIELDS, SIZES
from hutong.sampling.station.web.app import PREFIX
from hutong.sampling.table import MOVES, STATE_TITLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hutong.kernel.web.frame import Frame
    from hutong.kernel.web.installed import File

HOME: Final = Path(__file__).resolve().parent
"""Holds `templates/`, `static/` and `texts.toml`."""
_LOOKS: Final = ("/static/tokens.css", "/static/frame.css", "/static/mark.svg")
#: Groups of texts that scripts say, and what these call them.
_SAID: Final = {
    "station_words.": "",
    "codes.verdict.": "verdict.",
    "codes.reason.": "reason.",
    **{f"codes_words.{group}.": f"{group}." for group in ("span", "colour", "kind", "use")},
}


class StationFiles:
    """Every file by its path, with the query that belongs to it.

    Args:
        frame: renders the page; it knows `HOME` and the texts of codes. node: this node's name, as people read it.
        codes: the files that verify codes, by their paths.
    """

    def __init__(self, frame: Frame, node: str, codes: Mapping[str, bytes]) -> None:
        static = static_files(HOME / "static", f"{PREFIX}static/") | dict(codes)
        static |= {path: (web.STATIC / path.removeprefix("/static/")).read_bytes() for path in _LOOKS}
        worker = static.pop(f"{PREFIX}static/worker.js")
        pages = {
            lang: frame.render(
                "station.html",
                lang,
                words=in_page(_words(frame, lang)),
                rules=in_page(station_rules()),
                sizes=SIZES,
                fields=FIELDS,
                node=node,
            )
            for lang in LANGUAGES
        }
        self.version = version_of(static | {lang: page.encode() for lang, page in pages.items()})
        self.files = {path: file_of(Path(path).suffix, body) for path, body in static.items()}
        for lang, page in pages.items():
            self.files[f"{PREFIX}?lang={lang}"] = file_of(".html", page.replace("@VERSION@", self.version).encode())
        title = frame.texts.say("station.title", LANGUAGES[0])
        name = f"{title} · {frame.texts.say('frame.brand', LANGUAGES[0])}"
        self.files[f"{PREFIX}manifest.webmanifest"] = file_of(".webmanifest", manifest(name, title, PREFIX))
        tags = [it.tag for it in self.files.values()]
        needed = {"version": self.version, "paths": [PREFIX, *self.files], "tags": tags}
        self.files[f"{PREFIX}worker.js"] = file_of(".js", worker)
        self.files[f"{PREFIX}files"] = file_of(".json", msgspec.json.encode(needed))

    def file(self, path: str, query: str, language: str) -> File | None:
        """The file of an address; the page in the reader's language. None where there is none."""
        found = self.files.get(f"{path}?{query}") or self.files.get(f"{path}?lang={language}")
        return found or self.files.get(path)


def station_rules() -> dict[str, object]:
    """The rules of `sampling.machine` as the page carries them."""
    moves = {action: {"from": move.sources, "to": move.to} for action, move in MOVES.items() if move.where == "station"}
    return {
        "moves": moves,
        "sizes": SIZES,
        "fields": FIELDS,
        "forms": forms(),
        "longest": LONGEST,
        "largest_batch": LARGEST_BATCH,
        "shown": len(masked_person("0" * 32)) - 1,
    }


def _words(frame: Frame, lang: str) -> dict[str, str]:
    said = words_of(frame.texts, _SAID, lang)
    said |= {f"refused.{reason}": title[lang] for reason, title in REASON_TITLES.items()}
    return said | {f"state.{state}": title[lang] for state, title in STATE_TITLES.items()}
