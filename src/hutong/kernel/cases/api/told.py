"""Cases as programs are told of them: times in RFC 3339, numbers masked unless they are asked for whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from hutong.kernel.cases.api.bodies import (
    CaseActionTold,
    CaseEventTold,
    CaseFieldTold,
    CaseProof,
    CaseRow,
    CaseTold,
    CaseTypeTold,
    CaseWaiting,
    RegisterProgress,
    RegisterTold,
)
from hutong.kernel.reporter import masked, rfc3339_ms, rfc3339_or_none

if TYPE_CHECKING:
    from hutong.kernel.cases.model import Case, CaseEvent, Pending, Proof
    from hutong.kernel.cases.registers import Progress, Register
    from hutong.kernel.cases.types import CaseType, Title

#: Members of what was said that name files, cases and people, and never a number.
_NAMES: Final = frozenset({"attachment", "into", "owner", "unit", "type", "kind", "register", "parent", "action"})
_SHA256_LETTERS: Final = 64


def row_of(case: Case, now_ms: int) -> CaseRow:
    """A case in a list."""
    due_ms = case.next_due_ms
    return CaseRow(
        id=case.id,
        type=case.type,
        title=masked(case.title),
        state=case.state,
        priority=case.priority,
        owner=case.owner,
        unit=case.unit,
        register=case.register,
        due=rfc3339_or_none(due_ms),
        late=0 < due_ms < now_ms,
        level=case.level,
        changed=rfc3339_ms(case.changed_ms),
        version=case.version,
    )


def case_told(case: Case, *, whole: bool) -> CaseTold:
    """A case; `whole`: with its numbers."""

    def shown(text: str) -> str:
        return text if whole else masked(text)

    waits = case.pending
    return CaseTold(
        id=case.id,
        type=case.type,
        title=shown(case.title),
        state=case.state,
        priority=case.priority,
        fields={name: shown(it) if isinstance(it, str) else it for name, it in case.fields.items()},
        source=case.source,
        owner=case.owner,
        unit=case.unit,
        register=case.register,
        item=None if case.item is None else shown(case.item),
        due=rfc3339_or_none(case.due_ms),
        step_due=rfc3339_or_none(case.step_due_ms),
        assumed=case.assumed,
        found=rfc3339_ms(case.found_ms),
        changed=rfc3339_ms(case.changed_ms),
        closed=rfc3339_or_none(case.closed_ms),
        level=case.level,
        returns=case.returns,
        reopened=case.reopened,
        proofs=[_proof(it, whole=whole) for it in case.proofs],
        attachments=list(case.attachments),
        acted_by=case.acted_by,
        waits=None if waits is None else _waiting(waits, shown(waits.request.reason)),
        risk_until=rfc3339_or_none(case.risk_until_ms),
        parent=case.parent,
        parts=list(case.children),
        into=case.into,
        version=case.version,
        masked=not whole,
    )


def event_told(event: CaseEvent, *, whole: bool) -> CaseEventTold:
    """An event; `whole`: with its numbers."""
    said = {name: it for name, it in event.said.items() if it not in ("", None, 0, [], {}) and name != "action"}
    return CaseEventTold(
        event.seq, rfc3339_ms(event.time_ms), event.who, event.action, said if whole else _masked(said)
    )


def type_told(kind: CaseType) -> CaseTypeTold:
    """A type."""
    fields = [
        CaseFieldTold(it.name, it.kind, _words(it.title), it.required, it.search, list(it.choices))
        for it in kind.fields
    ]
    actions = {str(name): CaseActionTold(it.who, list(it.proof), it.countersign) for name, it in kind.actions.items()}
    states = {str(state): length for state, length in kind.states.items()}
    return CaseTypeTold(kind.id, kind.version, _words(kind.title), fields, kind.deadline, states, kind.remind, actions)


def register_told(register: Register, progress: Progress) -> RegisterTold:
    """A register."""
    created = rfc3339_ms(register.created_ms)
    return RegisterTold(register.id, register.title, register.type, created, progress_told(progress))


def progress_told(progress: Progress) -> RegisterProgress:
    """How far a register is."""
    states = {str(state): count for state, count in progress.states.items()}
    return RegisterProgress(progress.items, progress.done, progress.merged, progress.complete, states)


def _waiting(waits: Pending, reason: str) -> CaseWaiting:
    return CaseWaiting(waits.request.action, waits.who, reason, rfc3339_ms(waits.time_ms))


def _proof(proof: Proof, *, whole: bool) -> CaseProof:
    given = msgspec.to_builtins(proof)
    return msgspec.convert(given if whole else _masked_proof(given), CaseProof)


def _masked_proof(proof: dict[str, Any]) -> dict[str, Any]:
    ref = proof.get("ref", "")
    return proof | {"ref": ref if len(ref) == _SHA256_LETTERS else masked(ref), "note": masked(proof.get("note", ""))}


def _masked(value: Any, name: str = "") -> Any:  # noqa: ANN401  # any JSON
    if isinstance(value, str):
        return value if name in _NAMES else masked(value)
    if isinstance(value, dict):
        # What a type calls its fields says nothing of what is in them.
        return {key: _masked(it, "fields" if name == "fields" else key) for key, it in value.items()}
    if isinstance(value, list):
        return [_masked_proof(it) if name == "proofs" else _masked(it, name) for it in value]
    return value


def _words(title: Title) -> dict[str, str]:
    return {"zh": title.zh, "en": title.en}
