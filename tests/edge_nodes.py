"""The real nginx with the configuration of `hutong edge write`, and an application that counts what reaches it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

from hutong.app.config import Config, NodeConfig
from hutong.app.edge.writing import (
    MODULES,
    NAMES,
    Places,
    board_file,
    edge_file,
    ticket_keys,
    write_edge,
)
from hutong.app.overload import gate_before
from hutong.app.overload_config import EdgeConfig, OverloadConfig
from hutong.kernel.clock import SystemClock
from hutong.kernel.metrics import Metrics
from hutong.kernel.overload.board import Board, write_board
from hutong.kernel.overload.classes import Level
from hutong.kernel.overload.keys import KeyFile

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from hutong.app.edge.writing import Pages

LUA = Path(MODULES) / "ngx_http_lua_module.so"
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"


class Application:
    """Answers every request, unless it holds the path; lists of revocations may be kept for a while."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connections: list[socket.socket] = []
        self.reached: list[tuple[str, dict[str, str]]] = []
        self.held = threading.Event()
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                outer.connections.append(self.connection)

            def do_GET(self) -> None:
                outer.reached.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                if "hold" in self.path:
                    outer.held.wait(20)
                body = f"answer to {self.path}".encode()
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(body)))
                if "revocations" in self.path:
                    self.send_header("Cache-Control", "max-age=60" if "long" in self.path else "max-age=1")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:  # noqa: ANN401
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def paths(self) -> list[str]:
        return [path for path, _ in self.reached]

    def stop(self) -> None:
        self.held.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for one in self.connections:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


class GatedApplication:
    """uvicorn with a gate before an application that holds every request until it is released."""

    def __init__(self, data: Path, port: int) -> None:
        self.count = 0
        self.metrics = Metrics()
        self._released: Future[None] = Future()
        settings = Config(node=NodeConfig(data=str(data)), overload=OverloadConfig(at_once=4))
        gate = gate_before(self._answer, "public", settings, SystemClock(), self.metrics)
        config = uvicorn.Config(gate, port=port, log_level="critical", lifespan="off", access_log=False)  # type: ignore[arg-type]
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()

    async def _answer(self, _scope: Any, _receive: Any, send: Any) -> None:  # noqa: ANN401
        self.count += 1
        await asyncio.wrap_future(self._released)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    def is_up(self) -> bool:
        return self._server.started

    def release(self) -> None:
        self._released.set_result(None)

    @staticmethod
    def refused(answers: list[httpx.Response]) -> list[httpx.Response]:
        """Each of them with what the refused are told."""
        found = [it for it in answers if it.status_code == 503]
        assert all(int(it.headers["retry-after"]) >= 1 and it.headers["hutong-level"] for it in found)
        return found

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()


class Edge:
    """One nginx in a folder of its own: `public` or `stations`."""

    def __init__(
        self,
        folder: Path,
        name: str,
        free_port: Callable[[], int],
        *,
        processes: int = 1,
        pages: Pages | None = None,
        **settings: Any,  # noqa: ANN401
    ) -> None:
        self.port, self.application_port = free_port(), free_port()
        own = {"listen": "listen", "application": "application"}
        if name == "stations":
            own = {"listen": "stations_listen", "application": "stations_application"}
        settings |= {own["listen"]: f"127.0.0.1:{self.port}", own["application"]: f"127.0.0.1:{self.application_port}"}
        self.folder, self._name = folder / "edge", name
        self.keys = KeyFile(ticket_keys(folder))
        self.keys.keys()
        (folder / "run").mkdir(exist_ok=True)
        self.boards = [board_file(folder, name, process + 1) for process in range(processes)]
        self.says = edge_file(self.folder, name)
        places = Places(self.folder, folder, dict.fromkeys(NAMES, processes))
        shown = {name: pages} if pages is not None else {}
        write_edge(EdgeConfig(workers=1, **settings), OverloadConfig(), places, shown)
        self.log = folder / "nginx.err"
        self._errors = self.log.open("wb")
        self._process: subprocess.Popen[bytes] | None = None

    def say(self, made_ms: int, level: Level = Level.NORMAL, rooms: int = 1, queues: int = 0, process: int = 1) -> None:
        """What a process would have on its board."""
        none = [0] * 4
        board = Board(made_ms, level, rooms, 0, [rooms] * 4, [queues] * 4, [10.0] * 4, none, none, none, none)
        write_board(self.boards[process - 1], board)

    def start(self, wait_until: Callable[..., object]) -> None:
        command = [NGINX, "-p", str(self.folder), "-c", str(self.folder / f"{self._name}.conf")]
        self._process = subprocess.Popen([*command, "-g", "daemon off;"], stderr=self._errors)
        wait_until(self._answers, what="nginx answers")

    def _answers(self) -> bool:
        return (self.folder / "run" / f"{self._name}.sock").exists()

    def workers(self) -> list[int]:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [int(it) for it in children.read_text().split()]

    def kill_worker(self) -> None:
        os.kill(self.workers()[0], signal.SIGKILL)

    def reload(self, wait_until: Callable[..., object]) -> None:
        assert self._process is not None
        before = self.workers()
        self._process.send_signal(signal.SIGHUP)
        wait_until(lambda: set(self.workers()) - set(before), what="a new worker")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
        self._errors.close()
