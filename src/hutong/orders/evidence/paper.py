"""What people read in a pack: the same page as HTML and as PDF, in both languages."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from hutong.kernel.documents import pdf_of
from hutong.kernel.web.frame import Frame
from hutong.orders.bases import bases
from hutong.orders.table import MOVES, STATE_TITLES

if TYPE_CHECKING:
    from hutong.orders.evidence.material import Material

HOME: Final = Path(__file__).resolve().parents[1]
#: Calls that a page shows; the rest are in calls.csv.
_SHOWN: Final = 200
_NAMES: Final = {"zh": "index", "en": "index.en"}


def papers(it: Material, zone: str = "Asia/Shanghai") -> dict[str, bytes]:
    """index.html, index.pdf and the same in English, by name.

    Raises:
        HutongError: PDF cannot be made here.
    """
    frame, place = Frame([HOME]), ZoneInfo(zone)
    files = {}
    for language, name in _NAMES.items():
        page = frame.render("evidence_pack.html", language, **_values(it, language, place))
        files[f"{name}.html"] = page.encode()
        files[f"{name}.pdf"] = pdf_of(page)
    return files


def _values(it: Material, language: str, place: ZoneInfo) -> dict[str, Any]:
    def at(ms: int) -> str:
        return datetime.fromtimestamp(ms / 1000, place).strftime("%Y-%m-%d %H:%M:%S") if ms else "–"

    def did(action: str) -> str:
        move = MOVES.get(action)  # type: ignore[call-overload]  # other systems' stories have other actions
        return str(getattr(move, language)) if move else action

    known = bases()
    return {
        "it": it,
        "at": at,
        "did": did,
        "basis": lambda name: getattr(known[name], language) if name in known else name,
        "state": lambda name: STATE_TITLES[name][language] if name in STATE_TITLES else name,
        "calls": it.calls.calls[:_SHOWN],
        "zone": place.key,
    }
