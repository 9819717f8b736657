"""Benchmarks: each measures Hutong and its peer in one run, on the same machine, with the same client.

`python -m bench` prints the tables of docs/benchmarks.md; with `--write` it replaces them there.
"""
