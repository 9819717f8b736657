"""Nobody waits for ever: an outside roaming look-up has its time, a verdict has its time, and then the call passes."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from nodes import IPV4, ScreenNode
from sip_clients import FORGED, TcpPeer, UdpPeer, code_of, header_of, new_call

from e2e.processes import running
from engines import ABROAD
from hutong.app.cli import run
from hutong.calls.roaming import MOST_UNDER_WAY

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.enable_socket

LOOK_UP_MS = 1500
VERDICT_MS = 1000

_ROAMS, _AT_HOME = b'{"roaming": true}', b'{"roaming": false}'
_ANSWERS: dict[str, tuple[int, bytes]] = {
    "0001": (200, _ROAMS),
    "0002": (200, _AT_HOME),
    "0003": (500, _ROAMS),
    "0004": (200, b"\xff\x00 no JSON"),
    "0005": (200, b'{"roaming": "perhaps"}'),
    "0006": (302, _ROAMS),
    "0007": (200, b"{" * 100_000),
    "0008": (404, b""),
}


class Register(ThreadingHTTPServer):
    """A roaming service: what it says depends on the number's last digits; of 9999 it says nothing until `release`d."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self) -> None:
        super().__init__((IPV4, 0), _Handler)
        self.asked: list[str] = []
        self.release = threading.Event()

    def handle_error(self, *_: object) -> None:
        """A node that hangs up when its time is over is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: Register

    def do_GET(self) -> None:
        number = self.path.rpartition("/")[2]
        self.server.asked.append(number)
        if number.endswith("9999"):
            self.server.release.wait()
        status, body = _ANSWERS.get(number[-4:], (200, _ROAMS))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests are silent."""


@pytest.fixture(scope="module")
def register() -> Iterator[Register]:
    server = Register()
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield server
    server.release.set()
    server.shutdown()
    serving.join()
    server.server_close()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, register: Register) -> Iterator[ScreenNode]:
    url = f"http://{IPV4}:{register.server_port}/roaming"
    more = f'[roaming]\nhttp_url = "{url}"\nhttp_budget_ms = {LOOK_UP_MS}\n'
    it = ScreenNode(tmp_path_factory.mktemp("budget"), budget_ms=VERDICT_MS, more=more)
    with running(it):
        it.start()
        yield it
        assert "Traceback" not in it.read_log()


@pytest.fixture
def held(register: Register) -> Iterator[threading.Event]:
    """While it is not set, the register says nothing of numbers that end in 9999."""
    register.release.clear()
    yield register.release
    register.release.set()


@pytest.fixture
def peer(node: ScreenNode) -> Iterator[UdpPeer]:
    with UdpPeer((IPV4, node.port)) as it:
        yield it


def from_abroad(peer: UdpPeer | TcpPeer, number: str, call: str = "", **more: object) -> bytes:
    return peer.invite(f"+86138{number:>08}", source=ABROAD, call=call or new_call(), **more)  # type: ignore[arg-type]


def story(node: ScreenNode, call: str, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    capsys.readouterr()
    assert run(["calls", "explain", f"call-{call}@192.0.2.99", "--data", str(node.data), "--json"]) == 0
    told: dict[str, object] = json.loads(capsys.readouterr().out)
    return told


def fired(told: dict[str, object]) -> set[str]:
    return {rule["id"] for rule in told["rules"]}  # type: ignore[index, attr-defined]


# The look-up


def test_a_confirmed_roamer_passes_and_the_parked_call_hears_trying_first(peer: UdpPeer, register: Register) -> None:
    assert code_of(peer.ask(from_abroad(peer, "0001"))) == 100
    assert code_of(peer.receive()) == 302
    assert register.asked[-1] == "8613800000001"


def test_a_subscriber_at_home_is_refused(peer: UdpPeer) -> None:
    assert code_of(peer.ask(from_abroad(peer, "0002"))) == 100
    assert code_of(peer.receive()) == 608


@pytest.mark.parametrize("number", [number for number in _ANSWERS if number > "0002"])
def test_an_answer_that_is_none_lets_the_call_pass_and_says_that_nothing_is_known(
    node: ScreenNode, peer: UdpPeer, number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call = new_call()
    assert code_of(peer.ask(from_abroad(peer, number, call))) == 100
    answer = peer.receive()
    assert code_of(answer) == 302
    assert "calls.domestic-caller-unverified" in header_of(answer, "Hutong-Warning")
    assert fired(story(node, call, capsys)) == {"calls.domestic-caller-unverified"}


def test_an_answer_kept_from_before_needs_no_new_question(peer: UdpPeer, register: Register) -> None:
    asked = len(register.asked)
    for _ in range(3):
        assert code_of(peer.ask(from_abroad(peer, "0042"))) == 100
        assert code_of(peer.receive()) == 302
    assert len(register.asked) - asked == 1


def test_nobody_else_waits_for_a_slow_look_up(node: ScreenNode, peer: UdpPeer, held: threading.Event) -> None:
    parked = from_abroad(peer, "9999")
    assert code_of(peer.ask(parked)) == 100
    assert code_of(peer.ask(parked)) == 100  # a retransmission waits as well
    with UdpPeer(peer.server) as other, TcpPeer(peer.server) as stream:
        assert code_of(other.ask(other.invite())) == 302
        assert code_of(other.ask(other.invite(FORGED))) == 608
        assert code_of(stream.ask(stream.invite())) == 302
        assert peer.pending() == []
    held.set()
    answer = peer.receive()
    assert code_of(answer) == 302
    assert peer.ask(parked) == answer
    assert node.figures.fail_open == 0


def test_a_look_up_that_never_answers_costs_its_time_and_the_call_passes(
    node: ScreenNode, peer: UdpPeer, held: threading.Event, capsys: pytest.CaptureFixture[str]
) -> None:
    call = new_call()
    assert code_of(peer.ask(from_abroad(peer, "1119999", call))) == 100
    with TcpPeer(peer.server) as stream:
        assert code_of(stream.ask(from_abroad(stream, "2229999"))) == 100
        assert code_of(stream.receive()) == 302
    answer = peer.receive()
    assert not held.is_set()
    assert code_of(answer) == 302
    told = story(node, call, capsys)
    assert fired(told) == {"calls.domestic-caller-unverified"}
    assert "caller.roaming" in json.dumps(told)


def test_an_emergency_call_waits_for_no_look_up(peer: UdpPeer, held: threading.Event) -> None:
    assert code_of(peer.ask(from_abroad(peer, "3339999", callee="110"))) == 302
    assert not held.is_set()


def test_a_parked_call_can_be_cancelled(peer: UdpPeer, held: threading.Event, node: ScreenNode) -> None:
    call = new_call()
    attempts = node.figures.attempts
    assert code_of(peer.ask(from_abroad(peer, "4449999", call))) == 100
    peer.send(peer.request("CANCEL", call=call))
    assert [code_of(peer.receive()), code_of(peer.receive())] == [200, 487]
    held.set()
    assert code_of(peer.ask(from_abroad(peer, "0001"))) == 100
    assert node.figures.attempts - attempts <= 1  # the cancelled call was judged by nobody


def test_more_look_ups_than_can_be_under_way_fail_open_at_once(
    node: ScreenNode, peer: UdpPeer, held: threading.Event
) -> None:
    calls = [from_abroad(peer, f"{at:03}9999"[-8:]) for at in range(500, 900)]
    peer.send(*calls)
    at_once = [code_of(answer) for answer in peer.answer_to(peer.request("OPTIONS"))[1]]
    assert at_once.count(100) == len(calls)
    assert at_once.count(302) >= len(calls) - MOST_UNDER_WAY
    assert code_of(peer.answer_to(peer.invite(FORGED))[0]) == 608
    assert not held.is_set()
    held.set()
    final = at_once.count(302)
    while final < len(calls):
        final += code_of(peer.receive()) == 302
    assert node.child.poll() is None


def test_a_peer_that_asks_for_many_look_ups_and_never_reads_ends_alone(
    node: ScreenNode, peer: UdpPeer, held: threading.Event
) -> None:
    # The Contact of a 302 repeats the called user: nearly all bytes that wait are those of answers to parked calls.
    uri = f"sip:{'1' * 8000}@127.0.0.1"
    with TcpPeer(peer.server, receive_buffer=4096) as mute:
        flood = b"".join(from_abroad(mute, f"{one}9999", uri=uri) for one in range(2000, 4000))
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            mute.socket.sendall(flood)
    assert not held.is_set()
    assert code_of(peer.answer_to(peer.invite(FORGED))[0]) == 608
    assert node.child.poll() is None


def test_a_parked_call_whose_batch_the_disk_refused_can_be_made_again(node: ScreenNode, peer: UdpPeer) -> None:
    parked = from_abroad(peer, "0001")
    for _ in range(100):  # so that the node's log, which has the same limit, is shorter than the journal
        assert code_of(peer.answer_to(peer.invite())[0]) == 302
    said = node.said
    with node.full_disk():
        with node.suspended():
            peer.send(peer.invite(), parked)
        node.await_log("The journal cannot be written", said)
    codes = [code_of(peer.answer_to(parked)[0])]
    while codes[-1] == 100:
        codes.append(code_of(peer.receive()))
    assert codes == [100, 302]


# The verdict itself


def test_a_call_that_waited_longer_than_a_verdict_may_passes_unjudged_and_is_counted(
    node: ScreenNode, peer: UdpPeer, capsys: pytest.CaptureFixture[str]
) -> None:
    before = node.figures.fail_open
    calls = [new_call(), new_call()]
    with node.suspended(at_least=VERDICT_MS / 1000 + 0.05):
        peer.send(peer.invite(FORGED, call=calls[0]), peer.invite(FORGED, call=calls[1], extra="Subject: x"))
    assert [code_of(peer.receive()), code_of(peer.receive())] == [302, 302]
    assert node.figures.fail_open - before == 2
    for call in calls:
        told = story(node, call, capsys)
        assert (told["action"], told["rules"]) == ("pass", [])
        assert "fail-open" in told["flags"]  # type: ignore[operator]
    assert code_of(peer.ask(peer.invite(FORGED))) == 608
