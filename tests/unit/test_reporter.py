"""Logs: for people and for machines, without secrets and whole telephone numbers. Metrics: what is exposed."""

from __future__ import annotations

import io
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from hutong.kernel import metrics
from hutong.kernel.clock import ManualClock
from hutong.kernel.metrics import METRICS, Metrics
from hutong.kernel.reporter import Format, Level, Reporter, is_secret, mask_number, mask_text

MARCH = 1_646_121_600_123_456_789  # 2022-03-01T08:00:00.123456789Z


def said(form: Format, level: Level = "info") -> tuple[Reporter, io.StringIO]:
    out = io.StringIO()
    return Reporter("screen", level=level, form=form, stream=out, clock=ManualClock(MARCH)), out


def test_machines_read_one_object_a_line() -> None:
    reporter, out = said("json")
    reporter.log.info("listening", address="udp:127.0.0.1:5060", batch=[1, 2])
    reporter.log.warning("late")
    first, second = map(msgspec.json.decode, out.getvalue().splitlines())
    assert first == {
        "timestamp": "2022-03-01T08:00:00.123456Z",
        "level": "info",
        "process": "screen",
        "event": "listening",
        "address": "udp:127.0.0.1:5060",
        "batch": [1, 2],
    }
    assert second["level"] == "warning"


def test_people_read_a_line() -> None:
    reporter, out = said("console")
    reporter.log.info("listening", address="udp:127.0.0.1:5060")
    [line] = out.getvalue().splitlines()
    assert line.startswith("2022-03-01T08:00:00.123456Z [info")
    assert "address=udp:127.0.0.1:5060" in line


def test_what_is_below_the_level_is_not_written() -> None:
    reporter, out = said("json", "warning")
    reporter.log.info("no")
    reporter.log.debug("no")
    assert out.getvalue() == ""


def test_exceptions_are_written_masked() -> None:
    reporter, out = said("json")
    try:
        int("caller 13800138000")
    except ValueError:
        reporter.log.exception("failed")
    record = msgspec.json.decode(out.getvalue())
    assert "caller 138****8000" in record["exception"]


def test_what_a_peer_sent_cannot_forge_a_line() -> None:
    reporter, out = said("console")
    reporter.log.info("refused", header="x\r\n2022-03-01 [info] all is well \x1b[2J")
    assert len(out.getvalue().splitlines()) == 1
    assert "\x1b" not in out.getvalue()


def test_secrets_go_by_name_and_numbers_by_form_at_any_depth() -> None:
    reporter, out = said("json")
    reporter.log.info(
        "asked 13800138000",
        api_key="abc",
        Authorization="Bearer x",
        peer={"password": "hunter2", "numbers": ["+8613912345678"], "port": 5060},
        url="https://me:pw@10.0.0.1/look",
        raw=b"tel:13800138000",
    )
    text = out.getvalue()
    for secret in ("abc", "Bearer", "hunter2", "me:pw", "13800138000", "13912345678"):
        assert secret not in text
    assert "+86139****5678" in text
    assert "5060" in text


class GoneTerminal(io.StringIO):
    def write(self, _text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


def test_a_log_that_cannot_be_written_is_lost_and_nothing_else() -> None:
    reporter = Reporter("screen", stream=GoneTerminal())
    reporter.log.info("nobody reads this")


def test_which_names_are_secret() -> None:
    assert all(map(is_secret, ("password", "api_key", "X-Auth-Token", "client.secret", "KEY")))
    assert not any(map(is_secret, ("monkey", "tokens_left", "keyboard", "caller")))


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("sip:13800138000@10.1.2.3:5060", "sip:138****8000@10.1.2.3:5060"),
        ("+86 138 0013 8000 called", "+86138****8000 called"),
        ("8613800138000", "86138****8000"),
        ("tel:+1-415-555-2671", "tel:+141****2671"),
        ("+33 6 12 34 56 78", "+336****5678"),
        ("021-6234-5678", "021****5678"),
        ("02162345678", "021****5678"),
        ("62345678", "62****78"),
        ("user13800138000x", "user138****8000x"),
        ("投诉人021-62345678称", "投诉人021****5678称"),
        ("投诉人02162345678称", "投诉人021****5678称"),
        ("13800138000-1655123456789@gw", "138****8000-165****6789@gw"),
    ],
)
def test_telephone_numbers_are_masked(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "2022-03-01T08:00:00.123456Z",
        "192.168.100.200",
        "[2001:db8::1]:5060",
        "0192f3c4-1234-7890-8abc-0123456789ab",
        "00000000000000000001.segment",
        "1234567890123456789",
        "95588",
        "3.14 s, 12 of 345678",
    ],
)
def test_what_is_no_telephone_number_stays(text: str) -> None:
    assert mask_text(text) == text


@given(
    st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True),
    st.text('ab:;@<> ,"=', max_size=5),
    st.sampled_from(["", "+86", "86"]),
)
def test_no_mobile_number_survives_whatever_stands_around_it(number: str, around: str, prefix: str) -> None:
    masked = mask_text(f"{around}{prefix}{number}{around}")
    assert number not in masked
    assert not re.search(r"\d{7}", masked)


@given(st.from_regex(r"\+?[0-9]{7,15}", fullmatch=True))
def test_a_masked_number_keeps_its_ends_and_loses_its_middle(number: str) -> None:
    masked = mask_number(number)
    head, tail = masked.split("****")
    assert number.startswith(head)
    assert number.endswith(tail)
    assert len(head) + len(tail) <= len(number) - 3 or len(number) <= 10


def test_metrics_are_exposed_as_declared() -> None:
    figures = Metrics()
    figures.add(metrics.CALLS_VERDICTS, action="block")
    figures.add(metrics.CALLS_VERDICTS, 2, action="block")
    figures.set(metrics.WINDOWS_TRACKED, 5)
    families = {family.name: family for family in text_string_to_metric_families(figures.expose().decode())}
    [sample] = families["hutong_calls_verdicts"].samples
    assert (sample.name, sample.labels, sample.value) == ("hutong_calls_verdicts_total", {"action": "block"}, 3)
    assert families["hutong_calls_verdicts"].type == "counter"
    assert families["hutong_windows_tracked"].type == "gauge"
    assert figures.value(metrics.CALLS_VERDICTS, action="block") == 3
    assert figures.value(metrics.CALLS_VERDICTS, action="warn") == 0


def test_each_registry_is_its_own() -> None:
    one, other = Metrics(), Metrics()
    one.add(metrics.CALLS_ATTEMPTS)
    assert other.expose() == b""


def test_labels_that_are_not_declared_are_refused() -> None:
    with pytest.raises(ValueError, match="has the labels"):
        Metrics().add(metrics.CALLS_ATTEMPTS, action="block")
    with pytest.raises(ValueError, match="has the labels"):
        Metrics().add(metrics.CALLS_VERDICTS)


def test_names_follow_the_exposition_format() -> None:
    for metric in METRICS:
        assert re.fullmatch(r"hutong(_[a-z0-9]+)+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
