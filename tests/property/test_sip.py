"""Laws of the SIP codec over generated messages: round trips, no other exception than its own, framing."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from hutong.protocols.sip import (
    Request,
    Response,
    ResponseHeads,
    SipError,
    StreamReader,
    build_request,
    build_response,
    call_key,
    parse_datagram,
    transaction_key,
)

LETTERS = "ABCXYZabcxyz019-.!%*_+`'~"
tokens = st.text(LETTERS, min_size=1, max_size=12)
# Parameters whose values have a grammar of their own.
RESERVED = frozenset({"ttl", "maddr", "user", "transport", "method", "tag", "branch", "rport", "received"})
hosts = st.sampled_from(["192.0.2.1", "gw.example.com", "[2001:db8::1]", "h", "a-b.c9"])
ports = st.one_of(st.just(""), st.integers(0, 65_535).map(":{}".format))
users = st.text("0123456789+-._~!$&'()*,=;?/%abc", min_size=1, max_size=20).map(lambda u: u.replace("%", "%2B"))
quoted = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=12)


def parameters(names: st.SearchStrategy[str]) -> st.SearchStrategy[list[tuple[str, str | None]]]:
    pairs = st.tuples(names, st.one_of(st.none(), names))
    return st.lists(pairs, max_size=3, unique_by=lambda pair: pair[0].lower())


params = parameters(tokens)
# A URI's parameters may hold other characters than a header's.
uri_params = parameters(st.text("ABCxyz019-._!~*'()[]/:&+$", min_size=1, max_size=8))


def joined(pairs: list[tuple[str, str | None]]) -> str:
    kept = [pair for pair in pairs if pair[0].lower() not in RESERVED]
    return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in kept)


@st.composite
def uris(draw: st.DrawFn) -> str:
    if draw(st.integers(0, 4)) == 0:
        return "tel:" + draw(st.from_regex(r"\+[0-9]{1,4}[-.()0-9]{0,9}", fullmatch=True))
    user = draw(st.one_of(st.just(""), users.map("{}@".format)))
    scheme = draw(st.sampled_from(["sip", "sips", "SIP"]))
    return f"{scheme}:{user}{draw(hosts)}{draw(ports)}{joined(draw(uri_params))}"


@st.composite
def addresses(draw: st.DrawFn) -> tuple[str, str]:
    """A display name and a name-addr that carries it."""
    display = draw(quoted)
    escaped = display.replace("\\", "\\\\").replace('"', '\\"')
    return display, f'"{escaped}" <{draw(uris())}>'


@st.composite
def vias(draw: st.DrawFn) -> str:
    extra = joined(draw(params))
    branch = draw(st.one_of(st.just(""), tokens.map(";branch=z9hG4bK{}".format)))
    rport = draw(st.sampled_from(["", ";rport", ";rport=7"]))
    return f"SIP/2.0/{draw(tokens)} {draw(hosts)}{draw(ports)}{branch}{rport}{extra}"


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, str]:
    """A request's bytes and the display name of its From."""
    method = draw(st.one_of(st.sampled_from(["INVITE", "ACK", "CANCEL", "OPTIONS"]), tokens))
    display, caller = draw(addresses())
    headers = [("Via", draw(vias())) for _ in range(draw(st.integers(1, 3)))]
    headers += [
        ("From", f"{caller};tag={draw(tokens)}"),
        ("To", draw(addresses())[1] + draw(st.sampled_from(["", ";tag=t"]))),
        ("Call-ID", draw(tokens) + draw(st.sampled_from(["", "@h"]))),
        ("CSeq", f"{draw(st.integers(0, 2**31 - 1))} {method}"),
    ]
    optional = st.sampled_from(
        [
            ("Max-Forwards", "70"),
            ("Privacy", "id"),
            ("P-Asserted-Identity", "<tel:+86>"),
            ("Diversion", "<sip:1@h>;reason=unknown"),
            ("History-Info", "<sip:1@h>;index=1"),
            ("X-Unknown", ";;,,"),
        ]
    )
    headers += draw(st.lists(optional, max_size=4, unique_by=lambda pair: pair[0]))
    data = build_request(method, draw(uris()), headers=headers, body=draw(st.binary(max_size=40)))
    return data, display


def read(data: bytes) -> Request:
    message = parse_datagram(data)
    assert isinstance(message, Request)
    return message


@settings(max_examples=200, deadline=None)
@given(requests())
def test_what_is_built_is_read_and_what_is_read_builds_the_same_bytes(made: tuple[bytes, str]) -> None:
    data, display = made
    request = read(data)
    assert request.tolerated == frozenset()
    assert request.from_.display == display
    headers = [
        (header.name.decode(), header.value.decode()) for header in request.headers if header.key != "content-length"
    ]
    assert build_request(request.method, request.uri.raw.decode(), headers=headers, body=request.body) == data


@settings(max_examples=100, deadline=None)
@given(requests(), st.sampled_from([("192.0.2.1", 5060), ("2001:db8::1", 9), ("10.0.0.1", 65_535)]))
def test_every_answer_is_read_back_with_what_it_copied(made: tuple[bytes, str], source: tuple[str, int]) -> None:
    request = read(made[0])
    answer = parse_datagram(build_response(request, 486, "Busy", to_tag="new", via_received=source))
    assert isinstance(answer, Response)
    assert answer.vias[1:] == request.vias[1:]
    assert (answer.vias[0].sent_by, answer.vias[0].branch) == (request.vias[0].sent_by, request.vias[0].branch)
    assert answer.vias[0].received in {"", source[0]}
    assert (answer.from_, answer.call_id, answer.cseq) == (request.from_, request.call_id, request.cseq)
    assert answer.to.tag == (request.to.tag or "new")


@settings(max_examples=100, deadline=None)
@given(requests())
def test_reading_twice_gives_equal_values_and_keys(made: tuple[bytes, str]) -> None:
    first, second = read(made[0]), read(made[0])
    assert first == second
    assert transaction_key(first) == transaction_key(second)
    assert call_key(first) == call_key(second)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A request with a few bytes overwritten, cut out or put in: nearer to the parser's edges than random bytes."""
    data = bytearray(draw(requests())[0])
    pieces = st.one_of(
        st.binary(max_size=3), st.sampled_from([b"\r\n", b"\r\n ", b'"', b"\\", b";;", b",", b"<", b":"])
    )
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 3))] = draw(pieces)
    return bytes(data)


def heads_of(data: bytes) -> ResponseHeads | None:
    try:
        message = parse_datagram(data)
    except SipError as error:
        return error.heads
    return message.heads if isinstance(message, Request) else None


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=300), damaged()))
def test_bytes_are_read_or_refused_and_an_answer_holds_no_foreign_line(data: bytes) -> None:
    heads = heads_of(data)
    if heads is None:
        return
    answer = build_response(heads, 400, "Bad Request", to_tag="t", via_received=("192.0.2.1", 1))
    lines = answer.removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert len(lines) <= 2 + len(heads.vias) + 4
    assert answer.count(b"\r") == answer.count(b"\n") == len(lines) + 1


@settings(max_examples=150, deadline=None)
@given(st.lists(requests(), min_size=1, max_size=4), st.lists(st.integers(0, 3000), max_size=12))
def test_however_a_stream_is_cut_it_gives_the_same_as_datagrams(made: list[tuple[bytes, str]], cuts: list[int]) -> None:
    data = b"".join(each[0] for each in made)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    reader = StreamReader()
    found = [event for a, b in pairwise(edges) for event in reader.feed(data[a:b])]
    assert found == [read(each[0]) for each in made]


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=200), damaged()), st.lists(st.integers(0, 600), max_size=8))
def test_a_stream_of_anything_gives_the_same_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    whole, pieces = StreamReader(), StreamReader()
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    apart = [event for a, b in pairwise(edges) for event in pieces.feed(data[a:b])]
    together = whole.feed(data)
    assert list(map(repr, apart)) == list(map(repr, together))
    assert pieces.broken == whole.broken
