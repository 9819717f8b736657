"""Orders of the police and of operators: block, unblock or limit numbers, on a legal basis, for a term, by two persons.

Takes requests from pages, API and commands; gives list entries (source `order:ID`) and marks, the acknowledgement that
the screening process has them in force, and evidence packs. `machine` and `table` decide, `store` keeps, `effect` acts.
"""
