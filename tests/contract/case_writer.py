"""Finds cases in the records at argv[1], works on them and on the case argv[2], as argv[3], until it is killed.

Says a request's key, the case and its version once it is answered.
"""

from __future__ import annotations

import sys
from itertools import count

from case_samples import CALENDAR, DUTY, MONDAY, TYPES, number_case
from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.cases.model import Request
from hutong.kernel.cases.purview import WHOLE
from hutong.kernel.cases.store import Answer, Cases
from hutong.kernel.records import Database


def main() -> None:
    database = Database(sys.argv[1])
    database.open()
    cases, shared, who = Cases(database, TYPES, CALENDAR, "node1", WHOLE), sys.argv[2], sys.argv[3]
    for n in count():
        found = cases.find(number_case(unit="移动"), DUTY, MONDAY, key=f"{who}.find.{n}")
        said(f"{who}.find.{n}", found)
        key = f"{who}.assign.{n}"
        said(key, cases.do(found.case, Request("assign"), DUTY, MONDAY, version=1, key=key))
        key = f"{who}.comment.{n}"
        version = cases.case(shared).version
        try:
            said(key, cases.do(shared, Request("comment", key), DUTY, MONDAY, version=version, key=key))
        except CaseRefused as refused:
            if refused.reason != "changed-meanwhile":
                raise


def said(key: str, answer: Answer) -> None:
    sys.stdout.write(f"{key} {answer.case} {answer.version}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
