"""Alerts on calls under way, as events in order: for programs that act on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

from litestar import get
from litestar.params import FromQuery, QueryParameter

from hutong.calls.alerts.record import alert_id
from hutong.calls.api.bodies import AlertEvents, AlertEventTold, AlertOnCall
from hutong.kernel.numbering import digits_of
from hutong.kernel.reporter import masked, rfc3339_ms
from hutong.kernel.web.api.desk import AnyRequest, Desk, Purpose, Unmask, answered, operation

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.calls.alerts.table import AlertEvent, AlertRow, AlertTable
    from hutong.kernel.numbering import Numbering

_LAST_SEQ: Final = (1 << 62) - 1


class AlertDesk:
    """Finds events of alerts; safe for many threads.

    Args:
        table: where they are. node: this node's name. numbering: masks numbers. desk: limits and the trail.
    """

    def __init__(self, table: AlertTable, node: str, numbering: Numbering, desk: Desk) -> None:
        self._table, self._node, self._numbering, self._desk = table, node, numbering, desk

    def events(
        self, request: AnyRequest, since: int, stage: str, limit: int, *, unmask: bool, purpose: str
    ) -> AlertEvents:
        """Events after one, in order.

        Raises:
            HutongError: the table cannot be read. Problem: what `Desk.unmask` raises.
        """
        events = self._table.events(since, limit, stage)
        rows = {row.seq: row for row in self._table.by_seqs([seq for event in events for seq in event.alerts])}
        if unmask:
            shown = [alert_id(self._node, event.seq) for event in events]
            self._desk.unmask(request, purpose, target=f"alerts after {since}", after=shown)
        told = [self._event(event, rows, unmask=unmask) for event in events]
        return AlertEvents(told, events[-1].seq if events else since)

    def _event(self, event: AlertEvent, rows: dict[int, AlertRow], *, unmask: bool) -> AlertEventTold:
        alerts = [self._alert(rows[seq], unmask=unmask) for seq in event.alerts if seq in rows]
        return AlertEventTold(
            id=alert_id(self._node, event.seq),
            seq=event.seq,
            event=event.phase,  # type: ignore[arg-type]  # an event's phase is one of the three
            time=rfc3339_ms(event.time_ms),
            alerts=alerts,
        )

    def _alert(self, row: AlertRow, *, unmask: bool) -> AlertOnCall:
        def number(key: int) -> str:
            return f"+{digits_of(key)}" if unmask and digits_of(key) else self._numbering.mask(key)

        return AlertOnCall(
            id=alert_id(self._node, row.seq),
            kind=row.kind,  # type: ignore[arg-type]  # a condition's id begins with one of them
            rule=row.rule,
            version=row.version,
            stage=row.stage,  # type: ignore[arg-type]  # one of ALERT_STAGES
            time=rfc3339_ms(row.time_ms),
            caller=number(row.caller),
            callee=number(row.callee),
            trunk=row.trunk,
            call_id=row.call_id if unmask else masked(row.call_id),
            verdict=row.verdict,
            answered=row.answered,
            ring_s=row.ring_ms / 1000,
            talk_s=(row.talk_ms if row.goes_on else row.total_ms) / 1000,
            values=row.figures,
            ended=None if row.goes_on else rfc3339_ms(row.ended_ms),
            outcome=row.end_phase,  # type: ignore[arg-type]  # "", "ended" or "lost"
            release=row.release,
        )


def alert_routes(found: AlertDesk, desk: Desk) -> list[HTTPRouteHandler]:
    """The route."""

    @get(
        "/v1/calls/alerts",
        **operation(
            desk, "calls", "verdicts.read", "alerts", "listAlerts", "通话中告警 / Alerts on calls under way", 422
        ),
        description="`since` 之后的事件,旧的在前;把 `next` 作为下一次的 `since`,不漏不重。号码已掩码;"
        "`unmask=true` 须有 numbers.unmask 权限,并在 Hutong-Purpose 头中说明用途,先记入操作记录。\n\n"
        "Events after `since`, oldest first; give `next` as the next `since`, and none is missed or comes twice. "
        "Numbers are masked; `unmask=true` needs the permission numbers.unmask and a purpose in the header "
        "Hutong-Purpose, and is on the trail first.",
    )
    def events(  # a filter each
        request: AnyRequest,
        since: Annotated[
            int, QueryParameter(ge=0, le=_LAST_SEQ, description="上次的 next / `next` of the last time")
        ] = 0,
        stage: FromQuery[Literal["", "observe", "alert"]] = "",
        limit: Annotated[int, QueryParameter(ge=1, le=500, description="最多条数 / events at most")] = 100,
        unmask: Unmask = False,  # noqa: FBT002  # a query's switch
        purpose: Purpose = "",
    ) -> AlertEvents:
        return answered(lambda: found.events(request, since, stage, limit, unmask=unmask, purpose=purpose))

    return [events]
