from __future__ import annotations

import pytest

from hutong.protocols.sip import (
    Request,
    Response,
    SipError,
    StreamReader,
    Tolerance,
    build_response,
    parse_datagram,
    transaction_key,
)
from sip_vectors import (
    TORTURE_VERDICTS,
    fill,
    needs_protos,
    needs_torture,
    protos_cases,
    torture_messages,
)


@needs_torture
@pytest.mark.parametrize("name", TORTURE_VERDICTS)
def test_torture_messages_are_read_or_refused_as_rfc_4475_says(name: str) -> None:
    wanted = TORTURE_VERDICTS[name]
    data = torture_messages()[name]
    if isinstance(wanted, str):
        assert isinstance(parse_datagram(data), Request if wanted == "request" else Response)
        return
    with pytest.raises(SipError) as refused:
        parse_datagram(data)
    assert refused.value.status == abs(wanted)
    assert refused.value.answerable == (wanted > 0)


@needs_torture
def test_every_torture_message_has_a_verdict() -> None:
    assert set(torture_messages()) == set(TORTURE_VERDICTS)


@needs_torture
def test_odd_white_space_compact_forms_and_quoting_are_understood() -> None:
    request = parse_datagram(torture_messages()["wsinv"])
    assert isinstance(request, Request)
    assert request.tolerated == frozenset()
    assert request.uri.params == {"unknownparam": None}
    assert request.to.tag == "1918181833n"
    assert (request.from_.display, request.from_.tag) == ('J Rosenberg \\"', "98asjd8")
    assert (request.max_forwards, request.content_length) == (68, 150)
    assert (request.cseq.number, request.cseq.method) == (9, "INVITE")
    assert [(via.transport, via.host, via.branch) for via in request.vias] == [
        ("UDP", "192.0.2.2", "390skdjuw"),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ]
    assert request.contact[0].display == 'Quoted string ""'
    assert request.contact[0].params == {"newparam": "newvalue", "secondparam": None, "q": "0.33"}
    assert request.values("newfangledheader") == (b"newfangled value continued newfangled value",)


@needs_torture
def test_the_longest_legal_names_and_methods_are_read() -> None:
    request = parse_datagram(torture_messages()["intmeth"])
    assert isinstance(request, Request)
    assert request.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert request.uri.user.startswith(b"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/")
    assert request.uri.password == b"&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"


@needs_torture
def test_what_looks_like_user_parameters_is_split_from_the_user() -> None:
    request = parse_datagram(torture_messages()["semiuri"])
    assert isinstance(request, Request)
    assert request.uri.user == b"user"
    assert request.uri.user_params == {"par": "u@example.net"}
    assert request.uri.raw_user == b"user;par=u%40example.net"


@needs_torture
def test_the_second_request_of_a_datagram_is_ignored() -> None:
    request = parse_datagram(torture_messages()["dblreq"])
    assert isinstance(request, Request)
    assert (request.method, request.body) == ("REGISTER", b"")


@needs_torture
def test_a_bare_magic_cookie_identifies_by_the_old_rules() -> None:
    request = parse_datagram(torture_messages()["badbranch"])
    assert isinstance(request, Request)
    assert transaction_key(request).startswith(b"\n")


@needs_torture
def test_what_the_server_must_answer_itself_is_laid_open() -> None:
    def read(name: str) -> Request:
        request = parse_datagram(torture_messages()[name])
        assert isinstance(request, Request)
        return request

    assert read("bext01").require == ("nothingSupportsThis", "nothingSupportsThisEither")
    assert read("bext01").proxy_require == ("noProxiesSupportThis", "norDoAnyProxiesSupportThis")
    assert read("zeromf").max_forwards == 0
    assert not read("unkscm").uri.known
    assert not read("novelsc").uri.known


@needs_protos
def test_no_malformed_protos_case_is_read_and_every_valid_one_is() -> None:
    wrong = []
    for case in protos_cases():
        try:
            message = parse_datagram(fill(case.invite, case.case))
        except SipError:
            outcome = "fail"
        else:
            assert isinstance(message, Request)
            assert message.method == "INVITE"
            outcome = "pass"
        if case.verdict not in {outcome, "either"}:
            wrong.append(f"{case.case} ({case.group}) must {case.verdict}")
    assert wrong == []


@needs_protos
def test_a_stream_takes_the_protos_cases_as_a_datagram_does() -> None:
    wrong = []
    for case in protos_cases():
        events = StreamReader().feed(fill(case.invite, case.case))
        read = bool(events) and isinstance(events[0], Request)
        if (case.verdict == "fail" and read) or (case.verdict == "pass" and not read):
            wrong.append(f"{case.case} ({case.group})")
    assert wrong == []


@needs_protos
def test_the_teardown_of_every_valid_case_is_read() -> None:
    for case in protos_cases():
        if case.verdict != "pass":
            continue
        message = parse_datagram(fill(case.teardown, case.case))
        assert isinstance(message, Request)
        assert message.method == "CANCEL"


@needs_protos
def test_most_refused_protos_cases_can_be_answered_in_well_formed_lines() -> None:
    answers = []
    for case in protos_cases():
        try:
            parse_datagram(fill(case.invite, case.case))
        except SipError as error:
            if error.heads is None:
                answers.append(b"")
                continue
            source = ("127.0.0.1", 5070)
            answers.append(build_response(error.heads, error.status, error.phrase, to_tag="x", via_received=source))
    given = [answer for answer in answers if answer]
    assert len(given) > len(answers) / 2
    for answer in given:
        assert answer.startswith((b"SIP/2.0 400 ", b"SIP/2.0 501 ", b"SIP/2.0 505 ", b"SIP/2.0 513 "))
        assert answer.count(b"\r\n") == answer.count(b"\n") == answer.count(b"\r")
        assert answer.endswith(b"\r\nContent-Length: 0\r\n\r\n")


@needs_protos
def test_what_is_tolerated_is_on_record() -> None:
    names: dict[str, set[Tolerance]] = {}
    for case in protos_cases():
        try:
            message = parse_datagram(fill(case.invite, case.case))
        except SipError:
            continue
        names.setdefault(case.group, set()).update(message.tolerated)
    assert names["valid"] == set()
    assert names["sip-via-host"] == {Tolerance.SENT_BY}
    assert names["sip-from-displayname"] == {Tolerance.DISPLAY_NAME}
    assert names["sip-call-id-value"] == {Tolerance.CALL_ID}
    assert names["sip-content-type"] == {Tolerance.CONTENT_TYPE}
    assert names["sip-to"] == {Tolerance.NO_TO, Tolerance.HEADER_NAME}
