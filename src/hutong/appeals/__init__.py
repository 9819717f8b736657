"""Appeals: the owner of a blocked number asks why, and appeals; a person decides, and a wrong block is put right.

Takes who is blocked by what through a port (`blocks`), gives cases (`kernel.cases`), entries taken off lists or put on
the allow list (`kernel.lists`), and what was confirmed as wrong (`kernel.marks`, labels). Not here: what a rule or an
order is.
"""
