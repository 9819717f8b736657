"""What every system speaks: events, clock, journal, windows, rules, numbering, lists. Knows no system."""
