"""Compiles what is compiled, once for a machine: `make setup` runs it so that no start has to wait for it.

The first part compiles what all share; the others follow two at a time, in processes of their own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from hutong.app.config import load_config
from hutong.app.replay import Options, replay
from hutong.app.screen import node_settings
from hutong.calls.alerts.follow import AlertReader
from hutong.calls.alerts.record import KIND_ALERT
from hutong.calls.asking.edge import SOCKET, AskEdge
from hutong.calls.feed.desk import FeedDesk
from hutong.calls.feed.places import PlaceBook
from hutong.calls.index import VerdictIndex
from hutong.calls.look_ups import LookUps
from hutong.calls.loop import ScreeningLoop
from hutong.calls.mirror.edge import MirrorEdge
from hutong.calls.node import Node
from hutong.calls.sip_server import SipServer
from hutong.calls.stories.stories import Stories
from hutong.kernel.clock import SystemClock
from hutong.kernel.journal import FileJournal
from hutong.kernel.lists.index import ListIndex
from hutong.kernel.lists.store import ListStore
from hutong.kernel.lists.targets import draft, read_target
from hutong.kernel.reporter import Reporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_AT_ONCE: Final = 2
_SAMPLE: Final = "call_id,start,trunk,caller,callee,answered\nsample,1790000000000,local,13800138000,13900139000,1\n"


class _Open(NamedTuple):
    """A node that stands ready in a throw-away folder."""

    folder: Path
    loop: ScreeningLoop
    look_ups: LookUps


def main() -> int:
    """Compile all parts; the exit status is that of the first part that failed."""
    sys.stdout.write("正在编译(数分钟,仅此一次)/ Compiling, a few minutes, this once …\n")
    sys.stdout.flush()
    first, *others = _PARTS
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return _apart(first) or next((status for status in pool.map(_apart, others) if status), 0)


def _apart(part: str) -> int:
    return subprocess.run([sys.executable, "-m", "hutong.app.prepare", part], check=False).returncode  # noqa: S603  # itself


@contextmanager
def _opened() -> Iterator[_Open]:
    with tempfile.TemporaryDirectory(prefix="hutong-prepare-") as name:
        settings = node_settings(load_config(None, data=Path(name), environ={}))
        # Signalling may be mirrored later.
        settings = msgspec.structs.replace(settings, followed_calls=1024)
        node = Node(settings, SystemClock(), Reporter("prepare", level="error").log)
        loop = ScreeningLoop(node.open(), node, SystemClock(), _say)
        yield _Open(Path(name), loop, LookUps(loop, None))
        node.close()


def _sip() -> None:
    with _opened() as it:
        SipServer(it.loop, [], it.look_ups).warm_up()
    read_target("13800138000")  # what `hutong lists` needs


def _mirror() -> None:
    with _opened() as it:
        MirrorEdge(it.loop, [], key=b"", wait_ms=0).warm_up()
        FeedDesk(it.loop, PlaceBook(it.folder, FileJournal(it.folder / "journal"))).warm_up()


def _ask() -> None:
    with _opened() as it:
        AskEdge(it.loop, it.look_ups, it.folder / SOCKET).warm_up()


def _stories() -> None:
    with tempfile.TemporaryDirectory(prefix="hutong-prepare-") as name:
        Stories(Path(name), VerdictIndex(Path(name)), str).warm_up()


def _keep() -> None:
    """What takes up lists and follows the journal."""
    with tempfile.TemporaryDirectory(prefix="hutong-prepare-") as name:
        folder = Path(name)
        journal = FileJournal(folder / "journal", writable=True)
        journal.open()
        journal.append(KIND_ALERT, [b""], 0)
        journal.close()
        AlertReader(folder).read(0)
        store = ListStore(folder / "lists")
        store.open()
        store.add([draft("13800138000", who="prepare", reason="prepare")], 0)
        index = ListIndex(store)
        index.load()
        index.close()
        store.close()


def _replay() -> None:
    with tempfile.TemporaryDirectory(prefix="hutong-prepare-") as name:
        folder = Path(name)
        (folder / "calls.csv").write_text(_SAMPLE, encoding="utf-8")
        replay(Options((folder / "calls.csv",), out=folder / "judged.csv"))


# The first has least of its own beside the judgement, the second has most.
_PARTS: Final[dict[str, Callable[[], None]]] = {
    "ask": _ask,
    "mirror": _mirror,
    "sip": _sip,
    "replay": _replay,
    "keep": _keep,
    "stories": _stories,
}


def _say(event: str, *more: object, **fields: object) -> None:
    sys.stderr.write(f"{event} {more or ''} {fields or ''}\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _PARTS[sys.argv[1]]()
    else:
        sys.exit(main())
