"""The API of bulletins: listed, read with every value, made, signed; losses given by agencies' systems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import msgspec
from litestar import Response, get, post
from litestar.params import JSONBody, PathParameter

from hutong.bulletins import bodies
from hutong.bulletins.bodies import (
    BulletinList,
    BulletinTold,
    BulletinWhole,
    LossError,
    LossesTaken,
    NewBulletin,
    NewLosses,
    Signing,
)
from hutong.bulletins.desk import MEDIA, Doer
from hutong.bulletins.errors import BulletinRefusedError, NoBulletinError
from hutong.bulletins.periods import read_period
from hutong.kernel.errors import HutongError
from hutong.kernel.web.api.desk import AnyRequest, answered, operation, refused
from hutong.kernel.web.api.document import Section, structs_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.handlers import HTTPRouteHandler

    from hutong.bulletins.desk import Desk
    from hutong.bulletins.losses import Losses
    from hutong.bulletins.store import Kept
    from hutong.kernel.web.api.desk import Desk as ApiDesk

Result = TypeVar("Result")
BulletinId = Annotated[str, PathParameter(min_length=1, max_length=40, description="编号 / id, such as 2026-11.1")]

Language = Annotated[Literal["zh", "en"], PathParameter(description="语言 / language")]
DocumentForm = Annotated[Literal["html", "docx", "pdf"], PathParameter(description="格式 / form")]


def section(desk: Desk, losses: Losses, api: ApiDesk) -> Section:
    """What bulletins bring to the API."""
    tags = (("bulletins", "通报 / Bulletins"),)
    return Section(tags, [*_reading(desk, api), *_making(desk, losses, api)], structs_of(bodies))


def _done(work: Callable[[], Result]) -> Result:
    def done() -> Result:
        try:
            return work()
        except NoBulletinError as error:
            raise refused(error, 404) from error
        except BulletinRefusedError as error:
            raise refused(error, 409) from error

    return answered(done)


def _told(kept: Kept) -> BulletinTold:
    return msgspec.convert(kept, BulletinTold, from_attributes=True)


def _reading(desk: Desk, api: ApiDesk) -> list[HTTPRouteHandler]:
    read = "bulletins.read"

    @get("/v1/bulletins", **operation(api, "bulletins", read, "bulletins", "listBulletins", "通报 / Bulletins"))
    def page() -> BulletinList:
        """新的在前,至多一千 / Newest period first, at most a thousand."""
        return _done(lambda: BulletinList([_told(it) for it in desk.store.all()]))

    @get("/v1/bulletins/{of:str}", **operation(api, "bulletins", read, "bulletin", "readBulletin", "一期 / One", 404))
    def one(of: BulletinId) -> BulletinWhole:
        def work() -> BulletinWhole:
            kept, bulletin = desk.store.get(of)
            return BulletinWhole(_told(kept), msgspec.to_builtins(bulletin))

        return _done(work)

    @get(
        "/v1/bulletins/{of:str}/{lang:str}/{form:str}",
        **operation(api, "bulletins", read, "bulletin.file", "readBulletinDocument", "文件 / A document", 404),
    )
    def file(of: BulletinId, lang: Language, form: DocumentForm) -> Response[bytes]:
        content = _done(lambda: desk.file(of, lang, form))
        headers = {"Content-Disposition": f'attachment; filename="{lang}.{form}"'}
        return Response(content, media_type=MEDIA[form], headers=headers)

    return [page, one, file]


def _making(desk: Desk, losses: Losses, api: ApiDesk) -> list[HTTPRouteHandler]:
    @post(
        "/v1/bulletins",
        **operation(api, "bulletins", "bulletins.make", "bulletins.make", "makeBulletin", "拟写 / Make one", 409),
        status_code=200,
    )
    def make(request: AnyRequest, data: JSONBody[NewBulletin]) -> BulletinTold:
        try:
            period = read_period(data.period)
        except HutongError as error:
            raise refused(error) from error
        return _done(lambda: _told(desk.make(period, _doer(request), api.now_ms(), data.reason)))

    @post(
        "/v1/bulletins/{of:str}/signature",
        **operation(api, "bulletins", "bulletins.sign", "bulletins.sign", "signBulletin", "签发 / Sign it", 404, 409),
        status_code=200,
    )
    def sign(request: AnyRequest, of: BulletinId, data: JSONBody[Signing]) -> BulletinTold:
        def work() -> BulletinTold:
            desk.sign(of, data.digest, _doer(request), api.now_ms())
            return _told(desk.store.get(of)[0])

        return _done(work)

    @post(
        "/v1/losses",
        **operation(api, "bulletins", "bulletins.make", "losses", "giveLosses", "报送案件与损失 / Give losses"),
        status_code=200,
    )
    def give(request: AnyRequest, data: JSONBody[NewLosses]) -> LossesTaken:
        """错误行不影响其他行 / What is wrong with one row does not keep the others."""
        rows = [{key: str(it) for key, it in msgspec.structs.asdict(row).items()} for row in data.rows]
        doer = _doer(request)
        done = _done(lambda: losses.take_in(rows, doer.name, doer.address, api.now_ms(), first=1))
        return LossesTaken(done.taken, [LossError(it.row, it.column, it.what) for it in done.errors])

    return [make, sign, give]


def _doer(request: AnyRequest) -> Doer:
    return Doer(request.user.name, request.user.address)
