from __future__ import annotations

import pytest

from hutong.protocols.sip import MAX_MESSAGE, Ping, Request, SipError, StreamReader, build_request


def options(number: int, body: bytes = b"") -> bytes:
    headers = [
        ("Via", f"SIP/2.0/TCP h;branch=z9hG4bK{number}"),
        ("From", "<sip:1@h>;tag=f"),
        ("To", "<sip:2@h>"),
        ("Call-ID", "c"),
        ("CSeq", f"{number} OPTIONS"),
    ]
    return build_request("OPTIONS", "sip:h", headers=headers, body=body)


def numbers(events: list[object]) -> list[object]:
    return [event.cseq.number if isinstance(event, Request) else event for event in events]


def fatal(events: list[object]) -> SipError:
    error = events[-1]
    assert isinstance(error, SipError)
    assert error.fatal
    return error


def test_several_messages_in_one_piece() -> None:
    assert numbers(StreamReader().feed(options(1, b"body") + options(2) + options(3)[:-1])) == [1, 2]


def test_one_byte_at_a_time() -> None:
    reader = StreamReader()
    found = []
    for byte in options(1, b"\r\n\r\n") + b"\r\n\r\n" + options(2):
        found += reader.feed(bytes((byte,)))
    assert numbers(found) == [1, Ping(), 2]


def test_keep_alives_are_pings_and_lone_line_ends_are_nothing() -> None:
    reader = StreamReader()
    assert reader.feed(b"\r\n\r\n\r\n\r\n\r") == [Ping(), Ping()]
    assert reader.feed(b"\n") == []
    assert numbers(reader.feed(options(1))) == [1]


def test_a_malformed_message_of_known_length_costs_only_itself() -> None:
    reader = StreamReader()
    events = reader.feed(options(1).replace(b"<sip:1@h>", b"<sip:1@>") + options(2))
    assert isinstance(events[0], SipError)
    assert (events[0].fatal, events[0].answerable, reader.broken) == (False, True, False)
    assert numbers(events[1:]) == [2]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Content-Length: 0\r\n", b""),
        (b"Content-Length: 0", b"Content-Length: -1"),
        (b"Content-Length: 0", b"Content-Length: 0\r\nl: 1"),
        (b"Call-ID: c", b"no colon"),
        (b"Call-ID: c", b"Call-ID: c\nX: y"),
    ],
)
def test_when_the_length_is_in_doubt_the_stream_ends(old: bytes, new: bytes) -> None:
    reader = StreamReader()
    error = fatal(list(reader.feed(options(1).replace(old, new) + options(2))))
    assert (error.status, reader.broken) == (400, True)
    assert reader.feed(options(3)) == []


def test_a_fatal_error_can_still_be_answered() -> None:
    error = fatal(list(StreamReader().feed(options(1).replace(b"Content-Length: 0\r\n", b""))))
    assert error.answerable


def test_a_message_that_would_be_too_long_is_refused_before_its_body_comes() -> None:
    error = fatal(list(StreamReader().feed(options(1).replace(b"Length: 0", b"Length: %d" % MAX_MESSAGE))))
    assert (error.status, error.answerable) == (513, True)


def test_a_head_without_end_is_refused() -> None:
    reader = StreamReader()
    piece = b"X: " + b"y" * 65_533
    events: list[object] = []
    for _ in range(MAX_MESSAGE // len(piece) + 1):
        assert events == []
        events = list(reader.feed(piece))
    assert (fatal(events).status, fatal(events).answerable) == (513, False)


def test_the_largest_message_passes() -> None:
    length = MAX_MESSAGE - len(options(1)) - len("262143") + len("0")
    assert numbers(StreamReader().feed(options(1, bytes(length)))) == [1]
    assert StreamReader().feed(options(1, bytes(length + 1)))[0].fatal  # type: ignore[union-attr]
