"""Other schemes of signed codes, verified with the same codecs as our own: proof that codes interoperate.

`dcc` judges the EU Digital COVID Certificate (HC1). Everything here is pure: whom to trust and what time it is are
passed in.
"""
