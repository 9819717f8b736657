"""A station's clock against the centre's: how far it is out, measured when they meet; the time corrected by it. Pure.

The measurement is Cristian's: the centre's time was read somewhere between sending and receiving, so the error of the
offset is at most half of that.
"""

from __future__ import annotations

import msgspec


class Offset(msgspec.Struct, frozen=True):
    """What is known of a station's clock.

    Attributes:
        ahead_ms: by how much it is ahead of the centre's (behind, if negative).
        error_ms: by how much that may be wrong. measured_ms: when, by the station's clock; 0 if never.
    """

    ahead_ms: int = 0
    error_ms: int = 0
    measured_ms: int = 0

    def corrected(self, here_ms: int) -> int:
        """The time, from what the station's clock shows."""
        return here_ms - self.ahead_ms


def measured(sent_ms: int, centre_ms: int, received_ms: int) -> Offset:
    """The offset, from one question to the centre.

    Args:
        sent_ms, received_ms: when the question went out and the answer came in, by the station's clock.
        centre_ms: the time in the answer.

    Raises:
        ValueError: the answer came before the question: the clock was set in between.
    """
    if received_ms < sent_ms:
        raise ValueError("the clock was set back while the offset was measured")
    middle_ms = (sent_ms + received_ms) // 2
    return Offset(middle_ms - centre_ms, (received_ms - sent_ms + 1) // 2, received_ms)
