"""What the pages of lists share: the lists, the trail, and how an entry looks to one viewer.

Numbers are masked for everybody; an entry is whole only in the answer to a purpose that the trail holds (`unmasking`),
and where it goes back to whoever has just written it. Not here: routes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request
from litestar.params import URLEncodedBody

from hutong.calls.console.list_import import ImportDesk
from hutong.calls.console.list_table import Census, expiry_of
from hutong.calls.list_targets import masked, named, written
from hutong.kernel.lists.csv_file import show_time
from hutong.kernel.lists.entries import (
    LAST_ID,
    Entry,  # msgspec reads the annotation
)
from hutong.kernel.reporter import masked as masked_text

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.kernel.access.refs import Refs
    from hutong.kernel.access.trail import Trail
    from hutong.kernel.access.viewer import Viewer
    from hutong.kernel.clock import Clock
    from hutong.kernel.lists.store import ListStore
    from hutong.kernel.numbering import Numbering
    from hutong.kernel.web.console import Console

AnyRequest = Request[Any, Any, Any]
Form = URLEncodedBody[dict[str, str]]

_NS = 1_000_000_000


class Row(msgspec.Struct, frozen=True):
    """An entry as a page shows it to one viewer.

    Attributes:
        target, reason, source, removed_why: masked unless `whole`.
        hides: whether anything in them is hidden.
        ref: leads to the number's story; empty where there is none to see.
    """

    entry: Entry
    target: str
    reason: str
    source: str
    removed_why: str
    whole: bool
    hides: bool
    expiry: str
    ref: str


class ListDesk:
    """What the pages of lists share.

    Args:
        console: makes the pages.
        store: the lists, open.
        numbering: reads and shows numbers as this node does.
        trail: what is changed and shown goes there first.
        refs: names numbers in addresses and on the trail.
        clock: the time.
        imports: folder for files that wait to be imported.
    """

    def __init__(
        self,
        console: Console,
        *,
        store: ListStore,
        numbering: Numbering,
        trail: Trail,
        refs: Refs,
        clock: Clock,
        imports: Path,
    ) -> None:
        self.console = console
        self.store = store
        self.numbering = numbering
        self.trail = trail
        self.refs = refs
        self.clock = clock
        self.census = Census(store, clock.monotonic)
        self.imports = ImportDesk(imports, store, numbering, clock)

    def now(self) -> int:
        """Seconds since 1970."""
        return self.clock.wall() // _NS

    def language(self, request: AnyRequest) -> str:
        """The reader's."""
        return self.console.language(request)

    def record(self, viewer: Viewer, deed: str, **what: Any) -> None:  # noqa: ANN401  # as `Trail.record`
        """Put a deed on the trail, now."""
        self.trail.record(viewer.name, viewer.address, deed, **what, now_ms=self.console.now_ms())

    def row(self, entry: Entry, viewer: Viewer, *, whole: bool = False) -> Row:
        """An entry for this viewer; `whole` only for whom the trail holds a purpose, or who has just written it."""
        story = entry.kind == "number" and viewer.can("numbers.read")
        open_texts = (self.written(entry), entry.reason, entry.source, entry.removed_why)
        texts = (masked(entry, self.numbering), *(masked_text(text) for text in open_texts[1:]))
        target, reason, source, removed_why = open_texts if whole else texts
        return Row(
            entry=entry,
            target=target,
            reason=reason,
            source=source,
            removed_why=removed_why,
            whole=whole,
            hides=not whole and texts != open_texts,
            expiry=expiry_of(entry, self.now()),
            ref=self.refs.ref(entry.key) if story else "",
        )

    def rows(self, entries: list[Entry], viewer: Viewer) -> list[Row]:
        """Entries for this viewer, masked."""
        return [self.row(entry, viewer) for entry in entries]

    def written(self, entry: Entry) -> str:
        """A target as people write it, whole."""
        return written(entry, self.numbering)

    def name(self, entry: Entry) -> str:
        """A target on the trail."""
        return named(entry, self.refs)

    def facts(self, entry: Entry) -> dict[str, object]:
        """An entry on the trail."""
        return {
            "id": entry.id or None,
            "target": masked(entry, self.numbering),
            "list": entry.list,
            "role": entry.role,
            "reason": masked_text(entry.reason),
            "source": masked_text(entry.source),
            "who": entry.who,
            "expires": show_time(entry.expires) or None,
            "respond": entry.respond,
        }

    def entry(self, number: int) -> Entry | None:
        """The entry with this id, removed or not."""
        return self.store.entry(number) if 0 < number <= LAST_ID else None
