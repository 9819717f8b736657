from __future__ import annotations

import pytest

from hutong.protocols.sip import (
    Request,
    SipError,
    build_request,
    build_response,
    call_key,
    parse_datagram,
    transaction_key,
)

FROM, TO = "<sip:1@h>;tag=f", "<sip:2@h>"


def request(
    method: str = "INVITE", *, via: str = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx", to: str = TO, cseq: int = 1
) -> Request:
    headers = [("Via", via), ("From", FROM), ("To", to), ("Call-ID", "c"), ("CSeq", f"{cseq} {method}")]
    message = parse_datagram(build_request(method, "sip:2@h", headers=headers))
    assert isinstance(message, Request)
    return message


def top_via(via: str, source: tuple[str, int] = ("192.0.2.1", 40000)) -> str:
    lines = build_response(request(via=via), 100, "Trying", via_received=source).decode().split("\r\n")
    return lines[1].removeprefix("Via: ")


def test_a_response_is_these_bytes() -> None:
    data = (
        b"INVITE sip:2@h SIP/2.0\r\nv:  SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx , SIP/2.0/TCP b \r\nf: <sip:1@h>\r\n"
        b" ;tag=f\r\nCSeq: 1\r\n\t INVITE\r\nVia: SIP/2.0/UDP c\r\ni: c\r\nTo:sip:2@h\r\n\r\n"
    )
    message = parse_datagram(data)
    assert isinstance(message, Request)
    answer = build_response(
        message, 302, "Moved Temporarily", to_tag="t", extra_headers=[("Contact", "<sip:2@n>"), ("X", "护")]
    )
    assert (
        answer
        == (
            "SIP/2.0 302 Moved Temporarily\r\n"
            "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx , SIP/2.0/TCP b\r\n"
            "Via: SIP/2.0/UDP c\r\n"
            "From: <sip:1@h> ;tag=f\r\n"
            "To: sip:2@h;tag=t\r\n"
            "Call-ID: c\r\n"
            "CSeq: 1 INVITE\r\n"
            "Contact: <sip:2@n>\r\n"
            "X: 护\r\n"
            "Content-Length: 0\r\n\r\n"
        ).encode()
    )


def test_a_to_tag_is_never_added_twice() -> None:
    assert b"To: <sip:2@h>;tag=old\r\n" in build_response(request(to="<sip:2@h>;tag=old"), 200, "OK", to_tag="new")


def test_a_tag_inside_the_uri_is_none_of_to() -> None:
    assert b"To: <sip:2@h;tag=u>;tag=new\r\n" in build_response(request(to="<sip:2@h;tag=u>"), 200, "OK", to_tag="new")


def test_a_bad_request_is_answered_with_what_it_had() -> None:
    with pytest.raises(SipError) as refused:
        parse_datagram(b"INVITE sip:2@h SIP/2.0\r\nVia: SIP/2.0/UDP h;;\r\nTo: <sip:2@h> ; TAG = x\r\n\r\n")
    error = refused.value
    assert error.heads is not None
    answer = build_response(error.heads, error.status, error.phrase, to_tag="t", via_received=("::1", 5))
    assert answer == (
        b"SIP/2.0 400 Bad Request\r\nVia: SIP/2.0/UDP h;;;received=::1\r\nTo: <sip:2@h> ; TAG = x\r\n"
        b"Content-Length: 0\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("via", "marked"),
    [
        ("SIP/2.0/UDP 192.0.2.1;branch=b", "SIP/2.0/UDP 192.0.2.1;branch=b"),
        ("SIP/2.0/UDP 192.0.2.1:5060;branch=b", "SIP/2.0/UDP 192.0.2.1:5060;branch=b"),
        ("SIP/2.0/UDP h:5060;branch=b", "SIP/2.0/UDP h:5060;branch=b;received=192.0.2.1"),
        ("SIP/2.0/UDP 192.0.2.1;rport;b=c", "SIP/2.0/UDP 192.0.2.1;rport=40000;b=c;received=192.0.2.1"),
        ("SIP/2.0/UDP 192.0.2.1;RPort", "SIP/2.0/UDP 192.0.2.1;RPort=40000;received=192.0.2.1"),
        ("SIP/2.0/UDP 192.0.2.1;rport=7", "SIP/2.0/UDP 192.0.2.1;rport=7;received=192.0.2.1"),
        ("SIP/2.0/UDP 192.0.2.1;rportx", "SIP/2.0/UDP 192.0.2.1;rportx"),
        ("SIP/2.0/UDP h;received=9.9.9.9;a", "SIP/2.0/UDP h;received=192.0.2.1;a"),
        (
            'SIP / 2.0 / UDP  h ;x=",;rport" , SIP/2.0/UDP i;rport',
            'SIP / 2.0 / UDP  h ;x=",;rport";received=192.0.2.1 , SIP/2.0/UDP i;rport',
        ),
    ],
)
def test_the_source_is_written_into_the_first_via_parm(via: str, marked: str) -> None:
    assert top_via(via) == marked


def test_an_ipv6_source_is_compared_without_brackets_and_written_without_them() -> None:
    assert top_via("SIP/2.0/UDP [2001:db8::1]:5060;branch=b", ("2001:db8::1", 5060)).endswith(";branch=b")
    assert top_via("SIP/2.0/UDP [2001:db8::2];rport;branch=b", ("2001:db8::1", 5060)) == (
        "SIP/2.0/UDP [2001:db8::2];rport=5060;branch=b;received=2001:db8::1"
    )


def test_a_marked_via_is_still_well_formed() -> None:
    marked = top_via("SIP/2.0/UDP [2001:db8::2];rport;branch=b", ("2001:db8::1", 5060))
    via = request(via=marked).vias[0]
    assert (via.rport, via.received) == (5060, "2001:db8::1")


def test_a_header_that_would_become_two_is_refused() -> None:
    with pytest.raises(ValueError, match="two headers"):
        build_response(request(), 302, "Moved Temporarily", extra_headers=[("Contact", "<sip:a\r\nX: y@h>")])
    with pytest.raises(ValueError, match="two headers"):
        build_request("OPTIONS", "sip:h", headers=[("X", "a\nb")])


def test_retransmissions_and_the_ack_share_the_transaction_of_their_invite() -> None:
    key = transaction_key(request())
    assert key == transaction_key(request())
    assert key == transaction_key(request("ACK", to="<sip:2@h>;tag=t"))
    assert key == transaction_key(request("CANCEL"), method="INVITE")


@pytest.mark.parametrize(
    "other",
    [
        request("CANCEL"),
        request("BYE"),
        request(via="SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKy"),
        request(via="SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKx"),
        request(via="SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK"),
        request(via="SIP/2.0/UDP 192.0.2.1:5060"),
    ],
)
def test_other_transactions_have_other_keys(other: Request) -> None:
    assert transaction_key(other) != transaction_key(request())


def test_the_old_rules_tell_requests_apart_by_number_and_find_the_invite_of_an_ack() -> None:
    old = "SIP/2.0/UDP 192.0.2.1"
    first = transaction_key(request(via=old))
    assert first == transaction_key(request("ACK", via=old, to="<sip:2@h>;tag=t"))
    assert first != transaction_key(request(via=old, cseq=2))


def test_a_call_keeps_its_key_over_its_requests() -> None:
    assert call_key(request()) == call_key(request("CANCEL")) == call_key(request("BYE", cseq=2))
