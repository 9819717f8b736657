"""The story of a number and of a call, put together and told to people."""
