"""OpenID providers on loopback: a well-behaved one as a process, and one that says whatever a test wants."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
from joserfc import jwk, jwt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def running_mock(port: int, wait_until: Callable[..., object]) -> Iterator[str]:
    """oidc-provider-mock as a process of its own; yields its issuer."""
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "1"]
    environment = os.environ | {"AUTHLIB_INSECURE_TRANSPORT": "1"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    issuer = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{issuer}/.well-known/openid-configuration", trust_env=False).is_success
        return False

    try:
        wait_until(answers, 30, "the provider answers")
        yield issuer
    finally:
        process.kill()
        process.wait()


def sign_in_at_mock(url: str, issuer: str, subject: str, **claims: object) -> dict[str, str]:
    """What the provider sends back when this person signs in there."""
    with httpx.Client(trust_env=False) as browser:
        browser.put(f"{issuer}/users/{subject}", json=claims).raise_for_status()
        answer = browser.post(url, data={"sub": subject})
    assert answer.status_code == 302, answer.text
    return returned(answer.headers["location"])


def returned(location: str) -> dict[str, str]:
    """The parameters of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


class ToldProvider:
    """Answers what it is told; signs ID tokens with `key`.

    Attributes:
        claims: of the next ID token. metadata, answers: change them to misbehave; an answer is (status, body) by path.
        asked: the requests so far, as (path, form or headers).
    """

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.key = jwk.RSAKey.generate_key(2048, {"kid": "one"})
        self.published: list[Any] = [self.key]
        self.claims: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize?tenant=1",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
        }
        self.userinfo: dict[str, Any] = {}
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []

    def answer(self, path: str) -> tuple[int, bytes]:
        if path in self.answers:
            return self.answers[path]
        if path == "/token":
            token = jwt.encode({"alg": "RS256", "kid": self.key.kid}, self.claims, self.key)
            return 200, json.dumps({"access_token": "a", "token_type": "Bearer", "id_token": token}).encode()
        known = {
            "/.well-known/openid-configuration": self.metadata,
            "/jwks": {"keys": [key.as_dict(private=False) for key in self.published]},
            "/userinfo": self.userinfo,
        }
        return 200, json.dumps(known[path]).encode()


@contextlib.contextmanager
def running_told(port: int) -> Iterator[ToldProvider]:
    provider = ToldProvider(port)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            form = {name: values[0] for name, values in parse_qs(self.rfile.read(length).decode()).items()}
            provider.asked.append((self.path, form, dict(self.headers)))
            status, body = provider.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body)

        do_POST = do_GET  # noqa: N815  # the library's name

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()
