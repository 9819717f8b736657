"""Bulletins with any values, and what they need around them, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from hutong.bulletins.compose import Document, compose
from hutong.bulletins.definitions import shipped
from hutong.bulletins.model import Bulletin, Campaign, Day, Figure, Loss, Of, Part, RuleCalls, Unit
from hutong.bulletins.paper import HOME
from hutong.kernel.web.texts import Texts

if TYPE_CHECKING:
    from hutong.bulletins.definitions import FigureDef

TEXTS = Texts([HOME / "texts.toml"])
DEFINITIONS = shipped()
#: 2026-11-01 and 2026-12-01 in Shanghai, ms.
NOVEMBER, DECEMBER = 1_793_462_400_000, 1_796_054_400_000
_VALUES = st.none() | st.sampled_from([0, 1, 2, 19, 20, 21, 999, 1000]) | st.integers(0, 400_000_000)


@st.composite
def bulletins(draw: st.DrawFn) -> Bulletin:
    """Any bulletin of November 2026."""
    made: dict[str, Figure] = {}
    for of in DEFINITIONS.figure:
        made[of.id] = share(of, made) if of.part else figure(draw, of)
    decline = draw(st.sampled_from(["both", "cases", "amount", "neither", "unknown"]))
    return bulletin(tuple(made.values()), decline=decline)


def figure(draw: st.DrawFn, of: FigureDef) -> Figure:
    """A figure of any values."""
    now, previous, year = (Of(draw(_VALUES), full=draw(st.booleans())) for _ in range(3))
    value = now.value or 0
    parts = (Part("021", "mobile", value - value // 3), Part("", "telecom", value // 3)) if of.source == "calls" else ()
    return Figure(of.id, now, previous, year, tuple(part for part in parts if part.value))


def share(of: FigureDef, made: dict[str, Figure]) -> Figure:
    """A share of others."""

    def one(when: str) -> Of:
        part, wholes = getattr(made[of.part], when), [getattr(made[name], when) for name in of.whole]
        if part.value is None or any(it.value is None for it in wholes):
            return Of()
        return Of(part.value, sum(it.value for it in wholes), part.full and all(it.full for it in wholes))

    return Figure(of.id, one("now"), one("previous"), one("year"))


def bulletin(figures: tuple[Figure, ...], **fields: object) -> Bulletin:
    """A bulletin of these figures."""
    given = {
        "days": tuple(
            Day(f"2026-11-{day:02d}", 1000 * day, day, 2 * day) if day % 9 else Day("") for day in range(1, 31)
        ),
        "rules": (RuleCalls("calls.one-ring", {"zh": "响一声", "en": "One ring"}, 1234, 5), RuleCalls("", {}, 9, 0)),
        "campaigns": (Campaign("calls.one-ring", {"zh": "响一声", "en": "One ring"}, "+44770090xxxx", 400, 31, 9),),
        "losses": (Loss("上海市公安局", "021", 12, 345_678_901, 13, None), Loss("<b>&", "", 0, 0)),
        "units": (Unit("中国移动", 10, 8, 1, 0), Unit("", 3, 0, 0, 2)),
    }
    return Bulletin(
        id="2026-11.1",
        node="node1",
        kind="month",
        period="2026-11",
        issue=1,
        start_ms=NOVEMBER,
        end_ms=DECEMBER,
        until_ms=DECEMBER,
        made_ms=DECEMBER + 5_000_000,
        zone="Asia/Shanghai",
        figures=figures,
        **(given | fields),  # type: ignore[arg-type]  # fields of a bulletin
    )


def document(of: Bulletin, lang: str) -> Document:
    """The document of a bulletin."""

    def say(key: str, /, **places: object) -> str:
        return TEXTS.say(key, lang, **places)

    return compose(of, DEFINITIONS, lang, say)
