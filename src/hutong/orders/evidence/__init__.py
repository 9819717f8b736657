"""Evidence packs: one signed ZIP for a case, an order, or a number and a period.

`material` is what goes in, `gathering` collects it, `pack` makes bytes of it, `paper` what people read,
`verify` checks.
"""
