"""When changes by hand look like misuse: too many by one person or agency, or for people who share a reason. Pure.

In June 2022 depositors who had come to Zhengzhou to ask a bank for their money were given red codes: 1,317 of them,
by hand, by one office, with no epidemic reason. Each such change alone could have passed as an order about one person;
together they had a form that could have been seen within the hour. A suspicion opens a case; it stops nothing by
itself, because in an outbreak many changes in a day may be right, and a person must look.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

Kind = Literal["person", "agency", "approver", "reason"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
KIND_TITLES: Final[dict[Kind, dict[str, str]]] = {
    "person": {"zh": "同一人一天内申请过多", "en": "many requests of one person in a day"},
    "agency": {"zh": "同一单位一天内申请过多", "en": "many requests of one agency in a day"},
    "approver": {"zh": "同一人一天内批准过多", "en": "many approvals of one person in a day"},
    "reason": {"zh": "多人使用同一理由", "en": "one reason for many people"},
}
#: How far back is counted.
DAY_MS: Final = 24 * 3_600_000


class Limits(msgspec.Struct, frozen=True):
    """From how many on a case is opened: changes in 24 hours, people with one reason in 24 hours."""

    person: int = 20
    agency: int = 100
    reason: int = 10


class Counts(msgspec.Struct, frozen=True):
    """What was asked for or approved within `DAY_MS`, the present change with it.

    Attributes:
        person, agency: changes that this account, or its agency, requested. approver: that it approved.
        reason: people for whom the reason was given.
    """

    person: int = 0
    agency: int = 0
    approver: int = 0
    reason: int = 0


class Suspicion(msgspec.Struct, frozen=True):
    """Something that a person must look at.

    Attributes:
        subject: the account, the agency, or the key of the reason. count: as of now. limit: what it reached.
    """

    kind: Kind
    subject: str
    count: int
    limit: int


def suspicions(counts: Counts, subjects: dict[Kind, str], limits: Limits) -> list[Suspicion]:
    """What is suspicious about these counts.

    Args:
        subjects: whose counts they are; kinds that are left out are not looked at.
    """
    bounds: dict[Kind, int] = {
        "person": limits.person,
        "agency": limits.agency,
        "approver": limits.person,
        "reason": limits.reason,
    }
    found = ((kind, getattr(counts, kind), bounds[kind]) for kind in KINDS if kind in subjects)
    return [Suspicion(kind, subjects[kind], count, limit) for kind, count, limit in found if count >= limit]
