"""The feed's connection to the screening process: one question at a time, answered before the next."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Final

from hutong.calls.asking import wire as asking
from hutong.calls.asking.edge import short_path
from hutong.calls.feed import wire
from hutong.calls.feed.port import ScreeningAway
from hutong.kernel.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hutong.calls.feed.wire import Place

_READ: Final = 256 * 1024


class ScreenLine:
    """Asks the screening process behind one socket. Used by one thread.

    Args:
        path: the socket. patience_s: how long an answer may take.
    """

    def __init__(self, path: Path, *, patience_s: float = 10.0) -> None:
        self._path, self._patience = path, patience_s
        self._socket: socket.socket | None = None
        self._reader = asking.FrameReader()
        self._ticket = 0

    def places(self) -> list[Place]:
        """How far the node's journal is.

        Raises:
            ScreeningAway: it cannot be asked.
        """
        self._ticket += 1
        answer = self._ask(asking.encode_frame(wire.PLACES, 0, self._ticket, b""), wire.PLACES)
        return wire.decode_places(answer.body)

    def judge(self, topic: str, partition: int, offsets: Sequence[int], calls: Sequence[asking.Attempt]) -> list[int]:
        """How the calls of one partition fared (`asking` statuses), in their order.

        Raises:
            ScreeningAway: nobody knows whether they were judged: ask again.
        """
        self._ticket += 1
        rows = [asking.encode_call(it) for it in calls]
        answer = self._ask(wire.encode_feed(self._ticket, topic, partition, offsets, rows), asking.REPLY)
        return [it.status for it in asking.decode_reply(answer)]

    def note(self, topic: str, partition: int, offsets: Sequence[int], told: Sequence[wire.Told]) -> list[int]:
        """How the outcomes of one partition fared (`wire.NOTED` …), in their order.

        Raises:
            ScreeningAway: nobody knows whether they were noted: ask again.
        """
        self._ticket += 1
        frame = wire.encode_outcomes(self._ticket, topic, partition, offsets, told)
        return list(self._ask(frame, wire.OUTCOMES).body)

    def close(self) -> None:
        """End the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _ask(self, frame: bytes, kind: int) -> asking.Frame:
        try:
            opened = self._socket or self._open()
            opened.sendall(frame)
            while True:
                data = opened.recv(_READ)
                if not data:
                    raise ConnectionResetError(0, "it closed the connection")  # the same way out
                for answer in self._reader.feed(data):
                    if answer.kind == asking.REFUSAL:
                        raise CodecError(answer.body.decode("utf-8", "replace"))  # noqa: TRY301
                    if answer.kind != kind or answer.ticket != self._ticket:
                        raise CodecError("it answers something else.")  # noqa: TRY301
                    return answer
        except (OSError, CodecError) as error:
            self.close()
            why = getattr(error, "strerror", None) or str(error)
            raise ScreeningAway(
                f"the screening process cannot be asked: {why}.",
                where=str(self._path),
                fix="Start it (`hutong up`); messages wait for it.",
            ) from error

    def _open(self) -> socket.socket:
        fresh = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with contextlib.ExitStack() as undo:
            undo.callback(fresh.close)
            fresh.settimeout(self._patience)
            with short_path(self._path) as name:
                fresh.connect(name)
            undo.pop_all()
        self._socket, self._reader = fresh, asking.FrameReader()
        return fresh
