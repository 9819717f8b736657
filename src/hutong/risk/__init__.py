"""涉诈风险评分: a learned, calibrated score of how likely a number is used for fraud, with its reasons.

It learns from any table with labels and from who calls whom; it never sees a call being set up. A call reads the
score as one more value for rules (`kernel.scores`) and never waits for a model.
"""
