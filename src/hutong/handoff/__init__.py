"""Hand-offs: people worked on by flagged callers are handed to the dissuasion desk (96110 劝阻) within seconds.

Takes victim events (the app brings them from the alerts on calls under way), gives messages through a port, cases
(`kernel.cases`), and counts what became of each. Not here: who counts as worked on; that is the alerts' business.
"""
