"""Lists: entries found, added, taken off, imported. Every change is on the trail before it is done."""

from __future__ import annotations

import csv
import hashlib
import io
import tempfile
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from litestar import delete, get, post
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter, RawBody

from hutong.calls.api.bodies import ImportAnswer, ListEntry, ListPage, NewEntry, RowError
from hutong.calls.list_targets import masked, named, standing, written
from hutong.kernel.errors import HutongError, ListError
from hutong.kernel.lists.csv_file import detect_encoding, import_file, read_time, show_time
from hutong.kernel.lists.entries import LAST_ID, Entry, decode_entry
from hutong.kernel.lists.targets import draft
from hutong.kernel.reporter import masked as masked_text
from hutong.kernel.web.api.desk import (
    AnyRequest,
    Desk,
    Purpose,
    Result,
    Unmask,
    answered,
    not_found,
    operation,
    read_purpose,
    refused,
)
from hutong.kernel.web.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.access.refs import Refs
    from hutong.kernel.access.viewer import Viewer
    from hutong.kernel.lists.store import ListStore
    from hutong.kernel.numbering import Numbering

#: Bytes of a CSV file in one request; larger ones go through `hutong lists import`.
LARGEST: Final = 8 * 1024 * 1024
_ERRORS: Final = 1000
_STOP_AT: Final = 0.1
_WHO: Final = "who"
_NEW_BODY: Final = 16 * 1024
_SLICE: Final = 501
#: Entries that one request looks at; a page of rare ones may then be short, and its cursor goes on.
_EXAMINED: Final = 20_000
_FACTS: Final = ("target", "list", "role", "reason", "source", "who", "expires", "respond")


class ListsDesk:
    """Finds and changes entries; safe for many threads.

    Args:
        store: the lists, open. numbering: reads numbers. refs: names them on the trail. desk: limits and the trail.
    """

    def __init__(self, store: ListStore, numbering: Numbering, refs: Refs, desk: Desk) -> None:
        self._store, self._numbering, self._refs, self._desk = store, numbering, refs, desk

    def page(self, request: AnyRequest, wanted: _Wanted, limit: int, *, unmask: bool, purpose: str) -> ListPage:
        """A page of entries, newest first, and where to go on.

        Raises:
            Problem: what `Desk.unmask` raises.
        """
        entries: list[Entry] = []
        before, examined = min(wanted.before or LAST_ID, LAST_ID), 0
        while before > 0 and len(entries) < limit and examined < _EXAMINED:
            piece = self._store.slice("id", _SLICE, place=before.to_bytes(4, "big"), descending=True)
            before = 0
            for value in piece.values:
                if len(entries) == limit:
                    before = entries[-1].id - 1
                    break
                entry = decode_entry(value)
                examined += 1
                if wanted.takes(entry):
                    entries.append(entry)
            else:
                before = int.from_bytes(piece.place, "big")
        if unmask and entries:
            self._desk.unmask(request, purpose, target="lists", after={"entries": [it.id for it in entries]})
        return ListPage([self._shown(it, whole=unmask) for it in entries], str(before) if before > 0 else None)

    def entry(self, request: AnyRequest, number: int, *, unmask: bool, purpose: str) -> ListEntry:
        """One entry, removed or not.

        Raises:
            Problem: 404; and what `Desk.unmask` raises.
        """
        entry = self._known(number)
        if unmask:
            self._desk.unmask(request, purpose, target=named(entry, self._refs), after={"entries": [entry.id]})
        return self._shown(entry, whole=unmask)

    def add(self, request: AnyRequest, new: NewEntry) -> ListEntry:
        """Put on a list; the same list, role and target again replaces the entry.

        Raises:
            Problem: 422, a field is wrong.
        """
        viewer: Viewer = request.user
        try:
            entry = draft(
                new.target,
                numbering=self._numbering,
                list=new.list,
                role=new.role,
                reason=new.reason,
                who=viewer.name,
                source=new.source,
                expires=_time_to_come(new.expires, self._desk.now_s()),
                respond=new.respond,
            )
        except ListError as error:
            raise refused(error) from None
        old = standing(self._store, entry)
        what = {
            "target": named(entry, self._refs),
            "before": self._facts(old) if old else None,
            "after": self._facts(entry),
            "purpose": entry.reason,
        }
        (stored,) = self._change(request, "lists.add", lambda: self._store.add([entry], self._desk.now_s()), **what)
        return self._shown(stored, whole=False)

    def remove(self, request: AnyRequest, number: int, why: str) -> ListEntry:
        """Take off its list.

        Raises:
            Problem: 404, or 409 where it has no effect any more.
        """
        entry = self._known(number)
        if entry.removed:
            raise Problem(409, "/problems/refused", "Refused", f"Entry {number} was removed or replaced already.")
        viewer: Viewer = request.user
        gone = self._change(
            request,
            "lists.remove",
            lambda: self._store.remove(entry, self._desk.now_s(), who=viewer.name, why=why),
            target=named(entry, self._refs),
            before=self._facts(entry),
            purpose=why,
        )
        if not gone:
            raise Problem(409, "/problems/refused", "Refused", f"Entry {number} was removed or replaced already.")
        return self._shown(gone[0], whole=False)

    def take_in(self, request: AnyRequest, body: bytes) -> ImportAnswer:
        """Import a CSV file; who made its entries is the token's owner, whatever the file says.

        Raises:
            Problem: 422, the file cannot be read at all.
        """
        viewer: Viewer = request.user
        digest = hashlib.sha256(body).hexdigest()[:16]
        with tempfile.TemporaryDirectory(prefix="hutong-import-") as name:
            folder = Path(name)
            try:
                owned = _owned(body, folder / "brought.csv", viewer.name)
                file = folder / "lists.csv"
                file.write_text(owned, encoding="utf-8", newline="")
                done = self._change(
                    request,
                    "lists.import",
                    lambda: import_file(
                        self._store,
                        file,
                        numbering=self._numbering,
                        now=self._desk.now_s(),
                        errors=folder / "errors.csv",
                        encoding="utf-8",
                        stop_at=_STOP_AT,
                    ),
                    target=digest,
                    after={"bytes": len(body), "sha256": digest},
                )
            except ListError as error:
                raise refused(ListError(error.what, where="" if name in error.where else error.where)) from None
            errors = _errors(folder / "errors.csv")
        self._desk.record(request, "lists.import_done", target=digest, after={"applied": done.applied, "bad": done.bad})
        return ImportAnswer(done.rows, done.applied, done.bad, done.stopped, errors)

    def _change(self, request: AnyRequest, deed: str, work: Callable[[], Result], **what: Any) -> Result:  # noqa: ANN401  # as `Trail.record`
        """Put a deed on the trail, then do it; one that fails is on the trail as failed."""
        self._desk.record(request, deed, **what)
        try:
            return work()
        except HutongError as error:
            self._desk.record(request, f"{deed}_failed", target=what["target"], purpose=error.what)
            raise

    def _known(self, number: int) -> Entry:
        entry = self._store.entry(number)
        if entry is None:
            raise not_found(f"There is no entry {number}, or it is not kept any more.")
        return entry

    def _facts(self, entry: Entry) -> dict[str, object]:
        shown = self._shown(entry, whole=False)
        return {name: getattr(shown, name) for name in _FACTS} | {"id": entry.id or None}

    def _shown(self, entry: Entry, *, whole: bool) -> ListEntry:
        return ListEntry(
            id=entry.id,
            list=entry.list,  # type: ignore[arg-type]  # one of LISTS
            kind=entry.kind,  # type: ignore[arg-type]  # one of KINDS
            target=written(entry, self._numbering) if whole else masked(entry, self._numbering),
            role=entry.role,  # type: ignore[arg-type]  # one of ROLES
            reason=entry.reason if whole else masked_text(entry.reason),
            source=entry.source if whole else masked_text(entry.source),
            who=entry.who,
            created=show_time(entry.created),
            expires=show_time(entry.expires) or None,
            respond=entry.respond,
            removed=show_time(entry.removed) or None,
            masked=not whole,
        )


class _Wanted(msgspec.Struct, frozen=True):
    """Which entries; an empty text asks for nothing. before: an id, from which downwards; 0 = the newest."""

    list: str
    kind: str
    role: str
    who: str
    before: int

    def takes(self, entry: Entry) -> bool:
        """Whether the entry is wanted."""
        return (
            self.list in {"", entry.list}
            and self.kind in {"", entry.kind}
            and self.role in {"", entry.role}
            and self.who in {"", entry.who}
        )


def _time_to_come(text: str, now: int) -> int:
    """Seconds since 1970; 0 for never.

    Raises:
        ListError: it is no time, or already over.
    """
    expires = read_time(text)
    if 0 < expires <= now:
        raise ListError("This time is already over.", where="expires", fix="Give a time to come.")
    return expires


def _owned(body: bytes, file: Path, owner: str) -> str:
    """The CSV file as UTF-8, with `owner` in its column who. Lines stay the same, so that errors name the right ones.

    Raises:
        ListError: the encoding or the first line cannot be read.
    """
    file.write_bytes(body)
    reader = csv.reader(io.StringIO(body.decode(detect_encoding(file), "replace"), newline=""))
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    place, names = -1, 0
    try:
        for values in reader:
            if names == 0:
                known = [name.strip().lower() for name in values]
                place, names = known.index(_WHO) if _WHO in known else -1, len(values)
                writer.writerow(values if place >= 0 else [*values, _WHO])
            elif not values:
                out.write("\n")
            elif place < 0:
                writer.writerow([*values, owner])
            else:
                writer.writerow([owner if at == place else value for at, value in enumerate(values)])
    except csv.Error as error:
        raise ListError(f"Line {reader.line_num} is no CSV: {error}.", fix="Mend it; nothing was applied.") from None
    return out.getvalue()


def _errors(file: Path) -> list[RowError]:
    """What the import wrote about bad rows, numbers in it masked."""
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as text:
        rows = islice(csv.DictReader(text), _ERRORS)
        return [
            RowError(int(row["error_row"]), row["error_column"], masked_text(row["error"]), row["error_fix"])
            for row in rows
        ]


EntryId = Annotated[int, PathParameter(ge=1, le=LAST_ID, description="条目编号 / id of the entry")]


def list_routes(lists: ListsDesk, desk: Desk) -> list[HTTPRouteHandler]:
    """The routes."""
    declared = partial(operation, desk, "lists")

    @get(
        "/v1/lists",
        **declared("lists.read", "lists", "listEntries", "名单条目 / List entries", 422),
        description="新的在前。号码已掩码;`unmask=true` 须有 numbers.unmask 权限,并在 Hutong-Purpose 头中说明用途。\n\n"
        "Newest first. Numbers are masked; `unmask=true` needs the permission numbers.unmask and a purpose in the "
        "header Hutong-Purpose.",
    )
    def page(  # noqa: PLR0913, PLR0917  # a filter each
        request: AnyRequest,
        list_: Annotated[
            Literal["", "block", "allow"], QueryParameter(name="list", description="名单 / which list")
        ] = "",
        kind: FromQuery[Literal["", "number", "prefix", "range"]] = "",
        role: FromQuery[Literal["", "any", "caller", "callee"]] = "",
        who: Annotated[str, QueryParameter(max_length=100, description="列入者 / who put it there")] = "",
        limit: Annotated[int, QueryParameter(ge=1, le=500, description="每页条数 / entries on a page")] = 50,
        cursor: Annotated[int, QueryParameter(ge=0, le=LAST_ID, description="上一页给出的 / of the page before")] = 0,
        unmask: Unmask = False,  # noqa: FBT002  # a query's switch
        purpose: Purpose = "",
    ) -> ListPage:
        wanted = _Wanted(list_, kind, role, who, cursor)
        return answered(lambda: lists.page(request, wanted, limit, unmask=unmask, purpose=purpose))

    @post(
        "/v1/lists",
        **declared("lists.change", "lists.add", "addEntry", "列入名单 / Put on a list"),
        request_max_body_size=_NEW_BODY,
        description="一秒内对所有进程生效;同名单、角色、对象的旧条目被替换。\n\n"
        "In force in every process within a second. The same list, role and target again replaces the entry.",
    )
    def add(request: AnyRequest, data: JSONBody[NewEntry]) -> ListEntry:
        return answered(lambda: lists.add(request, data))

    @get(
        "/v1/lists/{number:int}",
        **declared("lists.read", "list", "readEntry", "一个条目 / One entry", 404, 422),
    )
    def entry(
        request: AnyRequest,
        number: EntryId,
        unmask: Unmask = False,  # noqa: FBT002  # as above
        purpose: Purpose = "",
    ) -> ListEntry:
        """被移出或替换的条目仍可查 / Entries that were removed or replaced can still be read."""
        return answered(lambda: lists.entry(request, number, unmask=unmask, purpose=purpose))

    @delete(
        "/v1/lists/{number:int}",
        **declared("lists.change", "lists.remove", "removeEntry", "移出名单 / Take off its list", 404, 409, 422),
        status_code=200,
    )
    def remove(
        request: AnyRequest,
        number: EntryId,
        purpose: Purpose,
    ) -> ListEntry:
        """一秒内生效;Hutong-Purpose 头说明原因,记入操作记录 / Why it goes is in Hutong-Purpose, and on the trail."""
        return answered(lambda: lists.remove(request, number, read_purpose(purpose)))

    @post(
        "/v1/lists/import",
        **declared("lists.change", "lists.import", "importEntries", "导入 CSV / Import CSV"),
        status_code=200,
        request_max_body_size=LARGEST,
        description="正文为 CSV 文件 (UTF-8 或 GB 18030),列同 `hutong lists import`;`who` 一律为令牌所属账号。"
        "错误行不影响其余,超过一成则停止。\n\n"
        "The body is a CSV file (UTF-8 or GB 18030) with the columns of `hutong lists import`; `who` is the token's "
        "owner whatever the file says. Bad rows spoil no others; more than a tenth of them stop the import, and what "
        "was applied stays.",
    )
    def take_in(request: AnyRequest, body: RawBody) -> ImportAnswer:
        return answered(lambda: lists.take_in(request, body))

    return [page, add, entry, remove, take_in]
