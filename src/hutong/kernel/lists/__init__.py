"""Block and allow lists: by number, prefix and range, with reason, source, who and expiry.

`store` (LMDB) is the truth that every process shares, `index` what one process asks about each call, `csv_file` how
lists come and go. A listed number is personal data: who put it there, why and until when is part of the entry.
"""
