"""The page of a station: installed on a tablet, it registers people to tubes for a day with no network, and merges.

Belongs here: the page, its files, what it asks of the centre. The rules are those of `sampling.machine`, said once more
for a browser (`static/tubes.js`) by the same table; tests hold both to each other.
"""
