"""Receipts are told from mistakes, one name has one form, and counters of matters are what the reports say."""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from hutong.kernel.marks import find_row
from hutong.kernel.marks.file import MARKS, MarkFile
from hutong.kernel.marks.table import reporters_24h
from hutong.kernel.numbering.keys import key_of_digits
from hutong.kernel.records import Database, database_url
from hutong.kernel.records.report_tables import report_matters, report_subjects
from hutong.reports.model import Origin, Told
from hutong.reports.names import names_in, read_name, show_name
from hutong.reports.receipts import BYTES, new_receipt, read_receipt, show_receipt
from report_nodes import VICTIMS, reports_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.reports.store import Reports

NOW = 1_772_416_800_000
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


@given(st.binary(min_size=BYTES, max_size=BYTES), st.integers(0, 15), st.integers(1, 9), st.sampled_from("- .　"))
def test_a_receipt_reads_back_and_a_wrong_digit_is_told(chance: bytes, at: int, more: int, divider: str) -> None:
    receipt = new_receipt(chance)
    assert len(receipt) == 16
    for written in (receipt, show_receipt(receipt).replace(" ", divider), receipt.translate(FULL_WIDTH)):
        assert read_receipt(written) == receipt
    wrong = f"{receipt[:at]}{(int(receipt[at]) + more) % 10}{receipt[at + 1 :]}"
    assert read_receipt(wrong) == ""
    assert read_receipt(receipt[:-1]) == read_receipt(f"{receipt}0") == read_receipt(f"a{receipt}") == ""
    if at < 15 and receipt[at] != receipt[at + 1]:
        swapped = receipt[:at] + receipt[at + 1] + receipt[at] + receipt[at + 2 :]
        assert read_receipt(swapped) == ""


labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True).filter(lambda it: it != "www")
hosts = st.builds(lambda a, b: f"{a}.{b}-x.com", labels, labels)


@given(hosts, st.sampled_from(["", "http://", "HTTPS://", "ftp://"]), st.sampled_from(["", "/a?b=1", ":8443/x", "."]))
def test_a_name_has_one_form_however_it_is_written(host: str, scheme: str, rest: str) -> None:
    if host.startswith("xn--") or ".xn--" in host:
        return
    forms = [f"{scheme}{host}{rest}", f"{scheme}www.{host}{rest}", f"{scheme}{host.upper()}{rest}"]
    assert {read_name(form) for form in forms} == {host}
    assert read_name(read_name(host)) == host
    assert names_in(f"请点击 https://{host}/x。谢谢") == (host,)
    assert show_name(host) == host


def test_names_that_everybody_shares_and_texts_that_are_none() -> None:
    for text in (
        "com.cn",
        "http://github.io/",
        "localhost",
        "",
        "http://",
        "a b.com",
        "-.com",
        "1.2.3",
        "..",
        "x" * 3000,
    ):
        assert read_name(text) == ""
    assert read_name("http://www.github.io") == "www.github.io"
    assert read_name("bank.com.cn") == "bank.com.cn"
    assert read_name("例子。中国") == read_name("xn--fsqu00a.xn--fiqs8s") == "xn--fsqu00a.xn--fiqs8s"
    assert read_name("http://192.0.2.1:80/x") == "192.0.2.1"
    assert show_name("xn--fsqu00a.xn--fiqs8s").startswith("例子.中国 ")
    assert names_in("见 report.pdf 或 a@b.com") == ()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("请点https://evil.com，谢谢", ("evil.com",)),
        ("请点https://evil.com领取", ("evil.com",)),
        ("(见https://evil.com:8443)", ("evil.com",)),
        ("https://bank.com@evil.com/x", ("evil.com",)),
        ("https://bank.com:a@evil.com", ("evil.com",)),
        ("http://例子.中国，谢谢", ("xn--fsqu00a.xn--fiqs8s",)),
        ("HTTPS://EVIL.COM。", ("evil.com",)),
    ],
)
def test_a_name_in_a_message_ends_where_the_text_goes_on(text: str, names: tuple[str, ...]) -> None:
    assert names_in(text) == names


told_by = st.tuples(
    st.integers(0, 2),
    st.sampled_from(VICTIMS[:4]),
    st.sampled_from(["", "+86", "0086", " "]),
    st.sampled_from(["page", "api"]),
    st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"]),
    st.sampled_from(["", "", "k1", "k2"]),
)
_examples = count()


class World(NamedTuple):
    """Reports that all examples share: each has numbers of its own."""

    database: Database
    reports: Reports
    marks: MarkFile


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    data = tmp_path_factory.mktemp("reports")
    database = Database(database_url("", data))
    database.open()
    yield World(database, reports_on(database, data)[0], MarkFile(data / MARKS))
    database.close()


@settings(max_examples=25, deadline=None)
@given(told=st.lists(told_by, max_size=14))
def test_counters_follow_from_the_reports_and_marks_from_the_reporters(
    world: World, told: list[tuple[int, str, str, str, str, str]]
) -> None:
    example = next(_examples)
    people: dict[str, set[str]] = {}
    made: Counter[str] = Counter()
    receipts: set[str] = set()
    for which, reporter, before, source, address, key in told:
        number = f"170{example:07d}{which}"
        request = f"{source}{number}{reporter}{before}{key}" if key else ""
        report = Told(kind="call", number=f"{before}{number}", reporter=f"{before}{reporter}")
        origin = Origin(source=source, address=address, key=request)  # type: ignore[arg-type]
        taken = world.reports.take(report, origin, NOW)
        if taken.again:
            assert taken.receipt in receipts
            continue
        receipts.add(taken.receipt)
        people.setdefault(number, set()).add(reporter)
        made[number] += 1
        assert bool(taken.joined) <= (made[number] > 1)
    world.reports.publish(NOW)
    world.marks.refresh()
    with world.database.read() as connection:
        for number, reports in made.items():
            row = connection.execute(sa.select(report_matters).where(report_matters.c.subject == f"86{number}")).one()
            who = sa.select(sa.func.count(sa.distinct(report_subjects.c.who)), sa.func.count())
            reporters, lines = connection.execute(who.where(report_subjects.c.matter == row.id)).one()
            assert (row.reporters, row.reports) == (reporters, lines) == (reporters, reports)
            # Of one network at most three count, and whoever comes after them as the network.
            assert reporters <= len(people[number]) + 1
            rows = world.marks.rows
            assert reporters_24h(rows, find_row(rows, key_of_digits(row.subject))) == reporters
