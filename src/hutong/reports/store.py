"""Reports in the records: taken in once, joined to what others said of the same subject, marked, and a case opened.

All that follows from a report is in its transaction: the matter's counters, the number's mark, the case. What lies
outside, the table of marks that screening reads, is brought up afterwards by whoever committed and by `work`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa

from hutong.kernel.cases.model import Actor, Finding, Request, case_id
from hutong.kernel.marks import REPORT, Mark
from hutong.kernel.records.report_tables import report_matters, report_subjects
from hutong.kernel.records.report_tables import reports as table
from hutong.kernel.records.tables import cases
from hutong.reports.errors import ReportError
from hutong.reports.model import CLEARING, Matter, Origin, Report, Taken, Told
from hutong.reports.opening import VOCABULARY, case_row
from hutong.reports.receipts import BYTES, new_receipt
from hutong.reports.subjects import Checked, Subject, check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.kernel.cases.model import Case
    from hutong.kernel.cases.store import Cases
    from hutong.kernel.marks import Marks
    from hutong.kernel.numbering import Numbering
    from hutong.kernel.records import Connection, Database
    from hutong.reports.opening import Opening
    from hutong.reports.pseudonyms import Pseudonyms

#: Who opens cases out of reports.
SYSTEM: Final = Actor("reports", frozenset({"cases.find", "cases.work"}))
#: Of one network, so many people count for a subject in a day; whoever comes after them counts as the network.
MOST_OF_A_PLACE: Final = 3
#: What the subject of a matter begins with once it was forgotten.
FORGOTTEN: Final = "gone:"
#: Of a matter: it is not forgotten. As the partial index has it, see `records.report_tables`.
KEPT: Final = sa.text(f"substr(subject, 1, 5) <> '{FORGOTTEN}'")
_DAY_MS: Final = 86_400_000
_PROTECTED: Final = frozenset({"emergency", "public"})
_LONGEST_KEY: Final = 200
_MATTERS, _SUBJECTS, _CASES = report_matters, report_subjects, cases
_M, _S, _R = report_matters.c, report_subjects.c, table.c
_FEN: Final = 100


class Parts(NamedTuple):
    """What reports stand on: records, cases, marks, the rules of opening, pseudonyms, the numbering of the node."""

    database: Database
    cases: Cases
    marks: Marks
    opening: Opening
    pseudonyms: Pseudonyms
    numbering: Numbering


class Reports:
    """The reports of a node.

    Args:
        parts: see `Parts`; the database is opened by whoever made it.
    """

    def __init__(self, parts: Parts) -> None:
        self._it = parts
        self._database = parts.database

    @property
    def numbering(self) -> Numbering:
        """How this node reads numbers."""
        return self._it.numbering

    def take(self, told: Told, origin: Origin, now_ms: int) -> Taken:
        """Take a report in: kept, joined, marked and perhaps a case, or nothing of it at all.

        Raises:
            ReportError: says what is wrong with it; "key-used" where the key stands for another report.
            RecordsError: the records fail; nothing was taken.
        """
        it = check(told, self._it.numbering, now_ms)
        digest = self._it.pseudonyms.of_request(_said(told, origin)) if origin.key else ""
        place = self._it.pseudonyms.of_place(origin.address)
        # Of whom nobody knows anything, there may be only one: the house that told.
        nobody = place or self._it.pseudonyms.of_taker(origin.taker)
        who = self._it.pseudonyms.of_number(it.reporter) if it.reporter else nobody
        with self._database.write() as connection:
            known = self._known(connection, origin.key, digest)
            if known is not None:
                return known
            return self._keep(connection, it, _Asker(origin, digest, who, place), now_ms)

    def publish(self, now_ms: int) -> None:
        """Bring the marks of what was taken to the rules, after the transaction. Raises OSError, RecordsError."""
        self._it.marks.publish(now_ms)

    def _keep(self, connection: Connection, it: Checked, asker: _Asker, now_ms: int) -> Taken:
        for subject in sorted(it.subjects, key=lambda one: (one.kind, one.text)):
            self._hold(connection, subject.kind, subject.text)
        report = case_id("r", now_ms, os.urandom(8))
        receipt = new_receipt(os.urandom(BYTES))
        matters = [self._matter(connection, subject, it, now_ms) for subject in it.subjects]
        joined = _first_of(connection, matters[0].id, asker.who)
        connection.execute(table.insert().values(_row(report, receipt, matters[0].id, joined, it, asker, now_ms)))
        for subject, matter in zip(it.subjects, matters, strict=True):
            self._join(connection, report, subject, matter, it, asker, now_ms)
        case = ""
        # Cases come last: from their line in the trail on, nobody else can write to it.
        for subject, matter in zip(it.subjects, matters, strict=True):
            opened = self._consider(connection, self.matter_of(connection, matter.id), subject, asker.origin, now_ms)
            case = case or opened
        first = self.matter_of(connection, matters[0].id)
        return Taken(report, receipt, first.id, first.reporters, joined, first.case or case)

    def _hold(self, connection: Connection, kind: str, subject: str) -> None:
        self._database.hold(connection, f"report:{kind}:{subject}")

    def _matter(self, connection: Connection, subject: Subject, it: Checked, now_ms: int) -> Matter:
        """The matter of a subject, made where there is none."""
        mine = sa.and_(_M.kind == subject.kind, _M.subject == subject.text)
        row = connection.execute(sa.select(_MATTERS).where(mine)).one_or_none()
        if row is not None:
            return matter_from(row)
        made = Matter(
            id=case_id("m", now_ms, os.urandom(8)),
            kind=subject.kind,
            subject=subject.text,
            key=subject.key,
            city=subject.city,
            operator=subject.operator,
            reports=0,
            reporters=0,
            lost_fen=0,
            first_ms=it.told.happened_ms,
            last_ms=now_ms,
            case="",
            state="",
            finding="",
            closed_ms=0,
        )
        values = msgspec.structs.asdict(made) | {"case_version": 0}
        values["lost"] = values.pop("lost_fen")
        connection.execute(_MATTERS.insert().values(values))
        return made

    def _join(  # everything that a line of a matter says
        self,
        connection: Connection,
        report: str,
        subject: Subject,
        matter: Matter,
        it: Checked,
        asker: _Asker,
        now_ms: int,
    ) -> None:
        who = self._counted(connection, matter.id, asker, now_ms)
        fresh = not _first_of(connection, matter.id, who)
        line = {"report": report, "matter": matter.id, "who": who, "place": asker.place, "at_ms": now_ms}
        connection.execute(_SUBJECTS.insert().values(line))
        lost = it.told.lost_fen if subject is it.subjects[0] else 0
        change = {
            "reports": _M.reports + 1,
            "reporters": _M.reporters + int(fresh),
            "lost": _M.lost + lost,
            "last_ms": now_ms,
        }
        connection.execute(_MATTERS.update().where(_M.id == matter.id).values(change))
        if subject.key and subject.klass not in _PROTECTED:
            at = min(max(it.told.happened_ms, now_ms - _DAY_MS), now_ms)
            mark = Mark(key=subject.key, kind=REPORT, ref=report, who=who, at_ms=at)
            self._it.marks.add(connection, mark, now_ms)

    def _counted(self, connection: Connection, matter: str, asker: _Asker, now_ms: int) -> str:
        """Whose report it counts as: numbers that one network tells on the public page are easily made up."""
        if asker.origin.source != "page" or not asker.place or asker.who == asker.place:
            return asker.who
        recent = sa.and_(_S.matter == matter, _S.place == asker.place, _S.at_ms > now_ms - _DAY_MS)
        others = sa.select(sa.func.count(sa.distinct(_S.who))).where(recent, _S.who != asker.who)
        return asker.who if (connection.scalar(others) or 0) < MOST_OF_A_PLACE else asker.place

    # Cases

    def _consider(self, connection: Connection, matter: Matter, subject: Subject, origin: Origin, now_ms: int) -> str:
        """Open a case where a rule says so, or tell the one that is open; gives its id where one was opened."""
        if matter.state == "open":
            if _is_told(matter.reporters):
                said = Request("comment", f"举报人数已达 {matter.reporters} / {matter.reporters} people reported it")
                key = f"{matter.case}:{matter.id}:{matter.reporters}"
                self._it.cases.do(matter.case, said, SYSTEM, now_ms, key=key)
            return ""
        facts = self._facts(connection, matter, subject, origin, now_ms)
        rule = self._it.opening.deciding(facts)
        return "" if rule is None else self._open(connection, matter, rule.id, SYSTEM, now_ms)

    def _facts(
        self, connection: Connection, matter: Matter, subject: Subject, origin: Origin, now_ms: int
    ) -> dict[str, float]:
        since = matter.closed_ms
        mine = sa.and_(_S.matter == matter.id, _S.at_ms > since)

        def people(span_ms: int) -> sa.ColumnElement[Any]:
            return sa.func.count(sa.distinct(sa.case((_S.at_ms > now_ms - span_ms, _S.who))))

        counts = sa.select(
            sa.func.count(),
            sa.func.count(sa.distinct(_S.who)),
            people(_DAY_MS),
            people(7 * _DAY_MS),
            sa.func.count(sa.distinct(sa.func.nullif(_S.place, ""))),
        ).where(mine)
        reports, reporters, day, week, places = connection.execute(counts).one()
        lost = sa.select(sa.func.coalesce(sa.func.sum(_R.lost), 0)).where(
            _R.matter == matter.id, _R.received_ms > since
        )
        return {
            "report.kind": VOCABULARY.code("report.kind", matter.kind),
            "report.source": VOCABULARY.code("report.source", origin.source),
            "number.class": VOCABULARY.code("number.class", subject.klass),
            "matter.reports": reports,
            "matter.reporters": reporters,
            "matter.reporters_24h": day,
            "matter.reporters_7d": week,
            "matter.places": places,
            "matter.lost": float(connection.scalar(lost) or 0) / _FEN,
        }

    def open_case(self, of: str, actor: Actor, now_ms: int) -> str:
        """Open a case for a matter because a person says so; gives the id of that, or of the one that is open.

        Raises:
            ReportError: there is no such matter, or it was forgotten. CaseRefused: the actor may not.
        """
        with self._database.write() as connection:
            matter = self.matter_of(connection, of)
            self._hold(connection, matter.kind, matter.subject)
            # A report may have opened one meanwhile.
            matter = self.matter_of(connection, of)
            if matter.state == "open":
                return matter.case
            if not matter.subject:
                raise ReportError("forgotten", "What this was about is not kept any more.")
            return self._open(connection, matter, f"person:{actor.name}", actor, now_ms)

    def _open(self, connection: Connection, matter: Matter, by: str, actor: Actor, now_ms: int) -> str:
        fields: dict[str, Any] = {"reported": matter.reporters}
        if matter.kind == "web":
            fields["name"] = matter.subject
        elif matter.subject.isdigit():
            fields["number" if matter.kind == "call" else "sender"] = f"+{matter.subject}"
        else:
            fields["sender"] = matter.subject
        if matter.lost_fen:
            fields["lost"] = matter.lost_fen / _FEN
        klass = self.numbering.read(f"+{matter.subject}").klass if matter.key else "unknown"
        row = case_row(matter.kind, klass)
        title = f"群众举报:{row.title},{matter.reporters} 人"
        finding = Finding(row.type, title, fields, 1 if matter.lost_fen else 2, f"reports:{by}")
        answer = self._it.cases.find(finding, actor, now_ms)
        changed = {"case": answer.case, "case_version": answer.version, "state": "open", "finding": ""}
        connection.execute(_MATTERS.update().where(_M.id == matter.id).values(changed))
        return answer.case

    def follow(self, now_ms: int, limit: int = 500) -> int:
        """Take over what became of cases, and drop the marks of what was found to be no fraud; gives how many."""
        changed = sa.select(_M.case).join(_CASES, _CASES.c.id == _M.case)
        # Greater than nothing: most matters have no case, and an index leaves those out.
        changed = changed.where(_M.case > "", _M.case_version != _CASES.c.version).distinct().limit(limit)
        with self._database.read() as connection:
            found = list(connection.scalars(changed))
        for of in found:
            with self._database.write() as connection:
                self._take_over(connection, of, now_ms)
        return len(found)

    def _take_over(self, connection: Connection, of: str, now_ms: int) -> None:
        case = self._it.cases.case(of)
        change: dict[str, Any] = {"case_version": case.version}
        if case.state == "merged":
            into = self._it.cases.case(case.into)
            change = {"case": into.id, "case_version": 0}
        elif case.state == "closed":
            change |= {"state": "closed", "finding": finding_of(case), "closed_ms": case.closed_ms or now_ms}
        else:
            change |= {"state": "open", "finding": ""}
        if change.get("finding") in CLEARING:
            # A message's names have matters of their own: what is found of them says nothing of its sender.
            mine = sa.select(_S.report).join(_MATTERS, _M.id == _S.matter).where(_M.case == of, _M.key != 0)
            for report in connection.scalars(mine.where(_S.at_ms <= change["closed_ms"])).all():
                self._it.marks.drop(connection, REPORT, report, now_ms)
        connection.execute(_MATTERS.update().where(_M.case == of).values(change))

    # Reading

    def matter_of(self, connection: Connection, of: str) -> Matter:
        """A matter by its id.

        Raises:
            ReportError: "no-matter".
        """
        row = connection.execute(sa.select(_MATTERS).where(_M.id == of.replace("\0", ""))).one_or_none()
        if row is None:
            raise ReportError("no-matter", f"There is no matter {of[:80]!r}.")
        return matter_from(row)

    def report(self, of: str) -> tuple[Report, Matter]:
        """A report by its id or its receipt, with its matter.

        Raises:
            ReportError: "no-report".
        """
        wanted = of.replace("\0", "")
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(table).where(sa.or_(_R.id == wanted, _R.receipt == wanted))
            ).one_or_none()
            if row is None:
                raise ReportError("no-report", "There is no such report.")
            return report_from(row), self.matter_of(connection, row.matter)

    def of_id(self, of: str) -> tuple[Report, Matter]:
        """A report by its id alone, with its matter: for addresses, which are logged and hold no receipts.

        Raises:
            ReportError: "no-report".
        """
        found = self.report(of)
        if found[0].id != of:
            raise ReportError("no-report", "There is no such report.")
        return found

    def reports_of(self, matter: str, limit: int = 50) -> list[Report]:
        """The latest reports of a matter, those that name it in a message among them."""
        mine = sa.select(_S.report).where(_S.matter == matter).order_by(_S.at_ms.desc()).limit(limit)
        with self._database.read() as connection:
            chosen = sa.select(table).where(_R.id.in_(mine)).order_by(_R.received_ms.desc(), _R.id)
            return [report_from(row) for row in connection.execute(chosen)]

    def known(self, matter: Matter, now_ms: int) -> list[tuple[str, int]]:
        """What rules read of a matter's number, by the name of the feature; empty where it has none."""
        if not matter.key:
            return []
        with self._database.read() as connection:
            it = self._it.marks.known(connection, matter.key, now_ms)
        named = zip(("24h", "7d", "30d"), it.reporters, strict=True)
        counts = [(f"caller.reporters_{span}", count) for span, count in named]
        return [*counts, ("caller.wrong_blocks", it.wrong), ("caller.call_limit", it.limit)]

    # Keys and forgetting

    def _known(self, connection: Connection, key: str, digest: str) -> Taken | None:
        if not key:
            return None
        if len(key) > _LONGEST_KEY or not key.isprintable():
            raise ReportError("key", "The key of the request is too long, or not printable.", where="key")
        self._database.hold(connection, f"report-request:{key}")
        row = connection.execute(sa.select(table).where(_R.request == key)).one_or_none()
        if row is None:
            return None
        if row.digest != digest:
            raise ReportError("key-used", "The key stands for another report.", where="key", fix="Choose another.")
        matter = self.matter_of(connection, row.matter)
        return Taken(row.id, row.receipt, matter.id, matter.reporters, row.joined, matter.case, again=True)

    def forget(self, before_ms: int, limit: int = 5000) -> int:
        """Forget who and what of reports received before, unless their case is open; gives how many.

        Counters stay: they say nothing of anybody. A subject is forgotten with its last report.
        """
        examined = sa.exists().where(_S.report == _R.id, _M.id == _S.matter, _M.state == "open")
        old = sa.select(_R.id).where(_R.forgotten == 0, _R.received_ms < before_ms, sa.not_(examined)).limit(limit)
        with self._database.write() as connection:
            ids = list(connection.scalars(old))
            gone = {"who": "", "place": "", "text": "", "names": "", "taker": "", "request": None, "digest": ""}
            for start in range(0, len(ids), 500):
                part = ids[start : start + 500]
                connection.execute(table.update().where(_R.id.in_(part)).values(gone | {"forgotten": 1}))
                connection.execute(_SUBJECTS.update().where(_S.report.in_(part)).values(who="", place=""))
            bare = sa.and_(_M.last_ms < before_ms, _M.state.in_(("", "closed")), KEPT)
            connection.execute(_MATTERS.update().where(bare).values(subject=sa.literal(FORGOTTEN) + _M.id, key=0))
        return len(ids)


class _Asker(NamedTuple):
    """Who asks: how it came in, the request's digest, pseudonyms of the reporter and of the network."""

    origin: Origin
    digest: str
    who: str
    place: str


def _row(  # a row's own parts
    report: str, receipt: str, matter: str, joined: str, it: Checked, asker: _Asker, now_ms: int
) -> dict[str, Any]:
    return {
        "id": report,
        "receipt": receipt,
        "request": asker.origin.key or None,
        "digest": asker.digest,
        "kind": it.told.kind,
        "matter": matter,
        "source": asker.origin.source,
        "taker": asker.origin.taker,
        "who": asker.who,
        "place": asker.place,
        "text": it.told.text,
        "names": " ".join(one.text for one in it.subjects if one.kind == "web"),
        "happened_ms": it.told.happened_ms,
        "received_ms": now_ms,
        "lost": it.told.lost_fen,
        "joined": joined,
        "forgotten": 0,
    }


def _first_of(connection: Connection, matter: str, who: str) -> str:
    """The first report of a matter by the same person; "" where there is none."""
    mine = sa.select(_S.report).where(_S.matter == matter, _S.who == who).order_by(_S.at_ms).limit(1)
    return connection.scalar(mine) or ""


def _is_told(reporters: int) -> bool:
    """Whether an open case is told of so many: at 2, 4, 8 … people, for a flood must not bury its story."""
    return reporters > 1 and reporters & (reporters - 1) == 0


def _said(told: Told, origin: Origin) -> bytes:
    # A file is one file, whoever takes it in.
    taker = "" if origin.source == "csv" else origin.taker
    return msgspec.json.encode([told, origin.source, taker], order="sorted")


def finding_of(case: Case) -> str:
    """What a case says that it found."""
    return str(case.fields.get("finding", ""))


def matter_from(row: Any, prefix: str = "") -> Matter:  # noqa: ANN401  # a row of the library's
    """A matter as its row says; `prefix`: what its columns' labels begin with."""
    said = {name: getattr(row, f"{prefix}{name}") for name in Matter.__struct_fields__ if name != "lost_fen"}
    if said["subject"].startswith(FORGOTTEN):
        said["subject"] = ""
    return Matter(lost_fen=getattr(row, f"{prefix}lost"), **said)


def report_from(row: Any) -> Report:  # noqa: ANN401  # as above
    """A report as its row says."""
    given = {"names": tuple(row.names.split()), "lost_fen": row.lost, "forgotten": bool(row.forgotten)}
    names = [name for name in Report.__struct_fields__ if name not in given]
    return Report(**given, **{name: getattr(row, name) for name in names})


def each_of(rows: Any) -> Iterator[tuple[Report, Matter]]:  # noqa: ANN401  # as above
    """Reports and their matters out of rows that join both, the matter's columns labelled `m_…`."""
    for row in rows:
        yield report_from(row), matter_from(row, "m_")
