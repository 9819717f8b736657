"""The colour of a person's code: rules as data, evidence, judgement, manual changes, appeals.

Takes evidence (results, visits, declarations, orders) and gives `ColourChanged`. Whose a pseudonym is, it
does not know.
"""
