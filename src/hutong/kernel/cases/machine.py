"""What may be done with a case, and what becomes of it. Pure: request, case, who asks and when in; the new case out.

The rules that no type can lift: nothing closes without a proof that shows something; whoever verifies (or closes, where
a type does not verify) is not whoever acted; a second person agrees where the type asks for one; a whole does not close
before its parts; the due time of the whole is kept through return, transfer, split, merge and reopening; accepting a
risk ends, and its terms together are bounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from hutong.kernel.cases.calendar import DAY_MS
from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.cases.fields import check_fields, is_text, read_title
from hutong.kernel.cases.model import SHOWING, Actor, Case, Finding, Part, Pending, Proof, Request, State
from hutong.kernel.cases.table import MOVES, STATE_TITLES, sources_of, target_of
from hutong.kernel.cases.types import term

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hutong.kernel.cases.calendar import WorkingCalendar
    from hutong.kernel.cases.errors import Reason
    from hutong.kernel.cases.model import Action
    from hutong.kernel.cases.types import CaseType

#: What the watch is allowed, and nobody else: it is no permission that a role can have.
WATCHING: Final = "cases.watching"
WATCH: Final = Actor("hutong work", frozenset({WATCHING}))

_LONGEST_REASON: Final = 2000
_LONGEST_NAME: Final = 100
_MOST_PARTS: Final = 50
_MOST_PROOFS: Final = 50
_SHA256_LETTERS: Final = 64


class Facts(msgspec.Struct, frozen=True):
    """What a decision needs to know beside the case.

    Attributes:
        open_parts: parts of it that are not done. into: the case that it would be merged into.
        ids: for the parts of a split.
    """

    open_parts: int = 0
    into: Case | None = None
    ids: tuple[str, ...] = ()


class Decision(msgspec.Struct, frozen=True):
    """What becomes of a request.

    Attributes:
        case: as it is then. parts: what it was split into. into: the case that took it in, as that is then.
    """

    case: Case
    parts: tuple[tuple[str, Finding], ...] = ()
    into: Case | None = None


class Scene(msgspec.Struct, frozen=True):
    """Everything that a request is judged by."""

    kind: CaseType
    case: Case
    request: Request
    actor: Actor
    now_ms: int
    calendar: WorkingCalendar
    facts: Facts

    @property
    def path(self) -> tuple[State, ...]:
        """The states of the type, in order."""
        return self.kind.path


def find(
    kind: CaseType, finding: Finding, case_id: str, node: str, now_ms: int, calendar: WorkingCalendar, due_ms: int = 0
) -> Case:
    """A new case.

    Args:
        due_ms: of the whole that it is a part of; 0 = by its type.

    Raises:
        CaseRefused: title or fields are not as they must be.
    """
    title = read_title(finding.title)
    _check_names(finding.owner, finding.unit, finding.source, finding.item or "")
    due = calendar.end(now_ms, term(kind.deadline))
    case = Case(
        id=case_id,
        node=node,
        type=kind.id,
        type_version=kind.version,
        title=title,
        state="found",
        found_ms=now_ms,
        changed_ms=now_ms,
        priority=finding.priority,
        fields=check_fields(kind, finding.fields),
        source=finding.source,
        owner=finding.owner,
        unit=finding.unit,
        register=finding.register,
        item=finding.item,
        due_ms=due_ms or due.at_ms,
        assumed=due.assumed and not due_ms,
        parent=finding.parent,
    )
    return _waking(kind, _entered(kind, case, "found", now_ms, calendar), now_ms, calendar)


def decide(  # what a decision rests on
    kind: CaseType,
    case: Case,
    request: Request,
    actor: Actor,
    now_ms: int,
    calendar: WorkingCalendar,
    facts: Facts = Facts(),  # noqa: B008  # frozen
) -> Decision:
    """What becomes of a request.

    Raises:
        CaseRefused: it is not allowed; `reason` says why.
    """
    scene = Scene(kind, case, request, actor, now_ms, calendar, facts)
    _check_allowed(scene)
    _check_said(scene)
    if request.action in {"countersign", "decline"}:
        return _second(scene)
    _check_duties(scene)
    if kind.action(request.action).countersign:
        _effect(scene)  # what would be refused then is refused now
        waiting = replace(case, pending=Pending(request, actor.name, now_ms))
        return Decision(_waking(kind, waiting, now_ms, calendar))
    return _done(scene)


def possible(kind: CaseType, case: Case, action: Action, actor: Actor, calendar: WorkingCalendar) -> Reason | None:
    """Why somebody cannot do something with a case as it is, whatever they would say; None where they can."""
    scene = Scene(kind, case, Request(action), actor, case.changed_ms, calendar, Facts())
    try:
        _check_allowed(scene)
        if action in {"countersign", "decline"}:
            pending = case.pending
            if pending is None:
                return "not-waiting"
            if action == "countersign" and actor.name == pending.who:
                return "same-person"
            if action == "countersign":
                _check_permission(scene, kind.action(pending.request.action).who)
        elif _judges(scene) and actor.name == case.acted_by:
            return "same-person"
    except CaseRefused as refused:
        return refused.reason
    return None


def _done(scene: Scene) -> Decision:
    decision = _effect(scene)
    return replace(decision, case=_waking(scene.kind, decision.case, scene.now_ms, scene.calendar))


def _second(scene: Scene) -> Decision:
    """A second person agrees to what waits, or does not."""
    pending = scene.case.pending
    if pending is None:
        raise CaseRefused("not-waiting", "Nothing waits for a second person.", where=scene.case.id)
    free = replace(scene.case, pending=None)
    if scene.request.action == "decline":
        return Decision(_waking(scene.kind, free, scene.now_ms, scene.calendar))
    if scene.actor.name == pending.who:
        raise CaseRefused("same-person", "Who asked for it cannot countersign it.", fix="Somebody else must.")
    _check_permission(scene, scene.kind.action(pending.request.action).who)
    return _done(replace(scene, case=free, request=pending.request))


# Checks, in the order in which they are said


def _check_allowed(scene: Scene) -> None:
    action, case = scene.request.action, scene.case
    move = MOVES.get(action)
    if move is None or case.state not in sources_of(action, scene.path) or _off_path(scene, action):
        state = STATE_TITLES[case.state]["en"]
        raise CaseRefused("not-from-here", f"{action} is not possible while a case is {state}.", where=case.id)
    _check_permission(scene, scene.kind.action(action).who if move.who else WATCHING)
    if case.pending is not None and not move.waits:
        raise CaseRefused(
            "waiting", f"{case.pending.request.action} waits for a second person.", fix="Countersign or decline it."
        )
    mine = action in {"accept", "act", "return"}
    if mine and case.owner not in {"", scene.actor.name} and "cases.assign" not in scene.actor.permissions:
        raise CaseRefused("not-yours", f"The case is {case.owner}'s.", where=case.id, fix="Ask for a transfer.")


def _off_path(scene: Scene, action: Action) -> bool:
    """Whether the type has no such step: it neither passes through the state, nor accepts risks."""
    move = MOVES[action]
    return (move.to in {"accepted", "verified"} and move.to not in scene.path) or (
        action == "accept-risk" and scene.kind.risk is None
    )


def _check_permission(scene: Scene, permission: str) -> None:
    watches = scene.request.action == "end-risk" and WATCHING in scene.actor.permissions
    if permission not in scene.actor.permissions and not watches:
        raise CaseRefused("not-allowed", f"{scene.request.action} needs the permission {permission}.")


def _check_said(scene: Scene) -> None:
    request = scene.request
    if MOVES[request.action].reason and not request.reason.strip():
        raise CaseRefused("no-reason", f"{request.action} needs a reason.", where="reason")
    if len(request.reason) > _LONGEST_REASON or not is_text(request.reason):
        raise CaseRefused("no-reason", "The reason is too long, or holds control letters.", where="reason")
    _check_names(request.owner, request.unit, request.attachment, *(part.unit for part in request.parts))
    if len(request.proofs) > _MOST_PROOFS:
        raise CaseRefused("proof-unknown", f"More than {_MOST_PROOFS} proofs.", where="proofs")
    for proof in request.proofs:
        _check_proof(scene.case, proof)


def _check_names(*names: str) -> None:
    for name in names:
        if len(name) > _LONGEST_NAME or not name.isprintable():
            raise CaseRefused("field", f"{name[:20]!r} is no name: too long, or not printable.")


def _check_proof(case: Case, proof: Proof) -> None:
    if len(proof.note) > _LONGEST_REASON or not is_text(proof.note) or len(proof.ref) > _LONGEST_NAME:
        raise CaseRefused("proof-unknown", "A proof is too long, or holds control letters.", where="proofs")
    if proof.kind == "attachment" and proof.ref not in case.attachments:
        raise CaseRefused("proof-unknown", "A proof is not attached.", where="proofs", fix="Attach it first.")
    if not (proof.note if proof.kind == "statement" else proof.ref).strip():
        raise CaseRefused("proof-unknown", f"A {proof.kind} says nothing.", where="proofs")
    if proof.kind == "retest" and not proof.passed:
        raise CaseRefused("retest-failed", "The retest failed.", where="proofs", fix="Send the work back.")


def _check_duties(scene: Scene) -> None:
    """Proofs, and whose they are."""
    request, case = scene.request, scene.case
    given = {proof.kind for proof in request.proofs}
    missing = [kind for kind in scene.kind.action(request.action).proof if kind not in given]
    if missing:
        raise CaseRefused("no-proof", f"{request.action} needs a proof: {', '.join(missing)}.", where="proofs")
    if _judges(scene) and scene.actor.name == case.acted_by:
        raise CaseRefused("same-person", "Who acted cannot judge it.", fix="Somebody else must.")


def _judges(scene: Scene) -> bool:
    action = scene.request.action
    return action == "verify" or (action == "close" and "verified" not in scene.path)


# Effects


def _effect(scene: Scene) -> Decision:
    action = scene.request.action
    if action in _SPECIAL:
        return _SPECIAL[action](scene)
    case = scene.case
    proofs = (*case.proofs, *scene.request.proofs)
    match action:
        case "act":
            changed = replace(case, proofs=proofs, acted_by=scene.actor.name)
        case "accept":
            changed = replace(case, proofs=proofs, owner=case.owner or scene.actor.name)
        case _:
            changed = replace(case, proofs=proofs)
    return Decision(_moved(scene, changed))


def _moved(scene: Scene, case: Case) -> Case:
    to = target_of(scene.request.action, scene.case.state, scene.path)
    return case if to == case.state else _entered(scene.kind, case, to, scene.now_ms, scene.calendar)


def _assign(scene: Scene) -> Decision:
    unit, owner = scene.request.unit.strip(), scene.request.owner.strip()
    case = scene.case
    if scene.request.action == "assign":
        unit, owner = unit or case.unit, owner or case.owner
    if not unit and not owner:
        raise CaseRefused("no-owner", "Nobody is named.", where="owner", fix="Name an account, a unit or both.")
    changed = replace(case, unit=unit or case.unit, owner=owner)
    return Decision(_entered(scene.kind, changed, "assigned", scene.now_ms, scene.calendar))


def _return(scene: Scene) -> Decision:
    case = replace(scene.case, returns=scene.case.returns + 1)
    if scene.case.state in {"assigned", "accepted"}:
        return Decision(_moved(scene, replace(case, owner="", unit="")))
    return Decision(_moved(scene, replace(case, proofs=(), acted_by="")))


def _close(scene: Scene) -> Decision:
    proofs = (*scene.case.proofs, *scene.request.proofs)
    if not any(proof.kind in SHOWING for proof in proofs):
        raise CaseRefused("no-proof", "Nothing shows that it was done.", where="proofs", fix="Give a proof.")
    _check_parts(scene)
    return Decision(_moved(scene, replace(scene.case, proofs=proofs, closed_ms=scene.now_ms)))


def _check_parts(scene: Scene) -> None:
    if scene.facts.open_parts:
        raise CaseRefused("parts-open", f"{scene.facts.open_parts} of its parts are open.", where=scene.case.id)


def _reopen(scene: Scene) -> Decision:
    again = scene.case.reopened + 1
    return Decision(_moved(scene, replace(scene.case, proofs=(), acted_by="", closed_ms=0, reopened=again)))


def _split(scene: Scene) -> Decision:
    case, parts = scene.case, scene.request.parts
    if not 2 <= len(parts) <= _MOST_PARTS:  # noqa: PLR2004  # less than two is no split
        raise CaseRefused("part-count", f"A case is split into 2 to {_MOST_PARTS} parts.", where="parts")
    made = tuple((at, _part(case, part)) for at, part in zip(scene.facts.ids, parts, strict=True))
    return Decision(replace(case, children=(*case.children, *scene.facts.ids)), made)


def _part(case: Case, part: Part) -> Finding:
    return Finding(
        case.type,
        part.title,
        case.fields | part.fields,
        case.priority,
        source=f"split:{case.id}",
        unit=part.unit or case.unit,
        register=case.register,
        parent=case.id,
    )


def _merge(scene: Scene) -> Decision:
    case, into = scene.case, scene.facts.into
    _check_parts(scene)
    if into is None or into.id == case.id or into.type != case.type or into.register != case.register:
        raise CaseRefused("into", "A case is merged into another of its type and register.", where="into")
    if not into.is_open or into.state == "risk" or into.pending is not None:
        raise CaseRefused("into", "The other case is not being worked on.", where="into")
    if case.parent and case.parent not in {into.id, into.parent}:
        raise CaseRefused("into", "A part is merged into its whole or another part of it.", where="into")
    joined = replace(
        into,
        attachments=tuple(dict.fromkeys((*into.attachments, *case.attachments))),
        due_ms=min(into.due_ms, case.due_ms),
        priority=min(into.priority, case.priority),
        level=max(into.level, case.level),
    )
    taken = _waking(scene.kind, joined, scene.now_ms, scene.calendar)
    return Decision(_moved(scene, replace(case, into=into.id)), into=taken)


def _accept_risk(scene: Scene) -> Decision:
    case, until_ms = scene.case, scene.request.until_ms
    longest = term(scene.kind.risk.longest).amount * DAY_MS if scene.kind.risk else 0
    length = until_ms - scene.now_ms
    if length <= 0 or case.risk_ms + length > longest:
        left = max(0, longest - case.risk_ms) // DAY_MS
        raise CaseRefused("term", "The term is over already, or too long.", where="until", fix=f"{left} days are left.")
    accepted = replace(case, risk_until_ms=until_ms, risk_ms=case.risk_ms + length)
    return Decision(_moved(scene, accepted))


def _end_risk(scene: Scene) -> Decision:
    case = scene.case
    if WATCHING in scene.actor.permissions and scene.now_ms < case.risk_until_ms:
        raise CaseRefused("term", "The term is not over.", where=case.id)
    unused = max(0, case.risk_until_ms - scene.now_ms)
    again = replace(case, risk_until_ms=0, risk_ms=case.risk_ms - unused, proofs=(), acted_by="")
    return Decision(_moved(scene, again))


def _amend(scene: Scene) -> Decision:
    fields = check_fields(scene.kind, scene.request.fields, part=True)
    if not fields:
        raise CaseRefused("field", "No field is named.", where="fields")
    return Decision(replace(scene.case, fields=scene.case.fields | fields))


def _attach(scene: Scene) -> Decision:
    sha256 = scene.request.attachment
    if len(sha256) != _SHA256_LETTERS or set(sha256) - set("0123456789abcdef"):
        raise CaseRefused("proof-unknown", "An attachment is named by its SHA-256.", where="attachment")
    return Decision(replace(scene.case, attachments=tuple(dict.fromkeys((*scene.case.attachments, sha256)))))


def _comment(scene: Scene) -> Decision:
    return Decision(scene.case)


def _raise_level(scene: Scene) -> Decision:
    """One step up the chain."""
    return Decision(replace(scene.case, level=min(scene.case.level + 1, len(scene.kind.chain))))


def _remind(scene: Scene) -> Decision:
    return Decision(replace(scene.case, reminded_ms=scene.case.next_due_ms))


_SPECIAL: Final[Mapping[Action, Callable[[Scene], Decision]]] = {
    "assign": _assign,
    "transfer": _assign,
    "return": _return,
    "close": _close,
    "reopen": _reopen,
    "split": _split,
    "merge": _merge,
    "accept-risk": _accept_risk,
    "end-risk": _end_risk,
    "amend": _amend,
    "attach": _attach,
    "comment": _comment,
    "supervise": _raise_level,
    "escalate": _raise_level,
    "remind": _remind,
}


# Clocks


def _entered(kind: CaseType, case: Case, state: State, now_ms: int, calendar: WorkingCalendar) -> Case:
    length = kind.step(state)
    if length is None or state not in kind.path[:-1]:
        return replace(case, state=state, step_due_ms=0)
    due = calendar.end(now_ms, length)
    return replace(case, state=state, step_due_ms=due.at_ms, assumed=case.assumed or due.assumed)


def _waking(kind: CaseType, case: Case, now_ms: int, calendar: WorkingCalendar) -> Case:
    """The case with the moment at which the watch has to look at it; 0 = never."""
    due_ms = case.next_due_ms
    if not due_ms:
        return replace(case, wake_ms=0)
    if case.state == "risk":
        return replace(case, wake_ms=due_ms)
    remind_ms = calendar.before(due_ms, term(kind.remind))
    if now_ms < due_ms and case.reminded_ms != due_ms:
        return replace(case, wake_ms=remind_ms)
    return replace(case, wake_ms=late_ms(kind, case, calendar))


def late_ms(kind: CaseType, case: Case, calendar: WorkingCalendar) -> int:
    """When the next step of the chain must hear that a case is late; 0 = all have."""
    if case.level >= len(kind.chain):
        return 0
    return calendar.end(case.next_due_ms, term(kind.chain[case.level].after)).at_ms
