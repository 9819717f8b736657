"""Cases and registers for programs: /v1/cases, /v1/registers, /v1/case-types.

Belongs here: routes, their bodies, what they mask. Not here: what may be done (`machine`), who sees what (`purview`).
"""

from hutong.kernel.cases.api.desk import CaseParts
from hutong.kernel.cases.api.section import case_section

__all__ = ["CaseParts", "case_section"]
