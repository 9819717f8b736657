from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec
import numpy as np
import pytest

from hutong.simulation.days import HOUR_MS
from hutong.simulation.rows import CLASS, INTER_NETWORK, INTERNATIONAL, LOCAL, UNCONFIRMED, joined
from provinces import by_class, parameters, share, small, week

if TYPE_CHECKING:
    from hutong.simulation.campaigns.adaptive import Adaptive
    from hutong.simulation.parameters import Parameters
    from hutong.simulation.province import Province
    from hutong.simulation.rows import Calls

KINDS = ("spoofed-police", "sequential-robocall", "wangiri", "refund", "sim-box", "relay", "forged-service",
         "virtual-desk", "adaptive")  # fmt: skip
_MINUTE_MS = 60_000


def _only(kind: str, **changed: object) -> Parameters:
    """The shipped parameters with one kind of campaign alone, and with changes to it."""
    shown = parameters()
    for name in KINDS:
        field = name.replace("-", "_")
        campaign = getattr(shown, field)
        if name != kind:
            campaign = msgspec.structs.replace(campaign, weight=0.0)
        else:
            campaign = msgspec.structs.replace(campaign, **changed)
        shown = msgspec.structs.replace(shown, **{field: campaign})
    return shown


def test_each_kind_has_its_share_of_the_calls() -> None:
    _, calls = week()
    weights = {kind: getattr(parameters(), kind.replace("-", "_")).weight for kind in KINDS}
    fraud = calls[calls["campaign"] > 0]
    for kind, weight in weights.items():
        found = share(fraud["caller_class"] == CLASS[kind])
        assert found == pytest.approx(weight / sum(weights.values()), abs=0.03), kind


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in {"wangiri", "sequential-robocall"}])
def test_victims_answer_as_often_as_the_parameters_say(kind: str) -> None:
    _, calls = week()
    made = by_class(calls, kind)
    expected = getattr(parameters(), kind.replace("-", "_")).answered
    assert abs(share(made["answered"]) - expected) < 4 * (expected * (1 - expected) / len(made)) ** 0.5


def test_impostors_of_the_police_come_from_abroad_and_are_not_roaming() -> None:
    _, calls = week()
    made = by_class(calls, "spoofed-police")
    assert (made["trunk"] == INTERNATIONAL).all()
    assert {1, UNCONFIRMED} & set(np.unique(made["roaming"])) == {UNCONFIRMED}
    _, uses = np.unique(made["caller"][made["caller"] > 10**7], return_counts=True)
    assert np.median(uses) <= parameters().spoofed_police.calls_per_caller


def test_robocalls_dial_number_after_number() -> None:
    _, calls = week()
    made = by_class(calls, "sequential-robocall")
    mine = made[made["caller"] == made["caller"][0]]
    assert len(mine) > 50
    assert (np.diff(mine["callee"]) == 1).all()
    assert 0.2 < share(made["callee_class"] != CLASS["unallocated"]) < 0.9


def test_one_ring_calls_ring_once_from_abroad_and_some_people_call_back() -> None:
    _, calls = week()
    made = by_class(calls, "wangiri")
    assert (made["trunk"] == INTERNATIONAL).all()
    assert np.median(made["ring_ms"]) < 2_500
    back = calls[calls["callee_class"] == CLASS["wangiri"]]
    assert 0 < len(back) < 0.1 * len(made)
    assert (back["campaign"] == 0).all()
    assert np.isin(back["callee"], made["caller"]).all()


def test_a_sim_box_stays_in_one_place_shares_devices_and_sleeps_at_night() -> None:
    province, calls = week()
    made = by_class(calls, "sim-box")
    first = made[made["campaign"] == made["campaign"][0]]
    assert len(np.unique(first["cell"])) == 1
    assert (first["trunk"] == LOCAL).all()
    cards, devices = len(np.unique(first["imsi"])), len(np.unique(first["imei"]))
    assert cards == len(np.unique(first["caller"]))
    assert cards / devices == pytest.approx(parameters().sim_box.cards_per_device, abs=0.6)
    hour = (first["start"] - province.days.begin_ms) // HOUR_MS % 24
    assert not np.isin(hour, [0, 1, 2, 3, 4, 5, 6, 23]).any()
    _, per_card = np.unique(first["caller"], return_counts=True)
    assert per_card.max() < 60


def test_a_relay_has_an_ordinary_device_for_each_card() -> None:
    _, calls = week()
    made = by_class(calls, "relay")
    pairs = np.unique(made[["imei", "imsi"]])
    assert len(pairs) == len(np.unique(made["imei"])) == len(np.unique(made["imsi"]))


def test_refund_callers_reach_the_customers_of_one_shop_again_and_talk_long() -> None:
    province = small(calls=60_000, days=7, changed=_only("refund", size=1_200))
    made = by_class(joined(list(province.run())), "refund")
    assert len(np.unique(made["callee"])) < 0.95 * len(made)
    _, uses = np.unique(made["caller"], return_counts=True)
    assert uses.max() <= parameters().refund.calls_per_caller + 1
    assert share(made["talk_ms"] > 600_000) > 0.03


def _campaign(province: Province) -> Adaptive:
    return cast("Adaptive", province.campaigns[0])


def _played(province: Province, *, blocking: bool) -> Calls:
    """A province in which every call of the campaign is refused after a number's fifth, or in which none is."""
    counts: dict[int, int] = {}
    parts = []
    for calls in province.run(_MINUTE_MS):
        fraud = np.flatnonzero(calls["campaign"] > 0)
        refused = []
        for at in fraud:
            caller = int(calls["caller"][at])
            counts[caller] = counts.get(caller, 0) + 1
            if blocking and counts[caller] > 5:
                refused.append(at)
        province.told(calls[refused])
        parts.append(calls)
    return joined(parts)


def test_a_campaign_that_is_told_of_refusals_takes_other_numbers_slows_down_and_comes_in_elsewhere() -> None:
    changed = _only("adaptive", size=100_000)
    blocked = small(calls=40_000, days=2, changed=changed)
    calls = by_class(_played(blocked, blocking=True), "adaptive")
    assert _campaign(blocked).changes > 5
    assert _campaign(blocked).pace == parameters().adaptive.slowest
    assert set(np.unique(calls["trunk"])) == {INTERNATIONAL, INTER_NETWORK, LOCAL}
    assert len(np.unique(calls["caller"])) > 3 * parameters().adaptive.callers
    _, uses = np.unique(calls["caller"], return_counts=True)
    assert np.median(uses) < 30


def test_a_campaign_that_nobody_tells_assumes_that_its_numbers_wear_out() -> None:
    province = small(calls=40_000, days=2, changed=_only("adaptive", size=100_000))
    calls = by_class(joined(list(province.run())), "adaptive")
    _, uses = np.unique(calls["caller"], return_counts=True)
    assert _campaign(province).changes >= 2
    assert uses.max() <= parameters().adaptive.assumed_calls + 20


def test_nobody_returns_a_call_that_was_refused() -> None:
    changed = _only("wangiri", call_back=0.5)
    heard = small(calls=20_000, days=1, changed=changed)
    back = [(calls["callee_class"] == CLASS["wangiri"]).sum() for calls in heard.run(_MINUTE_MS)]
    assert sum(back) > 20
    refusing = small(calls=20_000, days=1, changed=changed)
    returned = 0
    for calls in refusing.run(_MINUTE_MS):
        returned += int((calls["callee_class"] == CLASS["wangiri"]).sum())
        refusing.told(calls[calls["campaign"] > 0])
    # Only those who called back within the same minute, before anybody could tell.
    assert returned < 0.3 * sum(back)


def test_refusals_of_honest_calls_disturb_no_campaign() -> None:
    province = small(calls=20_000, days=1)
    for calls in province.run():
        province.told(calls[calls["campaign"] == 0])
    assert sum(run.left for run in province.campaigns) < 0.2 * 0.02 * 20_000
