"""Calls that come from a log of messages (Kafka), and verdicts that go to one.

A message is named by its topic, partition and offset for ever. The screening process keeps, in the same journal batch
as the verdicts, how far it has judged each partition: so no kill makes it judge a message twice or leave one out.
Takes call attempts (`events.CallEvent`), gives verdicts (`events.VerdictEvent`).
Nothing here is imported by screening but `desk`, `places` and `wire`.
"""
