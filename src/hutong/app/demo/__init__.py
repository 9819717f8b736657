"""`hutong demo`: a throw-away node, a sample gateway that sends it real SIP, and a summary of what became of the calls.

The gateway alone knows which of its calls are fraud; Hutong sees only signalling.
"""

from hutong.app.demo.command import demo

__all__ = ["demo"]
