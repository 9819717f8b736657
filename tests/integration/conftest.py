"""What the tests of the API share: one screening process, one server beside it, and an operator's client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from nodes import ScreenNode

from api_servers import ApiServer
from e2e.processes import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScreenNode]:
    it = ScreenNode(tmp_path_factory.mktemp("api"))
    with running(it):
        it.start()
        yield it


@pytest.fixture(scope="module")
def server(node: ScreenNode) -> Iterator[ApiServer]:
    with ApiServer(node.data) as it:
        yield it


@pytest.fixture
def client(server: ApiServer) -> Iterator[httpx.Client]:
    with server.client() as it:
        yield it
