"""Junk on the HTTP port: whatever a connection sends or withholds, the next request is answered."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest

from api_servers import ApiServer
from ask_servers import until
from hutong.kernel.metrics import CONNECTIONS_REFUSED
from hutong.kernel.web import port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.enable_socket

PATIENCE = 20.0
BRIEF = 0.3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    patched = pytest.MonkeyPatch()
    patched.setattr(port, "HEAD_S", BRIEF)
    patched.setattr(port, "BODY_S", BRIEF)
    with ApiServer(tmp_path_factory.mktemp("port") / "data") as it:
        yield it
    patched.undo()


def talk(server: ApiServer, *pieces: bytes) -> bytes:
    """What comes back until the other side closes the connection, which it must."""
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as it:
        for piece in pieces:
            try:
                it.sendall(piece)
            except OSError:
                break
        told = b""
        try:
            while data := it.recv(65536):
                told += data
        except ConnectionResetError:
            pass
        return told


def head(server: ApiServer, path: str = "/v1/calls/screen", method: str = "POST", *more: str) -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {server.secret()}",
        "Connection: close",
        *more,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def assert_it_serves(server: ApiServer) -> None:
    with server.client() as client:
        assert client.get("/v1/rules").status_code == 200


def status(told: bytes) -> int:
    return int(told.split()[1]) if told else 0


JUNK = {
    "nothing": b"",
    "zeros": b"\0" * 1000,
    "line ends": b"\r\n" * 1000,
    "TLS": bytes.fromhex("16030100f5010000f10303") + b"\xab" * 200,
    "SIP": b"INVITE sip:1@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 1.1.1.1;branch=z9hG4bK1\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 9,
    "no version": b"GET /v1/rules\r\n\r\n",
    "another version": b"GET /v1/rules HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
    "no method": b" /v1/rules HTTP/1.1\r\n\r\n",
    "a bad header": b"GET /v1/rules HTTP/1.1\r\nHo st: x\r\n\r\n",
    "a header without colon": b"GET /v1/rules HTTP/1.1\r\nHost\r\n\r\n",
    "control characters": b"GET /v1/\x01\x02 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "half a head": b"POST /v1/calls/screen HTTP/1.1\r\nHost: 127",
    "a length that is none": b"POST /v1/calls/screen HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: x\r\n\r\n",
    "a negative length": b"POST /v1/calls/screen HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunks": (
        b"POST /v1/calls/screen HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
}


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK.keys())
def test_junk_ends_its_connection_and_nothing_else(server: ApiServer, junk: bytes) -> None:
    told = talk(server, junk)
    assert status(told) == 0 or 400 <= status(told) < 500, told
    assert_it_serves(server)


@pytest.mark.parametrize(
    "chunks",
    [
        b"zz\r\n",
        b"5\r\nab\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\n",
        b"-1\r\nx\r\n",
        b"2\r\n{}x\r\n0\r\n\r\n",
        b"2\r\n{",
    ],
)
def test_wrong_chunks(server: ApiServer, chunks: bytes) -> None:
    told = talk(server, head(server, "/v1/calls/screen", "POST", "Transfer-Encoding: chunked") + chunks)
    assert status(told) == 0 or 400 <= status(told) < 500, told
    assert_it_serves(server)


def test_right_chunks(server: ApiServer) -> None:
    body = b"2\r\n{}\r\n0\r\n\r\n"
    told = talk(server, head(server, "/v1/calls/screen", "POST", "Transfer-Encoding: chunked") + body)
    assert status(told) == 422


def test_a_head_without_end_is_refused(server: ApiServer) -> None:
    for line in (b"X-%d: %s\r\n" % (1, b"x" * 1000), b"x" * 1000):
        told = talk(server, b"GET /v1/rules HTTP/1.1\r\nHost: 127.0.0.1\r\n", *[line] * 300)
        assert status(told) in {0, 431}
    long = talk(server, head(server, "/v1/rules", "GET", *(f"X-{n}: {'x' * 1000}" for n in range(40))))
    assert status(long) == 431
    assert json.loads(long.partition(b"\r\n\r\n")[2])["status"] == 431
    assert status(talk(server, head(server, "/v1/rules?" + "x" * 40_000, "GET"))) == 431
    assert_it_serves(server)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_body_that_is_too_long_is_refused(server: ApiServer, method: str) -> None:
    for more in (f"Content-Length: {1 << 40}", "Transfer-Encoding: chunked"):
        path = "/v1/rules" if method == "GET" else "/v1/windows"
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n" if "chunked" in more else b"x" * 65536
        told = talk(server, head(server, path, method, more), *[chunk] * 64)
        assert status(told) in {0, 200, 400, 413}, told[:200]
    assert_it_serves(server)


def test_who_sends_letter_by_letter_or_not_at_all_is_given_up(server: ApiServer) -> None:
    """The server's patience is cut short here; a request that comes in time is answered between any of them."""
    slow = [socket.create_connection(("127.0.0.1", server.port), PATIENCE) for _ in range(60)]
    try:
        for at, it in enumerate(slow):
            it.sendall(
                (
                    b"",
                    b"G",
                    b"GET /v1/rules HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
                    head(server, "/v1/windows", "POST", "Content-Length: 9") + b"{",
                )[at % 4]
            )
        assert_it_serves(server)
        for at, it in enumerate(slow):
            told = it.recv(65536)
            assert status(told) in ({408} if at % 4 < 3 else {0, 400, 408}), told
            assert told == b"" or it.recv(10) == b""
    finally:
        for it in slow:
            it.close()
    assert_it_serves(server)


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[ApiServer]:
    """A server that lets one address have eight connections."""
    with ApiServer(tmp_path / "data", most_connections=8) as it:
        yield it


def test_one_address_cannot_hold_all_connections(narrow: ApiServer) -> None:
    """Half-sent heads from here take what one address may have; the next one is told so at once, and not kept."""
    held = [socket.create_connection(("127.0.0.1", narrow.port), PATIENCE) for _ in range(8)]
    for it in held:
        it.sendall(b"GET /v1/rules HTTP/1.1\r\nHost: 127")
    for _ in range(20):
        told = talk(narrow, b"")
        assert status(told) == 429
        assert json.loads(told.partition(b"\r\n\r\n")[2])["type"] == "/problems/too-many-connections"
    assert narrow.metrics.value(CONNECTIONS_REFUSED) == 20
    with socket.create_connection(("127.0.0.1", narrow.port), PATIENCE, ("127.0.0.2", 0)) as other:
        other.sendall(b"GET /v1/openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert status(other.recv(65536)) == 200, "another address has its own share"
    for it in held:
        it.close()
    until(lambda: status(talk(narrow, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")) == 404)


def test_a_trusted_proxy_has_as_many_connections_as_it_needs(tmp_path: Path) -> None:
    with ApiServer(tmp_path / "data", most_connections=2, proxies=["127.0.0.1/32"]) as server:
        held = [socket.create_connection(("127.0.0.1", server.port), PATIENCE) for _ in range(10)]
        for it in held:
            it.sendall(b"GET /v1/rules HTTP/1.1\r\nHost: 127")
        assert_it_serves(server)
        for it in held:
            it.close()


def test_a_connection_that_is_used_is_kept(server: ApiServer) -> None:
    request = head(server, "/v1/rules", "GET").replace(b"Connection: close", b"X-Kept: yes")
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as it:
        for _ in range(5):
            it.sendall(request)
            told = b""
            while b"\r\n\r\n" not in told:
                told += it.recv(65536)
            size = int(told.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            while len(told.partition(b"\r\n\r\n")[2]) < size:
                told += it.recv(65536)
            assert status(told) == 200


def test_pipelined_requests_are_answered_in_order(server: ApiServer) -> None:
    first = head(server, "/v1/rules/calls.nothing", "GET").replace(b"Connection: close", b"X-Kept: yes")
    told = talk(server, first * 3 + head(server, "/v1/rules/calls.caller-listed", "GET"))
    assert [int(part.split()[0]) for part in told.split(b"HTTP/1.1 ")[1:]] == [404, 404, 404, 200]


@pytest.mark.parametrize(
    ("host", "code"), [("127.0.0.1", 200), ("localhost", 200), ("evil.example", 421), ("[::1", 421), ("", 421)]
)
def test_only_its_own_names_are_served(server: ApiServer, host: str, code: int) -> None:
    told = talk(server, head(server, "/v1/rules", "GET").replace(b"Host: 127.0.0.1", f"Host: {host}".encode()))
    assert status(told) == code


def test_cookies_open_nothing_here(server: ApiServer) -> None:
    bare = (
        b"GET /v1/rules HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nCookie: hutong=" + b"a" * 43 + b"\r\n\r\n"
    )
    assert status(talk(server, bare)) == 401
