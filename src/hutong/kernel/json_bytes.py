"""Which errors say that bytes are not the JSON that was asked for; reading itself is msgspec's."""

from __future__ import annotations

from typing import Final

import msgspec

#: msgspec leaves a text that is not UTF-8 to Python's own error, which is none of its tree.
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError)
