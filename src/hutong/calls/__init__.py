"""诈骗电话防范: judges every call attempt while it is being set up.

Takes call attempts (SIP redirect requests from a proxy), gives verdicts: pass, warn or block, each with its reasons on
record. `lane` and `identity` read signalling, `screening` judges, `answers` words the reply, `sip_server` is the shell.
"""
