"""Read replicas: what must be readable when the records are gone, as change events and as a copy in LMDB.

`log` writes an event in the transaction of what changed, `source` is where a follower asks (records here, `remote` over
HTTP), `follower` brings a `store` up to date. What a topic is about is the systems' own. A replica holds no more than
its records, is in no backup, and can be deleted at any time: it is made again.
"""
