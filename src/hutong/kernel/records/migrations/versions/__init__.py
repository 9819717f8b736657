"""One file for each step; `down_revision` gives the order."""
