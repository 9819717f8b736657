"""Putting numbers on lists, taking them off, changing until when: each is shown once more before it is done.

Belongs here: the forms, what they would do, doing it, the trail of it. Every change is written to the trail before the
lists, so that none can happen unseen; one that the lists then refuse is on the trail as failed.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath  # noqa: TC002  # Litestar reads the annotations

from hutong.calls.console.error_words import Said, say_error
from hutong.calls.console.list_desk import AnyRequest, Form, ListDesk  # noqa: TC001  # Litestar reads the annotations
from hutong.calls.list_targets import standing
from hutong.kernel.errors import HutongError, ListError
from hutong.kernel.lists.csv_file import show_time
from hutong.kernel.lists.entries import LAST_SECOND, LISTS, RESPONSES, ROLES, Entry
from hutong.kernel.lists.targets import draft
from hutong.kernel.web.console import see_other
from hutong.kernel.web.guard import requires
from hutong.kernel.web.unmasking import PURPOSES, Unmasking

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.access.viewer import Viewer

SPANS: Final = ("1d", "7d", "30d", "90d", "365d", "never")
DONE: Final = ("added", "removed", "renewed", "gone")
"""What a page of an entry may say that was just done."""
USUAL_SPAN: Final = "30d"
LONGEST_TEXT: Final = 500

_DAY = 86_400
_FIELDS = ("target", "list", "role", "reason", "source", "span", "until", "respond")
_REFUSED = 422


def read_expiry(desk: ListDesk, request: AnyRequest, form: dict[str, str]) -> int:
    """Seconds since 1970 that a form means: `until` in the reader's zone if it is given, else `span` from now.

    Raises:
        ListError: it is no time, or already over.
    """
    until, span, now = form.get("until", "").strip(), form.get("span", ""), desk.now()
    if until:
        try:
            expires = int(datetime.fromisoformat(until).replace(tzinfo=desk.console.zone(request)).timestamp())
        except (ValueError, OverflowError):
            raise ListError(f"{until[:40]!r} is no time with its offset.", where="expires") from None
        if expires <= now:
            raise ListError(f"{until[:40]} is already over.", where="expires")
        return min(expires, LAST_SECOND)
    if span not in SPANS:
        raise ListError(f"{span[:40]!r} is no time with its offset.", where="expires")
    return 0 if span == "never" else now + int(span.removesuffix("d")) * _DAY


def read_entry(desk: ListDesk, request: AnyRequest, form: dict[str, str]) -> Entry:
    """The entry that a form asks for.

    Raises:
        ListError: a field is wrong.
    """
    respond = form.get("respond", "") or "608"
    return draft(
        form.get("target", "")[:LONGEST_TEXT],
        numbering=desk.numbering,
        list=form.get("list", ""),
        role=form.get("role", ""),
        reason=form.get("reason", "")[:LONGEST_TEXT],
        who=request.user.name,
        source=form.get("source", "")[:LONGEST_TEXT],
        expires=read_expiry(desk, request, form),
        respond=int(respond) if respond.isascii() and respond.isdigit() and len(respond) == len("608") else 0,
    )


def _covering(desk: ListDesk, entry: Entry, old: Entry | None) -> list[Entry]:
    """Other entries that cover a single number."""
    if entry.kind != "number":
        return []
    return [one for one in desk.store.matching(entry.key) if old is None or one.id != old.id]


def _change(desk: ListDesk, viewer: Viewer, deed: str, work: Any, **what: Any) -> Any:  # noqa: ANN401  # any change
    """Put a deed on the trail, then do it.

    Raises:
        HutongError: it could not be done, and that is on the trail too; or it could not be put there, and nothing was.
    """
    desk.record(viewer, deed, **what)
    try:
        return work()
    except HutongError as error:
        desk.record(viewer, f"{deed}_failed", target=what.get("target", ""), purpose=error.what)
        raise


def _form(
    desk: ListDesk, request: AnyRequest, values: dict[str, str], trouble: Said | None = None, field: str = ""
) -> Response[str]:
    return desk.console.page(
        request,
        "lists_add.html",
        status=200 if trouble is None else _REFUSED,
        values=values,
        trouble=trouble,
        field=field,
        lists=LISTS,
        roles=ROLES,
        responses=RESPONSES,
        spans=SPANS,
        usual_span=USUAL_SPAN,
    )


def _add(desk: ListDesk, request: AnyRequest, form: dict[str, str]) -> Response[Any]:
    viewer: Viewer = request.user
    values = {name: form.get(name, "") for name in _FIELDS}
    try:
        entry = read_entry(desk, request, form)
    except ListError as error:
        return _form(
            desk, request, values, say_error(desk.console.frame.texts, error, desk.language(request)), error.where
        )
    old = standing(desk.store, entry)
    if form.get("confirmed") != "yes":
        rows = desk.rows(_covering(desk, entry, old), viewer)
        return desk.console.page(
            request,
            "lists_confirm.html",
            row=desk.row(entry, viewer, whole=True),  # as it was written a moment ago
            old=desk.row(old, viewer) if old else None,
            covering=rows,
            width=entry.last - entry.key + 1 if entry.kind == "range" else 0,
            values=values,
        )
    (stored,) = _change(
        desk,
        viewer,
        "lists.add",
        lambda: desk.store.add([entry], desk.now()),
        target=desk.name(entry),
        before=desk.facts(old) if old else None,
        after=desk.facts(entry),
        purpose=entry.reason,
    )
    return see_other(f"/lists/{stored.id}?done=added")


def entry_page(  # noqa: PLR0913  # what a page may say besides
    desk: ListDesk,
    request: AnyRequest,
    entry: Entry,
    form: dict[str, str] | None = None,
    *,
    template: str = "lists_entry.html",
    trouble: Said | None = None,
    field: str = "",
    done: str = "",
    said: Unmasking = Unmasking(),  # noqa: B008  # frozen
    whole: bool = False,
    **more: Any,  # noqa: ANN401  # a template takes any value
) -> Response[str]:
    """The page of an entry, or of a change to it.

    Args:
        desk, request, entry: which, for whom.
        form: what was filled in. trouble, field: what is wrong with it, and where. done: one of DONE, or "".
        template: the page. more: its own values.
        said: what the form asked for whole numbers said.
        whole: shows it unmasked; only once the trail holds the purpose.
    """
    return desk.console.page(
        request,
        template,
        status=_REFUSED if trouble is not None or said.trouble else 200,
        row=desk.row(entry, request.user, whole=whole),
        done=done,
        values=form or {},
        trouble=trouble,
        field=field,
        spans=SPANS,
        said=said,
        purposes=PURPOSES,
        **more,
    )


def _why(form: dict[str, str]) -> str:
    """The reason of a change.

    Raises:
        ListError: there is none.
    """
    why = form.get("why", "").strip()[:LONGEST_TEXT]
    if not why:
        raise ListError("An entry needs its reason.", where="why")
    return why


def _remove(desk: ListDesk, request: AnyRequest, entry: Entry, form: dict[str, str]) -> Response[Any]:
    viewer: Viewer = request.user
    try:
        why = _why(form)
    except ListError as error:
        said = say_error(desk.console.frame.texts, error, desk.language(request))
        return entry_page(desk, request, entry, form, trouble=said, field="remove")
    if form.get("confirmed") != "yes":
        return entry_page(desk, request, entry, form, template="lists_change.html", change="remove", why=why, expires=0)
    _change(
        desk,
        viewer,
        "lists.remove",
        lambda: desk.store.remove(entry, desk.now(), who=viewer.name, why=why),
        target=desk.name(entry),
        before=desk.facts(entry),
        purpose=why,
    )
    return see_other(f"/lists/{entry.id}?done=removed")


def _renew(desk: ListDesk, request: AnyRequest, entry: Entry, form: dict[str, str]) -> Response[Any]:
    viewer: Viewer = request.user
    try:
        why, expires = _why(form), read_expiry(desk, request, form)
    except ListError as error:
        said = say_error(desk.console.frame.texts, error, desk.language(request))
        return entry_page(desk, request, entry, form, trouble=said, field="expiry")
    if form.get("confirmed") != "yes":
        return entry_page(
            desk, request, entry, form, template="lists_change.html", change="expiry", why=why, expires=expires
        )
    fresh = msgspec.structs.replace(entry, who=viewer.name, expires=expires, id=0, created=0)
    (stored,) = _change(
        desk,
        viewer,
        "lists.expiry",
        lambda: desk.store.add([fresh], desk.now()),
        target=desk.name(entry),
        before={"id": entry.id, "expires": show_time(entry.expires) or None, "who": entry.who},
        after={"expires": show_time(expires) or None, "who": viewer.name},
        purpose=why,
    )
    return see_other(f"/lists/{stored.id}?done=renewed")


def change_routes(desk: ListDesk) -> list[HTTPRouteHandler]:
    """Adding, removing, changing the expiry."""

    @get("/lists/new", opt=requires("lists.change"), sync_to_thread=False)
    def new(request: AnyRequest) -> Response[str]:
        return _form(desk, request, {"list": request.query_params.get("list", ""), "span": USUAL_SPAN})

    @post("/lists/new", opt=requires("lists.change"), sync_to_thread=True, status_code=200)
    def add(request: AnyRequest, data: Form) -> Response[Any]:
        return _add(desk, request, data)

    @post("/lists/{number:int}/remove", opt=requires("lists.change"), sync_to_thread=True, status_code=200)
    def remove(request: AnyRequest, number: FromPath[int], data: Form) -> Response[Any]:
        return _of(number, lambda entry: _remove(desk, request, entry, data))

    @post("/lists/{number:int}/expiry", opt=requires("lists.change"), sync_to_thread=True, status_code=200)
    def expiry(request: AnyRequest, number: FromPath[int], data: Form) -> Response[Any]:
        return _of(number, lambda entry: _renew(desk, request, entry, data))

    def _of(number: int, work: Any) -> Response[Any]:  # noqa: ANN401  # a function of an entry
        """Do it with the entry that has effect; one that went meanwhile is shown as it is now."""
        entry = desk.entry(number)
        if entry is None:
            raise NotFoundException
        if entry.removed:
            return see_other(f"/lists/{number}?done=gone")
        return work(entry)  # type: ignore[no-any-return]

    return [new, add, remove, expiry]
