"""The HTTP API under /v1: calls are screened, verdicts, lists, rules and windows are read and changed by programs.

Belongs here: routes, their bodies, their limits, and the document that describes them. Not here: who may ask
(`kernel.web.guard`), judgement (it is asked of the screening process, `asking.client`), pages for people.
"""

from hutong.calls.api.api import Api, ApiLimits, ApiParts

__all__ = ["Api", "ApiLimits", "ApiParts"]
