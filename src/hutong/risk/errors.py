"""What can be wrong with the tables and the models of the risk score."""

from __future__ import annotations

from hutong.kernel.errors import HutongError


class TableError(HutongError):
    """A table or a file of edges that nothing can be learned from, or scored by, as it is."""


class ModelError(HutongError):
    """A model file that is damaged, of another version, or does not fit what it is asked to do."""
