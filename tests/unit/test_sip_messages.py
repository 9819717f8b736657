from __future__ import annotations

import pytest

from hutong.protocols.sip import (
    MAX_HEADERS,
    MAX_MESSAGE,
    MAX_PARTS,
    Request,
    Response,
    SipError,
    Tolerance,
    build_request,
    parse_datagram,
)

CORE = {
    "Via": "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKabc;rport",
    "Max-Forwards": "70",
    "From": '"021" <sip:+862161234567@192.0.2.1;user=phone>;tag=a1',
    "To": "<sip:13800138000@192.0.2.9>",
    "Call-ID": "c1@192.0.2.1",
    "CSeq": "7 INVITE",
}


def invite(*more: tuple[str, str], uri: str = "sip:13800138000@192.0.2.9", **changed: str) -> bytes:
    """An ordinary INVITE; `changed` replaces core headers (Call_ID), an empty text leaves one out."""
    core = CORE | {name.replace("_", "-"): value for name, value in changed.items()}
    headers = [(name, value) for name, value in core.items() if value]
    return build_request("INVITE", uri, headers=[*headers, *more])


def read(data: bytes) -> Request:
    message = parse_datagram(data)
    assert isinstance(message, Request)
    return message


def refused(data: bytes) -> SipError:
    with pytest.raises(SipError) as caught:
        parse_datagram(data)
    return caught.value


def test_an_ordinary_invite() -> None:
    request = read(invite())
    assert request.method == "INVITE"
    assert (request.uri.scheme, request.uri.user, request.uri.host, request.uri.port) == (
        "sip",
        b"13800138000",
        "192.0.2.9",
        None,
    )
    via = request.vias[0]
    assert (via.transport, via.sent_by, via.host, via.port) == ("UDP", b"192.0.2.1:5060", "192.0.2.1", 5060)
    assert (via.branch, via.rport, via.received) == ("z9hG4bKabc", 0, "")
    assert (request.from_.display, request.from_.tag, request.from_.uri.is_phone) == ("021", "a1", True)
    assert (request.to.tag, request.call_id, request.cseq.number) == ("", b"c1@192.0.2.1", 7)
    assert (request.max_forwards, request.content_length, request.body) == (70, 0, b"")
    assert request.contact == request.require == request.history_info == ()
    assert request.expires is request.content_type is None
    assert request.tolerated == frozenset()


def test_headers_keep_their_order_name_value_and_line() -> None:
    headers = read(invite(("x-Odd", "  a  b "))).headers
    assert [header.key for header in headers[:2]] == ["via", "max-forwards"]
    assert (headers[6].name, headers[6].key, headers[6].value, headers[6].line) == (b"x-Odd", "x-odd", b"a  b", 8)


def test_caller_identity_headers() -> None:
    request = read(
        invite(
            ("P-Asserted-Identity", '"A, B" <sip:+8610@gw;user=phone>, <tel:+8610>'),
            ("P-Asserted-Identity", "tel:10;phone-context=+8621"),
            ("P-Preferred-Identity", "<sip:1@gw>"),
            ("Privacy", "id;user"),
            ("Diversion", "<sip:1@gw>;reason=unconditional;counter=2, <tel:+862>;reason=no-answer"),
            ("History-Info", "<sip:1@gw>;index=1, <sip:2@gw;cause=302>;index=1.1;rc=1"),
            ("History-Info", "<sip:3@gw?Reason=SIP%3Bcause%3D486>;index=1.1.2"),
            ("Reason", 'Q.850;cause=16;text="Normal, clearing", SIP;cause=600'),
            ("P-Access-Network-Info", "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=46000A1;network-provided"),
            ("Identity", 'eyJ.eyI.c2ln;info=<https://ca.example/c.pem>;alg=ES256;ppt="shaken"'),
        )
    )
    assert [each.uri.scheme for each in request.p_asserted_identity] == ["sip", "tel", "tel"]
    assert request.asserted_sip is not None
    assert request.asserted_tel is not None
    assert (request.asserted_sip.display, request.asserted_tel.uri.user) == ("A, B", b"+8610")
    assert request.p_asserted_identity[2].uri.phone_context == "+8621"
    assert request.p_preferred_identity[0].uri.user == b"1"
    assert request.privacy == ("id", "user")
    assert [each.params["reason"] for each in request.diversion] == ["unconditional", "no-answer"]
    assert [(each.index, each.cause) for each in request.history_info] == [
        ((1,), None),
        ((1, 1), 302),
        ((1, 1, 2), 486),
    ]
    assert [(each.protocol, each.cause, each.text) for each in request.reason] == [
        ("Q.850", 16, "Normal, clearing"),
        ("SIP", 600, ""),
    ]
    assert request.p_access_network_info[0].cell == "46000A1"
    identity = request.identity[0]
    assert (identity.digest, identity.info, identity.alg, identity.ppt) == (
        "eyJ.eyI.c2ln",
        "https://ca.example/c.pem",
        "ES256",
        "shaken",
    )


def test_compact_forms_and_case_are_one_with_the_long_names() -> None:
    data = (
        b"INVITE sip:1@h SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z9hG4bKa\r\nF: sip:2@h;tag=t\r\nt: sip:1@h\r\n"
        b"i: x\r\nCSEQ: 1 INVITE\r\nm: <sip:2@h>\r\nk: 100rel\r\nc: a/b\r\nl: 2\r\n\r\nhi, and more"
    )
    request = read(data)
    assert (request.supported, request.contact[0].uri.user, request.body) == (("100rel",), b"2", b"hi")
    assert request.content_type is not None
    assert (request.content_type.type, request.content_type.subtype) == ("a", "b")


def test_comma_lists_and_repeated_headers_are_the_same_list() -> None:
    first, second = "SIP/2.0/UDP a.b;branch=z9hG4bK1", "SIP/2.0/TCP [2001:db8::1]:5061;received=2001:db8::2"
    apart = read(invite(("Via", second), Via=first))
    together = read(invite(Via=f"{first} , {second}"))
    assert apart.vias == together.vias
    assert (together.vias[1].host, together.vias[1].port, together.vias[1].received) == (
        "2001:db8::1",
        5061,
        "2001:db8::2",
    )


@pytest.mark.parametrize(
    ("uri", "user", "host", "port"),
    [
        ("sip:a%40b@h.example", b"a@b", "h.example", None),
        ("SIPS:%2b86@[2001:DB8::1]:5061;transport=tcp", b"+86", "2001:db8::1", 5061),
        ("sip:+86-10;phone-context=x@h;user=phone", b"+86-10", "h", None),
        ("sip:h.example.:70", b"", "h.example.", 70),
        ("tel:+86-(10)62345678;ext=1", b"+86-(10)62345678", "", None),
        ("tel:*31#10;phone-context=example.cn", b"*31#10", "", None),
        ("urn:service:sos", b"service:sos", "", None),
    ],
)
def test_request_uris(uri: str, user: bytes, host: str, port: int | None) -> None:
    found = read(invite(uri=uri)).uri
    assert (found.user, found.host, found.port, found.raw) == (user, host, port, uri.encode())


@pytest.mark.parametrize(
    "uri",
    [
        "<sip:1@h>",
        "sip:",
        "sip:1@",
        "sip:1@h:",
        "sip:1@h:65536",
        "sip:1@h:-1",
        "sip:1@1.2.3.256",
        "sip:1@-h",
        "sip:1@h..cn",
        "sip:1@[::1",
        "sip:1@[::g]",
        "sip:1%4@h",
        "sip:1@@h",
        "sip:1@h;",
        "sip:1@h;a=1;A=2",
        "sip:1@h;ttl=256",
        "sip:1@h?subject=x",
        "sip:1\xe5@h",
        "tel:",
        "tel:+",
        "tel:+86a",
        "tel:()",
        "nothing",
        ":x",
        "x:",
    ],
)
def test_malformed_request_uris_are_refused(uri: str) -> None:
    error = refused(invite(uri=uri))
    assert error.status == 400
    assert error.where == "Request-URI"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Via", "SIP/2.0/UDP h;branch=z9hG4bKa;;x"),
        ("Via", "SIP/2.0/UDP h;branch"),
        ("Via", "SIP/2.0/UDP h;branch=z9hG4bKa,"),
        ("Via", "SIP/2.0/UDP"),
        ("Via", "SIP/3.0/UDP h;branch=z9hG4bKa"),
        ("Via", "SIP/2.0/UDP h;branch=z9hG4bKa;rport=99999"),
        ("Via", 'SIP/2.0/UDP 19".0.2.1:5060;branch=z9hG4bKa'),
        ("From", "<sip:1@h>"),
        ("From", "<sip:1@h>;tag="),
        ("From", "<sip:1@h>;tag=a;tag=a"),
        ("From", "<sip:1@h;tag=a"),
        ("From", "<<sip:1@h>>;tag=a"),
        ("From", '"a <sip:1@h>;tag=a'),
        ("From", "a: <sip:1@h>;tag=a"),
        ("From", "a, b <sip:1@h>;tag=a"),
        ("From", "<sip:1@h>;tag=a, <sip:2@h>;tag=b"),
        ("To", "< sip:1@h >"),
        ("To", "sip:1@h?a=b"),
        ("Call-ID", "a b"),
        ("CSeq", "-1 INVITE"),
        ("CSeq", "2147483648 INVITE"),
        ("CSeq", "1INVITE"),
        ("CSeq", "1 invite"),
        ("CSeq", "1 INVITE x"),
        ("Max-Forwards", "256"),
        ("Max-Forwards", "9" * 5000),
        ("Max-Forwards", "+1"),
    ],
)
def test_malformed_core_headers_are_refused_and_named(name: str, value: str) -> None:
    error = refused(invite(**{name.replace("-", "_"): value}))
    assert error.status == 400
    assert error.where.startswith(name)
    assert error.answerable


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Contact", ""),
        ("Contact", "<sip:1@h>;q=1.1"),
        ("Contact", "<sip:1@h>;expires=4294967296"),
        ("Contact", "a <sip:1@h"),
        ("Expires", "4294967296"),
        ("Expires", "soon"),
        ("Content-Type", ""),
        ("Require", "a b"),
        ("Require", ",a"),
        ("Route", "sip:1@h"),
        ("P-Asserted-Identity", "1"),
        ("Privacy", "id;;user"),
        ("Diversion", "<sip:1@h>;"),
        ("History-Info", "<sip:1@h>"),
        ("History-Info", "<sip:1@h>;index=1."),
        ("Reason", "Q.850;cause=x"),
        ("Reason", "Q.850;cause=1000"),
        ("Identity", "§"),
        ("Identity", "a.b.c;info=x"),
        ("Call-ID", "second"),
        ("l", "0"),
    ],
)
def test_malformed_and_doubled_other_headers_are_refused(name: str, value: str) -> None:
    assert refused(invite((name, value))).status == 400


@pytest.mark.parametrize(
    ("changed", "tolerance"),
    [
        ({"Via": "SIP/2.0/UDP %n:x;branch=z9hG4bKa"}, Tolerance.SENT_BY),
        ({"Via": "SIP/2.0/UDP h:99999;branch=z9hG4bKa"}, Tolerance.SENT_BY),
        ({"From": "赵;钱 <sip:1@h>;tag=a"}, Tolerance.DISPLAY_NAME),
        ({"From": "<sip:@h>;tag=a"}, Tolerance.EMPTY_USER),
        ({"From": "<%x:a>;tag=a"}, Tolerance.URI_SCHEME),
        ({"From": "<tel:10>;tag=a"}, Tolerance.NO_PHONE_CONTEXT),
        ({"From": "<sip:1@my_host>;tag=a"}, Tolerance.HOST_UNDERSCORE),
        ({"Call_ID": "@@\x01"}, Tolerance.CALL_ID),
        ({"Content_Type": "sdp"}, Tolerance.CONTENT_TYPE),
        ({"X Y": "z"}, Tolerance.HEADER_NAME),
        ({"To": ""}, Tolerance.NO_TO),
    ],
)
def test_what_harms_nobody_is_tolerated_and_noted(changed: dict[str, str], tolerance: Tolerance) -> None:
    assert read(invite(**changed)).tolerated == {tolerance}


def test_without_to_the_request_uri_is_the_callee() -> None:
    request = read(invite(To=""))
    assert request.to.uri == request.uri
    assert request.heads.to == b"<sip:13800138000@192.0.2.9>"


def test_a_client_of_rfc_2543_needs_no_tag_and_no_branch() -> None:
    request = read(invite(Via="SIP/2.0/UDP h", From="sip:1@h"))
    assert (request.from_.tag, request.vias[0].branch) == ("", "")


@pytest.mark.parametrize("missing", ["Via", "From", "Call_ID", "CSeq"])
def test_a_missing_mandatory_header_is_named(missing: str) -> None:
    error = refused(invite(**{missing: ""}))
    assert missing.replace("_", "-") in error.what
    assert error.answerable == (missing != "Via")


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"INVITE sip:1@h SIP/3.0", 505),
        (b"INVITE sip:1@h SIP/2.00", 505),
        (b"INVITE sip:1@h sip/2.0", 0),
        (b"INVITE sip:1@h", 400),
        (b"INVITE sip:1@h SIP/2.0 ", 400),
        (b"INVITE\tsip:1@h SIP/2.0", 400),
        (b"NOVELTY sip:1@h SIP/2.0", 501),
        (b"BYE sip:1@h SIP/2.0", 400),
    ],
)
def test_start_lines(line: bytes, status: int) -> None:
    data = line + b"\r\n" + invite().partition(b"\r\n")[2]
    if not status:
        assert read(data).method == "INVITE"
    else:
        assert refused(data).status == status


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"\x00\x00\x00\x00",
        b"HEP3\x00\x06",
        b"ACK sip:1@h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n\r\n",
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h\r\n\r\n",
        b"INVITE sip:1@h SIP/2.0\r\nVia: SIP/2.0/UDP h\nX: injected\r\n\r\n",
    ],
)
def test_what_can_not_be_answered_says_so(data: bytes) -> None:
    assert not refused(data).answerable


def test_line_ends_before_the_start_line_are_skipped() -> None:
    assert read(b"\r\n\r\n\r\n" + invite()).method == "INVITE"


def test_a_bare_line_feed_is_no_line_end() -> None:
    assert "CR or LF" in refused(invite(("X", "a\x00b")).replace(b"\x00", b"\n")).what


def test_a_body_shorter_than_its_length_is_refused() -> None:
    assert refused(invite().replace(b"Content-Length: 0", b"Content-Length: 1")).where == "Content-Length"


def test_without_content_length_the_body_is_the_rest() -> None:
    assert read(invite().replace(b"Content-Length: 0\r\n", b"") + b"rest").body == b"rest"


def test_more_than_the_limits_is_refused_with_513() -> None:
    assert refused(invite() + bytes(MAX_MESSAGE)).status == 513
    assert refused(invite(*[("X", "y")] * MAX_HEADERS)).status == 513
    assert refused(invite(Via="SIP/2.0/UDP h" + ";a" * (MAX_PARTS + 1))).status == 513
    assert refused(invite(uri="sip:h" + ";a" * (MAX_PARTS + 1))).status == 513


def test_the_error_says_what_where_and_what_to_do() -> None:
    assert str(refused(invite(CSeq="x INVITE"))) == "CSeq (line 7): 'x INVITE' is no sequence number and method"
    assert str(refused(b"INVITE\r\n\r\n")) == (
        "line 1: 'INVITE' is no start line. Write method, URI and SIP/2.0 with one space between them."
    )


def test_a_response() -> None:
    data = b"SIP/2.0 486 Busy Here\r\n" + invite().partition(b"\r\n")[2]
    response = parse_datagram(data)
    assert isinstance(response, Response)
    assert (response.status, response.phrase, response.cseq.method) == (486, "Busy Here", "INVITE")
