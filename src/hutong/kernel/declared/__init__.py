"""What people declare in files of YAML: read with the place of every item, so that what is wrong is told by line.

Belongs here: reading, and what was found. Not here: what a declaration means (rules, types of cases, colours).
"""
