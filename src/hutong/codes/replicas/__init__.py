"""What replicas hold of codes, and how it is read there: pseudonyms, colours, handles and keys; no name, no document.

`topics` says what is told and when it is over, `reading` answers from a replica what the records would have said.
"""
