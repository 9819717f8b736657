"""How `serve` asks `screen` about calls that come in over HTTP, and how it answers."""
