"""Who may do what: people, roles, sessions, tokens, and the trail of what they changed and whom they unmasked.

Belongs here: accounts and their proof, the table of permissions, throttling, the trail. Not here: pages of systems, and
what a permission protects; a route names its permission, `kernel.web.guard` holds it to that.
"""
