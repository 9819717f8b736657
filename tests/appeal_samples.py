"""Appeals for tests: a desk with records, lists and marks in a folder, codes caught, blocks as told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from case_samples import CALENDAR, MONDAY, TYPES
from hutong.appeals.codes import Codes
from hutong.appeals.effect import Lifting
from hutong.appeals.model import Block
from hutong.appeals.store import AppealStore
from hutong.kernel.access.permissions import permissions_of
from hutong.kernel.access.refs import Refs
from hutong.kernel.cases.model import Actor
from hutong.kernel.cases.purview import WHOLE
from hutong.kernel.cases.store import Cases
from hutong.kernel.letters import Postbox
from hutong.kernel.lists.entries import Entry
from hutong.kernel.lists.store import ListStore
from hutong.kernel.marks import Marks
from hutong.kernel.numbering import Numbering

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.appeals.model import Appeal
    from hutong.kernel.letters import Letter
    from hutong.kernel.records import Database

NUMBER = "13800138000"
BASIS = {"zh": "反电信网络诈骗法 第三十二条", "en": "Anti-Telecom and Online Fraud Law, art. 32"}
RULE = Block("rule", "rule:calls.one-ring@3", {"zh": "响一声", "en": "One ring"}, BASIS, makers=("zhao",))
LI, ZHAO = (Actor(name, permissions_of("operator")) for name in ("li", "zhao"))


class CaughtCodes:
    """Keeps codes in this process."""

    name = "memory"

    def __init__(self) -> None:
        self.letters: list[Letter] = []

    def send(self, letter: Letter) -> None:
        """Keep one."""
        self.letters.append(letter)


class AppealDesk:
    """What appeals work with.

    Args:
        database: open. data: a folder.
    """

    def __init__(self, database: Database, data: Path) -> None:
        self.database, self.sent = database, CaughtCodes()
        self.numbering = Numbering("021")
        self.refs = Refs(data / "keys" / "refs.key")
        self.cases = Cases(database, TYPES, CALENDAR, "node1", WHOLE)
        self.codes = Codes(database, self.refs, data / "keys" / "codes.key", Postbox(self.sent, lambda *_: None, 0))
        self.store = AppealStore(database, lambda: self.cases, self.refs, self.numbering, 180)
        self.lists = ListStore(data / "lists")
        self.lists.open()
        self.marks = Marks(database, data / "marks")
        self.lifting = Lifting(database, self.store, self.lists, self.marks)

    def key(self, number: str = NUMBER) -> int:
        """The number's key."""
        return self.numbering.read(number).key

    def proof(self, number: str = NUMBER, now_ms: int = MONDAY) -> str:
        """Prove a number."""
        read = self.numbering.read(number)
        ticket = self.codes.issue(read.key, f"+{read.digits}", lambda code, _: code, "zh", now_ms)
        proof = self.codes.prove(ticket, self.sent.letters[-1].code, now_ms)
        assert proof
        return proof

    def block(self, number: str = NUMBER, who: str = "wang", **more: object) -> Block:
        """Put a number on the block list."""
        entry = Entry(list="block", kind="number", key=self.key(number), role="caller", reason="x", who=who, **more)  # type: ignore[arg-type]
        stored = self.lists.add([entry], MONDAY // 1000)[0]
        words = {"zh": "号码在拦截名单中", "en": "On the block list"}
        return Block("list", f"entry:{stored.id}", words, BASIS, entry=stored.id, own=True, makers=(who,))

    def appeal(self, *blocks: Block, number: str = NUMBER, now_ms: int = MONDAY) -> Appeal:
        """Appeal with these blocks."""
        return self.store.take(self.codes, self.proof(number, now_ms), blocks, "我是诊所", "诊所 张", now_ms)
