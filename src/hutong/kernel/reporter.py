"""What a process says of itself: structured logs and metrics, without secrets and whole telephone numbers.

A reporter is made by the process that reports and handed to whoever needs it; nothing is process-global.
"""

from __future__ import annotations

import contextlib
import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TextIO, cast

import msgspec
import structlog

from hutong.kernel.clock import SystemClock
from hutong.kernel.metrics import Metrics

if TYPE_CHECKING:
    from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

    from hutong.kernel.clock import Clock

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["console", "json"]

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_SECRET_WORDS = {"password", "passwd", "token", "secret", "key", "credential", "authorization"}
_MASK = "****"
# E.164 allows 15 digits; 00 in front makes 17. What is longer is no telephone number (a sequence, a digest).
_FEWEST, _MOST = 7, 17
_NUMBER = re.compile(
    r"\+\d(?:[-. ()]{0,2}\d){6,15}"  # +86 (21) 6234-5678
    # 021-6234-5678, but no date or UUID; in Chinese no space parts a number from the words around it
    r"|(?<!(?a:\w))(?<![\d.])(?!000)\d{2,}(?:[-. ]\d{3,})*(?!(?a:\w)|\d|[-.](?a:\w))"
    r"|(?<!\d)(?:86)?1[3-9]\d{9}(?!\d)"  # a mobile number stuck to letters
)
_DIGITS = re.compile(r"\d{7,}")
_RUN = re.compile(r"(?<!\d)\d{7,17}(?!\d)")
_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_USER_INFO = re.compile(r"://[^/@\s]+@")
_MOBILE = re.compile(r"(\+?86|0086)?(1[3-9]\d{9})")


class Reporter:
    """Logs and metrics of one process.

    Args:
        process: name written into each line, e.g. "screen".
        level: lowest level that is written.
        form: "console" for people, "json" for machines (one object a line).
        stream: where lines go; standard error unless given.
        clock: source of the time stamps.

    Attributes:
        log: structlog logger; call it with an event and key=value pairs.
        metrics: this process's figures, in a registry of their own.
    """

    def __init__(
        self,
        process: str,
        *,
        level: Level = "info",
        form: Format = "console",
        stream: TextIO | None = None,
        clock: Clock | None = None,
    ) -> None:
        out = sys.stderr if stream is None else stream
        self.metrics = Metrics()
        self.log: FilteringBoundLogger = structlog.wrap_logger(
            structlog.WriteLogger(cast("TextIO", _Lossy(out))),
            processors=_processors(form, clock or SystemClock(), colours=out.isatty()),
            wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
            process=process,
        )


class _Lossy:
    """A stream that loses what it cannot write: no process may die of a full disk or of a log nobody reads."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


def mask_number(digits: str) -> str:
    """A telephone number that can be recognised by who knows it, and not dialled: 138****8000.

    Mobile numbers of China keep their first three and last four digits, after a country code if there is one;
    others of at least ten digits likewise; shorter ones keep two at each end.
    """
    mobile = _MOBILE.fullmatch(digits)
    if mobile is not None:
        return f"{mobile[1] or ''}{mobile[2][:3]}{_MASK}{mobile[2][-4:]}"
    plus, bare = ("+", digits[1:]) if digits.startswith("+") else ("", digits)
    if len(bare) >= 10:  # noqa: PLR2004  # described above
        return f"{plus}{bare[:3]}{_MASK}{bare[-4:]}"
    return f"{plus}{bare[:2]}{_MASK}{bare[-2:]}"


def mask_text(text: str) -> str:
    """Text with the telephone numbers in it masked, and users and passwords taken out of URLs."""
    return _NUMBER.sub(_mask_match, mask_user_info(text))


def masked(text: str) -> str:
    """A text that a stranger wrote, with everything masked that may be a telephone number."""
    return _DIGITS.sub(lambda found: mask_number(found[0]), mask_text(text))


def mask_user_info(text: str) -> str:
    """Text without the users and passwords of the URLs in it."""
    return _USER_INFO.sub(f"://{_MASK}@", text)


def is_secret(name: str) -> bool:
    """Whether a value of this name is never shown: password, api_key, Authorization."""
    return not _SECRET_WORDS.isdisjoint(re.split(r"[^a-z]+", name.lower()))


def mask_value(name: str, value: object) -> object:
    """A value as it may be logged under this name: secrets go by name, numbers by form, in containers too."""
    if value and not isinstance(value, bool) and _SECRET_WORDS.intersection(re.split(r"[^a-z]+", name.lower())):
        return _MASK
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, dict):
        return {key: mask_value(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [mask_value(name, inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return mask_text(str(value))


def rfc3339(wall: int) -> str:
    """Nanoseconds since 1970 as UTC to the microsecond, e.g. 2022-03-01T08:00:00.000000Z."""
    seconds, rest = divmod(wall, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"


def rfc3339_ms(ms: int) -> str:
    """Milliseconds since 1970 as UTC, e.g. 2022-03-01T08:00:00.000Z."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rfc3339_or_none(ms: int | None) -> str | None:
    """Likewise, as the API tells a time; None where there is none (0)."""
    return rfc3339_ms(ms) if ms else None


def _mask_match(match: re.Match[str]) -> str:
    found = match[0]
    digits = re.sub(r"[^\d+]", "", found)
    count = len(digits.lstrip("+"))
    if count < _FEWEST or _IPV4.fullmatch(found):
        return found
    if count > _MOST:  # several figures with a dash between them, of which each may be a number
        return _RUN.sub(lambda run: mask_number(run[0]), found)
    return mask_number(digits)


def _processors(form: Format, clock: Clock, *, colours: bool) -> list[Processor]:
    def stamp(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {"timestamp": rfc3339(clock.wall()), **event}

    renderer: Processor
    if form == "json":
        renderer = structlog.processors.JSONRenderer(serializer=_to_json)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback)
    return [structlog.processors.add_log_level, structlog.processors.format_exc_info, _mask, stamp, renderer]


def _mask(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {name: _printable(name, mask_value(name, value)) for name, value in event.items()}


def _printable(name: str, value: object) -> object:
    """Control characters escaped: what a peer sent must not move the cursor or forge a line."""
    if not isinstance(value, str) or name == "exception":
        return value
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)


def _to_json(event: object, **_options: object) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()
