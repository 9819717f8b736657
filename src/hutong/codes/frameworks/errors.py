"""What can be wrong with a code of another scheme."""

from __future__ import annotations

from hutong.kernel.errors import HutongError


class DccError(HutongError):
    """A text, a token or a signer's certificate that the EU's specifications do not allow; `where` is the layer."""
