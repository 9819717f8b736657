"""`/bulletins`: bulletins made, read, signed; where each figure is from; losses that agencies gave."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

from litestar import Request, Response, get, post
from litestar.datastructures import FormMultiDict, UploadFile
from litestar.di import NamedDependency, Provide
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, URLEncodedBody
from litestar.response import Stream  # noqa: TC002  # Litestar reads the annotation

from hutong.bulletins.desk import MEDIA, Doer, name_of
from hutong.bulletins.drawing import draw
from hutong.bulletins.errors import BulletinError, NoBulletinError
from hutong.bulletins.gather import asked
from hutong.bulletins.losses import LARGEST
from hutong.bulletins.paper import HOME
from hutong.bulletins.periods import KINDS, read_period
from hutong.bulletins.wording import cell, number
from hutong.kernel.errors import HutongError
from hutong.kernel.numbering import label
from hutong.kernel.reporter import masked
from hutong.kernel.web.console import see_other
from hutong.kernel.web.exports import asks_export, export_rows
from hutong.kernel.web.guard import requires
from hutong.kernel.web.tables import Column, Filter, TableSpec, page_of, read_query

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.bulletins.definitions import FigureDef
    from hutong.bulletins.desk import Desk
    from hutong.bulletins.losses import GivenLoss, Losses, Taken
    from hutong.bulletins.model import Bulletin, Part
    from hutong.bulletins.store import Kept
    from hutong.kernel.access.trail import Trail
    from hutong.kernel.web.console import Console

__all__ = ["HOME", "BulletinPages", "routes"]

AnyRequest = Request[Any, Any, Any]
Form = URLEncodedBody[dict[str, str]]
_MORE: Final = 64 * 1024  # bytes of a form around a file
_STATES: Final = ("draft", "signed")
TABLE: Final = TableSpec(
    id="bulletins",
    columns=(
        Column("period", "bulletins.column.period"),
        Column("kind", "bulletins.column.kind"),
        Column("issue", "bulletins.column.issue", number=True),
        Column("state", "bulletins.column.state"),
        Column("made", "bulletins.column.made"),
        Column("signed", "bulletins.column.signed"),
    ),
    filters=(
        Filter("kind", "bulletins.column.kind", "choice", tuple((it, f"bulletins.kind.{it}") for it in KINDS)),
        Filter("state", "bulletins.column.state", "choice", tuple((it, f"bulletins.state_{it}") for it in _STATES)),
    ),
    sort="period",
    descending=True,
)
LOSSES: Final = TableSpec(
    id="losses",
    columns=(
        *(Column(it, f"bulletins.column.{it}") for it in ("period", "agency", "city")),
        *(Column(it, f"bulletins.column.{it}", number=True) for it in ("cases", "amount")),
        *(Column(it, f"bulletins.column.{it}") for it in ("who", "given")),
    ),
    sort="period",
    descending=True,
)
ROWS: Final = TableSpec(
    id="figure-rows",
    columns=(
        *(Column(it, f"bulletins.column.{it}") for it in ("city", "operator")),
        Column("value", "bulletins.column.value", number=True),
    ),
    sort="value",
    descending=True,
)


class _Shown(NamedTuple):
    """Where a part is, in the reader's language, and its value as it is written."""

    city: str
    operator: str
    value: int
    text: str


class BulletinPages:
    """What the pages share.

    Args:
        console: makes the pages. desk: makes and signs. losses: what agencies gave. trail: exports go there first.
    """

    def __init__(self, console: Console, desk: Desk, losses: Losses, trail: Trail) -> None:
        self._console, self._desk, self._losses, self._trail = console, desk, losses, trail

    def table(self, request: AnyRequest, wrong: str = "") -> Response[str] | Stream:
        """All bulletins, and the form that makes one."""
        query, rows = read_query(TABLE, dict(request.query_params)), self._desk.store.all()
        if asks_export(request):
            return export_rows(self._console, self._trail, request, TABLE, query, rows, _value)
        view = page_of(TABLE, query, rows, _value)
        return self._console.page(request, "bulletins.html", status=422 if wrong else 200, view=view, wrong=wrong)

    def make(self, request: AnyRequest, form: dict[str, str]) -> Response[str] | Stream:
        """Make a draft."""
        try:
            kept = self._desk.make(
                read_period(form.get("period", "").strip()),
                _doer(request),
                self._console.now_ms(),
                form.get("reason", "")[:500],
            )
        except HutongError as error:
            return self.table(request, self._told(request, error))
        return see_other(f"/bulletins/{kept.id}")

    def one(self, request: AnyRequest, of: str, wrong: str = "") -> Response[str]:
        """A bulletin, as its documents say it."""
        kept, bulletin = self._found(of)
        document = self._desk.document(kept, bulletin, self._console.language(request))
        return self._console.page(
            request,
            "bulletin.html",
            status=409 if wrong else 200,
            it=kept,
            document=document,
            draw=draw,
            figure_link=lambda figure: f"/bulletins/{quote(of)}/figures/{figure}",
            forms=tuple(MEDIA),
            wrong=wrong,
        )

    def sign(self, request: AnyRequest, of: str, form: dict[str, str]) -> Response[str]:
        """Sign what was seen."""
        self._found(of)
        try:
            self._desk.sign(of, form.get("digest", ""), _doer(request), self._console.now_ms())
        except HutongError as error:
            return self.one(request, of, self._told(request, error))
        return see_other(f"/bulletins/{of}")

    def file(self, of: str, name: str) -> Response[bytes]:
        """A document to be taken away."""
        _, _, rest = name.removeprefix(of).partition("-")
        lang, _, form = rest.partition(".")
        if name_of(of, lang, form) != name or form not in MEDIA:
            raise NotFoundException("There is no such document.")
        try:
            content = self._desk.file(of, lang, form)
        except NoBulletinError as error:
            raise NotFoundException("There is no such document.") from error
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return Response(content, media_type=MEDIA[form], headers=headers)

    def figure(self, request: AnyRequest, of: str, name: str) -> Response[str] | Stream:
        """Where a figure is from: its query, its rows, the same in the console."""
        _, bulletin = self._found(of)
        try:
            definition, figure = self._desk.definitions.of(name), bulletin.figure(name)
        except KeyError:
            raise NotFoundException("There is no such figure.") from None
        language = self._console.language(request)
        rows = [self._shown(part, definition, language) for part in figure.parts]
        query = read_query(ROWS, dict(request.query_params))
        if asks_export(request):
            return export_rows(self._console, self._trail, request, ROWS, query, rows, getattr)
        period, say = read_period(bulletin.period), self._desk.sayer(language)
        return self._console.page(
            request,
            "bulletin_figure.html",
            it=definition,
            bulletin=bulletin,
            value=cell(figure.now, definition.unit, say),
            view=page_of(ROWS, query, rows, getattr),
            asked=asked(definition.query, bulletin.node, period, self._desk.zone, bulletin.made_ms),
            console_link=self._link(request, definition, bulletin),
            titles={one.id: one.title[language] for one in self._desk.definitions.figure},
        )

    def _shown(self, part: Part, of: FigureDef, language: str) -> _Shown:
        city = label("area", part.city, language) if part.city else ""
        operator = label("operator", part.operator, language) if part.operator else ""
        return _Shown(city, operator, part.value, number(part.value, of.unit))

    def _link(self, request: AnyRequest, of: FigureDef, bulletin: Bulletin) -> str:
        """The console's page with the same filter, for who may see it; its times are the reader's."""
        if not of.link or not request.user.can(of.permission):
            return ""
        zone = self._console.zone(request)
        since, until = (
            datetime.fromtimestamp(ms / 1000, zone).strftime("%Y-%m-%dT%H:%M")
            for ms in (bulletin.start_ms, bulletin.until_ms)
        )
        return of.link.format(since=quote(since), until=quote(until))

    def losses(self, request: AnyRequest, done: Taken | None = None, wrong: str = "") -> Response[str] | Stream:
        """What agencies gave, and the form that takes a file."""
        query, rows = read_query(LOSSES, dict(request.query_params)), self._losses.all()
        if asks_export(request):
            return export_rows(self._console, self._trail, request, LOSSES, query, rows, _loss_value)
        language = self._console.language(request)
        return self._console.page(
            request,
            "losses.html",
            status=422 if wrong else 200,
            view=page_of(LOSSES, query, rows, _loss_value),
            city=lambda area: label("area", area, language) if area else "",
            yuan=lambda fen: number(fen, "yuan"),
            done=done,
            wrong=wrong,
        )

    def take_losses(self, request: AnyRequest, content: bytes) -> Response[str] | Stream:
        """Take a file of losses in."""
        doer = _doer(request)
        try:
            done = self._losses.take_file(content, doer.name, doer.address, self._console.now_ms())
        except HutongError as error:
            return self.losses(request, wrong=self._told(request, error))
        return self.losses(request, done)

    def _told(self, request: AnyRequest, error: HutongError) -> str:
        """What was refused, in the reader's language; of the machine's troubles what it says itself."""
        if isinstance(error, BulletinError) and error.reason is not None:
            return self._console.say(request, f"bulletins.wrong.{error.reason}")
        return masked(str(error))

    def _found(self, of: str) -> tuple[Kept, Bulletin]:
        try:
            return self._desk.store.get(of)
        except NoBulletinError as error:
            raise NotFoundException("There is no such bulletin.") from error


async def _sent(request: AnyRequest) -> FormMultiDict:
    return await request.form()


def _doer(request: AnyRequest) -> Doer:
    return Doer(request.user.name, request.user.address)


def _value(it: Kept, key: str) -> Any:  # noqa: ANN401  # a column's
    if key == "state":
        return "draft" if it.signed_ms is None else "signed"
    return getattr(it, {"made": "made_ms", "signed": "signed_ms"}.get(key, key))


def _loss_value(it: GivenLoss, key: str) -> Any:  # noqa: ANN401  # a column's
    return it.given_ms if key == "given" else getattr(it, key)


def routes(pages: BulletinPages) -> list[HTTPRouteHandler]:
    """`/bulletins` and below."""
    read, make, sign = (requires(f"bulletins.{deed}") for deed in ("read", "make", "sign"))

    @get("/bulletins", sync_to_thread=True, opt=read)
    def table(request: AnyRequest) -> Response[str] | Stream:
        return pages.table(request)

    @post("/bulletins", sync_to_thread=True, opt=make, status_code=200)
    def make_one(request: AnyRequest, data: Form) -> Response[str] | Stream:
        return pages.make(request, data)

    @get("/bulletins/losses", sync_to_thread=True, opt=read)
    def losses(request: AnyRequest) -> Response[str] | Stream:
        return pages.losses(request)

    @post(
        "/bulletins/losses",
        sync_to_thread=True,
        opt=make,
        status_code=200,
        dependencies={"sent": Provide(_sent)},
        request_max_body_size=LARGEST + _MORE,
    )
    def take_losses(request: AnyRequest, sent: NamedDependency[FormMultiDict]) -> Response[str] | Stream:
        file = sent.get("file")
        content = file.file.read(LARGEST + 1) if isinstance(file, UploadFile) else b""
        return pages.take_losses(request, content)

    @get("/bulletins/{of:str}", sync_to_thread=True, opt=read)
    def one(request: AnyRequest, of: FromPath[str]) -> Response[str]:
        return pages.one(request, of)

    @post("/bulletins/{of:str}/sign", sync_to_thread=True, opt=sign, status_code=200)
    def sign_one(request: AnyRequest, of: FromPath[str], data: Form) -> Response[str]:
        return pages.sign(request, of, data)

    @get("/bulletins/{of:str}/files/{name:str}", sync_to_thread=True, opt=read)
    def file(of: FromPath[str], name: FromPath[str]) -> Response[bytes]:
        return pages.file(of, name)

    @get("/bulletins/{of:str}/figures/{name:str}", sync_to_thread=True, opt=read)
    def figure(request: AnyRequest, of: FromPath[str], name: FromPath[str]) -> Response[str] | Stream:
        return pages.figure(request, of, name)

    return [table, make_one, losses, take_losses, one, sign_one, file, figure]
