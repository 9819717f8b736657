"""Sampling: people to tubes, batches, transport, laboratory results, recall; stations that work without the centre.

Takes registrations, seals and hand-overs from stations (merged late, cut, repeated or in any order), receipts and
results from laboratories; gives `ResultReported` for each person. The events of a tube are the truth: `fold` makes
everything else from the set of them, so that the order in which they came does not count. `table` and `machine` say
what may be done next, `conflicts.toml` what is done when events do not fit, `store` keeps, `station` is the side that
needs no network. Identities are opaque pseudonyms here (`identity`).
"""
