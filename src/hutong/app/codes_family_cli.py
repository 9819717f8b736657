"""`hutong codes family`: who shows the code of a child or an elder: linked, listed, ended. Deeds are of `--by`.

People are named by pseudonyms, or by the numbers of identity cards on standard input, a line for each `-` in the order
of the arguments: what stands on a command line is seen by everybody on the machine.
"""

from __future__ import annotations

import sys
from datetime import date
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from cyclopts import App, Parameter

from hutong.app.codes_status_work import family_of, people_of
from hutong.app.scan_sitting import By, ConfigFile, DataFolder, Sitting, opened
from hutong.codes.console.desk import read_purpose
from hutong.codes.console.issue_pages import ISSUE
from hutong.codes.people.documents import read_document
from hutong.codes.people.errors import PersonRefused
from hutong.codes.people.family import LONGEST_DAYS, LinkKind, Proof, Wish
from hutong.codes.people.pseudonyms import is_pseudonym
from hutong.codes.scans.errors import ScanRefused
from hutong.kernel.access.trail import Trail
from hutong.kernel.reporter import rfc3339_ms

if TYPE_CHECKING:
    from hutong.codes.people.family import Link
    from hutong.codes.scans.lookup_model import Seeker

app = App(name="family", help="代亮码:建立、解除、列出 / Family codes: link, unlink, list")

_HELP = "代号;- 从标准输入读证件号 / pseudonym; - = document on stdin"
Guardian = Annotated[str, Parameter(name="GUARDIAN", allow_leading_hyphen=True, help=_HELP)]
Ward = Annotated[str, Parameter(name="WARD", allow_leading_hyphen=True, help=_HELP)]
Person = Annotated[str, Parameter(name="PERSON", allow_leading_hyphen=True, help=_HELP)]
Kind = Annotated[LinkKind, Parameter(name="KIND", help="child 未成年人,elder 老人 / whose code")]


def _clerk(it: Sitting, by: str) -> Seeker:
    """The person with this account. Raises ScanRefused: it may not issue codes for people."""
    found = it.seeker(by)
    if ISSUE not in found.permissions:
        raise ScanRefused("not-allowed", f"This needs the permission {ISSUE}.", where="--by")
    return found


def _person(it: Sitting, said: str) -> tuple[str, date | None]:
    """The pseudonym of whom a command is about, and the birthday where a document says it."""
    if said == "-":
        document = read_document("id", sys.stdin.readline().strip())
        return people_of(it.config, it.database).pseudonyms.of(document), document.born
    if not is_pseudonym(said):
        fix = "Give 32 hex letters, or - and the number of an identity card on standard input."
        raise PersonRefused("no-person", "This is no pseudonym.", where="PERSON", fix=fix)
    return said, None


@app.command
def link(  # noqa: PLR0913  # a link's own parts, one option each
    kind: Kind,
    guardian: Guardian,
    ward: Ward,
    /,
    *,
    proof: Annotated[Proof, Parameter(help="同意的证明 / how consent was shown")],
    by: By,
    days: Annotated[int, Parameter(help="期限,天 / term in days")] = LONGEST_DAYS,
    born: Annotated[str, Parameter(help="未成年人的出生日期 / birthday of a child, YYYY-MM-DD")] = "",
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """建立关系:未成年人由监护人同意,老人由本人同意;输出编号 / Make a link, with consent; writes its id."""
    with opened(config, data) as it:
        clerk, (one, _), (other, known) = _clerk(it, by), _person(it, guardian), _person(it, ward)
        wish = Wish(
            guardian=one,
            ward=other,
            kind=kind,
            consent_of=one if kind == "child" else other,
            proof=proof,
            born=known or _day(born),
            days=days,
        )
        made = family_of(it.config, it.database).link(wish, clerk.name, clerk.address, it.now_ms)
    sys.stdout.write(f"{made.id}\n")


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise PersonRefused("family", "This is no day.", where="--born", fix="Write it like 2015-06-01.") from None


@app.command
def unlink(
    of: Annotated[str, Parameter(name="LINK", help="关系编号 / id of the link")],
    side: Annotated[Literal["guardian", "ward"], Parameter(name="SIDE", help="哪一方要解除 / which side wants it")],
    /,
    *,
    by: By,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """解除关系,任何一方可随时提出 / End a link; either side may at any time."""
    with opened(config, data) as it:
        clerk, family = _clerk(it, by), family_of(it.config, it.database)
        known = family.one(of)
        whose = known.guardian if side == "guardian" else known.ward
        family.unlink(of, whose, clerk.name, clerk.address, it.now_ms)


@app.command(name="list")
def list_(
    person: Person,
    /,
    *,
    purpose: Annotated[str, Parameter(help="用途,记入操作记录 / what for; goes on the trail")],
    by: By,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """某人生效中的关系,每行一个 JSON / Somebody's links in force, a line of JSON each."""
    with opened(config, data) as it:
        clerk, said, family = _clerk(it, by), read_purpose(purpose), family_of(it.config, it.database)
        who, _ = _person(it, person)
        found = [*family.wards(who, it.now_ms), *family.guardians(who, it.now_ms)]
        after, trail = {"links": [one.id for one in found]}, Trail(it.database)
        trail.record(clerk.name, clerk.address, "codes.family", "", None, after, said, now_ms=it.now_ms)
    for one in found:
        sys.stdout.write(msgspec.json.encode(_told(one, who)).decode() + "\n")


def _told(link: Link, who: str) -> dict[str, object]:
    side = "guardian" if link.guardian == who else "ward"
    begins, ends = rfc3339_ms(link.begins_ms), rfc3339_ms(link.ends_ms)
    return {"id": link.id, "side": side, "kind": link.kind, "proof": link.proof, "begins": begins, "ends": ends}
