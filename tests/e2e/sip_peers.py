"""Kamailio with the shipped configuration, and sipp as the trunk before it and the next hop behind it."""

from __future__ import annotations

import csv
import re
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest
from processes import ROOT, Process, free_port

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

SCENARIOS = ROOT / "tests" / "e2e" / "scenarios"
SHIPPED = ROOT / "deploy" / "kamailio" / "kamailio.cfg"

_OPTIONS = (
    "OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{own};branch=z9hG4bK-alive\r\n"
    "Max-Forwards: 70\r\nFrom: <sip:test@127.0.0.1>;tag=a\r\nTo: <sip:127.0.0.1:{port}>\r\n"
    "Call-ID: alive-{own}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip, by name, where one of Debian's programs is absent."""
    absent = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(absent), reason=f"not installed: {', '.join(absent)}")


class Kamailio(Process):
    """The shipped configuration on loopback ports, in front of `nodes` (SIP URIs) and of `next_hop`."""

    def __init__(self, folder: Path, nodes: Sequence[str], next_hop: str) -> None:
        self.port = free_port()
        run = folder / "kamailio"
        run.mkdir()
        listing = run / "dispatcher.list"
        listing.write_text("".join(f"1 {node}\n" for node in nodes))
        self._control = run / "kamailio_ctl"
        names = {
            "LISTEN": f"udp:127.0.0.1:{self.port}",
            "LISTEN_TCP": f"tcp:127.0.0.1:{self.port}",
            "LISTEN_IPV6": f"udp:[::1]:{self.port}",
            "NEXT_HOP": f'"{next_hop}"',
            "NODES": f'"{listing}"',
            "CHILDREN": "2",
        }
        defines = [word for name, value in names.items() for word in ("-A", f"{name}={value}")]
        command = ["kamailio", "-f", str(SHIPPED), "-DD", "-E", "-m", "64", "-M", "8"]
        places = ["-Y", str(run), "-w", str(run), "-P", str(run / "pid")]
        super().__init__("kamailio", [*command, *places, *defines], folder)

    def start(self) -> None:
        """Start, and wait until it answers OPTIONS."""
        self.launch()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            probe.settimeout(0.1)
            question = _OPTIONS.format(port=self.port, own=probe.getsockname()[1]).encode()

            def answers() -> bool:
                probe.sendto(question, ("127.0.0.1", self.port))
                try:
                    return probe.recv(4096).startswith(b"SIP/2.0 200")
                except OSError:
                    return False

            self.wait_until(answers, 20)

    def ask(self, *command: str) -> str:
        """What `kamcmd` prints for an RPC command."""
        control = ["kamcmd", "-s", f"unix:{self._control}", *command]
        return subprocess.run(control, capture_output=True, text=True, timeout=10, check=True).stdout

    def counts(self) -> dict[str, int]:
        """The configuration's own counters without their common prefix: asked, passed, refused, …"""
        found = re.findall(r"script[:.]hutong_(\w+) = (\d+)", self.ask("stats.get_statistics", "script:"))
        return {name: int(value) for name, value in found}

    def node_states(self) -> dict[str, str]:
        """Dispatcher's view: node URI → flags (AP: active and probed, IP: inactive)."""
        shown = self.ask("dispatcher.list")
        return dict(zip(re.findall(r"URI: (\S+)", shown), re.findall(r"FLAGS: (\S+)", shown), strict=True))


class Call(NamedTuple):
    """One call as its caller saw it end. `rest` is what the scenario noted of the answer."""

    call_id: str
    caller: str
    callee: str
    code: int
    rest: str


class Arrival(NamedTuple):
    """One call as the next hop saw it come: the values of the headers that the way there may have added."""

    call_id: str
    unscreened: str
    warning: str
    source: str


class Callee(Process):
    """The next hop: sipp answers, and hangs up when told."""

    def __init__(self, folder: Path, *, host: str = "127.0.0.1") -> None:
        self.port = free_port()
        self.address = f"{host}:{self.port}"
        self._notes = folder / "callee.notes"
        command = ["sipp", "-sf", str(SCENARIOS / "callee.xml"), "-i", host, "-p", str(self.port), "-nostdin"]
        super().__init__("callee", [*command, "-trace_logs", "-log_file", str(self._notes)], folder)

    def start(self) -> None:
        """Start, and wait until its port is taken."""
        self.launch()

        def bound() -> bool:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                try:
                    probe.bind(("127.0.0.1", self.port))
                except OSError:
                    return True
                return False

        self.wait_until(bound, 20)

    def arrivals(self) -> list[Arrival]:
        """The calls that came, once the process has been stopped."""
        shape = re.compile(r"^(\S+) unscreened= ?(.*?) warning= ?(.*?) source= ?(.*?)\s*$")
        lines = self._notes.read_text().splitlines() if self._notes.exists() else []
        return [Arrival(*found.groups()) for line in lines if (found := shape.match(line))]


class Caller(Process):
    """A trunk: sipp places one call for each (caller, callee) pair, `rate` a second."""

    def __init__(self, name: str, folder: Path, proxy: int, pairs: Iterable[tuple[str, str]], *, rate: int) -> None:
        self._notes = folder / f"{name}.notes"
        self._statistics = folder / f"{name}.csv"
        calls = folder / f"{name}-calls.csv"
        lines = [f"{caller};{callee}" for caller, callee in pairs]
        calls.write_text("\n".join(["SEQUENTIAL", *lines]) + "\n")
        self.expected = len(lines)
        target = [f"127.0.0.1:{proxy}", "-sf", str(SCENARIOS / "caller.xml"), "-inf", str(calls)]
        pace = [
            "-i",
            "127.0.0.1",
            "-p",
            str(free_port()),
            "-m",
            str(len(lines)),
            "-r",
            str(rate),
            "-l",
            "400",
        ]
        traces = ["-trace_logs", "-log_file", str(self._notes), "-trace_stat", "-stf", str(self._statistics)]
        errors = ["-trace_err", "-error_file", str(folder / f"{name}.errors")]
        self.errors = folder / f"{name}.errors"
        limits = ["-recv_timeout", "8000", "-timeout", "60s", "-timeout_error", "-nostdin"]
        super().__init__(name, ["sipp", *target, *pace, *traces, *errors, *limits], folder)

    def calls(self) -> list[Call]:
        """The calls that have ended so far."""
        shape = re.compile(r"^(\S+) (\S+) (\S+) (\d{3})\b ?(.*)$")
        lines = self._notes.read_text().splitlines() if self._notes.exists() else []
        found = [match.groups() for line in lines if (match := shape.match(line))]
        return [Call(call_id, caller, callee, int(code), rest) for call_id, caller, callee, code, rest in found]

    def statistics(self) -> tuple[int, int]:
        """sipp's own count of successful and failed calls, once it has ended."""
        with self._statistics.open() as file:
            last = list(csv.DictReader(file, delimiter=";"))[-1]
        return int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"])

    def complete(self, seconds: float = 60) -> list[Call]:
        """Wait for the end; fails with sipp's error log when one call went wrong. Returns the calls."""
        status = self.finish(seconds)
        said = self.errors.read_text()[:2000] if self.errors.exists() else ""
        assert status == 0, f"{self.name}: sipp exit {status}, {self.statistics()}\n{said}"
        return self.calls()
