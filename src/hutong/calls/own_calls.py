"""Whether a rule judges what calls show, and not what the owner of the number shown does. Pure.

It follows from the rule's condition, so that it holds for a node's own rules too and nobody can forget to say it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hutong.kernel.rules.analysis import TooManyAlternatives, never_holds
from hutong.kernel.rules.language import parse
from hutong.kernel.rules.tree import And

if TYPE_CHECKING:
    from hutong.kernel.rules.ruleset import Ruleset

#: What is known of every call that the owner of a number makes from their own line. Diverted calls that come back from
#: abroad are not among them: somebody else's line sends them on, and anybody can write the first caller in them.
OWN_CALL: Final = (
    '(trunk.kind != "international"'
    ' or caller.roaming == "confirmed" and caller.class in ("mobile", "virtual", "satellite", "iot"))'
    ' and (trunk.kind != "enterprise" or caller.in_own_ranges)'
    ' and caller.class not in ("freephone", "shared-cost")'
    ' and caller.fault == "none"'
)


def judges_display(ruleset: Ruleset, rule: int) -> bool:
    """Whether a rule can fire on no call that the number's owner makes: only on calls of others that show the number.

    Args:
        ruleset: over the vocabulary of calls. rule: its place.
    """
    own = parse(OWN_CALL, ruleset.vocabulary)
    try:
        return never_holds(And((ruleset.trees[rule], own)), ruleset.vocabulary)
    except TooManyAlternatives:  # nothing certain can be said of it; lint has warned of the rule
        return False
