"""A replay on Spark: files are read, sent to their shards and judged by the code that judges them on one machine.

`session` starts Spark, `stages` is what runs in its Python processes, `run` puts them together. The verdicts are those
of `calls.replay.shards` with as many shards. docs/operate/scale.md describes it.
"""
