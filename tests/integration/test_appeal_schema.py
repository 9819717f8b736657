"""Schemathesis over appeals and hand-offs, in the console's API and the public one: nothing that is sent breaks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from litestar import Litestar
from litestar.openapi.config import OpenAPIConfig
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from appeal_samples import RULE, AppealDesk
from case_samples import MONDAY
from fresh_records import lay_out
from hutong.app.appeals_config import AppealsConfig
from hutong.app.config import Config, NodeConfig
from hutong.app.services import Services
from hutong.app.site import Site
from hutong.appeals import public_api
from hutong.handoff.model import Victim
from hutong.kernel.access.oidc import Identity
from hutong.kernel.access.permissions import permissions_of
from hutong.kernel.clock import ManualClock
from hutong.kernel.reporter import Reporter

if TYPE_CHECKING:
    from collections.abc import Iterator

_TRIED = settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
_CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
_OWN = ("listAppeals", "readAppeal", "decideAppeal", "listHandoffs", "readHandoff", "answerHandoff")
_PUBLIC = ("askAppealCode", "proveAppealCode", "fileAppeal", "readAppealReceipt")


class Served:
    """A node's console API with an appeal and a hand-off in it, and its public API."""

    def __init__(self, services: Services) -> None:
        now_ms = services.clock.wall() // 1_000_000
        site = Site(services, 1)
        services.people.arrive(Identity("li", "li", "operator", "s:li"), now_ms)
        token = services.tokens.make("li", "t", permissions_of("operator"), now_ms + 3_600_000, now_ms)[1]
        self.headers = {"Authorization": f"Bearer {token}", "Host": "localhost"}
        self.console, self.public = site.console, site.public
        self.own: dict[str, Any] = site._api.document  # noqa: SLF001
        desk = AppealDesk(services.database, services.config.data)
        self.appeal = desk.appeal(RULE).id
        key = services.numbering.read("13900139000").key
        victim = Victim("node1-7", 7, MONDAY, key, key, "victim.x", {"zh": "x", "en": "x"}, answered=True, talk_s=1)
        services.handoffs.take([victim], 7, MONDAY)
        app = Litestar(public_api.routes(None, str), openapi_config=OpenAPIConfig("x", "1"))  # type: ignore[arg-type]
        self.open = app.openapi_schema.to_schema()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data = tmp_path_factory.mktemp("schema")
    appeals = AppealsConfig(code_file=str(data / "codes.jsonl"))
    config = Config(node=NodeConfig(name="node1", data=str(data)), appeals=appeals)
    lay_out(data / "records.db")
    services = Services(config, ManualClock(MONDAY * 1_000_000), Reporter("serve", level="error"))
    services.open()
    yield Served(services)
    services.close()


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
@pytest.mark.parametrize("operation_id", _OWN)
def test_nothing_that_programs_send_breaks_it(
    served: Served, operation_id: str, mode: schemathesis.GenerationMode
) -> None:
    operation = schemathesis.openapi.from_dict(served.own).find_operation_by_id(operation_id)

    @_TRIED
    @given(case=operation.as_strategy(generation_mode=mode))
    def attempt(case: schemathesis.Case) -> None:
        if "id_" in (case.path_parameters or {}) and mode is schemathesis.GenerationMode.POSITIVE:
            case.path_parameters["id_"] = served.appeal if "appeals" in case.path else "node1-7"
        response = case.call(app=served.console, base_url="http://localhost", headers=served.headers)
        case.validate_response(response, checks=_CHECKS)

    attempt()


@pytest.mark.parametrize("operation_id", _PUBLIC)
def test_nothing_that_strangers_send_breaks_it(served: Served, operation_id: str) -> None:
    operation = schemathesis.openapi.from_dict(served.open).find_operation_by_id(operation_id)

    @_TRIED
    @given(case=operation.as_strategy())
    def attempt(case: schemathesis.Case) -> None:
        response = case.call(app=served.public, base_url="http://localhost")
        case.validate_response(response, checks=[not_a_server_error])

    attempt()
