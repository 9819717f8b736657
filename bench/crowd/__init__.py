"""A crowd before the public services, over real sockets on one machine. `python -m bench crowd`.

Belongs here: who comes when, the load generator, the services that are compared, the accounts of a run. On core 0 runs
what serves (nginx, `codes`, `stations`, PostgreSQL), on core 1 the generator, and nothing of either elsewhere.
"""
