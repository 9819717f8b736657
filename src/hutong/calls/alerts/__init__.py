"""Alerts on calls under way and their callees: conditions, watching, the journal's records, the table, delivery."""
