"""What codes, scans and sampling ask of the records at 1, 10 and 100 million rows, on SQLite and PostgreSQL.

    python -m bench size [--rows 1e6,1e7,1e8] [--engine sqlite,postgresql] [--disk 45] [--write]

What is asked about was made by the product itself (people, codes, scans, tubes); it then lies scattered among rows of
the same shape and length, which the database makes. Indexes are those of the product. Each question is asked of
changing people, tubes or places: first with the files out of the page cache, then many times warm.
"""
