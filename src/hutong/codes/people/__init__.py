"""People behind codes: keyed pseudonyms, sealed fields and evidence, keys that are destroyed in time, family links.

Takes identity documents and gives opaque pseudonyms (`Pseudonyms`), keeps what belongs to them (`People`) and says who
may show whose code (`family`). What a colour is and why, it does not know.
"""
