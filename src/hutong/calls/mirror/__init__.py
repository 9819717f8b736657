"""Mirrored signalling (HEP): packets to calls under way, and what became of calls to the windows."""
