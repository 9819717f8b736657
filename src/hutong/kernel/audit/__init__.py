"""Audit: the trail as a Merkle log, so that nobody can change, drop, re-order or slip in an entry unseen.

Each entry of the trail has a gap-free number and a leaf hash, written in its own transaction (`log`). Checkpoints sign
the whole log up to a number (`checkpoints`); whoever keeps one elsewhere can hold the log to it for ever. Belongs here:
hashing, notes, proofs, checkpoints, verification. Not here: what a deed is, which `kernel.access.trail` says.
"""
