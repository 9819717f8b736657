"""The edge: nginx before the application, its configuration and its Lua. Written for a node by `hutong edge write`.

Belongs here: the template, the Lua that takes and gives tickets, the table of paths and classes. Not here: decisions
about classes, levels and tickets, which are `hutong.kernel.overload`'s.
"""
