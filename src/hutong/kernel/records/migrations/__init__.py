"""The steps by which the tables came to be as they are. One file a step; a step that was released never changes."""
