"""The live figures of a node: read once, shown to all who watch."""
