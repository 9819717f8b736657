"""Answers that are less than a second old, so that a page of many requests asks the records once."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Answer = TypeVar("Answer")

_FRESH_MS = 1000
_MOST = 4096


class Recent(Generic[Answer]):
    """A bounded cache; safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[str, tuple[int, int, Answer]] = {}

    def get(self, name: str, now_ms: int) -> Answer | None:
        """The answer, if it was put less than a second before (or after: clocks are set) and has not ended."""
        with self._lock:
            found = self._answers.get(name)
        if found is None or abs(now_ms - found[0]) >= _FRESH_MS or now_ms >= found[1]:
            return None
        return found[2]

    def put(self, name: str, answer: Answer, now_ms: int, ends_ms: int) -> None:
        """Keep an answer that holds until `ends_ms`."""
        with self._lock:
            if len(self._answers) >= _MOST:
                self._answers.clear()
            self._answers[name] = (now_ms, ends_ms, answer)

    def drop(self, name: str) -> None:
        """Forget one answer."""
        with self._lock:
            self._answers.pop(name, None)

    def clear(self) -> None:
        """Forget every answer."""
        with self._lock:
            self._answers.clear()
