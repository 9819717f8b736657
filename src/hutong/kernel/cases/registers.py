"""Campaign registers (台账): thousands of items from a CSV file, each a case of its own, closed with its own proof.

Columns: `title` (or 标题), `item` (or 序号: the row's key, by default its number), `priority`, `unit`, `owner`, and the
fields of the type by name or by title in either language. Rows that are wrong are set aside with their number and the
reason; the rest goes in, all in one transaction. An item whose key the register has already is a duplicate, so the same
file taken in twice changes nothing. What is exported cannot be a formula of a spreadsheet.
"""

from __future__ import annotations

import csv
import io
import os
from typing import TYPE_CHECKING, Final, TextIO

import msgspec
import sqlalchemy as sa

from hutong.kernel.access.trail import Trail
from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.cases.fields import read_title, read_value
from hutong.kernel.cases.model import OPEN_STATES, STATES, Actor, Finding, Request, State, case_id
from hutong.kernel.cases.projection import CASES, WITHIN, Changes
from hutong.kernel.records import tables
from hutong.kernel.spreadsheet import bare, decode, harmless

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from hutong.kernel.cases.model import Case, Value
    from hutong.kernel.cases.store import Cases
    from hutong.kernel.cases.types import CaseType
    from hutong.kernel.records import Connection, Database

#: Rows and bytes of a file.
MOST_ROWS: Final = 100_000
LARGEST: Final = 50_000_000
_TABLE = tables.case_registers
_OWN: Final = {
    "title": "title",
    "标题": "title",
    "item": "item",
    "序号": "item",
    "编号": "item",
    "priority": "priority",
    "优先级": "priority",
    "unit": "unit",
    "责任单位": "unit",
    "owner": "owner",
    "责任人": "owner",
}
_PRIORITIES: Final = {"": 2, "1": 1, "2": 2, "3": 3, "高": 1, "中": 2, "低": 3}


class AssignRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose an item is: where the field has the value, the unit's (and the owner's); an empty field fits every item."""

    unit: str
    field: str = ""
    value: str = ""
    owner: str = ""


class Register(msgspec.Struct, frozen=True):
    """A register of items of one type; the first rule that fits says whose an item is."""

    id: str
    title: str
    type: str
    rules: tuple[AssignRule, ...]
    who: str
    created_ms: int


class RowError(msgspec.Struct, frozen=True):
    """A row that was not taken: its line in the file (the header is 1), the column, what was wrong."""

    row: int
    column: str
    what: str


class Imported(msgspec.Struct, frozen=True):
    """What an import did; `encoding` is the one that the file was read with."""

    rows: int
    taken: int
    encoding: str
    errors: tuple[RowError, ...]


class Progress(msgspec.Struct, frozen=True):
    """How far a register is: `done` are closed, `merged` went into others and count no more."""

    items: int
    done: int
    merged: int
    states: dict[State, int]

    @property
    def complete(self) -> bool:
        """Whether every item is closed, with proof."""
        return self.items == self.done


class Registers:
    """The registers of a node.

    Whoever sees the cases of some units alone sees those that have items of theirs, without the rules.

    Args:
        database: opened by whoever made it. cases: those that are seen.
    """

    def __init__(self, database: Database, cases: Cases) -> None:
        self._database, self._cases = database, cases
        self._trail = Trail(database)

    def make(self, title: str, kind: str, rules: Sequence[AssignRule], actor: Actor, now_ms: int) -> Register:
        """A new register.

        Raises:
            CaseRefused: not allowed, no such type, or a rule names a field that the type has not.
        """
        self._check(actor, "cases.find")
        fields = self._cases.types[kind].by_name
        title = read_title(title)
        for rule in rules:
            if rule.field and rule.field not in fields:
                raise CaseRefused("field", f"{kind} has no field {rule.field!r}.", where="rules")
        at = case_id(f"{self._cases.node}-register", now_ms, os.urandom(8))
        register = Register(at, title, kind, tuple(rules), actor.name, now_ms)
        row = msgspec.structs.asdict(register) | {"rules": msgspec.json.encode(register.rules).decode()}
        with self._database.write() as connection:
            connection.execute(sa.insert(_TABLE).values(row))
            self._trail.record(actor.name, actor.address, "cases.register", at, None, {"title": title}, now_ms=now_ms)
        return register

    def all(self) -> list[Register]:
        """Every register, the newest first."""
        with self._database.read() as connection:
            found = [_register(row) for row in connection.execute(sa.select(_TABLE).order_by(_TABLE.c.id.desc()))]
        if self._cases.purview.whole:
            return found
        seen = {of for of, figures in self._cases.board("register").items() if any(figures.values())}
        return [msgspec.structs.replace(it, rules=()) for it in found if it.id in seen]

    def register(self, of: str) -> Register:
        """The register of that id.

        Raises:
            CaseRefused: "no-register".
        """
        with self._database.read() as connection:
            row = connection.execute(sa.select(_TABLE).where(_TABLE.c.id == of.replace("\0", ""))).one_or_none()
        whole = self._cases.purview.whole
        if row is None or not (whole or any(self._cases.figures("register", row.id).values())):
            raise CaseRefused("no-register", f"There is no register {of[:80]!r}.")
        return _register(row) if whole else msgspec.structs.replace(_register(row), rules=())

    def take_in(self, of: str, content: bytes, actor: Actor, now_ms: int) -> Imported:
        """Take items in from a CSV file, all that are right in one transaction.

        Raises:
            CaseRefused: not allowed; the file is too large, in no encoding that is read, or its header is wrong.
        """
        with self._database.write() as connection:
            self._database.hold(connection, f"register:{of}")
            changes, done = self._gather(connection, of, content, actor, now_ms)
            changes.write(connection)
            said = {"taken": done.taken, "refused": len(done.errors)}
            self._trail.record(actor.name, actor.address, "cases.import", of, None, said, now_ms=now_ms)
        return done

    def try_in(self, of: str, content: bytes, actor: Actor, now_ms: int) -> Imported:
        """What `take_in` would do now; nothing is written.

        Raises:
            CaseRefused: as `take_in`.
        """
        with self._database.read() as connection:
            return self._gather(connection, of, content, actor, now_ms)[1]

    def _gather(
        self, connection: Connection, of: str, content: bytes, actor: Actor, now_ms: int
    ) -> tuple[Changes, Imported]:
        self._check(actor, "cases.find")
        register = self.register(of)
        text, encoding = _decode(content)
        rows, errors = read_rows(self._cases.types[register.type], text)
        known = set(connection.execute(sa.select(CASES.c.item).where(CASES.c.register == of)).scalars())
        changes, taken = Changes(), 0
        for number, finding in rows:
            if finding.item in known:
                errors.append(RowError(number, "item", f"{finding.item} is in the register already"))
                continue
            error = self._take(connection, changes, register, finding, actor, now_ms)
            if error is not None:
                errors.append(RowError(number, error.where, error.what))
                continue
            known.add(finding.item)
            taken += 1
        return changes, Imported(taken + len(errors), taken, encoding, tuple(sorted(errors, key=lambda it: it.row)))

    def _take(  # what an item rests on
        self,
        connection: Connection,
        changes: Changes,
        register: Register,
        finding: Finding,
        actor: Actor,
        now_ms: int,
    ) -> CaseRefused | None:
        unit, owner = finding.unit, finding.owner
        if not unit and not owner:
            unit, owner = _whose(register.rules, finding.fields)
        placed = msgspec.structs.replace(
            finding, unit=unit, owner=owner, register=register.id, source=f"register:{register.id}"
        )
        try:
            self._cases.check_owner(connection, owner, unit)
            self._cases.add_found(changes, placed, actor, now_ms)
        except CaseRefused as refused:
            return refused
        return None

    def assign(self, of: str, actor: Actor, now_ms: int, limit: int = 1000) -> int:
        """Assign the items that say whose they are; returns how many were."""
        self.register(of)
        chosen = sa.select(CASES.c.id).where(CASES.c.register == of, CASES.c.is_open == 1, CASES.c.state == "found")
        chosen = chosen.where(sa.or_(CASES.c.unit != "", CASES.c.owner != "")).limit(limit)
        with self._database.read() as connection:
            ids = list(connection.execute(chosen).scalars())
        outcomes = self._cases.do_many(ids, Request("assign"), actor, now_ms)
        return sum(outcome.answer is not None for outcome in outcomes)

    def progress(self, of: str) -> Progress:
        """How far the register is."""
        return _progress(self._cases.figures("register", of))

    def progress_of_all(self) -> list[tuple[Register, Progress]]:
        """Every register and how far it is, the newest first."""
        board, none = self._cases.board("register"), dict.fromkeys(STATES, 0)
        return [(it, _progress(board.get(it.id, none))) for it in self.all()]

    def progress_of_units(self, of: str) -> dict[str, Progress]:
        """How far each unit's items are."""
        board = self._cases.board("register-unit", of + WITHIN)
        return {name.partition(WITHIN)[2]: _progress(figures) for name, figures in board.items()}

    def export(self, of: str, out: TextIO, actor: Actor, now_ms: int) -> int:
        """Write every item as CSV, numbers whole; returns how many. That it was done is on the trail.

        Raises:
            CaseRefused: not allowed, or there is no such register.
        """
        header, items = self.rows(of, actor, now_ms, str)
        writer, count = csv.writer(out, lineterminator="\n"), 0
        writer.writerow(header)
        for count, row in enumerate(items, 1):  # noqa: B007  # it is given
            writer.writerow([harmless(value) for value in row])
        return count

    def rows(
        self, of: str, actor: Actor, now_ms: int, show: Callable[[str], str]
    ) -> tuple[list[str], Iterator[list[str]]]:
        """The headings of an export and every item, read in pages. That it was taken is on the trail first.

        Args:
            show: makes of a title or a field's value what is written.

        Raises:
            CaseRefused: not allowed, or there is no such register.
        """
        if "tables.export" not in actor.permissions:
            raise _not_allowed("tables.export")
        register = self.register(of)
        kind = self._cases.types[register.type]
        self._trail.record(actor.name, actor.address, "cases.export", of, now_ms=now_ms)
        names = [spec.name for spec in kind.fields]

        def row(case: Case) -> list[str]:
            values = (case.id, case.item or "", show(case.title), case.state, case.unit, case.owner)
            more = (case.priority, case.due_ms, *(_shown(case.fields.get(name, ""), show) for name in names))
            return [str(value) for value in (*values, *more)]

        header = ["id", "item", "title", "state", "unit", "owner", "priority", "due_ms", *names]
        return header, map(row, self._cases.items_of(of))

    def _check(self, actor: Actor, permission: str) -> None:
        if permission not in actor.permissions:
            raise _not_allowed(permission)
        if not self._cases.purview.whole:
            raise CaseRefused("not-allowed", "Only who sees every case keeps registers.")


def _shown(value: Value, show: Callable[[str], str]) -> Value:
    return show(value) if isinstance(value, str) else value


def _decode(content: bytes) -> tuple[str, str]:
    """A file's text and the encoding that it was read with: UTF-8, otherwise GB 18030.

    Raises:
        CaseRefused: it is too large, or in neither.
    """
    if len(content) > LARGEST:
        raise CaseRefused("field", f"The file is larger than {LARGEST // 1_000_000} MB.", where="file")
    read = decode(content)
    if read is None:
        raise CaseRefused("field", "The file is neither UTF-8 nor GB 18030.", where="file", fix="Save it as UTF-8.")
    return read


def read_rows(kind: CaseType, text: str) -> tuple[list[tuple[int, Finding]], list[RowError]]:
    """The findings of a file's rows with their lines, and the rows that do not read.

    Raises:
        CaseRefused: the header is wrong, or there are too many rows.
    """
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        columns = _header(kind, next(reader, []))
    except csv.Error as error:
        raise CaseRefused("field", f"The file is no CSV: {error}.", where="line 1") from error
    found: list[tuple[int, Finding]] = []
    errors: list[RowError] = []
    while True:
        try:
            values = next(reader)
        except StopIteration:
            return found, errors
        except csv.Error as error:
            errors.append(RowError(reader.line_num, "", f"this is no CSV row: {error}"))
            continue
        if not any(value.strip() for value in values):
            continue
        if len(found) + len(errors) >= MOST_ROWS:
            raise CaseRefused("field", f"The file has more than {MOST_ROWS} rows.", where="file", fix="Split it.")
        try:
            found.append((reader.line_num, _row(kind, columns, values, len(found) + len(errors) + 1)))
        except CaseRefused as refused:
            errors.append(RowError(reader.line_num, refused.where, refused.what))


def _header(kind: CaseType, names: Sequence[str]) -> list[str]:
    titles = {spec.name: spec.name for spec in kind.fields}
    titles |= {title: spec.name for spec in kind.fields for title in (spec.title.zh, spec.title.en.lower())}
    columns = []
    for at, name in enumerate(names):
        column = _OWN.get(name.strip().lower()) or titles.get(name.strip()) or titles.get(name.strip().lower())
        if column is None or column in columns:
            what = "stands twice" if column else "is unknown"
            known = ", ".join(("title", "item", "priority", "unit", "owner", *kind.by_name))
            raise CaseRefused(
                "field", f"The column {name!r} {what}.", where=f"column {at + 1}", fix=f"Columns: {known}."
            )
        columns.append(column)
    missing = [it.name for it in kind.fields if it.required and it.name not in columns]
    missing += [] if "title" in columns else ["title"]
    if missing:
        raise CaseRefused("field", f"The header lacks {', '.join(missing)}.", where="line 1")
    return columns


def _row(kind: CaseType, columns: Sequence[str], values: Sequence[str], number: int) -> Finding:
    if len(values) != len(columns):
        raise CaseRefused("field", f"The row has {len(values)} fields, the header {len(columns)}.")
    given = dict(zip(columns, (value.strip() for value in values), strict=True))
    fields: dict[str, Value] = {}
    for name, spec in kind.by_name.items():
        if given.get(name):
            fields[name] = read_value(spec, bare(given[name]))
    priority = _PRIORITIES.get(given.get("priority", ""))
    if priority is None:
        raise CaseRefused("field", "The priority is 1 to 3, or 高, 中, 低.", where="priority")
    return msgspec.convert(
        {
            "type": kind.id,
            "title": bare(given["title"]),
            "fields": fields,
            "priority": priority,
            "unit": bare(given.get("unit", "")),
            "owner": bare(given.get("owner", "")),
            "item": bare(given.get("item", "")) or str(number),
        },
        Finding,
    )


def _whose(rules: Sequence[AssignRule], fields: Mapping[str, Value]) -> tuple[str, str]:
    for rule in rules:
        if not rule.field or str(fields.get(rule.field, "")) == rule.value:
            return rule.unit, rule.owner
    return "", ""


def _progress(figures: Mapping[State, int]) -> Progress:
    done = figures.get("closed", 0)
    return Progress(
        done + sum(figures.get(state, 0) for state in OPEN_STATES), done, figures.get("merged", 0), dict(figures)
    )


def _not_allowed(permission: str) -> CaseRefused:
    return CaseRefused("not-allowed", f"This needs the permission {permission}.")


def _register(row: sa.Row[tuple[object, ...]]) -> Register:
    fields = {str(name): value for name, value in row._mapping.items()}  # noqa: SLF001  # the library's public name
    return msgspec.convert(fields | {"rules": msgspec.json.decode(str(fields["rules"]))}, Register)
