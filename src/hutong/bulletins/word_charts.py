"""Charts in Word as DrawingML charts (ECMA-376 part 1, clause 21.2): vectors that Word and LibreOffice draw themselves.

No picture stands in for them, so nothing has to be rasterised; their numbers are in the file and can be read there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from hutong.bulletins.drawing import colour_of

if TYPE_CHECKING:
    from hutong.kernel.web.charts import Chart, Series

_CHART: Final = "http://schemas.openxmlformats.org/drawingml/2006/chart"
_TYPE: Final = "application/vnd.openxmlformats-officedocument.drawingml.chart+xml"
_RELATION: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/chart"
_EMU: Final = 360_000  # in a centimetre
_WIDE: Final = 17
_LABELS: Final = 12
_DASHES: Final = ("solid", "dash", "sysDot", "lgDashDot")
_MARKS: Final = ("circle", "triangle", "square", "diamond")

_PART: Final = Markup(
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    '<c:chartSpace xmlns:c="{chart}" xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main">'
    '<c:roundedCorners val="0"/><c:chart><c:autoTitleDeleted val="1"/><c:plotArea><c:layout/>{plot}{axes}</c:plotArea>'
    '{legend}<c:plotVisOnly val="1"/><c:dispBlanksAs val="gap"/></c:chart></c:chartSpace>'
)
_TEXT: Final = Markup(
    '<c:txPr><a:bodyPr/><a:lstStyle/><a:p><a:pPr><a:defRPr sz="800"><a:latin typeface="Arial"/>'
    '<a:ea typeface="Microsoft YaHei"/></a:defRPr></a:pPr><a:endParaRPr lang="en-US"/></a:p></c:txPr>'
)
_LEGEND: Final = Markup('<c:legend><c:legendPos val="t"/><c:overlay val="0"/>{}</c:legend>').format(_TEXT)
_AXES: Final = Markup(
    '<c:catAx><c:axId val="1"/><c:scaling><c:orientation val="{order}"/></c:scaling><c:delete val="0"/>'
    '<c:axPos val="{names}"/><c:majorTickMark val="none"/><c:minorTickMark val="none"/><c:tickLblPos val="low"/>'
    '{text}<c:crossAx val="2"/><c:crosses val="autoZero"/><c:tickLblSkip val="{skip}"/></c:catAx>'
    '<c:valAx><c:axId val="2"/><c:scaling><c:orientation val="minMax"/><c:min val="0"/></c:scaling><c:delete val="0"/>'
    '<c:axPos val="{values}"/><c:numFmt formatCode="#,##0" sourceLinked="0"/><c:majorTickMark val="none"/>'
    '<c:minorTickMark val="none"/><c:tickLblPos val="nextTo"/>{text}<c:crossAx val="1"/>'
    '<c:crosses val="{cross}"/></c:valAx>'
)
_FRAME: Final = Markup(
    '<w:drawing xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    ' xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing"'
    ' xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
    ' xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">'
    '<wp:inline distT="0" distB="0" distL="0" distR="0"><wp:extent cx="{wide}" cy="{high}"/>'
    '<wp:docPr id="{number}" name="Chart {number}" descr="{title}"/><wp:cNvGraphicFramePr/>'
    '<a:graphic><a:graphicData uri="{chart}"><c:chart xmlns:c="{chart}" r:id="{relation}"/></a:graphicData></a:graphic>'
    "</wp:inline></w:drawing>"
)


def add_chart(word: Any, chart: Chart, title: str) -> None:  # noqa: ANN401  # a docx Document
    """Add a chart below what a Word document has so far."""
    from docx.opc.packuri import PackURI  # noqa: PLC0415
    from docx.opc.part import Part  # noqa: PLC0415
    from docx.oxml import parse_xml  # noqa: PLC0415

    package = word.part.package
    number = 1 + sum(1 for part in package.iter_parts() if part.content_type == _TYPE)
    part = Part(PackURI(f"/word/charts/chart{number}.xml"), _TYPE, chart_xml(chart).encode(), package)
    relation = word.part.relate_to(part, _RELATION)
    high = 6.5 if chart.kind == "line" else 1.6 + 0.55 * len(chart.x)
    frame = _FRAME.format(
        wide=_WIDE * _EMU, high=int(high * _EMU), number=100 + number, title=title, chart=_CHART, relation=relation
    )
    word.add_paragraph().add_run()._r.append(parse_xml(str(frame)))  # noqa: SLF001  # python-docx has no charts


def chart_xml(chart: Chart) -> str:
    """The part of a chart: lines, or bars that lie on their side with the first one on top."""
    lying = chart.kind == "bar"
    series = Markup("").join(_series(of, at, chart) for at, of in enumerate(chart.series))
    if lying:
        form = Markup(
            '<c:barChart><c:barDir val="bar"/><c:grouping val="clustered"/><c:varyColors val="0"/>{}'
            '<c:gapWidth val="40"/><c:axId val="1"/><c:axId val="2"/></c:barChart>'
        )
        axes = _AXES.format(order="maxMin", names="l", values="b", cross="max", text=_TEXT, skip=1)
    else:
        form = Markup(
            '<c:lineChart><c:grouping val="standard"/><c:varyColors val="0"/>{}<c:marker val="1"/>'
            '<c:axId val="1"/><c:axId val="2"/></c:lineChart>'
        )
        axes = _AXES.format(
            order="minMax", names="b", values="l", cross="autoZero", text=_TEXT, skip=-(-len(chart.x) // _LABELS)
        )
    legend = "" if lying else _LEGEND
    return str(_PART.format(chart=_CHART, plot=form.format(series), axes=axes, legend=legend))


def _series(of: Series, at: int, chart: Chart) -> Markup:
    colour = colour_of(of, at)[1][1:]
    fill = Markup('<a:solidFill><a:srgbClr val="{}"/></a:solidFill>').format(colour)
    if chart.kind == "bar":
        look = Markup('<c:spPr>{}</c:spPr><c:invertIfNegative val="0"/>{}').format(fill, _labels())
    else:
        look = Markup(
            '<c:spPr><a:ln w="22225">{}<a:prstDash val="{}"/></a:ln></c:spPr><c:marker><c:symbol val="{}"/>'
            '<c:size val="5"/><c:spPr>{}</c:spPr></c:marker>'
        ).format(fill, _DASHES[at % 4], _MARKS[at % 4], fill)
    names = _points("str", [str(it) for it in chart.x])
    values = _points("num", [None if it is None else str(it) for it in of.values])
    end = "" if chart.kind == "bar" else Markup('<c:smooth val="0"/>')
    return Markup(
        '<c:ser><c:idx val="{0}"/><c:order val="{0}"/><c:tx><c:strRef><c:f>Sheet1!${1}$1</c:f>{2}</c:strRef></c:tx>{3}'
        "<c:cat><c:strRef><c:f>Sheet1!$A$2:$A${4}</c:f>{5}</c:strRef></c:cat>"
        "<c:val><c:numRef><c:f>Sheet1!${1}$2:${1}${4}</c:f>{6}</c:numRef></c:val>{7}</c:ser>"
    ).format(at, "BCDEF"[at], _points("str", [of.name]), look, len(chart.x) + 1, names, values, end)


def _labels() -> Markup:
    return Markup(
        '<c:dLbls><c:numFmt formatCode="#,##0" sourceLinked="0"/>{}<c:showLegendKey val="0"/><c:showVal val="1"/>'
        '<c:showCatName val="0"/><c:showSerName val="0"/><c:showPercent val="0"/><c:showBubbleSize val="0"/></c:dLbls>'
    ).format(_TEXT)


def _points(kind: str, values: list[str | None] | list[str]) -> Markup:
    points = Markup("").join(
        Markup('<c:pt idx="{}"><c:v>{}</c:v></c:pt>').format(at, it) for at, it in enumerate(values) if it is not None
    )
    form = Markup("<c:formatCode>General</c:formatCode>") if kind == "num" else Markup("")
    return Markup('<c:{0}Cache>{1}<c:ptCount val="{2}"/>{3}</c:{0}Cache>').format(kind, form, len(values), points)
