"""Bulletins 通报: what was screened, reported, closed and lost in a day, a week or a month, said once and signed.

Takes what systems count (`kernel.figures`), what `work` counts of calls each day, and losses that agencies gave. Gives
one immutable value for each period, from which sentences, tables and drawings are made, and nothing else is.
"""
