"""`/audit`: how far the trail is signed and verified; its newest checkpoint, and proofs of single entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response, get

from hutong.kernel.audit.log import AuditError, size_of
from hutong.kernel.web.guard import requires

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.access.pages.desk import Desk
    from hutong.kernel.audit.checkpoints import Checkpoints
    from hutong.kernel.web.console import Console

_MISSING = 404
_MOST_DIGITS = 18


def routes(
    console: Console, desk: Desk, checkpoints: Callable[[], Checkpoints], key: Callable[[], str]
) -> list[HTTPRouteHandler]:
    """`/audit`, `/audit/checkpoint`, `/audit/proof`.

    Args:
        checkpoints: of this node; opened at the first request. key: the public key that they are signed with.
    """

    def page(request: Request[Any, Any, Any], *, status: int = 200, wrong: str = "") -> Response[str]:
        with desk.database.read() as connection:
            size = size_of(connection)
        return console.page(
            request,
            "audit.html",
            status=status,
            size=size,
            standing=desk.standing(),
            kept=checkpoints().last(),
            public=key(),
            wrong=wrong,
        )

    @get("/audit", sync_to_thread=True, opt=requires("trail.read"))
    def audit(request: Request[Any, Any, Any]) -> Response[str]:
        return page(request)

    @get("/audit/checkpoint", sync_to_thread=True, opt=requires("trail.read"))
    def checkpoint(request: Request[Any, Any, Any]) -> Response[str]:
        kept = checkpoints().make(console.now_ms())
        if kept is None:
            return page(request, status=_MISSING, wrong="audit.no_checkpoint")
        return _download(kept.note, f"checkpoint-{kept.checkpoint.size}.txt")

    @get("/audit/proof", sync_to_thread=True, opt=requires("trail.read"))
    def proof(request: Request[Any, Any, Any]) -> Response[str]:
        said = request.query_params.get("entry", "")
        number = int(said) if said.isascii() and said.isdigit() and len(said) <= _MOST_DIGITS else 0
        try:
            text = checkpoints().prove(number, console.now_ms()).text()
        except AuditError:
            return page(request, status=_MISSING, wrong="audit.no_entry")
        desk.record(request, "audit.proof", str(number))
        return _download(text, f"entry-{number}.tlog-proof")

    return [audit, checkpoint, proof]


def _download(text: str, name: str) -> Response[str]:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(text, headers=headers, media_type="text/plain; charset=utf-8")
