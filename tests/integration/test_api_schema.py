"""Schemathesis over the whole document: whatever is sent to any route, nothing breaks, and answers are as described."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from nodes import ScreenNode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api_servers import ApiServer
from e2e.processes import running

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.enable_socket

_BOUNDED = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
_OPERATIONS = (
    "screenCalls",
    "listVerdicts",
    "searchVerdicts",
    "readVerdict",
    "listEntries",
    "addEntry",
    "readEntry",
    "removeEntry",
    "importEntries",
    "listAlerts",
    "listRules",
    "readRule",
    "listProposals",
    "proposePromotion",
    "approveProposal",
    "refuseProposal",
    "demoteRule",
    "listEvidence",
    "readEvidence",
    "readWindows",
)
#: They are many, and no hot path: tried less often.
_OF_CASES = (
    "listCaseTypes",
    "listCases",
    "searchCases",
    "readCaseFigures",
    "readCase",
    "findCase",
    "doCases",
    "doCase",
    "attachFile",
    "readAttachment",
    "listRegisters",
    "readRegister",
    "exportRegister",
    "makeRegister",
    "importItems",
    "assignItems",
)
_OF_ORDERS = (
    "listBases",
    "listOrders",
    "searchOrders",
    "readOrder",
    "requestOrder",
    "approveOrder",
    "declineOrder",
    "withdrawOrder",
    "liftOrder",
    "packOrder",
    "makePack",
)
_OF_REPORTS = ("listReports", "readReport", "findReport", "takeReport")
_OF_BULLETINS = (
    "listBulletins",
    "readBulletin",
    "readBulletinDocument",
    "makeBulletin",
    "signBulletin",
    "giveLosses",
)
#: Whole groups of routes that share their code: each is tried twice.
_OF_CODES = (
    "readColourFigures",
    "listColourRules",
    "explainColour",
    "listColourChanges",
    "requestColourChange",
    "readColourChange",
    "approveColourChange",
    "declineColourChange",
    "withdrawColourChange",
    "liftColourChange",
    "listColourAppeals",
    "readColourAppeal",
    "decideColourAppeal",
    "listVenues",
    "registerVenue",
    "readVenue",
    "readVenueCode",
    "replaceVenue",
    "withdrawVenue",
    "reissueVenue",
    "listLookups",
    "requestLookup",
    "readLookup",
    "approveLookup",
    "declineLookup",
    "withdrawLookup",
    "revokeLookup",
    "runLookup",
    "mergeScanFile",
    "issuePaperCode",
    "revokeCodes",
    "readFamily",
    "linkFamily",
    "unlinkFamily",
    "readCodeKeys",
)
_OF_NODE = ("readLoad",)
_OF_SAMPLING = (
    "readSampling",
    "listSamplingDistricts",
    "listStations",
    "listConflicts",
    "listTubes",
    "readTube",
    "listRecalls",
    "registerSample",
    "sealTube",
    "recallTube",
    "settleTube",
    "readPersonResults",
    "listBatches",
    "readBatch",
    "handOverBatch",
    "receiveBatch",
    "importResults",
    "listEmergencies",
    "requestEmergency",
    "approveEmergency",
    "declineEmergency",
    "liftEmergency",
)
_CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    node = ScreenNode(tmp_path_factory.mktemp("schema"))
    with running(node):
        node.start()
        with ApiServer(node.data) as it, it.client() as client:
            # Small numbers are what is tried most: let there be something behind them.
            for n in range(5):
                call = {"call_id": f"seed{n}", "caller": "4008123456", "callee": "13900139000", "trunk": "home"}
                assert client.post("/v1/calls/screen", json=call).status_code == 200
                entry = {"target": f"1370000000{n}", "reason": "seed"}
                assert client.post("/v1/lists", json=entry).status_code == 201
            yield it


def test_every_operation_is_tried(server: ApiServer) -> None:
    paths = server.api.document["paths"].values()
    found = [operation["operationId"] for path in paths for operation in path.values()]
    assert sorted(found) == sorted(
        (*_OPERATIONS, *_OF_CASES, *_OF_ORDERS, *_OF_REPORTS, *_OF_BULLETINS, *_OF_CODES, *_OF_SAMPLING, *_OF_NODE)
    )


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
@pytest.mark.parametrize(
    "operation_id",
    [*_OPERATIONS, *_OF_CASES, *_OF_ORDERS, *_OF_REPORTS, *_OF_BULLETINS, *_OF_CODES, *_OF_SAMPLING, *_OF_NODE],
)
def test_nothing_that_is_sent_breaks_it(
    server: ApiServer, operation_id: str, mode: schemathesis.GenerationMode
) -> None:
    operation = schemathesis.openapi.from_dict(server.api.document).find_operation_by_id(operation_id)
    tokens = [{"Authorization": f"Bearer {server.secret(role)}"} for role in ("operator", "viewer")]
    base = f"http://127.0.0.1:{server.port}"

    examples = 25 if operation_id in _OPERATIONS else 2 if operation_id in (*_OF_CODES, *_OF_SAMPLING, *_OF_NODE) else 5

    @settings(_BOUNDED, max_examples=examples)
    @given(case=operation.as_strategy(generation_mode=mode))
    def attempt(case: schemathesis.Case) -> None:
        for headers in (*tokens, {}):
            response = case.call(base_url=base, headers=headers)
            case.validate_response(response, checks=_CHECKS)

    attempt()
