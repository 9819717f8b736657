"""省级仿真: a province that does not exist, to test judgement on: people, their days, and those who defraud them.

It makes call records or live calls, and beside them the truth about each call, which nothing that judges ever reads.
"""
