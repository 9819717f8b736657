"""Calls of the past through the judgement of live ones: on one core, in shards, on Spark."""
