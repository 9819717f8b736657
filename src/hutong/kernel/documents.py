"""Documents to be printed and sent: a page of HTML as PDF.

Belongs here: what every system's documents share, so that none of them fetches anything, and all are set alike. Not
here: any document.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from hutong.kernel.errors import HutongError

if TYPE_CHECKING:
    from types import ModuleType

#: A face that Debian's fonts-wqy-microhei brings, with Latin letters and Chinese characters of one design.
FONT: Final = "WenQuanYi Micro Hei"

_SETTING: Final = f"""
@page {{ size: A4; margin: 18mm 16mm 20mm }}
html {{ font-family: "{FONT}", sans-serif; font-size: 10pt; line-height: 1.45 }}
"""


class DocumentError(HutongError):
    """A document cannot be made."""


def pdf_of(html: str) -> bytes:
    """A page as PDF on A4, in `FONT` unless it says otherwise; the same page gives the same bytes.

    Args:
        html: a whole page with its styles and drawings (SVG) in it. Nothing is fetched, from this machine or elsewhere.

    Raises:
        DocumentError: it names something outside itself, or the libraries that set text are not installed.
    """
    engine, fetcher = _engine(), _Nothing()
    page = engine.HTML(string=html, url_fetcher=fetcher, base_url=None)
    with contextlib.suppress(engine.urls.FatalURLFetchingError):
        made = bytes(page.write_pdf(stylesheets=[engine.CSS(string=_SETTING)], pdf_tags=True))
    # Within drawings the library goes on without what it was refused.
    if fetcher.asked:
        raise DocumentError(
            f"The document names something outside itself: {fetcher.asked[0][:80]}.", fix="Put it into the page."
        )
    return made


class _Nothing:
    """A fetcher of nothing, which knows what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, url: str) -> object:
        self.asked.append(url)
        raise _engine().urls.FatalURLFetchingError(url)


def _engine() -> ModuleType:
    # It takes a third of a second to load, and most commands make no document.
    try:
        import weasyprint  # type: ignore[import-untyped]  # noqa: PLC0415
    except OSError as error:
        raise DocumentError(
            "PDF cannot be made: the library Pango is not installed.",
            fix="Install the packages libpango-1.0-0, libpangoft2-1.0-0 and fonts-wqy-microhei, then try again.",
        ) from error
    found: ModuleType = weasyprint
    return found
