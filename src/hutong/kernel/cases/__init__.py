"""Cases: the closed loop. Every finding has an owner, a deadline, an action and a proof; nothing closes without one.

Belongs here: what a case is, its types as data, the working calendar, the machine that decides what may be done, the
store, registers, attachments, notices and the watch over deadlines. Not here: pages, and what a finding is about; that
is its system's business.
"""
