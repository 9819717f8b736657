"""Overload: what matters first is served in time, the rest is refused cheaply and told when to come back.

Belongs here: classes, admission, levels, waiting tickets, the gate before an application, the board that an edge reads.
Not here: the edge itself (`hutong.app.edge`), and limits of one address or token (`kernel.web.flood`, `.api.limits`).
"""
