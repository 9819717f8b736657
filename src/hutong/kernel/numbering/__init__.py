"""E.164 and the Chinese numbering plan: what a written number is, whose it is, and the one key it is kept under."""
