"""A station: registers, seals and hands over without the centre, and merges when it can.

`store` is its own durable store, `exchange` how what it has reaches the centre, by hand or over a wire.
"""
