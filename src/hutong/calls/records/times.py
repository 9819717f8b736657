"""Times of call records to milliseconds since 1970 UTC, a column at once; what cannot be read is told row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hutong.kernel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb
    from numpy.typing import NDArray

    from hutong.calls.records.layout import TimeLayout

    Cast = Callable[[pa.Array], pa.Array]
    Read = tuple[NDArray[np.int64], NDArray[np.bool_]]

_UTC: Final = pa.timestamp("ns", "UTC")
_NAIVE: Final = pa.timestamp("ns")
_NS_PER: Final = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_NS_PER_MS: Final = 10**6
_MS_PER_S: Final = 1000
_HEX: Final = ord("x")


def tolerant(cast: Cast, array: pa.Array) -> tuple[pa.Array, NDArray[np.bool_]]:
    """Cast a column; what refuses becomes null and is marked. Halves are tried apart, so few bad rows cost little."""
    try:
        return cast(array), np.zeros(len(array), dtype=np.bool_)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        if len(array) == 1:
            return pa.nulls(1, cast(array[:0]).type), np.ones(1, dtype=np.bool_)
    middle = len(array) // 2
    (left, bad_left), (right, bad_right) = (tolerant(cast, part) for part in (array[:middle], array[middle:]))
    return pa.concat_arrays([left, right]), np.concatenate([bad_left, bad_right])


def whole_numbers(array: pa.Array) -> Read:
    """A column of decimal texts, integers or whole floats as int64, and which are none (empty ones included)."""
    if pa.types.is_binary(array.type):
        array = array.cast(pa.string())
    if pa.types.is_string(array.type) and _has_x(array):
        # Hexadecimal is a number to Arrow; in a call record it is a mistake.
        array = pc.if_else(pc.match_substring(array, "x"), "", array)
    cast, bad = tolerant(lambda part: part.cast(pa.int64()), array)
    missing = np.asarray(cast.is_null())
    return np.asarray(cast.fill_null(0)), bad | missing


def _has_x(array: pa.Array) -> bool:
    data = array.buffers()[2]
    return data is not None and bool((np.frombuffer(data, dtype=np.uint8) == _HEX).any())


class TimeReader:
    """Reads the times of one file.

    Args:
        layout: how they are written; "" takes RFC 3339 and whole milliseconds since 1970, in any mixture.
        where: the layout's file, for errors.

    Raises:
        ConfigError: the pattern is none.
    """

    def __init__(self, layout: TimeLayout, where: str) -> None:
        self._layout = layout
        self._engine: duckdb.DuckDBPyConnection | None = None
        if "%" in layout.format:
            self._engine = _engine(layout.format, where)

    def read(self, array: pa.Array) -> Read:
        """Milliseconds since 1970 UTC of a column, and which of them cannot be read (empty ones included)."""
        if pa.types.is_timestamp(array.type):
            return self._typed(array)
        if pa.types.is_integer(array.type):
            number, bad = whole_numbers(array)
            return (number * _MS_PER_S if self._layout.format == "epoch-s" else number), bad
        text = array.cast(pa.string()) if pa.types.is_binary(array.type) else array
        readers: dict[str, Callable[[pa.Array], Read]] = {
            "rfc3339": _rfc3339,
            "local": self._local,
            "epoch-ms": whole_numbers,
            "epoch-s": self._seconds,
            "": _either,
        }
        return readers.get(self._layout.format, self._pattern)(text)

    def _typed(self, array: pa.Array) -> Read:
        if array.type.tz is None and self._layout.zone != "UTC":
            array = self._zoned(array)
        number = np.asarray(array.cast(pa.int64()).fill_null(0))
        per_ms = _NS_PER_MS // _NS_PER[array.type.unit]
        ms = number // per_ms if per_ms else number * _MS_PER_S
        return ms, np.asarray(array.is_null())

    def _seconds(self, text: pa.Array) -> Read:
        number, bad = whole_numbers(text)
        return np.where(np.abs(number) < 1 << 50, number, 0) * _MS_PER_S, bad

    def _local(self, text: pa.Array) -> Read:
        moments, bad = tolerant(lambda part: part.cast(_NAIVE), text)
        ms, missing = self._typed(self._zoned(moments))
        return ms, bad | missing

    def _pattern(self, text: pa.Array) -> Read:
        """By the engine's strptime: unlike the C library's, it knows that February has no 31st."""
        assert self._engine is not None  # noqa: S101  # a format is a name or a pattern
        self._engine.register("times", pa.table({"text": text}))
        query = self._engine.sql(
            "SELECT epoch_us(try_strptime(text, $format)) FROM times", params={"format": self._layout.format}
        )
        micros = query.to_arrow_table().column(0).combine_chunks()
        if "%z" in self._layout.format:
            return self._typed(micros.cast(pa.timestamp("us", "UTC")))
        return self._typed(self._zoned(micros.cast(pa.timestamp("us"))))

    def _zoned(self, moments: pa.Array) -> pa.Array:
        return pc.assume_timezone(moments, self._layout.zone, ambiguous="earliest", nonexistent="earliest")


def _engine(pattern: str, where: str) -> duckdb.DuckDBPyConnection:
    import duckdb  # noqa: PLC0415  # only patterns need it

    engine = duckdb.connect(config={"threads": 1})
    try:
        engine.execute("SELECT try_strptime('', $format)", {"format": pattern}).fetchall()
    except duckdb.Error as error:
        reason = str(error).partition("\n")[0].rpartition(": ")[2]
        raise ConfigError(f"{pattern!r} is no time pattern: {reason}.", where=f"{where} [time]") from None
    return engine


def _rfc3339(text: pa.Array) -> Read:
    moments, bad = tolerant(lambda part: part.cast(_UTC), text)
    number: NDArray[Any] = np.asarray(moments.cast(pa.int64()).fill_null(0))
    return number // _NS_PER_MS, bad | np.asarray(moments.is_null())


def _either(text: pa.Array) -> Read:
    """RFC 3339 or whole milliseconds: the way that the first row goes is tried first, the other for what refuses."""
    first = text[0].as_py() if len(text) else ""
    one, other = (whole_numbers, _rfc3339) if (first or "").isdecimal() else (_rfc3339, whole_numbers)
    ms, bad = one(text)
    again = np.flatnonzero(bad)
    if again.size:
        found, still = other(text.take(pa.array(again)))
        ms = ms.copy()
        ms[again], bad[again] = found, still
    return ms, bad
