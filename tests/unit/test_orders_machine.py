"""Orders as the rules of the machine have them, and the page that is made from its table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hutong.kernel.access.permissions import PERMISSIONS
from hutong.kernel.lists.targets import read_target
from hutong.kernel.numbering import Numbering
from hutong.orders import machine
from hutong.orders.bases import bases, bases_table
from hutong.orders.errors import OrderRefused
from hutong.orders.machine import Bounds
from hutong.orders.model import KEEPER, OPEN_STATES, Actor, Deed, Order
from hutong.orders.table import MOVES, moves_table, state_diagram
from order_samples import CHEN, DAY, LI, NOW, wish

PAGE = Path(__file__).resolve().parents[2] / "docs" / "orders.md"
BOUNDS = Bounds(protected=(read_target("02164377777"),))


def made(**fields: object) -> Order:
    return machine.request(wish(**fields), "node1-x", CHEN, NOW, BOUNDS, Numbering("0571"))


@pytest.mark.parametrize(
    ("reason", "where", "fields"),
    [
        ("field", "target", {"target": "abc"}),
        ("field", "agency", {"agency": " "}),
        ("field", "document", {"document": ""}),
        ("field", "reason", {"reason": "x" * 1001}),
        ("basis", "basis", {"basis": ()}),
        ("basis", "basis", {"basis": ("fraud-act-32",)}),
        ("basis", "basis_text", {"basis": ("other",)}),
        ("term", "term_s", {"term_s": 0}),
        ("term", "term_s", {"term_s": 366 * 86_400}),
        ("begins", "begins_ms", {"begins_ms": NOW + 91 * DAY}),
        ("limit", "per_hour", {"per_hour": 3}),
        ("limit", "per_hour", {"kind": "limit"}),
        ("limit", "target", {"kind": "limit", "per_hour": 3, "target": "139*", "confirmed": True}),
        ("protected", "target", {"target": "110", "role": "any"}),
        ("protected", "target", {"target": "12*", "role": "callee", "confirmed": True}),
        ("confirm", "confirmed", {"target": "110"}),
        ("protected", "target", {"target": "1234*", "role": "callee", "confirmed": True}),
        ("confirm", "confirmed", {"target": "95588", "role": "callee"}),
        ("confirm", "confirmed", {"target": "021-6437 7777"}),
        ("confirm", "confirmed", {"target": "0216437*"}),
        ("confirm", "confirmed", {"target": "170*"}),
    ],
)
def test_what_no_order_may_be(reason: str, where: str, fields: dict[str, object]) -> None:
    with pytest.raises(OrderRefused) as refused:
        made(**fields)
    assert (refused.value.reason, refused.value.where) == (reason, where)


def test_a_guarded_scope_is_confirmed_by_both_persons() -> None:
    order = made(target="12345", confirmed=True)
    assert order.guarded == "service"
    with pytest.raises(OrderRefused, match="explicit confirmation"):
        machine.decide(order, Deed("approve"), LI, NOW, BOUNDS)
    assert machine.decide(order, Deed("approve", confirmed=True), LI, NOW, BOUNDS).state == "approved"


def test_nobody_decides_what_they_requested_and_nobody_else_withdraws_it() -> None:
    order = made()
    for action in ("approve", "decline"):
        with pytest.raises(OrderRefused) as refused:
            machine.decide(order, Deed(action, "why"), CHEN, NOW, BOUNDS)  # type: ignore[arg-type]
        assert refused.value.reason == "same-person"
    with pytest.raises(OrderRefused) as refused:
        machine.decide(order, Deed("withdraw", "why"), LI, NOW, BOUNDS)
    assert refused.value.reason == "not-yours"
    assert machine.decide(order, Deed("withdraw", "why"), CHEN, NOW, BOUNDS).state == "withdrawn"


@given(
    deeds=st.lists(
        st.tuples(
            st.sampled_from([action for action in MOVES if action != "request"]),
            st.sampled_from([CHEN, LI, KEEPER, Actor("guest", frozenset({"orders.request"}))]),
            st.sampled_from(["", "why"]),
            st.integers(0, 40 * DAY),
        ),
        max_size=12,
    )
)
def test_no_sequence_of_deeds_gets_an_order_in_force_without_a_second_person(
    deeds: list[tuple[str, Actor, str, int]],
) -> None:
    order, now = made(), NOW
    for action, actor, why, later in deeds:
        now += later
        try:
            after = machine.decide(order, Deed(action, why), actor, now, BOUNDS)  # type: ignore[arg-type]
        except OrderRefused:
            continue
        assert order.state in MOVES[action].sources  # type: ignore[index]
        assert order.state in OPEN_STATES or after.state == order.state
        order = after
    if order.state in {"approved", "in-force"} or order.entry or order.starts_ms:
        assert order.decided_by not in {"", order.requested_by}
        assert order.ends_ms - order.starts_ms == order.term_s * 1000
    if order.state in {"lifted", "declined", "withdrawn"}:
        assert order.ended_why


def test_bases_name_kinds_and_permissions_exist() -> None:
    assert {kind for it in bases().values() for kind in it.kinds} == {"block", "unblock", "limit"}
    assert {move.who for move in MOVES.values()} - {""} <= set(PERMISSIONS)


@pytest.mark.parametrize(
    ("place", "text"),
    [("diagram", f"```mermaid\n{state_diagram()}```\n"), ("moves", moves_table()), ("bases", bases_table())],
)
def test_what_is_generated_is_current(place: str, text: str) -> None:
    found = re.search(rf"<!-- generated:{place} -->\n(.*?)<!-- end -->", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    assert found[1].strip() == text.strip()
