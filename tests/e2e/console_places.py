"""The pages of the console: where, who may see them, which have a table."""

from __future__ import annotations

import msgspec


class Place(msgspec.Struct, frozen=True):
    """A page: where, and who may see it."""

    path: str
    permission: str


PLACES = (
    Place("/", "live.read"),
    Place("/?wall=1", "live.read"),
    Place("/live/cities", "live.read"),
    Place("/verdicts", "verdicts.read"),
    Place("/calls/{seq}", "verdicts.read"),
    Place("/alerts", "verdicts.read"),
    Place("/numbers/{ref}", "numbers.read"),
    Place("/search", "numbers.read"),
    Place("/orders", "orders.read"),
    Place("/orders/new", "orders.request"),
    Place("/orders/packs", "evidence.pack"),
    Place("/overdue", "cases.read"),
    Place("/work", "cases.read"),
    Place("/work/team", "cases.read"),
    Place("/cases", "cases.read"),
    Place("/cases/new", "cases.find"),
    Place("/cases/new/fraud-number", "cases.find"),
    Place("/cases/{case}", "cases.read"),
    Place("/registers", "cases.read"),
    Place("/registers/{register}", "cases.read"),
    Place("/sampling", "sampling.read"),
    Place("/sampling/map", "sampling.read"),
    Place("/sampling/map?measure=oldest", "sampling.read"),
    Place("/sampling/stations", "sampling.read"),
    Place("/sampling/tubes", "sampling.read"),
    Place("/sampling/tubes/{tube}", "sampling.read"),
    Place("/sampling/batches", "sampling.read"),
    Place("/sampling/batches/{batch}", "sampling.read"),
    Place("/sampling/results", "sampling.results"),
    Place("/sampling/recalls", "sampling.read"),
    Place("/sampling/conflicts", "sampling.read"),
    Place("/sampling/person", "sampling.person"),
    Place("/sampling/emergencies", "sampling.read"),
    Place("/sampling/emergencies/new", "sampling.order"),
    Place("/sampling/emergencies/{emergency}", "sampling.read"),
    Place("/audit", "trail.read"),
    Place("/appeals", "appeals.read"),
    Place("/reports", "reports.read"),
    Place("/handoffs", "handoffs.read"),
    Place("/colours", "codes.read"),
    Place("/colours/rules", "codes.read"),
    Place("/colours/changes", "codes.read"),
    Place("/colours/changes/new", "codes.set"),
    Place("/colours/appeals", "codes.decide"),
    Place("/venues", "codes.read"),
    Place("/venues/new", "codes.venues_change"),
    Place("/lookups", "codes.read"),
    Place("/lookups/new", "codes.lookup_request"),
    Place("/personal-codes", "codes.issue"),
    Place("/personal-codes/family", "codes.issue"),
    Place("/code-keys", "codes.keys"),
    Place("/lists", "lists.read"),
    Place("/lists/new", "lists.change"),
    Place("/lists/import", "lists.change"),
    Place("/rules", "rules.read"),
    Place("/rules/calls.shared-cost-as-caller", "rules.read"),
    Place("/rules/calls.shared-cost-as-caller/backtests", "rules.propose"),
    Place("/evidence", "verdicts.read"),
    Place("/trunks", "trunks.read"),
    Place("/health", "health.read"),
    Place("/load", "health.read"),
    Place("/bulletins", "bulletins.read"),
    Place("/bulletins/losses", "bulletins.read"),
    Place("/settings", "settings.read"),
    Place("/trail", "trail.read"),
    Place("/people", "people.read"),
    Place("/people/operator", "people.read"),
    Place("/tokens", "tokens.own"),
    Place("/account", "account.own"),
    Place("/account/password", "account.own"),
)
#: Pages with a table that sorts, filters and pages; and somebody who may see and export it.
TABLES = (
    ("/verdicts", "operator"),
    ("/cases", "operator"),
    ("/lists", "operator"),
    ("/rules", "operator"),
    ("/trunks", "operator"),
    ("/live/cities", "operator"),
    ("/trail", "auditor"),
    ("/people", "auditor"),
    ("/sampling/stations", "operator"),
)
