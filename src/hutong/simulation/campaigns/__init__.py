"""Fraud campaigns: each kind has its own callers, victims, pace and way out; `base` is what they share."""
