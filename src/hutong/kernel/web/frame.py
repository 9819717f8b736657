"""The page frame: templates that escape by default, formats of figures, the reader's language.

Belongs here: what any system's page needs in order to be rendered. Not here: routes, data, a system's words.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hutong.kernel.web.texts import LANGUAGES, Texts

if TYPE_CHECKING:
    from collections.abc import Sequence

HOME = Path(__file__).resolve().parent
STATIC = HOME / "static"

_WHOLE_FROM = 10  # a rate of 9.4 needs its decimal, one of 312.4 does not
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def count(value: int) -> str:
    """12345 → 12,345."""
    return f"{value:,}"


def rate(value: float) -> str:
    """Something per second: 0, 0.4, 312."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if value >= _WHOLE_FROM else f"{value:.1f}"


def share(value: float) -> str:
    """A fraction of 1 as a percentage: 0.2345 → 23.5%."""
    return f"{value * 100:.1f}%"


def big(value: int) -> str:
    """A figure of which only the size matters: 812, 5.00 M, 1.20 G."""
    for limit, unit in ((10**9, "G"), (10**6, "M")):
        if value >= limit:
            return f"{value / limit:.2f} {unit}"
    return count(value)


def figure(value: float | None) -> str:
    """A figure in a table beside a chart: whole ones with separators, others to four digits, a dash for none."""
    if value is None:
        return "–"
    return count(int(value)) if value == int(value) else f"{value:,.4g}"


class Frame:
    """Renders the pages of the systems whose folders it was given.

    Args:
        folders: each holds `templates/` and `texts.toml`; the frame's own come first.
        texts: further text files.
    """

    def __init__(self, folders: Sequence[Path] = (), texts: Sequence[Path] = ()) -> None:
        homes = [HOME, *folders]
        self.texts = Texts([*(home / "texts.toml" for home in homes), *texts])
        self._environment = Environment(
            loader=FileSystemLoader([home / "templates" for home in homes]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(count=count, rate=rate, share=share, big=big, figure=figure)
        self._environment.globals["has_text"] = self.texts.__contains__

    def render(self, template: str, language: str, **values: Any) -> str:  # noqa: ANN401  # a template takes any value
        """A template as text. In it, `t(key, …)` says a text, `lang` and `languages` are the reader's and all.

        Args:
            template: the file's name in one of the template folders.
            language: one of `LANGUAGES`.
            values: what the template names; a missing one is an error, never an empty place.
        """

        def say(key: str, **places: object) -> str:
            return self.texts.say(key, language, **places)

        def duration(seconds: float) -> str:
            return self._duration(seconds, language)

        return self._environment.get_template(template).render(
            t=say, duration=duration, lang=language, languages=LANGUAGES, **values
        )

    def _duration(self, seconds: float, language: str) -> str:
        """The two largest units of a time span: 8 s, 5 min, 2 min 10 s, 3 h 4 min, 2 d 5 h."""
        whole = max(int(seconds), 0)
        units = (("day", _DAY), ("hour", _HOUR), ("minute", _MINUTE), ("second", 1))
        parts = []
        for name, size in units:
            if whole >= size:
                parts.append(self.texts.say(f"duration.{name}", language, count=whole // size))
                whole %= size
            elif parts:
                break
        return " ".join(parts[:2]) or self.texts.say("duration.second", language, count=0)
