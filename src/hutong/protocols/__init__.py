"""Sans-IO codecs: bytes to values and back. No sockets, no clock, no judgement."""
