"""`/calls/{seq}`: one call's story; and its whole numbers for a stated purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath  # noqa: TC002  # Litestar reads the annotations

from hutong.calls.console.verdict_table import VerdictDesk
from hutong.kernel.web.guard import requires
from hutong.kernel.web.unmasking import PURPOSES, Form, Unmasking, put_on_trail, read_form

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.calls.alerts.views import AlertViews
    from hutong.calls.index import VerdictIndex
    from hutong.calls.stories.stories import Stories
    from hutong.calls.stories.views import CallStory, WholeCall
    from hutong.kernel.access.trail import Trail
    from hutong.kernel.web.console import Console

_UNFIT = 422


def routes(
    console: Console, *, stories: Stories, index: VerdictIndex, trail: Trail, alerts: AlertViews
) -> list[HTTPRouteHandler]:
    """`/calls/{seq}`: GET shows it masked, POST whole."""
    desk = VerdictDesk(console, stories, index, trail)

    def story_of(seq: int) -> CallStory:
        story = stories.call(seq)
        if story is None:
            raise NotFoundException
        return story

    def shown(
        request: Request[Any, Any, Any], story: CallStory, whole: WholeCall | None, said: Unmasking
    ) -> Response[str]:
        return console.page(
            request,
            "call.html",
            status=_UNFIT if said.trouble else 200,
            story=story,
            alerts=alerts.of_call(story.verdict.seq),
            whole=whole,
            said=said,
            purposes=PURPOSES,
        )

    @get("/calls/{seq:int}", sync_to_thread=True, opt=requires("verdicts.read"))
    def call(request: Request[Any, Any, Any], seq: FromPath[int]) -> Response[str]:
        return shown(request, story_of(seq), None, Unmasking())

    @post("/calls/{seq:int}", status_code=200, sync_to_thread=True, opt=requires("numbers.unmask"))
    def unmask(request: Request[Any, Any, Any], seq: FromPath[int], data: Form) -> Response[str]:
        story, said = story_of(seq), read_form(data)
        if said.trouble:
            return shown(request, story, None, said)
        verdict = story.verdict
        refs = [verdict.caller_ref, verdict.callee_ref]
        put_on_trail(desk, request, said, f"calls/{verdict.seq}", numbers=refs)
        return shown(request, story, stories.whole_call(verdict.seq), said)

    return [call, unmask]
