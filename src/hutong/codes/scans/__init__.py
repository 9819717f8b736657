"""Scanning: who was where, kept briefly, for those alone who have an order.

Takes scans that devices made with no network (`device`), merges them (`store`, `group`), finds copied codes
(`copies`), answers look-ups under orders (`lookup_orders`, `lookups`) and lets each day go as a whole (`retention`).
What is kept of a scan is the pseudonym of the day, the venue, the time and what verifying the code gave; no name.
"""
