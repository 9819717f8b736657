"""Codes verified for stations: by signature, term and revocation, and then the colour that stands now.

`knowledge` is where that is looked up, in the records or in a replica of them; `desk` judges, `wire` is the address.
"""
